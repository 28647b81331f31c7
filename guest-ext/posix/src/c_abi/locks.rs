//! pthread.h and semaphore.h: what threads wait for each other with.
//!
//! One thread runs at a time, so each object is a few numbers, in the memory of libc's type of that name. An object that is
//! all zeros is initialised.
//!
//! # Safety
//!
//! See the parent module. Each pointer points to an initialised object of its type, which nobody else changes during a
//! call; the function that initialises one needs room for it.

use std::ffi::{c_int, c_uint};
use std::ptr::null;
use std::time::Instant;

use super::c_unit;
use super::threads::{Clock, end, number, realtime};
use crate::sys::timespec;
use crate::threads::{self, On};
use crate::{Errno, Result};

const BUSY: Errno = Errno(libc::EBUSY);
const LATE: Errno = Errno(libc::ETIMEDOUT);

const PTHREAD_MUTEX_RECURSIVE: c_int = 1;
const PTHREAD_MUTEX_ERRORCHECK: c_int = 2;
const PTHREAD_BARRIER_SERIAL_THREAD: c_int = -1;
const SEM_VALUE_MAX: c_uint = 0x7fff_ffff;

/// `pthread_mutex_t`.
#[repr(C)]
#[derive(Default)]
struct Mutex {
    kind: c_int,
    /// The thread that has it, or 0.
    owner: u32,
    /// How often it has it beyond once.
    more: u32,
}

/// `pthread_mutexattr_t`.
#[repr(C)]
struct MutexAttributes {
    kind: c_int,
}

/// `pthread_cond_t`.
#[repr(C)]
struct Condition {
    /// Null for CLOCK_REALTIME.
    clock: Clock,
}

/// `pthread_condattr_t`.
#[repr(C)]
struct ConditionAttributes {
    clock: Clock,
}

/// `pthread_rwlock_t`.
#[repr(C)]
#[derive(Default)]
struct ReadWriteLock {
    /// The thread that may write, or 0.
    writer: u32,
    readers: u32,
}

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

/// `sem_t`.
#[repr(C)]
struct Semaphore {
    value: c_uint,
}

/// The size of libc's types on wasm32, in `int`s: bits/alltypes.h and semaphore.h.
const fn fits<T>(ints: usize) -> bool {
    size_of::<T>() <= size_of::<c_int>().saturating_mul(ints)
}

const _: () = assert!(
    fits::<Mutex>(6)
        && fits::<MutexAttributes>(1)
        && fits::<Condition>(12)
        && fits::<ConditionAttributes>(1)
        && fits::<ReadWriteLock>(8)
        && fits::<Barrier>(5)
        && fits::<Semaphore>(4)
);

/// What is waited for with an object.
fn on<T>(object: *const T) -> On {
    On::Address(object.expose_provenance())
}

/// The number of the current thread, which is never 0.
fn me() -> u32 {
    threads::current().number()
}

/// When a wait ends: a time of this clock, or never without one.
///
/// # Safety
/// `time` is null or points to a time.
unsafe fn end_of(clock: Clock, time: *const timespec) -> Result<Option<Instant>> {
    // SAFETY: null or a time.
    match unsafe { time.as_ref() } {
        Some(time) => end(clock, *time),
        None => Ok(None),
    }
}

/// Waits for an object until `is_free`. ETIMEDOUT if the time is over before that.
fn wait_until<T>(
    object: *const T,
    mut is_free: impl FnMut() -> Result<bool>,
    end: impl FnOnce() -> Result<Option<Instant>>,
) -> Result<()> {
    if is_free()? {
        return Ok(());
    }
    let end = end()?;
    loop {
        let is_late = !threads::wait(on(object), end);
        match is_free()? {
            true => return Ok(()),
            false if is_late => return Err(LATE),
            false => {}
        }
    }
}

// Mutexes.

