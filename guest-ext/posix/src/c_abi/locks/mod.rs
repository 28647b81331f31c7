//! pthread.h and semaphore.h: what threads wait for each other with.
//!
//! One thread runs at a time, so each object is a few numbers, in the memory of libc's type of that name. An object that is
//! all zeros is initialised.
//!
//! # Safety
//!
//! See the parent module. Each pointer points to an initialised object of its type, which nobody else changes during a
//! call; the function that initialises one needs room for it.

mod barrier;
mod condition;
mod mutex;
mod named;
mod read_write;
mod semaphore;
mod spin;

use std::ffi::c_int;
use std::time::Instant;

use super::c_errno;
use super::clocks::{Clock, end, realtime};
use crate::sys::timespec;
use crate::threads::{self, On};
use crate::{Errno, Result};

const LATE: Errno = Errno(libc::ETIMEDOUT);

/// Whether a type fits into libc's on wasm32, whose size is in `int`s: bits/alltypes.h and semaphore.h.
const fn fits<T>(ints: usize) -> bool {
    size_of::<T>() <= size_of::<c_int>().saturating_mul(ints)
}

/// What is waited for with an object.
fn on<T>(object: *const T) -> On {
    On::Address(object.expose_provenance())
}

/// The number of the current thread, which is never 0.
fn me() -> u32 {
    threads::current().number()
}

/// When a wait ends: a time of this clock, or never without one.
///
/// # Safety
/// `time` is null or points to a time.
unsafe fn end_of(clock: Clock, time: *const timespec) -> Result<Option<Instant>> {
    // SAFETY: null or a time.
    match unsafe { time.as_ref() } {
        Some(time) => end(clock, *time),
        None => Ok(None),
    }
}

/// Waits for an object until `take` has taken it. ETIMEDOUT if the time, of CLOCK_REALTIME, is over before that.
///
/// # Safety
/// See the module; `time` is null or points to a time.
unsafe fn acquire<T>(
    object: *mut T,
    time: *const timespec,
    mut take: impl FnMut(&mut T) -> Result<bool>,
) -> Result<()> {
    // SAFETY: initialised, and borrowed for this alone.
    let mut take = || take(unsafe { &mut *object });
    if take()? {
        return Ok(());
    }
    // SAFETY: passed on.
    let end = unsafe { end_of(realtime(), time) }?;
    loop {
        let is_late = !threads::wait(on(object), end);
        match take()? {
            true => return Ok(()),
            false if is_late => return Err(LATE),
            false => {}
        }
    }
}

/// What a function answers that takes something at once or not at all.
fn at_once(taken: Result<bool>) -> c_int {
    c_errno(match taken {
        Ok(true) => Ok(()),
        Ok(false) | Err(Errno(libc::EDEADLK)) => Err(Errno(libc::EBUSY)),
        Err(error) => Err(error),
    })
}
