//! A token bucket: a rate, and a burst of what was saved for a moment.

use std::time::{Duration, Instant};

/// The time for which an idle bucket fills, unless one token takes longer. One call of a stream waits about this long
/// at most.
const SAVED: Duration = Duration::from_millis(100);

/// Tokens are taken afterwards, as the number of bytes is not known before: the bucket may go into debt, and the next
/// caller waits until that is paid.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Tokens a second, not 0.
    rate: u64,
    /// When the bucket was, or will be, empty.
    empty: Instant,
}

impl Bucket {
    /// A full bucket. A rate of 0 counts as 1.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        let mut bucket = Self {
            rate: rate.max(1),
            empty: now,
        };
        bucket.empty = bucket.when_full(now);
        bucket
    }

    /// When a bucket that is full now was empty.
    fn when_full(&self, now: Instant) -> Instant {
        now.checked_sub(SAVED.max(self.time_of(1))).unwrap_or(now)
    }

    /// The most that is saved, at least 1. One call should not take more.
    pub(super) fn capacity(&self) -> u64 {
        let saved = u128::from(self.rate) * SAVED.as_nanos() / NANOS;
        u64::try_from(saved).unwrap_or(u64::MAX).max(1)
    }

    /// When there is a token again; `None` if there is one now.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        Some(self.empty + self.time_of(1)).filter(|next| *next > now)
    }

    pub(super) fn take(&mut self, tokens: u64, now: Instant) {
        self.empty = self.empty.max(self.when_full(now)) + self.time_of(tokens);
    }

    /// The time in which so many tokens come, rounded down to nanoseconds, and at most a year, so that no clock
    /// overflows.
    fn time_of(&self, tokens: u64) -> Duration {
        const YEAR: u128 = 365 * 24 * 3600 * NANOS;
        let nanos = u128::from(tokens) * NANOS / u128::from(self.rate);
        Duration::from_nanos(nanos.min(YEAR) as u64)
    }
}

const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::{Bucket, Duration, Instant, SAVED};

    #[test]
    fn rate_holds_over_time_and_no_more_is_saved_than_for_a_moment() {
        for (rate, chunk) in [(1000, 1), (1000, 90), (1_000_000, 65_536), (3, 1)] {
            let begun = Instant::now();
            let mut now = begun;
            let mut bucket = Bucket::new(rate, now);
            let mut taken = 0;
            for round in 0..200 {
                // Nothing is asked for a while.
                if round == 100 {
                    now += Duration::from_secs(1000);
                }
                now = bucket.next(now).unwrap_or(now);
                bucket.take(chunk, now);
                taken += chunk;
            }
            let time = (now - begun).as_secs_f64() - 1000.0;
            let least = taken as f64 / rate as f64 - 2.0 * SAVED.as_secs_f64();
            let one = chunk as f64 / rate as f64;
            assert!(time >= least - 2.0 * one, "{rate} {chunk}: {time}");
            assert!(time <= least + 2.0 * one + 0.3, "{rate} {chunk}: {time}");
        }
    }

    #[test]
    fn extremes_are_no_overflow() {
        let now = Instant::now();
        for rate in [0, 1, u64::MAX] {
            let mut bucket = Bucket::new(rate, now);
            assert!(bucket.capacity() > 0);
            for _ in 0..3 {
                bucket.take(u64::MAX, now);
                bucket.take(0, now);
            }
            let _ = bucket.next(now);
        }
    }
}
