//! How threads begin and end, and who asks for what they leave: pthreads(7).

use std::ffi::c_void;

use super::keys::{self, CallDestructor};
use super::signals::OfThread;
use super::stack::Stack;
use super::{
    Id, OTHERS, On, SLOTS, Start, State, Thread, current, several, switch, wait, wake_all, with,
};
use crate::host::{Host as _, Imp};
use crate::{Errno, Result};

/// pthread_create(3), with so many bytes of stack.
///
/// # Errors
/// EAGAIN: no memory for the stack, or the host has no more call stacks, or none at all.
pub(crate) fn spawn(start: Start, stack: usize, is_detached: bool) -> Result<Id> {
    const NO_MORE: Errno = Errno(libc::EAGAIN);
    let stack = Stack::new(stack).ok_or(NO_MORE)?;
    let host = Imp::thread_create(stack.top()).map_err(|_| NO_MORE)?;
    let id = with(|threads| {
        let free = threads
            .others
            .iter()
            .position(|thread| thread.state == State::Free);
        let other = match free {
            Some(free) => free,
            None if threads.others.len().saturating_add(2) < SLOTS => {
                threads.others.push(Thread::new(State::Free));
                threads.others.len().saturating_sub(1)
            }
            None => return None,
        };
        let slot = other.saturating_add(1);
        let blocked = threads.current().signals.blocked;
        let thread = threads.thread(slot);
        *thread = Thread {
            generation: thread.generation,
            signals: OfThread::new(blocked),
            is_detached,
            host,
            is_on_stack: true,
            stack: Some(stack),
            start: Some(start),
            ..Thread::new(State::Ready)
        };
        let id = Id::new(slot, thread.generation);
        threads.ready.push_back(slot);
        Some(id)
    });
    match id {
        Some(id) => {
            OTHERS.set(OTHERS.get().saturating_add(1));
            Ok(id)
        }
        None => {
            // The first error is the one to report.
            let _ = Imp::thread_drop(host);
            Err(NO_MORE)
        }
    }
}

/// What the current thread, which has just begun, runs.
pub(crate) fn started() -> Option<Start> {
    with(|threads| threads.current().start.take())
}

/// The current thread has ended, but for what is on its stack. `returns` if it will return from the host's call.
pub(crate) fn ended(value: *mut c_void, returns: bool, call: CallDestructor) {
    keys::run_destructors(call);
    with(|threads| {
        let id = current();
        let thread = threads.current();
        thread.value = value;
        thread.state = State::Ended;
        thread.is_on_stack = !returns;
        thread.values = Vec::new();
        while threads.wake_first(On::End(id)) {}
    });
    OTHERS.set(OTHERS.get().saturating_sub(1));
    if !several() {
        wake_all(On::LastEnd);
    }
    if !returns {
        switch();
    }
}

/// The main thread has ended, and the process goes on until all others have.
pub(crate) fn main_ended(call: CallDestructor) {
    keys::run_destructors(call);
    while several() {
        wait(On::LastEnd, None);
    }
}

/// pthread_join(3).
///
/// # Errors
/// ESRCH; EINVAL if it is detached; EDEADLK for the current thread.
pub(crate) fn join(id: Id) -> Result<*mut c_void> {
    if id == current() {
        return Err(Errno(libc::EDEADLK));
    }
    loop {
        let value = with(|threads| {
            let (slot, thread) = threads.find(id)?;
            if thread.is_detached {
                return Err(Errno(libc::EINVAL));
            }
            if thread.state == State::Ended {
                let value = thread.value;
                threads.forget(slot);
                return Ok(Some(value));
            }
            threads.wait(On::End(id), None);
            Ok(None)
        })?;
        match value {
            Some(value) => return Ok(value),
            None => switch(),
        }
    }
}

/// pthread_detach(3).
///
/// # Errors
/// ESRCH; EINVAL if it is detached already.
pub(crate) fn detach(id: Id) -> Result<()> {
    with(|threads| {
        let (slot, thread) = threads.find(id)?;
        if thread.is_detached {
            return Err(Errno(libc::EINVAL));
        }
        thread.is_detached = true;
        if thread.state == State::Ended {
            threads.forget(slot);
        }
        Ok(())
    })
}
