//! The events of sockets. Nothing here is done, but for the counting of bytes, unless somebody receives them.

use std::collections::HashSet;
use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{SocketOption, UnixAddr};

use super::{Name, SocketsCtx};
use crate::event::{Endpoint, Event, SocketId};
use crate::sockets::{Connection, Counter, Family, Kind, Socket};

impl SocketsCtx {
    /// The guest says that it did not get at a file.
    pub(crate) fn file_refused(&self, path: &[u8], writes: bool) {
        self.events.send_if(|| {
            let path = String::from_utf8_lossy(path).into_owned();
            Some(Event::FileRefused { path, writes })
        });
    }

    /// Reports that the guest waits without end for nothing.
    pub(crate) fn waits_for_nothing(&self) {
        self.events.send_if(|| Some(Event::WaitsForNothing));
    }

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
        self.count_bytes(socket, &socket.traffic().sent, bytes);
    }

    /// Counts bytes that were received.
    pub(super) fn count_received(&self, socket: &Socket, bytes: usize) {
        self.count_bytes(socket, &socket.traffic().received, bytes);
    }

    fn count_bytes(&self, socket: &Socket, counter: &Counter, bytes: usize) {
        if counter.get() == 0 {
            self.report_outcome(socket, None);
        }
        counter.add(bytes);
    }

    pub(super) fn report_listening(&self, socket: &Socket) {
        self.events.send_if(|| {
            let at = match socket.family() {
                Family::Unix => Endpoint::Unix(text(socket.state().path.as_deref())),
                _ => endpoint(socket, socket.local().ok()?),
            };
            let socket = self.id_of(socket);
            Some(Event::Listening { socket, at })
        });
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
        self.events.send_if(|| {
            let to = to();
            let last = socket.state().counts.last_destination.replace(to.clone());
            let is_new = last.as_ref() != Some(&to);
            is_new.then(|| Event::SentTo {
                socket: self.id_of(socket),
                to,
            })
        });
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
        if traffic.id.get() != 0 {
            self.events.send(&Event::Closed {
                socket: SocketId(traffic.id.get()),
                sent: traffic.sent.get(),
                received: traffic.received.get(),
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
        let id = &socket.traffic().id;
        if id.get() == 0 {
            id.set(self.events.next_id());
        }
        SocketId(id.get())
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
        self.sent += socket.traffic().sent.get();
        self.received += socket.traffic().received.get();
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

#[cfg(test)]
mod tests {
    use super::SocketsCtx;
    use crate::ctx::{Address, ConnectCall, NotDone, Outgoing};
    use crate::event::Event;
    use crate::sockets::{Buffers, Patience, Receiving};
    use crate::{Policy, Resolver};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::net::RecvFlags;
    use std::net::{SocketAddr, TcpListener, UdpSocket};
    use std::sync::{Arc, Mutex};
    use wasisocket_abi::v1::{SHUT_WRITE, SocketOption};
    use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};

    type Lines = Arc<Mutex<Vec<String>>>;

    /// A guest that may do all, and its events.
    fn guest() -> (SocketsCtx, Lines) {
        let lines = Lines::default();
        let sink = Arc::clone(&lines);
        let policy = Policy::new().allow("*").unwrap();
        let policy = policy.allow_listen("*").unwrap();
        let resolver = Resolver::new().resolve("a.test:192.0.2.1").unwrap();
        let sockets = SocketsCtx::builder(policy).resolver(resolver);
        let sockets = sockets.on_event(move |event| {
            // How long it took is different each time.
            if !matches!(event, Event::Ended { .. }) {
                sink.lock().unwrap().push(event.to_string());
            }
        });
        (sockets.build(), lines)
    }

    fn connect(sockets: &mut SocketsCtx, handle: u32, to: SocketAddr) -> Result<(), Errno> {
        match sockets.connect(handle, Address::Ip(to), &mut ConnectCall::default()) {
            Err(NotDone::Errno(errno)) => Err(errno),
            Err(NotDone::Pause(_)) => panic!("there is no rate"),
            Ok(()) => Ok(()),
        }
    }

    /// Waits for what a handle stands for.
    fn wait(sockets: &SocketsCtx, handle: u32, events: PollFlags) {
        let mut fds = [PollFd::new(sockets.handles.get(handle).unwrap(), events)];
        let soon = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut fds, Some(&soon)), Ok(1));
    }

    fn send(sockets: &mut SocketsCtx, handle: u32, data: &[u8], to: Option<SocketAddr>) {
        let message = Outgoing {
            to: to.map(Address::Ip),
            ..Outgoing::to_peer(data)
        };
        let sent = sockets.send(handle, message, Patience::NONE);
        assert_eq!(sent, Ok(data.len()));
    }

    fn receive(sockets: &mut SocketsCtx, handle: u32, flags: RecvFlags) -> usize {
        let receiving = Receiving {
            flags,
            from: false,
            ancillary: false,
            needs_peer: false,
            patience: Patience::NONE,
        };
        let mut buffer = [0; 64];
        let (incoming, _) = sockets
            .receive(handle, &mut Buffers::One(&mut buffer), receiving)
            .unwrap();
        incoming.length
    }

    #[test]
    fn connection_is_reported_from_its_start_to_its_bytes() {
        let (mut sockets, lines) = guest();
        let listener = sockets.open(AF_INET, SOCK_STREAM, 0).unwrap();
        let loopback = Address::Ip(([127, 0, 0, 1], 0).into());
        sockets.bind(listener, loopback).unwrap();
        sockets.listen(listener, 5).unwrap();
        sockets.listen(listener, 6).unwrap();
        let at = sockets.handles.socket(listener).unwrap().local().unwrap();
        let client = sockets.open(AF_INET, SOCK_STREAM, 0).unwrap();
        assert_eq!(connect(&mut sockets, client, at), Err(Errno::EINPROGRESS));
        wait(&sockets, client, PollFlags::OUT);
        for _ in 0..2 {
            assert_eq!(sockets.option(client, SocketOption::ERROR), Ok(0));
        }
        assert_eq!(connect(&mut sockets, client, at), Ok(()));
        assert_eq!(connect(&mut sockets, client, at), Err(Errno::EISCONN));
        wait(&sockets, listener, PollFlags::IN);
        let (accepted, _) = sockets.accept(listener).unwrap();
        let from = sockets.handles.socket(client).unwrap().local().unwrap();
        send(&mut sockets, client, b"question", None);
        wait(&sockets, accepted, PollFlags::IN);
        assert_eq!(receive(&mut sockets, accepted, RecvFlags::PEEK), 8);
        assert_eq!(receive(&mut sockets, accepted, RecvFlags::empty()), 8);
        let duplicate = sockets.duplicate(client).unwrap();
        sockets.close(client).unwrap();
        sockets.close(duplicate).unwrap();
        drop(sockets);
        assert_eq!(
            *lines.lock().unwrap(),
            [
                format!("#1 listens at {at}/tcp"),
                format!("#2 connects to {at}/tcp"),
                format!("#2 is connected to {at}/tcp"),
                format!("#3 was accepted at #1 from {from}/tcp"),
                "#2 was closed, 8 bytes sent and 0 received".into(),
                "#1 was closed, 0 bytes sent and 0 received".into(),
                "#3 was closed, 0 bytes sent and 8 received".into(),
            ]
        );
    }

    #[test]
    fn outcome_is_reported_once_whoever_learns_of_it() {
        let refused = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap()
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let open = listener.local_addr().unwrap();
        type Way = fn(&mut SocketsCtx, u32, SocketAddr);
        let by_error: Way = |sockets, handle, _| {
            sockets.option(handle, SocketOption::ERROR).unwrap();
        };
        let by_connect: Way = |sockets, handle, to| {
            let _ = connect(sockets, handle, to);
        };
        let by_data: Way = |sockets, handle, _| send(sockets, handle, b"x", None);
        let by_shutdown: Way = |sockets, handle, _| sockets.shutdown(handle, SHUT_WRITE).unwrap();
        let by_nothing: Way = |_, _, _| ();
        for (to, outcome, ways) in [
            (
                open,
                format!("#1 is connected to {open}/tcp"),
                &[by_error, by_connect, by_data, by_shutdown, by_nothing][..],
            ),
            (
                refused,
                format!("#1 cannot connect to {refused}/tcp: ECONNREFUSED"),
                &[by_error, by_connect, by_nothing],
            ),
        ] {
            for way in ways {
                let (mut sockets, lines) = guest();
                let handle = sockets.open(AF_INET, SOCK_STREAM, 0).unwrap();
                assert_eq!(connect(&mut sockets, handle, to), Err(Errno::EINPROGRESS));
                wait(&sockets, handle, PollFlags::OUT);
                way(&mut sockets, handle, to);
                sockets.close(handle).unwrap();
                let lines = lines.lock().unwrap();
                assert_eq!(
                    lines[..2],
                    [format!("#1 connects to {to}/tcp"), outcome.clone()]
                );
                assert!(lines[2].starts_with("#1 was closed"), "{lines:?}");
                assert_eq!(lines.len(), 3);
            }
        }
    }

    #[test]
    fn datagrams_are_reported_by_their_destinations() {
        let (mut sockets, lines) = guest();
        let receivers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [first, second] = receivers.each_ref().map(|to| to.local_addr().unwrap());
        let handle = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        for to in [first, first, second, first] {
            send(&mut sockets, handle, b"four", Some(to));
        }
        // Nothing names this one.
        let unused = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        sockets.close(unused).unwrap();
        sockets.close(handle).unwrap();
        let bound = sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap();
        sockets
            .bind(bound, Address::Ip(([127, 0, 0, 1], 0).into()))
            .unwrap();
        let at = sockets.handles.socket(bound).unwrap().local().unwrap();
        assert_eq!(connect(&mut sockets, bound, first), Ok(()));
        assert_eq!(
            *lines.lock().unwrap(),
            [
                format!("#1 sends to {first}/udp"),
                format!("#1 sends to {second}/udp"),
                format!("#1 sends to {first}/udp"),
                "#1 was closed, 16 bytes sent and 0 received".into(),
                format!("#2 listens at {at}/udp"),
                format!("#2 connects to {first}/udp"),
                format!("#2 is connected to {first}/udp"),
            ]
        );
    }

    #[test]
    fn lookups_are_reported_with_their_answers() {
        let (mut sockets, lines) = guest();
        let mut lookups: Vec<_> = ["a.test", "b.test", "192.0.2.9"]
            .map(|name| sockets.lookup_name(name.as_bytes(), AF_INET).unwrap())
            .into();
        lookups.push(sockets.lookup_addr([192, 0, 2, 7].into()).unwrap());
        // Those that are not in the table come from threads.
        for lookup in lookups {
            wait(&sockets, lookup, PollFlags::IN);
        }
        let mut lines = lines.lock().unwrap().clone();
        lines.sort();
        assert_eq!(
            lines,
            [
                "look-up of 192.0.2.7 failed: ENOENT",
                "look-up of a.test (IPv4) found a.test 192.0.2.1",
                "look-up of b.test (IPv4) failed: ENOENT",
                "looking up 192.0.2.7",
                "looking up a.test (IPv4)",
                "looking up b.test (IPv4)",
            ]
        );
    }

    #[test]
    fn end_is_reported_with_the_bytes_of_all_sockets() {
        let ended: Arc<Mutex<Vec<Event>>> = Arc::default();
        let sink = Arc::clone(&ended);
        let sockets = SocketsCtx::builder(Policy::new().allow("*").unwrap());
        let mut sockets = sockets
            .on_event(move |event| sink.lock().unwrap().push(event.clone()))
            .build();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = receiver.local_addr().unwrap();
        let handles = [(); 2].map(|()| sockets.open(AF_INET, SOCK_DGRAM, 0).unwrap());
        for handle in handles {
            send(&mut sockets, handle, b"four", Some(to));
        }
        sockets.close(handles[0]).unwrap();
        drop(sockets);
        let ended = ended.lock().unwrap();
        assert!(
            matches!(
                ended.last(),
                Some(Event::Ended {
                    sent: 8,
                    received: 0,
                    ..
                })
            ),
            "{ended:?}"
        );
    }
}
