//! Locks for one writer or many readers.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_uint};
use std::ptr::null;

use super::{acquire, at_once, c_errno, fits, me, on};
use crate::sys::timespec;
use crate::threads;
use crate::{Errno, Result};

/// `pthread_rwlock_t`.
#[repr(C)]
#[derive(Default)]
struct ReadWriteLock {
    /// The thread that may write, or 0.
    writer: u32,
    readers: u32,
}

const _: () = assert!(fits::<ReadWriteLock>(8));

impl ReadWriteLock {
    fn try_read(&mut self) -> Result<bool> {
        if self.writer == me() {
            return Err(Errno(libc::EDEADLK));
        }
        if self.writer != 0 {
            return Ok(false);
        }
        let readers = self.readers.checked_add(1);
        self.readers = readers.ok_or(Errno(libc::EAGAIN))?;
        Ok(true)
    }

    fn try_write(&mut self) -> Result<bool> {
        if self.writer == me() {
            return Err(Errno(libc::EDEADLK));
        }
        if self.writer != 0 || self.readers != 0 {
            return Ok(false);
        }
        self.writer = me();
        Ok(true)
    }
}

/// pthread_rwlock_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_init(
    lock: *mut ReadWriteLock,
    _attributes: *const c_uint,
) -> c_int {
    // SAFETY: room for it.
    unsafe { lock.write(ReadWriteLock::default()) };
    0
}

/// pthread_rwlock_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_destroy(_lock: *mut ReadWriteLock) -> c_int {
    0
}

/// pthread_rwlock_rdlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_rdlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(lock, null(), ReadWriteLock::try_read) })
}

/// pthread_rwlock_wrlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_wrlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(lock, null(), ReadWriteLock::try_write) })
}

/// pthread_rwlock_timedrdlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_timedrdlock(
    lock: *mut ReadWriteLock,
    time: *const timespec,
) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(lock, time, ReadWriteLock::try_read) })
}

/// pthread_rwlock_timedwrlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_timedwrlock(
    lock: *mut ReadWriteLock,
    time: *const timespec,
) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(lock, time, ReadWriteLock::try_write) })
}

/// pthread_rwlock_tryrdlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_tryrdlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    at_once(unsafe { (*lock).try_read() })
}

/// pthread_rwlock_trywrlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_trywrlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    at_once(unsafe { (*lock).try_write() })
}

/// pthread_rwlock_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_unlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    let state = unsafe { &mut *lock };
    match state.readers.checked_sub(1) {
        Some(readers) => state.readers = readers,
        None => state.writer = 0,
    }
    threads::wake_all(on(lock));
    0
}
