//! Operations that may wait: an attempt at a time, and in between what the store allows. A synchronous
//! store blocks its thread; an asynchronous one gives it to others.

use std::thread;
use std::time::{Duration, Instant};

#[cfg(feature = "async")]
use tokio::task::yield_now;
#[cfg(feature = "async")]
use tokio::time::sleep;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::EVENT_OUT;

use crate::SocketsCtx;
use crate::ctx::{NotDone, WaitsFor};
use crate::guest_memory::GuestMemory;
use crate::limits::LimitReached;
#[cfg(feature = "async")]
use crate::sockets::ready_until;
use crate::sockets::{Patience, Timeout, block_until};

/// Attempts after which waiting slows down, if each was reported as ready and was not.
///
/// poll(2) does not report a full backlog or a full queue of another Unix socket, and a datagram that the policy
/// refuses makes a socket readable.
const QUICK_ATTEMPTS: u32 = 8;

/// The pause between attempts from then on.
const PAUSE: Duration = Duration::from_millis(1);

/// Why an attempt returned no answer.
#[derive(Debug)]
pub(super) enum Stop<R> {
    /// It failed.
    Errno(Errno),
    /// Part of it is done.
    Again,
    /// A rate is used up until then, which has to be waited for in any case.
    Pause(Instant),
    /// It cannot be done before this is ready. `over` is the answer if that takes too long, and also to a guest that is
    /// interrupted, if it `is_begun`: part of it is done.
    NotYet {
        waits_for: WaitsFor,
        over: Result<R, Errno>,
        is_begun: bool,
    },
}

impl<R> From<Errno> for Stop<R> {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl<R> From<NotDone> for Stop<R> {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Errno(errno) => Self::Errno(errno),
            NotDone::Pause(until) => Self::Pause(until),
        }
    }
}

impl<R> Stop<R> {
    /// EAGAIN is a reason to wait for these events of a handle.
    pub(super) fn unless_ready<E: Into<NotDone>>(handle: u32, events: u32) -> impl Fn(E) -> Self {
        move |not_done| match not_done.into() {
            NotDone::Errno(errno @ Errno::EAGAIN) => Self::NotYet {
                waits_for: WaitsFor::Handle(handle, events),
                over: Err(errno),
                is_begun: false,
            },
            other => other.into(),
        }
    }

    /// A connection that is not there yet is a reason to wait for it, and EINPROGRESS when the time is over.
    pub(super) fn unless_connected(handle: u32, timeout: Timeout) -> impl Fn(NotDone) -> Self {
        move |not_done| match not_done {
            NotDone::Errno(errno @ (Errno::EAGAIN | Errno::EINPROGRESS | Errno::EALREADY)) => {
                Self::NotYet {
                    waits_for: WaitsFor::Handle(handle, EVENT_OUT),
                    over: Err(match errno {
                        Errno::EALREADY if timeout != Timeout::NONE => Errno::EINPROGRESS,
                        errno => errno,
                    }),
                    is_begun: false,
                }
            }
            other => other.into(),
        }
    }
}

