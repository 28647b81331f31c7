//! Where a guest may listen.

use super::{connect, policy, with_text};
use crate::policy::{LookedUp, Operation, Policy, Protocol};
use std::net::IpAddr;

fn listening(rules: &[&str]) -> Policy {
    rules.iter().fold(Policy::new(), |policy, rule| {
        policy.allow_listen(rule).unwrap()
    })
}

fn listen(policy: &Policy, address: &str, both_families: bool) -> Result<(), String> {
    listen_as(policy, Protocol::Tcp, address, both_families)
}

fn listen_as(
    policy: &Policy,
    protocol: Protocol,
    address: &str,
    both_families: bool,
) -> Result<(), String> {
    let address = address.parse().unwrap();
    with_text(
        policy.check_listen(protocol, address, both_families),
        Operation::Bind { address, protocol },
    )
}

#[test]
fn listening_needs_a_grant_of_its_own() {
    let connecting = policy(&["*"], &[]);
    assert_eq!(
        listen(&connecting, "127.0.0.1:0", false).unwrap_err(),
        "bind to 127.0.0.1:0 denied: needs --allow-listen=127.0.0.1:0"
    );
    assert!(connect(&listening(&["*"]), &LookedUp::default(), "127.0.0.1:80").is_err());
}

#[test]
fn listen_rule_covers_its_addresses_and_ports_only() {
    let policy = listening(&["127.0.0.1:8000", "10.0.0.0/8", "[::1]:0"]);
    for address in [
        "127.0.0.1:8000",
        "[::ffff:127.0.0.1]:8000",
        "10.1.2.3:0",
        "10.1.2.3:80",
        "[::1]:0",
    ] {
        assert_eq!(listen(&policy, address, false), Ok(()), "{address}");
    }
    for address in [
        "127.0.0.1:0",
        "127.0.0.1:8001",
        "127.0.0.2:8000",
        "[::1]:80",
        "0.0.0.0:8000",
        "[::]:0",
    ] {
        assert!(listen(&policy, address, false).is_err(), "{address}");
    }
    assert_eq!(listen(&listening(&["localhost"]), "[::1]:0", false), Ok(()));
}

#[test]
fn wildcard_address_is_covered_by_what_names_it() {
    for rule in ["0.0.0.0", "0.0.0.0:80", "0.0.0.0/0", "*", "*:80"] {
        assert_eq!(listen(&listening(&[rule]), "0.0.0.0:80", false), Ok(()));
    }
    for rule in ["127.0.0.1", "10.0.0.0/8", "localhost", "[::]", "[::/0]"] {
        assert!(listen(&listening(&[rule]), "0.0.0.0:80", false).is_err());
    }
    for rule in ["[::]", "[::/0]", "*"] {
        assert_eq!(listen(&listening(&[rule]), "[::]:80", false), Ok(()));
    }
}

#[test]
fn both_families_at_once_need_both_grants() {
    assert_eq!(
        listen(&listening(&["[::]"]), "[::]:80", true).unwrap_err(),
        "bind to [::]:80 denied: needs --allow-listen=0.0.0.0:80"
    );
    assert_eq!(
        listen(&Policy::new(), "[::]:80", true).unwrap_err(),
        "bind to [::]:80 denied: needs --allow-listen=[::]:80,0.0.0.0:80"
    );
    assert_eq!(
        listen(&listening(&["[::]", "0.0.0.0:80"]), "[::]:80", true),
        Ok(())
    );
    // An address that is not the wildcard is of one family whatever the socket is.
    assert_eq!(listen(&listening(&["[::1]"]), "[::1]:80", true), Ok(()));
}

#[test]
fn group_needs_a_listen_rule_for_its_address() {
    let group: std::net::IpAddr = "239.1.2.3".parse().unwrap();
    assert_eq!(listening(&["239.0.0.0/8:5000"]).check_join(group), Ok(()));
    assert_eq!(
        with_text(
            listening(&["127.0.0.1"]).check_join(group),
            Operation::Join { group }
        )
        .unwrap_err(),
        "joining group 239.1.2.3 denied: needs --allow-listen=239.1.2.3"
    );
}

fn not_listening(allow: &[&str], deny: &[&str]) -> Policy {
    deny.iter().fold(listening(allow), |policy, rule| {
        policy.deny_listen(rule).unwrap()
    })
}

#[test]
fn deny_beats_allow_where_a_guest_listens() {
    let policy = not_listening(&["*"], &["10.0.0.0/8:80", "[::1]", "*:22/udp"]);
    for (address, may) in [
        ("10.0.0.1:80", false),
        ("[::ffff:10.0.0.1]:80", false),
        ("10.0.0.1:81", true),
        ("192.0.2.1:80", true),
        ("[::1]:5", false),
        ("[::2]:5", true),
        ("127.0.0.1:22", true),
        ("127.0.0.1:0", true),
    ] {
        assert_eq!(listen(&policy, address, false).is_ok(), may, "{address}");
    }
    let udp = listen_as(&policy, Protocol::Udp, "127.0.0.1:22", false);
    assert_eq!(
        udp.unwrap_err(),
        "bind to 127.0.0.1:22 denied: --deny-listen=*:22/udp forbids it"
    );
    let udp = listen_as(&policy, Protocol::Udp, "127.0.0.1:23", false);
    assert_eq!(udp, Ok(()));
}

#[test]
fn wildcard_listens_where_a_deny_rule_forbids_it() {
    let policy = not_listening(&["*"], &["10.0.0.1:80", "[fd00::1]:81"]);
    for (address, both_families, may) in [
        ("0.0.0.0:80", false, false),
        ("0.0.0.0:81", false, true),
        ("[::]:80", false, true),
        ("[::]:80", true, false),
        ("[::]:81", false, false),
        ("[::]:82", true, true),
        ("[::ffff:0.0.0.0]:80", true, false),
    ] {
        let verdict = listen(&policy, address, both_families);
        assert_eq!(verdict.is_ok(), may, "{address} {both_families}");
    }
    let loopback = not_listening(&["*"], &["localhost"]);
    for address in ["0.0.0.0:1", "[::]:1", "127.0.0.1:0"] {
        assert!(listen(&loopback, address, false).is_err(), "{address}");
    }
}

#[test]
fn port_that_the_system_picks_may_be_one_that_is_denied() {
    for (deny, may) in [
        ("*:22", true),
        ("*:1-1023", true),
        ("*:0", false),
        ("*:40000", false),
        ("*:1024-65535", false),
        ("*", false),
        ("*:40000/udp", true),
        ("10.0.0.1:40000", true),
    ] {
        let verdict = listen(&not_listening(&["*"], &[deny]), "127.0.0.1:0", false);
        assert_eq!(verdict.is_ok(), may, "{deny}");
    }
}

#[test]
fn group_is_denied_by_a_rule_without_a_port() {
    let group: IpAddr = [239, 1, 2, 3].into();
    for (deny, may) in [
        ("239.0.0.0/8", false),
        ("239.0.0.0/8/udp", false),
        ("239.0.0.0/8/tcp", true),
        ("239.0.0.0/8:5000", true),
        ("*", false),
    ] {
        let verdict = not_listening(&["*"], &[deny]).check_join(group);
        assert_eq!(verdict.is_ok(), may, "{deny}");
    }
    assert!(listening(&["239.1.2.3/tcp"]).check_join(group).is_err());
}
