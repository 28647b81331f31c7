//! Addresses as the calls have them: what a guest gives, and what it is told.

use std::net::SocketAddr;

use wasisocket_abi::v1::{Addr, UnixAddr};

/// An address that a guest gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// AF_UNSPEC: for `connect`, no peer any more.
    Unspecified,
    Ip(SocketAddr),
    Unix(UnixAddr),
}

/// An address that a guest is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// There is none.
    None,
    Ip(SocketAddr),
    Unix(UnixAddr),
}

impl Name {
    /// The name of a Unix socket; unnamed without a path, or where it does not fit.
    pub(super) fn unix(path: Option<&[u8]>) -> Self {
        let named = path.and_then(|path| UnixAddr::new(path).ok());
        Self::Unix(named.unwrap_or(UnixAddr::UNNAMED))
    }
}

/// A family of 0 is no address.
impl From<Name> for Addr {
    fn from(name: Name) -> Self {
        match name {
            Name::None => Self::default(),
            Name::Ip(address) => address.into(),
            Name::Unix(address) => address.into(),
        }
    }
}
