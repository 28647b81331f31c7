//! Mutexes.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::c_int;
use std::ptr::null;

use super::{acquire, at_once, c_errno, fits, me, on};
use crate::sys::timespec;
use crate::threads;
use crate::{Errno, Result};

const PTHREAD_MUTEX_RECURSIVE: c_int = 1;
const PTHREAD_MUTEX_ERRORCHECK: c_int = 2;

/// `pthread_mutex_t`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Mutex {
    kind: c_int,
    /// The thread that has it, or 0.
    owner: u32,
    /// How often it has it beyond once.
    more: u32,
}

/// `pthread_mutexattr_t`.
#[repr(C)]
struct MutexAttributes {
    kind: c_int,
}

const _: () = assert!(fits::<Mutex>(6) && fits::<MutexAttributes>(1));

impl Mutex {
    fn try_lock(&mut self) -> Result<bool> {
        let me = me();
        match self.owner {
            0 => {
                self.owner = me;
                Ok(true)
            }
            owner if owner == me => match self.kind {
                PTHREAD_MUTEX_RECURSIVE => {
                    let more = self.more.checked_add(1);
                    self.more = more.ok_or(Errno(libc::EAGAIN))?;
                    Ok(true)
                }
                PTHREAD_MUTEX_ERRORCHECK => Err(Errno(libc::EDEADLK)),
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    pub(super) fn unlock(&mut self) -> Result<()> {
        if self.kind != 0 && self.owner != me() {
            return Err(Errno(libc::EPERM));
        }
        match self.more.checked_sub(1) {
            Some(more) => self.more = more,
            None => {
                self.owner = 0;
                if threads::several() {
                    threads::wake_one(on(self));
                }
            }
        }
        Ok(())
    }
}

/// # Safety
/// See the module; `time` is null or points to a time.
pub(super) unsafe fn lock(mutex: *mut Mutex, time: *const timespec) -> Result<()> {
    // SAFETY: passed on.
    unsafe { acquire(mutex, time, Mutex::try_lock) }
}

/// pthread_mutex_init(3).
///
/// # Safety
/// See the module; `attributes` is null or initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_init(
    mutex: *mut Mutex,
    attributes: *const MutexAttributes,
) -> c_int {
    // SAFETY: null or initialised.
    let kind = unsafe { attributes.as_ref() }.map_or(0, |attributes| attributes.kind);
    let new = Mutex {
        kind,
        ..Default::default()
    };
    // SAFETY: room for it.
    unsafe { mutex.write(new) };
    0
}

/// pthread_mutex_destroy(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    match unsafe { (*mutex).owner } {
        0 => 0,
        _ => libc::EBUSY,
    }
}

/// pthread_mutex_lock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { lock(mutex, null()) })
}

/// pthread_mutex_timedlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_timedlock(mutex: *mut Mutex, time: *const timespec) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { lock(mutex, time) })
}

/// pthread_mutex_trylock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    at_once(unsafe { (*mutex).try_lock() })
}

/// pthread_mutex_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    c_errno(unsafe { (*mutex).unlock() })
}

/// pthread_mutexattr_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_init(attributes: *mut MutexAttributes) -> c_int {
    // SAFETY: room for it.
    unsafe { attributes.write(MutexAttributes { kind: 0 }) };
    0
}

/// pthread_mutexattr_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_mutexattr_destroy(_attributes: *mut MutexAttributes) -> c_int {
    0
}

/// pthread_mutexattr_settype(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_settype(
    attributes: *mut MutexAttributes,
    kind: c_int,
) -> c_int {
    if !(0..=PTHREAD_MUTEX_ERRORCHECK).contains(&kind) {
        return libc::EINVAL;
    }
    // SAFETY: initialised.
    unsafe { (*attributes).kind = kind };
    0
}
