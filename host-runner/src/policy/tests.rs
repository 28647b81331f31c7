//! What a policy decides, case by case.

use super::looked_up::{COVERED_AT_LEAST, LOOKED_UP_MAX};
use super::{Denial, LookedUp, Policy, Protocol, destination};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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
        .check_connect(Protocol::Tcp, address, looked_up)
        .map(drop)
        .map_err(|denial| denial.to_string())
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
            .check_connect(Protocol::Tcp, address, &LookedUp::default())
            .unwrap_err();
        let missing = denial.missing_grant().unwrap();
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
            .check_connect(Protocol::Tcp, address, &known)
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
        .check_connect(Protocol::Tcp, address, &LookedUp::default())
        .unwrap_err();
    assert_eq!(denial.missing_grant(), None);
}

#[test]
fn what_a_guest_can_make_us_remember_is_bounded() {
    let policy = policy(&["*.example.com"], &["evil.test:25"]);
    let mut known = LookedUp::default();
    let mut record = |name: &str, ip: &str| {
        let addresses = [ip.parse().unwrap()];
        known.record(&policy, name, &addresses, Instant::now(), None);
    };
    record("evil.test", "1.2.3.6");
    for round in 0..=LOOKED_UP_MAX {
        record(&format!("{round}.example.com"), "1.2.3.4");
    }
    record("other.test", "1.2.3.5");
    assert_eq!(known.counts(), (LOOKED_UP_MAX, 1));
    assert_eq!(connect(&policy, &known, "1.2.3.4:80"), Ok(()));
    // Allowed names do not displace what is forbidden.
    assert!(policy.forbids_peer(Protocol::Tcp, "1.2.3.6:25".parse().unwrap(), &known));
}

fn listening(rules: &[&str]) -> Policy {
    rules.iter().fold(Policy::new(), |policy, rule| {
        policy.allow_listen(rule).unwrap()
    })
}

fn listen(policy: &Policy, address: &str, both_families: bool) -> Result<(), String> {
    policy
        .check_listen(Protocol::Tcp, address.parse().unwrap(), both_families)
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
            "look-up of address 2001:db8::1 denied: needs --allow-lookup=[2001:db8::1]",
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

/// May a guest connect there after so much time, if the look-up was answered with this time to live?
fn after(ttl: Option<Duration>, time: Duration) -> Result<(), String> {
    let policy = policy(&["example.com:443"], &[]);
    let came = Instant::now();
    let mut known = LookedUp::default();
    let public: IpAddr = [1, 2, 3, 4].into();
    known.record(&policy, "example.com", &[public], came, ttl);
    policy
        .check_connect_at(Protocol::Tcp, (public, 443).into(), &known, came + time)
        .map(drop)
        .map_err(|denial| denial.to_string())
}

#[test]
fn name_rule_covers_an_answer_for_its_time_to_live_or_the_least_time() {
    let second = Duration::from_secs(1);
    let hour = second * 3600;
    let week = hour * 24 * 7;
    for (ttl, time, covered) in [
        (None, COVERED_AT_LEAST, true),
        (None, COVERED_AT_LEAST + second, false),
        (Some(second), COVERED_AT_LEAST, true),
        (Some(second), COVERED_AT_LEAST + second, false),
        (Some(hour), hour, true),
        (Some(hour), hour + second, false),
        (Some(Duration::MAX), week, true),
        (Some(Duration::MAX), week + second, false),
    ] {
        assert_eq!(after(ttl, time).is_ok(), covered, "{ttl:?} {time:?}");
    }
    assert_eq!(
        after(None, hour).unwrap_err(),
        "connect to 1.2.3.4:443 denied: the look-up of example.com is too old for \
         --allow-net=example.com:443; look it up again"
    );
}

#[test]
fn older_answer_that_is_collected_later_takes_no_time_away_and_gives_none() {
    let policy = policy(&["example.com"], &[]);
    let came = Instant::now();
    let later = came + Duration::from_secs(60);
    let mut known = LookedUp::default();
    let public: IpAddr = [1, 2, 3, 4].into();
    for when in [came, later, came, came] {
        known.record(&policy, "example.com", &[public], when, None);
    }
    let verdict = policy.check_connect_at(Protocol::Udp, (public, 53).into(), &known, later);
    assert_eq!(verdict, Ok(Some(later + COVERED_AT_LEAST)));
}

#[test]
fn what_a_denied_name_led_to_stays_denied() {
    let policy = policy(&["*"], &["half.test:25"]);
    let came = Instant::now();
    let mut known = LookedUp::default();
    let address: IpAddr = [1, 2, 3, 4].into();
    known.record(&policy, "half.test", &[address], came, Some(Duration::ZERO));
    let year = came + Duration::from_secs(365 * 24 * 3600);
    let denied = policy.check_connect_at(Protocol::Tcp, (address, 25).into(), &known, year);
    assert!(denied.is_err());
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
    let denial = policy
        .check_send("192.0.2.9:53".parse().unwrap(), &nothing)
        .unwrap_err();
    assert_eq!(
        denial.to_string(),
        "send to 192.0.2.9:53 denied: needs --allow-net=192.0.2.9:53/udp"
    );
    let peer = "192.0.2.3:5".parse().unwrap();
    assert!(policy.forbids_peer(Protocol::Udp, peer, &nothing));
    assert!(!policy.forbids_peer(Protocol::Tcp, peer, &nothing));
}

#[test]
fn look_up_alone_reaches_nothing() {
    let policy = Policy::new()
        .allow_lookup("*.example.com")
        .and_then(|policy| policy.allow_lookup("192.0.2.0/24"))
        .and_then(|policy| policy.deny_lookup("evil.example.com"))
        .and_then(|policy| policy.deny_lookup("192.0.2.9"))
        .unwrap();
    assert_eq!(policy.check_resolve("www.example.com"), Ok(()));
    assert_eq!(
        policy
            .check_resolve("evil.example.com")
            .unwrap_err()
            .to_string(),
        "look-up of evil.example.com denied: --deny-lookup=evil.example.com forbids it"
    );
    assert!(policy.check_resolve("example.com").is_err());
    let reverse = |ip: [u8; 4]| policy.check_reverse_lookup(ip.into());
    assert_eq!(reverse([192, 0, 2, 1]), Ok(()));
    assert!(reverse([192, 0, 2, 9]).is_err());
    assert!(reverse([192, 0, 3, 1]).is_err());
    let known = looked_up(&policy, "www.example.com", &["1.2.3.4"]);
    assert_eq!(
        connect(&policy, &known, "1.2.3.4:80").unwrap_err(),
        "connect to 1.2.3.4:80 denied: needs --allow-net=1.2.3.4:80"
    );
    // A rule for some of the name's ports leaves the look-up, one for the name as a whole does not.
    let policy = policy
        .deny("www.example.com/udp")
        .and_then(|policy| policy.deny("whole.example.com"))
        .unwrap();
    assert_eq!(policy.check_resolve("www.example.com"), Ok(()));
    assert!(policy.check_resolve("whole.example.com").is_err());
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
    let udp = policy.check_listen(Protocol::Udp, "127.0.0.1:22".parse().unwrap(), false);
    assert_eq!(
        udp.unwrap_err().to_string(),
        "bind to 127.0.0.1:22 denied: --deny-listen=*:22/udp forbids it"
    );
    let udp = policy.check_listen(Protocol::Udp, "127.0.0.1:23".parse().unwrap(), false);
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
