//! What kind of address an address is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The destination that an address stands for: loopback of its family for the unspecified one.
///
/// Connect to this, not to what the guest gave. Left to itself, Linux takes the unspecified address for
/// the socket's own source address, which is loopback only as long as the socket has none yet.
pub(crate) fn destination(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.to_ipv4_mapped() == Some(Ipv4Addr::UNSPECIFIED) => {
            Ipv4Addr::LOCALHOST.to_ipv6_mapped().into()
        }
        _ => return address,
    };
    SocketAddr::new(ip, address.port())
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), prefix)
}

/// IANA's IPv4 special-purpose registry (RFC 6890), multicast, and what a cloud answers at.
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4(0, 0, 0, 0, 8),        // "this network", RFC 791
    v4(10, 0, 0, 0, 8),       // private, RFC 1918
    v4(100, 64, 0, 0, 10),    // shared by carriers, RFC 6598
    v4(127, 0, 0, 0, 8),      // loopback, RFC 1122
    v4(168, 63, 129, 16, 32), // Azure's host, public by number only
    v4(169, 254, 0, 0, 16),   // link-local, RFC 3927; cloud metadata
    v4(172, 16, 0, 0, 12),    // private, RFC 1918
    v4(192, 0, 0, 0, 24),     // protocol assignments, RFC 6890
    v4(192, 0, 2, 0, 24),     // documentation, RFC 5737
    v4(192, 88, 99, 0, 24),   // 6to4 relays, RFC 7526
    v4(192, 168, 0, 0, 16),   // private, RFC 1918
    v4(198, 18, 0, 0, 15),    // benchmarking, RFC 2544
    v4(198, 51, 100, 0, 24),  // documentation, RFC 5737
    v4(203, 0, 113, 0, 24),   // documentation, RFC 5737
    v4(224, 0, 0, 0, 4),      // multicast, RFC 5771
    v4(240, 0, 0, 0, 4),      // reserved and broadcast, RFC 1112
];

/// The only IPv6 addresses that are unicast on the public Internet (IANA's IPv6 address space).
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// What IANA's IPv6 special-purpose registry takes out of those.
const SPECIAL_V6: [Ipv6Net; 3] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments, RFC 2928; Teredo
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation, RFC 3849
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation, RFC 9637
];

const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96); // RFC 6052
const LOCAL_NAT64: Ipv6Net = v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48); // RFC 8215
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16); // RFC 3056
const TEREDO: Ipv6Net = v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32); // RFC 4380
const IPV4_TRANSLATED: Ipv6Net = v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96); // RFC 2765, 2.1
const IPV4_COMPATIBLE: Ipv6Net = v6([0; 8], 96); // RFC 4291, 2.5.5.1

/// The IPv4 addresses that an IPv6 address may lead to by translation or tunnel.
///
/// Where NAT64 has a prefix of its network's own choice (RFC 6052, 2.2), nobody here can know it. Of the one
/// that RFC 8215 sets aside for that, both usual lengths are read: 96, and its own 48.
pub(super) fn embedded_ipv4(ip: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let found = match ip {
        IpAddr::V4(_) => [None, None],
        IpAddr::V6(ip) => {
            let [_, _, b, c, d, e, g, h, k, i, j, l, w, x, y, z] = ip.octets();
            let last = Some(Ipv4Addr::new(w, x, y, z));
            let is_isatap = [k & !2, i, j, l] == [0, 0, 0x5e, 0xfe]; // RFC 5214, 6.1
            if LOCAL_NAT64.contains(&ip) {
                // RFC 6052 has a byte of zeros in the middle.
                [last, Some(Ipv4Addr::new(g, h, i, j))]
            } else if TEREDO.contains(&ip) {
                // Its server, and the client, whose bits are turned over.
                let client = Ipv4Addr::new(!w, !x, !y, !z);
                [Some(Ipv4Addr::new(d, e, g, h)), Some(client)]
            } else if NAT64.contains(&ip) || IPV4_TRANSLATED.contains(&ip) || is_isatap {
                [last, None]
            } else if SIX_TO_FOUR.contains(&ip) {
                [Some(Ipv4Addr::new(b, c, d, e)), None]
            } else if IPV4_COMPATIBLE.contains(&ip) && !ip.is_loopback() && !ip.is_unspecified() {
                [last, None]
            } else {
                [None, None]
            }
        }
    };
    found.into_iter().flatten()
}

/// May a name lead here? True for public unicast addresses only, also behind a translation.
pub(super) fn reachable_by_name(ip: IpAddr) -> bool {
    let public_v4 = |ip: Ipv4Addr| !SPECIAL_V4.iter().any(|net| net.contains(&ip));
    match ip.to_canonical() {
        IpAddr::V4(ip) => public_v4(ip),
        IpAddr::V6(v6) => {
            let public = GLOBAL_V6.contains(&v6) && !SPECIAL_V6.iter().any(|net| net.contains(&v6));
            (public || NAT64.contains(&v6)) && embedded_ipv4(ip).all(public_v4)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{destination, embedded_ipv4, reachable_by_name};
    use std::net::{IpAddr, SocketAddr};

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn public_addresses_are_reachable_by_name() {
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "100.63.255.255",
            "198.20.0.1",
            "198.17.255.255",
            "192.0.3.0",
            "203.0.114.1",
            "3fff:1000::1",
            "2a00::5efe:1.1.1.1",
            "192.0.1.1",
            "168.63.129.17",
            "192.88.98.255",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::",
        ] {
            assert!(reachable_by_name(ip(text)), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_hosts_own_networks_are_not() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.170",
            "168.63.129.16",
            "192.88.99.1",
            "2002:a83f:8110::",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "2a00::5efe:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "192.0.2.1",
            "198.51.100.255",
            "203.0.113.0",
            "3fff:fff::1",
            "100.127.255.255",
            "198.19.255.255",
            "239.255.255.255",
        ] {
            assert!(!reachable_by_name(ip(text)), "{text}");
        }
    }

    #[test]
    fn unspecified_address_stands_for_loopback_of_its_family() {
        for (given, reached) in [
            ("0.0.0.0", "127.0.0.1"),
            ("::", "::1"),
            ("::ffff:0.0.0.0", "::ffff:127.0.0.1"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            let given = SocketAddr::new(ip(given), 80);
            assert_eq!(destination(given), SocketAddr::new(ip(reached), 80));
        }
    }

    #[test]
    fn embedded_address_is_found() {
        for (text, found) in [
            ("64:ff9b::192.0.2.1", &["192.0.2.1"][..]),
            ("64:ff9b:1::192.0.2.1", &["192.0.2.1", "0.0.0.0"]),
            ("64:ff9b:1:c000:2:100::", &["0.0.0.0", "192.0.2.1"]),
            ("2002:c000:201::1", &["192.0.2.1"]),
            ("::192.0.2.1", &["192.0.2.1"]),
            ("::ffff:0:192.0.2.1", &["192.0.2.1"]),
            ("fe80::200:5efe:192.0.2.1", &["192.0.2.1"]),
            (
                "2001:0:c633:6401::3fff:fdfe",
                &["198.51.100.1", "192.0.2.1"],
            ),
            ("::1", &[]),
            ("::", &[]),
            ("2001:db8::1", &[]),
            ("192.0.2.1", &[]),
        ] {
            let embedded: Vec<String> = embedded_ipv4(ip(text)).map(|ip| ip.to_string()).collect();
            assert_eq!(embedded, found, "{text}");
        }
    }
}
