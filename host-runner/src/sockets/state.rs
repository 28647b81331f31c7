//! What is known of a socket besides what the kernel knows: what was granted, what is counted, and how far a
//! connection is. Duplicates of a socket share it, as they share the kernel's state.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use wasisocket_abi::Errno;

use super::port::Reuse;
use super::recent_senders::RecentSenders;
use crate::event::Endpoint;

/// The state of a socket, in three parts, and its settings.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) grant: Grant,
    pub(crate) counts: Counts,
    pub(crate) connection: Connection,
    /// The path that a Unix socket is bound to, as the guest sees it.
    pub(crate) path: Option<Arc<[u8]>>,
    /// SO_REUSEADDR and SO_REUSEPORT of a UDP socket, and SO_REUSEPORT of a stream, as the guest set them.
    pub(super) reuse: Reuse,
}

impl State {
    pub(super) fn new(inbound: Inbound) -> Self {
        Self {
            grant: Grant::new(inbound),
            counts: Counts::default(),
            connection: Connection::Unconnected,
            path: None,
            reuse: Reuse::default(),
        }
    }
}

/// What the policy granted.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) inbound: Inbound,
    /// The address that the guest bound the socket to, under a grant. With port 0 the kernel may have taken its
    /// choice back: for a UDP socket this is then `None`; for a stream, where getsockname(2) does not tell, it
    /// stays.
    pub(crate) bound: Option<SocketAddr>,
    /// The last verdict about a destination, so that the policy need not be asked for each datagram.
    pub(crate) destination: Option<AllowedDestination>,
    /// Who sent to the socket while it was [`Inbound::Anyone`], and may be answered.
    pub(crate) recent_senders: RecentSenders,
    /// The guest connects to itself with this stream, without a rule for it.
    pub(crate) self_connect: bool,
    /// The socket was sent through a Unix socket, so that others may have it too.
    pub(crate) is_shared: bool,
}

/// A destination that the policy allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AllowedDestination {
    pub(crate) address: SocketAddr,
    /// [`LookedUp::changes`](crate::policy::LookedUp) at that time: the verdict holds as long as it is the same.
    pub(crate) changes: u64,
    /// How long the verdict holds; `None` without end.
    pub(crate) until: Option<Instant>,
}

/// Who may send to a socket. A UDP socket would take datagrams from anyone. UDP-Lite counts as UDP.
///
/// ```text
///             connect            connect again, disconnect
///   Nobody ------------> Peer -------------------------------> Reachable
///     |  \---- send, failed connect is undone ---------------->    ^
///     |                                                            | disconnect takes the port back
///     \--------- bind ---------------------------------------> Anyone
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound {
    /// A stream or a Unix socket: its peer, or whoever can reach its path. The kernel decides.
    Kernel,
    /// UDP without a port: nobody can send to it.
    Nobody,
    /// UDP that was connected while it was `Nobody`: its peer. The kernel filters from the moment that it is
    /// connected, but picks a port a moment earlier.
    Peer(SocketAddr),
    /// UDP whose port the kernel picked for sending or connecting: those that the guest may send to.
    Reachable,
    /// UDP that was bound under a grant to listen: anyone whom no deny rule forbids.
    Anyone,
}

impl Grant {
    fn new(inbound: Inbound) -> Self {
        Self {
            inbound,
            bound: None,
            destination: None,
            recent_senders: RecentSenders::default(),
            self_connect: false,
            is_shared: false,
        }
    }
}

/// What is counted, and remembered for events.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// How many bytes at the head of the queue were shown by MSG_PEEK, and so are counted already.
    pub(crate) peeked: usize,
    /// How many entries of interest sets the socket has.
    pub(crate) watched: usize,
    /// The largest backlog that listen(2) was given: connections stay if a later one is less.
    pub(crate) backlog: usize,
    /// The destination of the last datagram, if somebody receives events.
    pub(crate) last_destination: Option<Endpoint>,
}

