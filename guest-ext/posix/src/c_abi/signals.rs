//! signal.h, and the timers of sys/time.h and unistd.h.
//!
//! # Safety
//!
//! See the parent module. A handler is a function of the type that its flags say.

use std::ffi::{c_int, c_uint, c_void};
use std::time::Duration;

use super::clocks::after_time;
use super::waiting::nanoseconds;
use super::{c_errno, c_number, c_unit, set_errno};
use crate::signals::{self, Action, Clock, Disposition, Set, set_of};
use crate::sys::{
    SA_RESTART, SA_SIGINFO, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, itimerval, siginfo_t, timespec,
    timeval,
};
use crate::threads::Id;
use crate::{Errno, Result};

/// `sigset_t`. Only the first two words are used.
#[repr(C)]
pub(super) struct SigSet([u32; 32]);

impl SigSet {
    pub(super) fn get(&self) -> Set {
        let [low, high, ..] = self.0;
        Set::from(high) << 32 | Set::from(low)
    }

    fn of(set: Set) -> Self {
        let mut words = [0; 32];
        let [low, high, ..] = &mut words;
        (*low, *high) = (set as u32, (set >> 32) as u32);
        Self(words)
    }
}

type Plain = unsafe extern "C" fn(c_int);
type WithInfo = unsafe extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// A function of C that handles a signal.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handler {
    Plain(Plain),
    WithInfo(WithInfo),
}

impl Handler {
    pub(crate) fn call(self, signal: c_int) {
        match self {
            // SAFETY: what sigaction was given, with flags that say that it is of this type.
            Self::Plain(function) => unsafe { function(signal) },
            Self::WithInfo(function) => {
                let mut info = siginfo_t::of(signal);
                // SAFETY: as above; the context is null, for there is none.
                unsafe { function(signal, &raw mut info, std::ptr::null_mut()) };
            }
        }
    }
}

/// `struct sigaction`.
#[repr(C)]
struct SigAction {
    /// A number in C's table of functions, which is 0 for SIG_DFL.
    handler: Option<Plain>,
    mask: SigSet,
    flags: c_int,
}

/// SIG_IGN: a function, because each number can be that of one.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_sig_ign(_signal: c_int) {}

/// SIG_ERR.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_sig_err(_signal: c_int) {
    std::process::abort();
}

fn is_ignore(function: Plain) -> bool {
    // Its number in C's table of functions.
    std::ptr::fn_addr_eq(function, wasisocket_sig_ign as Plain)
}

impl SigAction {
    fn action(&self) -> Action {
        match self.handler {
            None => Action::Default,
            Some(function) if is_ignore(function) => Action::Ignore,
            Some(function) if self.flags & SA_SIGINFO == 0 => {
                Action::Call(Handler::Plain(function))
            }
            Some(function) => {
                // SAFETY: with this flag, the function is of the other type.
                let function = unsafe { std::mem::transmute::<Plain, WithInfo>(function) };
                Action::Call(Handler::WithInfo(function))
            }
        }
    }

    fn disposition(&self) -> Disposition {
        Disposition {
            action: self.action(),
            mask: self.mask.get(),
            flags: self.flags,
        }
    }

    fn of(disposition: Disposition) -> Self {
        let handler = match disposition.action {
            Action::Default => None,
            Action::Ignore => Some(wasisocket_sig_ign as Plain),
            Action::Call(Handler::Plain(function)) => Some(function),
            Action::Call(Handler::WithInfo(function)) => {
                // SAFETY: it is only passed on, with the flag that says of what type it is.
                Some(unsafe { std::mem::transmute::<WithInfo, Plain>(function) })
            }
        };
        Self {
            handler,
            mask: SigSet::of(disposition.mask),
            flags: disposition.flags,
        }
    }
}

/// Ends the process as the signal would: shells have 128 and its number for that.
pub(crate) fn end_by_signal(signal: c_int) -> ! {
    // SAFETY: it may be called from anywhere.
    unsafe { libc::_exit(signal.saturating_add(128)) }
}

/// Looks for signals, and runs their handlers. To be called now and then by code that computes.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_signals() {
    signals::deliver();
}

/// sigaction(2).
///
/// # Safety
/// `new` is null or points to one, and `old` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaction(signal: c_int, new: *const SigAction, old: *mut SigAction) -> c_int {
    // SAFETY: null or a struct.
    let new = unsafe { new.as_ref() }.map(SigAction::disposition);
    c_unit(signals::sigaction(signal, new).map(|before| {
        if !old.is_null() {
            // SAFETY: room for it.
            unsafe { old.write(SigAction::of(before)) };
        }
    }))
}

/// signal(2): with the semantics of BSD.
#[unsafe(no_mangle)]
extern "C" fn __wrap_signal(signal: c_int, handler: Option<Plain>) -> Option<Plain> {
    let new = SigAction {
        handler,
        mask: SigSet::of(0),
        flags: SA_RESTART,
    };
    match signals::sigaction(signal, Some(new.disposition())) {
        Ok(old) => SigAction::of(old).handler,
        Err(error) => {
            set_errno(error);
            Some(wasisocket_sig_err)
        }
    }
}

