//! Events: everything that the host can see of a guest's network use, through one sink.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use wasisocket_abi::Errno;

use crate::errno::name_of;
use crate::limits::Limit;
use crate::names::{Answer, Question};
use crate::policy::Denial;

/// Something that a guest did, or that happened to it. Receive events with
/// [`SocketsCtxBuilder::on_event`](crate::SocketsCtxBuilder::on_event).
///
/// `Display` is one line without control characters, whatever the guest asked for.
///
/// The guest decides how many events there are: a program that connects in a loop produces events in a loop.
/// Whatever a sink writes or stores has to be bounded by the sink. Only [`Event::LimitReached`] is sent once
/// for each limit, and [`Event::Ended`] once for each guest. One event has a bounded size.
///
/// The numbers of sockets ([`SocketId`]) tell which events belong together. Events of different guests are told
/// apart by their sinks.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A look-up was started. Addresses that are looked up as if they were names are no look-ups.
    #[non_exhaustive]
    LookupAsked {
        /// What is looked up.
        question: Question,
    },
    /// A look-up succeeded. This comes from the thread of the look-up. Look-ups that are still running when
    /// the guest ends are not reported, but the report of one that is done at that moment may follow [`Event::Ended`].
    #[non_exhaustive]
    LookupAnswered {
        /// What was looked up.
        question: Question,
        /// The canonical name, or that of the address. It is text that whoever answers for the name chose.
        name: String,
        /// The addresses, at most [`wasisocket_abi::RESOLVE_MAX`]; none for the name of an address.
        addresses: Vec<IpAddr>,
    },
    /// A look-up failed.
    #[non_exhaustive]
    LookupFailed {
        /// What was looked up.
        question: Question,
        /// ENOENT if there is no such name or address; EBUSY if nobody answered; others of the system.
        error: Errno,
    },
    /// The guest connects a socket, and the policy allows it.
    #[non_exhaustive]
    ConnectTried {
        /// The guest's socket.
        socket: SocketId,
        /// Where it connects to.
        to: Endpoint,
    },
    /// A connection was made. For a connection that took time this is sent when the guest learns of it: by
    /// connect(2), by SO_ERROR or by the first data, at the latest when the socket is closed. For a UDP socket it
    /// says that the peer was set.
    #[non_exhaustive]
    ConnectMade {
        /// The guest's socket.
        socket: SocketId,
        /// Where it is connected to.
        to: Endpoint,
    },
    /// A connection was not made: it was refused, timed out or given up. Sent at the same moments as
    /// [`Event::ConnectMade`].
    #[non_exhaustive]
    ConnectFailed {
        /// The guest's socket.
        socket: SocketId,
        /// Where it was to be connected to.
        to: Endpoint,
        /// Why: ECONNREFUSED, ETIMEDOUT, ...; ECANCELED if it was not known yet when the guest gave it up.
        error: Errno,
    },
    /// A socket accepts connections from now on, or was bound to receive datagrams from anyone.
    #[non_exhaustive]
    Listening {
        /// The guest's socket.
        socket: SocketId,
        /// Its address.
        at: Endpoint,
    },
    /// The guest accepted a connection.
    #[non_exhaustive]
    Accepted {
        /// The new socket.
        socket: SocketId,
        /// The socket that listens.
        listener: SocketId,
        /// Who connected.
        from: Endpoint,
    },
    /// A socket without a peer sends a datagram to another destination than its last datagram.
    #[non_exhaustive]
    SentTo {
        /// The guest's socket.
        socket: SocketId,
        /// The destination.
        to: Endpoint,
    },
    /// The guest closed the last handle of a socket that an event has named.
    #[non_exhaustive]
    Closed {
        /// The guest's socket.
        socket: SocketId,
        /// Bytes of data that the guest sent over it.
        sent: u64,
        /// Bytes of data that the guest received over it.
        received: u64,
    },
    /// The guest did not get at a file, because no folder is granted that has it, or that may be written to. This is its
    /// own word, for people who look for the reason of its failure: what it may reach is checked by the host.
    #[non_exhaustive]
    FileRefused {
        /// Its path as the guest has it, where it is not UTF-8 with replacement characters.
        path: String,
        /// It was to be written, made or removed.
        writes: bool,
    },
    /// The guest waits for nothing, without end: it sleeps forever, or all of its threads wait for each other.
    WaitsForNothing,
    /// The guest reached a limit. Sent once for each limit, the first time it has an effect.
    LimitReached(Limit),
    /// An operation was refused. The guest saw EACCES.
    Denied(Denial),
    /// The guest's [`SocketsCtx`](crate::SocketsCtx) was dropped, after the sockets that were open.
    #[non_exhaustive]
    Ended {
        /// Wall time since it was built.
        elapsed: Duration,
        /// Its CPU time, as [`SocketsCtx::cpu_time`](crate::SocketsCtx::cpu_time) has it.
        cpu_time: Duration,
        /// Bytes of data that it sent over all of its sockets.
        sent: u64,
        /// Bytes of data that it received over all of its sockets.
        received: u64,
    },
}

/// The number of a socket in the events of one guest, from 1 in the order in which events name them. Unlike
/// handles and descriptors, no number is used again. Duplicates are one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(crate) u64);

impl SocketId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One end of a connection. `Display` is `192.0.2.1:443/tcp`, or the path of a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// Of a TCP connection.
    Tcp(SocketAddr),
    /// Of UDP or UDP-Lite.
    Udp(SocketAddr),
    /// A Unix socket: its path as the guest sees it, with replacement characters where it is not UTF-8; empty if
    /// it has no name.
    Unix(String),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}/tcp"),
            Self::Udp(address) => write!(f, "{address}/udp"),
            Self::Unix(path) if path.is_empty() => f.write_str("an unnamed Unix socket"),
            Self::Unix(path) => write!(f, "Unix socket {}", path.escape_debug()),
        }
    }
}

