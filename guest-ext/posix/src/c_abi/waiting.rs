//! poll.h, sys/select.h, sys/epoll.h.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_short};

use super::signals::SigSet;
use super::{c_length, c_number, c_unit, errno, slice_mut};
use crate::poll::{self, translated};
use crate::sys::{
    EPOLL_CLOEXEC, POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT, epoll_event, fd_set, pollfd,
    timespec, timeval,
};
use crate::{Errno, RawFd, Result, descriptors, epoll, signals};

pub(super) const SECOND: i64 = 1_000_000_000;

/// Converts a timeout from milliseconds to nanoseconds; a negative one has no end.
fn from_milliseconds(timeout: c_int) -> i64 {
    i64::from(timeout).saturating_mul(1_000_000)
}

unsafe extern "C" {
    fn __real_poll(fds: *mut pollfd, count: usize, timeout: c_int) -> c_int;
}

/// The event bits of poll.h, and those that wasi-libc has for them.
const EVENTS: [(i32, i32); 5] = [
    (POLLIN, 0x1),
    (POLLOUT, 0x2),
    (POLLERR, 0x1000),
    (POLLHUP, 0x2000),
    (POLLNVAL, 0x4000),
];

/// wasi-libc's own poll, for files.
fn poll_files(fds: &mut [pollfd], timeout: c_int) -> Result<usize> {
    let mut files: Vec<_> = fds
        .iter()
        .map(|fd| pollfd {
            fd: descriptors::file(fd.fd).map_or(fd.fd, |number| number as RawFd),
            events: translated(fd.events.into(), EVENTS) as c_short,
            ..*fd
        })
        .collect();
    // SAFETY: pointer and length are one slice's.
    let ready = unsafe { __real_poll(files.as_mut_ptr(), files.len(), timeout) };
    for (fd, file) in fds.iter_mut().zip(files) {
        let back = EVENTS.map(|(ours, theirs)| (theirs, ours));
        fd.revents = translated(file.revents.into(), back) as c_short;
    }
    usize::try_from(ready).map_err(|_| errno())
}

/// poll(2).
///
/// # Safety
/// `fds` points to `count` entries.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_poll(fds: *mut pollfd, count: usize, timeout: c_int) -> c_int {
    if count > wasisocket_abi::v1::POLL_MAX {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: passed on.
    let ready = unsafe { slice_mut(fds, count) }
        .and_then(|fds| poll::poll(fds, from_milliseconds(timeout), poll_files));
    c_length(ready) as c_int
}

/// The descriptors in a set. EINVAL for a set with more descriptors than fit.
///
/// # Safety
/// `set` is null or points to a set.
unsafe fn read_set(set: *const fd_set) -> Result<Vec<RawFd>> {
    // SAFETY: null or a set.
    let Some(set) = (unsafe { set.as_ref() }) else {
        return Ok(Vec::new());
    };
    let fds = set.fds.get(..set.count).ok_or(Errno(libc::EINVAL))?;
    Ok(fds.to_vec())
}

/// Reduces a set to these descriptors, which were in it before.
///
/// # Safety
/// `set` is null or points to a set.
unsafe fn write_set(set: *mut fd_set, fds: &[RawFd]) {
    // SAFETY: null or a set.
    let Some(set) = (unsafe { set.as_mut() }) else {
        return;
    };
    if let Some(room) = set.fds.get_mut(..fds.len()) {
        room.copy_from_slice(fds);
        set.count = fds.len();
    }
}

/// # Safety
/// Each pointer is null or points to a set.
unsafe fn select(sets: [*mut fd_set; 3], timeout: Result<i64>) -> Result<usize> {
    let timeout = timeout?;
    let mut fds: [Vec<RawFd>; 3] = Default::default();
    for (set, fds) in sets.into_iter().zip(&mut fds) {
        // SAFETY: passed on.
        *fds = unsafe { read_set(set) }?;
    }
    let ready = poll::select(&mut fds, timeout, poll_files)?;
    for (set, fds) in sets.into_iter().zip(&fds) {
        // SAFETY: passed on.
        unsafe { write_set(set, fds) };
    }
    Ok(ready)
}

/// Seconds and a fraction as nanoseconds; EINVAL for an invalid time.
pub(super) fn nanoseconds(seconds: i64, fraction: i64, unit: i64) -> Result<i64> {
    let fraction = fraction.checked_mul(unit).ok_or(Errno(libc::EINVAL))?;
    match seconds >= 0 && (0..SECOND).contains(&fraction) {
        true => Ok(seconds.saturating_mul(SECOND).saturating_add(fraction)),
        false => Err(Errno(libc::EINVAL)),
    }
}

/// select(2). wasi-libc's sets are lists, so `count` is not needed. `timeout` is not changed.
///
/// # Safety
/// Each pointer is null or points to what its type says.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_select(
    _count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timeval,
) -> c_int {
    // SAFETY: null or a time.
    let timeout = match unsafe { timeout.as_ref() } {
        None => Ok(crate::host::FOREVER),
        Some(time) => nanoseconds(time.tv_sec, time.tv_usec, 1_000),
    };
    // SAFETY: passed on.
    c_length(unsafe { select([read, write, except], timeout) }) as c_int
}

/// pselect(2).
///
/// # Safety
/// Each pointer is null or points to what its type says.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_pselect(
    _count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const SigSet,
) -> c_int {
    // SAFETY: null or a time.
    let timeout = match unsafe { timeout.as_ref() } {
        None => Ok(crate::host::FOREVER),
        Some(time) => nanoseconds(time.tv_sec, time.tv_nsec.into(), 1),
    };
    // SAFETY: passed on.
    let select = || unsafe { select([read, write, except], timeout) };
    // SAFETY: null or a set.
    c_length(match unsafe { mask.as_ref() } {
        Some(mask) => signals::with_mask(mask.get(), select),
        None => select(),
    }) as c_int
}

/// epoll_create(2). `size` has no effect, but must be positive.
#[unsafe(no_mangle)]
extern "C" fn epoll_create(size: c_int) -> c_int {
    c_number(match size {
        1.. => epoll::epoll_create(false),
        _ => Err(Errno(libc::EINVAL)),
    })
}

/// epoll_create1(2).
#[unsafe(no_mangle)]
extern "C" fn epoll_create1(flags: c_int) -> c_int {
    c_number(match flags {
        0 => epoll::epoll_create(false),
        EPOLL_CLOEXEC => epoll::epoll_create(true),
        _ => Err(Errno(libc::EINVAL)),
    })
}

/// epoll_ctl(2).
///
/// # Safety
/// `event` is null or points to an event.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_ctl(
    epfd: c_int,
    op: c_int,
    fd: c_int,
    event: *const epoll_event,
) -> c_int {
    // SAFETY: null or an event.
    let event = unsafe { event.as_ref() }.copied();
    c_unit(epoll::epoll_ctl(epfd, op, fd, event))
}

/// epoll_wait(2).
///
/// # Safety
/// `events` has room for `max`.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epfd: c_int,
    events: *mut epoll_event,
    max: c_int,
    timeout: c_int,
) -> c_int {
    let max = usize::try_from(max).unwrap_or(0);
    if events.is_null() {
        return c_unit(Err(Errno(libc::EFAULT)));
    }
    let timeout = from_milliseconds(timeout);
    let mut place = events;
    c_length(epoll::epoll_wait(epfd, max, timeout, |event| {
        // SAFETY: there are no more than `max`.
        unsafe { place.write(event) };
        place = place.wrapping_add(1);
    })) as c_int
}
