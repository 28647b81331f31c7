//! Spin locks: numbers that are not 0 when they are taken.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::c_int;
use std::ptr::null;

use super::{acquire, at_once, c_errno, on};
use crate::Result;
use crate::threads;

fn take(lock: &mut c_int) -> Result<bool> {
    Ok(core::mem::replace(lock, 1) == 0)
}

/// pthread_spin_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_init(lock: *mut c_int, _shared: c_int) -> c_int {
    // SAFETY: room for it.
    unsafe { lock.write(0) };
    0
}

/// pthread_spin_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_spin_destroy(_lock: *mut c_int) -> c_int {
    0
}

/// pthread_spin_lock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_lock(lock: *mut c_int) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(lock, null(), take) })
}

/// pthread_spin_trylock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_trylock(lock: *mut c_int) -> c_int {
    // SAFETY: initialised.
    at_once(take(unsafe { &mut *lock }))
}

/// pthread_spin_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_unlock(lock: *mut c_int) -> c_int {
    // SAFETY: initialised.
    unsafe { lock.write(0) };
    threads::wake_one(on(lock));
    0
}