/// How much was sent and received over a socket, and its number in events. Only the guest's own thread changes
/// it: these are plain integers that may be read from others.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: Counter,
    pub(crate) received: Counter,
    /// The number in events; 0 if no event named the socket.
    pub(crate) id: Counter,
}

/// A number that the guest's own thread changes.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    pub(crate) fn add(&self, more: usize) {
        self.set(self.get().wrapping_add(more as u64));
    }
}

/// How far the connection of a stream is, as far as this guest brought it: if others have the socket too, the
/// kernel may know better.
///
/// ```text
///                connect: EINPROGRESS               connect: success
///   Unconnected ----------------------> Connecting -----------------> Connected
///    |      ^  ^------------------------|                                  ^
///    |      |    connect: error,                                           |
///    |      |    shutdown, given up                                        |
///    |      |                         connect: success; accept             |
///    |      \--------------------------------------------------------------/
///    \--- listen --> Listening --- shutdown --> Unconnected
/// ```
///
/// A connection that has ended stays `Connected`, as it does for Linux: the socket cannot connect again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Connection {
    #[default]
    Unconnected,
    /// connect(2) answered EINPROGRESS. As in Linux (SS_CONNECTING in inet_stream_connect), only another connect(2)
    /// ends this state, even if the guest has learned the outcome by other means, such as SO_ERROR. Until then,
    /// connect(2) continues this attempt and does not count as a new one.
    Connecting {
        to: SocketAddr,
        /// Its outcome was reported as an event.
        reported: bool,
    },
    Connected,
    Listening,
}

impl Connection {
    pub(crate) fn is_connecting(self) -> bool {
        matches!(self, Self::Connecting { .. })
    }

    /// The state after connect(2) to an address had this result.
    pub(crate) fn after_connect(self, to: SocketAddr, result: Result<(), Errno>) -> Self {
        match (result, self) {
            (Ok(()), _) => Self::Connected,
            (Err(Errno::EINPROGRESS | Errno::EALREADY), Self::Connecting { .. }) => self,
            (Err(Errno::EINPROGRESS | Errno::EALREADY), _) => Self::Connecting {
                to,
                reported: false,
            },
            (Err(_), Self::Connected | Self::Listening) => self,
            (Err(Errno::EISCONN), _) => Self::Connected,
            (Err(_), _) => Self::Unconnected,
        }
    }

    /// The state after shutdown(2), which ends an attempt to connect and listening (inet_shutdown), or after an
    /// attempt was given up.
    pub(crate) fn after_shutdown(self) -> Self {
        match self {
            Self::Connected => Self::Connected,
            _ => Self::Unconnected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Connection, Errno, SocketAddr};

    #[test]
    fn attempt_to_connect_ends_by_connect_or_shutdown_only() {
        let to: SocketAddr = ([192, 0, 2, 1], 80).into();
        let start = Connection::Unconnected;
        let connecting = start.after_connect(to, Err(Errno::EINPROGRESS));
        assert_eq!(
            connecting,
            Connection::Connecting {
                to,
                reported: false
            }
        );
        let reported = Connection::Connecting { to, reported: true };
        assert_eq!(reported.after_connect(to, Err(Errno::EALREADY)), reported);
        assert_eq!(connecting.after_connect(to, Ok(())), Connection::Connected);
        for errno in [Errno::ECONNREFUSED, Errno::ECONNABORTED] {
            assert_eq!(connecting.after_connect(to, Err(errno)), start);
        }
        assert_eq!(connecting.after_shutdown(), start);
        assert_eq!(start.after_connect(to, Ok(())), Connection::Connected);
    }

    #[test]
    fn connected_and_listening_sockets_do_not_connect_again() {
        let to: SocketAddr = ([192, 0, 2, 1], 80).into();
        for state in [Connection::Connected, Connection::Listening] {
            assert_eq!(state.after_connect(to, Err(Errno::EISCONN)), state);
        }
        assert_eq!(
            Connection::Connected.after_shutdown(),
            Connection::Connected
        );
        let ended = Connection::Listening.after_shutdown();
        assert_eq!(ended, Connection::Unconnected);
    }
}
