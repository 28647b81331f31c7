//! What a guest has used of its limits.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use wasisocket_abi::Errno;

use super::bucket::Bucket;
use super::{Limit, Limits};

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

/// Called once for each limit that is reached.
pub(crate) type LimitSink = dyn Fn(Limit) + Send + Sync;

/// What one guest has used.
pub(crate) struct Usage {
    accounts: [Account; 4],
    /// Bytes; without a limit as many as there can be.
    pub(crate) memory_left: usize,
    told: Arc<Told>,
}

/// Who is told of limits, and of which they were.
pub(crate) struct Told {
    limits: Mutex<Vec<Limit>>,
    sink: Option<Arc<LimitSink>>,
}

/// One thing that is counted: how much there may be in all, and how much a second.
#[derive(Debug)]
struct Account {
    /// What is left, and the limit that is reached at 0. `None` without end.
    quota: Option<(u64, Limit)>,
    rate: Option<(Bucket, Limit)>,
}

impl Account {
    fn new(quota: Option<u64>, in_all: Limit, rate: Option<u64>, a_second: Limit) -> Self {
        Self {
            quota: quota.map(|quota| (quota, in_all)),
            rate: rate.map(|rate| (Bucket::new(rate, Instant::now()), a_second)),
        }
    }
}

impl Usage {
    pub(crate) fn new(limits: &Limits, sink: Option<Arc<LimitSink>>) -> Self {
        Self {
            accounts: [
                Account::new(
                    limits.max_connections,
                    Limit::MaxConnections,
                    limits.connect_rate,
                    Limit::ConnectRate,
                ),
                Account::new(
                    limits.max_lookups,
                    Limit::MaxLookups,
                    None,
                    Limit::MaxLookups,
                ),
                Account::new(
                    limits.max_bytes_in,
                    Limit::MaxBytesIn,
                    limits.rate_in,
                    Limit::RateIn,
                ),
                Account::new(
                    limits.max_bytes_out,
                    Limit::MaxBytesOut,
                    limits.rate_out,
                    Limit::RateOut,
                ),
            ],
            memory_left: limits.max_memory.unwrap_or(usize::MAX),
            told: Arc::new(Told {
                limits: Mutex::default(),
                sink,
            }),
        }
    }

    fn account(&mut self, counted: Counted) -> &mut Account {
        let [connections, lookups, received, sent] = &mut self.accounts;
        match counted {
            Counted::Connections => connections,
            Counted::Lookups => lookups,
            Counted::Received => received,
            Counted::Sent => sent,
        }
    }

    /// Until when the guest has to wait before it uses more, if it has to.
    pub(crate) fn pause(&mut self, counted: Counted) -> Option<Instant> {
        let (bucket, limit) = self.account(counted).rate.as_mut()?;
        let limit = *limit;
        let until = bucket.next(Instant::now())?;
        self.reached(limit);
        Some(until)
    }

    /// How much may be used now, not 0; `whole`: with what is more than a moment's, for what cannot be
    /// divided. EDQUOT if all is used up.
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

    /// Counts what others did, and how fast: of the quota alone.
    pub(crate) fn came(&mut self, counted: Counted, amount: usize) {
        if let Some((left, _)) = &mut self.account(counted).quota {
            *left = left.saturating_sub(amount as u64);
        }
    }

    /// Counts one more. EDQUOT if there may be none.
    pub(crate) fn take_one(&mut self, counted: Counted) -> Result<(), Errno> {
        self.room(counted, true)?;
        self.used(counted, 1);
        Ok(())
    }

    /// Tells of a limit, once.
    pub(crate) fn reached(&self, limit: Limit) {
        self.told.tell(limit);
    }

    /// Who is told.
    pub(crate) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }
}

impl Told {
    /// Tells of a limit, once.
    pub(crate) fn tell(&self, limit: Limit) {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        if limits.contains(&limit) {
            return;
        }
        limits.push(limit);
        drop(limits);
        limit.log();
        if let Some(sink) = &self.sink {
            sink(limit);
        }
    }
}

impl fmt::Debug for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Usage")
            .field("accounts", &self.accounts)
            .field("memory_left", &self.memory_left)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Counted, Errno, Limit, Limits, Usage};
    use std::sync::Mutex;

    fn usage(set: impl FnOnce(&mut Limits)) -> (Usage, Arc<Mutex<Vec<Limit>>>) {
        let mut limits = Limits::default();
        set(&mut limits);
        let told: Arc<Mutex<Vec<Limit>>> = Arc::default();
        let sink = Arc::clone(&told);
        let usage = Usage::new(
            &limits,
            Some(Arc::new(move |limit| sink.lock().unwrap().push(limit))),
        );
        (usage, told)
    }

    #[test]
    fn quota_is_used_up_and_told_of_once() {
        let (mut usage, told) = usage(|limits| limits.max_bytes_in = Some(10));
        assert_eq!(usage.room(Counted::Received, false), Ok(10));
        usage.used(Counted::Received, 7);
        assert_eq!(usage.room(Counted::Received, false), Ok(3));
        assert_eq!(*told.lock().unwrap(), []);
        // A datagram cannot be cut.
        usage.used(Counted::Received, 7);
        for _ in 0..3 {
            assert_eq!(usage.room(Counted::Received, false), Err(Errno::EDQUOT));
        }
        assert_eq!(*told.lock().unwrap(), [Limit::MaxBytesIn]);
        assert_eq!(usage.room(Counted::Sent, false), Ok(usize::MAX));
    }

    #[test]
    fn rate_makes_wait_and_is_told_of_once() {
        let (mut usage, told) = usage(|limits| limits.rate_out = Some(1000));
        assert_eq!(usage.pause(Counted::Sent), None);
        assert_eq!(usage.room(Counted::Sent, false), Ok(100));
        assert_eq!(usage.room(Counted::Sent, true), Ok(usize::MAX));
        usage.used(Counted::Sent, 500);
        assert!(usage.pause(Counted::Sent).is_some());
        assert!(usage.pause(Counted::Sent).is_some());
        assert_eq!(*told.lock().unwrap(), [Limit::RateOut]);
        assert_eq!(usage.pause(Counted::Received), None);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let (mut usage, told) = usage(|_| ());
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
        assert_eq!(*told.lock().unwrap(), []);
    }
}
