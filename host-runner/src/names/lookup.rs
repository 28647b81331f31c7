//! The look-ups of one guest: started, run on a few threads, and collected later.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{retry_on_intr, write};
use wasisocket_abi::Errno;

use super::question::{Answer, Question};
use super::resolver::{Resolver, caught};
use super::threads::Work;
use crate::errno::from_system;
use crate::event::Events;
use crate::limits::CpuTime;

/// Most threads that one guest's look-ups run on at a time; one while most of all threads are busy.
const THREADS_MAX: usize = 4;

/// A look-up that was started. Its descriptor becomes readable when it is done. Dropping it ends it, unless a
/// thread is running it: getaddrinfo(3) cannot be interrupted.
#[derive(Debug)]
pub(crate) struct Lookup {
    job: Arc<Job>,
    guest: Arc<Guest>,
}

#[derive(Debug)]
struct Job {
    question: Question,
    ask: Ask,
    answer: OnceLock<Result<Answer, Errno>>,
    /// An eventfd(2), readable when the look-up is done.
    done: OwnedFd,
}

/// All look-ups of one guest. Dropping it forgets those that no thread is running.
#[derive(Debug)]
pub(crate) struct Lookups(Arc<Guest>);

#[derive(Debug)]
struct Guest {
    queue: Mutex<Queue>,
    resolver: Resolver,
    cpu: Arc<CpuTime>,
    events: Events,
}

#[derive(Debug, Default)]
struct Queue {
    /// At most as many as there are open look-ups: closing one removes it.
    waiting: VecDeque<Arc<Job>>,
    /// How many threads run these look-ups, or will as soon as one is free.
    threads: usize,
    /// The guest is gone: nobody wants to know what is found.
    ended: bool,
}

impl Lookups {
    /// `cpu` counts the CPU time that the threads use.
    pub(crate) fn new(resolver: Resolver, cpu: Arc<CpuTime>, events: Events) -> Self {
        Self(Arc::new(Guest {
            queue: Mutex::default(),
            resolver,
            cpu,
            events,
        }))
    }

    /// Starts a look-up.
    ///
    /// # Errors
    /// EBUSY if no thread can be started; EMFILE or ENFILE for the descriptor.
    pub(crate) fn start(&self, question: Question) -> Result<Lookup, Errno> {
        let guest = &self.0;
        match guest.resolver.known(&question) {
            Some(known) => {
                let lookup = self.known(question, known)?;
                guest.events.lookup_asked(lookup.question());
                guest.events.lookup_done(lookup.question(), lookup.answer());
                Ok(lookup)
            }
            None => self.start_with(question, ask),
        }
    }

    fn start_with(&self, question: Question, ask: Ask) -> Result<Lookup, Errno> {
        let job = Job::new(question, ask, 0)?;
        let guest = Arc::clone(&self.0);
        guest.events.lookup_asked(&job.question);
        let mut queue = guest.lock();
        queue.waiting.push_back(Arc::clone(&job));
        if guest.may_use_another_thread(&queue) {
            match guest.resolver.own_threads().run(Arc::clone(&self.0) as _) {
                Ok(()) => queue.threads += 1,
                Err(_) if queue.threads == 0 => {
                    queue.waiting.clear();
                    drop(queue);
                    guest.events.lookup_done(&job.question, Err(Errno::EBUSY));
                    return Err(Errno::EBUSY);
                }
                // The running threads will come to it.
                Err(_) => {}
            }
        }
        drop(queue);
        Ok(Lookup { job, guest })
    }

    /// A look-up that is done at once.
    pub(crate) fn known(
        &self,
        question: Question,
        answer: Result<Answer, Errno>,
    ) -> Result<Lookup, Errno> {
        let job = Job::new(question, ask, 1)?;
        // The job is new, so nobody has answered.
        let _ = job.answer.set(answer);
        let guest = Arc::clone(&self.0);
        Ok(Lookup { job, guest })
    }

    /// The guest ends: no look-up is started any more, and those under way are not reported.
    pub(crate) fn end(&self) {
        let mut queue = self.0.lock();
        queue.waiting.clear();
        queue.ended = true;
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.end();
    }
}

/// How a question is answered: [`ask`], but for tests.
type Ask = fn(&Resolver, &Question) -> Result<Answer, Errno>;

impl Guest {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_use_another_thread(&self, queue: &Queue) -> bool {
        let busy = self.resolver.own_threads().are_busy();
        queue.threads < if busy { 1 } else { THREADS_MAX }
    }
}

