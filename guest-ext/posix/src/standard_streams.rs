//! Standard input, output and error. They are files of preview1, but the host can watch them as it watches sockets, and
//! their O_NONBLOCK is stored here, because preview1 has that flag for files only.

use wasisocket_abi::v1::{self, PollEntry};

use crate::descriptors::standard_stream;
use crate::host::{Host as _, Imp};
use crate::{Errno, RawFd, Result};

/// Must be called before a file is read.
///
/// # Errors
/// EAGAIN for standard input with O_NONBLOCK if there is nothing to read.
pub(crate) fn check_read(fd: RawFd) -> Result<()> {
    check(fd, v1::STDIN..=v1::STDIN, v1::EVENT_IN)
}

/// Must be called before a file is written.
///
/// # Errors
/// EAGAIN for standard output or error with O_NONBLOCK if there is no room.
pub(crate) fn check_write(fd: RawFd) -> Result<()> {
    check(fd, v1::STDOUT..=v1::STDERR, v1::EVENT_OUT)
}

/// Waits until the host would not block in a call, which would block all threads and which no signal would end.
fn check(fd: RawFd, streams: core::ops::RangeInclusive<u32>, event: u32) -> Result<()> {
    let Some((stream, nonblocking)) = standard_stream(fd) else {
        return Ok(());
    };
    if !Imp::CAN_WAIT || !streams.contains(&stream) {
        return Ok(());
    }
    let timeout = match nonblocking {
        true => 0,
        false => crate::host::FOREVER,
    };
    let mut entry = PollEntry {
        handle: stream,
        events: event as u16,
        revents: 0,
    };
    match Imp::poll(core::slice::from_mut(&mut entry), timeout)? {
        0 => Err(Errno::EAGAIN),
        _ => Ok(()),
    }
}
