//! pthread.h and sched.h: threads, their values, and what runs once. Sleeping, so that others run meanwhile.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::RefCell;
use std::ffi::{c_int, c_uint, c_void};
use std::time::{Duration, Instant};

use super::{errno, set_errno};
use crate::sys::timespec;
use crate::threads::{self, Id, On, Start};
use crate::{Errno, Result};

/// The stack of a thread that asks for no other size, as main's.
const STACK: usize = 4 << 20;
/// The smallest: POSIX's PTHREAD_STACK_MIN in wasi-libc.
const STACK_MIN: usize = 2048;
/// The largest, so that a size can be rounded up.
const STACK_MAX: usize = 1 << 30;

const SECOND: i64 = 1_000_000_000;

/// `clockid_t`: where wasi-libc describes a clock.
pub(super) type Clock = *const c_void;

/// CLOCK_REALTIME.
pub(super) fn realtime() -> Clock {
    unsafe extern "C" {
        #[link_name = "_CLOCK_REALTIME"]
        static REALTIME: u8;
    }
    (&raw const REALTIME).cast()
}

fn monotonic() -> Clock {
    unsafe extern "C" {
        #[link_name = "_CLOCK_MONOTONIC"]
        static MONOTONIC: u8;
    }
    (&raw const MONOTONIC).cast()
}

/// `pthread_attr_t`, in its memory.
#[repr(C)]
#[derive(Clone, Copy)]
struct Attributes {
    stack: usize,
    detached: c_int,
}

const _: () = assert!(size_of::<Attributes>() <= 9 * size_of::<c_int>());

/// Functions of pthread.h return the error's number.
pub(super) fn number(result: Result<()>) -> c_int {
    result.err().map_or(0, |Errno(errno)| errno)
}

thread_local! {
    /// Variables of C code that each thread has for itself.
    static WORDS: RefCell<Vec<*mut usize>> = const { RefCell::new(Vec::new()) };
}

/// The most of them: CPython has two.
const WORDS_MAX: usize = 4;

/// What the current thread has in the variables that are each thread's own: `errno`, and those of C code. To compiled
/// code they are like any other, because the module has one instance.
pub(crate) struct Own {
    errno: Errno,
    words: [usize; WORDS_MAX],
}

impl Own {
    /// Those of the current thread.
    pub(crate) fn save() -> Self {
        let mut saved = [0; WORDS_MAX];
        WORDS.with_borrow(|words| {
            for (word, place) in words.iter().zip(&mut saved) {
                // SAFETY: variables that live as long as the module.
                *place = unsafe { word.read() };
            }
        });
        Self {
            errno: errno(),
            words: saved,
        }
    }

    /// The current thread goes on.
    pub(crate) fn restore(self) {
        set_errno(self.errno);
        WORDS.with_borrow(|words| {
            for (word, value) in words.iter().zip(self.words) {
                // SAFETY: as in `save`.
                unsafe { word.write(value) };
            }
        });
    }

    /// Those of a thread that begins.
    fn clear() {
        set_errno(Errno(0));
        // SAFETY: as in `save`.
        WORDS.with_borrow(|words| words.iter().for_each(|word| unsafe { word.write(0) }));
    }
}

/// Makes a variable of C code each thread's own: one of the size of a pointer, declared `_Thread_local`, which the
/// compiler takes for one of the module where it has no threads. It is 0 where a thread begins. There can be four.
///
/// # Safety
/// It lives as long as the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasisocket_thread_local(word: *mut usize) {
    WORDS.with_borrow_mut(|words| {
        if !words.contains(&word) && words.len() < WORDS_MAX {
            words.push(word);
        }
    });
}

/// Whether there is more than one thread.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_has_threads() -> c_int {
    c_int::from(threads::several())
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
    Own::clear();
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
    thread: *mut u32,
    attributes: *const Attributes,
    function: unsafe extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: null or initialised.
    let attributes = unsafe { attributes.as_ref() }.copied();
    let attributes = attributes.unwrap_or(DEFAULT);
    let start = Start { function, argument };
    let is_detached = attributes.detached == PTHREAD_CREATE_DETACHED;
    number(
        threads::spawn(start, attributes.stack, is_detached).map(|id| {
            // SAFETY: room for it.
            unsafe { thread.write(id.number()) };
        }),
    )
}

/// pthread_join(3).
///
/// # Safety
/// `value` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: u32, value: *mut *mut c_void) -> c_int {
    number(threads::join(Id::from_number(thread)).map(|result| {
        // SAFETY: null or room for it.
        if let Some(value) = unsafe { value.as_mut() } {
            *value = result;
        }
    }))
}

/// pthread_detach(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_detach(thread: u32) -> c_int {
    number(threads::detach(Id::from_number(thread)))
}

/// pthread_self(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_self() -> u32 {
    threads::current().number()
}

/// pthread_equal(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_equal(one: u32, other: u32) -> c_int {
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
    number(threads::key_create(destructor).map(|new| {
        // SAFETY: room for it.
        unsafe { key.write(new) };
    }))
}

/// pthread_key_delete(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_key_delete(key: c_uint) -> c_int {
    number(threads::key_delete(key))
}

/// pthread_getspecific(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_getspecific(key: c_uint) -> *mut c_void {
    threads::value(key)
}

/// pthread_setspecific(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int {
    number(threads::set_value(key, value.cast_mut()))
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

/// Nanoseconds of a time; EINVAL if it is invalid.
fn nanoseconds(time: timespec) -> Result<i64> {
    let fraction = i64::from(time.tv_nsec);
    match (0..SECOND).contains(&fraction) {
        true => Ok(time.tv_sec.saturating_mul(SECOND).saturating_add(fraction)),
        false => Err(Errno(libc::EINVAL)),
    }
}

/// A point of a clock as the end of a wait: `None` if it never comes.
///
/// # Errors
/// EINVAL for an invalid time or clock.
pub(super) fn end(clock: Clock, time: timespec) -> Result<Option<Instant>> {
    let at = nanoseconds(time)?;
    let mut now = timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a clock of libc's, and room for its time.
    if unsafe { clock_gettime(clock, &raw mut now) } != 0 {
        return Err(errno());
    }
    let left = at.saturating_sub(nanoseconds(now)?).max(0);
    Ok(threads::after(left))
}

unsafe extern "C" {
    fn clock_gettime(clock: Clock, time: *mut timespec) -> c_int;
    fn __real_clock_nanosleep(
        clock: Clock,
        flags: c_int,
        time: *const timespec,
        rest: *mut timespec,
    ) -> c_int;
}

/// Sleeps with all threads.
pub(crate) fn pause(time: Duration) {
    let time = timespec {
        // Some decades are without end.
        tv_sec: i64::try_from(time.as_secs()).map_or(i64::MAX, |seconds| seconds.min(1 << 30)),
        tv_nsec: time.subsec_nanos().cast_signed(),
    };
    // SAFETY: a time, and nothing is written. An interruption is as good as the end.
    unsafe { __real_clock_nanosleep(monotonic(), 0, &raw const time, std::ptr::null_mut()) };
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
    if time.tv_sec < 0 {
        return libc::EINVAL;
    }
    let end = match flags & libc::TIMER_ABSTIME != 0 {
        true => end(clock, time),
        false => nanoseconds(time).map(threads::after),
    };
    number(end.map(|end| {
        threads::wait(On::Nothing, end);
    }))
}
