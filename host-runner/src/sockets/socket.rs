//! One socket, and the calls on it. Each method is one system call, repeated only on EINTR.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::retry_on_intr;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};

use crate::errno::from_system;

/// A socket of the system, in blocking mode. Its state is the kernel's; dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket(OwnedFd);

impl Socket {
    /// socket(2) with the ABI's numbers. EAFNOSUPPORT or EINVAL for numbers that it does not have.
    pub(crate) fn open(family: u32, kind: u32) -> Result<Self, Errno> {
        let family = match family {
            AF_INET => AddressFamily::INET,
            AF_INET6 => AddressFamily::INET6,
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let kind = match kind {
            SOCK_STREAM => SocketType::STREAM,
            SOCK_DGRAM => SocketType::DGRAM,
            _ => return Err(Errno::EINVAL),
        };
        net::socket_with(family, kind, SocketFlags::CLOEXEC, None)
            .map(Self)
            .map_err(from_system)
    }

    /// connect(2), to the end.
    pub(crate) fn connect(&self, address: SocketAddr) -> Result<(), Errno> {
        // Not repeated on EINTR: the first call goes on in the kernel and a second would answer
        // EALREADY. It cannot happen: no thread of the host takes signals without SA_RESTART.
        net::connect(&self.0, &address).map_err(from_system)
    }

    /// send(2); how many bytes the kernel took.
    pub(crate) fn send(&self, data: &[u8]) -> Result<usize, Errno> {
        retry_on_intr(|| net::send(&self.0, data, SendFlags::NOSIGNAL)).map_err(from_system)
    }

    /// recv(2); how many bytes arrived at the start of `buffer`.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        retry_on_intr(|| net::recv(&self.0, &mut *buffer, RecvFlags::empty()))
            .map(|(received, _)| received)
            .map_err(from_system)
    }
}