/// One attempt to get an `R`. It may block its thread for as long as its patience says.
pub(super) trait Attempt<R>:
    FnMut(&mut GuestMemory<'_>, &mut SocketsCtx, Patience) -> Result<R, Stop<R>> + Send
{
}

impl<R, A> Attempt<R> for A where
    A: FnMut(&mut GuestMemory<'_>, &mut SocketsCtx, Patience) -> Result<R, Stop<R>> + Send
{
}

/// One call of an import that may wait, for an `R`.
pub(super) struct Operation<R, A> {
    timeout: Timeout,
    attempt: A,
    /// The end of `timeout`, once it has begun.
    end: Option<Instant>,
    attempts: u32,
    /// The answer, if no more time is left.
    over: Option<Result<R, Errno>>,
}

/// What comes next.
enum Step<R> {
    Answer(Result<R, Errno>),
    Again,
    Sleep(Instant),
    /// Until this is ready, or the time is over; first for a moment in any case, if there is one.
    Wait {
        waits_for: WaitsFor,
        end: Option<Instant>,
        moment: Option<Duration>,
    },
}

impl<R: Copy, A: Attempt<R>> Operation<R, A> {
    pub(super) fn new(timeout: Timeout, attempt: A) -> Self
    where
        A: FnMut(&mut GuestMemory<'_>, &mut SocketsCtx, Patience) -> Result<R, Stop<R>>,
    {
        Self {
            timeout,
            attempt,
            end: None,
            attempts: 0,
            over: None,
        }
    }

    /// Blocks the thread until it is done, or the guest's time is over.
    pub(super) fn block(
        mut self,
        memory: &mut GuestMemory<'_>,
        sockets: &mut SocketsCtx,
    ) -> Result<Result<R, Errno>, LimitReached> {
        let patience = sockets.patience(self.timeout);
        loop {
            match self.step(memory, sockets, patience)? {
                Step::Answer(answer) => return Ok(answer),
                Step::Again => {}
                Step::Sleep(until) => {
                    let watched = sockets.signals_watched().into_iter().collect();
                    // If it fails, the next attempt says so.
                    let _ = block_until(&watched, Some(until));
                }
                Step::Wait {
                    waits_for,
                    end,
                    moment,
                } => {
                    if let Some(moment) = moment {
                        thread::sleep(moment);
                    }
                    let watched = sockets.waited_for(&waits_for);
                    self.woken(watched.and_then(|watched| block_until(&watched, end)));
                }
            }
        }
    }

    /// The same as a task of a tokio runtime.
    #[cfg(feature = "async")]
    pub(super) async fn run(
        mut self,
        memory: &mut GuestMemory<'_>,
        sockets: &mut SocketsCtx,
    ) -> Result<Result<R, Errno>, LimitReached> {
        sockets.shares_thread = true;
        // What never has to wait would never let others run.
        if sockets.time_slice.is_over() {
            sockets.time_slice.end();
            yield_now().await;
        }
        loop {
            match self.step(memory, sockets, Patience::NONE)? {
                Step::Answer(answer) => return Ok(answer),
                Step::Again => yield_now().await,
                Step::Sleep(until) => {
                    let watched = sockets.signals_watched().into_iter().collect();
                    // If it fails, the next attempt says so.
                    let _ = ready_until(&watched, Some(until)).await;
                }
                Step::Wait {
                    waits_for,
                    end,
                    moment,
                } => {
                    if let Some(moment) = moment {
                        sleep(moment).await;
                    }
                    let ready = sockets.ready(&waits_for, end).await;
                    self.woken(ready);
                }
            }
            sockets.time_slice.end();
        }
    }

    fn step(
        &mut self,
        memory: &mut GuestMemory<'_>,
        sockets: &mut SocketsCtx,
        patience: Patience,
    ) -> Result<Step<R>, LimitReached> {
        sockets.check_time()?;
        if let Some(over) = self.over {
            return Ok(Step::Answer(over));
        }
        let last = sockets.end;
        let (waits_for, over) = match (self.attempt)(memory, sockets, patience) {
            Ok(answer) => return Ok(Step::Answer(Ok(answer))),
            Err(Stop::Errno(errno)) => return Ok(Step::Answer(Err(errno))),
            Err(Stop::Again) => return Ok(Step::Again),
            Err(Stop::Pause(_)) if sockets.is_interrupted() => {
                return Ok(Step::Answer(Err(Errno::EINTR)));
            }
            Err(Stop::Pause(until)) => {
                return Ok(Step::Sleep(last.map_or(until, |last| until.min(last))));
            }
            Err(Stop::NotYet {
                waits_for,
                over,
                is_begun,
            }) => {
                if self.timeout != Timeout::NONE && sockets.is_interrupted() {
                    let answer = if is_begun { over } else { Err(Errno::EINTR) };
                    return Ok(Step::Answer(answer));
                }
                (waits_for, over)
            }
        };
        if self.timeout == Timeout::NONE {
            return Ok(Step::Answer(over));
        }
        if self.attempts == 0 {
            self.end = self.timeout.end();
        }
        self.attempts += 1;
        let end = [self.end, last].into_iter().flatten().min();
        let left = end.map_or(PAUSE, |end| end.saturating_duration_since(Instant::now()));
        // What says ready and is not would go on.
        if left.is_zero() {
            sockets.check_time()?;
            return Ok(Step::Answer(over));
        }
        self.over = Some(over);
        Ok(Step::Wait {
            waits_for,
            end,
            moment: (self.attempts > QUICK_ATTEMPTS).then(|| left.min(PAUSE)),
        })
    }

    fn woken(&mut self, ready: Result<bool, Errno>) {
        match ready {
            Ok(true) => self.over = None,
            Ok(false) => {}
            // What is done stays done.
            Err(_) if matches!(self.over, Some(Ok(_))) => {}
            Err(errno) => self.over = Some(Err(errno)),
        }
    }
}

#[cfg(all(test, feature = "async"))]
mod tests {
    use super::{
        Duration, Errno, GuestMemory, Instant, Operation, Patience, Stop, Timeout, WaitsFor,
    };
    use crate::testing::runtime;
    use crate::{GuestSignals, Limit, Limits, Policy, SocketsCtx};
    use std::cell::Cell;
    use wasisocket_abi::SOCK_STREAM;
    use wasisocket_abi::v1::{EVENT_IN, EVENT_OUT};

    /// What was answered, after how many attempts, and how long it took.
    type Outcome = (Result<Result<(), Errno>, Limit>, u32, Duration);

    /// Runs it in both ways.
    fn both_ways(
        limits: &Limits,
        timeout: Timeout,
        mut attempt: impl FnMut(u32, u32) -> Result<(), Stop<()>> + Send,
    ) -> [Outcome; 2] {
        let runtime = runtime();
        [false, true].map(|blocks| {
            let sockets = SocketsCtx::builder(Policy::new()).limits(limits.clone());
            let mut sockets = sockets.on_event(|_| ()).build();
            let (handle, _other) = sockets.pair(SOCK_STREAM).unwrap();
            let begun = Instant::now();
            let mut attempts = 0;
            let operation = Operation::new(timeout, |_, _, patience| {
                assert!(blocks && limits.timeout.is_none() || patience == Patience::NONE);
                attempts += 1;
                attempt(handle, attempts)
            });
            let mut memory = GuestMemory(&mut []);
            let answer = match blocks {
                true => operation.block(&mut memory, &mut sockets),
                false => runtime.block_on(operation.run(&mut memory, &mut sockets)),
            };
            (
                answer.map_err(|reached| reached.limit()),
                attempts,
                begun.elapsed(),
            )
        })
    }

    fn not_yet(handle: u32, events: u32) -> Result<(), Stop<()>> {
        Err(Stop::unless_ready(handle, events)(Errno::EAGAIN))
    }

    #[test]
    fn guest_that_never_waits_lets_others_run() {
        const TURNS: u32 = 10;
        let turns = Cell::new(0);
        let guest = async {
            let mut sockets = SocketsCtx::builder(Policy::new()).build();
            let mut memory = GuestMemory(&mut []);
            let begun = Instant::now();
            while turns.get() < TURNS && begun.elapsed() < Duration::from_secs(10) {
                let operation = Operation::new(Timeout::NONE, |_, _, _| Ok(()));
                let answer = operation.run(&mut memory, &mut sockets).await;
                assert_eq!(answer.unwrap(), Ok(()));
            }
        };
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        runtime().block_on(async {
            tokio::select! {
                () = guest => {}
                () = others => unreachable!(),
            }
        });
        assert!(turns.get() >= TURNS);
    }

    #[test]
    fn no_time_is_one_attempt() {
        let none = Limits::default();
        for (answer, attempts, _) in
            both_ways(&none, Timeout::NONE, |handle, _| not_yet(handle, EVENT_OUT))
        {
            assert_eq!((answer, attempts), (Ok(Err(Errno::EAGAIN)), 1));
        }
    }

    #[test]
    fn time_is_waited_for_and_over_is_the_answer() {
        let none = Limits::default();
        let nanos = 20_000_000;
        for (answer, attempts, took) in both_ways(&none, Timeout(nanos), |handle, _| {
            Err(Stop::NotYet {
                waits_for: WaitsFor::Handle(handle, EVENT_IN),
                over: Err(Errno::EINPROGRESS),
                is_begun: false,
            })
        }) {
            assert_eq!((answer, attempts), (Ok(Err(Errno::EINPROGRESS)), 1));
            assert!(took >= Duration::from_nanos(nanos as u64));
        }
    }

    #[test]
    fn what_says_ready_and_is_not_slows_down() {
        let none = Limits::default();
        let wait = Timeout(30_000_000);
        for (answer, attempts, _) in both_ways(&none, wait, |handle, _| not_yet(handle, EVENT_OUT))
        {
            assert_eq!(answer, Ok(Err(Errno::EAGAIN)));
            assert!((5..=50).contains(&attempts), "{attempts}");
        }
    }

    #[test]
    fn attempts_go_on_until_one_is_the_last() {
        let none = Limits::default();
        for (answer, attempts, _) in
            both_ways(&none, Timeout::FOREVER, |handle, attempt| match attempt {
                1 => not_yet(handle, EVENT_OUT),
                2 => Err(Stop::Again),
                _ => Ok(()),
            })
        {
            assert_eq!((answer, attempts), (Ok(Ok(())), 3));
        }
    }

    #[test]
    fn what_cannot_be_waited_for_is_an_error_unless_a_part_is_done() {
        let none = Limits::default();
        for (over, told) in [(Ok(()), Ok(())), (Err(Errno::EAGAIN), Err(Errno::EBADF))] {
            for (answer, ..) in both_ways(&none, Timeout::FOREVER, |_, _| {
                Err(Stop::NotYet {
                    waits_for: WaitsFor::Handle(0, EVENT_IN),
                    over,
                    is_begun: over.is_ok(),
                })
            }) {
                assert_eq!(answer, Ok(told));
            }
        }
    }

    #[test]
    fn signal_ends_the_wait_but_takes_nothing_back() {
        let cases = [
            (Err(Errno::EAGAIN), false, Err(Errno::EINTR)),
            (Ok(()), false, Err(Errno::EINTR)),
            (Ok(()), true, Ok(())),
        ];
        for (over, is_begun, told) in cases {
            for blocks in [false, true] {
                let signals = GuestSignals::new().unwrap();
                let sockets = SocketsCtx::builder(Policy::new()).signals(&signals);
                let mut sockets = sockets.build();
                let (handle, _other) = sockets.pair(SOCK_STREAM).unwrap();
                assert_eq!(sockets.take_signals(0b10), 0);
                let mut attempts = 0;
                let operation = Operation::new(Timeout::FOREVER, |_, _, patience| {
                    assert_eq!(patience, Patience::NONE);
                    attempts += 1;
                    Err(Stop::NotYet {
                        waits_for: WaitsFor::Handle(handle, EVENT_IN),
                        over,
                        is_begun,
                    })
                });
                let sender = std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    assert!(signals.send(2));
                });
                let mut memory = GuestMemory(&mut []);
                let answer = match blocks {
                    true => operation.block(&mut memory, &mut sockets),
                    false => runtime().block_on(operation.run(&mut memory, &mut sockets)),
                };
                sender.join().unwrap();
                assert_eq!((answer.unwrap(), attempts), (told, 2));
                assert_eq!(sockets.take_signals(0b10), 0b10);
            }
        }
    }

    #[test]
    fn guest_whose_time_is_over_waits_no_longer() {
        let short = Limits {
            timeout: Some(Duration::from_millis(20)),
            ..Limits::default()
        };
        for timeout in [Timeout::FOREVER, Timeout(i64::MAX)] {
            for (answer, _, took) in
                both_ways(&short, timeout, |handle, _| not_yet(handle, EVENT_IN))
            {
                assert_eq!(answer, Err(Limit::Timeout));
                assert!(took >= Duration::from_millis(19));
            }
        }
    }
}
