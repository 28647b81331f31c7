//! Addresses as `wasisocket_v1` passes them.

use core::net;

use crate::plain::structs;
use crate::{AF_INET, AF_INET6, Errno, Plain};

use super::AF_UNIX;

/// Size of the largest address in bytes: that of a [`UnixAddr`].
pub const ADDR_MAX: usize = UnixAddr::SIZE;

/// Longest path of a Unix socket, in bytes (unix(7)).
pub const UNIX_PATH_MAX: usize = 107;

structs! {
    /// Addresses.
    pub const ADDRESS_STRUCTS;

    /// An address of any family, with as much room as the largest needs: 112 bytes. A host reads no more of it than
    /// its family has.
    pub struct Addr {
        /// [`AF_INET`], [`AF_INET6`] or [`AF_UNIX`]; 0 for no address.
        pub family: u16,
        /// The other fields of a [`SocketAddr`] or [`UnixAddr`], and zeros behind them.
        pub rest: [u8; 110],
    }

    /// An IPv4 or IPv6 address: 28 bytes.
    #[derive(Default)]
    pub struct SocketAddr {
        /// [`AF_INET`] or [`AF_INET6`].
        pub family: u16,
        /// Port.
        pub port: u16,
        /// IPv6 flow label and traffic class (RFC 3493, 3.3), as a number; 0 for IPv4.
        pub flowinfo: u32,
        /// IPv6 scope, an interface's index; 0 for IPv4.
        pub scope_id: u32,
        /// Address in network order; IPv4 in the first four bytes, the rest zero.
        pub address: [u8; 16],
    }

    /// A Unix socket's address: 112 bytes.
    pub struct UnixAddr {
        /// [`AF_UNIX`].
        pub family: u16,
        /// Length of the path in bytes, up to [`UNIX_PATH_MAX`]; 0 for a socket without a name.
        pub length: u16,
        /// The path, absolute, as the guest sees it.
        pub path: [u8; 108],
    }
}

const _: () = {
    assert!(SocketAddr::SIZE == 28);
    assert!(UnixAddr::SIZE == 112);
    assert!(Addr::SIZE == ADDR_MAX);
    assert!(UNIX_PATH_MAX < 108);
};

/// No address.
impl Default for Addr {
    fn default() -> Self {
        Self {
            family: 0,
            rest: [0; 110],
        }
    }
}

impl From<net::SocketAddr> for Addr {
    fn from(address: net::SocketAddr) -> Self {
        let mut bytes = [0; ADDR_MAX];
        bytes[..SocketAddr::SIZE].copy_from_slice(&SocketAddr::from(address).to_bytes());
        Self::from_bytes(bytes)
    }
}

impl From<UnixAddr> for Addr {
    fn from(address: UnixAddr) -> Self {
        Self::from_bytes(address.to_bytes())
    }
}

/// The bytes of an IP address, or of any other as if it were one.
impl From<Addr> for SocketAddr {
    fn from(address: Addr) -> Self {
        let mut bytes = [0; Self::SIZE];
        bytes.copy_from_slice(&address.to_bytes()[..Self::SIZE]);
        Self::from_bytes(bytes)
    }
}

/// The bytes of a Unix socket's address, or of any other as if it were one.
impl From<Addr> for UnixAddr {
    fn from(address: Addr) -> Self {
        Self::from_bytes(address.to_bytes())
    }
}

impl UnixAddr {
    /// The address of a socket without a name.
    pub const UNNAMED: Self = Self {
        family: AF_UNIX as u16,
        length: 0,
        path: [0; 108],
    };

    /// The address of this path; ENAMETOOLONG above [`UNIX_PATH_MAX`].
    pub fn new(path: &[u8]) -> Result<Self, Errno> {
        let mut address = Self::UNNAMED;
        address
            .path
            .get_mut(..UNIX_PATH_MAX)
            .and_then(|room| room.get_mut(..path.len()))
            .ok_or(Errno::ENAMETOOLONG)?
            .copy_from_slice(path);
        address.length = path.len() as u16;
        Ok(address)
    }

    /// The path; EINVAL if its length is out of range.
    pub fn path(&self) -> Result<&[u8], Errno> {
        let length = usize::from(self.length);
        match self.path.get(..length) {
            Some(path) if length <= UNIX_PATH_MAX => Ok(path),
            _ => Err(Errno::EINVAL),
        }
    }
}

impl From<net::SocketAddr> for SocketAddr {
    fn from(address: net::SocketAddr) -> Self {
        match address {
            net::SocketAddr::V4(v4) => {
                let [a, b, c, d] = v4.ip().octets();
                Self {
                    family: AF_INET as u16,
                    port: v4.port(),
                    flowinfo: 0,
                    scope_id: 0,
                    address: [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                }
            }
            net::SocketAddr::V6(v6) => Self {
                family: AF_INET6 as u16,
                port: v6.port(),
                flowinfo: v6.flowinfo(),
                scope_id: v6.scope_id(),
                address: v6.ip().octets(),
            },
        }
    }
}

/// EAFNOSUPPORT for any family but the two.
impl TryFrom<SocketAddr> for net::SocketAddr {
    type Error = Errno;

    fn try_from(address: SocketAddr) -> Result<Self, Errno> {
        let [a, b, c, d, ..] = address.address;
        match u32::from(address.family) {
            AF_INET => Ok(net::SocketAddrV4::new([a, b, c, d].into(), address.port).into()),
            AF_INET6 => Ok(net::SocketAddrV6::new(
                address.address.into(),
                address.port,
                address.flowinfo,
                address.scope_id,
            )
            .into()),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Addr, Errno, Plain as _, SocketAddr, UNIX_PATH_MAX, UnixAddr, net};

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        let scoped = net::SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 443, 5, 3);
        for address in [
            net::SocketAddr::from(([127, 0, 0, 1], 80)),
            net::SocketAddr::V6(scoped),
        ] {
            let bytes = SocketAddr::from(address).to_bytes();
            assert_eq!(SocketAddr::from_bytes(bytes).try_into(), Ok(address));
            let any = SocketAddr::from(Addr::from(address));
            assert_eq!(any, SocketAddr::from(address));
        }
        let unknown = SocketAddr {
            family: 3,
            ..SocketAddr::default()
        };
        assert_eq!(net::SocketAddr::try_from(unknown), Err(Errno::EAFNOSUPPORT));
    }

    #[test]
    fn ip_address_lies_as_documented() {
        let address = SocketAddr::from(net::SocketAddr::from(([127, 0, 0, 1], 8000)));
        let bytes = address.to_bytes();
        assert_eq!(bytes[..4], [2, 0, 0x40, 0x1f]);
        assert_eq!(bytes[4..12], [0; 8]);
        assert_eq!(bytes[12..16], [127, 0, 0, 1]);
        assert_eq!(bytes[16..], [0; 12]);
    }

    #[test]
    fn unix_path_has_a_longest_length() {
        let path = [b'x'; UNIX_PATH_MAX + 1];
        let longest = UnixAddr::new(&path[1..]).unwrap();
        assert_eq!(longest.path(), Ok(&path[1..]));
        assert_eq!(UnixAddr::from_bytes(longest.to_bytes()), longest);
        assert_eq!(UnixAddr::from(Addr::from(longest)), longest);
        assert_eq!(UnixAddr::new(&path), Err(Errno::ENAMETOOLONG));
        for length in [108, 109, u16::MAX] {
            let wrong = UnixAddr { length, ..longest };
            assert_eq!(wrong.path(), Err(Errno::EINVAL), "{length}");
        }
    }
}
