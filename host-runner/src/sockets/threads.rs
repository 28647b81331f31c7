//! Threads for what blocks, as many as a process may have for it.

use std::collections::VecDeque;
use std::io;
use std::iter::from_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// What a thread is sent to.
pub(super) trait Work: Send + Sync {
    /// Does a piece of it, if there is one. Is a thread to come again? May not panic.
    fn work(&self) -> bool;
}

/// Threads, each of which does a piece of work for one after the other.
#[derive(Debug)]
pub(super) struct Threads {
    name: &'static str,
    max: usize,
    crowd: Mutex<Crowd>,
}

#[derive(Debug)]
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

    /// Is more than half of them at work?
    pub(super) fn are_busy(&self) -> bool {
        self.lock().count > self.max / 2
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
                let again = work.work();
                next = self.next(again.then_some(work));
            }
        })?;
        crowd.count += 1;
        Ok(())
    }

    /// Who waits longest for a thread, after all others the one that it comes from. If nobody does the thread ends.
    fn next(&self, from: Option<Arc<dyn Work>>) -> Option<Arc<dyn Work>> {
        let mut crowd = self.lock();
        crowd.waiting.extend(from.as_ref().map(Arc::downgrade));
        let next = from_fn(|| crowd.waiting.pop_front()).find_map(|work| work.upgrade());
        if next.is_none() {
            crowd.count -= 1;
        }
        next
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

    /// Says its name at each piece of work, and is told when that is done and whether more is left.
    struct Job {
        name: &'static str,
        begun: Sender<&'static str>,
        end: Mutex<Receiver<bool>>,
    }

    impl Work for Job {
        fn work(&self) -> bool {
            self.begun.send(self.name).unwrap();
            let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            end.recv_timeout(SOON).unwrap()
        }
    }

    #[test]
    fn threads_are_few_and_each_piece_of_work_has_its_turn() {
        static ONE: Threads = Threads::new("one", 1);
        assert!(!ONE.are_busy());
        let (begun, begins) = channel();
        let [(first, of_first), (gone, _), (second, of_second)] =
            ["first", "gone", "second"].map(|name| {
                let (ends, end) = channel();
                let (begun, end) = (begun.clone(), Mutex::new(end));
                let job: Arc<dyn Work> = Arc::new(Job { name, begun, end });
                ONE.send_to(Arc::clone(&job)).unwrap();
                (job, ends)
            });
        assert_eq!(ONE.lock().count, 1);
        assert!(ONE.are_busy());
        drop(gone);
        for (name, end, again) in [
            ("first", &of_first, true),
            ("second", &of_second, true),
            ("first", &of_first, true),
            ("second", &of_second, false),
            ("first", &of_first, true),
            ("first", &of_first, false),
        ] {
            assert_eq!(begins.recv_timeout(SOON), Ok(name));
            assert!(begins.try_recv().is_err());
            end.send(again).unwrap();
        }
        drop([first, second]);
        let end = Instant::now() + SOON;
        while ONE.lock().count > 0 {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
    }
}
