//! Conditions.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::c_int;
use std::ptr::null;

use super::mutex::{Mutex, lock};
use super::{Clock, LATE, c_errno, end_of, fits, on, realtime};
use crate::Result;
use crate::sys::timespec;
use crate::threads;

/// `pthread_cond_t`.
#[repr(C)]
struct Condition {
    /// Null for CLOCK_REALTIME.
    clock: Clock,
}

/// `pthread_condattr_t`.
#[repr(C)]
struct ConditionAttributes {
    clock: Clock,
}

const _: () = assert!(fits::<Condition>(12) && fits::<ConditionAttributes>(1));

/// # Safety
/// See the module; `time` is null or points to a time.
unsafe fn wait(condition: *mut Condition, mutex: *mut Mutex, time: *const timespec) -> Result<()> {
    // SAFETY: initialised.
    let clock = match unsafe { (*condition).clock } {
        clock if clock.is_null() => realtime(),
        clock => clock,
    };
    // SAFETY: passed on.
    let end = unsafe { end_of(clock, time) }?;
    // SAFETY: initialised.
    unsafe { (*mutex).unlock() }?;
    let is_late = match threads::gives_way() {
        true => {
            threads::yield_now();
            false
        }
        false => !threads::wait(on(condition), end),
    };
    // SAFETY: passed on.
    unsafe { lock(mutex, null()) }?;
    match is_late {
        true => Err(LATE),
        false => Ok(()),
    }
}

/// pthread_cond_init(3).
///
/// # Safety
/// See the module; `attributes` is null or initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_init(
    condition: *mut Condition,
    attributes: *const ConditionAttributes,
) -> c_int {
    // SAFETY: null or initialised.
    let clock = unsafe { attributes.as_ref() }.map_or(null(), |attributes| attributes.clock);
    // SAFETY: room for it.
    unsafe { condition.write(Condition { clock }) };
    0
}

/// pthread_cond_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_destroy(_condition: *mut Condition) -> c_int {
    0
}

/// pthread_cond_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(condition: *mut Condition, mutex: *mut Mutex) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { wait(condition, mutex, null()) })
}

/// pthread_cond_timedwait(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    condition: *mut Condition,
    mutex: *mut Mutex,
    time: *const timespec,
) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { wait(condition, mutex, time) })
}

/// pthread_cond_signal(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_signal(condition: *mut Condition) -> c_int {
    if threads::several() {
        threads::wake_one(on(condition));
    }
    0
}

/// pthread_cond_broadcast(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_broadcast(condition: *mut Condition) -> c_int {
    if threads::several() {
        threads::wake_all(on(condition));
    }
    0
}

/// pthread_condattr_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_init(attributes: *mut ConditionAttributes) -> c_int {
    // SAFETY: room for it.
    unsafe { attributes.write(ConditionAttributes { clock: null() }) };
    0
}

/// pthread_condattr_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_condattr_destroy(_attributes: *mut ConditionAttributes) -> c_int {
    0
}

/// pthread_condattr_setclock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_setclock(
    attributes: *mut ConditionAttributes,
    clock: Clock,
) -> c_int {
    // SAFETY: initialised.
    unsafe { (*attributes).clock = clock };
    0
}