/// siginterrupt(3). Calls that wait end in either case; what calls them goes on with them (PEP 475).
#[unsafe(no_mangle)]
extern "C" fn siginterrupt(signal: c_int, flag: c_int) -> c_int {
    let changed = signals::sigaction(signal, None).and_then(|old| {
        let flags = match flag {
            0 => old.flags | SA_RESTART,
            _ => old.flags & !SA_RESTART,
        };
        signals::sigaction(signal, Some(Disposition { flags, ..old }))
    });
    c_unit(changed.map(drop))
}

/// raise(3).
#[unsafe(no_mangle)]
extern "C" fn __wrap_raise(signal: c_int) -> c_int {
    c_unit(signals::kill_thread(crate::threads::current(), signal))
}

/// The process of a guest, which is alone: wasi-libc's getpid(2).
const PROCESS: c_int = 42;

/// getppid(2): as for a process whose parent is outside of its namespace (pid_namespaces(7)).
#[unsafe(no_mangle)]
extern "C" fn getppid() -> c_int {
    0
}

/// kill(2). There is one process, alone in its group.
#[unsafe(no_mangle)]
extern "C" fn kill(process: c_int, signal: c_int) -> c_int {
    c_unit(match process {
        0 | PROCESS => signals::kill(signal),
        _ if process == PROCESS.wrapping_neg() => signals::kill(signal),
        _ if signal != 0 && set_of(signal) == 0 => Err(Errno(libc::EINVAL)),
        _ => Err(Errno(libc::ESRCH)),
    })
}

/// killpg(3).
#[unsafe(no_mangle)]
extern "C" fn killpg(group: c_int, signal: c_int) -> c_int {
    match group {
        0 => kill(0, signal),
        1.. => kill(group.wrapping_neg(), signal),
        _ => c_unit(Err(Errno(libc::EINVAL))),
    }
}

/// pthread_kill(3).
#[unsafe(no_mangle)]
extern "C" fn pthread_kill(thread: Id, signal: c_int) -> c_int {
    c_errno(signals::kill_thread(thread, signal))
}

/// # Safety
/// `new` is null or points to a set, and `old` is null or has room for one.
unsafe fn set_mask(how: c_int, new: *const SigSet, old: *mut SigSet) -> Result<()> {
    // SAFETY: null or a set.
    let new = unsafe { new.as_ref() }.map(SigSet::get);
    let (before, _) = match (new, how) {
        (None, _) => signals::set_mask(|blocked| blocked),
        (Some(new), SIG_BLOCK) => signals::set_mask(|blocked| blocked | new),
        (Some(new), SIG_UNBLOCK) => signals::set_mask(|blocked| blocked & !new),
        (Some(new), SIG_SETMASK) => signals::set_mask(|_| new),
        _ => return Err(Errno(libc::EINVAL)),
    };
    if !old.is_null() {
        // SAFETY: room for it.
        unsafe { old.write(SigSet::of(before)) };
    }
    Ok(())
}

/// pthread_sigmask(3).
///
/// # Safety
/// `new` is null or points to a set, and `old` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_sigmask(how: c_int, new: *const SigSet, old: *mut SigSet) -> c_int {
    // SAFETY: passed on.
    c_errno(unsafe { set_mask(how, new, old) })
}

/// sigprocmask(2).
///
/// # Safety
/// `new` is null or points to a set, and `old` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigprocmask(how: c_int, new: *const SigSet, old: *mut SigSet) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { set_mask(how, new, old) })
}

/// sigpending(2).
///
/// # Safety
/// Room for a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigpending(set: *mut SigSet) -> c_int {
    // SAFETY: room for it.
    unsafe { set.write(SigSet::of(signals::pending())) };
    0
}

/// sigsuspend(2).
///
/// # Safety
/// A set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigsuspend(mask: *const SigSet) -> c_int {
    // SAFETY: a set.
    let mask = unsafe { (*mask).get() };
    c_unit(signals::with_mask(mask, signals::pause))
}

/// pause(2).
#[unsafe(no_mangle)]
extern "C" fn pause() -> c_int {
    c_unit(signals::pause())
}

/// sigwait(3).
///
/// # Safety
/// A set, and room for a number.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigwait(set: *const SigSet, signal: *mut c_int) -> c_int {
    // SAFETY: a set.
    let set = unsafe { (*set).get() };
    loop {
        match signals::wait_for(set, None) {
            Err(Errno(libc::EINTR)) => {}
            taken => {
                return c_errno(taken.map(|taken| {
                    // SAFETY: room for it.
                    unsafe { signal.write(taken) };
                }));
            }
        }
    }
}

