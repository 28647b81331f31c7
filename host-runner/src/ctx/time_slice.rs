//! When a guest of an asynchronous store lets others run.

use std::time::{Duration, Instant};

/// How long a guest runs before a call lets others run: about a round trip over loopback, so that a guest beside it
/// takes at most twice the time.
const SLICE: Duration = Duration::from_micros(20);

/// The time slice of one guest.
#[derive(Debug, Default)]
pub(crate) struct TimeSlice {
    /// `None` before its first call.
    begun: Option<Instant>,
    /// Epochs let others run too ([`limit_time_async`](crate::limit_time_async)).
    by_epochs: bool,
}

impl TimeSlice {
    #[cfg(feature = "async")]
    pub(crate) fn let_epochs_end_it(&mut self) {
        self.by_epochs = true;
    }

    /// Has the guest run for so long that others should run?
    pub(crate) fn is_over(&mut self) -> bool {
        self.begun.get_or_insert_with(Instant::now).elapsed() >= SLICE
    }

    /// The same for a call that cannot let others run itself. Compiled code can, at an epoch, which the caller has to
    /// bring about then.
    pub(crate) fn ends_by_epoch(&mut self) -> bool {
        self.by_epochs && self.is_over()
    }

    /// Others run now.
    pub(crate) fn end(&mut self) {
        self.begun = None;
    }
}
