//! All that one guest has: policy, what is open, what it looked up.
//!
//! Each call asks the policy first and then one method of `sockets`.

mod address;
mod builder;
mod handles;
mod lookup;
mod message;
mod network;
mod readiness;
mod report;
mod rights;
mod self_connect;
mod turn;
mod unix;
mod usage;

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasisocket_abi::Errno;

pub(crate) use address::{Address, Name};
pub use builder::SocketsCtxBuilder;
use handles::{Handles, Open};
pub(crate) use readiness::WaitsFor;
use report::Bytes;
pub use rights::Files;
pub(crate) use rights::NoFiles;
pub(crate) use turn::Turn;
use usage::room_for;
pub(crate) use usage::{Pace, Room};

use crate::event::Events;
use crate::limits::{CpuTime, Usage};
use crate::names::{Lookups, Question};
use crate::policy::{Denial, LookedUp, Operation, Policy, Reason};
use crate::sockets::{Socket, UDP_LITE, UnixFolder};

type Approval = dyn Fn(&Operation) -> bool + Send + Sync;

/// The sockets of one guest, and what it may do with them. Dropping it closes them all.
pub struct SocketsCtx {
    policy: Arc<Policy>,
    looked_up: LookedUp,
    handles: Handles,
    lookups: Lookups,
    /// The look-up of `sock_resolve`.
    resolving: Option<u32>,
    /// The last look-up, if it counted.
    last_counted: Option<Question>,
    stdin: Option<Arc<OwnedFd>>,
    unix_folders: Vec<UnixFolder>,
    /// The guest's paths of the Unix sockets that it bound, by the names that the kernel has for them.
    unix_names: HashMap<Vec<u8>, Weak<[u8]>>,
    /// How many rights were sent that did not come back.
    given: usize,
    /// How many connections may wait at listeners that may be among these: their last handles were closed since.
    given_backlog: usize,
    pub(crate) events: Events,
    /// What went over the sockets that are closed.
    closed: Bytes,
    started: Instant,
    pub(crate) usage: Usage,
    /// When the guest's time is over.
    end: Option<Instant>,
    pub(crate) turn: Turn,
    /// When compiled code came back to the host last, for its time.
    pub(crate) last_epoch: Option<Instant>,
    /// Others wait for the thread while it is in a call: its store is asynchronous.
    pub(crate) shares_thread: bool,
    max_cpu: Option<Duration>,
    pub(crate) cpu: Arc<CpuTime>,
    /// The host's own decision, on top of the rules.
    approve: Option<Arc<Approval>>,
}

impl SocketsCtx {
    pub(crate) fn open(&mut self, family: u32, kind: u32, protocol: u32) -> Result<u32, Errno> {
        room_for(&self.handles, &mut self.usage, 1)?;
        // What is rare in a kernel is for those that have a use for it.
        if protocol == UDP_LITE && !self.policy.grants_any() {
            return Err(Errno::EPROTONOSUPPORT);
        }
        let socket = Socket::open(family, kind, protocol)?;
        self.handles.insert(Open::Socket(socket))
    }

    pub(crate) fn pair(&mut self, kind: u32) -> Result<(u32, u32), Errno> {
        room_for(&self.handles, &mut self.usage, 2)?;
        let (one, other) = Socket::pair(kind)?;
        Ok((
            self.handles.insert(Open::Socket(one))?,
            self.handles.insert(Open::Socket(other))?,
        ))
    }

    pub(crate) fn duplicate(&mut self, handle: u32) -> Result<u32, Errno> {
        let socket = self.handles.socket(handle)?;
        room_for(&self.handles, &mut self.usage, 1)?;
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
            if self.given > 0 && socket.state().grant.is_shared {
                self.given_backlog += socket.state().counts.backlog;
            }
        }
        self.handles.get(handle)?;
        self.leaves_interest_sets(handle);
        if let Open::InterestSet(set) = self.handles.remove(handle)? {
            for watched in set.watches() {
                self.is_watched_less(*watched);
            }
        }
        Ok(())
    }

    /// Where every verdict passes: what the rules allow has to be approved as well.
    fn allowed<T>(
        &self,
        verdict: Result<T, Denial>,
        operation: impl FnOnce() -> Operation,
    ) -> Result<T, Errno> {
        let granted = verdict.map_err(|denial| self.refused(denial))?;
        let Some(approves) = &self.approve else {
            return Ok(granted);
        };
        let operation = operation();
        if approves(&operation) {
            return Ok(granted);
        }
        let reason = Reason::NotApproved;
        Err(self.refused(Denial { operation, reason }))
    }

    /// EACCES for the guest; the reason goes to the host only.
    fn refused(&self, denial: Denial) -> Errno {
        self.events.denied(denial);
        Errno::EACCES
    }
}

impl Drop for SocketsCtx {
    fn drop(&mut self) {
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

/// Stores move between threads, also while something is waited for.
const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<SocketsCtx>();
};
