//! Signals, as POSIX has them: signal(7).
//!
//! They come from the host, from a timer, or from the guest itself, and nothing interrupts code: they are looked for where
//! a thread waits, where the program sends or admits one, and where an interpreter says that it can be interrupted. A
//! handler runs then and there, on the stack that is in use, whichever thread the signal is for; the wait of that thread
//! ends with EINTR.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::mem;
use std::time::{Duration, Instant};

use wasisocket_abi::v1::PollEntry;

use crate::c_abi::{Handler, Own, cpu_time, end_by_signal, monotonic_time, rest};
use crate::host::{self, FOREVER, Host as _, Imp, after, until};
use crate::sys::{SA_NODEFER, SA_RESETHAND};
use crate::threads::{self, On};
use crate::{Errno, Result};

/// A set of signals: the bit `n - 1` stands for the signal `n`.
pub(crate) type Set = u64;

/// How many numbers there are, from 0 on: `_NSIG`.
const NUMBERS: usize = 65;

pub(crate) const SIGKILL: c_int = 9;
pub(crate) const SIGSTOP: c_int = 19;
const SIGALRM: c_int = 14;
const SIGCHLD: c_int = 17;
const SIGCONT: c_int = 18;
const SIGTSTP: c_int = 20;
const SIGTTIN: c_int = 21;
const SIGTTOU: c_int = 22;
const SIGURG: c_int = 23;
const SIGVTALRM: c_int = 26;
const SIGPROF: c_int = 27;
const SIGWINCH: c_int = 28;

/// What can neither be handled nor blocked.
const ALWAYS: Set = set_of(SIGKILL) | set_of(SIGSTOP);

/// What does not end a process by default. There is nobody to let a stopped guest go on, so none stops.
const HARMLESS: Set = set_of(SIGCHLD)
    | set_of(SIGCONT)
    | set_of(SIGSTOP)
    | set_of(SIGTSTP)
    | set_of(SIGTTIN)
    | set_of(SIGTTOU)
    | set_of(SIGURG)
    | set_of(SIGWINCH);

/// The set with this signal alone; empty for what is none.
pub(crate) const fn set_of(signal: c_int) -> Set {
    match signal {
        1..=64 => 1 << signal.wrapping_sub(1),
        _ => 0,
    }
}

/// The signals of a set, in order.
fn members(set: Set) -> impl Iterator<Item = c_int> {
    (1..=64).filter(move |signal| set & set_of(*signal) != 0)
}

/// What is done about a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Default,
    Ignore,
    Call(Handler),
}

/// sigaction(2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disposition {
    pub(crate) action: Action,
    /// What is blocked while its handler runs.
    pub(crate) mask: Set,
    /// `SA_` flags.
    pub(crate) flags: c_int,
}

const DEFAULT: Disposition = Disposition {
    action: Action::Default,
    mask: 0,
    flags: 0,
};

impl Action {
    /// Whether nothing is done about these signals.
    fn ignores(self, set: Set) -> bool {
        match self {
            Self::Default => set & HARMLESS != 0,
            Self::Ignore => true,
            Self::Call(_) => false,
        }
    }
}

/// A clock that a timer counts by: the `which` of setitimer(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Clock {
    Real = 0,
    Virtual = 1,
    Profiling = 2,
}

impl Clock {
    const ALL: [Self; 3] = [Self::Real, Self::Virtual, Self::Profiling];

    /// # Errors
    /// EINVAL.
    pub(crate) fn of(which: c_int) -> Result<Self> {
        let clock = usize::try_from(which)
            .ok()
            .and_then(|which| Self::ALL.get(which));
        clock.copied().ok_or(Errno(libc::EINVAL))
    }

    fn signal(self) -> c_int {
        match self {
            Self::Real => SIGALRM,
            Self::Virtual => SIGVTALRM,
            Self::Profiling => SIGPROF,
        }
    }

