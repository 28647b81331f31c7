//! sys/wait.h, and what unistd.h and sched.h have of processes and processors. A guest is one process without children,
//! and has one processor.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_void};

use super::{c_number, c_unit, slice_mut};
use crate::sys::*;
use crate::{Errno, Result};

unsafe extern "C" {
    safe fn getpid() -> c_int;
}

/// The number of this process for its own number, or for 0.
fn process(number: c_int) -> Result<c_int> {
    let own = getpid();
    match number == 0 || number == own {
        true => Ok(own),
        false => Err(Errno(libc::ESRCH)),
    }
}

/// ECHILD. EINVAL for options that are not in `known`.
fn no_child(options: c_int, known: c_int) -> Result<c_int> {
    match options & !known {
        0 => Err(Errno(libc::ECHILD)),
        _ => Err(Errno::EINVAL),
    }
}

/// wait(2).
#[unsafe(no_mangle)]
extern "C" fn wait(_status: *mut c_int) -> c_int {
    c_number(no_child(0, 0))
}

/// waitpid(2).
#[unsafe(no_mangle)]
extern "C" fn waitpid(_process: c_int, _status: *mut c_int, options: c_int) -> c_int {
    c_number(no_child(options, WNOHANG | WUNTRACED | WCONTINUED))
}

/// wait3(2).
#[unsafe(no_mangle)]
extern "C" fn wait3(status: *mut c_int, options: c_int, _usage: *mut rusage) -> c_int {
    waitpid(-1, status, options)
}

/// wait4(2).
#[unsafe(no_mangle)]
extern "C" fn wait4(
    process: c_int,
    status: *mut c_int,
    options: c_int,
    _usage: *mut rusage,
) -> c_int {
    waitpid(process, status, options)
}

/// waitid(2).
#[unsafe(no_mangle)]
extern "C" fn waitid(kind: c_int, _id: u32, _information: *mut siginfo_t, options: c_int) -> c_int {
    const WHICH: c_int = WEXITED | WUNTRACED | WCONTINUED;
    c_number(match kind {
        P_ALL | P_PID | P_PGID if options & WHICH != 0 => {
            no_child(options, WHICH | WNOHANG | WNOWAIT)
        }
        _ => Err(Errno::EINVAL),
    })
}

/// getpgid(2): the guest leads its group.
#[unsafe(no_mangle)]
extern "C" fn getpgid(number: c_int) -> c_int {
    c_number(process(number))
}

/// getpgrp(2).
#[unsafe(no_mangle)]
extern "C" fn getpgrp() -> c_int {
    getpid()
}

/// getsid(2): the guest leads its session.
#[unsafe(no_mangle)]
extern "C" fn getsid(number: c_int) -> c_int {
    c_number(process(number))
}

/// sched_getaffinity(2): the first processor.
///
/// # Safety
/// `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(number: c_int, length: usize, set: *mut c_void) -> c_int {
    c_unit(process(number).and_then(|_| {
        // SAFETY: so many bytes are writable.
        let set = unsafe { slice_mut(set.cast::<u8>(), length) }?;
        set.fill(0);
        *set.first_mut().ok_or(Errno::EINVAL)? = 1;
        Ok(())
    }))
}

/// sched_setaffinity(2): EINVAL for a set without the first processor.
///
/// # Safety
/// `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_setaffinity(number: c_int, length: usize, set: *const u8) -> c_int {
    c_unit(process(number).and_then(|_| {
        // SAFETY: so many bytes are readable.
        let set = unsafe { super::bytes(set, length) }?;
        match set.first().is_some_and(|first| first & 1 != 0) {
            true => Ok(()),
            false => Err(Errno::EINVAL),
        }
    }))
}