impl Mutex {
    fn try_lock(&mut self) -> Result<bool> {
        let me = me();
        match self.owner {
            0 => {
                self.owner = me;
                Ok(true)
            }
            owner if owner == me => match self.kind {
                PTHREAD_MUTEX_RECURSIVE => {
                    let more = self.more.checked_add(1);
                    self.more = more.ok_or(Errno(libc::EAGAIN))?;
                    Ok(true)
                }
                PTHREAD_MUTEX_ERRORCHECK => Err(Errno(libc::EDEADLK)),
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn unlock(&mut self) -> Result<()> {
        if self.kind != 0 && self.owner != me() {
            return Err(Errno(libc::EPERM));
        }
        match self.more.checked_sub(1) {
            Some(more) => self.more = more,
            None => {
                self.owner = 0;
                if threads::several() {
                    threads::wake_one(on(self));
                }
            }
        }
        Ok(())
    }
}

/// # Safety
/// See the module; `time` is null or points to a time.
unsafe fn lock(mutex: *mut Mutex, time: *const timespec) -> Result<()> {
    wait_until(
        mutex,
        // SAFETY: initialised, and borrowed for this alone.
        || unsafe { (*mutex).try_lock() },
        // SAFETY: passed on.
        || unsafe { end_of(realtime(), time) },
    )
}

/// pthread_mutex_init(3).
///
/// # Safety
/// See the module; `attributes` is null or initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_init(
    mutex: *mut Mutex,
    attributes: *const MutexAttributes,
) -> c_int {
    // SAFETY: null or initialised.
    let kind = unsafe { attributes.as_ref() }.map_or(0, |attributes| attributes.kind);
    let new = Mutex {
        kind,
        ..Default::default()
    };
    // SAFETY: room for it.
    unsafe { mutex.write(new) };
    0
}

/// pthread_mutex_destroy(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_destroy(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    match unsafe { (*mutex).owner } {
        0 => 0,
        _ => libc::EBUSY,
    }
}

/// pthread_mutex_lock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    // SAFETY: passed on.
    number(unsafe { lock(mutex, null()) })
}

/// pthread_mutex_timedlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_timedlock(mutex: *mut Mutex, time: *const timespec) -> c_int {
    // SAFETY: passed on.
    number(unsafe { lock(mutex, time) })
}

/// pthread_mutex_trylock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    number(match unsafe { (*mutex).try_lock() } {
        Ok(true) => Ok(()),
        Ok(false) | Err(Errno(libc::EDEADLK)) => Err(BUSY),
        Err(error) => Err(error),
    })
}

/// pthread_mutex_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    // SAFETY: initialised.
    number(unsafe { (*mutex).unlock() })
}

/// pthread_mutexattr_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_init(attributes: *mut MutexAttributes) -> c_int {
    // SAFETY: room for it.
    unsafe { attributes.write(MutexAttributes { kind: 0 }) };
    0
}

/// pthread_mutexattr_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_mutexattr_destroy(_attributes: *mut MutexAttributes) -> c_int {
    0
}

/// pthread_mutexattr_settype(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_settype(
    attributes: *mut MutexAttributes,
    kind: c_int,
) -> c_int {
    if !(0..=PTHREAD_MUTEX_ERRORCHECK).contains(&kind) {
        return libc::EINVAL;
    }
    // SAFETY: initialised.
    unsafe { (*attributes).kind = kind };
    0
}

// Conditions.

/// # Safety
/// See the module; `time` is null or points to a time.
unsafe fn wait(condition: *mut Condition, mutex: *mut Mutex, time: *const timespec) -> Result<()> {
    // SAFETY: initialised.
    let clock = match unsafe { (*condition).clock } {
        clock if clock.is_null() => realtime(),
        clock => clock,
    };
    // SAFETY: passed on.
    let end = unsafe { end_of(clock, time) }?;
    // SAFETY: initialised.
    unsafe { (*mutex).unlock() }?;
    let is_late = match threads::gives_way() {
        true => {
            threads::yield_now();
            false
        }
        false => !threads::wait(on(condition), end),
    };
    // SAFETY: passed on.
    unsafe { lock(mutex, null()) }?;
    match is_late {
        true => Err(LATE),
        false => Ok(()),
    }
}

/// pthread_cond_init(3).
///
/// # Safety
/// See the module; `attributes` is null or initialised.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_init(
    condition: *mut Condition,
    attributes: *const ConditionAttributes,
) -> c_int {
    // SAFETY: null or initialised.
    let clock = unsafe { attributes.as_ref() }.map_or(null(), |attributes| attributes.clock);
    // SAFETY: room for it.
    unsafe { condition.write(Condition { clock }) };
    0
}

/// pthread_cond_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_destroy(_condition: *mut Condition) -> c_int {
    0
}

