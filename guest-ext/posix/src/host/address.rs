//! Addresses as a host takes and returns them.

use std::net::SocketAddr;

use wasisocket_abi::v1::UnixAddr;
#[cfg(target_os = "wasi")]
use wasisocket_abi::{
    Errno,
    v1::{self, Addr},
};

/// A socket's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Address {
    /// AF_UNSPEC: none. Connecting a datagram socket to it removes its peer.
    #[default]
    Unspecified,
    /// AF_INET or AF_INET6.
    Inet(SocketAddr),
    /// AF_UNIX. A path as the program gave it, or as the host did: absolute.
    Unix(UnixAddr),
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

#[cfg(target_os = "wasi")]
impl From<&Address> for Addr {
    fn from(address: &Address) -> Self {
        match *address {
            Address::Unspecified => Self::default(),
            Address::Inet(address) => address.into(),
            Address::Unix(address) => address.into(),
        }
    }
}

/// EAFNOSUPPORT for a family that a host does not have.
#[cfg(target_os = "wasi")]
impl TryFrom<Addr> for Address {
    type Error = Errno;

    fn try_from(address: Addr) -> Result<Self, Errno> {
        match u32::from(address.family) {
            0 => Ok(Self::Unspecified),
            v1::AF_UNIX => Ok(Self::Unix(address.into())),
            _ => Ok(Self::Inet(v1::SocketAddr::from(address).try_into()?)),
        }
    }
}
