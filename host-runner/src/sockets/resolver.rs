//! Name look-up by the system's resolver.

use std::net::IpAddr;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

use crate::errno::from_system;

/// The addresses of `name`, each once, in the order of getaddrinfo(3) (RFC 6724). Blocks.
///
/// The errors are those that glibc's NSS modules pair with the EAI_ codes: ENOENT, EAGAIN, EIO.
pub(crate) fn resolve(name: &str) -> Result<Vec<IpAddr>, Errno> {
    // One socket type, or every address comes once for each.
    let hints = AddrInfoHints {
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    let answers =
        getaddrinfo(Some(name), None, Some(hints)).map_err(|error| match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Errno::ENOENT,
            LookupErrorKind::Again => Errno::EAGAIN,
            LookupErrorKind::Memory => Errno::ENOMEM,
            LookupErrorKind::System => std::io::Error::from(error)
                .raw_os_error()
                .map_or(Errno::EIO, |raw| {
                    from_system(SystemErrno::from_raw_os_error(raw))
                }),
            _ => Errno::EIO,
        })?;
    let mut addresses = Vec::new();
    for answer in answers {
        let ip = answer.map_err(|_| Errno::EIO)?.sockaddr.ip();
        if !addresses.contains(&ip) {
            addresses.push(ip);
        }
    }
    Ok(addresses)
}
