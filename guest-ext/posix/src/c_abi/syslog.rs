//! syslog.h: messages go to the socket `/dev/log`, if the guest has one in its tree that it may send to. Otherwise they
//! are lost, as syslog(3) says.
//!
//! # Safety
//!
//! See the parent module. `syslog` is variadic in C: its last parameter points to the arguments, and so does a `va_list`.

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::null_mut;

use wasisocket_abi::v1::UnixAddr;

use super::string;
use crate::host::Address;
use crate::sys::*;
use crate::{Family, RawFd, Result, Type, message, socket};

/// The socket of the system's log: syslog(3).
const SOCKET: &CStr = c"/dev/log";

/// The longest message, and the longest name in front of it.
const MESSAGE_MAX: usize = 8192;
const NAME_MAX: usize = 256;

unsafe extern "C" {
    safe fn getpid() -> c_int;
    fn time(time: *mut i64) -> i64;
    fn localtime_r(time: *const i64, broken_down: *mut libc::tm) -> *mut libc::tm;
    fn strftime(
        text: *mut c_char,
        length: usize,
        format: *const c_char,
        time: *const libc::tm,
    ) -> usize;
    fn vsnprintf(
        text: *mut c_char,
        length: usize,
        format: *const c_char,
        arguments: *mut c_void,
    ) -> c_int;
}

/// What openlog(3) and setlogmask(3) set.
struct Log {
    name: Vec<u8>,
    options: c_int,
    facility: c_int,
    mask: c_int,
    socket: Option<RawFd>,
}

thread_local! {
    static LOG: RefCell<Log> = const {
        RefCell::new(Log {
            name: Vec::new(),
            options: 0,
            facility: LOG_USER,
            mask: 0xff,
            socket: None,
        })
    };
}

/// Does nothing where another thread is about it, which can wait while it writes to standard error.
fn with(call: impl FnOnce(&mut Log)) {
    LOG.with(|log| {
        if let Ok(mut log) = log.try_borrow_mut() {
            call(&mut log);
        }
    });
}

impl Log {
    fn close(&mut self) {
        if let Some(socket) = self.socket.take() {
            // There is nothing to do about it.
            let _ = socket::close(socket);
        }
    }

    fn send(&mut self, data: &[u8]) -> Result<usize> {
        let socket = match self.socket {
            Some(socket) => socket,
            None => {
                let address = Address::Unix(UnixAddr::new(SOCKET.to_bytes())?);
                let flags = SOCK_CLOEXEC | SOCK_NONBLOCK;
                let new = socket::socket(Family::Unix, Type::Datagram, flags)?;
                if let Err(error) = socket::connect(new, &address) {
                    // The first error is the one to report.
                    let _ = socket::close(new);
                    return Err(error);
                }
                *self.socket.insert(new)
            }
        };
        message::send(socket, data, MSG_NOSIGNAL)
    }

    fn write(&mut self, priority: c_int, text: &[u8]) {
        let level = priority & LOG_PRIMASK;
        if self.mask & 1_i32.wrapping_shl(level as u32) == 0 {
            return;
        }
        let facility = match priority & LOG_FACMASK {
            0 => self.facility,
            facility => facility,
        };
        let mut from = self.name.clone();
        if self.options & LOG_PID != 0 {
            from.extend_from_slice(format!("[{}]", getpid()).as_bytes());
        }
        let line = [&*from, b": ", text].concat();
        if self.options & LOG_PERROR != 0 {
            let line = [&*line, b"\n"].concat();
            // SAFETY: the line's own start and length. Standard error may be closed.
            unsafe { libc::write(libc::STDERR_FILENO, line.as_ptr().cast(), line.len()) };
        }
        // A host reports each connection that it refuses: none is tried without the socket.
        // SAFETY: a string.
        if unsafe { libc::access(SOCKET.as_ptr(), libc::F_OK) } != 0 {
            return;
        }
        let head = format!("<{}>{} ", facility | level, now());
        let data = [head.as_bytes(), &line].concat();
        if self.send(&data).is_err() {
            // The log may have been started anew.
            self.close();
            let _ = self.send(&data);
        }
    }
}

/// The local time as RFC 3164 has it: `Dec  1 12:34:56`.
fn now() -> String {
    // SAFETY: null stands for no place.
    let seconds = unsafe { time(null_mut()) };
    // SAFETY: a tm is numbers and a pointer that may be null.
    let mut broken_down: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: a time, and room for it in parts.
    unsafe { localtime_r(&raw const seconds, &raw mut broken_down) };
    let mut text = [0_u8; 32];
    // SAFETY: the buffer's own start and length, a string and a time.
    unsafe {
        strftime(
            text.as_mut_ptr().cast(),
            text.len(),
            c"%b %e %H:%M:%S".as_ptr(),
            &raw const broken_down,
        )
    };
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    text.to_string_lossy().into_owned()
}

/// openlog(3).
///
/// # Safety
/// Null or a string.
#[unsafe(no_mangle)]
unsafe extern "C" fn openlog(name: *const c_char, options: c_int, facility: c_int) {
    // SAFETY: passed on.
    let name = unsafe { string(name) }.unwrap_or_default();
    with(|log| {
        log.name = name.get(..NAME_MAX).unwrap_or(name).to_vec();
        log.options = options;
        if facility != 0 {
            log.facility = facility & LOG_FACMASK;
        }
    });
}

/// closelog(3).
#[unsafe(no_mangle)]
extern "C" fn closelog() {
    with(Log::close);
}

/// setlogmask(3).
#[unsafe(no_mangle)]
extern "C" fn setlogmask(mask: c_int) -> c_int {
    let mut before = 0;
    with(|log| {
        before = log.mask;
        if mask != 0 {
            log.mask = mask;
        }
    });
    before
}

/// vsyslog(3).
///
/// # Safety
/// A format of printf(3), and its arguments.
#[unsafe(no_mangle)]
unsafe extern "C" fn vsyslog(priority: c_int, format: *const c_char, arguments: *mut c_void) {
    let mut text = vec![0_u8; MESSAGE_MAX];
    // SAFETY: the buffer's own start and length; the caller is responsible for the rest.
    unsafe { vsnprintf(text.as_mut_ptr().cast(), text.len(), format, arguments) };
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    with(|log| log.write(priority, text.to_bytes().trim_ascii_end()));
}

/// syslog(3).
///
/// # Safety
/// As for [`vsyslog`].
#[unsafe(no_mangle)]
unsafe extern "C" fn syslog(priority: c_int, format: *const c_char, arguments: *mut c_void) {
    // SAFETY: passed on.
    unsafe { vsyslog(priority, format, arguments) };
}