/// pthread_cond_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(condition: *mut Condition, mutex: *mut Mutex) -> c_int {
    // SAFETY: passed on.
    number(unsafe { wait(condition, mutex, null()) })
}

/// pthread_cond_timedwait(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    condition: *mut Condition,
    mutex: *mut Mutex,
    time: *const timespec,
) -> c_int {
    // SAFETY: passed on.
    number(unsafe { wait(condition, mutex, time) })
}

/// pthread_cond_signal(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_signal(condition: *mut Condition) -> c_int {
    if threads::several() {
        threads::wake_one(on(condition));
    }
    0
}

/// pthread_cond_broadcast(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_broadcast(condition: *mut Condition) -> c_int {
    if threads::several() {
        threads::wake_all(on(condition));
    }
    0
}

/// pthread_condattr_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_init(attributes: *mut ConditionAttributes) -> c_int {
    // SAFETY: room for it.
    unsafe { attributes.write(ConditionAttributes { clock: null() }) };
    0
}

/// pthread_condattr_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_condattr_destroy(_attributes: *mut ConditionAttributes) -> c_int {
    0
}

/// pthread_condattr_setclock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_setclock(
    attributes: *mut ConditionAttributes,
    clock: Clock,
) -> c_int {
    // SAFETY: initialised.
    unsafe { (*attributes).clock = clock };
    0
}

// Locks for one writer or many readers.

impl ReadWriteLock {
    fn try_read(&mut self) -> Result<bool> {
        if self.writer == me() {
            return Err(Errno(libc::EDEADLK));
        }
        if self.writer != 0 {
            return Ok(false);
        }
        let readers = self.readers.checked_add(1);
        self.readers = readers.ok_or(Errno(libc::EAGAIN))?;
        Ok(true)
    }

    fn try_write(&mut self) -> Result<bool> {
        if self.writer == me() {
            return Err(Errno(libc::EDEADLK));
        }
        if self.writer != 0 || self.readers != 0 {
            return Ok(false);
        }
        self.writer = me();
        Ok(true)
    }
}

fn at_once(taken: Result<bool>) -> c_int {
    number(match taken {
        Ok(true) => Ok(()),
        Ok(false) | Err(Errno(libc::EDEADLK)) => Err(BUSY),
        Err(error) => Err(error),
    })
}

/// pthread_rwlock_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_init(
    lock: *mut ReadWriteLock,
    _attributes: *const c_uint,
) -> c_int {
    // SAFETY: room for it.
    unsafe { lock.write(ReadWriteLock::default()) };
    0
}

/// pthread_rwlock_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_destroy(_lock: *mut ReadWriteLock) -> c_int {
    0
}

/// pthread_rwlock_rdlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_rdlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised, and borrowed for this alone.
    let is_free = || unsafe { (*lock).try_read() };
    number(wait_until(lock, is_free, || Ok(None)))
}

/// pthread_rwlock_wrlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_wrlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised, and borrowed for this alone.
    let is_free = || unsafe { (*lock).try_write() };
    number(wait_until(lock, is_free, || Ok(None)))
}

/// pthread_rwlock_timedrdlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_timedrdlock(
    lock: *mut ReadWriteLock,
    time: *const timespec,
) -> c_int {
    // SAFETY: initialised, and borrowed for this alone.
    let is_free = || unsafe { (*lock).try_read() };
    // SAFETY: passed on.
    let end = || unsafe { end_of(realtime(), time) };
    number(wait_until(lock, is_free, end))
}

/// pthread_rwlock_timedwrlock(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_timedwrlock(
    lock: *mut ReadWriteLock,
    time: *const timespec,
) -> c_int {
    // SAFETY: initialised, and borrowed for this alone.
    let is_free = || unsafe { (*lock).try_write() };
    // SAFETY: passed on.
    let end = || unsafe { end_of(realtime(), time) };
    number(wait_until(lock, is_free, end))
}

/// pthread_rwlock_tryrdlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_tryrdlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    at_once(unsafe { (*lock).try_read() })
}

/// pthread_rwlock_trywrlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_trywrlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    at_once(unsafe { (*lock).try_write() })
}

/// pthread_rwlock_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_unlock(lock: *mut ReadWriteLock) -> c_int {
    // SAFETY: initialised.
    let state = unsafe { &mut *lock };
    match state.readers.checked_sub(1) {
        Some(readers) => state.readers = readers,
        None => state.writer = 0,
    }
    threads::wake_all(on(lock));
    0
}

