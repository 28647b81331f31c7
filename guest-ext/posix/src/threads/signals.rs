//! What each thread has of its own of signals.

use super::{Id, State, current, with};
use crate::Result;
use crate::signals::Set;

#[derive(Clone, Copy, Debug)]
pub(crate) struct OfThread {
    pub(crate) blocked: Set,
    /// What was sent to it alone.
    pub(crate) pending: Set,
}

impl OfThread {
    pub(super) const fn new(blocked: Set) -> Self {
        Self {
            blocked,
            pending: 0,
        }
    }
}

/// # Errors
/// ESRCH.
pub(crate) fn of<R>(id: Id, call: impl FnOnce(&mut OfThread) -> R) -> Result<R> {
    with(|threads| {
        let (_, thread) = threads.find(id)?;
        Ok(call(&mut thread.signals))
    })
}

pub(crate) fn of_current<R>(call: impl FnOnce(&mut OfThread) -> R) -> R {
    with(|threads| call(&mut threads.thread(current().slot()).signals))
}

/// What the main thread blocks.
pub(crate) fn blocked_by_main() -> Set {
    with(|threads| threads.main.signals.blocked)
}

/// Nobody is sent these any more.
pub(crate) fn forget(set: Set) {
    with(|threads| {
        for (_, thread) in threads.all() {
            thread.signals.pending &= !set;
        }
    });
}

/// The first answer for a thread that has not ended, from the main one on.
pub(crate) fn find_map<R>(mut call: impl FnMut(Id, &OfThread) -> Option<R>) -> Option<R> {
    with(|threads| {
        threads.all().find_map(|(slot, thread)| match thread.state {
            State::Ready | State::Waiting => {
                call(Id::new(slot, thread.generation), &thread.signals)
            }
            State::Free | State::Ended => None,
        })
    })
}
