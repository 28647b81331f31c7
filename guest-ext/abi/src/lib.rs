//! The ABI between a guest and a wasisocket host: names, structs, numbers. No logic beyond the
//! conversion of its own structs.
//!
//! Both sides build against this crate, so they cannot drift apart.
//!
//! The core six are in this page; [`v1`] is everything else.
//!
//! # The core six
//!
//! Six functions in the import module [`CORE_MODULE`]. All parameters and results are `i32`; pointers
//! are offsets into the guest's linear memory, lengths are bytes and read as unsigned. The result is 0
//! or an [`Errno`], **in Linux numbering**. Out-parameters (marked `*`) are written only when the
//! result is 0. Every call blocks until it is done.
//!
//! | import | parameters | does |
//! |---|---|---|
//! | `sock_open` | `af, type, *fd: u32` | `socket(2)`. A new handle, [`FIRST_HANDLE`] or above. |
//! | `sock_resolve` | `host_ptr, host_len, port, addrs_ptr, max_entries, *count: u32` | `getaddrinfo(3)`. Writes up to `max_entries` (counted in entries, not bytes) [`CoreSocketAddr`]s. |
//! | `sock_connect` | `fd, *addr` | `connect(2)` to a [`CoreSocketAddr`]. |
//! | `sock_send` | `fd, buf, len, *sent: u32` | `send(2)`; may send less than `len`. |
//! | `sock_recv` | `fd, buf, len, *received: u32` | `recv(2)`; 0 bytes is the end of a stream. |
//! | `sock_close` | `fd` | `close(2)`. |
//!
//! Errors that any of them can answer: [`Errno::EBADF`] (not a handle of this guest),
//! [`Errno::EFAULT`] (a pointer or length reaches outside the guest's memory), [`Errno::EINVAL`] (a
//! number out of its range), [`Errno::EACCES`] (no grant covers it). `sock_resolve` speaks for
//! `getaddrinfo` as glibc's NSS modules do (glibc manual, "NSS Modules Interface"):
//! [`Errno::ENOENT`] for a name that does not exist, [`Errno::EAGAIN`] for a look-up that may succeed
//! later, [`Errno::EIO`] for one that failed for good.
//!
//! `sock_send` and `sock_recv` share their names, but not their types, with two standard functions of
//! preview1. A module must import one or the other.

#![no_std]

use core::net::{IpAddr, SocketAddr};

mod errno;
pub mod v1;

pub use errno::Errno;

/// The import module of the core six.
pub const CORE_MODULE: &str = "wasi_snapshot_preview1";

/// The names of the core six and how many `i32` parameters each takes. Each returns one `i32`.
pub const CORE_IMPORTS: [(&str, usize); 6] = [
    ("sock_open", 3),
    ("sock_resolve", 6),
    ("sock_connect", 2),
    ("sock_send", 4),
    ("sock_recv", 4),
    ("sock_close", 1),
];

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

/// Longest host name that `sock_resolve` takes, in bytes: RFC 1035's 253 visible characters, and a
/// final dot.
pub const HOST_NAME_MAX: usize = 254;

/// Most addresses that one `sock_resolve` returns, whatever `max_entries` says.
pub const RESOLVE_MAX: usize = 64;

/// Most bytes that one `sock_send` or `sock_recv` moves, whatever its length says: 16 MiB.
pub const IO_MAX: usize = 16 << 20;

/// Size of a [`CoreSocketAddr`] in the guest's memory, in bytes.
pub const CORE_ADDR_LEN: usize = size_of::<CoreSocketAddr>();

/// A socket address as the core six pass it: 19 bytes, no padding, alignment 1.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoreSocketAddr {
    /// [`AF_INET`] or [`AF_INET6`].
    pub family: u8,
    /// Port, big-endian.
    pub port: [u8; 2],
    /// Address in network order; IPv4 in the first four bytes, the rest zero.
    pub address: [u8; 16],
}

impl CoreSocketAddr {
    /// The 19 bytes as they lie in memory.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; CORE_ADDR_LEN] {
        let [p0, p1] = self.port;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = self.address;
        [
            self.family,
            p0,
            p1,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
        ]
    }

    /// The address that lies in these 19 bytes. Its family may be any number.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; CORE_ADDR_LEN]) -> Self {
        let [
            family,
            p0,
            p1,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
            i,
            j,
            k,
            l,
            m,
            n,
            o,
            p,
        ] = bytes;
        Self {
            family,
            port: [p0, p1],
            address: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p],
        }
    }
}

/// Flow info and scope of an IPv6 address are lost: the core six have no room for them.
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
    use super::{AF_INET, CORE_ADDR_LEN, CoreSocketAddr, Errno, SocketAddr};

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
