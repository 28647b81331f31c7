//! What a policy decides, case by case.

use super::{Denial, LookedUp, Policy, destination};
use std::net::SocketAddr;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let policy = allow
        .iter()
        .fold(Policy::new(), |policy, rule| policy.allow(rule).unwrap());
    deny.iter()
        .fold(policy, |policy, rule| policy.deny(rule).unwrap())
}

fn connect(policy: &Policy, looked_up: &LookedUp, address: &str) -> Result<(), String> {
    let address = destination(address.parse().unwrap());
    policy
        .check_connect(address, looked_up)
        .map_err(|denial| denial.to_string())
}

fn looked_up(policy: &Policy, name: &str, addresses: &[&str]) -> LookedUp {
    let mut looked_up = LookedUp::default();
    let addresses: Vec<_> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    looked_up.record(policy, name, &addresses);
    looked_up
}

#[test]
fn nothing_is_allowed_without_rules() {
    let policy = Policy::new();
    assert_eq!(
        connect(&policy, &LookedUp::default(), "127.0.0.1:80").unwrap_err(),
        "connect to 127.0.0.1:80 denied: needs --allow-net=127.0.0.1:80"
    );
    assert_eq!(
        connect(&policy, &LookedUp::default(), "[::1]:80").unwrap_err(),
        "connect to [::1]:80 denied: needs --allow-net=[::1]:80"
    );
    assert_eq!(
        policy.check_resolve("example.com").unwrap_err().to_string(),
        "look-up of example.com denied: needs --allow-net=example.com"
    );
}

#[test]
fn the_missing_grant_is_enough() {
    for address in [
        "127.0.0.1:80",
        "[::1]:80",
        "[::ffff:10.0.0.1]:80",
        "0.0.0.0:80",
        "127.0.0.1:0",
        "[::1]:0",
        "[fe80::1%3]:80",
    ] {
        let address = destination(address.parse().unwrap());
        let denial = Policy::new()
            .check_connect(address, &LookedUp::default())
            .unwrap_err();
        let missing = denial.missing_grant().unwrap();
        let policy = policy(&[missing.strip_prefix("--allow-net=").unwrap()], &[]);
        assert_eq!(policy.check_connect(address, &LookedUp::default()), Ok(()));
    }
}

#[test]
fn address_rule_covers_its_addresses_and_ports_only() {
    let policy = policy(&["192.0.2.0/24:80", "[2001:db8::1]"], &[]);
    let nothing = LookedUp::default();
    assert_eq!(connect(&policy, &nothing, "192.0.2.7:80"), Ok(()));
    assert_eq!(connect(&policy, &nothing, "[::ffff:192.0.2.7]:80"), Ok(()));
    assert_eq!(connect(&policy, &nothing, "[2001:db8::1]:1"), Ok(()));
    assert!(connect(&policy, &nothing, "192.0.2.7:81").is_err());
    assert!(connect(&policy, &nothing, "192.0.3.7:80").is_err());
    assert!(connect(&policy, &nothing, "[2001:db8::2]:1").is_err());
    assert!(policy.check_resolve("example.com").is_err());
}

#[test]
fn name_rule_covers_what_this_guest_looked_up() {
    let policy = policy(&["example.com:443", "*.example.org"], &[]);
    assert_eq!(policy.check_resolve("example.com"), Ok(()));
    assert_eq!(policy.check_resolve("a.b.example.org"), Ok(()));
    for name in [
        "example.org",
        "badexample.org",
        "sub.example.com",
        "example.com.evil.test",
    ] {
        assert!(policy.check_resolve(name).is_err(), "{name}");
    }
    assert!(connect(&policy, &LookedUp::default(), "1.2.3.4:443").is_err());
    let known = looked_up(&policy, "example.com", &["1.2.3.4", "2a00::1"]);
    assert_eq!(connect(&policy, &known, "1.2.3.4:443"), Ok(()));
    assert_eq!(connect(&policy, &known, "[2a00::1]:443"), Ok(()));
    assert!(connect(&policy, &known, "1.2.3.4:80").is_err());
    assert!(connect(&policy, &known, "1.2.3.5:443").is_err());
}

#[test]
fn name_rule_never_leads_into_the_hosts_networks() {
    let policy = policy(&["evil.test"], &[]);
    for ip in [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fd00::1",
        "::ffff:10.0.0.5",
    ] {
        let address = destination(SocketAddr::new(ip.parse().unwrap(), 80));
        let known = looked_up(&policy, "evil.test", &[&address.ip().to_string()]);
        let denial = policy
            .check_connect(address, &known)
            .unwrap_err()
            .to_string();
        assert!(
            denial.contains("--allow-net=evil.test covers public addresses only"),
            "{denial}"
        );
    }
}

#[test]
fn address_rule_lets_a_name_lead_there() {
    let policy = policy(&["db.internal", "10.0.0.0/8:5432"], &[]);
    let known = looked_up(&policy, "db.internal", &["10.0.0.5"]);
    assert_eq!(connect(&policy, &known, "10.0.0.5:5432"), Ok(()));
    assert!(connect(&policy, &known, "10.0.0.5:80").is_err());
}

