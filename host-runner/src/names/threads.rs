//! Threads for look-ups that block, shared by every guest that has a handle of them.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::iter::from_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;

/// What a thread is given to do.
pub(super) trait Work: Send + Sync {
    /// Does one piece of work, if there is one, and says whether a thread should come again. Must not panic.
    fn work(&self) -> bool;
}

/// The threads that look-ups run on, and how many there may be. Clones share the threads.
///
/// A [`Resolver`](crate::Resolver) has such a handle, and clones of a resolver share it: guests whose resolver
/// was cloned from one value run their look-ups on the same threads. [`Resolver::threads`](crate::Resolver::threads)
/// gives several resolvers the same threads.
///
/// One guest uses up to four threads at a time, and one thread while more than half of all are busy. A thread
/// ends when it has nothing to do. getaddrinfo(3) cannot be interrupted, so a thread may outlive its guest until
/// the resolver answers or gives up; it counts until then.
#[derive(Clone)]
pub struct LookupThreads(Arc<Shared>);

struct Shared {
    max: usize,
    state: Mutex<State>,
}

struct State {
    running: usize,
    /// Work that waits for a free thread, longest first.
    waiting: VecDeque<Weak<dyn Work>>,
}

impl LookupThreads {
    /// The limit of [`LookupThreads::default`]: as many threads as tokio allows for blocking work.
    pub const MAX_DEFAULT: usize = 512;

    /// Up to `max` threads, at least one. None is started before the first look-up.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Shared {
            max: max.max(1),
            state: Mutex::new(State {
                running: 0,
                waiting: VecDeque::new(),
            }),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Is more than half of the threads at work?
    pub(super) fn are_busy(&self) -> bool {
        self.lock().running > self.0.max / 2
    }

    /// Runs work on a new thread, or on the next free one if there are `max` already.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn run(&self, work: Arc<dyn Work>) -> io::Result<()> {
        let mut state = self.lock();
        if state.running >= self.0.max {
            state.waiting.push_back(Arc::downgrade(&work));
            return Ok(());
        }
        let threads = self.clone();
        let mut next = Some(work);
        thread::Builder::new()
            .name("look-up".into())
            .spawn(move || {
                while let Some(work) = next {
                    let again = work.work();
                    next = threads.next(again.then_some(work));
                }
            })?;
        state.running += 1;
        Ok(())
    }

    /// The work that has waited longest; `last`, what the thread comes from, queues behind it. `None`, and the
    /// thread has to end, if there is no work.
    fn next(&self, last: Option<Arc<dyn Work>>) -> Option<Arc<dyn Work>> {
        let mut state = self.lock();
        state.waiting.extend(last.as_ref().map(Arc::downgrade));
        let next = from_fn(|| state.waiting.pop_front()).find_map(|work| work.upgrade());
        if next.is_none() {
            state.running -= 1;
        }
        next
    }
}

impl Default for LookupThreads {
    fn default() -> Self {
        Self::new(Self::MAX_DEFAULT)
    }
}

impl fmt::Debug for LookupThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupThreads")
            .field("max", &self.0.max)
            .field("running", &self.lock().running)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Arc, LookupThreads, Work};
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
        let one = LookupThreads::new(1);
        assert!(!one.are_busy());
        let (begun, begins) = channel();
        let [(first, of_first), (gone, _), (second, of_second)] =
            ["first", "gone", "second"].map(|name| {
                let (ends, end) = channel();
                let (begun, end) = (begun.clone(), Mutex::new(end));
                let job: Arc<dyn Work> = Arc::new(Job { name, begun, end });
                one.run(Arc::clone(&job)).unwrap();
                (job, ends)
            });
        assert_eq!(one.lock().running, 1);
        assert!(one.are_busy());
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
        while one.lock().running > 0 {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
    }
}
