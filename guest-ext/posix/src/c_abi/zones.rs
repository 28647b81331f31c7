//! The time zones of time.h.
//!
//! wasi-libc knows UTC only. Its localtime_r(3) and strftime(3) are musl's and ask two functions of musl's for the zone:
//! these are defined here.
//!
//! # Safety
//!
//! See the parent module.

use std::cell::{Cell, RefCell};
use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_longlong};

use libc::{time_t, tm};

use super::files::content;
use super::set_errno;
use crate::Errno;
use crate::zones::{Zone, time_of};

/// Most bytes of a zone's file that are read. Those of the database have less than 4 KiB.
const FILE_MAX: usize = 1 << 20;

unsafe extern "C" {
    fn __tm_to_secs(date: *const tm) -> c_longlong;
}

/// What gmtime(3) calls UTC, as glibc does.
#[unsafe(no_mangle)]
static __utc: [u8; 4] = *b"GMT\0";

/// The variables of tzset(3), which are read by C code only. CPython does not use them.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "C's name")]
static mut tzname: [*const c_char; 2] = [c"UTC".as_ptr(); 2];
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "C's name")]
static mut timezone: c_long = 0;
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "C's name")]
static mut daylight: c_int = 0;

/// What localtime(3) returns.
// SAFETY: all of its fields are numbers or a pointer, for which zeros are a value.
static mut LOCALTIME: tm = unsafe { core::mem::zeroed() };

struct State {
    /// The value of TZ when the zone was last set, if it ever was.
    value: Option<Option<Vec<u8>>>,
    zone: Zone,
    /// The abbreviations that C code has pointers to: for ever, as in glibc.
    names: Vec<&'static CStr>,
}

thread_local! {
    static STATE: RefCell<State> = const {
        RefCell::new(State { value: None, zone: Zone::Utc(Vec::new()), names: Vec::new() })
    };
    /// The difference of mktime(3)'s last result to UTC, in seconds west.
    static LAST_OFFSET: Cell<i64> = const { Cell::new(0) };
}

fn variable(name: &str) -> Option<Vec<u8>> {
    env::var_os(name).map(|value| value.into_encoded_bytes())
}

fn read(path: &[u8]) -> Option<Vec<u8>> {
    content(&CString::new(path).ok()?, FILE_MAX)
}

/// A name for C code, which stays valid.
fn c_name(names: &mut Vec<&'static CStr>, name: &[u8]) -> *const c_char {
    if let Some(known) = names.iter().find(|known| known.to_bytes() == name) {
        return known.as_ptr();
    }
    let name: &CStr = Box::leak(CString::new(name).unwrap_or_default().into_boxed_c_str());
    names.push(name);
    name.as_ptr()
}

/// tzset(3).
#[unsafe(no_mangle)]
extern "C" fn tzset() {
    let value = variable("TZ");
    if STATE.with_borrow(|state| state.value.as_ref() == Some(&value)) {
        return;
    }
    let zone = Zone::new(value.as_deref(), variable("TZDIR").as_deref(), read);
    STATE.with_borrow_mut(|state| {
        *state = State {
            value: Some(value),
            zone,
            names: std::mem::take(&mut state.names),
        };
        let State { zone, names, .. } = state;
        let (standard, daylight_saving) = zone.standard_and_daylight();
        let standard_name = c_name(names, standard.name.as_bytes());
        let name = daylight_saving
            .as_ref()
            .map_or(standard_name, |time| c_name(names, time.name.as_bytes()));
        let west = c_long::from(standard.offset).saturating_neg();
        // SAFETY: a variable of C's, to which there is no reference, and threads take turns.
        unsafe { tzname = [standard_name, name] };
        // SAFETY: as above.
        unsafe { timezone = west };
        // SAFETY: as above.
        unsafe { daylight = c_int::from(daylight_saving.is_some()) };
    });
}

/// What holds at a time: seconds east of UTC, whether it is daylight saving time, and its name.
fn at(time: i64) -> (c_int, bool, *const c_char) {
    if STATE.with_borrow(|state| state.value.is_none()) {
        tzset();
    }
    STATE.with_borrow_mut(|State { zone, names, .. }| {
        let time = zone.at(time);
        (
            time.offset,
            time.is_dst,
            c_name(names, time.name.as_bytes()),
        )
    })
}

/// musl's function that localtime_r(3) calls with seconds since 1970, and never with `local`, which mktime(3) sets.
///
/// # Safety
/// All pointers but `opposite` have room for their value.
#[unsafe(no_mangle)]
unsafe extern "C" fn __secs_to_zone(
    time: c_longlong,
    _local: c_int,
    is_dst: *mut c_int,
    offset: *mut c_int,
    _opposite: *mut c_int,
    name: *mut *const c_char,
) {
    let (found_offset, found_dst, found_name) = at(time);
    // SAFETY: the caller's own place.
    unsafe { is_dst.write(c_int::from(found_dst)) };
    // SAFETY: as above.
    unsafe { offset.write(found_offset) };
    // SAFETY: as above.
    unsafe { name.write(found_name) };
}

/// musl's function for strftime(3)'s `%Z`.
///
/// # Safety
/// `date` points to a date, whose zone is null or a string.
#[unsafe(no_mangle)]
unsafe extern "C" fn __tm_to_tzname(date: *const tm) -> *const c_char {
    // SAFETY: the caller's date.
    let date = unsafe { &*date };
    let (name, is_dst) = (date.__tm_zone, date.tm_isdst);
    // SAFETY: null or a string.
    if unsafe { super::string(name) }.is_some_and(|name| !name.is_empty()) {
        return name;
    }
    if is_dst < 0 {
        return c"".as_ptr();
    }
    tzset();
    // SAFETY: as where it is written.
    let [standard, daylight_saving] = unsafe { tzname };
    match is_dst {
        0 => standard,
        _ => daylight_saving,
    }
}

/// localtime(3).
///
/// # Safety
/// `time` points to a time.
#[unsafe(no_mangle)]
unsafe extern "C" fn localtime(time: *const time_t) -> *mut tm {
    tzset();
    let result = &raw mut LOCALTIME;
    // SAFETY: a time, and a place that only this function writes to.
    unsafe { libc::localtime_r(time, result) }
}

/// mktime(3).
///
/// # Safety
/// `date` points to a date.
#[unsafe(no_mangle)]
unsafe extern "C" fn mktime(date: *mut tm) -> time_t {
    tzset();
    // SAFETY: the caller's date.
    let local = unsafe { __tm_to_secs(date) };
    // SAFETY: as above.
    let is_dst = match unsafe { (*date).tm_isdst } {
        ..0 => None,
        is_dst => Some(is_dst != 0),
    };
    let offset_at = |time| {
        let (offset, is_dst, _) = at(time);
        (i64::from(offset), is_dst)
    };
    // SAFETY: a time and the caller's date.
    let write = |time: &i64| unsafe { !libc::localtime_r(time, date).is_null() };
    match time_of(local, is_dst, LAST_OFFSET.get(), offset_at).filter(write) {
        Some(time) => {
            LAST_OFFSET.set(time.saturating_sub(local));
            time
        }
        None => {
            set_errno(Errno(libc::EOVERFLOW));
            -1
        }
    }
}
