//! The events of sockets. Nothing here is done, but for the counting of bytes, unless somebody receives them.

use std::collections::HashSet;
use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{SocketOption, UnixAddr};

use super::{Name, SocketsCtx};
use crate::event::{Endpoint, Event, SocketId};
use crate::sockets::{Connection, Family, Kind, Socket};

impl SocketsCtx {
    /// Reports the start and, if it is known already, the outcome of connect(2), which had this result.
    /// `before` is the connection's state until then.
    pub(super) fn report_connect(
        &self,
        socket: &Socket,
        to: SocketAddr,
        before: Connection,
        result: Result<(), Errno>,
    ) {
        if !self.events.are_received() {
            return;
        }
        let was_reported = match before {
            Connection::Connecting { reported, .. } => reported,
            // The socket is connected already: nothing was tried.
            _ if result == Err(Errno::EISCONN) => return,
            _ => {
                self.connect_tried(socket, endpoint(socket, to));
                false
            }
        };
        match result {
            _ if was_reported => {}
            Err(Errno::EINPROGRESS | Errno::EALREADY) => {}
            Err(Errno::EISCONN) => self.connect_ended(socket, endpoint(socket, to), Ok(())),
            result => self.connect_ended(socket, endpoint(socket, to), result),
        }
    }

    /// Reports connect(2) of a Unix socket, which had this result. EAGAIN, for want of room in the backlog, is
    /// no outcome.
    pub(super) fn report_unix_connect(
        &self,
        socket: &Socket,
        to: &UnixAddr,
        result: Result<(), Errno>,
    ) {
        if self.events.are_received() && result != Err(Errno::EAGAIN) {
            self.connect_tried(socket, unix_endpoint(to));
            self.connect_ended(socket, unix_endpoint(to), result);
        }
    }

    fn connect_tried(&self, socket: &Socket, to: Endpoint) {
        let socket = self.id_of(socket);
        self.events.send(&Event::ConnectTried { socket, to });
    }

    fn connect_ended(&self, socket: &Socket, to: Endpoint, result: Result<(), Errno>) {
        let socket = self.id_of(socket);
        self.events.send(&match result {
            Ok(()) => Event::ConnectMade { socket, to },
            Err(error) => Event::ConnectFailed { socket, to, error },
        });
    }

    /// Reports the outcome of a connection that takes time, once it is known: `error` is what SO_ERROR says, or
    /// why the connection need not be waited for any more.
    pub(super) fn report_outcome(&self, socket: &Socket, error: Option<Errno>) {
        let mut state = socket.state();
        let Connection::Connecting {
            to,
            reported: false,
        } = state.connection
        else {
            return;
        };
        let result = match error {
            Some(error) => Err(error),
            None if socket.peer_name().is_ok() => Ok(()),
            None => return,
        };
        state.connection = Connection::Connecting { to, reported: true };
        drop(state);
        if self.events.are_received() {
            self.connect_ended(socket, endpoint(socket, to), result);
        }
    }

    /// Counts bytes that were sent.
    pub(super) fn count_sent(&self, socket: &Socket, bytes: usize) {
        let traffic = socket.traffic();
        if traffic.sent() == 0 {
            self.report_outcome(socket, None);
        }
        traffic.add_sent(bytes);
    }

    /// Counts bytes that were received.
    pub(super) fn count_received(&self, socket: &Socket, bytes: usize) {
        let traffic = socket.traffic();
        if traffic.received() == 0 {
            self.report_outcome(socket, None);
        }
        traffic.add_received(bytes);
    }

    pub(super) fn report_listening(&self, socket: &Socket) {
        if !self.events.are_received() {
            return;
        }
        let at = match socket.family() {
            Family::Unix => Endpoint::Unix(text(socket.state().path.as_deref())),
            _ => match socket.local() {
                Ok(address) => endpoint(socket, address),
                Err(_) => return,
            },
        };
        let socket = self.id_of(socket);
        self.events.send(&Event::Listening { socket, at });
    }

