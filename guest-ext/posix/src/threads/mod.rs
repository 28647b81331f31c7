//! Threads, as POSIX has them: call stacks of one instance that take turns.
//!
//! One thread runs at a time, and another goes on only where the running one waits or gives way: in here. So nothing in
//! this library, in libc or in C code needs a lock against the others, and no memory is shared between processors.
//!
//! The scheduler runs on the main thread's stack, the one that the host's call came in on: whoever has to wait switches
//! back to it, and it runs who is ready, or waits with the host for what all threads wait for. With one thread nothing
//! of this happens: a call that waits is one call of the host.
//!
//! Nothing may be borrowed while a thread waits, for others come here meanwhile.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::c_void;
use std::time::Instant;

use wasisocket_abi::v1::{POLL_MAX, PollEntry};

use crate::c_abi::{Own, rest};
use crate::host::{Host as _, Imp, until};
use crate::signals::{deliver, first_end};
use crate::{Errno, Result};

pub(crate) mod in_use;
pub(crate) mod keys;
mod life;
pub(crate) mod signals;
mod stack;

use keys::Key;
pub(crate) use life::{detach, ended, join, main_ended, spawn, started};
use signals::OfThread;
use stack::Stack;

/// Most threads that a number can name. The host's limit is the one that counts.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 14;

/// Turns until the host is asked whether what others wait for has come. Asking more rarely delays them, more often costs
/// a call each.
const TURNS_BETWEEN_LOOKS: u32 = 4;

/// The number of a thread: `pthread_t`. It is not used again before 2^18 other threads had the same slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Id(u32);

impl Id {
    fn new(slot: usize, generation: u32) -> Self {
        let slot = slot.saturating_add(1) as u32;
        Self(generation << SLOT_BITS | slot)
    }

    /// The main thread's is 0.
    fn slot(self) -> usize {
        let number = self.0 as usize & SLOTS.saturating_sub(1);
        number.saturating_sub(1)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }
}

/// What a thread waits for, beside handles of the host and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// Nothing else.
    Nothing,
    /// That it is woken for this address: that of a mutex, a condition...
    Address(usize),
    /// The end of a thread.
    End(Id),
    /// The end of all but the main thread.
    LastEnd,
    /// Any signal.
    Signal,
}

/// What a thread runs.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) function: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    pub(crate) argument: *mut c_void,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No thread.
    Free,
    /// It runs, or is in the queue of those that can.
    Ready,
    Waiting,
    /// Nobody has asked for its value yet.
    Ended,
}

struct Thread {
    generation: u32,
    state: State,
    is_detached: bool,
    /// Whether the time was over before what it waited for came.
    is_late: bool,
    /// Whether a handler of a signal has run for it since it began to wait.
    is_interrupted: bool,
    end: Option<Instant>,
    /// Handles that it waits for.
    watched: Vec<PollEntry>,
    /// The host's number of its call stack; 0 for the main thread.
    host: u32,
    /// Whether the host still has a call stack for it when it has ended.
    is_on_stack: bool,
    stack: Option<Stack>,
    start: Option<Start>,
    value: *mut c_void,
    /// By key; shorter than [`KEYS`].
    values: Vec<*mut c_void>,
    signals: OfThread,
}

impl Thread {
    const fn new(state: State) -> Self {
        Self {
            generation: 0,
            state,
            is_detached: false,
            is_late: false,
            is_interrupted: false,
            end: None,
            watched: Vec::new(),
            host: 0,
            is_on_stack: false,
            stack: None,
            start: None,
            value: core::ptr::null_mut(),
            values: Vec::new(),
            signals: OfThread::new(0),
        }
    }
}

struct Scheduler {
    main: Thread,
    /// All but the main one.
    others: Vec<Thread>,
    ready: VecDeque<usize>,
    /// Who waits to be woken, and for what; who came first is woken first.
    waiting: VecDeque<(On, usize)>,
    turns: u32,
    /// A place to ask the host from.
    entries: Vec<PollEntry>,
    keys: Vec<Option<Key>>,
}

