//! The C ABI: the functions that wasi-libc lacks on wasip1, and those of its functions that must handle sockets.
//!
//! Functions that wasi-libc has too (`send`, `recv`, `accept`...) must be defined here: wasi-libc's call preview1's
//! `sock_send` and `sock_recv`, and if one of them is used anywhere in the guest, no host of the core six can instantiate
//! the module. This library comes before libc's archive on the link line, so libc's functions are never linked.
//!
//! Functions that are for files as well (`close`, `read`, `poll`...) are replaced by the linker: with `--wrap=close`,
//! every call of `close` goes to `__wrap_close` here, and `__real_close` is wasi-libc's.
//!
//! # Safety
//!
//! The callers are C code. They are responsible for pointers and lengths, as POSIX describes for each function.
#![allow(unsafe_code)]

mod clocks;
mod crypto;
mod dynamic;
mod file_locks;
mod files;
mod granted;
mod identity;
mod inet;
mod locks;
mod memory;
mod messages;
mod netdb;
mod own;
mod paths;
mod preview1;
mod processes;
mod refusals;
mod resource;
mod signals;
mod sockets;
mod syslog;
mod terminals;
mod threads;
mod time;
mod users;
mod waiting;
mod zones;

use core::slice;
use std::ffi::{CStr, c_char, c_int};

use crate::{Errno, Result};

pub(crate) use clocks::rest;
pub(crate) use own::Own;
pub(crate) use signals::{Handler, end_by_signal};
pub(crate) use time::{cpu_time, monotonic_time};

/// The length limit of slices.
const LENGTH_MAX: usize = isize::MAX as usize;

fn errno() -> Errno {
    // SAFETY: wasi-libc's errno of this thread, valid for as long as the thread runs.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as above; it is aligned, and nothing else writes to it meanwhile.
    Errno(unsafe { location.read() })
}

fn set_errno(Errno(errno): Errno) {
    // SAFETY: as in `errno`.
    let location = unsafe { libc::__errno_location() };
    // SAFETY: as in `errno`.
    unsafe { location.write(errno) };
}

/// The C convention for a length: -1 and errno.
fn c_length(result: Result<usize>) -> isize {
    // A length above isize::MAX cannot occur: no slice is that long.
    match result.and_then(|length| isize::try_from(length).map_err(|_| Errno::EIO)) {
        Ok(length) => length,
        Err(error) => {
            set_errno(error);
            -1
        }
    }
}

/// The C convention for a number: -1 and errno.
fn c_number(result: Result<c_int>) -> c_int {
    result.unwrap_or_else(|error| {
        set_errno(error);
        -1
    })
}

/// The C convention for functions without a result: 0, or -1 and errno.
fn c_unit(result: Result<()>) -> c_int {
    c_number(result.map(|()| 0))
}

/// The convention of pthread.h: 0, or the error.
fn c_errno(result: Result<()>) -> c_int {
    result.err().map_or(0, |Errno(errno)| errno)
}

/// The bytes at `data`. EFAULT for a null pointer with a length.
///
/// # Safety
/// `data` points to `length` readable bytes, for as long as the slice is in use.
unsafe fn bytes<'a>(data: *const u8, length: usize) -> Result<&'a [u8]> {
    match (data.is_null(), length) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno(libc::EFAULT)),
        // SAFETY: not null; the caller is responsible for the rest.
        (false, _) => Ok(unsafe { slice::from_raw_parts(data, length.min(LENGTH_MAX)) }),
    }
}

/// The values at `start`. EFAULT for a null pointer with a count.
///
/// # Safety
/// `start` points to `count` writable values, for as long as the slice is in use.
unsafe fn slice_mut<'a, T>(start: *mut T, count: usize) -> Result<&'a mut [T]> {
    let most = LENGTH_MAX.checked_div(size_of::<T>()).unwrap_or(0);
    match (start.is_null(), count) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Errno(libc::EFAULT)),
        // SAFETY: not null; the caller is responsible for the rest.
        (false, _) => Ok(unsafe { slice::from_raw_parts_mut(start, count.min(most)) }),
    }
}

/// The bytes of a C string, without its NUL; `None` for a null pointer.
///
/// # Safety
/// `text` is null or points to a NUL-terminated string, which outlives the slice.
unsafe fn string<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null; the caller is responsible for the rest.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}
