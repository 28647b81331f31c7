//! How much a guest may use. No sockets in here.

mod bucket;
mod usage;

use std::fmt;
use std::time::Duration;

pub(crate) use usage::{Counted, LimitSink, Told, Usage};

/// Open handles that a guest may have unless its limits say otherwise. Each is a file descriptor of
/// the host's process, whose own limit is often 1024 for all guests together.
pub const MAX_SOCKETS_DEFAULT: usize = 256;

/// How much one guest may use. Without a number there is no limit, but for [`Limits::max_sockets`].
///
/// What is counted are IPv4 and IPv6 sockets; Unix sockets, of which connected pairs are made without any
/// grant, are only among the open ones. A limit that is reached is told of once by `tracing`, as a warning
/// with the name `limit`, the target `wasisocket::limit` and the field `limit`, its name ([`Limit`]), and to
/// [`on_limit`](crate::SocketsCtxBuilder::on_limit).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many handles may be open at once: sockets, interest sets and look-ups together; one more is
    /// EMFILE. Each can be in 16 interest sets, for which the system has a limit for each user (epoll(7),
    /// max_user_watches). As many descriptors may be sent through Unix sockets and not come back, one more is ENOBUFS;
    /// and as many connections may wait to be accepted at each listener, four times as many in all, but four at each.
    pub max_sockets: usize,
    /// Connections in all, made and accepted; one more is EDQUOT, and ENOBUFS of accept(2), at which servers
    /// pause.
    pub max_connections: Option<u64>,
    /// Connections that are made a second. The guest waits.
    pub connect_rate: Option<u64>,
    /// Bytes that are received in all, each once, also if it is looked at before (MSG_PEEK); beyond them receiving
    /// is EDQUOT. A datagram counts for 28 bytes at least, what its headers take.
    pub max_bytes_in: Option<u64>,
    /// Bytes that are sent in all; beyond them sending is EDQUOT. Datagrams count as they do when received.
    pub max_bytes_out: Option<u64>,
    /// Bytes that are received a second. The guest waits, also in a call that does not.
    pub rate_in: Option<u64>,
    /// Bytes that are sent a second. The guest waits, also in a call that does not.
    pub rate_out: Option<u64>,
    /// Look-ups of names and addresses in all; one more is EDQUOT. Two in a row for the two families of a name are
    /// one.
    pub max_lookups: Option<u64>,
    /// Wall time from the start to the end of a guest. See [`limit_time`](crate::limit_time), without which
    /// nothing ends one that makes no call.
    pub timeout: Option<Duration>,
    /// The time that processors work for a guest, in its code and for its calls and look-ups, but not what
    /// wasmtime-wasi does for its files in other threads, as it does in asynchronous stores. It is counted and held by
    /// [`limit_time`](crate::limit_time) alone.
    pub max_cpu: Option<Duration>,
    /// Bytes of its linear memory and its tables; more is not there, which is ENOMEM. Held by
    /// [`limit_memory`](crate::limit_memory) alone.
    pub max_memory: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sockets: MAX_SOCKETS_DEFAULT,
            max_connections: None,
            connect_rate: None,
            max_bytes_in: None,
            max_bytes_out: None,
            rate_in: None,
            rate_out: None,
            max_lookups: None,
            timeout: None,
            max_cpu: None,
            max_memory: None,
        }
    }
}

/// A limit that a guest reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// [`Limits::max_sockets`].
    MaxSockets,
    /// [`Limits::max_connections`].
    MaxConnections,
    /// [`Limits::connect_rate`].
    ConnectRate,
    /// [`Limits::max_bytes_in`].
    MaxBytesIn,
    /// [`Limits::max_bytes_out`].
    MaxBytesOut,
    /// [`Limits::rate_in`].
    RateIn,
    /// [`Limits::rate_out`].
    RateOut,
    /// [`Limits::max_lookups`].
    MaxLookups,
    /// [`Limits::timeout`].
    Timeout,
    /// [`Limits::max_cpu`].
    MaxCpu,
    /// [`Limits::max_memory`].
    MaxMemory,
}

impl Limit {
    /// Its name on the command line, in a policy file and in events. It does not change.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxSockets => "max-sockets",
            Self::MaxConnections => "max-connections",
            Self::ConnectRate => "connect-rate",
            Self::MaxBytesIn => "max-bytes-in",
            Self::MaxBytesOut => "max-bytes-out",
            Self::RateIn => "rate-in",
            Self::RateOut => "rate-out",
            Self::MaxLookups => "max-lookups",
            Self::Timeout => "timeout",
            Self::MaxCpu => "max-cpu",
            Self::MaxMemory => "max-memory",
        }
    }

    /// Tells of it by `tracing`, as [`Limits`] says: for who holds a limit in place of this library.
    pub fn log(self) {
        tracing::warn!(name: "limit", target: "wasisocket::limit", limit = self.name(), "reached");
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error of a call into a guest that was ended because of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached(pub(crate) Limit);

impl LimitReached {
    /// Which limit it was.
    #[must_use]
    pub const fn limit(self) -> Limit {
        self.0
    }
}

impl fmt::Display for LimitReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest was ended: it reached its limit {}", self.0)
    }
}

impl std::error::Error for LimitReached {}
