//! The CPU time of time.h and sys/times.h.
//!
//! wasi-libc's own (`wasi-emulated-process-clocks`) count the time since the guest was instantiated, by a clock that
//! begins anew in a copy of its memory, and `times` counts it in other units than it says.
//!
//! # Safety
//!
//! See the parent module.

use std::time::Duration;

use crate::sys::{CLOCKS_PER_SEC, clock_t, tms};

/// What times(2) counts in: sysconf(_SC_CLK_TCK) is 100 in wasi-libc.
const TICK: clock_t = CLOCKS_PER_SEC / 100;

/// preview1's `clockid`.
#[derive(Clone, Copy)]
enum Clock {
    Monotonic = 1,
    ProcessCpuTime = 2,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u32;
}

/// A clock's time in nanoseconds, if the host has the clock.
fn time(clock: Clock) -> Option<clock_t> {
    let mut time = 0;
    // SAFETY: it writes nothing but the time, if it answers 0.
    match unsafe { clock_time_get(clock as u32, 1, &raw mut time) } {
        0 => clock_t::try_from(time).ok(),
        _ => None,
    }
}

/// The CPU time of the guest. Of a host that does not count it: the time that passed.
fn cpu_clock() -> clock_t {
    let used = time(Clock::ProcessCpuTime).or_else(|| time(Clock::Monotonic));
    used.unwrap_or(-1)
}

/// The CPU time of the guest: CLOCK_PROCESS_CPUTIME_ID.
pub(crate) fn cpu_time() -> Duration {
    Duration::from_nanos(u64::try_from(cpu_clock()).unwrap_or(0))
}

/// CLOCK_MONOTONIC.
pub(crate) fn monotonic_time() -> Duration {
    let time = time(Clock::Monotonic).and_then(|time| u64::try_from(time).ok());
    Duration::from_nanos(time.unwrap_or(0))
}

/// clock(3).
#[unsafe(no_mangle)]
extern "C" fn __wrap_clock() -> clock_t {
    cpu_clock()
}

/// What wasi-libc's getrusage(2) calls.
#[unsafe(no_mangle)]
extern "C" fn __wrap___clock() -> clock_t {
    cpu_clock()
}

/// times(2): all as user time, for the host's part of it is not told apart.
///
/// # Safety
/// `buffer` is null or points to a `tms`.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_times(buffer: *mut tms) -> clock_t {
    // SAFETY: null or a place for it.
    if let Some(buffer) = unsafe { buffer.as_mut() } {
        *buffer = tms {
            tms_utime: cpu_clock() / TICK,
            tms_stime: 0,
            tms_cutime: 0,
            tms_cstime: 0,
        };
    }
    time(Clock::Monotonic).map_or(-1, |time| time / TICK)
}
