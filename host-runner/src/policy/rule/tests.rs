//! The grammar of a rule, and what one covers.

use super::{List, Rule};

#[test]
fn rules_are_printed_as_they_are_written() {
    for text in [
        "*",
        "*:443",
        "192.0.2.1",
        "192.0.2.1:80",
        "10.0.0.0/8",
        "10.0.0.0/8:5432",
        "[::1]",
        "[::1]:80",
        "[fd00::/8]",
        "[fd00::/8]:443",
        "localhost",
        "localhost:8000",
        "example.com:443",
        "*.example.com",
        "example.com:53/udp",
        "example.com/tcp",
        "*:8000-8010",
        "*/udp",
        "10.0.0.0/8/udp",
        "10.0.0.0/8:53/udp",
        "[fd00::/8]:1-65535/tcp",
        "[fd00::/8]/tcp",
        "[::1]/udp",
        "tcp",
    ] {
        assert_eq!(Rule::parse(List::AllowNet, text).unwrap().to_string(), text);
    }
}

#[test]
fn other_spellings_become_the_one() {
    for (text, printed) in [
        ("::1", "[::1]"),
        ("fd00::/8", "[fd00::/8]"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("[::ffff:10.0.0.0/104]:1", "10.0.0.0/8:1"),
        ("EXAMPLE.com.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("*.Bücher.example", "*.xn--bcher-kva.example"),
        ("LOCALHOST:1", "localhost:1"),
        ("example.com:80-80/TCP", "example.com:80/tcp"),
        ("::1/Udp", "[::1]/udp"),
        ("fd00::/8/udp", "[fd00::/8]/udp"),
    ] {
        assert_eq!(
            Rule::parse(List::AllowNet, text).unwrap().to_string(),
            printed,
            "{text}"
        );
    }
}

#[test]
fn listen_rules_are_addresses_and_may_name_port_0() {
    for text in [
        "*",
        "*:0",
        "127.0.0.1:0",
        "[::]:80",
        "localhost",
        "10.0.0.0/8",
    ] {
        assert_eq!(
            Rule::parse(List::AllowListen, text).unwrap().to_string(),
            text
        );
    }
    for (text, fix) in [
        ("example.com:80", "a guest listens at an address"),
        ("*.example.com", "a guest listens at an address"),
        ("127.0.0.1:65536", "write 0 to 65535"),
        ("127.0.0.1:-0", "write 0 to 65535"),
    ] {
        let message = Rule::parse(List::AllowListen, text)
            .unwrap_err()
            .to_string();
        assert!(message.contains(fix), "{message}");
    }
}

#[test]
fn errors_name_rule_column_and_fix() {
    for (text, column, fix) in [
        ("", 1, "the host is missing"),
        (":80", 1, "the host is missing"),
        ("example.com:", 13, "write 1 to 65535"),
        ("example.com:0", 13, "write 1 to 65535"),
        ("example.com:65536", 13, "write 1 to 65535"),
        ("example.com:+80", 13, "write 1 to 65535"),
        ("example.com:http", 13, "write 1 to 65535"),
        ("[::1]:x", 7, "write 1 to 65535"),
        ("[::1", 1, "write [ADDRESS]:PORT"),
        ("[::1]80", 6, "only :PORT may follow"),
        ("[fd00::]/8", 9, "a prefix goes inside"),
        ("::1:80:x", 1, "write [ADDRESS]:PORT"),
        ("::1:80", 4, "Write [::1:80] or [::1]:80"),
        ("fd00::5:443/tcp", 8, "Write [fd00::5:443] or [fd00::5]:443"),
        ("0.0.0.0", 1, "write localhost"),
        ("[::]:80", 2, "write localhost"),
        ("[::ffff:0.0.0.0]", 2, "write localhost"),
        ("10.0.0.0/33", 1, "is no network"),
        ("10.1.2.3/8", 1, "write 10.0.0.0/8, or 10.1.2.3"),
        ("http://example.com", 1, "without a scheme"),
        ("a*.example.com", 1, "write * or *.name"),
        ("*.", 1, "neither a name nor an address"),
        ("8080", 1, "write 127.0.0.1:8080, or *:8080"),
        ("8080/tcp", 1, "a port without a host"),
        ("127.1", 1, "neither a name nor an address"),
        ("exa mple.com", 1, "neither a name nor an address"),
        ("a,b", 2, "write two"),
        ("example.com/sctp", 13, "write /tcp or /udp"),
        ("example.com:53/", 16, "write /tcp or /udp"),
        ("10.0.0.0/8/x", 12, "write /tcp or /udp"),
        ("example.com:8010-8000", 13, "write 8000-8010"),
        ("example.com:80-", 16, "a range such as 8000-8010"),
        ("example.com:80-90-100", 16, "is no port"),
        (
            "*.straße.test",
            1,
            "strasse.test to Python and xn--strae-oqa.test",
        ),
        ("bücher.example:x", 16, "write 1 to 65535"),
    ] {
        let error = Rule::parse(List::AllowNet, text).unwrap_err();
        assert_eq!(error.column(), column, "{error}");
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("rule {text:?}, column ")),
            "{message}"
        );
        assert!(message.contains(fix), "{message}");
    }
}

#[test]
fn ipv6_without_brackets_is_an_address_where_it_can_be_nothing_else() {
    for (text, rule) in [
        ("::1", "[::1]"),
        ("2001:db8::1/udp", "[2001:db8::1]/udp"),
        ("fd00::5:443/128", "[fd00::5:443]"),
        ("2001:db8::a:b", "[2001:db8::a:b]"),
        ("2001:db8:1:2:3:4:5:6", "[2001:db8:1:2:3:4:5:6]"),
    ] {
        assert_eq!(Rule::parse(List::AllowNet, text).unwrap().to_string(), rule);
    }
}

#[test]
fn lookup_rules_have_no_port() {
    for text in [
        "*",
        "example.com",
        "*.example.com",
        "10.0.0.0/8",
        "[::1]",
        "localhost",
    ] {
        assert_eq!(
            Rule::parse(List::AllowLookup, text).unwrap().to_string(),
            text
        );
    }
    for (text, column) in [
        ("example.com:80", 12),
        ("[::1]/udp", 6),
        ("10.0.0.0/8:1/udp", 11),
    ] {
        let error = Rule::parse(List::AllowLookup, text).unwrap_err();
        assert_eq!(error.column(), column, "{error}");
        assert!(
            error.to_string().contains("write the name alone"),
            "{error}"
        );
    }
}
