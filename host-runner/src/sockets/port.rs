//! The port of a socket: named by the guest under a grant, or picked by the kernel.
//!
//! With SO_REUSEADDR or SO_REUSEPORT set on a UDP socket, Linux also picks among the ports that others hold with the
//! same flag (udp_lib_lport_inuse), and their datagrams then arrive here. So the kernel has these flags only while
//! the socket has a port, and for the bind to a port that was granted by its number. What the guest asked for is
//! stored here.

use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::atomic::Ordering;

use rustix::net::sockopt;
use wasisocket_abi::Errno;

use super::socket::{Family, Kind, Socket};
use super::state::Inbound;
use crate::errno::from_system;

/// Most datagrams that a bind discards. Nothing arrives at a socket without a port, so these are only the datagrams
/// in the queue: 300 datagrams without data with Linux's default of SO_RCVBUF.
const QUEUE_MAX: usize = 1 << 20;

/// The flags that a guest asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reuse {
    pub(super) address: bool,
    pub(super) port: bool,
}

impl Socket {
    pub(super) fn is_udp(&self) -> bool {
        self.family() != Family::Unix && self.kind() == Kind::Datagram
    }

    /// The local IP address and port, if there are any.
    pub(crate) fn local(&self) -> Result<SocketAddr, Errno> {
        SocketAddr::try_from(self.name()?).map_err(|_| Errno::EAFNOSUPPORT)
    }

    fn has_port(&self) -> bool {
        self.local().is_ok_and(|local| local.port() != 0)
    }

    /// bind(2) to an IP address that a grant covers.
    pub(crate) fn bind_ip(&self, address: SocketAddr) -> Result<(), Errno> {
        if self.is_udp() && !self.has_port() {
            // Datagrams for a port that the socket had before are not for the new one.
            self.discard_all()?;
            if address.port() != 0 {
                self.set_reuse(self.state().reuse)?;
            }
        }
        let shares = self.kind() == Kind::Stream && self.reuse().port;
        if shares && address.port() != 0 {
            sockopt::set_socket_reuseport(self.as_fd(), true).map_err(from_system)?;
        }
        let result = self.bind(&address);
        if result.is_ok() {
            let mut state = self.state();
            state.grant.bound = Some(address);
            if state.grant.inbound != Inbound::Kernel {
                state.grant.inbound = Inbound::Anyone;
            }
        }
        if shares {
            self.settle_stream_reuse()?;
        }
        self.settle_reuse();
        result
    }

    /// Gives SO_REUSEPORT of a stream to the kernel as the guest set it, if the port was granted by its number. If
    /// the system picked the port, others could listen at it too and be taken for this guest.
    pub(super) fn settle_stream_reuse(&self) -> Result<(), Errno> {
        let state = self.state();
        let named = state.grant.bound.is_some_and(|bound| bound.port() != 0);
        let shares = state.reuse.port && named;
        drop(state);
        sockopt::set_socket_reuseport(self.as_fd(), shares).map_err(from_system)
    }

    fn discard_all(&self) -> Result<(), Errno> {
        for _ in 0..QUEUE_MAX {
            // Another error was pending, in front of the queue.
            if self.discard() == Err(Errno::EAGAIN) {
                return Ok(());
            }
        }
        Err(Errno::ENOBUFS)
    }

    /// SO_REUSEADDR or SO_REUSEPORT of a UDP socket, as the guest set it.
    pub(super) fn reuse(&self) -> Reuse {
        self.state().reuse
    }

    /// Stores a flag that the guest asks for. The kernel gets it once there is a port.
    pub(super) fn ask_reuse(&self, change: impl FnOnce(&mut Reuse)) -> Result<(), Errno> {
        let mut reuse = self.reuse();
        change(&mut reuse);
        self.state().reuse = reuse;
        self.give_reuse(reuse)
    }

    /// To be called when the socket may have got a port, or lost it.
    pub(super) fn settle_reuse(&self) {
        let reuse = self.reuse();
        if reuse == Reuse::default() || !self.is_udp() {
            return;
        }
        // Setting a flag cannot fail on a socket that has it.
        let _ = self.give_reuse(reuse);
    }

    /// To be called after sending, for which the kernel picks a port if there is none.
    pub(super) fn settle_reuse_if_it_waits(&self) {
        if self.shared.reuse_waits.load(Ordering::Relaxed) {
            self.settle_reuse();
        }
    }

    /// Gives the kernel the flags if there is a port, or else none, to wait for one.
    fn give_reuse(&self, reuse: Reuse) -> Result<(), Errno> {
        let none = Reuse::default();
        let has_port = self.has_port();
        let waits = !has_port && reuse != none;
        self.shared.reuse_waits.store(waits, Ordering::Relaxed);
        self.set_reuse(if has_port { reuse } else { none })
    }

    fn set_reuse(&self, reuse: Reuse) -> Result<(), Errno> {
        sockopt::set_socket_reuseaddr(self.as_fd(), reuse.address).map_err(from_system)?;
        sockopt::set_socket_reuseport(self.as_fd(), reuse.port).map_err(from_system)
    }

    /// To be called when a UDP socket has lost its peer. Linux then takes back a port that it picked, also one that
    /// it picked for a bind (__udp_disconnect), and with it what was granted for that port.
    pub(super) fn settle_port(&self) {
        if !self.is_udp() {
            return;
        }
        let has_port = self.has_port();
        let mut state = self.state();
        if state.grant.inbound == Inbound::Anyone && !has_port {
            // Not `Nobody`: datagrams that came before are still in the queue.
            state.grant.inbound = Inbound::Reachable;
            state.grant.bound = None;
            state.grant.recent_senders.clear();
        }
        drop(state);
        self.settle_reuse();
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Inbound, Socket, SocketAddr};
    use rustix::net::sockopt;
    use std::net::UdpSocket;
    use wasisocket_abi::v1::{Ancillary, SocketOption};
    use wasisocket_abi::{AF_INET, AF_INET6, SOCK_DGRAM};

