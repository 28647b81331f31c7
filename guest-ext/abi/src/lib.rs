//! The ABI between a guest and a wasisocket host: names, structs, numbers. No logic beyond the
//! conversion of its own structs.
//!
//! Both sides build against this crate, so they cannot drift apart.
//!
//! This page describes the core six; [`v1`] is everything else.
//!
//! # The core six
//!
//! [`CORE_IMPORTS`] are six functions in the import module [`CORE_MODULE`]. All parameters and results are `i32`;
//! pointers are offsets into the guest's linear memory, lengths are read as unsigned. A function returns 0 or an
//! [`Errno`], **in Linux numbering**, and writes its results only if it returns 0. Every call blocks until it is
//! done.
//!
//! Any of them can return [`Errno::EBADF`] (not a handle of this guest), [`Errno::EFAULT`] (a pointer or length
//! reaches outside the guest's memory), [`Errno::EINVAL`] (a number out of its range) or [`Errno::EACCES`] (no
//! grant covers it). `sock_resolve` returns errors as glibc's NSS modules do for `getaddrinfo` (glibc manual, "NSS
//! Modules Interface"): [`Errno::ENOENT`] for a name that does not exist, [`Errno::EAGAIN`] for a look-up that may
//! succeed later, [`Errno::EIO`] for one that failed for good.
//!
//! `sock_send` and `sock_recv` share their names, but not their types, with two standard functions of preview1. A
//! module must import one or the other.
//!
//! # Other hosts
//!
//! [`imports`] is the table that all else comes from. `wasisocket.witx` beside this crate's `src` describes the same
//! for hosts that are not written in Rust; a test compares it with the table, and
//! `WASISOCKET_WRITE_WITX=1 cargo test -p wasisocket-abi --test witx` writes it anew.

#![no_std]

use core::net::{IpAddr, SocketAddr};

mod errno;
mod imports;
mod plain;
pub mod v1;

pub use errno::Errno;
pub use imports::{CORE_IMPORTS, Handle, Import, Parameter, Role, Timeout};
pub use plain::{Field, Plain, Struct};

/// The import module of the core six.
pub const CORE_MODULE: &str = CORE_IMPORTS[0].module;

plain::numbers! {
    /// The numbers of the core six, by name.
    pub const CORE_NUMBERS;

    /// The lowest socket handle: below it a guest has the file descriptors of its own libc.
    pub const FIRST_HANDLE: u32 = 1000;

    /// Address family: IPv4. Linux's number, not wasi-libc's.
    pub const AF_INET: u32 = 2;
    /// Address family: IPv6. Linux's number, not wasi-libc's.
    pub const AF_INET6: u32 = 10;
    /// Socket type: a stream (TCP). Linux's number, not wasi-libc's.
    pub const SOCK_STREAM: u32 = 1;
    /// Socket type: datagrams (UDP). Linux's number, not wasi-libc's.
    pub const SOCK_DGRAM: u32 = 2;

    /// Longest host name that `sock_resolve` accepts, in bytes: RFC 1035's 253 visible characters, and a
    /// final dot.
    pub const HOST_NAME_MAX: usize = 254;

    /// Most addresses that one `sock_resolve` returns, whatever `max_entries` says.
    pub const RESOLVE_MAX: usize = 64;

    /// Most bytes that one `sock_send` or `sock_recv` moves, whatever its length says: 16 MiB.
    pub const IO_MAX: usize = 16 << 20;
}

plain::structs! {
    /// The structs of the core six.
    pub const CORE_STRUCTS;

    /// A socket address as the core six pass it: 19 bytes, no padding, alignment 1.
    #[derive(Default)]
    pub struct CoreSocketAddr {
        /// [`AF_INET`] or [`AF_INET6`].
        pub family: u8,
        /// Port, big-endian.
        pub port: [u8; 2],
        /// Address in network order; IPv4 in the first four bytes, the rest zero.
        pub address: [u8; 16],
    }
}

/// Size of a [`CoreSocketAddr`] in the guest's memory, in bytes.
pub const CORE_ADDR_LEN: usize = CoreSocketAddr::SIZE;

/// Flow info and scope of an IPv6 address are lost: the struct has no fields for them.
impl From<SocketAddr> for CoreSocketAddr {
    fn from(address: SocketAddr) -> Self {
        let (family, bytes) = match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                (AF_INET, [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            }
            IpAddr::V6(ip) => (AF_INET6, ip.octets()),
        };
        Self {
            family: family as u8,
            port: address.port().to_be_bytes(),
            address: bytes,
        }
    }
}

/// EAFNOSUPPORT for any family but the two.
impl TryFrom<CoreSocketAddr> for SocketAddr {
    type Error = Errno;

    fn try_from(core: CoreSocketAddr) -> Result<Self, Errno> {
        let [a, b, c, d, ..] = core.address;
        let ip = match u32::from(core.family) {
            AF_INET => IpAddr::from([a, b, c, d]),
            AF_INET6 => IpAddr::from(core.address),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        Ok(Self::new(ip, u16::from_be_bytes(core.port)))
    }
}

#[cfg(test)]
mod tests {
    use super::{AF_INET, CORE_ADDR_LEN, CoreSocketAddr, Errno, Plain as _, SocketAddr};

    #[test]
    fn core_address_is_nineteen_bytes_in_the_documented_order() {
        let address = CoreSocketAddr {
            family: AF_INET as u8,
            port: 8000_u16.to_be_bytes(),
            address: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        };
        let bytes = address.to_bytes();
        assert_eq!(CORE_ADDR_LEN, 19);
        assert_eq!(bytes[..7], [2, 0x1f, 0x40, 127, 0, 0, 1]);
        assert_eq!(bytes[7..], [0; 12]);
        assert_eq!(CoreSocketAddr::from_bytes(bytes), address);
    }

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        let addresses: [SocketAddr; 3] = [
            ([127, 0, 0, 1], 80).into(),
            ([255, 1, 2, 3], 65535).into(),
            ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xff], 443).into(),
        ];
        for address in addresses {
            assert_eq!(CoreSocketAddr::from(address).try_into(), Ok(address));
        }
    }

    #[test]
    fn unknown_family_is_no_address() {
        let core = CoreSocketAddr {
            family: 3,
            ..CoreSocketAddr::default()
        };
        assert_eq!(SocketAddr::try_from(core), Err(Errno::EAFNOSUPPORT));
    }
}
