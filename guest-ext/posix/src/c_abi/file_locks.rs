//! Locks of files, and the space of file systems: sys/file.h, unistd.h, sys/statvfs.h.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_char, c_int, c_short, c_uint, c_ulong};
use std::mem::offset_of;

use wasisocket_abi::v1::{LOCK_EXCLUSIVE, LOCK_NONE, LOCK_SHARED, Space};

use super::{c_unit, set_errno};
use crate::descriptors::{self, Object};
use crate::host::{Host as _, Imp};
use crate::locks::{self, Range};
use crate::sys::*;
use crate::{Errno, Result};

// unistd.h, for lockf(3): wasi-libc declares them for extensions of POSIX only.
const F_ULOCK: c_int = 0;
const F_LOCK: c_int = 1;
const F_TLOCK: c_int = 2;
const F_TEST: c_int = 3;

/// `struct statvfs`.
#[repr(C)]
struct Statvfs {
    f_bsize: c_ulong,
    f_frsize: c_ulong,
    f_blocks: u64,
    f_bfree: u64,
    f_bavail: u64,
    f_files: u64,
    f_ffree: u64,
    f_favail: u64,
    f_fsid: c_ulong,
    padding: c_uint,
    f_flag: c_ulong,
    f_namemax: c_ulong,
    reserved: [c_int; 6],
}

const _: () = assert!(offset_of!(Statvfs, f_namemax) == 68 && size_of::<Statvfs>() == 96);

/// The offset that a range of a lock begins at.
fn offset(fd: c_int, whence: c_int, start: i64) -> Result<i64> {
    let from = match whence {
        libc::SEEK_SET => 0,
        // SAFETY: takes numbers.
        libc::SEEK_CUR => match unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) } {
            // fcntl(2) answers with its own errors for what has no offset.
            ..0 => return Err(Errno::EINVAL),
            offset => offset,
        },
        libc::SEEK_END => {
            // SAFETY: all fields of a stat are numbers, for which zero is a valid value.
            let mut stat: libc::stat = unsafe { core::mem::zeroed() };
            // SAFETY: a structure to write to.
            match unsafe { libc::fstat(fd, &raw mut stat) } {
                0 => stat.st_size,
                _ => return Err(Errno::EINVAL),
            }
        }
        _ => return Err(Errno::EINVAL),
    };
    from.checked_add(start).ok_or(Errno(libc::EOVERFLOW))
}

fn kind_of(lock: c_int) -> Result<u32> {
    match lock {
        F_RDLCK => Ok(LOCK_SHARED),
        F_WRLCK => Ok(LOCK_EXCLUSIVE),
        F_UNLCK => Ok(LOCK_NONE),
        _ => Err(Errno::EINVAL),
    }
}

/// fcntl(2): F_GETLK, F_SETLK and F_SETLKW. The process that has a lock is not known: -1.
pub(super) fn record_lock(fd: c_int, command: c_int, lock: &mut flock) -> Result<()> {
    descriptors::any(fd)?;
    let kind = kind_of(lock.l_type.into())?;
    let start = offset(fd, lock.l_whence.into(), lock.l_start)?;
    let range = Range::new(start, lock.l_len)?;
    if command != F_GETLK {
        return locks::set(fd, kind, range, command == F_SETLKW);
    }
    let found = locks::get(fd, kind, range)?;
    let l_type = match found.kind {
        LOCK_NONE => F_UNLCK,
        LOCK_SHARED => F_RDLCK,
        _ => F_WRLCK,
    };
    lock.l_type = l_type as c_short;
    // All else stays where no lock is in the way.
    if l_type != F_UNLCK {
        lock.l_whence = libc::SEEK_SET as c_short;
        lock.l_start = found.start as i64;
        lock.l_len = found.len as i64;
        lock.l_pid = -1;
    }
    Ok(())
}

/// flock(2).
#[unsafe(no_mangle)]
extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    let kind = match operation & !LOCK_NB {
        LOCK_SH => LOCK_SHARED,
        LOCK_EX => LOCK_EXCLUSIVE,
        LOCK_UN => LOCK_NONE,
        _ => return c_unit(Err(Errno::EINVAL)),
    };
    c_unit(locks::flock(fd, kind, operation & LOCK_NB == 0))
}

/// lockf(3): bytes from the file's offset on.
#[unsafe(no_mangle)]
extern "C" fn lockf(fd: c_int, command: c_int, length: libc::off_t) -> c_int {
    let range = || Range::new(offset(fd, libc::SEEK_CUR, 0)?, length);
    let found = descriptors::any(fd).and_then(|_| match command {
        F_ULOCK => locks::set(fd, LOCK_NONE, range()?, false),
        F_LOCK => locks::set(fd, LOCK_EXCLUSIVE, range()?, true),
        F_TLOCK => locks::set(fd, LOCK_EXCLUSIVE, range()?, false),
        F_TEST => match locks::get(fd, LOCK_SHARED, range()?)?.kind {
            LOCK_NONE => Ok(()),
            _ => Err(Errno(libc::EACCES)),
        },
        _ => Err(Errno::EINVAL),
    });
    c_unit(found)
}

/// Whether the host can lock files. SQLite asks before it chooses how it locks.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_has_locks() -> c_int {
    let no_file = u32::MAX;
    let answer = Imp::file_lock(no_file, LOCK_NONE, 0, 0);
    c_int::from(answer == Err(wasisocket_abi::Errno::EBADF))
}

/// The space of this library's own directories and devices, of which there is none.
fn no_space() -> Space {
    Space {
        block_size: 4096,
        name_max: 255,
        ..Space::default()
    }
}

fn space(fd: c_int) -> Result<Statvfs> {
    let space = match descriptors::object(fd)? {
        Object::File(number, _) => Imp::file_space(number)?,
        Object::Device(_) | Object::Listing(_) | Object::Handle => no_space(),
    };
    Ok(Statvfs {
        f_bsize: space.block_size as _,
        f_frsize: space.block_size as _,
        f_blocks: space.blocks,
        f_bfree: space.free_blocks,
        f_bavail: space.free_blocks,
        f_files: space.files,
        f_ffree: space.free_files,
        f_favail: space.free_files,
        f_fsid: 0,
        padding: 0,
        f_flag: 0,
        f_namemax: space.name_max as _,
        reserved: [0; 6],
    })
}

/// fstatvfs(3). What the guest may not use is not counted, as for other users on Linux.
///
/// # Safety
/// `stat` is writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstatvfs(fd: c_int, stat: *mut Statvfs) -> c_int {
    c_unit(space(fd).map(|space| {
        // SAFETY: the caller's own place.
        unsafe { stat.write(space) };
    }))
}

/// statvfs(3).
///
/// # Safety
/// `path` is a string, `stat` writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_statvfs(path: *const c_char, stat: *mut Statvfs) -> c_int {
    // SAFETY: passed on.
    let fd = unsafe { libc::open(path, libc::O_RDONLY | O_NONBLOCK | libc::O_CLOEXEC) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: passed on.
    let result = unsafe { __wrap_fstatvfs(fd, stat) };
    let error = super::errno();
    // SAFETY: takes a number.
    unsafe { libc::close(fd) };
    set_errno(error);
    result
}
