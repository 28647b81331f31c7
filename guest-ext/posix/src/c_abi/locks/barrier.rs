//! Barriers.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_uint};
use std::ptr::null;

use super::{acquire, c_errno, fits, on};
use crate::threads;

const PTHREAD_BARRIER_SERIAL_THREAD: c_int = -1;

/// `pthread_barrier_t`.
#[repr(C)]
#[derive(Default)]
struct Barrier {
    count: c_uint,
    arrived: c_uint,
    round: u32,
    /// How many have not yet seen that the round is over.
    leaving: c_uint,
}

const _: () = assert!(fits::<Barrier>(5));

/// pthread_barrier_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_init(
    barrier: *mut Barrier,
    _attributes: *const c_uint,
    count: c_uint,
) -> c_int {
    if count == 0 {
        return libc::EINVAL;
    }
    let new = Barrier {
        count,
        ..Default::default()
    };
    // SAFETY: room for it.
    unsafe { barrier.write(new) };
    0
}

/// pthread_barrier_destroy(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_destroy(barrier: *mut Barrier) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { acquire(barrier, null(), |barrier| Ok(barrier.leaving == 0)) })
}

/// pthread_barrier_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_wait(barrier: *mut Barrier) -> c_int {
    // SAFETY: initialised, and borrowed in this block alone.
    let round = unsafe {
        let barrier = &mut *barrier;
        barrier.arrived = barrier.arrived.wrapping_add(1);
        if barrier.arrived >= barrier.count {
            barrier.arrived = 0;
            barrier.leaving = barrier.leaving.wrapping_add(barrier.count.wrapping_sub(1));
            barrier.round = barrier.round.wrapping_add(1);
            threads::wake_all(on(barrier));
            return PTHREAD_BARRIER_SERIAL_THREAD;
        }
        barrier.round
    };
    // SAFETY: passed on.
    let waited = unsafe { acquire(barrier, null(), |barrier| Ok(barrier.round != round)) };
    // SAFETY: whoever destroys it waits for this.
    let leaving = unsafe { &mut (*barrier).leaving };
    *leaving = leaving.wrapping_sub(1);
    threads::wake_all(on(barrier));
    c_errno(waited)
}