thread_local! {
    static SCHEDULER: RefCell<Scheduler> = const {
        RefCell::new(Scheduler {
            main: Thread::new(State::Ready),
            others: Vec::new(),
            ready: VecDeque::new(),
            waiting: VecDeque::new(),
            turns: 0,
            entries: Vec::new(),
            keys: Vec::new(),
        })
    };
    /// How many threads have not ended, beside the main one.
    static OTHERS: Cell<usize> = const { Cell::new(0) };
    /// The thread that runs.
    static CURRENT: Cell<Id> = const { Cell::new(Id(1)) };
    /// Whether the running thread was asked to give way.
    static GIVES_WAY: Cell<bool> = const { Cell::new(false) };
}

fn with<R>(call: impl FnOnce(&mut Scheduler) -> R) -> R {
    SCHEDULER.with_borrow_mut(call)
}

/// Whether there are others that can run while a thread waits.
#[inline]
pub(crate) fn several() -> bool {
    OTHERS.get() > 0
}

/// What the scheduler does next.
enum Next {
    Main,
    Thread(usize, u32),
    Look { waits: bool },
}

impl Scheduler {
    fn thread(&mut self, slot: usize) -> &mut Thread {
        let other = slot.checked_sub(1);
        match other.and_then(|other| self.others.get_mut(other)) {
            Some(thread) => thread,
            None => &mut self.main,
        }
    }

    fn current(&mut self) -> &mut Thread {
        self.thread(current().slot())
    }

    fn set_current(&mut self, slot: usize) {
        CURRENT.set(Id::new(slot, self.thread(slot).generation));
    }

    /// ESRCH if there is no thread with this number, or its value was asked for already.
    fn find(&mut self, id: Id) -> Result<(usize, &mut Thread)> {
        let slot = id.slot();
        if slot > self.others.len() {
            return Err(Errno(libc::ESRCH));
        }
        let thread = self.thread(slot);
        match thread.state != State::Free && Id::new(slot, thread.generation) == id {
            true => Ok((slot, thread)),
            false => Err(Errno(libc::ESRCH)),
        }
    }

    fn wait(&mut self, on: On, end: Option<Instant>) {
        let slot = current().slot();
        let thread = self.thread(slot);
        thread.state = State::Waiting;
        thread.is_late = false;
        thread.is_interrupted = false;
        thread.end = end;
        if on != On::Nothing {
            self.waiting.push_back((on, slot));
        }
    }

    /// Has a thread that waits go on.
    fn wake(&mut self, slot: usize, is_late: bool) {
        let thread = self.thread(slot);
        thread.state = State::Ready;
        thread.is_late = is_late;
        thread.end = None;
        self.ready.push_back(slot);
    }

    /// Wakes the first that waits for this. Returns whether there was one.
    fn wake_first(&mut self, on: On) -> bool {
        let first = self.waiting.iter().position(|(what, _)| *what == on);
        match first.and_then(|first| self.waiting.remove(first)) {
            Some((_, slot)) => {
                self.wake(slot, false);
                true
            }
            None => false,
        }
    }

    fn next(&mut self) -> Next {
        self.turns = self.turns.saturating_add(1);
        if self.turns > TURNS_BETWEEN_LOOKS {
            return Next::Look { waits: false };
        }
        match self.ready.pop_front() {
            Some(0) => Next::Main,
            Some(slot) => {
                self.set_current(slot);
                Next::Thread(slot, self.current().host)
            }
            None => Next::Look { waits: true },
        }
    }

    fn all(&mut self) -> impl Iterator<Item = (usize, &mut Thread)> {
        core::iter::once(&mut self.main)
            .chain(&mut self.others)
            .enumerate()
    }

    /// All that threads wait for with the host, and when the first of them has waited enough.
    fn wanted(&mut self) -> (Vec<PollEntry>, Option<Instant>) {
        self.turns = 0;
        let mut entries = core::mem::take(&mut self.entries);
        entries.clear();
        let mut first: Option<Instant> = None;
        for (_, thread) in self.all() {
            if thread.state == State::Waiting {
                entries.extend_from_slice(&thread.watched);
                first = match (first, thread.end) {
                    (Some(first), Some(end)) => Some(first.min(end)),
                    (first, end) => first.or(end),
                };
            }
        }
        (entries, first)
    }

