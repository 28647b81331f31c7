//! Handles of calls that wait. As on Linux, what another thread closes meanwhile stays open until the call ends.

use std::cell::RefCell;

use super::several;
use crate::host::{Host as _, Imp};

struct Handles {
    /// In calls that wait, as often as there are calls.
    in_use: Vec<u32>,
    /// Those among them that are closed when their calls end.
    closed: Vec<u32>,
}

thread_local! {
    static HANDLES: RefCell<Handles> = const {
        RefCell::new(Handles {
            in_use: Vec::new(),
            closed: Vec::new(),
        })
    };
}

impl Handles {
    /// A call with this handle ends. Returns whether the handle is to be closed.
    fn leave(&mut self, handle: u32) -> bool {
        let used = self.in_use.iter().position(|used| *used == handle);
        used.map(|place| self.in_use.swap_remove(place));
        if self.in_use.contains(&handle) {
            return false;
        }
        let closed = self.closed.iter().position(|closed| *closed == handle);
        closed.map(|place| self.closed.swap_remove(place)).is_some()
    }
}

/// Handles of a call that waits, until it ends.
pub(crate) struct InUse(Vec<u32>);

impl InUse {
    pub(crate) fn new(handles: impl IntoIterator<Item = u32>) -> Self {
        // With one thread nobody closes them meanwhile.
        let handles: Vec<_> = match several() {
            true => handles.into_iter().collect(),
            false => Vec::new(),
        };
        HANDLES.with_borrow_mut(|all| all.in_use.extend_from_slice(&handles));
        Self(handles)
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        for handle in &self.0 {
            if HANDLES.with_borrow_mut(|all| all.leave(*handle)) {
                // Whoever closed it was told that it is closed.
                let _ = Imp::close(*handle);
            }
        }
    }
}

/// Whether a handle that is to be closed stays open for a call that waits, and is closed after it.
pub(crate) fn closes_later(handle: u32) -> bool {
    several()
        && HANDLES.with_borrow_mut(|all| {
            let is_used = all.in_use.contains(&handle);
            if is_used {
                all.closed.push(handle);
            }
            is_used
        })
}
