//! Look-ups that a guest starts and collects later, on a few threads.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{retry_on_intr, write};
use wasisocket_abi::Errno;

use super::resolver::{Resolver, caught};
use super::socket::Family;
use super::threads::{Threads, Work};
use crate::clock::Cpu;
use crate::errno::from_system;

/// Most threads that one guest's look-ups run on at a time; one where most of all are busy.
const THREADS_MAX: usize = 4;

/// Most threads of all guests of this process: as many as tokio has for what blocks. They outlive their guests for
/// as long as resolvers do not answer.
static THREADS: Threads = Threads::new("look-up", 512);

/// What is looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The addresses of a name, of one family or both, and its canonical name.
    Name {
        name: String,
        family: Option<Family>,
    },
    /// The name of an address.
    Address(IpAddr),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// At most [`wasisocket_abi::RESOLVE_MAX`]; none for the name of an address.
    pub(crate) addresses: Vec<IpAddr>,
    /// The canonical name, or that of the address.
    pub(crate) host: String,
    /// When it came.
    pub(crate) came: Instant,
    /// How long it holds, if the resolver tells.
    pub(crate) ttl: Option<Duration>,
}

/// A look-up that was started. Its descriptor is readable once it is over. Dropping it ends it, unless
/// a thread is at it: getaddrinfo(3) cannot be interrupted.
#[derive(Debug)]
pub(crate) struct Lookup {
    job: Arc<Job>,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Job {
    question: Question,
    ask: Ask,
    answer: OnceLock<Result<Answer, Errno>>,
    over: OwnedFd,
}

/// The look-ups of one guest that are not over. Dropping it forgets those that no thread is at.
#[derive(Debug)]
pub(crate) struct Lookups(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    queue: Mutex<Queue>,
    resolver: Resolver,
    cpu: Arc<Cpu>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Not more than there are open look-ups: closing one takes it out.
    waiting: VecDeque<Arc<Job>>,
    /// Also those that are to come.
    threads: usize,
}

impl Queue {
    fn has_room_for_another_thread(&self) -> bool {
        let max = if THREADS.are_busy() { 1 } else { THREADS_MAX };
        self.threads < max
    }
}

impl Question {
    /// Are these about the two families of one name?
    pub(crate) fn is_other_half_of(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Name {
                    name,
                    family: Some(family),
                },
                Self::Name {
                    name: other,
                    family: Some(other_family),
                },
            ) => name == other && family != other_family,
            _ => false,
        }
    }
}

impl Answer {
    /// No addresses, without a time to live.
    pub(crate) fn now(host: String) -> Self {
        Self {
            addresses: Vec::new(),
            host,
            came: Instant::now(),
            ttl: None,
        }
    }
}

impl Lookups {
    /// `cpu` is where the time is counted that its threads compute.
    pub(crate) fn new(resolver: Resolver, cpu: Arc<Cpu>) -> Self {
        Self(Arc::new(Pool {
            queue: Mutex::default(),
            resolver,
            cpu,
        }))
    }

    /// Starts a look-up.
    ///
    /// # Errors
    /// EBUSY if no thread can be started; EMFILE or ENFILE for the descriptor.
    pub(crate) fn start(&self, question: Question) -> Result<Lookup, Errno> {
        match self.0.resolver.known(&question) {
            Some(known) => self.known(question, known),
            None => self.start_with(question, ask),
        }
    }

    fn start_with(&self, question: Question, ask: Ask) -> Result<Lookup, Errno> {
        let job = Job::new(question, ask, 0)?;
        let mut queue = self.0.lock();
        queue.waiting.push_back(Arc::clone(&job));
        if queue.has_room_for_another_thread() {
            let pool = Arc::clone(&self.0);
            match THREADS.send_to(pool) {
                Ok(()) => queue.threads += 1,
                Err(_) if queue.threads == 0 => {
                    queue.waiting.clear();
                    return Err(Errno::EBUSY);
                }
                // Those that there are will come to it.
                Err(_) => {}
            }
        }
        drop(queue);
        let pool = Arc::clone(&self.0);
        Ok(Lookup { job, pool })
    }

    /// A look-up that is over at once.
    pub(crate) fn known(
        &self,
        question: Question,
        answer: Result<Answer, Errno>,
    ) -> Result<Lookup, Errno> {
        let job = Job::new(question, ask, 1)?;
        // It is new: nobody has answered.
        let _ = job.answer.set(answer);
        let pool = Arc::clone(&self.0);
        Ok(Lookup { job, pool })
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.0.lock().waiting.clear();
    }
}

/// How a question is answered: [`ask`], but for tests.
type Ask = fn(&Resolver, &Question) -> Result<Answer, Errno>;

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Pool {
    fn work(&self) -> bool {
        let job = self.lock().waiting.pop_front();
        if let Some(job) = job {
            let ask = || (job.ask)(&self.resolver, &job.question);
            let _ = job.answer.set(self.cpu.counting(|| caught(ask)));
            // It holds one number, and is written once.
            let _ = retry_on_intr(|| write(&job.over, &1_u64.to_ne_bytes()));
        }
        let mut queue = self.lock();
        queue.threads -= 1;
        let again = !queue.waiting.is_empty() && queue.has_room_for_another_thread();
        queue.threads += usize::from(again);
        again
    }
}

fn ask(resolver: &Resolver, question: &Question) -> Result<Answer, Errno> {
    // EAGAIN would say that the look-up is not over.
    resolver.ask_others(question).map_err(|errno| match errno {
        Errno::EAGAIN => Errno::EBUSY,
        errno => errno,
    })
}

impl Job {
    fn new(question: Question, ask: Ask, over: u32) -> Result<Arc<Self>, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Arc::new(Self {
            question,
            ask,
            answer: OnceLock::new(),
            over: eventfd(over, flags).map_err(from_system)?,
        }))
    }
}

impl Lookup {
    pub(crate) fn question(&self) -> &Question {
        &self.job.question
    }

    /// What was found; EAGAIN if it is not over. May be asked for more than once.
    pub(crate) fn answer(&self) -> Result<&Answer, Errno> {
        match self.job.answer.get() {
            Some(answer) => answer.as_ref().map_err(|errno| *errno),
            None => Err(Errno::EAGAIN),
        }
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.job.over.as_fd()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut queue = self.pool.lock();
        queue.waiting.retain(|job| !Arc::ptr_eq(job, &self.job));
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Arc, Errno, Lookup, Lookups, Question, Resolver, THREADS_MAX};
    use crate::sockets::{Watched, block_until};
    use rustix::event::PollFlags;
    use std::os::fd::AsFd as _;
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::{Duration, Instant};

    fn lookups() -> Lookups {
        Lookups::new(Resolver::default(), Arc::default())
    }

    /// What was found, once it is over.
    fn answer(lookup: &Lookup) -> Result<&Answer, Errno> {
        let watched = Watched::from_iter([(lookup.as_fd(), PollFlags::IN)]);
        let soon = Instant::now() + Duration::from_secs(10);
        assert_eq!(block_until(&watched, Some(soon)), Ok(true));
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
