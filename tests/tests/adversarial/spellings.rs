//! Addresses of the host's own networks in other spellings, from a name server or from the guest.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::Policy;
use wasisocket_tests::servers;

use crate::guest::{ADDRESS, Guest, SOON, allow_all};
use crate::lookups::{answered, lookup};

/// Asserts that neither connecting nor sending is allowed, for streams and datagrams.
#[track_caller]
fn refused(guest: &mut Guest, to: SocketAddr) {
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        let handle = match to {
            SocketAddr::V4(_) => guest.open(kind),
            SocketAddr::V6(_) => guest.open_v6(kind),
        };
        assert_eq!(guest.connect(handle, to, 0), Err(Errno::EACCES), "{to}");
        if kind == SOCK_DGRAM {
            guest.write_address(to);
            assert_eq!(
                guest.send(handle, b"x", ADDRESS),
                Err(Errno::EACCES),
                "{to}"
            );
        }
        guest.call("sock_close", &[handle]).unwrap();
    }
    assert_eq!(guest.denials().len(), 3, "{to}");
}

fn answer_leads_nowhere(answers: &[&str], family: u32) {
    for answer in answers {
        let ip: IpAddr = answer.parse().unwrap();
        let policy = Policy::new().allow("evil.test").unwrap();
        let (builder, _) = answered(policy, vec![vec![ip]]);
        let mut guest = Guest::with(builder);
        assert_eq!(lookup(&mut guest, b"evil.test", family), Ok(vec![ip]));
        refused(&mut guest, SocketAddr::new(ip, 80));
        // An IPv4 address in its mapped spelling.
        if let IpAddr::V4(ip) = ip {
            refused(&mut guest, SocketAddr::new(ip.to_ipv6_mapped().into(), 80));
        }
    }
}

#[test]
fn name_leads_to_no_ipv4_address_that_is_not_public() {
    answer_leads_nowhere(
        &[
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ],
        AF_INET,
    );
}

#[test]
fn name_leads_to_no_ipv6_spelling_of_one() {
    answer_leads_nowhere(
        &[
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:0.0.0.0",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::127.0.0.1",
            "64:ff9b:1:7f00:0:100::",
            "2002:7f00:1::",
            "2001::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ],
        AF_INET6,
    );
}

#[test]
fn deny_rule_for_an_address_is_for_its_spellings() {
    let server = servers::echo((Ipv4Addr::LOCALHOST, 0).into());
    let port = server.port();
    let policy = allow_all()
        .deny("127.0.0.0/8")
        .unwrap()
        .deny("[::1]")
        .unwrap();
    let mut guest = Guest::new(policy);
    for spelling in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::",
        "::1",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::127.0.0.1",
        "2002:7f00:1::1",
    ] {
        refused(&mut guest, SocketAddr::new(spelling.parse().unwrap(), port));
    }
}

#[test]
fn allow_rule_for_an_address_is_not_for_what_translates_to_it() {
    let mut guest = Guest::new(Policy::new().allow("192.0.2.1").unwrap());
    for spelling in ["64:ff9b::192.0.2.1", "2002:c000:201::1", "::192.0.2.1"] {
        refused(&mut guest, SocketAddr::new(spelling.parse().unwrap(), 80));
    }
}

#[test]
fn unspecified_address_is_loopback_for_a_stream_too() {
    let server = servers::echo((Ipv4Addr::LOCALHOST, 0).into());
    let policy = Policy::new().allow(&server.to_string()).unwrap();
    let mut guest = Guest::new(policy);
    let handle = guest.open(SOCK_STREAM);
    let zero = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), server.port());
    assert_eq!(guest.connect(handle, zero, SOON), Ok(()));
    // A rule for 0.0.0.0 is an error: nothing has that address, so an allow rule would grant nothing and a deny rule
    // would protect nothing.
    assert!(Policy::new().allow("0.0.0.0").is_err());
    let policy = Policy::new().allow("*").unwrap();
    assert!(policy.clone().deny("0.0.0.0").is_err());
    let mut guest = Guest::new(policy.deny("127.0.0.1").unwrap());
    refused(&mut guest, zero);
}
