//! Who sent to a socket, so that they can be answered.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

/// Most senders that one socket remembers; whom it has not heard from for longest is forgotten first.
const HEARD_MAX: usize = 256;

/// How long a sender may be answered: as long as Linux's firewall takes two datagrams for one
/// conversation (nf_conntrack_udp_timeout_stream). After that the port may be another's.
const HEARD_FOR: Duration = Duration::from_secs(120);

/// The last senders, and when each was heard; the latest at the end.
#[derive(Debug, Default)]
pub(crate) struct Heard(VecDeque<(SocketAddr, Instant)>);

impl Heard {
    pub(crate) fn record(&mut self, from: SocketAddr) {
        self.record_at(from, Instant::now());
    }

    fn record_at(&mut self, from: SocketAddr, now: Instant) {
        let from = comparable(from);
        match self.0.iter().rposition(|(known, _)| *known == from) {
            Some(place) => drop(self.0.remove(place)),
            None if self.0.len() == HEARD_MAX => drop(self.0.pop_front()),
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
            .take_while(|(_, heard)| now.saturating_duration_since(*heard) <= HEARD_FOR);
        recent.any(|(known, _)| *known == comparable(to))
    }
}

/// IPv4 out of its mapping, and without flow info, which is not part of who it is. A scope is.
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
    use super::{Duration, HEARD_FOR, HEARD_MAX, Heard, Instant, SocketAddr};

    fn sender(port: usize) -> SocketAddr {
        ([192, 0, 2, 1], port as u16).into()
    }

    #[test]
    fn who_was_heard_longest_ago_is_forgotten_first() {
        let mut heard = Heard::default();
        for port in 1..=HEARD_MAX {
            heard.record(sender(port));
        }
        // Heard again, it is the latest.
        heard.record(sender(1));
        heard.record(sender(HEARD_MAX + 1));
        assert_eq!(heard.0.len(), HEARD_MAX);
        assert!(heard.contains(sender(1)) && heard.contains(sender(3)));
        assert!(!heard.contains(sender(2)));
    }

    #[test]
    fn sender_is_forgotten_in_time_unless_heard_again() {
        let mut heard = Heard::default();
        let begun = Instant::now();
        let second = Duration::from_secs(1);
        heard.record_at(sender(1), begun);
        heard.record_at(sender(2), begun);
        heard.record_at(sender(1), begun + second);
        for (port, after, known) in [
            (1, HEARD_FOR, true),
            (2, HEARD_FOR, true),
            (1, HEARD_FOR + second, true),
            (2, HEARD_FOR + second, false),
            (1, HEARD_FOR + second * 2, false),
        ] {
            let told = heard.contains_at(sender(port), begun + after);
            assert_eq!(told, known, "{port} {after:?}");
        }
    }

    #[test]
    fn spelling_is_not_who_it_is_but_port_and_scope_are() {
        let mut heard = Heard::default();
        for from in ["[::ffff:192.0.2.1]:5", "[fe80::1%3]:5"] {
            heard.record(from.parse().unwrap());
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
            assert_eq!(heard.contains(to.parse().unwrap()), known, "{to}");
        }
    }
}