impl Event {
    /// Logs the event with `tracing`, as happens to every event of a guest without a sink. A sink that should
    /// log too calls this.
    ///
    /// | event | level | name | target | fields |
    /// |---|---|---|---|---|
    /// | [`Event::Denied`] | warning | `denied` | `wasisocket::denied` | the message is the denial |
    /// | [`Event::LimitReached`] | warning | `limit` | `wasisocket::limit` | `limit`, its name ([`Limit::name`]) |
    /// | all others | debug | `event` | `wasisocket::event` | the message is the event |
    pub fn log(&self) {
        match self {
            Self::Denied(denial) => {
                tracing::warn!(name: "denied", target: "wasisocket::denied", "{denial}");
            }
            Self::LimitReached(limit) => {
                tracing::warn!(name: "limit", target: "wasisocket::limit", limit = limit.name(), "reached");
            }
            event => tracing::debug!(name: "event", target: "wasisocket::event", "{event}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LookupAsked { question } => write!(f, "looking up {question}"),
            Self::LookupAnswered {
                question,
                name,
                addresses,
            } => {
                write!(f, "look-up of {question} found {}", name.escape_debug())?;
                addresses.iter().try_for_each(|ip| write!(f, " {ip}"))
            }
            Self::LookupFailed { question, error } => {
                write!(f, "look-up of {question} failed: {}", name_of(*error))
            }
            Self::ConnectTried { socket, to } => write!(f, "{socket} connects to {to}"),
            Self::ConnectMade { socket, to } => write!(f, "{socket} is connected to {to}"),
            Self::ConnectFailed { socket, to, error } => {
                write!(f, "{socket} cannot connect to {to}: {}", name_of(*error))
            }
            Self::Listening { socket, at } => write!(f, "{socket} listens at {at}"),
            Self::Accepted {
                socket,
                listener,
                from,
            } => write!(f, "{socket} was accepted at {listener} from {from}"),
            Self::SentTo { socket, to } => write!(f, "{socket} sends to {to}"),
            Self::Closed {
                socket,
                sent,
                received,
            } => write!(
                f,
                "{socket} was closed, {sent} bytes sent and {received} received"
            ),
            Self::FileRefused { path, writes } => {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let folder = if folder.is_empty() { "/" } else { folder }.escape_debug();
                let path = path.escape_debug();
                match writes {
                    true => write!(f, "write to {path} refused: needs --dir DIR::{folder}"),
                    false => write!(f, "open {path} refused: needs --dir DIR::{folder}:ro"),
                }
            }
            Self::WaitsForNothing => f.write_str(
                "the guest waits for nothing, without end: if it has threads, they wait for each other",
            ),
            Self::LimitReached(limit) => write!(f, "limit {limit} reached"),
            Self::Denied(denial) => denial.fmt(f),
            Self::Ended {
                elapsed,
                cpu_time,
                sent,
                received,
            } => write!(
                f,
                "the guest ended after {elapsed:?} and {cpu_time:?} of CPU time, {sent} bytes sent and \
                 {received} received"
            ),
        }
    }
}

/// What receives events.
pub(crate) type Sink = dyn Fn(&Event) + Send + Sync;

/// Where the events of one guest go. Clones share the sink.
#[derive(Clone, Default)]
pub(crate) struct Events {
    sink: Option<Arc<Sink>>,
    /// The limits whose event was sent.
    reached: Arc<Mutex<Vec<Limit>>>,
    /// The largest number of a socket so far.
    last_id: Arc<AtomicU64>,
}

impl Events {
    /// Without a sink, events are logged.
    pub(crate) fn new(sink: Option<Arc<Sink>>) -> Self {
        Self {
            sink,
            ..Self::default()
        }
    }

    /// Does anybody receive the events that are logged at debug level? If not, they need not be made.
    pub(crate) fn are_received(&self) -> bool {
        self.sink.is_some() || tracing::enabled!(target: "wasisocket::event", tracing::Level::DEBUG)
    }

    pub(crate) fn send(&self, event: &Event) {
        match &self.sink {
            Some(sink) => sink(event),
            None => event.log(),
        }
    }

    /// The number of the next socket.
    pub(crate) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn denied(&self, denial: Denial) {
        self.send(&Event::Denied(denial));
    }

    /// Sends the event of a limit, once.
    pub(crate) fn limit_reached(&self, limit: Limit) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        if reached.contains(&limit) {
            return;
        }
        reached.push(limit);
        drop(reached);
        self.send(&Event::LimitReached(limit));
    }

    /// Sends an event that is made only if somebody receives it, and if it then turns out to be one.
    pub(crate) fn send_if(&self, event: impl FnOnce() -> Option<Event>) {
        if self.are_received()
            && let Some(event) = event()
        {
            self.send(&event);
        }
    }

    pub(crate) fn lookup_asked(&self, question: &Question) {
        self.send_if(|| {
            let question = question.clone();
            Some(Event::LookupAsked { question })
        });
    }

    pub(crate) fn lookup_done(&self, question: &Question, answer: Result<&Answer, Errno>) {
        self.send_if(|| {
            let question = question.clone();
            Some(match answer {
                Ok(answer) => Event::LookupAnswered {
                    question,
                    name: answer.host.clone(),
                    addresses: answer.addresses.clone(),
                },
                Err(error) => Event::LookupFailed { question, error },
            })
        });
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("has_sink", &self.sink.is_some())
            .finish_non_exhaustive()
    }
}
