//! Addresses as the calls have them: what a guest gives, and what it is told.

use std::net::SocketAddr;

use wasisocket_abi::v1::{self, ADDR_MAX, UnixAddr};

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

    /// As it lies in the guest's memory, with zeros behind it. A family of 0 is no address.
    pub(crate) fn to_bytes(self) -> [u8; ADDR_MAX] {
        match self {
            Self::None => [0; ADDR_MAX],
            Self::Ip(address) => {
                let mut bytes = [0; ADDR_MAX];
                let ip = v1::SocketAddr::from(address).to_bytes();
                bytes
                    .iter_mut()
                    .zip(ip)
                    .for_each(|(place, byte)| *place = byte);
                bytes
            }
            Self::Unix(address) => address.to_bytes(),
        }
    }
}
