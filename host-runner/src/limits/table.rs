//! The limits, declared once. A limit is one entry of this table and its enforcement: the field of [`Limits`], the
//! variant of [`Limit`], the flag, the key of a policy file, the builder's method and the errors come from here.

use std::convert::identity;
use std::time::Duration;

use super::value::{Grammar, LimitError, Number, PerSecond, Size, Time};
use crate::list::flags;

/// Calls a macro with the table: documentation, variant, field, its type and default, how a value becomes that
/// type, the value's type, the name, the grammar of the value, and a line of help.
macro_rules! with_limits {
    ($callback:ident) => {
        $callback! {
            /// How many handles may be open at once: sockets, interest sets, look-ups and calls together. One more is
            /// EMFILE. Each can be in 16 interest sets, for which the system has a limit for each user (epoll(7),
            /// max_user_watches). As many descriptors may be sent through Unix sockets and not come back, one more
            /// is ENOBUFS; and as many connections may wait to be accepted at each listener, four times as many in
            /// all, but four at each.
            MaxSockets max_sockets: usize = MAX_SOCKETS_DEFAULT, identity(usize), "max-sockets", Number,
                "The most sockets that the guest may have open [default: 256]";
            /// How many files and folders may be open at once, beside those that the guest is given. One more is EMFILE.
            /// Enforced by an embedder that gives the guest some: see [`SocketsCtx::files`](crate::SocketsCtx::files).
            MaxFiles max_files: usize = MAX_FILES_DEFAULT, identity(usize), "max-files", Number,
                "The most files and folders that it may have open [default: 256]";
            /// How many threads there may be at once beside the main one. One more cannot be started (EAGAIN, in Python
            /// RuntimeError); 0 is a guest without threads. Each has a stack of the host's, of up to 8 MiB, outside of
            /// [`Limits::max_memory`]. Enforced by an embedder that gives the guest threads: see
            /// [`SocketsCtx::threads`](crate::SocketsCtx::threads).
            MaxThreads max_threads: usize = MAX_THREADS_DEFAULT, identity(usize), "max-threads", Number,
                "The most threads beside the main one; 0 for none [default: 256]";
            /// Connections in all, made and accepted. One more is EDQUOT, and ENOBUFS of accept(2), at which servers
            /// pause.
            MaxConnections max_connections: Option<u64> = None, Some(u64), "max-connections", Number,
                "The most connections in all, made and accepted";
            /// Connections that are made a second. The guest waits.
            ConnectRate connect_rate: Option<u64> = None, Some(u64), "connect-rate", PerSecond<Number>,
                "The most connections that the guest makes a second";
            /// Bytes that are received in all, each once, also if it is looked at before (MSG_PEEK). Beyond them,
            /// receiving is EDQUOT. A datagram counts for 28 bytes at least, the size of its headers.
            MaxBytesIn max_bytes_in: Option<u64> = None, Some(u64), "max-bytes-in", Size,
                "The most bytes that it receives in all; 16M, 1G";
            /// Bytes that are sent in all. Beyond them, sending is EDQUOT. Datagrams count as for
            /// [`Limits::max_bytes_in`].
            MaxBytesOut max_bytes_out: Option<u64> = None, Some(u64), "max-bytes-out", Size,
                "The most bytes that it sends in all";
            /// Bytes that are received a second. The guest waits, also in a call that does not wait otherwise.
            RateIn rate_in: Option<u64> = None, Some(u64), "rate-in", PerSecond<Size>,
                "The most bytes that it receives a second";
            /// Bytes that are sent a second. The guest waits, also in a call that does not wait otherwise.
            RateOut rate_out: Option<u64> = None, Some(u64), "rate-out", PerSecond<Size>,
                "The most bytes that it sends a second";
            /// Look-ups of names and addresses in all. One more is EDQUOT. Two consecutive look-ups for the two
            /// families of a name count as one.
            MaxLookups max_lookups: Option<u64> = None, Some(u64), "max-lookups", Number,
                "The most look-ups of names and addresses; the two families of a name are one";
            /// Wall time from the start of a guest to its end. See [`limit_time`](crate::limit_time), without which
            /// nothing ends a guest that makes no call.
            Timeout timeout: Option<Duration> = None, Some(Duration), "timeout", Time,
                "End the guest after this time, with status 124; 10, 0.5, 10s, 5m, 2h";
            /// CPU time, of the guest's code and of its calls and look-ups, but not of what wasmtime-wasi does for
            /// its files in other threads, as it does in asynchronous stores. It is counted and enforced by
            /// [`limit_time`](crate::limit_time) alone.
            MaxCpu max_cpu: Option<Duration> = None, Some(Duration), "max-cpu", Time,
                "End the guest after so much CPU time, with status 124";
            /// Bytes of its linear memories and tables. More is refused, which a guest sees as ENOMEM. Enforced by
            /// [`limit_memory`](crate::limit_memory) alone.
            MaxMemory max_memory: Option<usize> = None, Some(usize), "max-memory", Size,
                "The most memory that the guest may have; 256M, 1G";
            /// Bytes that files in folders of the guest grow by, with [`DiskQuota::NAME`](crate::DiskQuota::NAME) for each
            /// new name; what is removed is given back. More is ENOSPC. Unix sockets that are bound count. For files it is
            /// enforced by an embedder that gives the guest some: see [`SocketsCtx::disk`](crate::SocketsCtx::disk).
            MaxDisk max_disk: Option<u64> = Some(MAX_DISK_DEFAULT), Some(u64), "max-disk", Size,
                "The most bytes that its files may grow by [default: 256M]";
        }
    };
}
pub(crate) use with_limits;

