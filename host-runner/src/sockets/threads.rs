//! Threads for what blocks, as many as a process may have for it.

use std::collections::VecDeque;
use std::io;
use std::iter::from_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// What a thread is sent to.
pub(super) trait Work: Send + Sync {
    /// Works until nothing is left to do. May not panic.
    fn work(&self);
}

/// Threads, each of which works for one after the other.
#[derive(Debug)]
pub(super) struct Threads {
    name: &'static str,
    max: usize,
    crowd: Mutex<Crowd>,
}

struct Crowd {
    count: usize,
    /// Whom a thread is to come to, once one is free.
    waiting: VecDeque<Weak<dyn Work>>,
}

impl Threads {
    pub(super) const fn new(name: &'static str, max: usize) -> Self {
        let crowd = Crowd {
            count: 0,
            waiting: VecDeque::new(),
        };
        Self {
            name,
            max,
            crowd: Mutex::new(crowd),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Crowd> {
        self.crowd.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a new thread there or, if there are enough, the next that is free.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn send_to(&'static self, work: Arc<dyn Work>) -> io::Result<()> {
        let mut crowd = self.lock();
        if crowd.count >= self.max {
            crowd.waiting.push_back(Arc::downgrade(&work));
            return Ok(());
        }
        let mut next = Some(work);
        let thread = thread::Builder::new().name(self.name.into());
        thread.spawn(move || {
            while let Some(work) = next {
                work.work();
                drop(work);
                next = self.next();
            }
        })?;
        crowd.count += 1;
        Ok(())
    }

    /// Who waits longest for a thread. If nobody does the thread ends.
    fn next(&self) -> Option<Arc<dyn Work>> {
        let mut crowd = self.lock();
        let next = from_fn(|| crowd.waiting.pop_front()).find_map(|work| work.upgrade());
        if next.is_none() {
            crowd.count -= 1;
        }
        next
    }
}

impl std::fmt::Debug for Crowd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crowd")
            .field("count", &self.count)
            .field("waiting", &self.waiting.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, Threads, Work};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Mutex, PoisonError};
    use std::thread;
    use std::time::{Duration, Instant};

    const SOON: Duration = Duration::from_secs(10);

    /// Says its name, and is not done before it may be.
    struct Job {
        name: &'static str,
        begun: Sender<&'static str>,
        end: Mutex<Receiver<()>>,
    }

    impl Work for Job {
        fn work(&self) {
            self.begun.send(self.name).unwrap();
            let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            end.recv_timeout(SOON).unwrap();
        }
    }

    #[test]
    fn who_waits_has_the_next_thread_in_turn_and_who_is_gone_has_none() {
        static ONE: Threads = Threads::new("one", 1);
        let (begun, begins) = channel();
        let [
            (first, end_first),
            (gone, _),
            (second, end_second),
            (third, end_third),
        ] = ["first", "gone", "second", "third"].map(|name| {
            let (ends, end) = channel();
            let (begun, end) = (begun.clone(), Mutex::new(end));
            let job: Arc<dyn Work> = Arc::new(Job { name, begun, end });
            ONE.send_to(Arc::clone(&job)).unwrap();
            (job, ends)
        });
        assert_eq!(ONE.lock().count, 1);
        drop(gone);
        for (name, end) in [
            ("first", end_first),
            ("second", end_second),
            ("third", end_third),
        ] {
            assert_eq!(begins.recv_timeout(SOON), Ok(name));
            assert!(begins.try_recv().is_err());
            end.send(()).unwrap();
        }
        drop([first, second, third]);
        let end = Instant::now() + SOON;
        while ONE.lock().count > 0 {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
    }
}
