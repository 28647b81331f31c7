//! Calls of a guest to a function of its embedder: started, answered at once or later, and collected.

use std::fmt;
use std::future::poll_fn;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
#[cfg(feature = "async")]
use std::time::Instant;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{retry_on_intr, write};
#[cfg(feature = "async")]
use tokio::time::timeout_at;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{CALL_MAX, CALLS_MAX};

use crate::errno::from_system;

/// The embedder's function.
pub(crate) type Function = dyn Fn(Vec<u8>, Reply) + Send + Sync;

/// The calls of one guest.
pub(crate) struct Calls {
    function: Option<Arc<Function>>,
    counts: Arc<Counts>,
}

/// What the calls of one guest take, together.
#[derive(Debug, Default)]
struct Counts {
    running: AtomicUsize,
    bytes: AtomicUsize,
}

/// A call. Its descriptor becomes readable when the answer is there. Dropping it gives it up.
#[derive(Debug)]
pub(crate) struct Call(Arc<Job>);

#[derive(Debug)]
struct Job {
    answer: OnceLock<Result<(Vec<u8>, Share), Errno>>,
    waiting: Mutex<Waiting>,
    /// An eventfd(2), readable when the answer is there.
    done: OwnedFd,
}

#[derive(Debug, Default)]
struct Waiting {
    /// The guest, for the answer.
    guest: Option<Waker>,
    /// Who answers, for the guest to give up.
    replier: Option<Waker>,
    is_given_up: bool,
}

/// Bytes that count, until this is dropped.
#[derive(Debug)]
struct Share {
    counts: Arc<Counts>,
    bytes: usize,
}

/// Where the answer to a guest's call goes ([`SocketsCtxBuilder::on_call`](crate::SocketsCtxBuilder::on_call)). It can be
/// kept, and passed to another thread. Dropping it without an answer is EIO for the guest.
#[must_use = "the guest waits for the answer"]
pub struct Reply {
    job: Arc<Job>,
    /// The request's.
    share: Option<Share>,
    counts: Arc<Counts>,
}

impl Calls {
    pub(crate) fn new(function: Option<Arc<Function>>) -> Self {
        Self {
            function,
            counts: Arc::default(),
        }
    }

    /// Calls the embedder's function, which may answer before this returns.
    ///
    /// # Errors
    /// EOPNOTSUPP if there is none; EMSGSIZE, ENOBUFS, EBUSY; EMFILE or ENFILE for the descriptor.
    pub(crate) fn start(&self, request: &[u8]) -> Result<Call, Errno> {
        let function = self.function.as_ref().ok_or(Errno::EOPNOTSUPP)?;
        if request.len() > CALL_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let share = Share::of(&self.counts, request.len())?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let job = Arc::new(Job {
            answer: OnceLock::new(),
            waiting: Mutex::default(),
            done: eventfd(0, flags).map_err(from_system)?,
        });
        take(&self.counts.running, 1, CALLS_MAX).ok_or(Errno::EBUSY)?;
        let call = Call(Arc::clone(&job));
        let reply = Reply {
            job,
            share: Some(share),
            counts: Arc::clone(&self.counts),
        };
        function(request.to_vec(), reply);
        Ok(call)
    }
}

impl Call {
    /// EAGAIN if it is not there yet. May be read more than once.
    pub(crate) fn answer(&self) -> Result<&[u8], Errno> {
        match self.0.answer.get() {
            Some(Ok((answer, _))) => Ok(answer),
            Some(Err(errno)) => Err(*errno),
            None => Err(Errno::EAGAIN),
        }
    }

    /// Waits for it, which is quicker than by the descriptor; false when the time is over.
    #[cfg(feature = "async")]
    pub(crate) async fn answered_until(&self, end: Option<Instant>) -> bool {
        let answered = poll_fn(|context| {
            let mut waiting = self.0.waiting();
            if self.0.answer.get().is_some() {
                return Poll::Ready(());
            }
            waiting.guest = Some(context.waker().clone());
            Poll::Pending
        });
        match end {
            Some(end) => timeout_at(end.into(), answered).await.is_ok(),
            None => {
                answered.await;
                true
            }
        }
    }
}

impl AsFd for Call {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.done.as_fd()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        waiting.is_given_up = true;
        let waker = waiting.replier.take();
        drop(waiting);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Job {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, answer: Result<(Vec<u8>, Share), Errno>) {
        if self.answer.set(answer).is_ok() {
            let waker = self.waiting().guest.take();
            if let Some(waker) = waker {
                waker.wake();
            }
            // An eventfd(2) holds one number, and this one is written once.
            let _ = retry_on_intr(|| write(&self.done, &1_u64.to_ne_bytes()));
        }
    }
}

impl Reply {
    /// Answers the guest's call. An answer of more than [`CALL_MAX`] bytes, together with others that the guest has not
    /// collected and requests that are not answered, is ENOBUFS for the guest.
    pub fn send(mut self, answer: Vec<u8>) {
        self.share = None;
        let share = Share::of(&self.counts, answer.len());
        self.job.finish(share.map(|share| (answer, share)));
    }

