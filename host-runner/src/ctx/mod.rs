//! Everything that one guest has: its policy, what is open, what it looked up.
//!
//! Each call asks the policy and the limits first, and then acts through `sockets` or `names`.

mod address;
mod builder;
mod call;
mod handles;
mod limits;
mod locks;
mod lookup;
mod message;
mod network;
mod readiness;
mod report;
mod rights;
mod self_connect;
mod time_slice;
mod unix;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasisocket_abi::Errno;

pub(crate) use address::{Address, Name};
pub use builder::SocketsCtxBuilder;
use handles::{Handles, Open};
pub(crate) use limits::NotDone;
use limits::check_handles;
use locks::RecordLocks;
pub(crate) use locks::{Range, flock_file};
pub(crate) use message::Outgoing;
pub(crate) use network::ConnectCall;
use readiness::StandardStreams;
pub(crate) use readiness::WaitsFor;
use report::Bytes;
pub use rights::Files;
pub(crate) use rights::NoFiles;
pub(crate) use time_slice::TimeSlice;

use crate::calls::Calls;
use crate::crypto::Keys;
use crate::event::Events;
use crate::limits::{CountLimit, CpuTime, DiskQuota, Usage};
use crate::names::{Lookups, Question};
use crate::policy::{Denial, LookedUp, Operation, Policy, Reason};
use crate::signals::GuestSignals;
use crate::sockets::{Patience, Socket, Timeout, UDP_LITE, UnixFolder};

type Approval = dyn Fn(&Operation) -> bool + Send + Sync;

/// The sockets of one guest, and what it may do with them. Dropping it closes them all.
pub struct SocketsCtx {
    policy: Arc<Policy>,
    looked_up: LookedUp,
    handles: Handles,
    lookups: Lookups,
    calls: Calls,
    /// The look-up of `sock_resolve`.
    resolving: Option<u32>,
    /// The last look-up, if it counted.
    last_counted: Option<Question>,
    /// The keys of its TLS that are ready for use.
    pub(crate) keys: Keys,
    streams: Arc<StandardStreams>,
    unix_folders: Vec<UnixFolder>,
    /// The guest's paths of the Unix sockets that it bound, by the names that the kernel has for them.
    unix_names: HashMap<Vec<u8>, Weak<[u8]>>,
    locks: RecordLocks,
    /// How many descriptors were sent through Unix sockets and did not come back.
    sent_rights: usize,
    /// How many connections may wait at listeners that may be among these, because their last handles were closed.
    sent_backlog: usize,
    pub(crate) events: Events,
    /// Bytes that went over sockets that are closed.
    closed: Bytes,
    started: Instant,
    pub(crate) usage: Usage,
    /// How much time the guest has, and when it is over.
    pub(crate) timeout: Option<Duration>,
    pub(crate) end: Option<Instant>,
    pub(crate) time_slice: TimeSlice,
    /// The last epoch, for CPU time.
    pub(crate) last_epoch: Option<Instant>,
    /// Other guests wait for the thread during a call, as the store is asynchronous.
    pub(crate) shares_thread: bool,
    /// The guest's limit of CPU time.
    pub(crate) max_cpu: Option<Duration>,
    pub(crate) cpu: Arc<CpuTime>,
    /// What it had used of it when its time began.
    pub(crate) cpu_before: Duration,
    /// The host's own decision, in addition to the rules.
    approve: Option<Arc<Approval>>,
    signals: Option<GuestSignals>,
}

