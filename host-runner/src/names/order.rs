//! In which order the addresses of a name are tried (RFC 6724, section 6).

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ipnet::Ipv6Net;

/// Sorts as getaddrinfo(3) does, by rules 1, 2, 5, 6, 8 and 9 of RFC 6724; the others need what only the kernel knows.
/// Rule 9 applies to IPv6 only: among IPv4 addresses, which name servers rotate, it would prefer one at random. The
/// sort is stable: addresses between which no rule decides keep their order.
pub(super) fn sort(addresses: &mut [IpAddr]) {
    sort_by_source(addresses, source);
}

/// The source address that packets to this address would have. Nothing is sent: connect(2) of a datagram socket only
/// sets its peer.
fn source(to: IpAddr) -> Option<IpAddr> {
    let any = match to {
        IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    // Any port will do.
    socket.connect((to, 53)).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn sort_by_source(addresses: &mut [IpAddr], source: impl Fn(IpAddr) -> Option<IpAddr>) {
    addresses.sort_by_cached_key(|ip| {
        let (to, source) = (Attributes::of(*ip), source(*ip));
        let from = source.map(Attributes::of);
        (
            from.is_none(),
            from.map(|from| from.scope) != Some(to.scope),
            from.map(|from| from.label) != Some(to.label),
            Reverse(to.precedence),
            to.scope,
            Reverse(source.map_or(0, |source| common_prefix(*ip, source))),
        )
    });
}

/// How many leading bits two IPv6 addresses have in common, of the 64 that identify a network.
fn common_prefix(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).leading_zeros().min(64)
        }
        _ => 0,
    }
}

#[derive(Clone, Copy, Debug)]
struct Attributes {
    scope: u8,
    precedence: u8,
    label: u8,
}

/// RFC 6724, section 2.1: network, precedence, label. The first that contains an address applies.
const POLICY_TABLE: [(Ipv6Net, u8, u8); 9] = [
    (net(1, 128), 50, 0),
    (net(0xffff << 32, 96), 35, 4),
    (net(0, 96), 1, 3),
    (net(0x2001 << 112, 32), 5, 5),
    (net(0x2002 << 112, 16), 30, 2),
    (net(0x3ffe << 112, 16), 1, 12),
    (net(0xfec0 << 112, 10), 1, 11),
    (net(0xfc00 << 112, 7), 3, 13),
    (net(0, 0), 40, 1),
];

const fn net(bits: u128, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), prefix)
}

/// RFC 4291, 2.7.
const LINK_LOCAL: u8 = 0x2;
const SITE_LOCAL: u8 = 0x5;
const GLOBAL: u8 = 0xe;

impl Attributes {
    fn of(ip: IpAddr) -> Self {
        // RFC 6724, 3.2 and 2.1: IPv4 addresses have the attributes of the addresses that they are mapped to.
        let (ip, scope) = match ip.to_canonical() {
            IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => {
                (ip.to_ipv6_mapped(), LINK_LOCAL)
            }
            IpAddr::V4(ip) => (ip.to_ipv6_mapped(), GLOBAL),
            IpAddr::V6(ip) => (ip, scope(ip)),
        };
        let row = POLICY_TABLE.iter().find(|(net, ..)| net.contains(&ip));
        let (precedence, label) =
            row.map_or((40, 1), |(_, precedence, label)| (*precedence, *label));
        Self {
            scope,
            precedence,
            label,
        }
    }
}

/// RFC 6724, 3.1 and 3.4.
fn scope(ip: Ipv6Addr) -> u8 {
    match ip.octets() {
        [0xff, flags_and_scope, ..] => flags_and_scope & 0xf,
        _ if ip.is_loopback() || ip.is_unicast_link_local() => LINK_LOCAL,
        [0xfe, 0xc0..=0xff, ..] => SITE_LOCAL,
        _ => GLOBAL,
    }
}

#[cfg(test)]
mod tests {
    use super::{IpAddr, sort, sort_by_source};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Sorts addresses, each given with the source address that packets to it have, or `-`.
    fn sorted(given: &[(&str, &str)]) -> Vec<String> {
        let mut addresses: Vec<IpAddr> = given.iter().map(|(to, _)| ip(to)).collect();
        sort_by_source(&mut addresses, |to| {
            let (_, from) = given.iter().find(|(given, _)| ip(given) == to).unwrap();
            from.parse().ok()
        });
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn order_is_that_of_the_rfc() {
        for (rule, first, last) in [
            // RFC 6724, 10.2, and a pair for each rule.
            ("1", ("192.0.2.1", "192.0.2.9"), ("2001:db8::1", "-")),
            ("1", ("2001:db8::1", "2001:db8::9"), ("192.0.2.1", "-")),
            (
                "2",
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("198.51.100.121", "169.254.13.78"),
            ),
            (
                "2",
                ("198.51.100.121", "198.51.100.117"),
                ("2001:db8:1::1", "fe80::1"),
            ),
            (
                "5",
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("2001:db8:2::1", "2002:c633:6401::2"),
            ),
            (
                "5",
                ("10.1.2.3", "10.1.2.4"),
                ("2001:db8:1::1", "2002:c633:6401::2"),
            ),
            (
                "6",
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("10.1.2.3", "10.1.2.4"),
            ),
            ("6", ("10.1.2.3", "10.1.2.4"), ("fd00::1", "fd00::2")),
            ("6", ("::1", "::1"), ("127.0.0.1", "127.0.0.1")),
            (
                "8",
                ("fe80::1", "fe80::2"),
                ("2001:db8:1::1", "2001:db8:1::2"),
            ),
            (
                "9",
                ("2001:db8:1::1", "2001:db8:1::2"),
                ("2001:db8:3ffe::1", "2001:db8:3f44::2"),
            ),
        ] {
            for given in [[first, last], [last, first]] {
                assert_eq!(sorted(&given), [first.0, last.0], "rule {rule}");
            }
        }
    }

    #[test]
    fn order_of_the_name_server_is_kept_where_no_rule_decides() {
        let given = ["192.0.2.7", "192.0.2.1", "198.51.100.1", "192.0.2.3"];
        assert_eq!(sorted(&given.map(|to| (to, "192.0.2.9"))), given);
    }

    #[test]
    fn system_knows_the_sources() {
        // Every machine has one for loopback, and none for a network that is nowhere.
        let mut addresses = [ip("ff00::1"), ip("127.0.0.1")];
        sort(&mut addresses);
        assert_eq!(addresses, [ip("127.0.0.1"), ip("ff00::1")]);
    }
}
