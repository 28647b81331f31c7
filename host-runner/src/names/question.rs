//! What is looked up, and what was found.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use wasisocket_abi::RESOLVE_MAX;

/// What a guest looks up.
///
/// `Display` is one line: `example.com (IPv6)`, `192.0.2.1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Question {
    /// The addresses of a name, and its canonical name.
    #[non_exhaustive]
    Name {
        /// The name: ASCII, in lower case and without a final dot.
        name: String,
        /// The family of the addresses; `None` for both.
        family: Option<IpFamily>,
    },
    /// The name of an address.
    Address(IpAddr),
}

/// The family of an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// At most [`wasisocket_abi::RESOLVE_MAX`]; none for the name of an address.
    pub(crate) addresses: Vec<IpAddr>,
    /// The canonical name, or that of the address.
    pub(crate) host: String,
    /// When the answer came.
    pub(crate) came: Instant,
    /// How long the answer may be used, if the resolver says so.
    pub(crate) ttl: Option<Duration>,
}

impl IpFamily {
    /// The family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl Question {
    /// Do the two questions ask for the two families of one name?
    pub(crate) fn is_other_half_of(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Name {
                    name,
                    family: Some(family),
                },
                Self::Name {
                    name: other_name,
                    family: Some(other_family),
                },
            ) => name == other_name && family != other_family,
            _ => false,
        }
    }
}

impl Answer {
    /// An answer that came now, without addresses and without a time to live.
    pub(crate) fn now(host: String) -> Self {
        Self {
            addresses: Vec::new(),
            host,
            came: Instant::now(),
            ttl: None,
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { name, family } => {
                f.write_str(name)?;
                match family {
                    Some(IpFamily::V4) => f.write_str(" (IPv4)"),
                    Some(IpFamily::V6) => f.write_str(" (IPv6)"),
                    None => Ok(()),
                }
            }
            Self::Address(ip) => ip.fmt(f),
        }
    }
}

/// Keeps [`RESOLVE_MAX`] addresses, the first ones of each family: at least half of that for each, if it has so many.
pub(super) fn cut(addresses: &mut Vec<IpAddr>) {
    let half = RESOLVE_MAX / 2;
    let v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
    let v6 = addresses.len() - v4;
    let mut rooms = [v6, v4].map(|others| RESOLVE_MAX - others.min(half));
    addresses.retain(|ip| {
        let room = &mut rooms[usize::from(ip.is_ipv6())];
        let fits = *room > 0;
        *room -= usize::from(fits);
        fits
    });
}

#[cfg(test)]
mod tests {
    use super::{IpAddr, RESOLVE_MAX, cut};

    #[test]
    fn each_family_has_room_that_the_other_leaves_and_half_at_least() {
        for (given, left) in [
            ((64, 0), (64, 0)),
            ((100, 1), (63, 1)),
            ((1, 100), (1, 63)),
            ((100, 100), (32, 32)),
            ((10, 20), (10, 20)),
        ] {
            let (v4, v6) = given;
            let v4 = (0..v4).map(|last| IpAddr::from([192, 0, 2, last]));
            let v6 = (0..v6).map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]));
            let mut addresses: Vec<IpAddr> = v6.chain(v4).collect();
            let first = addresses[0];
            cut(&mut addresses);
            let v4 = addresses.iter().filter(|ip| ip.is_ipv4()).count();
            assert_eq!((v4, addresses.len() - v4), left);
            assert_eq!(addresses[0], first);
            assert!(addresses.len() <= RESOLVE_MAX);
        }
    }
}
