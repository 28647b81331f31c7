//! Signals for a guest, which its host sends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{read, retry_on_intr, write};

/// Sends signals to one guest, from any thread: see [`SocketsCtxBuilder::signals`](crate::SocketsCtxBuilder::signals).
/// Clones send to the same guest.
///
/// A signal that has come ends what the guest waits for (EINTR), and a guest that computes asks for signals every now and
/// then. What it does about them is its own affair, so a signal is no way to end a guest that is not trusted: limits are.
///
/// ```
/// use wasisocket_host::{GuestSignals, Policy, SocketsCtx};
///
/// let signals = GuestSignals::new()?;
/// let sockets = SocketsCtx::builder(Policy::new()).signals(&signals).build();
/// // The guest has not run yet, so it handles nothing.
/// assert!(!signals.send(15));
/// # std::io::Result::Ok(())
/// ```
#[derive(Clone, Debug)]
pub struct GuestSignals(Arc<Shared>);

/// Of sets of signals: the bit `n - 1` stands for the signal `n`, as in sigset_t.
#[derive(Debug)]
struct Shared {
    handled: AtomicU64,
    /// Changed only under the lock, together with `event`.
    come: AtomicU64,
    /// An eventfd(2), readable as long as signals have come.
    event: OwnedFd,
    lock: Mutex<()>,
}

impl GuestSignals {
    /// # Errors
    /// The process or the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Shared {
            handled: AtomicU64::new(0),
            come: AtomicU64::new(0),
            event,
            lock: Mutex::new(()),
        })))
    }

    /// Sends a signal, by its number on Linux: signal(7). Returns whether the guest handles it: it has a handler, ignores
    /// it or blocks it. If not, the guest does not get it, and its host does what the system does by default, which is for
    /// most signals to end the guest.
    #[must_use = "what the guest does not handle is the host's to do"]
    pub fn send(&self, signal: u32) -> bool {
        let shared = &*self.0;
        let bit = bit(signal);
        if shared.handled.load(Ordering::Relaxed) & bit == 0 {
            return false;
        }
        let _locked = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
        shared.come.fetch_or(bit, Ordering::Relaxed);
        // It fails only if it is readable already, for the count is at its end.
        let _ = retry_on_intr(|| write(&shared.event, &1_u64.to_ne_bytes()));
        true
    }

    /// Drops the signals that have come and that the guest has not taken.
    pub fn forget(&self) {
        let handled = self.0.handled.load(Ordering::Relaxed);
        self.take(handled);
    }

    /// Whether signals have come that were not taken.
    pub(crate) fn have_come(&self) -> bool {
        self.0.come.load(Ordering::Relaxed) != 0
    }

    /// Takes the signals that have come, and says which ones the guest handles from now on.
    pub(crate) fn take(&self, handled: u64) -> u64 {
        let shared = &*self.0;
        shared.handled.store(handled, Ordering::Relaxed);
        if !self.have_come() {
            return 0;
        }
        let _locked = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // It was written to, so this does not wait.
        let _ = retry_on_intr(|| read(&shared.event, &mut [0; 8]));
        shared.come.swap(0, Ordering::Relaxed)
    }

    /// Readable as long as signals have come.
    pub(crate) fn event(&self) -> BorrowedFd<'_> {
        self.0.event.as_fd()
    }
}

/// 0 for what is no signal.
fn bit(signal: u32) -> u64 {
    match signal {
        1..=64 => 1 << (signal - 1),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::GuestSignals;
    use crate::sockets::{Watched, block_until};
    use rustix::event::PollFlags;
    use std::time::Instant;

    fn is_readable(signals: &GuestSignals) -> bool {
        let watched = Watched::from_elem((signals.event(), PollFlags::IN), 1);
        block_until(&watched, Some(Instant::now())).unwrap()
    }

    #[test]
    fn only_what_is_handled_is_sent() {
        let signals = GuestSignals::new().unwrap();
        assert!(!signals.send(2));
        assert_eq!(signals.take(0b10 | 1 << 63), 0);
        for nothing in [0, 1, 3, 65, u32::MAX] {
            assert!(!signals.send(nothing), "{nothing}");
        }
        assert!(!signals.have_come() && !is_readable(&signals));
        assert!(signals.send(2) && signals.send(64) && signals.clone().send(2));
        assert!(signals.have_come() && is_readable(&signals));
        assert_eq!(signals.take(0), 0b10 | 1 << 63);
        assert!(!signals.have_come() && !is_readable(&signals));
        assert!(!signals.send(2));
    }
}