/// sigtimedwait(2); sigwaitinfo(2) without a time.
///
/// # Safety
/// A set; `info` is null or has room for one; `time` is null or points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigtimedwait(
    set: *const SigSet,
    info: *mut siginfo_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: null or a time.
    let end = match unsafe { time.as_ref() } {
        Some(time) => after_time(*time),
        None => Ok(None),
    };
    // SAFETY: a set.
    let set = unsafe { (*set).get() };
    let taken = end.and_then(|end| signals::wait_for(set, end));
    if let Ok(taken) = taken
        && !info.is_null()
    {
        // SAFETY: room for it.
        unsafe { info.write(siginfo_t::of(taken)) };
    }
    c_number(taken)
}

/// sigwaitinfo(2).
///
/// # Safety
/// A set; `info` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigwaitinfo(set: *const SigSet, info: *mut siginfo_t) -> c_int {
    // SAFETY: passed on.
    unsafe { sigtimedwait(set, info, std::ptr::null()) }
}

/// # Safety
/// A set.
unsafe fn change_set(set: *mut SigSet, signal: c_int, change: fn(Set, Set) -> Set) -> c_int {
    let member = set_of(signal);
    if member == 0 {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: a set.
    let set = unsafe { &mut *set };
    *set = SigSet::of(change(set.get(), member));
    0
}

/// sigemptyset(3).
///
/// # Safety
/// Room for a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigemptyset(set: *mut SigSet) -> c_int {
    // SAFETY: room for it.
    unsafe { set.write(SigSet::of(0)) };
    0
}

/// sigfillset(3).
///
/// # Safety
/// Room for a set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigfillset(set: *mut SigSet) -> c_int {
    // As musl and glibc have it, without the two that their threads use.
    const THREADS: Set = set_of(32) | set_of(33);
    // SAFETY: room for it.
    unsafe { set.write(SigSet::of(!THREADS)) };
    0
}

/// sigaddset(3).
///
/// # Safety
/// A set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigaddset(set: *mut SigSet, signal: c_int) -> c_int {
    // SAFETY: passed on.
    unsafe { change_set(set, signal, |set, member| set | member) }
}

/// sigdelset(3).
///
/// # Safety
/// A set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigdelset(set: *mut SigSet, signal: c_int) -> c_int {
    // SAFETY: passed on.
    unsafe { change_set(set, signal, |set, member| set & !member) }
}

/// sigismember(3).
///
/// # Safety
/// A set.
#[unsafe(no_mangle)]
unsafe extern "C" fn sigismember(set: *const SigSet, signal: c_int) -> c_int {
    let member = set_of(signal);
    if member == 0 {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    // SAFETY: a set.
    c_int::from(unsafe { (*set).get() } & member != 0)
}

/// alarm(2).
#[unsafe(no_mangle)]
extern "C" fn alarm(seconds: c_uint) -> c_uint {
    let time = Duration::from_secs(seconds.into());
    let [left, _] = signals::set_timer(Clock::Real, time, Duration::ZERO);
    // Rounded up: 0 would say that there was none.
    let left = left
        .as_secs()
        .saturating_add(u64::from(left.subsec_nanos() > 0));
    c_uint::try_from(left).unwrap_or(c_uint::MAX)
}

/// A time of a timer: [`timeval`] is in whole microseconds.
fn duration(time: timeval) -> Result<Duration> {
    let nanoseconds = nanoseconds(time.tv_sec, time.tv_usec, 1_000)?;
    Ok(Duration::from_nanos(nanoseconds.cast_unsigned()))
}

fn time(duration: Duration) -> timeval {
    timeval {
        tv_sec: duration.as_secs().try_into().unwrap_or(i64::MAX),
        tv_usec: duration.subsec_micros().into(),
    }
}

fn itimer([left, interval]: [Duration; 2]) -> itimerval {
    itimerval {
        it_interval: time(interval),
        it_value: time(left),
    }
}

/// setitimer(2).
///
/// # Safety
/// `new` points to one, and `old` is null or has room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn setitimer(which: c_int, new: *const itimerval, old: *mut itimerval) -> c_int {
    let set = || {
        let clock = Clock::of(which)?;
        // SAFETY: a struct.
        let new = unsafe { new.as_ref() }.ok_or(Errno(libc::EFAULT))?;
        Ok(signals::set_timer(
            clock,
            duration(new.it_value)?,
            duration(new.it_interval)?,
        ))
    };
    c_unit(set().map(|before| {
        if !old.is_null() {
            // SAFETY: room for it.
            unsafe { old.write(itimer(before)) };
        }
    }))
}

/// getitimer(2).
///
/// # Safety
/// Room for one.
#[unsafe(no_mangle)]
unsafe extern "C" fn getitimer(which: c_int, timer: *mut itimerval) -> c_int {
    c_unit(Clock::of(which).map(|clock| {
        // SAFETY: room for it.
        unsafe { timer.write(itimer(signals::timer(clock))) };
    }))
}
