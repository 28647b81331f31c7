//! What a policy decides, case by case.

mod listening;
mod names;

use super::{Denial, LookedUp, Operation, Policy, Protocol, Reason, destination};
use std::net::SocketAddr;
use std::time::Instant;

fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let policy = allow
        .iter()
        .fold(Policy::new(), |policy, rule| policy.allow(rule).unwrap());
    deny.iter()
        .fold(policy, |policy, rule| policy.deny(rule).unwrap())
}

fn connect(policy: &Policy, looked_up: &LookedUp, address: &str) -> Result<(), String> {
    let address = destination(address.parse().unwrap());
    let protocol = Protocol::Tcp;
    let verdict = policy.check_connect(protocol, address, looked_up);
    with_text(verdict.map(drop), Operation::Connect { address, protocol })
}

fn resolve(policy: &Policy, name: &str) -> Result<(), String> {
    let operation = Operation::Resolve { name: name.into() };
    with_text(policy.check_resolve(name), operation)
}

/// The verdict, with a denial as the text that the host prints.
fn with_text(verdict: Result<(), Reason>, operation: Operation) -> Result<(), String> {
    verdict.map_err(|reason| Denial { operation, reason }.to_string())
}

fn looked_up(policy: &Policy, name: &str, addresses: &[&str]) -> LookedUp {
    let mut looked_up = LookedUp::default();
    let addresses: Vec<_> = addresses.iter().map(|ip| ip.parse().unwrap()).collect();
    looked_up.record(policy, name, &addresses, Instant::now(), None);
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
        resolve(&policy, "example.com").unwrap_err(),
        "look-up of example.com denied: needs --allow-net=example.com"
    );
}

fn missing_grant(policy: &Policy, address: SocketAddr) -> Option<String> {
    let protocol = Protocol::Tcp;
    let verdict = policy.check_connect(protocol, address, &LookedUp::default());
    let denial = Denial {
        operation: Operation::Connect { address, protocol },
        reason: verdict.unwrap_err(),
    };
    denial.missing_grant()
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
        let missing = missing_grant(&Policy::new(), address).unwrap();
        let policy = policy(&[missing.strip_prefix("--allow-net=").unwrap()], &[]);
        let verdict = policy.check_connect(Protocol::Tcp, address, &LookedUp::default());
        assert_eq!(verdict, Ok(None));
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
        resolve(&policy, "evil.test").unwrap_err(),
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
    assert_eq!(missing_grant(&policy, address), None);
}

#[test]
fn deny_rule_forbids_a_peer_whatever_is_allowed() {
    let policy = policy(&["*"], &["192.0.2.1", "evil.test"]);
    let known = looked_up(&policy, "evil.test", &["1.2.3.4"]);
    let forbids =
        |address: &str| policy.forbids_peer(Protocol::Udp, address.parse().unwrap(), &known);
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

#[test]
fn protocol_of_a_rule_is_compared() {
    let policy = policy(
        &["192.0.2.1:53/udp", "192.0.2.2/tcp", "192.0.2.3:1-9"],
        &["192.0.2.3:5/udp"],
    );
    let nothing = LookedUp::default();
    let may = |protocol, address: &str| {
        policy
            .check_connect(protocol, address.parse().unwrap(), &nothing)
            .is_ok()
    };
    for (address, tcp, udp) in [
        ("192.0.2.1:53", false, true),
        ("192.0.2.1:54", false, false),
        ("192.0.2.2:53", true, false),
        ("192.0.2.3:1", true, true),
        ("192.0.2.3:5", true, false),
        ("192.0.2.3:9", true, true),
        ("192.0.2.3:10", false, false),
    ] {
        assert_eq!(may(Protocol::Tcp, address), tcp, "{address}/tcp");
        assert_eq!(may(Protocol::Udp, address), udp, "{address}/udp");
    }
    let address = "192.0.2.9:53".parse().unwrap();
    let verdict = policy.check_connect(Protocol::Udp, address, &nothing);
    assert_eq!(
        with_text(verdict.map(drop), Operation::Send { address }).unwrap_err(),
        "send to 192.0.2.9:53 denied: needs --allow-net=192.0.2.9:53/udp"
    );
    let peer = "192.0.2.3:5".parse().unwrap();
    assert!(policy.forbids_peer(Protocol::Udp, peer, &nothing));
    assert!(!policy.forbids_peer(Protocol::Tcp, peer, &nothing));
}

#[test]
fn rules_are_told_as_they_are_given() {
    let policy = Policy::new()
        .allow("Example.COM:443/TCP")
        .and_then(|policy| policy.deny("10.0.0.0/8"))
        .and_then(|policy| policy.allow_listen("*:8000-8010"))
        .and_then(|policy| policy.deny_listen("[::]/udp"))
        .and_then(|policy| policy.allow_lookup("*.test"))
        .and_then(|policy| policy.deny_lookup("evil.test"))
        .unwrap();
    let rules: Vec<String> = policy
        .rules()
        .map(|(flag, rule)| format!("--{flag}={rule}"))
        .collect();
    assert_eq!(
        rules,
        [
            "--allow-net=example.com:443/tcp",
            "--deny-net=10.0.0.0/8",
            "--allow-listen=*:8000-8010",
            "--deny-listen=[::]/udp",
            "--allow-lookup=*.test",
            "--deny-lookup=evil.test",
        ]
    );
}
