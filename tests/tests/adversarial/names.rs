//! Names in other spellings, and names that no rule covers: a refused name is not sent to any server.

use wasisocket_abi::{AF_INET, Errno};
use wasisocket_host::Policy;

use crate::guest::{ADDRESS, Guest, allow_all};
use crate::lookups::{Server, answered, lookup, resolve};

fn guest(policy: Policy) -> (Guest, Server) {
    let (builder, names) = answered(policy, vec![vec![[1, 2, 3, 4].into()]]);
    (Guest::with(builder), names)
}

#[test]
fn decimal_octal_and_hexadecimal_addresses_are_no_names() {
    let (mut guest, names) = guest(allow_all());
    for name in [
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "0x7f000001",
        "0x7f.1",
        "127.1",
        "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5",
        "evil.0x7f000001",
        "::ffff:0177.0.0.1",
        "[::1]",
        "fe80::1%lo",
    ] {
        let found = lookup(&mut guest, name.as_bytes(), AF_INET);
        assert_eq!(found, Err(Errno::ENOENT), "{name}");
        assert_eq!(resolve(&mut guest, name), Err(Errno::ENOENT), "{name}");
    }
    assert_eq!(names.asked(), 0);
}

#[test]
fn trailing_dots_and_letter_case_are_one_name() {
    let policy = allow_all().deny("evil.test").unwrap();
    let (mut denied, names) = guest(policy.deny("*.below.test").unwrap());
    for name in [
        "evil.test",
        "evil.test.",
        "EVIL.test",
        "Evil.Test.",
        "a.BELOW.test.",
    ] {
        let found = lookup(&mut denied, name.as_bytes(), AF_INET);
        assert_eq!(found, Err(Errno::EACCES), "{name}");
        assert_eq!(resolve(&mut denied, name), Err(Errno::EACCES), "{name}");
    }
    for name in ["evil.test..", ".evil.test", "evil..test", "."] {
        let found = lookup(&mut denied, name.as_bytes(), AF_INET);
        assert_eq!(found, Err(Errno::ENOENT), "{name}");
    }
    assert_eq!(names.asked(), 0);

    let (mut allowed, names) = guest(Policy::new().allow("Good.TEST.").unwrap());
    assert!(lookup(&mut allowed, b"gOOd.test.", AF_INET).is_ok());
    assert!(names.asked() > 0);
}

#[test]
fn names_that_look_alike_are_different_names() {
    let policy = Policy::new()
        .allow("paypal.test")
        .and_then(|policy| policy.allow("b\u{fc}cher.test"))
        .unwrap();
    let (mut guest, names) = guest(policy);
    // A guest looks names up in ASCII: the program's IDNA codec converts them.
    for name in [
        "p\u{430}ypal.test",  // Cyrillic
        "\u{ff50}aypal.test", // full width
        "paypal\u{3002}test", // a full stop that IDNA maps to a dot
        "pay\u{ad}pal.test",  // a soft hyphen, which IDNA removes
        "paypal.test\0.evil.test",
        "paypal.test evil.test",
        "paypal.test/evil.test",
        "evil.test@paypal.test",
    ] {
        let found = lookup(&mut guest, name.as_bytes(), AF_INET);
        assert_eq!(found, Err(Errno::ENOENT), "{name}");
    }
    for name in [
        "xn--pypal-4ve.test", // the one with the Cyrillic letter
        "paypa1.test",
        "paypal.test.evil.test",
        "evilpaypal.test",
        "sub.paypal.test",
        "b.test",
    ] {
        let found = lookup(&mut guest, name.as_bytes(), AF_INET);
        assert_eq!(found, Err(Errno::EACCES), "{name}");
    }
    assert_eq!(names.asked(), 0);
    // A rule in another script covers the ASCII form that is looked up.
    assert!(lookup(&mut guest, b"xn--bcher-kva.test", AF_INET).is_ok());
}

#[test]
fn what_no_rule_covers_is_never_looked_up() {
    let policy = Policy::new()
        .allow("*.good.test:443")
        .and_then(|policy| policy.allow("192.0.2.0/24"))
        .and_then(|policy| policy.allow_listen("*"))
        .and_then(|policy| policy.allow_lookup("look.test"))
        .and_then(|policy| policy.deny_lookup("bad.good.test"))
        .unwrap();
    let (mut guest, names) = guest(policy);
    for name in ["evil.test", "good.test", "bad.good.test", "a.look.test"] {
        let found = lookup(&mut guest, name.as_bytes(), 0);
        assert_eq!(found, Err(Errno::EACCES), "{name}");
        assert_eq!(resolve(&mut guest, name), Err(Errno::EACCES), "{name}");
    }
    guest.write_address("198.51.100.1:0".parse().unwrap());
    let reverse = guest.get("lookup_addr", &[ADDRESS]);
    assert_eq!(reverse, Err(Errno::EACCES));
    assert_eq!(names.asked(), 0);
    assert_eq!(
        guest.denials().pop().unwrap(),
        "look-up of address 198.51.100.1 denied: needs --allow-lookup=198.51.100.1"
    );
    assert!(lookup(&mut guest, b"look.test", AF_INET).is_ok());
    assert!(names.asked() > 0);
}