    /// Wakes those for whom something has come, or whose time is over. `entries` is what [`wanted`](Self::wanted) returned.
    fn answered(&mut self, entries: Vec<PollEntry>, is_timed: bool) {
        let mut answers = entries.iter();
        let mut woken = Vec::new();
        let now = is_timed.then(Instant::now);
        for (slot, thread) in self.all() {
            if thread.state != State::Waiting {
                continue;
            }
            let mut has_come = false;
            for entry in &mut thread.watched {
                entry.revents = answers.next().map_or(0, |answer| answer.revents);
                has_come |= entry.revents != 0;
            }
            if has_come {
                woken.push((slot, false));
            } else if thread.end.zip(now).is_some_and(|(end, now)| end <= now) {
                woken.push((slot, true));
            }
        }
        for (slot, is_late) in woken {
            self.leave(slot, is_late);
        }
        self.entries = entries;
    }

    /// Has a thread go on before it is woken for what it waits for.
    fn leave(&mut self, slot: usize, is_late: bool) {
        self.waiting.retain(|(_, waits)| *waits != slot);
        self.wake(slot, is_late);
    }

    /// Makes a slot free for another thread.
    fn forget(&mut self, slot: usize) {
        let thread = self.thread(slot);
        let generation = thread.generation.wrapping_add(1) & (u32::MAX >> SLOT_BITS);
        *thread = Thread {
            generation,
            ..Thread::new(State::Free)
        };
    }
}

/// Lets others run until the current thread is ready again.
fn switch() {
    let own = Own::save();
    match is_main() {
        true => schedule(),
        // Back to the scheduler. It cannot fail in a thread that the host has switched to.
        false => drop(Imp::thread_switch(0)),
    }
    own.restore();
}

/// Runs others, on the main thread's stack, until the main thread can go on.
fn schedule() {
    loop {
        match with(Scheduler::next) {
            Next::Main => break,
            Next::Thread(slot, host) => run(slot, host),
            Next::Look { waits } => look(waits),
        }
    }
    with(|threads| threads.set_current(0));
}

fn run(slot: usize, host: u32) {
    // A thread that the host does not have cannot go on.
    let is_lost = Imp::thread_switch(host).is_err();
    let is_left = with(|threads| {
        threads.set_current(0);
        let thread = threads.thread(slot);
        if is_lost || !thread.stack.as_ref().is_some_and(Stack::is_intact) {
            // What lies below its stack is another's.
            std::process::abort();
        }
        if thread.state != State::Ended {
            return false;
        }
        // Nothing runs on it any more.
        thread.stack = None;
        let is_left = thread.is_on_stack;
        if thread.is_detached {
            threads.forget(slot);
        }
        is_left
    });
    if is_left {
        // It is gone either way.
        let _ = Imp::thread_drop(host);
    }
}

/// The most that the host is asked for at once. More would be more than a process may have open by default, which poll(2)
/// refuses.
const PART: usize = if POLL_MAX < 512 { POLL_MAX } else { 512 };

/// How long threads wait before the host is asked again, if it cannot wait for all that they wait for, in nanoseconds.
const PAUSE: i64 = 5_000_000;

/// Asks the host what has come of what threads wait for. `waits`: nobody can go on before that.
fn look(waits: bool) {
    let (mut entries, first) = with(Scheduler::wanted);
    let first = first_end(first);
    // If all threads wait for each other: as natively, until a signal comes or ends the process. The host tells who asks.
    let timeout = if waits { until(first) } else { 0 };
    let looked = match entries.len() {
        0 if !waits => Ok(0),
        0..=PART => Imp::look(&mut entries, timeout),
        _ => Err(wasisocket_abi::Errno::EINVAL),
    };
    match looked {
        Ok(_) => {}
        Err(wasisocket_abi::Errno::EINTR) => {
            entries.iter_mut().for_each(|entry| entry.revents = 0);
        }
        Err(_) => {
            let mut has_come = false;
            for part in entries.chunks_mut(PART) {
                has_come |= look_at(part);
            }
            if waits && !has_come {
                rest(match timeout {
                    ..0 => PAUSE,
                    left => left.min(PAUSE),
                });
            }
        }
    }
    with(|threads| threads.answered(entries, first.is_some()));
    if waits {
        deliver();
    }
}