impl Work for Guest {
    fn work(&self) -> bool {
        let job = self.lock().waiting.pop_front();
        if let Some(job) = job {
            let ask = || (job.ask)(&self.resolver, &job.question);
            let answer = self.cpu.count(|| caught(ask));
            if !self.lock().ended {
                let answer = answer.as_ref().map_err(|errno| *errno);
                // This thread has more to do, whatever the sink does.
                let send = AssertUnwindSafe(|| self.events.lookup_done(&job.question, answer));
                let _ = catch_unwind(send);
            }
            let _ = job.answer.set(answer);
            // An eventfd(2) holds one number, and this one is written once.
            let _ = retry_on_intr(|| write(&job.done, &1_u64.to_ne_bytes()));
        }
        let mut queue = self.lock();
        queue.threads -= 1;
        let again = !queue.waiting.is_empty() && self.may_use_another_thread(&queue);
        queue.threads += usize::from(again);
        again
    }
}

fn ask(resolver: &Resolver, question: &Question) -> Result<Answer, Errno> {
    // EAGAIN would say that the look-up is not done.
    resolver.ask_others(question).map_err(|errno| match errno {
        Errno::EAGAIN => Errno::EBUSY,
        errno => errno,
    })
}

impl Job {
    fn new(question: Question, ask: Ask, done: u32) -> Result<Arc<Self>, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Arc::new(Self {
            question,
            ask,
            answer: OnceLock::new(),
            done: eventfd(done, flags).map_err(from_system)?,
        }))
    }
}

impl Lookup {
    pub(crate) fn question(&self) -> &Question {
        &self.job.question
    }

    /// What was found; EAGAIN if it is not done. May be read more than once.
    pub(crate) fn answer(&self) -> Result<&Answer, Errno> {
        match self.job.answer.get() {
            Some(answer) => answer.as_ref().map_err(|errno| *errno),
            None => Err(Errno::EAGAIN),
        }
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.job.done.as_fd()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut queue = self.guest.lock();
        queue.waiting.retain(|job| !Arc::ptr_eq(job, &self.job));
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Arc, Errno, Events, Lookup, Lookups, Question, Resolver, THREADS_MAX};
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    fn lookups() -> Lookups {
        Lookups::new(Resolver::default(), Arc::default(), Events::default())
    }

    /// What was found, once it is done.
    fn answer(lookup: &Lookup) -> Result<&Answer, Errno> {
        let soon = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        assert_eq!(
            poll(&mut [PollFd::new(lookup, PollFlags::IN)], Some(&soon)),
            Ok(1)
        );
        lookup.answer()
    }

    fn question(name: &str) -> Question {
        Question::Name {
            name: name.into(),
            family: None,
        }
    }

    fn threads(lookups: &Lookups) -> usize {
        lookups.0.lock().threads
    }

    fn ends(lookups: &Lookups) -> bool {
        let begun = Instant::now();
        while threads(lookups) > 0 {
            if begun.elapsed() > Duration::from_secs(10) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    #[test]
    fn answer_comes_and_can_be_had_again_and_threads_end() {
        let lookups = lookups();
        let lookup = lookups
            .start_with(question("a"), |_, _| {
                Ok(Answer {
                    addresses: vec![[127, 0, 0, 1].into()],
                    ..Answer::now("a".into())
                })
            })
            .unwrap();
        for _ in 0..2 {
            assert_eq!(answer(&lookup).unwrap().host, "a");
        }
        assert_eq!(lookup.answer().unwrap().addresses.len(), 1);
        assert!(ends(&lookups));
    }

    #[test]
    fn panic_of_a_resolver_is_an_input_output_error() {
        let lookups = lookups();
        let lookup = lookups
            .start_with(question("a"), |_, _| panic!("not UTF-8"))
            .unwrap();
        assert_eq!(answer(&lookup), Err(Errno::EIO));
        assert!(ends(&lookups));
    }

    #[test]
    fn threads_are_few_and_closed_lookups_are_forgotten() {
        static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
        let lookups = lookups();
        let open: Vec<_> = (0..THREADS_MAX + 3)
            .map(|_| {
                lookups
                    .start_with(question("slow"), |_, _| {
                        let open = OPEN.0.lock().unwrap_or_else(PoisonError::into_inner);
                        drop(OPEN.1.wait_while(open, |open| !*open));
                        Ok(Answer::now(String::new()))
                    })
                    .unwrap()
            })
            .collect();
        assert_eq!(threads(&lookups), THREADS_MAX);
        assert_eq!(open[0].answer(), Err(Errno::EAGAIN));
        let mut open = open;
        let kept = open.split_off(open.len() - 1);
        drop(open);
        assert!(lookups.0.lock().waiting.len() <= THREADS_MAX + 1);
        *OPEN.0.lock().unwrap() = true;
        OPEN.1.notify_all();
        assert!(answer(&kept[0]).is_ok());
        assert!(ends(&lookups));
        assert!(lookups.0.lock().waiting.is_empty());
    }

    #[test]
    fn known_answer_is_there_at_once() {
        let lookups = lookups();
        let lookup = lookups.known(question("x"), Err(Errno::ENOENT)).unwrap();
        assert_eq!(lookup.answer(), Err(Errno::ENOENT));
        assert_eq!(threads(&lookups), 0);
    }
}