/// Open handles that a guest may have unless its limits say otherwise. Each is a file descriptor of the host's
/// process, whose own limit is often 1024 for all guests together.
pub const MAX_SOCKETS_DEFAULT: usize = 256;

/// Open files and folders that a guest may have unless its limits say otherwise. Each is a descriptor of the host's process
/// too.
pub const MAX_FILES_DEFAULT: usize = 256;

/// Threads that a guest may have beside its main one unless its limits say otherwise.
pub const MAX_THREADS_DEFAULT: usize = 256;

/// Bytes that a guest's files may grow by unless its limits say otherwise.
pub const MAX_DISK_DEFAULT: u64 = 256 << 20;

macro_rules! declare {
    ($(
        $(#[doc = $doc:literal])+
        $limit:ident $field:ident: $type:ty = $default:expr, $wrap:ident($value:ty), $name:literal, $grammar:ty,
            $help:literal;
    )+) => {
        /// How much one guest may use. `None` is no limit.
        ///
        /// IPv4 and IPv6 sockets count. Unix sockets, of which connected pairs need no grant, count only towards
        /// [`Limits::max_sockets`]. A limit that is reached is an event, sent once:
        /// [`Event::LimitReached`](crate::Event::LimitReached).
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Limits {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        flags! {
            /// The name of a limit.
            Limit {
                $(#[doc = concat!("[`Limits::", stringify!($field), "`].")]
                $limit = $name, <$grammar>::PLACEHOLDER, $help;)+
            }
        }

        impl Limit {
            /// An example of a value, as TOML has it.
            #[must_use]
            pub const fn example(self) -> &'static str {
                match self { $(Self::$limit => <$grammar>::EXAMPLE,)+ }
            }
        }

        impl Limits {
            /// Sets a limit to a value as the command line and policy files have it.
            ///
            /// Sizes are bytes, or a number with K, M or G in steps of 1024 (`256M`). Times are seconds, or a number
            /// with ms, s, m or h (`0.5`, `10s`, `5m`). Rates are sizes or numbers a second, and not 0. All others
            /// are numbers.
            ///
            /// ```
            /// use wasisocket_host::{Limit, Limits};
            ///
            /// let mut limits = Limits::default();
            /// limits.set(Limit::MaxBytesIn, "16M")?;
            /// assert_eq!(limits.max_bytes_in, Some(16 << 20));
            /// # Ok::<_, wasisocket_host::LimitError>(())
            /// ```
            ///
            /// # Errors
            /// The limit cannot have this value; the error says what to write.
            pub fn set(&mut self, limit: Limit, text: &str) -> Result<(), LimitError> {
                let error = |message| LimitError::new(limit, text, message);
                match limit {
                    $(Limit::$limit => {
                        let value = <$grammar>::parse(text).map_err(error)?;
                        let value = <$value>::try_from(value)
                            .map_err(|_| error("this is more than there can be here".into()))?;
                        self.$field = $wrap(value);
                    })+
                }
                Ok(())
            }
        }
    };
}
with_limits!(declare);