/// Asks for all of these, in smaller parts if the host refuses them together. Returns whether something has come.
fn look_at(entries: &mut [PollEntry]) -> bool {
    match Imp::look(entries, 0) {
        Ok(ready) => ready > 0,
        Err(_) if entries.len() > 1 => {
            let (one, other) = entries.split_at_mut(entries.len() / 2);
            let has_come = look_at(one);
            look_at(other) || has_come
        }
        Err(_) => {
            entries.iter_mut().for_each(|entry| entry.revents = 0);
            false
        }
    }
}

/// The current thread waits until it is woken, or the time is over: then false. A signal wakes it too.
pub(crate) fn wait(on: On, end: Option<Instant>) -> bool {
    with(|threads| threads.wait(on, end));
    switch();
    !with(|threads| threads.current().is_late)
}

/// The current thread waits for one of these, and gets their `revents`; false if the time is over.
///
/// # Errors
/// EINTR.
pub(crate) fn wait_for(
    entries: &mut [PollEntry],
    end: Option<Instant>,
) -> crate::host::Result<bool> {
    with(|threads| {
        let watched = &mut threads.current().watched;
        watched.clear();
        watched.extend_from_slice(entries);
    });
    let has_come = wait(On::Nothing, end);
    with(|threads| {
        let watched = &mut threads.current().watched;
        for (entry, answer) in entries.iter_mut().zip(watched.drain(..)) {
            entry.revents = if has_come { answer.revents } else { 0 };
        }
    });
    match is_interrupted() {
        true => Err(wasisocket_abi::Errno::EINTR),
        false => Ok(has_come),
    }
}

/// Whether a handler of a signal has run for the current thread in its last wait.
pub(crate) fn is_interrupted() -> bool {
    with(|threads| threads.current().is_interrupted)
}

/// A handler of a signal has run for this thread: what it waits for ends.
pub(crate) fn interrupt(id: Id) {
    with(|threads| {
        if let Ok((slot, thread)) = threads.find(id)
            && thread.state == State::Waiting
        {
            thread.is_interrupted = true;
            threads.leave(slot, false);
        }
    });
}

/// Wakes the thread that has waited longest for this.
pub(crate) fn wake_one(on: On) {
    with(|threads| threads.wake_first(on));
}

/// Wakes all that wait for this.
pub(crate) fn wake_all(on: On) {
    with(|threads| while threads.wake_first(on) {});
}

/// Lets others run that can: sched_yield(2).
pub(crate) fn yield_now() {
    if !several() {
        return;
    }
    with(|threads| threads.ready.push_back(current().slot()));
    switch();
}

/// Whether others could run if the current thread gave way. If so, its next wait for a condition ends at once, as POSIX
/// allows, when they had a turn: CPython's loop waits there until another thread has taken the lock.
pub(crate) fn ask_to_give_way() -> bool {
    look(false);
    let can_run = with(|threads| !threads.ready.is_empty());
    GIVES_WAY.set(can_run);
    can_run
}

/// Whether it was asked to; once.
pub(crate) fn gives_way() -> bool {
    GIVES_WAY.replace(false)
}

/// pthread_self(3).
pub(crate) fn current() -> Id {
    CURRENT.get()
}

/// Whether the current thread is the main one.
pub(crate) fn is_main() -> bool {
    current().slot() == 0
}

/// How many bytes of stack the current thread has. `None`: it is the main thread.
pub(crate) fn stack_size() -> Option<usize> {
    with(|threads| threads.current().stack.as_ref().map(Stack::size))
}