#[test]
fn localhost_names_the_loopback_addresses() {
    let policy = policy(&["localhost:8000"], &[]);
    assert_eq!(policy.check_resolve("localhost"), Ok(()));
    for address in [
        "127.0.0.1:8000",
        "127.8.9.1:8000",
        "[::1]:8000",
        "0.0.0.0:8000",
    ] {
        assert_eq!(connect(&policy, &LookedUp::default(), address), Ok(()));
    }
    assert!(connect(&policy, &LookedUp::default(), "127.0.0.1:8001").is_err());
}

#[test]
fn deny_beats_allow() {
    let policy = policy(
        &["*"],
        &[
            "127.0.0.0/8",
            "[::1]",
            "10.0.0.0/8:22",
            "evil.test",
            "half.test:25",
        ],
    );
    let nothing = LookedUp::default();
    assert_eq!(connect(&policy, &nothing, "1.1.1.1:1"), Ok(()));
    assert_eq!(connect(&policy, &nothing, "10.0.0.1:80"), Ok(()));
    for address in [
        "127.0.0.1:80",
        "0.0.0.0:80",
        "[::ffff:127.0.0.1]:80",
        "[::ffff:0.0.0.0]:80",
        "[::]:80",
        "[::1]:80",
        "10.0.0.1:22",
        "[64:ff9b::127.0.0.1]:80",
        "[2002:a00:1::]:22",
    ] {
        assert!(
            connect(&policy, &nothing, address)
                .unwrap_err()
                .contains("forbids it"),
            "{address}"
        );
    }
    assert_eq!(
        policy.check_resolve("evil.test").unwrap_err().to_string(),
        "look-up of evil.test denied: --deny-net=evil.test forbids it"
    );
    assert_eq!(policy.check_resolve("half.test"), Ok(()));
    let known = looked_up(&policy, "half.test", &["1.2.3.4"]);
    assert_eq!(connect(&policy, &known, "1.2.3.4:80"), Ok(()));
    assert!(connect(&policy, &known, "1.2.3.4:25").is_err());
}

#[test]
fn a_deny_rule_leaves_no_missing_grant() {
    let policy = policy(&[], &["192.0.2.1"]);
    let address = "192.0.2.1:80".parse().unwrap();
    let denial: Denial = policy
        .check_connect(address, &LookedUp::default())
        .unwrap_err();
    assert_eq!(denial.missing_grant(), None);
}

#[test]
fn what_a_guest_can_make_us_remember_is_bounded() {
    let policy = policy(&["*.example.com"], &[]);
    let mut known = LookedUp::default();
    for round in 0..=super::LOOKED_UP_MAX {
        known.record(
            &policy,
            &format!("{round}.example.com"),
            &["1.2.3.4".parse().unwrap()],
        );
    }
    known.record(&policy, "other.test", &["1.2.3.5".parse().unwrap()]);
    assert_eq!(known.answers.len(), super::LOOKED_UP_MAX);
    assert_eq!(connect(&policy, &known, "1.2.3.4:80"), Ok(()));
}

fn listening(rules: &[&str]) -> Policy {
    rules.iter().fold(Policy::new(), |policy, rule| {
        policy.allow_listen(rule).unwrap()
    })
}

fn listen(policy: &Policy, address: &str, both_families: bool) -> Result<(), String> {
    policy
        .check_listen(address.parse().unwrap(), both_families)
        .map_err(|denial| denial.to_string())
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
        listening(&["127.0.0.1"])
            .check_join(group)
            .unwrap_err()
            .to_string(),
        "joining group 239.1.2.3 denied: needs --allow-listen=239.1.2.3"
    );
}

#[test]
fn reverse_lookup_needs_a_rule_for_the_address_with_any_port() {
    let policy = policy(&["192.0.2.0/24:80", "example.com"], &["192.0.2.9"]);
    assert_eq!(
        policy.check_reverse_lookup("192.0.2.1".parse().unwrap()),
        Ok(())
    );
    for (address, text) in [
        (
            "2001:db8::1",
            "look-up of address 2001:db8::1 denied: needs --allow-net=[2001:db8::1]",
        ),
        (
            "192.0.2.9",
            "look-up of address 192.0.2.9 denied: --deny-net=192.0.2.9 forbids it",
        ),
    ] {
        let denial = policy
            .check_reverse_lookup(address.parse().unwrap())
            .unwrap_err();
        assert_eq!(denial.to_string(), text);
    }
}

#[test]
fn deny_rule_forbids_a_peer_whatever_is_allowed() {
    let policy = policy(&["*"], &["192.0.2.1", "evil.test"]);
    let known = looked_up(&policy, "evil.test", &["1.2.3.4"]);
    let forbids = |address: &str| policy.forbids_peer(address.parse().unwrap(), &known);
    assert!(forbids("192.0.2.1:5"));
    assert!(forbids("[::ffff:192.0.2.1]:5"));
    assert!(forbids("1.2.3.4:5"));
    assert!(!forbids("192.0.2.2:5"));
}

#[test]
fn all_is_allowed_by_a_rule_for_every_address_and_port_only() {
    for (rule, all) in [
        ("*", true),
        ("*:80", false),
        ("0.0.0.0/0", false),
        ("[::/0]", false),
        ("*.example.com", false),
        ("localhost", false),
    ] {
        assert_eq!(policy(&[rule], &[]).allows_all(), all, "{rule}");
    }
    assert!(!policy(&[], &[]).allows_all());
    assert!(policy(&["127.0.0.1", "*"], &["10.0.0.0/8"]).allows_all());
}
