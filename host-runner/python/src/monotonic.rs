//! The monotonic clock of a guest, which goes on in a copy of it.

use std::time::Instant;

use wasmtime_wasi::HostMonotonicClock;

/// Nanoseconds since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monotonic {
    since: Instant,
    before: u64,
}

impl Monotonic {
    /// Begins with this time, in nanoseconds.
    pub(crate) fn from(before: u64) -> Self {
        Self {
            since: Instant::now(),
            before,
        }
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A file that was saved may have any number.
        self.before.saturating_add(elapsed)
    }
}
