//! getaddrinfo(3).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::Family;
use crate::netdb::{Failure, if_nametoindex, lookup, services};
use crate::sys::*;

/// The hints of getaddrinfo(3): the first four fields of `struct addrinfo`, in C's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `AI_` bits.
    pub flags: i32,
    /// AF_UNSPEC, AF_INET or AF_INET6.
    pub family: i32,
    /// 0, SOCK_STREAM or SOCK_DGRAM.
    pub socktype: i32,
    /// 0, IPPROTO_TCP or IPPROTO_UDP.
    pub protocol: i32,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrInfo {
    /// SOCK_STREAM or SOCK_DGRAM.
    pub socktype: i32,
    /// IPPROTO_TCP or IPPROTO_UDP.
    pub protocol: i32,
    /// Address and port.
    pub address: SocketAddr,
    /// With AI_CANONNAME, the canonical name, in the first answer.
    pub canonical_name: Option<Vec<u8>>,
}

const KNOWN_FLAGS: i32 = AI_PASSIVE
    | AI_CANONNAME
    | AI_NUMERICHOST
    | AI_NUMERICSERV
    | AI_V4MAPPED
    | AI_ALL
    | AI_ADDRCONFIG;

/// The socket types, each with its protocol.
const TYPES: [(i32, i32); 2] = [(SOCK_STREAM, IPPROTO_TCP), (SOCK_DGRAM, IPPROTO_UDP)];

/// `int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo
/// **result)`: getaddrinfo(3).
///
/// `localhost` and names below it are the loopback addresses and are not looked up (RFC 6761, 6.3). The host looks up
/// other names, and its resolver decides what AI_ADDRCONFIG would.
///
/// # Errors
/// The `EAI_` codes of the man page. A name without a grant is EAI_SYSTEM with EACCES.
pub fn getaddrinfo(
    host: Option<&[u8]>,
    service: Option<&[u8]>,
    hints: Hints,
) -> Result<Vec<AddrInfo>, Failure> {
    let has = |flag| hints.flags & flag != 0;
    if hints.flags & !KNOWN_FLAGS != 0 || (has(AI_CANONNAME) && host.is_none()) {
        return Err(Failure::Code(EAI_BADFLAGS));
    }
    if host.is_none() && service.is_none() {
        return Err(Failure::NONAME);
    }
    if ![AF_UNSPEC, AF_INET, AF_INET6].contains(&hints.family) {
        return Err(Failure::Code(EAI_FAMILY));
    }
    let types = types(hints)?;
    let ports = ports(service, &types, has(AI_NUMERICSERV))?;
    let (addresses, canonical_name) = match host {
        None => (nowhere(hints.family, has(AI_PASSIVE)), None),
        Some(host) => addresses(host, hints)?,
    };
    let mut answers = Vec::new();
    for address in addresses {
        for (socktype, protocol, port) in &ports {
            let mut address = address;
            address.set_port(*port);
            answers.push(AddrInfo {
                socktype: *socktype,
                protocol: *protocol,
                address,
                canonical_name: None,
            });
        }
    }
    let first = answers.first_mut().ok_or(Failure::NONAME)?;
    if has(AI_CANONNAME) {
        first.canonical_name = canonical_name;
    }
    Ok(answers)
}

/// The types that match the hints.
fn types(hints: Hints) -> Result<Vec<(i32, i32)>, Failure> {
    let fits = |wanted: i32, have: i32| wanted == 0 || wanted == have;
    let types: Vec<_> = TYPES
        .into_iter()
        .filter(|(ty, protocol)| fits(hints.socktype, *ty) && fits(hints.protocol, *protocol))
        .collect();
    match types.is_empty() {
        true => Err(Failure::Code(EAI_SOCKTYPE)),
        false => Ok(types),
    }
}

/// The port for each type; a service may lack some of them.
fn ports(
    service: Option<&[u8]>,
    types: &[(i32, i32)],
    numeric: bool,
) -> Result<Vec<(i32, i32, u16)>, Failure> {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if numeric && !service.is_none_or(is_number) {
        return Err(Failure::NONAME);
    }
    let port = |protocol| match service {
        None => Some(0),
        Some(number) if is_number(number) => core::str::from_utf8(number).ok()?.parse().ok(),
        Some(name) => {
            let transport = services::Transport::from_protocol(protocol)?;
            Some(services::getservbyname(name, Some(transport))?.port)
        }
    };
    let with_port = |(ty, protocol): &(i32, i32)| Some((*ty, *protocol, port(*protocol)?));
    let found: Vec<_> = types.iter().filter_map(with_port).collect();
    match found.is_empty() {
        true => Err(Failure::Code(EAI_SERVICE)),
        false => Ok(found),
    }
}

