//! pthread.h and sched.h: threads, their attributes, their values, and what runs once.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_int, c_uint, c_void};

use super::c_errno;
use super::own::Own;
use crate::threads::{self, Id, On, Start, keys};

/// The stack of a thread that asks for no other size, as main's.
const STACK: usize = 4 << 20;
/// The smallest: POSIX's PTHREAD_STACK_MIN in wasi-libc.
const STACK_MIN: usize = 2048;
/// The largest, so that a size can be rounded up.
const STACK_MAX: usize = 1 << 30;

/// `pthread_attr_t`, in its memory.
#[repr(C)]
#[derive(Clone, Copy)]
struct Attributes {
    stack: usize,
    detached: c_int,
}

const _: () = assert!(size_of::<Attributes>() <= 9 * size_of::<c_int>());

/// Whether there is more than one thread.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_has_threads() -> c_int {
    c_int::from(threads::several())
}

/// How many bytes of stack the current thread has, in the guest's memory; the main thread has as many as it was linked with,
/// for which `SIZE_MAX` stands.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_stack_size() -> usize {
    threads::stack_size().unwrap_or(usize::MAX)
}

/// Whether other threads could go on if the running one gave way; if so, its next wait for a condition ends when they had
/// a turn.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_ask_to_give_way() -> c_int {
    c_int::from(threads::ask_to_give_way())
}

fn call_destructor(destructor: unsafe extern "C" fn(*mut c_void), value: *mut c_void) {
    // SAFETY: what pthread_key_create was given, with a value of its key.
    unsafe { destructor(value) };
}

/// Where a thread begins: the host calls it on a call stack of its own.
#[unsafe(export_name = "thread-start")]
extern "C" fn thread_start() {
    Own::new().restore();
    if let Some(Start { function, argument }) = threads::started() {
        // SAFETY: what pthread_create was given.
        let value = unsafe { function(argument) };
        threads::ended(value, true, call_destructor);
    }
}

/// pthread_create(3).
///
/// # Safety
/// `thread` has room for a number, and `attributes` is null or initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut Id,
    attributes: *const Attributes,
    function: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: null or initialised.
    let attributes = unsafe { attributes.as_ref() }.copied();
    let attributes = attributes.unwrap_or(DEFAULT);
    let start = Start { function, argument };
    let is_detached = attributes.detached == PTHREAD_CREATE_DETACHED;
    c_errno(
        threads::spawn(start, attributes.stack, is_detached).map(|id| {
            // SAFETY: room for it.
            unsafe { thread.write(id) };
        }),
    )
}

/// pthread_join(3).
///
/// # Safety
/// `value` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: Id, value: *mut *mut c_void) -> c_int {
    c_errno(threads::join(thread).map(|result| {
        // SAFETY: null or room for it.
        if let Some(value) = unsafe { value.as_mut() } {
            *value = result;
        }
    }))
}

/// pthread_detach(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_detach(thread: Id) -> c_int {
    c_errno(threads::detach(thread))
}

/// pthread_self(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_self() -> Id {
    threads::current()
}

/// pthread_equal(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_equal(one: Id, other: Id) -> c_int {
    c_int::from(one == other)
}

/// pthread_exit(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_exit(value: *mut c_void) -> ! {
    if threads::is_main() {
        threads::main_ended(call_destructor);
        // SAFETY: exit(3) may be called from anywhere.
        unsafe { libc::exit(0) };
    }
    loop {
        // It does not come back.
        threads::ended(value, false, call_destructor);
    }
}

/// sched_yield(2).
#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    threads::yield_now();
    0
}

const PTHREAD_CREATE_JOINABLE: c_int = 0;
const PTHREAD_CREATE_DETACHED: c_int = 1;

const DEFAULT: Attributes = Attributes {
    stack: STACK,
    detached: PTHREAD_CREATE_JOINABLE,
};

/// pthread_attr_init(3).
///
/// # Safety
/// Room for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_init(attributes: *mut Attributes) -> c_int {
    // SAFETY: room for it.
    unsafe { attributes.write(DEFAULT) };
    0
}

/// pthread_attr_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_attributes: *mut Attributes) -> c_int {
    0
}

/// pthread_attr_setstacksize(3).
///
/// # Safety
/// Initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setstacksize(attributes: *mut Attributes, size: usize) -> c_int {
    if !(STACK_MIN..=STACK_MAX).contains(&size) {
        return libc::EINVAL;
    }
    // SAFETY: initialised.
    unsafe { (*attributes).stack = size };
    0
}

/// pthread_attr_getstacksize(3).
///
/// # Safety
/// Initialised, and room for the size.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getstacksize(
    attributes: *const Attributes,
    size: *mut usize,
) -> c_int {
    // SAFETY: initialised.
    let stack = unsafe { (*attributes).stack };
    // SAFETY: room for it.
    unsafe { size.write(stack) };
    0
}

/// pthread_attr_setdetachstate(3).
///
/// # Safety
/// Initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setdetachstate(
    attributes: *mut Attributes,
    state: c_int,
) -> c_int {
    if !matches!(state, PTHREAD_CREATE_JOINABLE | PTHREAD_CREATE_DETACHED) {
        return libc::EINVAL;
    }
    // SAFETY: initialised.
    unsafe { (*attributes).detached = state };
    0
}

/// pthread_attr_getdetachstate(3).
///
/// # Safety
/// Initialised, and room for the state.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getdetachstate(
    attributes: *const Attributes,
    state: *mut c_int,
) -> c_int {
    // SAFETY: initialised.
    let detached = unsafe { (*attributes).detached };
    // SAFETY: room for it.
    unsafe { state.write(detached) };
    0
}

/// pthread_key_create(3).
///
/// # Safety
/// Room for a key.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_key_create(
    key: *mut c_uint,
    destructor: Option<unsafe extern "C" fn(*mut c_void)>,
) -> c_int {
    c_errno(keys::create(destructor).map(|new| {
        // SAFETY: room for it.
        unsafe { key.write(new) };
    }))
}

/// pthread_key_delete(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    c_errno(keys::delete(key))
}

/// pthread_getspecific(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    keys::value(key)
}

/// pthread_setspecific(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int {
    c_errno(keys::set_value(key, value.cast_mut()))
}

/// The states of a `pthread_once_t`.
const NOT_YET: c_int = 0;
const RUNS: c_int = 1;
const DONE: c_int = 2;

/// pthread_once(3).
///
/// # Safety
/// Initialised with PTHREAD_ONCE_INIT.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_once(once: *mut c_int, function: extern "C" fn()) -> c_int {
    let on = On::Address(once.expose_provenance());
    loop {
        // SAFETY: initialised; nobody else writes to it meanwhile.
        match unsafe { once.read() } {
            NOT_YET => {
                // SAFETY: as above.
                unsafe { once.write(RUNS) };
                function();
                // SAFETY: as above.
                unsafe { once.write(DONE) };
                threads::wake_all(on);
                return 0;
            }
            RUNS => {
                threads::wait(on, None);
            }
            _ => return 0,
        }
    }
}