impl SocketsCtx {
    /// How many sockets, interest sets, look-ups and calls the guest has open.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.handles.count()
    }

    /// The guest's [`Limits::max_files`](crate::Limits::max_files), for files that the embedder gives it.
    #[must_use]
    pub fn files(&self) -> CountLimit {
        self.usage.files.clone()
    }

    /// The guest's [`Limits::max_threads`](crate::Limits::max_threads), for threads that the embedder gives it.
    #[must_use]
    pub fn threads(&self) -> CountLimit {
        self.usage.threads.clone()
    }

    /// What is left of the guest's [`Limits::max_disk`](crate::Limits::max_disk), for files that the embedder gives it.
    #[must_use]
    pub fn disk(&self) -> DiskQuota {
        self.usage.disk.clone()
    }

    /// Whether signals have come for the guest.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.signals.as_ref().is_some_and(GuestSignals::have_come)
    }

    /// Takes the signals that have come, and says which ones the guest handles from now on. Bit `n - 1` is the signal `n`.
    pub(crate) fn take_signals(&self, handled: u64) -> u64 {
        self.signals
            .as_ref()
            .map_or(0, |signals| signals.take(handled))
    }

    /// How long an attempt may block the guest's thread, of this timeout.
    pub(crate) fn patience(&self, timeout: Timeout) -> Patience {
        match (self.end, &self.signals) {
            (None, None) => Patience(timeout),
            // The kernel's own calls would not know of either.
            _ => Patience::NONE,
        }
    }

    pub(crate) fn open(&mut self, family: u32, kind: u32, protocol: u32) -> Result<u32, Errno> {
        check_handles(&self.handles, &mut self.usage, 1)?;
        // Rarely used code of the kernel is only for guests that have a use for it.
        if protocol == UDP_LITE && !self.policy.grants_any() {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let socket = Socket::open(family, kind, protocol)?;
        self.handles.insert(Open::Socket(socket))
    }

    pub(crate) fn pair(&mut self, kind: u32) -> Result<(u32, u32), Errno> {
        check_handles(&self.handles, &mut self.usage, 2)?;
        let (one, other) = Socket::pair(kind)?;
        Ok((
            self.handles.insert(Open::Socket(one))?,
            self.handles.insert(Open::Socket(other))?,
        ))
    }

    pub(crate) fn duplicate(&mut self, handle: u32) -> Result<u32, Errno> {
        let socket = self.handles.socket(handle)?;
        check_handles(&self.handles, &mut self.usage, 1)?;
        let socket = socket.duplicate()?;
        self.handles.insert(Open::Socket(socket))
    }

    pub(crate) fn close(&mut self, handle: u32) -> Result<(), Errno> {
        if let Ok(socket) = self.handles.socket(handle)
            && socket.is_last()
        {
            self.stops_listening(socket);
            self.report_closed(socket);
            self.closed.add(socket);
            if self.sent_rights > 0 && socket.state().grant.is_shared {
                self.sent_backlog += socket.state().counts.backlog;
            }
        }
        self.handles.get(handle)?;
        self.leaves_interest_sets(handle);
        if let Open::InterestSet(set) = self.handles.remove(handle)? {
            for watched in set.watches {
                self.is_watched_less(watched);
            }
        }
        Ok(())
    }

    /// Every verdict passes here: what the rules allow has to be approved as well. EACCES for the guest; only the host
    /// learns the reason.
    fn allowed<T>(
        &self,
        verdict: Result<T, Reason>,
        operation: impl FnOnce() -> Operation,
    ) -> Result<T, Errno> {
        let (operation, reason) = match (verdict, &self.approve) {
            (Ok(granted), None) => return Ok(granted),
            (Ok(granted), Some(approves)) => {
                let operation = operation();
                if approves(&operation) {
                    return Ok(granted);
                }
                (operation, Reason::NotApproved)
            }
            (Err(reason), _) => (operation(), reason),
        };
        self.events.denied(Denial { operation, reason });
        Err(Errno::EACCES)
    }
}

impl Drop for SocketsCtx {
    fn drop(&mut self) {
        // Before the last event, after which no other is to come.
        self.lookups.end();
        self.report_end();
    }
}

impl fmt::Debug for SocketsCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketsCtx")
            .field("policy", &self.policy)
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}

/// Stores move between threads, also while a guest waits.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<SocketsCtx>();
};
