//! Points of time.h's clocks, and sleeping so that other threads run meanwhile.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_void};
use std::time::{Duration, Instant};

use super::waiting::nanoseconds;
use super::{c_errno, errno};
use crate::Result;
use crate::host::after;
use crate::sys::timespec;
use crate::threads::{self, On};

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

/// Sleeps with all threads.
pub(crate) fn pause(time: Duration) {
    let time = timespec {
        // Some decades are without end.
        tv_sec: i64::try_from(time.as_secs()).map_or(i64::MAX, |seconds| seconds.min(1 << 30)),
        tv_nsec: time.subsec_nanos().cast_signed(),
    };
    let monotonic = (&raw const MONOTONIC).cast();
    // SAFETY: a time, and nothing is written. An interruption is as good as the end.
    unsafe { __real_clock_nanosleep(monotonic, 0, &raw const time, std::ptr::null_mut()) };
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
    if !threads::several() {
        // SAFETY: passed on.
        return unsafe { __real_clock_nanosleep(clock, flags, time, rest) };
    }
    // SAFETY: a time.
    let time = unsafe { time.read() };
    let relative = nanoseconds(time.tv_sec, time.tv_nsec.into(), 1);
    let end = relative.and_then(|relative| match flags & libc::TIMER_ABSTIME != 0 {
        true => end(clock, time),
        false => Ok(after(relative)),
    });
    c_errno(end.map(|end| {
        threads::wait(On::Nothing, end);
    }))
}
