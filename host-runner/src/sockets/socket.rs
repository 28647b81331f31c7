//! One socket, and the calls on it. Each method is one system call, repeated only on EINTR. What cannot be done now
//! is EAGAIN.
//!
//! A stream is in the kernel's non-blocking mode for accept(2) and connect(2), which have no flag for that. Once it
//! is connected it is in blocking mode: send(2) and recv(2) have MSG_DONTWAIT.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::{ioctl_fionbio, retry_on_intr};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{self, AddressFamily, Shutdown, SocketAddrAny, SocketFlags, SocketType, ipproto};
use wasisocket_abi::v1::AF_UNIX;
use wasisocket_abi::{AF_INET, AF_INET6, Errno, SOCK_DGRAM, SOCK_STREAM};

use super::message::{Admission, STRANGERS_MAX, source};
use super::state::{Connection, Inbound, State, Traffic};
use crate::errno::from_system;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
    Unix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Stream,
    Datagram,
}

#[derive(Debug)]
pub(super) struct Shared {
    family: Family,
    kind: Kind,
    /// SO_LINGER was set, here or at the listener that this came from, or others may have set it.
    lingers: AtomicBool,
    /// The kernel does not have a flag of [`State::reuse`] yet.
    pub(super) reuse_waits: AtomicBool,
    traffic: Traffic,
    state: Mutex<State>,
}

/// A socket of the system. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) fd: OwnedFd,
    pub(super) shared: Arc<Shared>,
}

/// IANA's number of UDP-Lite (RFC 3828).
pub(crate) const UDP_LITE: u32 = 136;

/// The flags of a stream that is not connected.
const NONBLOCKING: SocketFlags = SocketFlags::CLOEXEC.union(SocketFlags::NONBLOCK);

impl Socket {
    pub(super) fn new(fd: OwnedFd, family: Family, kind: Kind) -> Self {
        let inbound = match (family, kind) {
            (Family::V4 | Family::V6, Kind::Datagram) => Inbound::Nobody,
            _ => Inbound::Kernel,
        };
        Self {
            fd,
            shared: Arc::new(Shared {
                family,
                kind,
                lingers: AtomicBool::new(false),
                reuse_waits: AtomicBool::new(false),
                traffic: Traffic::default(),
                state: Mutex::new(State::new(inbound)),
            }),
        }
    }

    /// socket(2) with the ABI's numbers. EAFNOSUPPORT or EINVAL for numbers that the ABI does not have,
    /// EPROTONOSUPPORT for a protocol that does not fit. The protocol is 0 or IANA's number.
    pub(crate) fn open(family: u32, kind: u32, protocol: u32) -> Result<Self, Errno> {
        let (family, system) = match family {
            AF_INET => (Family::V4, AddressFamily::INET),
            AF_INET6 => (Family::V6, AddressFamily::INET6),
            AF_UNIX => (Family::Unix, AddressFamily::UNIX),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let (kind, system_kind) = Kind::from_abi(kind)?;
        let protocol = match (family, kind, protocol) {
            (_, _, 0) => None,
            (Family::V4 | Family::V6, Kind::Stream, 6) => Some(ipproto::TCP),
            (Family::V4 | Family::V6, Kind::Datagram, 17) => Some(ipproto::UDP),
            (Family::V4 | Family::V6, Kind::Datagram, UDP_LITE) => Some(ipproto::UDPLITE),
            _ => return Err(Errno::EPROTONOSUPPORT),
        };
        let flags = match kind {
            Kind::Stream => NONBLOCKING,
            Kind::Datagram => SocketFlags::CLOEXEC,
        };
        let fd = net::socket_with(system, system_kind, flags, protocol).map_err(from_system)?;
        let socket = Self::new(fd, family, kind);
        if socket.is_udp() {
            socket.hear_own_groups_only()?;
        }
        Ok(socket)
    }

    /// socketpair(2) of Unix sockets.
    pub(crate) fn pair(kind: u32) -> Result<(Self, Self), Errno> {
        let (kind, system_kind) = Kind::from_abi(kind)?;
        let flags = SocketFlags::CLOEXEC;
        let (one, other) =
            net::socketpair(AddressFamily::UNIX, system_kind, flags, None).map_err(from_system)?;
        Ok((
            Self::new(one, Family::Unix, kind),
            Self::new(other, Family::Unix, kind),
        ))
    }

    /// dup(2): another descriptor of the same socket.
    pub(crate) fn duplicate(&self) -> Result<Self, Errno> {
        Ok(Self {
            fd: rustix::io::fcntl_dupfd_cloexec(&self.fd, 0).map_err(from_system)?,
            shared: Arc::clone(&self.shared),
        })
    }

    /// Is there no other handle of this socket?
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }

