//! The system's resolver: getaddrinfo(3) and getnameinfo(3). Blocks, and cannot be interrupted.

use std::net::SocketAddr;

use dns_lookup::{
    AddrFamily, AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo, getnameinfo,
};
use nix::libc::{AI_CANONNAME, NI_NAMEREQD};
use rustix::io::Errno as SystemErrno;
use wasisocket_abi::Errno;

use super::question::{Answer, IpFamily, Question, cut};
use crate::errno::from_system;

/// Asks. The errors are those that glibc's NSS modules pair with the EAI_ codes: ENOENT, EAGAIN, EIO.
pub(super) fn ask(question: &Question) -> Result<Answer, Errno> {
    match question {
        Question::Name { name, family } => addresses(name, *family),
        Question::Address(address) => {
            let named = getnameinfo(&SocketAddr::new(*address, 0), NI_NAMEREQD);
            named.map(|(name, _)| Answer::now(name)).map_err(errno)
        }
    }
}

/// The addresses of a name, each once, in the order of getaddrinfo(3) (RFC 6724), with the canonical name, if
/// the resolver knows it.
fn addresses(name: &str, family: Option<IpFamily>) -> Result<Answer, Errno> {
    let address = match family {
        Some(IpFamily::V4) => AddrFamily::Inet.into(),
        Some(IpFamily::V6) => AddrFamily::Inet6.into(),
        None => 0,
    };
    let hints = AddrInfoHints {
        flags: AI_CANONNAME,
        address,
        // Without a socket type, every address comes once for each type.
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
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
    cut(&mut addresses);
    Ok(Answer {
        addresses,
        ..Answer::now(canonical.unwrap_or_else(|| name.to_owned()))
    })
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