// Barriers.

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
    // SAFETY: initialised.
    let is_left = || Ok(unsafe { (*barrier).leaving } == 0);
    number(wait_until(barrier, is_left, || Ok(None)))
}

/// pthread_barrier_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_wait(barrier: *mut Barrier) -> c_int {
    // SAFETY: initialised, and not used after this block.
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
    // SAFETY: initialised.
    let is_over = || Ok(unsafe { (*barrier).round } != round);
    let waited = wait_until(barrier, is_over, || Ok(None));
    // SAFETY: whoever destroys it waits for this.
    let leaving = unsafe { &mut (*barrier).leaving };
    *leaving = leaving.wrapping_sub(1);
    threads::wake_all(on(barrier));
    number(waited)
}

// Spin locks: numbers that are not 0 when they are taken.

/// pthread_spin_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_init(lock: *mut c_int, _shared: c_int) -> c_int {
    // SAFETY: room for it.
    unsafe { lock.write(0) };
    0
}

/// pthread_spin_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_spin_destroy(_lock: *mut c_int) -> c_int {
    0
}

/// pthread_spin_lock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_lock(lock: *mut c_int) -> c_int {
    // SAFETY: passed on.
    number(wait_until(lock, || Ok(unsafe { take(lock) }), || Ok(None)))
}

/// pthread_spin_trylock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_trylock(lock: *mut c_int) -> c_int {
    // SAFETY: passed on.
    at_once(Ok(unsafe { take(lock) }))
}

/// # Safety
/// See the module.
unsafe fn take(lock: *mut c_int) -> bool {
    // SAFETY: initialised.
    unsafe { lock.replace(1) == 0 }
}

/// pthread_spin_unlock(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_spin_unlock(lock: *mut c_int) -> c_int {
    // SAFETY: initialised.
    unsafe { lock.write(0) };
    threads::wake_one(on(lock));
    0
}

// Semaphores. Their functions set errno.

/// sem_init(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_init(semaphore: *mut Semaphore, _shared: c_int, value: c_uint) -> c_int {
    if value > SEM_VALUE_MAX {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: room for it.
    unsafe { semaphore.write(Semaphore { value }) };
    0
}

/// sem_destroy(3).
#[unsafe(no_mangle)]
extern "C" fn sem_destroy(_semaphore: *mut Semaphore) -> c_int {
    0
}

/// # Safety
/// See the module.
unsafe fn take_one(semaphore: *mut Semaphore) -> bool {
    // SAFETY: initialised.
    let value = unsafe { &mut (*semaphore).value };
    match value.checked_sub(1) {
        Some(less) => {
            *value = less;
            true
        }
        None => false,
    }
}

/// sem_wait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: passed on.
    let is_free = || Ok(unsafe { take_one(semaphore) });
    c_unit(wait_until(semaphore, is_free, || Ok(None)))
}

/// sem_timedwait(3).
///
/// # Safety
/// See the module; `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(semaphore: *mut Semaphore, time: *const timespec) -> c_int {
    // SAFETY: passed on.
    let is_free = || Ok(unsafe { take_one(semaphore) });
    // SAFETY: passed on.
    let end = || unsafe { end_of(realtime(), time) };
    c_unit(wait_until(semaphore, is_free, end))
}

/// sem_trywait(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_trywait(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: passed on.
    c_unit(match unsafe { take_one(semaphore) } {
        true => Ok(()),
        false => Err(Errno(libc::EAGAIN)),
    })
}

/// sem_post(3).
///
/// # Safety
/// See the module.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(semaphore: *mut Semaphore) -> c_int {
    // SAFETY: initialised.
    let value = unsafe { &mut (*semaphore).value };
    if *value >= SEM_VALUE_MAX {
        return c_unit(Err(Errno(libc::EOVERFLOW)));
    }
    *value = value.saturating_add(1);
    threads::wake_one(on(semaphore));
    0
}

/// sem_getvalue(3).
///
/// # Safety
/// See the module; room for the value.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_getvalue(semaphore: *mut Semaphore, value: *mut c_int) -> c_int {
    // SAFETY: initialised.
    let current = unsafe { (*semaphore).value };
    // SAFETY: room for it.
    unsafe { value.write(current as c_int) };
    0
}