    /// Whether nobody waits for the answer: the guest closed the call, or it has ended. If not, the task of the context
    /// is woken when that happens.
    pub fn poll_given_up(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut waiting = self.job.waiting();
        if waiting.is_given_up {
            return Poll::Ready(());
        }
        waiting.replier = Some(context.waker().clone());
        Poll::Pending
    }

    /// Waits until nobody waits for the answer.
    pub async fn given_up(&self) {
        poll_fn(|context| self.poll_given_up(context)).await;
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.job.finish(Err(Errno::EIO));
        self.counts.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").finish_non_exhaustive()
    }
}

impl Share {
    /// ENOBUFS if there is not so much left.
    fn of(counts: &Arc<Counts>, bytes: usize) -> Result<Self, Errno> {
        take(&counts.bytes, bytes, CALL_MAX).ok_or(Errno::ENOBUFS)?;
        Ok(Self {
            counts: Arc::clone(counts),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Adds to a count, unless that were more than a maximum.
fn take(count: &AtomicUsize, more: usize, max: usize) -> Option<usize> {
    let add = |count: usize| count.checked_add(more).filter(|count| *count <= max);
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add)
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Arc, CALL_MAX, CALLS_MAX, Calls, Context, Errno, Mutex, Ordering, Reply, Waker};
    use std::os::fd::AsFd;

    /// Calls that are answered by hand.
    fn calls() -> (Calls, Arc<Mutex<Vec<Reply>>>) {
        let replies = Arc::<Mutex<Vec<Reply>>>::default();
        let kept = Arc::clone(&replies);
        let function = move |_, reply| kept.lock().unwrap().push(reply);
        (Calls::new(Some(Arc::new(function))), replies)
    }

    fn is_readable(fd: impl AsFd) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let now = Timespec::default();
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn answer_comes_at_once_or_later_and_can_be_had_again() {
        let echo = Calls::new(Some(Arc::new(|request, reply: Reply| reply.send(request))));
        assert_eq!(echo.start(b"a").unwrap().answer(), Ok(&b"a"[..]));
        let (calls, replies) = calls();
        let (one, two) = (calls.start(b"1").unwrap(), calls.start(b"2").unwrap());
        assert_eq!(one.answer(), Err(Errno::EAGAIN));
        assert!(!is_readable(&two));
        replies.lock().unwrap().pop().unwrap().send(vec![7]);
        assert!(is_readable(&two) && !is_readable(&one));
        for _ in 0..2 {
            assert_eq!(two.answer(), Ok(&[7][..]));
        }
        drop(replies.lock().unwrap().pop());
        assert_eq!(one.answer(), Err(Errno::EIO));
        assert!(is_readable(&one));
        assert_eq!(Calls::new(None).start(b"").err(), Some(Errno::EOPNOTSUPP));
    }

    #[test]
    fn who_answers_learns_that_nobody_waits() {
        let (calls, replies) = calls();
        let call = calls.start(b"").unwrap();
        let reply = replies.lock().unwrap().pop().unwrap();
        let mut context = Context::from_waker(Waker::noop());
        assert!(reply.poll_given_up(&mut context).is_pending());
        drop(call);
        assert!(reply.poll_given_up(&mut context).is_ready());
        reply.send(vec![0; 10]);
        assert_eq!(calls.counts.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn calls_are_bounded_also_those_that_the_guest_closed() {
        let (calls, replies) = calls();
        for _ in 0..CALLS_MAX {
            drop(calls.start(b"").unwrap());
        }
        assert_eq!(calls.start(b"").err(), Some(Errno::EBUSY));
        drop(replies.lock().unwrap().pop());
        assert!(calls.start(b"").is_ok());
    }

    #[test]
    fn requests_and_answers_are_bounded_together() {
        let (calls, replies) = calls();
        let too_long = vec![0; CALL_MAX + 1];
        assert_eq!(calls.start(&too_long).err(), Some(Errno::EMSGSIZE));
        let half = &too_long[..CALL_MAX / 2];
        let (one, two) = (calls.start(half).unwrap(), calls.start(half).unwrap());
        assert_eq!(calls.start(b"x").err(), Some(Errno::ENOBUFS));
        replies.lock().unwrap().remove(0).send(half.to_vec());
        assert!(one.answer().is_ok());
        // There is room for half of it, as the other call's request is still there until it is answered.
        let answer = too_long[..CALL_MAX / 2 + 1].to_vec();
        replies.lock().unwrap().remove(0).send(answer);
        assert_eq!(two.answer(), Err(Errno::ENOBUFS));
        drop((one, two));
        assert_eq!(calls.counts.bytes.load(Ordering::Relaxed), 0);
        assert_eq!(calls.counts.running.load(Ordering::Relaxed), 0);
    }
}