    /// A number that this socket shares with its duplicates only.
    pub(crate) fn identity(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    /// Is the other a duplicate?
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }

    pub(crate) fn family(&self) -> Family {
        self.shared.family
    }

    pub(crate) fn kind(&self) -> Kind {
        self.shared.kind
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let state = self.shared.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn traffic(&self) -> &Traffic {
        &self.shared.traffic
    }

    /// Who may send to it?
    pub(crate) fn inbound(&self) -> Inbound {
        match (self.family(), self.kind()) {
            (Family::V4 | Family::V6, Kind::Datagram) => self.state().grant.inbound,
            _ => Inbound::Kernel,
        }
    }

    /// Takes note that SO_LINGER was set.
    pub(crate) fn set_lingers(&self) {
        self.shared.lingers.store(true, Ordering::Relaxed);
    }

    /// bind(2).
    pub(crate) fn bind(&self, address: &impl SocketAddrArg) -> Result<(), Errno> {
        net::bind(&self.fd, address).map_err(from_system)
    }

    /// listen(2). The kernel cuts the backlog to its own limit.
    pub(crate) fn listen(&self, backlog: usize) -> Result<(), Errno> {
        let number = i32::try_from(backlog).unwrap_or(i32::MAX);
        net::listen(&self.fd, number).map_err(from_system)?;
        let mut state = self.state();
        state.counts.backlog = state.counts.backlog.max(backlog);
        state.connection = Connection::Listening;
        Ok(())
    }

    /// accept(2): the new socket and its peer. Connections of peers that are not admitted are closed.
    pub(crate) fn accept(
        &self,
        admission: Admission<'_>,
    ) -> Result<(Self, Option<SocketAddrAny>), Errno> {
        for _ in 0..STRANGERS_MAX {
            let (accepted, peer) = self.try_accept()?;
            let admitted = admission.is_none_or(|admits| source(&peer).is_some_and(admits));
            if admitted {
                return Ok((accepted, peer));
            }
        }
        Err(Errno::EAGAIN)
    }

    fn try_accept(&self) -> Result<(Self, Option<SocketAddrAny>), Errno> {
        if self.shared.lingers.load(Ordering::Relaxed) {
            // If the socket was sent, others may have put it into blocking mode.
            self.set_nonblocking(true)?;
        }
        let (fd, peer) = retry_on_intr(|| net::acceptfrom_with(&self.fd, SocketFlags::CLOEXEC))
            .map_err(from_system)?;
        let accepted = Self::new(fd, self.family(), self.kind());
        // The kernel copies the listener's SO_LINGER.
        if self.shared.lingers.load(Ordering::Relaxed) {
            accepted.set_lingers();
        }
        let mut state = accepted.state();
        state.path = self.state().path.clone();
        state.reuse = self.state().reuse;
        state.connection = Connection::Connected;
        drop(state);
        Ok((accepted, peer))
    }

    /// connect(2) of a stream. An attempt that takes time is EINPROGRESS, and EALREADY when asked again.
    ///
    /// For Linux a further call asks for the outcome of the first, as a blocking connect waits for it: the answer is
    /// 0 or the connection's error (inet_stream_connect).
    pub(crate) fn connect(&self, address: &impl SocketAddrArg) -> Result<(), Errno> {
        // The socket may be connected, or have been connected: a Unix socket waits for room in the backlog before it
        // answers EISCONN.
        self.set_nonblocking(true)?;
        let result = retry_on_intr(|| net::connect(&self.fd, address)).map_err(from_system);
        let goes_on = matches!(result, Err(Errno::EINPROGRESS | Errno::EALREADY));
        if !goes_on && (result.is_ok() || self.peer_name().is_ok()) {
            // In non-blocking mode, waiting would take two more system calls.
            let _ = self.set_nonblocking(false);
        }
        result
    }

    /// For streams only: calls on a datagram socket say themselves whether they wait.
    fn set_nonblocking(&self, nonblocking: bool) -> Result<(), Errno> {
        match self.kind() {
            Kind::Stream => ioctl_fionbio(&self.fd, nonblocking).map_err(from_system),
            Kind::Datagram => Ok(()),
        }
    }

    /// Takes note that an attempt to connect ended, other than by connect(2).
    pub(crate) fn end_connect(&self) {
        let mut state = self.state();
        state.connection = state.connection.after_shutdown();
    }

    /// Ends an attempt to connect in the kernel, if there is one.
    pub(crate) fn give_up_connect(&self) {
        self.end_connect();
        if self.peer_name().is_err() {
            // If this fails, there was nothing to end.
            let _ = net::connect_unspec(&self.fd);
        }
    }

    /// connect(2) of a UDP socket, which only sets its peer.
    pub(crate) fn connect_datagram(&self, address: SocketAddr) -> Result<(), Errno> {
        let result = retry_on_intr(|| net::connect(&self.fd, &address));
        let mut state = self.state();
        state.grant.inbound = match (state.grant.inbound, &result) {
            (Inbound::Nobody, Ok(())) => Inbound::Peer(address),
            (Inbound::Nobody, Err(_)) => {
                // A failed connect leaves the socket bound to a port that anyone could send to.
                let _ = net::connect_unspec(&self.fd);
                Inbound::Nobody
            }
            // Datagrams of the former peer may be in the queue.
            (Inbound::Peer(_), _) => Inbound::Reachable,
            (inbound, _) => inbound,
        };
        drop(state);
        self.settle_reuse();
        result.map_err(from_system)
    }

    /// connect(2) of a datagram socket to AF_UNSPEC: removes its peer.
    pub(crate) fn disconnect(&self) -> Result<(), Errno> {
        let result = retry_on_intr(|| net::connect_unspec(&self.fd)).map_err(from_system);
        let mut state = self.state();
        // Datagrams of the peer are still in the queue, and the kernel does not filter any more.
        if let Inbound::Peer(_) = state.grant.inbound {
            state.grant.inbound = Inbound::Reachable;
        }
        drop(state);
        self.settle_port();
        result
    }

    /// shutdown(2).
    pub(crate) fn shutdown(&self, read: bool, write: bool) -> Result<(), Errno> {
        let how = match (read, write) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            (false, true) => Shutdown::Write,
            (false, false) => return Err(Errno::EINVAL),
        };
        net::shutdown(&self.fd, how).map_err(from_system)
    }

