//! Host names in the one form that rules are compared in.

use std::net::IpAddr;

use wasisocket_abi::Errno;

/// What a guest gave to be looked up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HostName {
    /// An address in words. Looking it up asks nobody.
    Literal(IpAddr),
    /// A name: ASCII labels of RFC 1123 and underscores, in lower case, without a final dot.
    Name(String),
}

impl HostName {
    /// ENOENT for what cannot be a name: that includes the old spellings of IPv4 addresses (`127.1`,
    /// `0x7f000001`, `2130706433`), which resolvers turn into addresses and no rule would match.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, Errno> {
        let name = str::from_utf8(name).map_err(|_| Errno::ENOENT)?;
        if let Ok(ip) = name.parse() {
            return Ok(Self::Literal(ip));
        }
        canonical(name).map(Self::Name).ok_or(Errno::ENOENT)
    }
}

/// The name in lower case and without a final dot, or `None` if it cannot be a host's name.
pub(crate) fn canonical(name: &str) -> Option<String> {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let label_is_valid = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let valid = name.split('.').all(label_is_valid) && !ends_in_a_number(&name);
    valid.then_some(name)
}

/// WHATWG URL Standard, "ends in a number checker": such a name is an IPv4 address or nothing.
fn ends_in_a_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let hexadecimal = last
        .strip_prefix("0x")
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{Errno, HostName, canonical};

    #[test]
    fn spellings_of_one_name_become_one() {
        for name in ["example.com", "EXAMPLE.com", "example.com.", "Example.Com."] {
            assert_eq!(canonical(name).as_deref(), Some("example.com"));
        }
        assert_eq!(canonical("_sip._tcp.a-b").as_deref(), Some("_sip._tcp.a-b"));
    }

    #[test]
    fn what_cannot_be_a_name_is_none() {
        let long = "a".repeat(64);
        for name in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\nb",
            "a\0b",
            "bücher.example",
            "a/b",
            "a:b",
            "a%b",
            &long,
        ] {
            assert_eq!(canonical(name), None, "{name:?}");
        }
    }

    #[test]
    fn old_spellings_of_addresses_are_no_names() {
        for name in [
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "1.2.3.4.5",
            "a.0x",
        ] {
            assert_eq!(
                HostName::parse(name.as_bytes()),
                Err(Errno::ENOENT),
                "{name}"
            );
        }
    }

    #[test]
    fn addresses_are_literals() {
        for name in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            let parsed = HostName::parse(name.as_bytes());
            assert_eq!(parsed, Ok(HostName::Literal(name.parse().unwrap())));
        }
        assert_eq!(HostName::parse(b"\xff"), Err(Errno::ENOENT));
    }
}
