//! One rule, `HOST[:PORT]` or `ADDR[:PORT]`: its grammar and what it covers.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

use super::address::embedded_ipv4;
use super::name::canonical;

/// One rule. `Display` gives it back in its own grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    target: Target,
    pub(super) port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Any,
    Net(IpNet),
    /// `localhost`: the name, and the loopback addresses.
    Localhost,
    Name(String),
    /// `*.name`; kept with its leading dot.
    Below(String),
}

impl Rule {
    /// A rule of `--allow-net` or `--deny-net`. Its port is one that can be connected to.
    pub(super) fn parse(text: &str) -> Result<Self, RuleError> {
        Self::parse_with(text, 1)
    }

    /// A rule of `--allow-listen`. Port 0 is one that the system picks; what is bound is an address,
    /// never a name.
    pub(super) fn parse_listen(text: &str) -> Result<Self, RuleError> {
        let rule = Self::parse_with(text, 0)?;
        match rule.target {
            Target::Name(_) | Target::Below(_) => Err(RuleError {
                rule: text.to_owned(),
                column: 1,
                message:
                    "a guest listens at an address: write one, a network, localhost, or * for all"
                        .into(),
            }),
            _ => Ok(rule),
        }
    }

    fn parse_with(text: &str, lowest_port: u16) -> Result<Self, RuleError> {
        let error = |column, message: String| RuleError {
            rule: text.to_owned(),
            column,
            message,
        };
        if text.contains("//") {
            return Err(error(
                1,
                "a rule is HOST[:PORT], without a scheme or a path".into(),
            ));
        }
        let (host, port, port_column) =
            split(text).map_err(|(column, message)| error(column, message.into()))?;
        let port = match port {
            None => None,
            Some(port) => match port.parse() {
                // Digits only: parse would also take a sign.
                Ok(number)
                    if number >= lowest_port && port.bytes().all(|byte| byte.is_ascii_digit()) =>
                {
                    Some(number)
                }
                _ => {
                    return Err(error(
                        port_column,
                        format!("{port:?} is no port: write {lowest_port} to 65535"),
                    ));
                }
            },
        };
        let host_column = 1 + usize::from(text.starts_with('['));
        let target = Target::parse(host).map_err(|message| error(host_column, message))?;
        Ok(Self { target, port })
    }

    pub(super) fn covers_port(&self, port: u16) -> bool {
        self.port.is_none_or(|only| only == port)
    }

    /// Is every address covered, with every port?
    pub(super) fn covers_all(&self) -> bool {
        self.target == Target::Any && self.port.is_none()
    }

    /// Is the address itself covered, whatever name it was found under?
    pub(super) fn covers_ip(&self, ip: IpAddr) -> bool {
        match &self.target {
            Target::Any => true,
            Target::Net(net) => net.contains(&ip),
            Target::Localhost => ip.is_loopback(),
            Target::Name(_) | Target::Below(_) => false,
        }
    }

    /// Is the address covered, or the IPv4 address that it leads to by translation or tunnel?
    pub(super) fn leads_to(&self, ip: IpAddr) -> bool {
        self.covers_ip(ip) || embedded_ipv4(ip).is_some_and(|ip| self.covers_ip(ip.into()))
    }

    /// Is the name covered? `name` is canonical.
    pub(super) fn covers_name(&self, name: &str) -> bool {
        self.target == Target::Any || self.names(name)
    }

    /// Does the rule speak of this name?
    pub(super) fn names(&self, name: &str) -> bool {
        match &self.target {
            Target::Any | Target::Net(_) => false,
            Target::Localhost => name == "localhost",
            Target::Name(only) => name == only,
            Target::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
        }
    }
}

/// Host and port of a rule, and the column (from 1) that the port begins in.
fn split(text: &str) -> Result<(&str, Option<&str>, usize), (usize, &'static str)> {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else {
            return Err((1, "the bracket is not closed: write [ADDRESS]:PORT"));
        };
        let after = host.len() + 3;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port), after + 1)),
            None if rest.is_empty() => Ok((host, None, after)),
            None => Err((
                after,
                "only :PORT may follow the bracket; a prefix goes inside: [fd00::/8]:PORT",
            )),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None, text.len() + 1)),
        // A second colon: an IPv6 address without brackets, which leaves no place for a port.
        Some((_, rest)) if rest.contains(':') => Ok((text, None, text.len() + 1)),
        Some((host, port)) => Ok((host, Some(port), host.len() + 2)),
    }
}

