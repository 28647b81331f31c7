//! One rule, `HOST[:PORT[-PORT]][/PROTOCOL]`: its grammar and what it covers.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::address::embedded_ipv4;
use super::error::RuleError;
use super::name::canonical;
use crate::list::List;

/// The protocol of a socket over IP. The rules for UDP apply to UDP-Lite (RFC 3828).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP: `/tcp` in a rule.
    Tcp,
    /// UDP and UDP-Lite: `/udp` in a rule.
    Udp,
}

impl Protocol {
    fn parse(text: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp]
            .into_iter()
            .find(|protocol| text.eq_ignore_ascii_case(protocol.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One rule. `Display` gives it back in its own grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    target: Target,
    /// Without one, every port is meant.
    ports: Option<Ports>,
    /// Without one, every protocol is meant.
    protocol: Option<Protocol>,
}

/// From the first to the last, inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Any,
    Net(IpNet),
    /// `localhost`: the name, and the loopback addresses.
    Localhost,
    Name(String),
    /// `*.name`, stored with its leading dot.
    Below(String),
}

/// What is wrong with a rule: the byte where, and what to write.
type Wrong = (usize, String);

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Ports that can be connected to.
    Connecting,
    /// Addresses only, as sockets are not bound to names. Port 0 is one that the system picks.
    Listening,
    /// No ports, no protocols.
    LookingUp,
}

/// The first port that Linux picks from by default (ip(7), `ip_local_port_range`).
const PICKED_FROM: u16 = 32768;

impl Rule {
    /// A rule of this list.
    pub(super) fn parse(list: List, text: &str) -> Result<Self, RuleError> {
        let parsed = match list {
            List::AllowNet | List::DenyNet => Self::parse_for(text, Subject::Connecting),
            List::AllowListen | List::DenyListen => Self::parse_for(text, Subject::Listening),
            List::AllowLookup | List::DenyLookup => Self::parse_for(text, Subject::LookingUp),
            List::Resolve | List::Dns => Err((0, format!("{list} is no list of rules"))),
        };
        parsed.map_err(|(at, message)| RuleError::new(text, at, message))
    }

    fn parse_for(text: &str, subject: Subject) -> Result<Self, Wrong> {
        if text.contains("//") {
            return Err((
                0,
                "a rule is HOST[:PORT], without a scheme or a path".into(),
            ));
        }
        if let Some(at) = text.find(',') {
            return Err((at, "one rule has no comma: write two".into()));
        }
        let (rest, protocol) = split_protocol(text)?;
        let (host, ports, ports_at) = split(rest)?;
        if subject == Subject::LookingUp && (ports.is_some() || protocol.is_some()) {
            let at = ports.map_or(rest.len(), |_| ports_at.saturating_sub(1));
            let message = "a look-up has no port and no protocol: write the name alone";
            return Err((at, message.into()));
        }
        if let Some((address, port)) = with_a_port(rest)
            && subject != Subject::LookingUp
        {
            let message =
                format!("an address, or one with a port? Write [{rest}] or [{address}]:{port}");
            return Err((address.len(), message));
        }
        if subject != Subject::LookingUp && ports.is_none() && host.parse::<u16>().is_ok() {
            let message = format!("a port without a host: write 127.0.0.1:{host}, or *:{host}");
            return Err((0, message));
        }
        let lowest = u16::from(subject == Subject::Connecting);
        let ports = ports
            .map(|ports| Ports::parse(ports, lowest))
            .transpose()
            .map_err(|(at, message)| (ports_at + at, message))?;
        let host_at = usize::from(text.starts_with('['));
        let target = Target::parse(host).map_err(|message| (host_at, message))?;
        if subject == Subject::Listening && matches!(target, Target::Name(_) | Target::Below(_)) {
            let message =
                "a guest listens at an address: write one, a network, localhost, or * for all";
            return Err((0, message.into()));
        }
        if subject == Subject::Connecting && target.is_unspecified() {
            let message = "who connects to this address reaches loopback: write localhost or its addresses, or * \
                           for all";
            return Err((host_at, message.into()));
        }
        Ok(Self {
            target,
            ports,
            protocol,
        })
    }

    pub(super) fn covers_service(&self, protocol: Protocol, port: u16) -> bool {
        self.covers_protocol(protocol) && self.ports.is_none_or(|ports| ports.contain(port))
    }

    pub(super) fn covers_protocol(&self, protocol: Protocol) -> bool {
        self.protocol.is_none_or(|only| only == protocol)
    }

    /// Is every port covered, with every protocol?
    pub(super) fn covers_every_service(&self) -> bool {
        self.covers_every_port() && self.protocol.is_none()
    }

    pub(super) fn covers_every_port(&self) -> bool {
        self.ports.is_none()
    }

