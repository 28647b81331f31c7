//! Semaphores with names. They are this process's: there is no other.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_uint};
use std::ptr::{from_mut, null_mut};

use super::super::{c_unit, set_errno, string};
use super::semaphore::{SEM_VALUE_MAX, Semaphore};
use crate::{Errno, Result};

/// The longest name: sem_overview(7).
const NAME_MAX: usize = 251;

/// The most of them that are open or have names.
const COUNT_MAX: usize = 1 << 16;

/// A semaphore that is open, or that has a name.
struct Named {
    /// `None` after sem_unlink(3).
    name: Option<Vec<u8>>,
    semaphore: Box<Semaphore>,
    /// How many times it was opened and not closed.
    opened: usize,
}

impl Named {
    fn open(&mut self) -> *mut Semaphore {
        self.opened = self.opened.saturating_add(1);
        from_mut(&mut self.semaphore)
    }
}

thread_local! {
    static NAMED: RefCell<Vec<Named>> = const { RefCell::new(Vec::new()) };
}

fn find<'a>(all: &'a mut [Named], name: &[u8]) -> Option<&'a mut Named> {
    all.iter_mut()
        .find(|named| named.name.as_deref() == Some(name))
}

/// Drops those that are not open and cannot be opened again.
fn drop_unused(all: &mut Vec<Named>) {
    all.retain(|named| named.opened > 0 || named.name.is_some());
}

/// The name without its slash.
///
/// # Safety
/// A string.
unsafe fn name<'a>(name: *const c_char) -> Result<&'a [u8]> {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.ok_or(Errno(libc::EFAULT))?;
    let name = name.strip_prefix(b"/").unwrap_or(name);
    match name {
        _ if name.len() > NAME_MAX => Err(Errno(libc::ENAMETOOLONG)),
        _ if name.is_empty() || name.contains(&b'/') => Err(Errno::EINVAL),
        _ => Ok(name),
    }
}

fn open(name: &[u8], flags: c_int, value: impl FnOnce() -> c_uint) -> Result<*mut Semaphore> {
    NAMED.with_borrow_mut(|all| {
        let is_full = all.len() >= COUNT_MAX;
        match find(all, name) {
            Some(_) if flags & libc::O_CREAT != 0 && flags & libc::O_EXCL != 0 => {
                Err(Errno(libc::EEXIST))
            }
            Some(named) => Ok(named.open()),
            None if flags & libc::O_CREAT == 0 => Err(Errno(libc::ENOENT)),
            None if is_full => Err(Errno(libc::ENFILE)),
            None => {
                let value = value();
                if value > SEM_VALUE_MAX {
                    return Err(Errno::EINVAL);
                }
                all.push(Named {
                    name: Some(name.to_vec()),
                    semaphore: Box::new(Semaphore { value }),
                    opened: 0,
                });
                Ok(all.last_mut().map_or(null_mut(), Named::open))
            }
        }
    })
}

/// sem_open(3). It is variadic in C: `arguments` points to the mode, which has no meaning here, and the value.
///
/// # Safety
/// A string, and with O_CREAT two arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_open(
    name_: *const c_char,
    flags: c_int,
    arguments: *const [c_uint; 2],
) -> *mut Semaphore {
    let value = || {
        // SAFETY: the flags have O_CREAT.
        let [_, value] = unsafe { arguments.read() };
        value
    };
    // SAFETY: passed on.
    let opened = unsafe { name(name_) }.and_then(|name| open(name, flags, value));
    opened.unwrap_or_else(|error| {
        set_errno(error);
        // SEM_FAILED.
        null_mut()
    })
}

/// sem_close(3).
#[unsafe(no_mangle)]
extern "C" fn sem_close(semaphore: *const Semaphore) -> c_int {
    c_unit(NAMED.with_borrow_mut(|all| {
        let named = all
            .iter_mut()
            .find(|named| std::ptr::from_ref(&*named.semaphore) == semaphore && named.opened > 0)
            .ok_or(Errno::EINVAL)?;
        named.opened = named.opened.saturating_sub(1);
        drop_unused(all);
        Ok(())
    }))
}

/// sem_unlink(3).
///
/// # Safety
/// A string.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_unlink(name_: *const c_char) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { name(name_) }.and_then(|name| {
        NAMED.with_borrow_mut(|all| {
            find(all, name).ok_or(Errno(libc::ENOENT))?.name = None;
            drop_unused(all);
            Ok(())
        })
    }))
}
