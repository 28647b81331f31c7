//! The CPU time of a guest, counted from the clocks of the threads that run it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time that a guest used, in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct CpuTime {
    used: AtomicU64,
    /// How much of the running thread's CPU time is counted already, while a thread is in the guest; else 0.
    counted: AtomicU64,
}

impl CpuTime {
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// The same up to now. While a thread is in the guest, only for that thread.
    pub(crate) fn used_until_now(&self) -> Duration {
        if self.counted.load(Ordering::Relaxed) != 0 {
            self.update();
        }
        self.used()
    }

    /// Counts this thread's CPU time until the result is dropped. A measurement within another adds nothing.
    pub(crate) fn measure(&self) -> Measurement<'_> {
        let is_outer = self.counted.load(Ordering::Relaxed) == 0;
        if is_outer {
            self.counted.store(thread_time(), Ordering::Relaxed);
        }
        Measurement {
            cpu: self,
            is_outer,
        }
    }

    /// Counts the CPU time of `work`, which this thread does for a guest that runs on another thread.
    pub(crate) fn count<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = thread_time();
        let done = work();
        let used = thread_time().saturating_sub(begun);
        self.used.fetch_add(used, Ordering::Relaxed);
        done
    }

    /// Counts what this thread, which is in the guest, has used since it was counted last.
    fn update(&self) {
        let now = thread_time();
        let counted = self.counted.swap(now, Ordering::Relaxed);
        let more = now.saturating_sub(counted);
        self.used.fetch_add(more, Ordering::Relaxed);
    }

    /// Called at each epoch, `since_last` after the one before: without a measurement, the guest is charged for
    /// all of that time.
    pub(crate) fn tick(&self, since_last: Duration) {
        match self.counted.load(Ordering::Relaxed) {
            0 => {
                let nanos = since_last.as_nanos() as u64;
                self.used.fetch_add(nanos, Ordering::Relaxed);
            }
            _ => self.update(),
        }
    }
}

/// Made by [`CpuTime::measure`].
pub(crate) struct Measurement<'a> {
    cpu: &'a CpuTime,
    is_outer: bool,
}

impl Drop for Measurement<'_> {
    fn drop(&mut self) {
        if self.is_outer {
            self.cpu.update();
            self.cpu.counted.store(0, Ordering::Relaxed);
        }
    }
}

/// CLOCK_THREAD_CPUTIME_ID (clock_gettime(2)), in nanoseconds; never 0.
pub(crate) fn thread_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    (seconds * 1_000_000_000 + nanos).max(1)
}