impl Target {
    fn parse(host: &str) -> Result<Self, String> {
        if host == "*" {
            return Ok(Self::Any);
        }
        if host.is_empty() {
            return Err(
                "the host is missing: write a name, an address, a network, or * for all".into(),
            );
        }
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Self::Net(ip.to_canonical().into()));
        }
        if host.contains('/') {
            return parse_net(host).map(Self::Net);
        }
        if host.contains(':') {
            return Err(format!(
                "{host:?} is no IPv6 address; with a port, write [ADDRESS]:PORT"
            ));
        }
        let (below, name) = match host.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, host),
        };
        if name.contains('*') {
            return Err("* stands for all, or for the labels in front: write * or *.name".into());
        }
        // What a guest may ask for is ASCII of any kind, also labels that IDNA does not know.
        let ascii = match name.is_ascii() {
            true => Some(name.to_owned()),
            false => idna::domain_to_ascii(name).ok(),
        };
        let Some(name) = ascii.as_deref().and_then(canonical) else {
            return Err(format!("{name:?} is neither a name nor an address"));
        };
        Ok(match (below, name.as_str()) {
            (true, _) => Self::Below(format!(".{name}")),
            (false, "localhost") => Self::Localhost,
            (false, _) => Self::Name(name),
        })
    }
}

fn parse_net(text: &str) -> Result<IpNet, String> {
    let net: IpNet = text
        .parse()
        .map_err(|_| format!("{text:?} is no network: write 192.0.2.0/24 or [2001:db8::/32]"))?;
    if net.trunc() != net {
        return Err(format!(
            "{net} has bits set behind its prefix: write {}, or {}",
            net.trunc(),
            net.addr()
        ));
    }
    // A network of mapped IPv4 addresses is one of IPv4: addresses are compared in that form.
    match net {
        IpNet::V6(v6) if v6.prefix_len() >= 96 => match v6.addr().to_ipv4_mapped() {
            Some(addr) => Ok(Ipv4Net::new(addr, v6.prefix_len() - 96).map_or(net, IpNet::V4)),
            None => Ok(net),
        },
        net => Ok(net),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Any => f.write_str("*")?,
            Target::Localhost => f.write_str("localhost")?,
            Target::Name(name) => f.write_str(name)?,
            Target::Below(suffix) => write!(f, "*{suffix}")?,
            Target::Net(net) => {
                let single = net.prefix_len() == net.max_prefix_len();
                match (net, single) {
                    (IpNet::V4(net), true) => write!(f, "{}", net.addr())?,
                    (IpNet::V4(net), false) => write!(f, "{net}")?,
                    (IpNet::V6(net), true) => write!(f, "[{}]", net.addr())?,
                    (IpNet::V6(net), false) => write!(f, "[{net}]")?,
                }
            }
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// A rule that does not follow the grammar: which rule, where in it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    rule: String,
    column: usize,
    message: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule {:?}, column {}: {}",
            self.rule, self.column, self.message
        )
    }
}

impl std::error::Error for RuleError {}

#[cfg(test)]
mod tests {
    use super::Rule;

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
        ] {
            assert_eq!(Rule::parse(text).unwrap().to_string(), text);
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
        ] {
            assert_eq!(Rule::parse(text).unwrap().to_string(), printed, "{text}");
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
            assert_eq!(Rule::parse_listen(text).unwrap().to_string(), text);
        }
        for (text, mend) in [
            ("example.com:80", "a guest listens at an address"),
            ("*.example.com", "a guest listens at an address"),
            ("127.0.0.1:65536", "write 0 to 65535"),
            ("127.0.0.1:-0", "write 0 to 65535"),
        ] {
            let message = Rule::parse_listen(text).unwrap_err().to_string();
            assert!(message.contains(mend), "{message}");
        }
    }

    #[test]
    fn errors_name_rule_column_and_mend() {
        for (text, column, mend) in [
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
            ("10.0.0.0/33", 1, "is no network"),
            ("10.1.2.3/8", 1, "write 10.0.0.0/8, or 10.1.2.3"),
            ("http://example.com", 1, "without a scheme"),
            ("a*.example.com", 1, "write * or *.name"),
            ("*.", 1, "neither a name nor an address"),
            ("127.1", 1, "neither a name nor an address"),
            ("exa mple.com", 1, "neither a name nor an address"),
        ] {
            let error = Rule::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{error}");
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("rule {text:?}, column ")),
                "{message}"
            );
            assert!(message.contains(mend), "{message}");
        }
    }
}
