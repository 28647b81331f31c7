//! How much a guest has used of its limits.

use std::time::Instant;

use wasisocket_abi::Errno;

use super::bucket::Bucket;
use super::{CountLimit, DiskQuota, Limit, Limits};
use crate::event::Events;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// Connections, made and accepted.
    Connections,
    Lookups,
    /// Bytes received.
    Received,
    /// Bytes sent.
    Sent,
}

/// What one guest has used.
#[derive(Debug)]
pub(crate) struct Usage {
    /// In the order of [`Counted`].
    accounts: [Account; 4],
    /// Bytes that memories and tables may still grow by.
    pub(crate) memory_left: usize,
    pub(crate) disk: DiskQuota,
    pub(crate) files: CountLimit,
    pub(crate) threads: CountLimit,
    events: Events,
}

/// One thing that is counted: how much is left in all, and the rate.
#[derive(Debug)]
struct Account {
    /// What is left, and the limit that is reached at 0. `None` is no limit.
    quota: Option<(u64, Limit)>,
    rate: Option<(Bucket, Limit)>,
}

impl Account {
    fn new(in_all: (Option<u64>, Limit), a_second: (Option<u64>, Limit)) -> Self {
        let ((quota, in_all), (rate, a_second)) = (in_all, a_second);
        Self {
            quota: quota.map(|quota| (quota, in_all)),
            rate: rate.map(|rate| (Bucket::new(rate, Instant::now()), a_second)),
        }
    }
}

impl Usage {
    pub(crate) fn new(limits: &Limits, events: Events) -> Self {
        Self {
            accounts: [
                Account::new(
                    (limits.max_connections, Limit::MaxConnections),
                    (limits.connect_rate, Limit::ConnectRate),
                ),
                Account::new(
                    (limits.max_lookups, Limit::MaxLookups),
                    (None, Limit::MaxLookups),
                ),
                Account::new(
                    (limits.max_bytes_in, Limit::MaxBytesIn),
                    (limits.rate_in, Limit::RateIn),
                ),
                Account::new(
                    (limits.max_bytes_out, Limit::MaxBytesOut),
                    (limits.rate_out, Limit::RateOut),
                ),
            ],
            memory_left: limits.max_memory.unwrap_or(usize::MAX),
            disk: DiskQuota::new(limits, events.clone()),
            files: CountLimit::new(Limit::MaxFiles, limits.max_files, events.clone()),
            threads: CountLimit::new(Limit::MaxThreads, limits.max_threads, events.clone()),
            events,
        }
    }

    fn account(&mut self, counted: Counted) -> &mut Account {
        &mut self.accounts[counted as usize]
    }

    /// Until when the guest has to wait before it may use more; `None` if it does not have to.
    pub(crate) fn pause(&mut self, counted: Counted) -> Option<Instant> {
        let (bucket, limit) = self.account(counted).rate.as_mut()?;
        let limit = *limit;
        let until = bucket.next(Instant::now())?;
        self.reached(limit);
        Some(until)
    }

    /// How much may be used now, at least 1. `whole` is for what cannot be divided, and may exceed the rate for a
    /// moment. EDQUOT if nothing is left.
    pub(crate) fn room(&mut self, counted: Counted, whole: bool) -> Result<usize, Errno> {
        let account = self.account(counted);
        let saved = match &account.rate {
            Some((bucket, _)) if !whole => bucket.capacity(),
            _ => u64::MAX,
        };
        let left = match account.quota {
            Some((0, limit)) => {
                self.reached(limit);
                return Err(Errno::EDQUOT);
            }
            Some((left, _)) => left,
            None => u64::MAX,
        };
        Ok(usize::try_from(left.min(saved)).unwrap_or(usize::MAX))
    }

    /// Counts what was used.
    pub(crate) fn used(&mut self, counted: Counted, amount: usize) {
        self.came(counted, amount);
        if let Some((bucket, _)) = &mut self.account(counted).rate {
            bucket.take(amount as u64, Instant::now());
        }
    }

    /// Counts what others brought about, which no rate slows down.
    pub(crate) fn came(&mut self, counted: Counted, amount: usize) {
        if let Some((left, _)) = &mut self.account(counted).quota {
            *left = left.saturating_sub(amount as u64);
        }
    }

    /// Counts one more. EDQUOT if none is left.
    pub(crate) fn take_one(&mut self, counted: Counted) -> Result<(), Errno> {
        self.room(counted, true)?;
        self.used(counted, 1);
        Ok(())
    }

    /// Reports that a limit had an effect.
    pub(crate) fn reached(&self, limit: Limit) {
        self.events.limit_reached(limit);
    }
}

#[cfg(test)]
mod tests {
    use super::{Counted, Errno, Limit, Limits, Usage};
    use crate::testing::{ReachedLimits, reached_limits};

    fn usage(set: impl FnOnce(&mut Limits)) -> (Usage, ReachedLimits) {
        let mut limits = Limits::default();
        set(&mut limits);
        let (reached, events) = reached_limits();
        (Usage::new(&limits, events), reached)
    }

    #[test]
    fn quota_is_used_up_and_told_of_once() {
        let (mut usage, reached) = usage(|limits| limits.max_bytes_in = Some(10));
        assert_eq!(usage.room(Counted::Received, false), Ok(10));
        usage.used(Counted::Received, 7);
        assert_eq!(usage.room(Counted::Received, false), Ok(3));
        assert_eq!(*reached.lock().unwrap(), []);
        // A datagram cannot be cut.
        usage.used(Counted::Received, 7);
        for _ in 0..3 {
            assert_eq!(usage.room(Counted::Received, false), Err(Errno::EDQUOT));
        }
        assert_eq!(*reached.lock().unwrap(), [Limit::MaxBytesIn]);
        assert_eq!(usage.room(Counted::Sent, false), Ok(usize::MAX));
    }

    #[test]
    fn rate_makes_wait_and_is_told_of_once() {
        let (mut usage, reached) = usage(|limits| limits.rate_out = Some(1000));
        assert_eq!(usage.pause(Counted::Sent), None);
        assert_eq!(usage.room(Counted::Sent, false), Ok(100));
        assert_eq!(usage.room(Counted::Sent, true), Ok(usize::MAX));
        usage.used(Counted::Sent, 500);
        assert!(usage.pause(Counted::Sent).is_some());
        assert!(usage.pause(Counted::Sent).is_some());
        assert_eq!(*reached.lock().unwrap(), [Limit::RateOut]);
        assert_eq!(usage.pause(Counted::Received), None);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let (mut usage, reached) = usage(|_| ());
        for counted in [
            Counted::Connections,
            Counted::Lookups,
            Counted::Received,
            Counted::Sent,
        ] {
            usage.used(counted, usize::MAX);
            usage.used(counted, usize::MAX);
            assert_eq!(usage.room(counted, false), Ok(usize::MAX));
            assert_eq!(usage.pause(counted), None);
        }
        assert_eq!(*reached.lock().unwrap(), []);
    }
}
