//! Semaphores, whose functions set errno.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_uint};
use std::ptr::null;

use super::super::c_unit;
use super::{acquire, fits, on};
use crate::sys::timespec;
use crate::threads;
use crate::{Errno, Result};

pub(super) const SEM_VALUE_MAX: c_uint = 0x7fff_ffff;

/// `sem_t`.
#[repr(C)]
pub(super) struct Semaphore {
    pub(super) value: c_uint,
}

const _: () = assert!(fits::<Semaphore>(4));

/// sem_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_init(semaphore: *mut Semaphore, _shared: c_int, value: c_uint) -> c_int {
    if value > SEM_VALUE_MAX {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: room for it.
    unsafe { semaphore.write(Semaphore { value }) };
    0
}

/// sem_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn sem_destroy(_semaphore: *mut Semaphore) -> c_int {
    0
}

fn take_one(semaphore: &mut Semaphore) -> Result<bool> {
    Ok(match semaphore.value.checked_sub(1) {
        Some(less) => {
            semaphore.value = less;
            true
        }
        None => false,
    })
}

/// sem_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { acquire(semaphore, null(), take_one) })
}

/// sem_timedwait(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(semaphore: *mut Semaphore, time: *const timespec) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { acquire(semaphore, time, take_one) })
}

/// sem_trywait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_trywait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: initialised.
    let taken = take_one(unsafe { &mut *semaphore });
    c_unit(taken.and_then(|taken| match taken {
        true => Ok(()),
        false => Err(Errno(libc::EAGAIN)),
    }))
}

/// sem_post(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: initialised.
    let value = unsafe { &mut (*semaphore).value };
    if *value >= SEM_VALUE_MAX {
        return c_unit(Err(Errno(libc::EOVERFLOW)));
    }
    *value = value.saturating_add(1);
    threads::wake_one(on(semaphore));
    0
}

/// sem_getvalue(3).
///
/// # Safety
/// See the module; room for the value.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_getvalue(semaphore: *mut Semaphore, value: *mut c_int) -> c_int {
    // SAFETY: initialised.
    let current = unsafe { (*semaphore).value };
    // SAFETY: room for it.
    unsafe { value.write(current as c_int) };
    0
}