fn with_ip(ip: IpAddr) -> SocketAddr {
    SocketAddr::new(ip, 0)
}

/// The addresses without a host name: the wildcard addresses to bind to, or this host's.
fn nowhere(family: i32, passive: bool) -> Vec<SocketAddr> {
    let (v4, v6) = match passive {
        true => (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
        false => (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST),
    };
    match family {
        AF_INET => vec![with_ip(v4.into())],
        AF_INET6 => vec![with_ip(v6.into())],
        _ => vec![with_ip(v4.into()), with_ip(v6.into())],
    }
}

/// The addresses of a host, and its canonical name.
fn addresses(host: &[u8], hints: Hints) -> Result<(Vec<SocketAddr>, Option<Vec<u8>>), Failure> {
    let has = |flag| hints.flags & flag != 0;
    let mapped = hints.family == AF_INET6 && has(AI_V4MAPPED);
    if let Some(address) = numeric(host) {
        let name = Some(host.to_vec());
        return match (address, hints.family) {
            (SocketAddr::V4(v4), AF_INET6) if mapped => {
                Ok((vec![with_ip(v4.ip().to_ipv6_mapped().into())], name))
            }
            (SocketAddr::V4(_), AF_INET6) | (SocketAddr::V6(_), AF_INET) => {
                Err(Failure::Code(EAI_ADDRFAMILY))
            }
            _ => Ok((vec![address], name)),
        };
    }
    if has(AI_NUMERICHOST) || host.is_empty() {
        return Err(Failure::NONAME);
    }
    if is_localhost(host) {
        let found = nowhere(hints.family, false);
        return Ok((found, Some(host.to_vec())));
    }
    let family = match hints.family {
        AF_UNSPEC => None,
        // Both families are looked up, for the mapping.
        AF_INET6 if mapped => None,
        family => Some(Family::from_c(family)?),
    };
    let (found, name) = lookup::names(host, family, has(AI_CANONNAME))?;
    Ok((choose(found, mapped, has(AI_ALL)), name))
}

/// AI_V4MAPPED: the IPv6 addresses; with AI_ALL, or if there are none, the IPv4 addresses too, mapped to IPv6.
fn choose(found: Vec<IpAddr>, mapped: bool, all: bool) -> Vec<SocketAddr> {
    if !mapped {
        return found.into_iter().map(with_ip).collect();
    }
    let any_v6 = found.iter().any(IpAddr::is_ipv6);
    let chosen = found.into_iter().filter_map(|ip| match ip {
        IpAddr::V6(_) => Some(with_ip(ip)),
        IpAddr::V4(v4) if all || !any_v6 => Some(with_ip(v4.to_ipv6_mapped().into())),
        IpAddr::V4(_) => None,
    });
    chosen.collect()
}

/// RFC 6761, 6.3.
pub(super) fn is_localhost(host: &[u8]) -> bool {
    let host = host.strip_suffix(b".").unwrap_or(host);
    let name = b"localhost";
    let Some(start) = host.len().checked_sub(name.len()) else {
        return false;
    };
    let (front, end) = host.split_at(start);
    end.eq_ignore_ascii_case(name) && (front.is_empty() || front.ends_with(b"."))
}

/// Parses a numeric address; an IPv6 address may have a zone: `fe80::1%2`, `fe80::1%eth0` (RFC 4007).
fn numeric(host: &[u8]) -> Option<SocketAddr> {
    let text = core::str::from_utf8(host).ok()?;
    let Some((ip, zone)) = text.split_once('%') else {
        return text.parse().ok().map(with_ip);
    };
    let ip: Ipv6Addr = ip.parse().ok()?;
    let scope = zone
        .parse()
        .ok()
        .or_else(|| if_nametoindex(zone.as_bytes()))?;
    Some(SocketAddrV6::new(ip, 0, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::{
        AF_INET, AF_INET6, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE, AI_V4MAPPED,
        EAI_ADDRFAMILY, EAI_BADFLAGS, EAI_FAMILY, EAI_SERVICE, EAI_SOCKTYPE, Failure, Hints,
        IPPROTO_UDP, SOCK_STREAM, choose, getaddrinfo, is_localhost,
    };

    fn found(host: Option<&str>, service: Option<&str>, hints: Hints) -> Vec<String> {
        getaddrinfo(host.map(str::as_bytes), service.map(str::as_bytes), hints)
            .unwrap()
            .iter()
            .map(|answer| answer.address.to_string())
            .collect()
    }

    fn fails(host: Option<&str>, service: Option<&str>, hints: Hints) -> i32 {
        getaddrinfo(host.map(str::as_bytes), service.map(str::as_bytes), hints)
            .unwrap_err()
            .code()
    }

    const STREAM: Hints = Hints {
        flags: 0,
        family: 0,
        socktype: SOCK_STREAM,
        protocol: 0,
    };

    #[test]
    fn no_host_is_here_or_everywhere() {
        assert_eq!(
            found(None, Some("80"), STREAM),
            ["127.0.0.1:80", "[::1]:80"]
        );
        let passive = Hints {
            flags: AI_PASSIVE,
            family: AF_INET6,
            ..STREAM
        };
        assert_eq!(found(None, Some("http"), passive), ["[::]:80"]);
        assert_eq!(fails(None, None, STREAM), Failure::NONAME.code());
    }

    #[test]
    fn numbers_need_nobody() {
        assert_eq!(found(Some("192.0.2.1"), None, STREAM), ["192.0.2.1:0"]);
        assert_eq!(found(Some("fe80::1%3"), None, STREAM), ["[fe80::1%3]:0"]);
        assert_eq!(found(Some("::1"), Some("9"), Hints::default()).len(), 2);
        let v6 = Hints {
            family: AF_INET6,
            ..STREAM
        };
        assert_eq!(fails(Some("192.0.2.1"), None, v6), EAI_ADDRFAMILY);
        let mapped = Hints {
            flags: AI_V4MAPPED,
            ..v6
        };
        assert_eq!(
            found(Some("192.0.2.1"), None, mapped),
            ["[::ffff:192.0.2.1]:0"]
        );
        let numeric = Hints {
            flags: AI_NUMERICHOST,
            ..STREAM
        };
        assert_eq!(
            fails(Some("localhost"), None, numeric),
            Failure::NONAME.code()
        );
    }

    #[test]
    fn localhost_is_loopback() {
        for name in ["localhost", "LocalHost.", "a.localhost"] {
            assert!(is_localhost(name.as_bytes()), "{name}");
        }
        for name in ["localhost.example", "mylocalhost", ""] {
            assert!(!is_localhost(name.as_bytes()), "{name}");
        }
        let v4 = Hints {
            family: AF_INET,
            ..STREAM
        };
        assert_eq!(found(Some("localhost"), Some("1"), v4), ["127.0.0.1:1"]);
    }

    #[test]
    fn hints_that_fit_nothing_have_codes_of_their_own() {
        let hints = Hints::default();
        let flags = |flags| Hints { flags, ..hints };
        assert_eq!(fails(Some("::1"), None, flags(1 << 20)), EAI_BADFLAGS);
        assert_eq!(fails(None, Some("1"), flags(AI_CANONNAME)), EAI_BADFLAGS);
        let family = Hints {
            family: 77,
            ..hints
        };
        assert_eq!(fails(Some("::1"), None, family), EAI_FAMILY);
        let socktype = Hints {
            protocol: IPPROTO_UDP,
            ..STREAM
        };
        assert_eq!(fails(Some("::1"), None, socktype), EAI_SOCKTYPE);
        assert_eq!(fails(Some("::1"), Some("nosuch"), hints), EAI_SERVICE);
        assert_eq!(fails(Some("::1"), Some("65536"), hints), EAI_SERVICE);
        let numeric = flags(AI_NUMERICSERV);
        assert_eq!(
            fails(Some("::1"), Some("http"), numeric),
            Failure::NONAME.code()
        );
    }

    #[test]
    fn mapping_is_for_want_of_ipv6_or_for_all() {
        let both = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        assert_eq!(choose(both.to_vec(), true, false).len(), 1);
        assert_eq!(choose(both.to_vec(), true, true).len(), 2);
        assert!(choose(both[..1].to_vec(), true, false)[0].is_ipv6());
    }
}