    /// getsockname(2).
    pub(crate) fn name(&self) -> Result<SocketAddrAny, Errno> {
        net::getsockname(&self.fd).map_err(from_system)
    }

    /// getpeername(2); `None` for a Unix socket's peer without a name.
    pub(crate) fn peer_name(&self) -> Result<Option<SocketAddrAny>, Errno> {
        net::getpeername(&self.fd).map_err(from_system)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // close(2) waits for as long as SO_LINGER says, also in non-blocking mode, and the guest sets that time.
        // Without SO_LINGER the kernel sends the rest in the background. A time of 0 resets the connection without
        // waiting, and stays.
        if self.is_last() && self.shared.lingers.load(Ordering::Relaxed) {
            close_at_once(self.fd.as_fd());
        }
    }
}

/// Keeps close(2) of this socket from waiting.
pub(super) fn close_at_once(socket: BorrowedFd<'_>) {
    if let Ok(Some(time)) = net::sockopt::socket_linger(socket)
        && !time.is_zero()
    {
        let _ = net::sockopt::set_socket_linger(socket, None);
    }
}

impl Kind {
    fn from_abi(kind: u32) -> Result<(Self, SocketType), Errno> {
        match kind {
            SOCK_STREAM => Ok((Self::Stream, SocketType::STREAM)),
            SOCK_DGRAM => Ok((Self::Datagram, SocketType::DGRAM)),
            _ => Err(Errno::EINVAL),
        }
    }
}
