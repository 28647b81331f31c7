//! When a guest of an asynchronous store lets others run.

use std::time::{Duration, Instant};

/// How long it runs before a call lets others run: about a round trip over loopback, so that one beside it takes at most
/// twice the time.
const TURN: Duration = Duration::from_micros(20);

/// A turn of one guest.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// `None` before its first call.
    begun: Option<Instant>,
    /// Others run at an epoch too ([`limit_time_async`](crate::limit_time_async)).
    by_epochs: bool,
}

impl Turn {
    pub(crate) fn let_epochs_end_it(&mut self) {
        self.by_epochs = true;
    }

    /// Has it run for so long that others should?
    pub(crate) fn is_over(&mut self) -> bool {
        self.begun.get_or_insert_with(Instant::now).elapsed() >= TURN
    }

    /// The same for a call that cannot let them itself. Compiled code can, at an epoch: whoever is told so has to let one
    /// come at once.
    pub(crate) fn ends_by_epoch(&mut self) -> bool {
        self.by_epochs && self.is_over()
    }

    /// Others run now.
    pub(crate) fn end(&mut self) {
        self.begun = None;
    }
}