    /// Is every address covered, with every port and protocol?
    pub(super) fn covers_all(&self) -> bool {
        self.target == Target::Any && self.covers_every_service()
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

    /// Is the address covered, or an IPv4 address that it leads to by translation or tunnel?
    pub(super) fn leads_to(&self, ip: IpAddr) -> bool {
        self.covers_ip(ip) || embedded_ipv4(ip).any(|ip| self.covers_ip(ip.into()))
    }

    /// Does a socket that listens there also listen where this rule covers? The wildcard address is every
    /// one of its family, and port 0 every one that the system may pick.
    pub(super) fn meets(&self, protocol: Protocol, ip: IpAddr, port: u16) -> bool {
        let of_family = match &self.target {
            Target::Any | Target::Localhost => true,
            Target::Net(net) => net.addr().is_ipv4() == ip.is_ipv4(),
            Target::Name(_) | Target::Below(_) => false,
        };
        let picked = |ports: Ports| port == 0 && ports.last >= PICKED_FROM;
        (self.covers_ip(ip) || ip.is_unspecified() && of_family)
            && self.covers_protocol(protocol)
            && (self.covers_service(protocol, port) || self.ports.is_some_and(picked))
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

/// A rule without its protocol, and that. A slash may also be that of a network's prefix, which is a number.
fn split_protocol(text: &str) -> Result<(&str, Option<Protocol>), Wrong> {
    let Some((rest, last)) = text.rsplit_once('/') else {
        return Ok((text, None));
    };
    if last.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok((text, None));
    }
    match Protocol::parse(last) {
        Some(protocol) => Ok((rest, Some(protocol))),
        None => Err((
            rest.len() + 1,
            format!("{last:?} is no protocol: write /tcp or /udp, or none for both"),
        )),
    }
}

/// Host and ports of a rule, and where the ports begin.
fn split(text: &str) -> Result<(&str, Option<&str>, usize), Wrong> {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else {
            let message = "the bracket is not closed: write [ADDRESS]:PORT";
            return Err((0, message.into()));
        };
        let after = host.len() + 2;
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports), after + 1)),
            None if rest.is_empty() => Ok((host, None, after)),
            None => Err((
                after,
                "only :PORT may follow the bracket; a prefix goes inside: [fd00::/8]:PORT".into(),
            )),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None, text.len())),
        // A second colon: an IPv6 address without brackets, which leaves no place for a port.
        Some((_, rest)) if rest.contains(':') => Ok((text, None, text.len())),
        Some((host, ports)) => Ok((host, Some(ports), host.len() + 1)),
    }
}

/// An IPv6 address without brackets that may be meant as one with a port, and that: `::1:80`.
pub(crate) fn with_a_port(text: &str) -> Option<(&str, &str)> {
    let (address, port) = text.rsplit_once(':')?;
    let is_port = port.parse::<u16>().is_ok();
    let are_addresses = [text, address].map(|text| text.parse::<Ipv6Addr>().is_ok());
    (is_port && are_addresses == [true, true]).then_some((address, port))
}

impl Ports {
    fn parse(text: &str, lowest: u16) -> Result<Self, Wrong> {
        let port = |at: usize, port: &str| match port.parse() {
            // Digits only: parse would also take a sign.
            Ok(number) if number >= lowest && port.bytes().all(|byte| byte.is_ascii_digit()) => {
                Ok(number)
            }
            _ => Err((
                at,
                format!(
                    "{port:?} is no port: write {lowest} to 65535, or a range such as 8000-8010"
                ),
            )),
        };
        let (first, last) = match text.split_once('-') {
            None => {
                let only = port(0, text)?;
                (only, only)
            }
            Some((first, last)) => (port(0, first)?, port(first.len() + 1, last)?),
        };
        if first > last {
            let message = format!("the range ends before it begins: write {last}-{first}");
            return Err((0, message));
        }
        Ok(Self { first, last })
    }

    fn contain(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl Target {
    /// Is it 0.0.0.0 or [::] alone?
    fn is_unspecified(&self) -> bool {
        matches!(self, Self::Net(net) if net.prefix_len() == net.max_prefix_len() && net.addr().is_unspecified())
    }

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
        if let Some(two) = two_names(name) {
            return Err(two);
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

/// The error for a name that IDNA 2003, Python's codec, and IDNA 2008 spell differently in ASCII (UTS 46,
/// section 7): a rule for one of them would not hold for the other.
fn two_names(name: &str) -> Option<String> {
    if !name.contains(['ß', 'ẞ', 'ς', '\u{200c}', '\u{200d}']) {
        return None;
    }
    let older = name.replace(['ß', 'ẞ'], "ss").replace('ς', "σ");
    let older = older.replace(['\u{200c}', '\u{200d}'], "");
    let [older, newer] = [older.as_str(), name].map(|name| idna::domain_to_ascii(name).ok());
    Some(format!(
        "{name:?} is {} to Python and {} to others (IDNA 2003 and 2008): write what is meant, or both",
        older.unwrap_or_default(),
        newer.unwrap_or_default()
    ))
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
        match self.ports {
            Some(Ports { first, last }) if first == last => write!(f, ":{first}")?,
            Some(Ports { first, last }) => write!(f, ":{first}-{last}")?,
            None => {}
        }
        match self.protocol {
            Some(protocol) => write!(f, "/{protocol}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