    use crate::sockets::{Data, Destination, Patience};
    use rustix::net::SendFlags;

    const FLAGS: [SocketOption; 2] = [SocketOption::REUSE_ADDR, SocketOption::REUSE_PORT];

    fn udp() -> Socket {
        let socket = Socket::open(AF_INET, SOCK_DGRAM, 0).unwrap();
        for flag in FLAGS {
            socket.set_option(flag, 1).unwrap();
        }
        socket
    }

    fn sink() -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    fn in_kernel(socket: &Socket) -> [bool; 2] {
        [
            sockopt::socket_reuseaddr(socket).unwrap(),
            sockopt::socket_reuseport(socket).unwrap(),
        ]
    }

    fn send(socket: &Socket, to: SocketAddr) {
        let (flags, nothing) = (SendFlags::empty(), Ancillary::default());
        let sent = socket.send(
            Data::One(b"x"),
            &Destination::Ip(to),
            &nothing,
            flags,
            Patience::NONE,
        );
        assert_eq!(sent, Ok(1));
    }

    #[track_caller]
    fn told(socket: &Socket) {
        assert_eq!(FLAGS.map(|flag| socket.option(flag)), [Ok(1); 2]);
    }

    #[test]
    fn flags_are_in_the_kernel_only_while_there_is_a_port() {
        let (_sink, to) = sink();
        let ways: [fn(&Socket, SocketAddr); 3] = [
            |socket, to| send(socket, to),
            |socket, to| socket.connect_datagram(to).unwrap(),
            |socket, _| socket.bind_ip(([127, 0, 0, 1], 0).into()).unwrap(),
        ];
        for get_port in ways {
            let socket = udp();
            for _ in 0..2 {
                assert_eq!(in_kernel(&socket), [false; 2]);
                told(&socket);
                get_port(&socket, to);
                assert_eq!(in_kernel(&socket), [true; 2]);
                told(&socket);
                socket.disconnect().unwrap();
            }
            get_port(&socket, to);
            socket.set_option(SocketOption::REUSE_ADDR, 0).unwrap();
            assert_eq!(in_kernel(&socket), [false, true]);
        }
    }

    #[test]
    fn failed_connect_and_failed_bind_leave_no_flag() {
        let socket = udp();
        let broadcast = ([255, 255, 255, 255], 9).into();
        assert_eq!(socket.connect_datagram(broadcast), Err(Errno::EACCES));
        assert_eq!(in_kernel(&socket), [false; 2]);
        let (_held, address) = sink();
        assert_eq!(socket.bind_ip(address), Err(Errno::EADDRINUSE));
        assert_eq!(in_kernel(&socket), [false; 2]);
        told(&socket);
    }

    #[test]
    fn port_that_was_named_is_shared_with_who_has_the_flag() {
        let one = udp();
        one.bind_ip(([127, 0, 0, 1], 0).into()).unwrap();
        let address = one.local().unwrap();
        let other = udp();
        other.bind_ip(address).unwrap();
        assert_eq!(in_kernel(&other), [true; 2]);
        // It was named, so it stays.
        other.connect_datagram(address).unwrap();
        other.disconnect().unwrap();
        assert_eq!(other.local(), Ok(address));
        assert_eq!(
            (other.inbound(), in_kernel(&other)),
            (Inbound::Anyone, [true; 2])
        );
    }

    #[test]
    fn kernel_never_picks_a_port_that_another_holds_with_the_flag() {
        // Where ports are shared, the kernel would pick one of these as soon as one that is free.
        let holders: Vec<Socket> = std::iter::repeat_with(udp).take(200).collect();
        for holder in &holders {
            holder.bind_ip(([127, 0, 0, 1], 0).into()).unwrap();
        }
        let mut held: Vec<u16> = holders
            .iter()
            .map(|holder| holder.local().unwrap().port())
            .collect();
        held.sort_unstable();
        let count = held.len();
        held.dedup();
        assert_eq!(held.len(), count);
        let (_sink, to) = sink();
        for _ in 0..2000 {
            let socket = udp();
            send(&socket, to);
            let port = socket.local().unwrap().port();
            assert!(held.binary_search(&port).is_err());
        }
    }

    #[test]
    fn port_that_was_picked_is_given_up_with_what_was_granted() {
        let (_sink, to) = sink();
        let socket = udp();
        socket.bind_ip(([127, 0, 0, 1], 0).into()).unwrap();
        socket.state().grant.recent_senders.record(to);
        assert_eq!(socket.inbound(), Inbound::Anyone);
        socket.disconnect().unwrap();
        let grant = &socket.state().grant;
        assert_eq!((grant.inbound, grant.bound), (Inbound::Reachable, None));
        assert!(!grant.recent_senders.contains(to));
    }

    #[test]
    fn both_families_are_not_turned_on_once_bound() {
        let socket = Socket::open(AF_INET6, SOCK_DGRAM, 0).unwrap();
        socket.set_option(SocketOption::IPV6_V6ONLY, 1).unwrap();
        socket.bind_ip("[::]:0".parse().unwrap()).unwrap();
        let both = (SocketOption::IPV6_V6ONLY, 0);
        assert_eq!(socket.set_option(both.0, both.1), Err(Errno::EINVAL));
        // Given up: it is a new socket, which hears only whom it may send to.
        socket.disconnect().unwrap();
        assert_eq!(socket.set_option(both.0, both.1), Ok(()));
        assert_eq!(socket.inbound(), Inbound::Reachable);
    }
}