    pub(super) fn report_accepted(
        &self,
        socket: &Socket,
        listener: &Socket,
        from: Option<&SocketAddrAny>,
    ) {
        if !self.events.are_received() {
            return;
        }
        let from = match self.name_of(from.cloned()) {
            Name::Ip(address) => endpoint(socket, address),
            Name::Unix(address) => unix_endpoint(&address),
            Name::None => Endpoint::Unix(String::new()),
        };
        self.events.send(&Event::Accepted {
            listener: self.id_of(listener),
            socket: self.id_of(socket),
            from,
        });
    }

    /// Reports the destination of a datagram, if it is not that of the socket's last one.
    pub(super) fn report_sent_to(&self, socket: &Socket, to: impl FnOnce() -> Endpoint) {
        if !self.events.are_received() {
            return;
        }
        let to = to();
        let mut state = socket.state();
        if state.counts.last_destination.as_ref() == Some(&to) {
            return;
        }
        state.counts.last_destination = Some(to.clone());
        drop(state);
        let socket = self.id_of(socket);
        self.events.send(&Event::SentTo { socket, to });
    }

    /// To be called when the guest gives an attempt to connect up: by shutdown(2), by close(2), or because it has
    /// to.
    pub(super) fn report_given_up(&self, socket: &Socket) {
        if socket.state().connection.is_connecting() {
            self.report_outcome(socket, None);
            self.report_outcome(socket, Some(Errno::ECANCELED));
        }
    }

    /// To be called before the last handle of a socket is closed.
    pub(super) fn report_closed(&self, socket: &Socket) {
        if !self.events.are_received() {
            return;
        }
        if socket.state().connection.is_connecting()
            && let Ok(error @ 1..) = socket.option(SocketOption::ERROR)
        {
            self.report_outcome(socket, Some(Errno(error as u32)));
        }
        self.report_given_up(socket);
        let traffic = socket.traffic();
        if traffic.id() != 0 {
            self.events.send(&Event::Closed {
                socket: SocketId(traffic.id()),
                sent: traffic.sent(),
                received: traffic.received(),
            });
        }
    }

    /// To be called before the guest's sockets are dropped.
    pub(super) fn report_end(&mut self) {
        if !self.events.are_received() {
            return;
        }
        let mut seen = HashSet::new();
        let mut closed = Bytes::default();
        for socket in self.handles.sockets() {
            if seen.insert(socket.identity()) {
                self.report_closed(socket);
                closed.add(socket);
            }
        }
        self.events.send(&Event::Ended {
            elapsed: self.started.elapsed(),
            cpu_time: self.cpu_time(),
            sent: self.closed.sent + closed.sent,
            received: self.closed.received + closed.received,
        });
    }

    fn id_of(&self, socket: &Socket) -> SocketId {
        let traffic = socket.traffic();
        if traffic.id() == 0 {
            traffic.set_id(self.events.next_id());
        }
        SocketId(traffic.id())
    }
}

/// Bytes that went over sockets which are closed.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    sent: u64,
    received: u64,
}

impl Bytes {
    /// Adds those of a socket that is being closed.
    pub(super) fn add(&mut self, socket: &Socket) {
        self.sent += socket.traffic().sent();
        self.received += socket.traffic().received();
    }
}

pub(super) fn endpoint(socket: &Socket, address: SocketAddr) -> Endpoint {
    match socket.kind() {
        Kind::Stream => Endpoint::Tcp(address),
        Kind::Datagram => Endpoint::Udp(address),
    }
}

pub(super) fn unix_endpoint(address: &UnixAddr) -> Endpoint {
    Endpoint::Unix(text(address.path().ok()))
}

fn text(path: Option<&[u8]>) -> String {
    String::from_utf8_lossy(path.unwrap_or_default()).into_owned()
}
