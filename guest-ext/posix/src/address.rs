//! Conversion between `struct sockaddr` and [`Address`].

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use wasisocket_abi::v1::UnixAddr;

use crate::host::Address;
use crate::sys::{AF_INET, AF_INET6, AF_UNIX, AF_UNSPEC};
use crate::{Errno, Result};

/// Size of the largest `struct sockaddr_storage` content written here: `struct sockaddr_un`.
pub const SOCKADDR_MAX: usize = 112;

/// `sizeof(struct sockaddr_in)`.
const SOCKADDR_IN: usize = 16;
/// `sizeof(struct sockaddr_in6)`; its last four bytes are padding, and may be missing when it is read.
const SOCKADDR_IN6: usize = 32;
/// Offset of sun_path.
const SUN_PATH: usize = 2;

/// Splits bytes off the front of an address.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Errno(libc::EINVAL))?;
        self.0 = rest;
        Ok(*field)
    }
}

impl Address {
    /// Reads a `struct sockaddr` of this length. EINVAL if it is too short for its family,
    /// EAFNOSUPPORT for an unknown family, EACCES for an abstract Unix name.
    pub fn from_sockaddr(bytes: &[u8]) -> Result<Self> {
        let mut fields = Fields(bytes);
        match i32::from(u16::from_ne_bytes(fields.take()?)) {
            AF_UNSPEC => Ok(Self::Unspecified),
            AF_INET => {
                let port = u16::from_be_bytes(fields.take()?);
                let ip = Ipv4Addr::from(fields.take::<4>()?);
                // Linux requires the padding too (net/ipv4/af_inet.c, inet_bind).
                if bytes.len() < SOCKADDR_IN {
                    return Err(Errno(libc::EINVAL));
                }
                Ok(Self::Inet(SocketAddrV4::new(ip, port).into()))
            }
            AF_INET6 => {
                let port = u16::from_be_bytes(fields.take()?);
                let flowinfo = u32::from_be_bytes(fields.take()?);
                let ip = Ipv6Addr::from(fields.take::<16>()?);
                let scope_id = u32::from_ne_bytes(fields.take()?);
                Ok(Self::Inet(
                    SocketAddrV6::new(ip, port, flowinfo, scope_id).into(),
                ))
            }
            AF_UNIX => match fields.0.split(|byte| *byte == 0).next() {
                // A leading NUL means Linux's abstract namespace, which no grant of a folder can cover.
                Some([]) if !fields.0.is_empty() => Err(Errno(libc::EACCES)),
                None | Some([]) => Err(Errno(libc::EINVAL)),
                Some(path) => Ok(Self::Unix(UnixAddr::new(path)?)),
            },
            _ => Err(Errno(libc::EAFNOSUPPORT)),
        }
    }

    /// The `struct sockaddr`, and its length.
    #[must_use]
    pub fn to_sockaddr(&self) -> ([u8; SOCKADDR_MAX], usize) {
        let mut bytes = [0; SOCKADDR_MAX];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            let end = usize::saturating_add(at, field.len());
            if let Some(room) = bytes.get_mut(at..end) {
                room.copy_from_slice(field);
            }
            at = end;
        };
        let length = match self {
            Self::Unspecified => 0,
            Self::Inet(SocketAddr::V4(address)) => {
                put(&(AF_INET as u16).to_ne_bytes());
                put(&address.port().to_be_bytes());
                put(&address.ip().octets());
                SOCKADDR_IN
            }
            Self::Inet(SocketAddr::V6(address)) => {
                put(&(AF_INET6 as u16).to_ne_bytes());
                put(&address.port().to_be_bytes());
                put(&address.flowinfo().to_be_bytes());
                put(&address.ip().octets());
                put(&address.scope_id().to_ne_bytes());
                SOCKADDR_IN6
            }
            Self::Unix(address) => {
                let path = address.path().unwrap_or_default();
                put(&(AF_UNIX as u16).to_ne_bytes());
                put(path);
                // As on Linux, the length includes the NUL if there is a path (unix(7)).
                SUN_PATH
                    .saturating_add(path.len())
                    .saturating_add(usize::from(!path.is_empty()))
            }
        };
        (bytes, length)
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, SOCKADDR_IN, SOCKADDR_IN6, SocketAddr, SocketAddrV6, UnixAddr};
    use crate::Errno;

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        let scoped = SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 443, 0x12345, 3);
        for address in [
            Address::Inet(SocketAddr::from(([127, 0, 0, 1], 80))),
            Address::Inet(scoped.into()),
            Address::Unix(UnixAddr::new(b"/tmp/socket").unwrap()),
        ] {
            let (bytes, length) = address.to_sockaddr();
            assert_eq!(Address::from_sockaddr(&bytes[..length]), Ok(address));
            assert_eq!(Address::from_sockaddr(&bytes), Ok(address));
        }
    }

    #[test]
    fn short_addresses_are_refused() {
        let (v4, _) = Address::Inet(([127, 0, 0, 1], 80).into()).to_sockaddr();
        let (v6, _) = Address::Inet(([0; 8], 80).into()).to_sockaddr();
        for length in 0..SOCKADDR_IN {
            assert!(Address::from_sockaddr(&v4[..length]).is_err(), "{length}");
        }
        for length in 0..SOCKADDR_IN6 - 4 {
            assert!(Address::from_sockaddr(&v6[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn unix_names_end_at_a_nul_and_are_never_abstract() {
        let named = Address::from_sockaddr(b"\x01\0/a\0garbage").unwrap();
        assert_eq!(named, Address::Unix(UnixAddr::new(b"/a").unwrap()));
        assert_eq!(
            Address::from_sockaddr(b"\x01\0\0abstract"),
            Err(Errno(libc::EACCES))
        );
        assert_eq!(Address::from_sockaddr(b"\x01\0"), Err(Errno(libc::EINVAL)));
        assert_eq!(
            Address::from_sockaddr(&[3; 200]),
            Err(Errno(libc::EAFNOSUPPORT))
        );
        let mut long = [b'x'; 112];
        long[..2].copy_from_slice(b"\x01\0");
        assert_eq!(
            Address::from_sockaddr(&long),
            Err(Errno(libc::ENAMETOOLONG))
        );
    }
}
