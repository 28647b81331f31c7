//! sys/resource.h: what a guest may use, and what it has used.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use super::{c_unit, cpu_time};
use crate::descriptors::PLACES_MAX;
use crate::sys::*;
use crate::{Errno, Result};

/// The numbers of limits are below it.
const RLIM_NLIMITS: c_int = 16;

/// What a 32-bit address reaches.
const ADDRESSES: u64 = 1 << 32;

/// A page of memory, in the unit of ru_maxrss.
const PAGE: usize = 64;

unsafe extern "C" {
    // The linker's, around the main thread's stack.
    #[link_name = "__stack_low"]
    static STACK_LOW: u8;
    #[link_name = "__stack_high"]
    static STACK_HIGH: u8;
}

/// A limit, which is the soft one and the hard one. Limits of the host's that a guest cannot know of are infinite here.
fn limit(resource: c_int) -> Result<u64> {
    match resource {
        RLIMIT_STACK => {
            let (low, high) = (&raw const STACK_LOW, &raw const STACK_HIGH);
            Ok(high.addr().saturating_sub(low.addr()) as u64)
        }
        RLIMIT_NOFILE => Ok(PLACES_MAX as u64),
        RLIMIT_AS => Ok(ADDRESSES),
        // There is nothing of the kind.
        RLIMIT_CORE | RLIMIT_MSGQUEUE | RLIMIT_NICE | RLIMIT_RTPRIO => Ok(0),
        RLIMIT_CPU..RLIM_NLIMITS => Ok(RLIM_INFINITY),
        _ => Err(Errno::EINVAL),
    }
}

/// getrlimit(2).
///
/// # Safety
/// Room for a limit.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrlimit(resource: c_int, place: *mut rlimit) -> c_int {
    c_unit(limit(resource).map(|limit| {
        let limit = rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: room for it.
        unsafe { place.write(limit) };
    }))
}

/// setrlimit(2). A limit can be set to what it is. Nothing could enforce a lower one, which is ENOTSUP.
///
/// # Safety
/// Points to a limit.
#[unsafe(no_mangle)]
unsafe extern "C" fn setrlimit(resource: c_int, wanted: *const rlimit) -> c_int {
    // SAFETY: a limit.
    let rlimit { rlim_cur, rlim_max } = unsafe { wanted.read() };
    c_unit(limit(resource).and_then(|limit| {
        if rlim_cur > rlim_max {
            Err(Errno::EINVAL)
        } else if rlim_max > limit {
            Err(Errno(libc::EPERM))
        } else if rlim_cur < limit {
            Err(Errno(libc::ENOTSUP))
        } else {
            Ok(())
        }
    }))
}

fn timeval_of(time: Duration) -> timeval {
    timeval {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_usec: time.subsec_micros().into(),
    }
}

/// getrusage(2): the CPU time, all as user time, and the memory, which never shrinks. There are no children. The time of a
/// single thread is not known: EINVAL.
///
/// # Safety
/// Room for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_getrusage(who: c_int, place: *mut rusage) -> c_int {
    let (time, pages) = match who {
        RUSAGE_SELF => (cpu_time(), core::arch::wasm32::memory_size::<0>()),
        RUSAGE_CHILDREN => (Duration::ZERO, 0),
        _ => return c_unit(Err(Errno::EINVAL)),
    };
    let usage = rusage {
        ru_utime: timeval_of(time),
        ru_stime: timeval_of(Duration::ZERO),
        ru_maxrss: c_long::try_from(pages.saturating_mul(PAGE)).unwrap_or(c_long::MAX),
        ru_ixrss: 0,
        ru_idrss: 0,
        ru_isrss: 0,
        ru_minflt: 0,
        ru_majflt: 0,
        ru_nswap: 0,
        ru_inblock: 0,
        ru_oublock: 0,
        ru_msgsnd: 0,
        ru_msgrcv: 0,
        ru_nsignals: 0,
        ru_nvcsw: 0,
        ru_nivcsw: 0,
    };
    // SAFETY: room for it.
    unsafe { place.write(usage) };
    0
}
