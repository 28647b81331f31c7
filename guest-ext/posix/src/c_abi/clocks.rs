//! Points of time.h's clocks, and sleeping so that other threads run meanwhile.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_long, c_void};
use std::time::Instant;

use super::waiting::{SECOND, nanoseconds};
use super::{c_errno, errno};
use crate::Result;
use crate::host::{Host as _, Imp, after, until};
use crate::sys::timespec;

/// `clockid_t`: where wasi-libc describes a clock.
pub(super) type Clock = *const c_void;

unsafe extern "C" {
    #[link_name = "_CLOCK_REALTIME"]
    static REALTIME: u8;
    #[link_name = "_CLOCK_MONOTONIC"]
    static MONOTONIC: u8;

    fn clock_gettime(clock: Clock, time: *mut timespec) -> c_int;
    fn __real_clock_nanosleep(
        clock: Clock,
        flags: c_int,
        time: *const timespec,
        rest: *mut timespec,
    ) -> c_int;
}

/// CLOCK_REALTIME.
pub(super) fn realtime() -> Clock {
    (&raw const REALTIME).cast()
}

/// A point of a clock as the end of a wait: `None` if it never comes.
///
/// # Errors
/// EINVAL for an invalid time or clock.
pub(super) fn end(clock: Clock, time: timespec) -> Result<Option<Instant>> {
    // Before 1970 is in the past too.
    let at = nanoseconds(time.tv_sec.max(0), time.tv_nsec.into(), 1)?;
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a clock of libc's, and room for its time.
    if unsafe { clock_gettime(clock, &raw mut now) } != 0 {
        return Err(errno());
    }
    let now = nanoseconds(now.tv_sec, now.tv_nsec.into(), 1)?;
    Ok(after(at.saturating_sub(now).max(0)))
}

/// When so much time is over: as for [`end`].
///
/// # Errors
/// EINVAL for an invalid time.
pub(super) fn after_time(time: timespec) -> Result<Option<Instant>> {
    nanoseconds(time.tv_sec, time.tv_nsec.into(), 1).map(after)
}

/// Waits with all threads for a signal, or so many nanoseconds; a negative number is without end. It may end early.
pub(crate) fn rest(nanoseconds: i64) {
    if Imp::CAN_WAIT {
        // Whatever ends it is as good as the end.
        let _ = Imp::look(&mut [], nanoseconds);
        return;
    }
    let time = timespec_of(match nanoseconds {
        ..0 => SECOND,
        some => some,
    });
    let monotonic = (&raw const MONOTONIC).cast();
    // SAFETY: a time, and nothing is written.
    unsafe { __real_clock_nanosleep(monotonic, 0, &raw const time, std::ptr::null_mut()) };
}

fn timespec_of(nanoseconds: i64) -> timespec {
    timespec {
        tv_sec: nanoseconds / SECOND,
        tv_nsec: (nanoseconds % SECOND) as c_long,
    }
}

/// clock_nanosleep(2).
///
/// # Safety
/// `time` points to a time, and `rest` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_clock_nanosleep(
    clock: Clock,
    flags: c_int,
    time: *const timespec,
    rest: *mut timespec,
) -> c_int {
    if !Imp::CAN_WAIT {
        // SAFETY: passed on.
        return unsafe { __real_clock_nanosleep(clock, flags, time, rest) };
    }
    // SAFETY: a time.
    let time = unsafe { time.read() };
    let is_absolute = flags & libc::TIMER_ABSTIME != 0;
    let end = match is_absolute {
        true => end(clock, time),
        false => after_time(time),
    };
    c_errno(end.and_then(|end| {
        let slept = Imp::poll(&mut [], until(end)).map(drop);
        // SAFETY: null or room for it.
        if let (Err(_), false, Some(rest)) = (&slept, is_absolute, unsafe { rest.as_mut() }) {
            *rest = timespec_of(until(end));
        }
        Ok(slept?)
    }))
}
