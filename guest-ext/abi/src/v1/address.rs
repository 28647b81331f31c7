//! Addresses as `wasisocket_v1` passes them.

use core::net;

use crate::{AF_INET, AF_INET6, Errno};

use super::AF_UNIX;

/// Room that an address needs at most, in bytes: a [`UnixAddr`].
pub const ADDR_MAX: usize = size_of::<UnixAddr>();

/// Longest path of a Unix socket, in bytes (unix(7)).
pub const UNIX_PATH_MAX: usize = 107;

/// An IPv4 or IPv6 address: 28 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixAddr {
    /// [`AF_UNIX`].
    pub family: u16,
    /// Length of the path in bytes, up to [`UNIX_PATH_MAX`]; 0 for a socket without a name.
    pub length: u16,
    /// The path, absolute, as the guest sees it.
    pub path: [u8; 108],
}

const _: () = {
    assert!(size_of::<SocketAddr>() == 28);
    assert!(size_of::<UnixAddr>() == 112);
    assert!(UNIX_PATH_MAX < 108);
};

impl SocketAddr {
    /// The 28 bytes as they lie in memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 28] {
        let mut bytes = [0; 28];
        let (family, rest) = bytes.split_at_mut(2);
        let (port, rest) = rest.split_at_mut(2);
        let (flowinfo, rest) = rest.split_at_mut(4);
        let (scope_id, address) = rest.split_at_mut(4);
        family.copy_from_slice(&self.family.to_le_bytes());
        port.copy_from_slice(&self.port.to_le_bytes());
        flowinfo.copy_from_slice(&self.flowinfo.to_le_bytes());
        scope_id.copy_from_slice(&self.scope_id.to_le_bytes());
        address.copy_from_slice(&self.address);
        bytes
    }

    /// The address that lies in these 28 bytes. Its family may be any number.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 28]) -> Self {
        let [f0, f1, p0, p1, i0, i1, i2, i3, s0, s1, s2, s3, address @ ..] = bytes;
        Self {
            family: u16::from_le_bytes([f0, f1]),
            port: u16::from_le_bytes([p0, p1]),
            flowinfo: u32::from_le_bytes([i0, i1, i2, i3]),
            scope_id: u32::from_le_bytes([s0, s1, s2, s3]),
            address,
        }
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

    /// The path; EINVAL if its length is not one.
    pub fn path(&self) -> Result<&[u8], Errno> {
        let length = usize::from(self.length);
        match self.path.get(..length) {
            Some(path) if length <= UNIX_PATH_MAX => Ok(path),
            _ => Err(Errno::EINVAL),
        }
    }

    /// The 112 bytes as they lie in memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; ADDR_MAX] {
        let mut bytes = [0; ADDR_MAX];
        let (family, rest) = bytes.split_at_mut(2);
        let (length, path) = rest.split_at_mut(2);
        family.copy_from_slice(&self.family.to_le_bytes());
        length.copy_from_slice(&self.length.to_le_bytes());
        path.copy_from_slice(&self.path);
        bytes
    }

    /// The address that lies in these 112 bytes. Family and length may be any numbers.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; ADDR_MAX]) -> Self {
        let [f0, f1, l0, l1, path @ ..] = bytes;
        Self {
            family: u16::from_le_bytes([f0, f1]),
            length: u16::from_le_bytes([l0, l1]),
            path,
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
    use super::{Errno, SocketAddr, UNIX_PATH_MAX, UnixAddr, net};

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        let scoped = net::SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 443, 5, 3);
        for address in [
            net::SocketAddr::from(([127, 0, 0, 1], 80)),
            net::SocketAddr::V6(scoped),
        ] {
            let bytes = SocketAddr::from(address).to_bytes();
            assert_eq!(SocketAddr::from_bytes(bytes).try_into(), Ok(address));
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
        assert_eq!(UnixAddr::new(&path), Err(Errno::ENAMETOOLONG));
        for length in [108, 109, u16::MAX] {
            let wrong = UnixAddr { length, ..longest };
            assert_eq!(wrong.path(), Err(Errno::EINVAL), "{length}");
        }
    }
}
