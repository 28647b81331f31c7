//! Name look-up by the system's resolver. Blocks: guests that must not wait go through `lookup`.

use std::net::{IpAddr, SocketAddr};

use dns_lookup::{
    AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo, getnameinfo,
};
use nix::libc::{AI_CANONNAME, NI_NAMEREQD};
use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

use super::socket::Family;
use crate::errno::from_system;

/// The addresses of a name, each once, in the order of getaddrinfo(3) (RFC 6724), for one family or both,
/// with the name's canonical one, if the resolver knows it.
///
/// The errors are those that glibc's NSS modules pair with the EAI_ codes: ENOENT, EAGAIN, EIO.
pub(crate) fn resolve_canonical(
    name: &str,
    family: Option<Family>,
) -> Result<(Vec<IpAddr>, Option<String>), Errno> {
    let family = match family {
        Some(Family::V4) => AddrFamily::Inet.into(),
        Some(Family::V6) => AddrFamily::Inet6.into(),
        Some(Family::Unix) | None => 0,
    };
    let hints = AddrInfoHints {
        flags: AI_CANONNAME,
        address: family,
        ..AddrInfoHints::default()
    };
    addresses(name, hints)
}

/// The name of an address, as getnameinfo(3) has it. ENOENT if it has none.
pub(crate) fn name_of(address: IpAddr) -> Result<String, Errno> {
    getnameinfo(&SocketAddr::new(address, 0), NI_NAMEREQD)
        .map(|(name, _)| name)
        .map_err(errno)
}

fn addresses(name: &str, hints: AddrInfoHints) -> Result<(Vec<IpAddr>, Option<String>), Errno> {
    // One socket type, or every address comes once for each.
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..hints
    };
    let answers = getaddrinfo(Some(name), None, Some(hints)).map_err(errno)?;
    let mut addresses = Vec::new();
    let mut canonical = None;
    for answer in answers {
        let answer = answer.map_err(|_| Errno::EIO)?;
        canonical = canonical.or(answer.canonname);
        let ip = answer.sockaddr.ip();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    Ok((addresses, canonical))
}

fn errno(error: LookupError) -> Errno {
    match error.kind() {
        LookupErrorKind::NoName | LookupErrorKind::NoData => Errno::ENOENT,
        LookupErrorKind::Again => Errno::EAGAIN,
        LookupErrorKind::Memory => Errno::ENOMEM,
        LookupErrorKind::System => std::io::Error::from(error)
            .raw_os_error()
            .map_or(Errno::EIO, |raw| {
                from_system(SystemErrno::from_raw_os_error(raw))
            }),
        _ => Errno::EIO,
    }
}