    /// The time since some point.
    fn now(self) -> Duration {
        match self {
            Self::Real => monotonic_time(),
            // No time is the system's.
            Self::Virtual | Self::Profiling => cpu_time(),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Timer {
    at: Duration,
    /// Zero for a timer that ends once.
    interval: Duration,
}

thread_local! {
    static DISPOSITIONS: RefCell<[Disposition; NUMBERS]> = const { RefCell::new([DEFAULT; NUMBERS]) };
    /// What was sent to the process.
    static PENDING: Cell<Set> = const { Cell::new(0) };
    /// What has a handler or is ignored.
    static HANDLED: Cell<Set> = const { Cell::new(0) };
    static TIMERS: Cell<[Option<Timer>; 3]> = const { Cell::new([None; 3]) };
}

fn disposition(signal: c_int) -> Disposition {
    DISPOSITIONS.with_borrow(|all| {
        let disposition = usize::try_from(signal)
            .ok()
            .and_then(|signal| all.get(signal));
        disposition.copied().unwrap_or(DEFAULT)
    })
}

/// sigaction(2): what was done before.
///
/// # Errors
/// EINVAL for what is no signal, and for a change to what cannot be handled.
pub(crate) fn sigaction(signal: c_int, new: Option<Disposition>) -> Result<Disposition> {
    let set = set_of(signal);
    if set == 0 || new.is_some() && set & ALWAYS != 0 {
        return Err(Errno(libc::EINVAL));
    }
    let old = disposition(signal);
    if let Some(new) = new {
        DISPOSITIONS.with_borrow_mut(|all| {
            let place = usize::try_from(signal)
                .ok()
                .and_then(|signal| all.get_mut(signal));
            if let Some(place) = place {
                *place = new;
            }
        });
        HANDLED.set(match new.action {
            Action::Default => HANDLED.get() & !set,
            Action::Ignore | Action::Call(_) => HANDLED.get() | set,
        });
        if new.action.ignores(set) {
            PENDING.set(PENDING.get() & !set);
            threads::signals::forget(set);
        }
        // The host learns what is handled.
        deliver();
    }
    Ok(old)
}

/// Sends a signal to the process: kill(2) of its own. 0 sends none.
///
/// # Errors
/// EINVAL for what is no signal.
pub(crate) fn kill(signal: c_int) -> Result<()> {
    check(signal)?;
    PENDING.set(PENDING.get() | set_of(signal));
    deliver();
    Ok(())
}

/// pthread_kill(3). 0 sends none.
///
/// # Errors
/// ESRCH; EINVAL for what is no signal.
pub(crate) fn kill_thread(thread: threads::Id, signal: c_int) -> Result<()> {
    check(signal)?;
    threads::signals::of(thread, |signals| signals.pending |= set_of(signal))?;
    deliver();
    // It may be what that thread waits for.
    threads::wake_all(On::Signal);
    Ok(())
}

fn check(signal: c_int) -> Result<()> {
    match signal == 0 || set_of(signal) != 0 {
        true => Ok(()),
        false => Err(Errno(libc::EINVAL)),
    }
}

/// pthread_sigmask(3): what was blocked before, and whether a handler has run for what is not any more.
pub(crate) fn set_mask(change: impl FnOnce(Set) -> Set) -> (Set, bool) {
    let old = threads::signals::of_current(|signals| {
        let new = change(signals.blocked) & !ALWAYS;
        mem::replace(&mut signals.blocked, new)
    });
    (old, deliver())
}

/// Makes a call with another mask, as pselect(2) does.
///
/// # Errors
/// EINTR, without the call, if a handler has run for what is not blocked any more; those of the call.
pub(crate) fn with_mask<R>(mask: Set, call: impl FnOnce() -> Result<R>) -> Result<R> {
    let (old, is_interrupted) = set_mask(|_| mask);
    let result = match is_interrupted {
        true => Err(Errno(libc::EINTR)),
        false => call(),
    };
    set_mask(|_| old);
    result
}

/// sigpending(2).
pub(crate) fn pending() -> Set {
    look();
    PENDING.get() | threads::signals::of_current(|signals| signals.pending)
}

/// sigtimedwait(2): takes one of these signals, once it has come.
///
/// # Errors
/// EAGAIN if the time is over; EINTR.
pub(crate) fn wait_for(set: Set, end: Option<Instant>) -> Result<c_int> {
    loop {
        if deliver() {
            return Err(Errno(libc::EINTR));
        }
        if let Some(signal) = members(pending() & set).next() {
            let taken = set_of(signal);
            let own = threads::signals::of_current(|signals| {
                let left = signals.pending & !taken;
                mem::replace(&mut signals.pending, left)
            });
            if own & taken == 0 {
                PENDING.set(PENDING.get() & !taken);
            }
            return Ok(signal);
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return Err(Errno(libc::EAGAIN));
        }
        match threads::several() {
            true => {
                threads::wait(On::Signal, end);
                if threads::is_interrupted() {
                    return Err(Errno(libc::EINTR));
                }
            }
            false => rest(until(first_end(end))),
        }
    }
}

/// pause(2).
///
/// # Errors
/// EINTR, always.
pub(crate) fn pause() -> Result<()> {
    if !Imp::CAN_WAIT {
        while !deliver() {
            rest(FOREVER);
        }
        return Err(Errno(libc::EINTR));
    }
    // It waits for nothing, without end.
    Ok(Imp::poll(&mut [], FOREVER).map(drop)?)
}

/// setitimer(2): what was left of the timer, and its interval. Zero ends it.
pub(crate) fn set_timer(clock: Clock, left: Duration, interval: Duration) -> [Duration; 2] {
    let old = timer(clock);
    let at = (!left.is_zero()).then(|| clock.now().saturating_add(left));
    let mut timers = TIMERS.get();
    if let Some(place) = timers.get_mut(clock as usize) {
        *place = at.map(|at| Timer { at, interval });
    }
    TIMERS.set(timers);
    old
}

/// getitimer(2): what is left, and the interval.
pub(crate) fn timer(clock: Clock) -> [Duration; 2] {
    match TIMERS.get().get(clock as usize) {
        Some(Some(timer)) => {
            // Zero would say that there is none.
            let left = timer.at.saturating_sub(clock.now());
            [left.max(Duration::from_micros(1)), timer.interval]
        }
        _ => [Duration::ZERO; 2],
    }
}

/// The guest goes on as a copy, which inherits neither timers nor what is pending: fork(2).
pub(crate) fn copied() {
    TIMERS.set([None; 3]);
    PENDING.set(0);
    threads::signals::of_current(|signals| signals.pending = 0);
}

/// Whether waits have to end early for a timer.
pub(crate) fn is_timed() -> bool {
    matches!(TIMERS.get(), [Some(_), ..])
}

/// When a wait ends, or a timer if that is before.
pub(crate) fn first_end(end: Option<Instant>) -> Option<Instant> {
    let [Some(timer), ..] = TIMERS.get() else {
        return end;
    };
    let left = timer.at.saturating_sub(Clock::Real.now());
    let timer = Instant::now().checked_add(left);
    match (end, timer) {
        (Some(end), Some(timer)) => Some(end.min(timer)),
        (end, timer) => end.or(timer),
    }
}

/// Looks for signals that have come.
fn look() {
    let handled = HANDLED.get() | threads::signals::blocked_by_main();
    // A host without signals has none.
    let mut come = Imp::signals_take(handled).unwrap_or(0);
    let mut timers = TIMERS.get();
    if timers.iter().any(Option::is_some) {
        for (clock, place) in Clock::ALL.into_iter().zip(&mut timers) {
            let now = clock.now();
            if let Some(timer) = place.filter(|timer| timer.at <= now) {
                come |= set_of(clock.signal());
                let next = now.saturating_add(timer.interval);
                *place = (!timer.interval.is_zero()).then_some(Timer { at: next, ..timer });
            }
        }
        TIMERS.set(timers);
    }
    PENDING.set(PENDING.get() | come);
}

/// Looks for signals, and does what is to be done about those that are not blocked. Returns whether a handler has run for
/// the current thread: what it waits for ends with EINTR.
pub(crate) fn deliver() -> bool {
    look();
    let mut is_interrupted = false;
    while let Some((signal, thread)) = next() {
        let Disposition {
            action,
            mask,
            flags,
        } = disposition(signal);
        match action {
            Action::Call(handler) => {
                if flags & SA_RESETHAND != 0 {
                    let reset = sigaction(signal, Some(DEFAULT));
                    debug_assert!(reset.is_ok(), "it has a handler");
                }
                let deferred = match flags & SA_NODEFER {
                    0 => set_of(signal),
                    _ => 0,
                };
                run(handler, signal, thread, mask | deferred);
                is_interrupted |= thread == threads::current();
            }
            _ if action.ignores(set_of(signal)) => {}
            _ => end_by_signal(signal),
        }
    }
    if PENDING.get() != 0 {
        // Who waits for signals takes them.
        threads::wake_all(On::Signal);
    }
    is_interrupted
}

/// Runs a handler for a thread, and ends its wait.
fn run(handler: Handler, signal: c_int, thread: threads::Id, mask: Set) {
    let meanwhile = mask & !ALWAYS;
    let blocked = threads::signals::of(thread, |signals| {
        let blocked = signals.blocked | meanwhile;
        mem::replace(&mut signals.blocked, blocked)
    });
    let own = Own::save();
    handler.call(signal);
    own.restore();
    if let Ok(blocked) = blocked {
        // It need not exist any more.
        let _ = threads::signals::of(thread, |signals| signals.blocked = blocked);
    }
    threads::interrupt(thread);
}

/// Takes a signal that a thread does not block, with that thread.
fn next() -> Option<(c_int, threads::Id)> {
    let sent = PENDING.get();
    let (set, thread, is_own) = threads::signals::find_map(|thread, signals| {
        let own = signals.pending & !signals.blocked;
        let ours = sent & !signals.blocked;
        match (own, ours) {
            (0, 0) => None,
            (0, ours) => Some((ours, thread, false)),
            (own, _) => Some((own, thread, true)),
        }
    })?;
    let signal = members(set).next()?;
    let taken = set_of(signal);
    match is_own {
        true => {
            // The thread exists: it was found just now.
            let _ = threads::signals::of(thread, |signals| signals.pending &= !taken);
        }
        false => PENDING.set(sent & !taken),
    }
    Some((signal, thread))
}

/// poll(2) of the only thread, which signals end with EINTR.
pub(crate) fn poll(entries: &mut [PollEntry], timeout: i64) -> host::Result<usize> {
    let end = after(timeout);
    let mut left = match is_timed() {
        true => until(first_end(end)),
        false => timeout,
    };
    loop {
        match Imp::look(entries, left) {
            Ok(0) if is_timed() => {}
            Err(wasisocket_abi::Errno::EINTR) => {}
            result => return result,
        }
        if deliver() {
            return Err(wasisocket_abi::Errno::EINTR);
        }
        if end.is_some_and(|end| end <= Instant::now()) {
            return Ok(0);
        }
        left = until(first_end(end));
    }
}
