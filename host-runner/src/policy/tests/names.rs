//! What names lead to, and what may be looked up.

use super::{connect, looked_up, policy, resolve, with_text};
use crate::policy::looked_up::{COVERED_AT_LEAST, LOOKED_UP_MAX};
use crate::policy::{LookedUp, Operation, Policy, Protocol, destination};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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
        let denial = connect(&policy, &known, &address.to_string()).unwrap_err();
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
        let address = address.parse().unwrap();
        let verdict = policy.check_reverse_lookup(address);
        let denial = with_text(verdict, Operation::ReverseLookup { address });
        assert_eq!(denial.unwrap_err(), text);
    }
}

/// May a guest connect there after so much time, if the look-up was answered with this time to live?
fn after(ttl: Option<Duration>, time: Duration) -> Result<(), String> {
    let policy = policy(&["example.com:443"], &[]);
    let came = Instant::now();
    let mut known = LookedUp::default();
    let public: IpAddr = [1, 2, 3, 4].into();
    known.record(&policy, "example.com", &[public], came, ttl);
    let (protocol, address) = (Protocol::Tcp, (public, 443).into());
    let verdict = policy.check_connect_at(protocol, address, &known, came + time);
    with_text(verdict.map(drop), Operation::Connect { address, protocol })
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
fn look_up_alone_reaches_nothing() {
    let policy = Policy::new()
        .allow_lookup("*.example.com")
        .and_then(|policy| policy.allow_lookup("192.0.2.0/24"))
        .and_then(|policy| policy.deny_lookup("evil.example.com"))
        .and_then(|policy| policy.deny_lookup("192.0.2.9"))
        .unwrap();
    assert_eq!(policy.check_resolve("www.example.com"), Ok(()));
    assert_eq!(
        resolve(&policy, "evil.example.com").unwrap_err(),
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
