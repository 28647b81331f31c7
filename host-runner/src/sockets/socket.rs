//! One socket, and the calls on it. Each method is one system call, repeated only on EINTR.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno as SystemErrno, retry_on_intr};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};

use crate::errno::from_system;

/// A socket of the system, in blocking mode. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    inbound: Inbound,
}

/// May data come in? A stream's state is the kernel's; a datagram socket would take data from anyone.
#[derive(Debug, PartialEq, Eq)]
enum Inbound {
    /// A stream: from its peer only, as the kernel sees to.
    Stream,
    /// Datagrams, before the first `connect` that succeeds: from nobody.
    NoPeer,
    /// Datagrams, after it: the kernel lets those of the peer through.
    Peer,
}

impl Socket {
    /// socket(2) with the ABI's numbers. EAFNOSUPPORT or EINVAL for numbers that it does not have.
    pub(crate) fn open(family: u32, kind: u32) -> Result<Self, Errno> {
        let family = match family {
            AF_INET => AddressFamily::INET,
            AF_INET6 => AddressFamily::INET6,
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let (kind, inbound) = match kind {
            SOCK_STREAM => (SocketType::STREAM, Inbound::Stream),
            SOCK_DGRAM => (SocketType::DGRAM, Inbound::NoPeer),
            _ => return Err(Errno::EINVAL),
        };
        let fd = net::socket_with(family, kind, SocketFlags::CLOEXEC, None).map_err(from_system)?;
        Ok(Self { fd, inbound })
    }

    /// connect(2), to the end.
    pub(crate) fn connect(&mut self, address: SocketAddr) -> Result<(), Errno> {
        let result = match net::connect(&self.fd, &address) {
            // It goes on in the kernel, and a second call would answer EALREADY.
            Err(SystemErrno::INTR) => self.connected(),
            result => result,
        };
        match (&result, &self.inbound) {
            (Ok(()), Inbound::NoPeer) => self.inbound = Inbound::Peer,
            // A failed connect leaves a datagram socket bound to a port, for anyone to send to.
            (Err(_), Inbound::NoPeer) => drop(net::connect_unspec(&self.fd)),
            _ => {}
        }
        result.map_err(from_system)
    }

    /// Waits for a connect that a signal interrupted (connect(2), EINPROGRESS).
    fn connected(&self) -> rustix::io::Result<()> {
        let mut waiting = [PollFd::new(&self.fd, PollFlags::OUT)];
        retry_on_intr(|| poll(&mut waiting, None))?;
        net::sockopt::socket_error(&self.fd)?
    }

    /// send(2); how many bytes the kernel took.
    pub(crate) fn send(&self, data: &[u8]) -> Result<usize, Errno> {
        retry_on_intr(|| net::send(&self.fd, data, SendFlags::NOSIGNAL)).map_err(from_system)
    }

    /// recv(2); how many bytes arrived at the start of `buffer`. ENOTCONN without a peer.
    pub(crate) fn recv(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        if self.inbound == Inbound::NoPeer {
            return Err(Errno::ENOTCONN);
        }
        retry_on_intr(|| net::recv(&self.fd, &mut *buffer, RecvFlags::empty()))
            .map(|(received, _)| received)
            .map_err(from_system)
    }
}
