//! Values that each thread has for itself, by key: pthread_key_create(3).

use std::ffi::c_void;

use super::with;
use crate::{Errno, Result};

/// The most keys. POSIX requires this many.
const KEYS: usize = 128;

/// POSIX requires four rounds of destructors at least.
const DESTRUCTOR_ROUNDS: usize = 4;

pub(super) type Destructor = unsafe extern "C" fn(*mut c_void);

/// How to call C code.
pub(crate) type CallDestructor = fn(Destructor, *mut c_void);

/// A key that exists, and what its values are destroyed by at a thread's end.
pub(super) type Key = Option<Destructor>;

/// pthread_key_create(3).
///
/// # Errors
/// EAGAIN: there are [`KEYS`] already.
pub(crate) fn create(destructor: Option<Destructor>) -> Result<u32> {
    with(|threads| {
        let key = match threads.keys.iter().position(Option::is_none) {
            Some(key) => key,
            None if threads.keys.len() < KEYS => {
                threads.keys.push(None);
                threads.keys.len().saturating_sub(1)
            }
            None => return Err(Errno(libc::EAGAIN)),
        };
        // Its value is NULL in all threads.
        for (_, thread) in threads.all() {
            if let Some(value) = thread.values.get_mut(key) {
                *value = core::ptr::null_mut();
            }
        }
        if let Some(place) = threads.keys.get_mut(key) {
            *place = Some(destructor);
        }
        Ok(key as u32)
    })
}

/// pthread_key_delete(3).
///
/// # Errors
/// EINVAL for a key that does not exist.
pub(crate) fn delete(key: u32) -> Result<()> {
    with(|threads| {
        let key = threads.keys.get_mut(key as usize).and_then(Option::take);
        key.map(|_| ()).ok_or(Errno(libc::EINVAL))
    })
}

/// pthread_getspecific(3): NULL for a key without a value.
pub(crate) fn value(key: u32) -> *mut c_void {
    with(|threads| {
        let value = threads.current().values.get(key as usize);
        value.copied().unwrap_or(core::ptr::null_mut())
    })
}

/// pthread_setspecific(3).
///
/// # Errors
/// EINVAL for a key that does not exist.
pub(crate) fn set_value(key: u32, value: *mut c_void) -> Result<()> {
    with(|threads| {
        let key = key as usize;
        if !threads.keys.get(key).is_some_and(Option::is_some) {
            return Err(Errno(libc::EINVAL));
        }
        let values = &mut threads.current().values;
        if values.len() <= key {
            values.resize(key.saturating_add(1), core::ptr::null_mut());
        }
        if let Some(place) = values.get_mut(key) {
            *place = value;
        }
        Ok(())
    })
}

/// Calls the destructors of the current thread's values, again if they set others.
pub(super) fn run_destructors(call: CallDestructor) {
    for _ in 0..DESTRUCTOR_ROUNDS {
        let mut is_done = true;
        for key in 0..KEYS {
            let value = with(|threads| {
                let destructor = threads.keys.get(key).copied().flatten().flatten()?;
                let value = threads.current().values.get_mut(key)?;
                let value = core::mem::replace(value, core::ptr::null_mut());
                (!value.is_null()).then_some((destructor, value))
            });
            if let Some((destructor, value)) = value {
                is_done = false;
                call(destructor, value);
            }
        }
        if is_done {
            break;
        }
    }
}
