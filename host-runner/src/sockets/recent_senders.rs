//! Who sent to a socket recently, and so may be answered.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

/// Most senders that one socket remembers; the one that sent longest ago is forgotten first.
const SENDERS_MAX: usize = 256;

/// How long a sender may be answered: as long as Linux's firewall takes two datagrams for one conversation
/// (nf_conntrack_udp_timeout_stream). After that, the port may belong to somebody else.
const REMEMBERED_FOR: Duration = Duration::from_secs(120);

/// The last senders and when each of them sent, the latest at the end.
#[derive(Debug, Default)]
pub(crate) struct RecentSenders(VecDeque<(SocketAddr, Instant)>);

impl RecentSenders {
    pub(crate) fn record(&mut self, from: SocketAddr) {
        self.record_at(from, Instant::now());
    }

    fn record_at(&mut self, from: SocketAddr, now: Instant) {
        let from = comparable(from);
        match self.0.iter().rposition(|(known, _)| *known == from) {
            Some(place) => drop(self.0.remove(place)),
            None if self.0.len() == SENDERS_MAX => drop(self.0.pop_front()),
            None => {}
        }
        self.0.push_back((from, now));
    }

    /// Forgets them all.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn contains(&self, to: SocketAddr) -> bool {
        !self.0.is_empty() && self.contains_at(to, Instant::now())
    }

    fn contains_at(&self, to: SocketAddr, now: Instant) -> bool {
        let mut recent = self
            .0
            .iter()
            .rev()
            .take_while(|(_, sent)| now.saturating_duration_since(*sent) <= REMEMBERED_FOR);
        recent.any(|(known, _)| *known == comparable(to))
    }
}

/// The address without its IPv6 mapping and without flow info, which does not identify a sender. A scope does.
fn comparable(address: SocketAddr) -> SocketAddr {
    match (address.ip().to_canonical(), address) {
        (IpAddr::V6(ip), SocketAddr::V6(v6)) => {
            SocketAddrV6::new(ip, v6.port(), 0, v6.scope_id()).into()
        }
        (ip, _) => SocketAddr::new(ip, address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, REMEMBERED_FOR, RecentSenders, SENDERS_MAX, SocketAddr};

    fn sender(port: usize) -> SocketAddr {
        ([192, 0, 2, 1], port as u16).into()
    }

    #[test]
    fn sender_of_longest_ago_is_forgotten_first() {
        let mut senders = RecentSenders::default();
        for port in 1..=SENDERS_MAX {
            senders.record(sender(port));
        }
        // This one sends again, and is the latest.
        senders.record(sender(1));
        senders.record(sender(SENDERS_MAX + 1));
        assert_eq!(senders.0.len(), SENDERS_MAX);
        assert!(senders.contains(sender(1)) && senders.contains(sender(3)));
        assert!(!senders.contains(sender(2)));
    }

    #[test]
    fn sender_is_forgotten_in_time_unless_it_sends_again() {
        let mut senders = RecentSenders::default();
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        senders.record_at(sender(1), begun);
        senders.record_at(sender(2), begun);
        senders.record_at(sender(1), begun + second);
        for (port, after, known) in [
            (1, REMEMBERED_FOR, true),
            (2, REMEMBERED_FOR, true),
            (1, REMEMBERED_FOR + second, true),
            (2, REMEMBERED_FOR + second, false),
            (1, REMEMBERED_FOR + second * 2, false),
        ] {
            let found = senders.contains_at(sender(port), begun + after);
            assert_eq!(found, known, "{port} {after:?}");
        }
    }

    #[test]
    fn spelling_does_not_identify_a_sender_but_port_and_scope_do() {
        let mut senders = RecentSenders::default();
        for from in ["[::ffff:192.0.2.1]:5", "[fe80::1%3]:5"] {
            senders.record(from.parse().unwrap());
        }
        for (to, known) in [
            ("192.0.2.1:5", true),
            ("[::ffff:192.0.2.1]:5", true),
            ("192.0.2.1:6", false),
            ("192.0.2.2:5", false),
            ("[fe80::1%3]:5", true),
            ("[fe80::1%4]:5", false),
            ("[fe80::1]:5", false),
        ] {
            assert_eq!(senders.contains(to.parse().unwrap()), known, "{to}");
        }
    }
}
