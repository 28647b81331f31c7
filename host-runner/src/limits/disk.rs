//! How much of the host's disks a guest may still take.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Limit, Limits};
use crate::event::Events;

/// What is left of a guest's [`Limits::max_disk`], for the embedder's files: they ask before a file grows, and give back
/// what is removed. Clones share it.
#[derive(Clone, Debug)]
pub struct DiskQuota(Arc<Left>);

#[derive(Debug)]
struct Left {
    max: u64,
    bytes: AtomicU64,
    events: Events,
}

impl DiskQuota {
    /// Bytes that a new name takes beside its content: a file, a folder, a link, or a Unix socket.
    pub const NAME: u64 = 4096;

    pub(crate) fn new(limits: &Limits, events: Events) -> Self {
        let max = limits.max_disk.unwrap_or(u64::MAX);
        Self(Arc::new(Left {
            max,
            bytes: AtomicU64::new(max),
            events,
        }))
    }

    /// The limit; `u64::MAX` if there is none.
    pub(crate) fn max(&self) -> u64 {
        self.0.max
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Whether so many bytes are left. If not, the limit is reached, which is an event
    /// ([`Event::LimitReached`](crate::Event::LimitReached)), and the guest's call should be ENOSPC.
    #[must_use]
    pub fn has(&self, bytes: u64) -> bool {
        let has = self.left() >= bytes;
        if !has {
            self.0.events.limit_reached(Limit::MaxDisk);
        }
        has
    }

    /// Counts bytes that were taken, or as many as are left. Returns how many that are.
    pub fn take(&self, bytes: u64) -> u64 {
        let before = self.change(|left| left.saturating_sub(bytes));
        before.min(bytes)
    }

    /// Gives bytes back that were taken.
    pub fn give(&self, bytes: u64) {
        self.change(|left| left.saturating_add(bytes));
    }

    /// Returns what was left before.
    fn change(&self, change: impl Fn(u64) -> u64) -> u64 {
        let bytes = &self.0.bytes;
        let change = |left| Some(change(left));
        let changed = bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change);
        changed.unwrap_or_else(|left| left)
    }
}

#[cfg(test)]
mod tests {
    use super::DiskQuota;
    use crate::testing::record_limits;
    use crate::{Limit, Policy, SocketsCtx};

    #[test]
    fn what_is_taken_is_gone_until_it_is_given_back() {
        let (reached, sink) = record_limits();
        let sockets = SocketsCtx::builder(Policy::new()).on_event(sink);
        let sockets = sockets.max_disk(10_000).build();
        let disk: DiskQuota = sockets.disk();
        assert!(disk.has(10_000));
        assert_eq!(disk.clone().take(9_000), 9_000);
        assert!(disk.has(1_000) && reached.lock().unwrap().is_empty());
        assert!(!disk.has(1_001));
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxDisk]);
        assert_eq!((disk.take(5_000), disk.left()), (1_000, 0));
        disk.give(9_000);
        assert_eq!(sockets.disk().left(), 9_000);
    }
}
