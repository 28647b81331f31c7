//! Standard input. Its descriptor is preview1's, but the host can watch it, and its O_NONBLOCK is stored here, because
//! preview1 has that flag for files only.

use std::cell::Cell;

use wasisocket_abi::v1::{self, PollEntry};

#[cfg(target_os = "wasi")]
use crate::host::FOREVER;
use crate::host::{Host as _, Imp};
use crate::{Errno, RawFd, Result};

thread_local! {
    /// O_NONBLOCK; `None` once standard input is closed and a file can get its number.
    static NONBLOCKING: Cell<Option<bool>> = const { Cell::new(Some(false)) };
}

fn nonblocking(fd: RawFd) -> Option<bool> {
    match fd == v1::STDIN as RawFd {
        true => NONBLOCKING.get(),
        false => None,
    }
}

/// Whether this is the descriptor of standard input.
pub fn is_stdin(fd: RawFd) -> bool {
    nonblocking(fd).is_some()
}

/// Whether this is the descriptor of standard input and O_NONBLOCK is set.
pub fn is_nonblocking(fd: RawFd) -> bool {
    nonblocking(fd) == Some(true)
}

pub(crate) fn set_nonblocking(nonblocking: bool) {
    NONBLOCKING.set(Some(nonblocking));
}

/// Must be called when a file is closed, which may be standard input.
pub fn closed(fd: RawFd) {
    if is_stdin(fd) {
        NONBLOCKING.set(None);
    }
}

/// Must be called before a file is read.
///
/// # Errors
/// EAGAIN for standard input with O_NONBLOCK if there is nothing to read.
pub fn check_read(fd: RawFd) -> Result<()> {
    let timeout = match nonblocking(fd) {
        Some(true) => 0,
        // preview1's read would block all threads, and no signal would end it.
        #[cfg(target_os = "wasi")]
        Some(false) if Imp::CAN_WAIT => FOREVER,
        _ => return Ok(()),
    };
    let mut entry = PollEntry {
        handle: v1::STDIN,
        events: v1::EVENT_IN as u16,
        revents: 0,
    };
    match Imp::poll(core::slice::from_mut(&mut entry), timeout)? {
        0 => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}

/// Whether it is a pipe or a terminal, rather than a file: epoll_ctl(2) accepts no files.
#[must_use]
pub fn is_pipe() -> bool {
    let Ok(set) = Imp::interest_create() else {
        return false;
    };
    let added = Imp::interest_ctl(set, v1::CTL_ADD, v1::STDIN, v1::EVENT_IN, 0);
    // Nothing can be done about an error.
    let _ = Imp::close(set);
    added.is_ok()
}
