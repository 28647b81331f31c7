//! gethostbyname(3) and similar functions, for IPv4 only, as on other systems.

use std::net::{IpAddr, Ipv4Addr};

use crate::Family;
use crate::netdb::{Failure, Hints, addrinfo, nameinfo};
use crate::sys::{AF_INET, AI_CANONNAME, SOCK_STREAM};

/// The result of these functions: `struct hostent` without aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntry {
    /// The canonical name.
    pub name: Vec<u8>,
    /// AF_INET or AF_INET6.
    pub family: Family,
    /// All of one family.
    pub addresses: Vec<IpAddr>,
}

/// The name of the guest's host: a constant, because a guest must not learn the machine's name.
#[must_use]
pub fn gethostname() -> &'static [u8] {
    b"localhost"
}

/// `struct hostent *gethostbyname(const char *name)`: gethostbyname(3).
///
/// # Errors
/// As [`getaddrinfo`](crate::netdb::getaddrinfo).
pub fn gethostbyname(name: &[u8]) -> Result<HostEntry, Failure> {
    let hints = Hints {
        flags: AI_CANONNAME,
        family: AF_INET,
        socktype: SOCK_STREAM,
        protocol: 0,
    };
    let answers = addrinfo::getaddrinfo(Some(name), None, hints)?;
    let canonical = answers
        .first()
        .and_then(|first| first.canonical_name.clone());
    Ok(HostEntry {
        name: canonical.unwrap_or_else(|| name.to_vec()),
        family: Family::Inet,
        addresses: answers.iter().map(|answer| answer.address.ip()).collect(),
    })
}

/// `struct hostent *gethostbyaddr(const void *address, socklen_t length, int type)`: gethostbyaddr(3).
///
/// # Errors
/// EAI_NONAME for an address without a name, EAI_SYSTEM with EACCES for an address without a grant.
pub fn gethostbyaddr(ip: IpAddr) -> Result<HostEntry, Failure> {
    let name = match ip {
        // http.server and others look up the name of the address that they are bound to.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => gethostname().to_vec(),
        ip => nameinfo::host_name(ip)?,
    };
    Ok(HostEntry {
        name,
        family: match ip {
            IpAddr::V4(_) => Family::Inet,
            IpAddr::V6(_) => Family::Inet6,
        },
        addresses: vec![ip],
    })
}
