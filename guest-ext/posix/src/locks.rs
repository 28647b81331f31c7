//! Locks of files: fcntl(2), lockf(3), flock(2). The host has them: other guests and the host's own programs honour them.

use std::cell::Cell;

use wasisocket_abi::v1::{LOCK_EXCLUSIVE, LOCK_NONE, RecordLock};

use crate::descriptors::{self, Object};
use crate::host::{self, Host as _, Imp};
use crate::{Errno, RawFd, Result};

/// How long the first pause is between two attempts to get a lock, and the longest, in nanoseconds: a host only tries.
const PAUSE: i64 = 500_000;
const PAUSE_MAX: i64 = 50_000_000;

thread_local! {
    /// Whether there may be record locks.
    static HAS_RECORD_LOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Bytes of a file, from `start` on; with the length 0 all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    start: i64,
    length: i64,
}

impl Range {
    /// What begins at an offset, or ends there if the length is negative.
    ///
    /// # Errors
    /// EINVAL for what begins before the file, EOVERFLOW for what ends after the last offset: fcntl(2).
    pub(crate) fn new(start: i64, length: i64) -> Result<Self> {
        let overflow = Errno(libc::EOVERFLOW);
        let (start, length) = match length {
            ..0 => (
                start.checked_add(length).ok_or(Errno::EINVAL)?,
                length.checked_neg().ok_or(Errno::EINVAL)?,
            ),
            _ => (start, length),
        };
        if start < 0 {
            return Err(Errno::EINVAL);
        }
        if length > 0 {
            start
                .checked_add(length.saturating_sub(1))
                .ok_or(overflow)?;
        }
        Ok(Self { start, length })
    }
}

/// preview1's number of a file that this kind of lock is asked for.
fn file(fd: RawFd, kind: u32) -> Result<u32> {
    match descriptors::object(fd)? {
        Object::File(_, description) if description.read_only && kind == LOCK_EXCLUSIVE => {
            Err(Errno(libc::EBADF))
        }
        Object::File(number, _) => Ok(number),
        _ => Err(Errno::EINVAL),
    }
}

/// EAGAIN ends it where the caller does not wait.
fn attempt(waits: bool, attempt: impl Fn() -> host::Result<()>) -> Result<()> {
    let mut pause = PAUSE;
    loop {
        match attempt() {
            Err(wasisocket_abi::Errno::EAGAIN) if waits => {
                Imp::poll(&mut [], pause)?;
                pause = PAUSE_MAX.min(pause.saturating_mul(2));
            }
            result => return Ok(result?),
        }
    }
}

/// fcntl(2), F_SETLK, or F_SETLKW if it `waits`. `kind` is one of the ABI's `LOCK_` numbers.
///
/// # Errors
/// EAGAIN if somebody else has such a lock; EBADF if the file is not open for what the lock is for; ENOLCK past the
/// host's limit; EINTR; EOPNOTSUPP on a host without locks.
pub(crate) fn set(fd: RawFd, kind: u32, range: Range, waits: bool) -> Result<()> {
    let file = file(fd, kind)?;
    attempt(waits, || {
        Imp::file_lock(file, kind, range.start, range.length)
    })?;
    if kind != LOCK_NONE {
        HAS_RECORD_LOCKS.set(true);
    }
    Ok(())
}

/// fcntl(2), F_GETLK: the lock that is in the way; [`LOCK_NONE`] if there is none.
///
/// # Errors
/// As for [`set`].
pub(crate) fn get(fd: RawFd, kind: u32, range: Range) -> Result<RecordLock> {
    Ok(Imp::file_lock_get(
        file(fd, LOCK_NONE)?,
        kind,
        range.start,
        range.length,
    )?)
}

/// flock(2).
///
/// # Errors
/// EAGAIN (EWOULDBLOCK) if somebody else has a lock; EBADF for an exclusive lock of a file that is not open for writing,
/// as on NFS; EINTR; EOPNOTSUPP on a host without locks.
pub(crate) fn flock(fd: RawFd, kind: u32, waits: bool) -> Result<()> {
    let file = file(fd, kind)?;
    attempt(waits, || Imp::file_flock(file, kind))
}

/// A descriptor of this file is about to be closed, with which all record locks of the guest in the file end: fcntl(2).
pub(crate) fn closes(file: u32) {
    if HAS_RECORD_LOCKS.get() {
        // It has none there, or there is nothing to do about it.
        let _ = Imp::file_lock(file, LOCK_NONE, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Range;
    use crate::Errno;

    #[test]
    fn ranges_are_those_of_fcntl() {
        let range =
            |start, length| Range::new(start, length).map(|range| (range.start, range.length));
        assert_eq!(range(0, 0), Ok((0, 0)));
        assert_eq!(range(10, 5), Ok((10, 5)));
        assert_eq!(range(10, -5), Ok((5, 5)));
        assert_eq!(range(10, -10), Ok((0, 10)));
        assert_eq!(range(10, -11), Err(Errno::EINVAL));
        assert_eq!(range(-1, 1), Err(Errno::EINVAL));
        assert_eq!(range(i64::MAX, 1), Ok((i64::MAX, 1)));
        assert_eq!(range(i64::MAX, 2), Err(Errno(libc::EOVERFLOW)));
        assert_eq!(range(5, i64::MIN), Err(Errno::EINVAL));
    }
}
