//! Functions that take sockets as well as files: unistd.h, fcntl.h, sys/ioctl.h, sys/stat.h, sys/uio.h.
//!
//! Each function handles the descriptors of this library and passes those of files on to wasi-libc.
//!
//! # Safety
//!
//! See the parent module. `fcntl` and `ioctl` are variadic in C: on wasm32 the variable arguments are stored in
//! memory, and the last parameter points to them (tool-conventions, BasicCABI.md).

use std::ffi::{CStr, c_char, c_int, c_void};

use super::file_locks::record_lock;
use super::granted::descriptor_of;
use super::identity::USER;
use super::messages::{iovecs, with_data, with_room};
use super::{bytes, c_length, c_number, c_unit, errno, refusals, set_errno, slice_mut};
use crate::descriptors::{self, is_ours};
use crate::host::Want;
use crate::message;
use crate::option;
use crate::socket;
use crate::sys::*;
use crate::{Errno, Result};

/// The mode of a socket on Linux: S_IFSOCK and all permissions.
const SOCKET_MODE: libc::mode_t = libc::S_IFSOCK | 0o777;
/// The mode of a pipe on Linux.
const PIPE_MODE: libc::mode_t = libc::S_IFIFO | 0o600;
/// The permission bits of a mode.
const PERMISSIONS: libc::mode_t = 0o7777;
/// The block size of a socket on Linux, and the page size of most hosts.
const BLOCK_SIZE: libc::blksize_t = 4096;

unsafe extern "C" {
    fn __real___wasilibc_nocwd_openat_nomode(
        folder: c_int,
        path: *const c_char,
        flags: c_int,
    ) -> c_int;
    safe fn __real___wasilibc_tell(fd: c_int) -> libc::off_t;
    safe fn __real_lseek(fd: c_int, offset: libc::off_t, whence: c_int) -> libc::off_t;
    fn __real_read(fd: c_int, buffer: *mut c_void, length: usize) -> isize;
    fn __real_write(fd: c_int, data: *const c_void, length: usize) -> isize;
    fn __real_readv(fd: c_int, iovecs: *const iovec, count: c_int) -> isize;
    fn __real_writev(fd: c_int, iovecs: *const iovec, count: c_int) -> isize;
    fn __real_fstat(fd: c_int, stat: *mut libc::stat) -> c_int;
    fn __real_fcntl(fd: c_int, command: c_int, arguments: *mut c_int) -> c_int;
    fn __real_ioctl(fd: c_int, request: c_int, arguments: *mut *mut c_int) -> c_int;
    fn __real___wasilibc_nocwd_fstatat(
        folder: c_int,
        path: *const c_char,
        stat: *mut libc::stat,
        flags: c_int,
    ) -> c_int;
}

/// What wasi-libc's open(2) and openat(2) call. Without an access mode a file is opened for reading: O_RDONLY is 0 on
/// Linux, so that many programs leave it out.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasilibc_nocwd_openat_nomode(
    folder: c_int,
    path: *const c_char,
    flags: c_int,
) -> c_int {
    let mode = match flags & O_ACCMODE {
        0 => O_RDONLY,
        _ => 0,
    };
    // SAFETY: passed on.
    let fd = unsafe { __real___wasilibc_nocwd_openat_nomode(folder, path, flags | mode) };
    if fd < 0 {
        let error = errno();
        refusals::open(folder, path, flags | mode, error);
        set_errno(error);
    }
    fd
}

/// close(2).
#[unsafe(no_mangle)]
extern "C" fn __wrap_close(fd: c_int) -> c_int {
    c_unit(socket::close(fd))
}

/// lseek(2).
#[unsafe(no_mangle)]
extern "C" fn __wrap_lseek(fd: c_int, offset: libc::off_t, whence: c_int) -> libc::off_t {
    match is_ours(fd) {
        true => c_unit(Err(Errno(libc::ESPIPE))).into(),
        false => __real_lseek(fd, offset, whence),
    }
}

/// What unistd.h turns an lseek(2) into that only asks for the offset.
#[unsafe(no_mangle)]
extern "C" fn __wrap___wasilibc_tell(fd: c_int) -> libc::off_t {
    match is_ours(fd) {
        true => c_unit(Err(Errno(libc::ESPIPE))).into(),
        false => __real___wasilibc_tell(fd),
    }
}

/// read(2) and write(2) of an epoll instance or a look-up are EINVAL.
fn no_data(error: Errno) -> Errno {
    error.for_file(libc::EINVAL)
}

/// read(2).
///
/// # Safety
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_read(fd: c_int, buffer: *mut c_void, length: usize) -> isize {
    if !is_ours(fd) {
        // SAFETY: passed on.
        return unsafe { __real_read(fd, buffer, length) };
    }
    // SAFETY: passed on.
    let buffer = unsafe { slice_mut(buffer.cast(), length) };
    let received = buffer.and_then(|buffer| message::recv(fd, buffer, 0));
    c_length(received.map_err(no_data))
}

/// write(2).
///
/// # Safety
/// `data` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_write(fd: c_int, data: *const c_void, length: usize) -> isize {
    if !is_ours(fd) {
        // SAFETY: passed on.
        return unsafe { __real_write(fd, data, length) };
    }
    // SAFETY: passed on.
    let data = unsafe { bytes(data.cast(), length) };
    let sent = data.and_then(|data| message::send(fd, data, 0));
    c_length(sent.map_err(no_data))
}

/// readv(2).
///
/// # Safety
/// `first` points to `count` iovecs, each to as many writable bytes as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_readv(fd: c_int, first: *const iovec, count: c_int) -> isize {
    if !is_ours(fd) {
        // SAFETY: passed on.
        return unsafe { __real_readv(fd, first, count) };
    }
    // SAFETY: passed on.
    c_length(unsafe { iovecs(first, count) }.and_then(|iovecs| {
        // SAFETY: passed on.
        let message = unsafe {
            with_room(iovecs, |buffers| {
                message::recvmsg(fd, buffers, Want::default(), 0)
            })
        };
        message.map(|message| message.bytes).map_err(no_data)
    }))
}

/// writev(2).
///
/// # Safety
/// `first` points to `count` iovecs, each to as many readable bytes as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_writev(fd: c_int, first: *const iovec, count: c_int) -> isize {
    if !is_ours(fd) {
        // SAFETY: passed on.
        return unsafe { __real_writev(fd, first, count) };
    }
    // SAFETY: passed on.
    c_length(unsafe { iovecs(first, count) }.and_then(|iovecs| {
        // SAFETY: passed on.
        unsafe { with_data(iovecs, |data| message::sendmsg(fd, data, None, None, 0)) }
            .map_err(no_data)
    }))
}

/// The first `length` bytes at most of a file, as the program would read it: Rust's own `fs` knows neither the paths nor
/// the descriptors of this library. `None` if there is no such file; what could be read counts.
pub(super) fn content(path: &CStr, length: usize) -> Option<Vec<u8>> {
    // SAFETY: a string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return None;
    }
    let mut content = Vec::new();
    let mut part = [0_u8; 4096];
    while content.len() < length {
        // SAFETY: the buffer's own start and length.
        let read = unsafe { libc::read(fd, part.as_mut_ptr().cast(), part.len()) };
        match usize::try_from(read).ok().and_then(|read| part.get(..read)) {
            None | Some([]) => break,
            Some(read) => content.extend_from_slice(read),
        }
    }
    content.truncate(length);
    __wrap_close(fd);
    Some(content)
}

/// Completes what preview1 says of a file: it has no owners and no permissions. Files are the guest's own, and have the
/// permissions that a new one has on Linux.
fn complete(stat: &mut libc::stat) {
    stat.st_uid = USER;
    stat.st_gid = USER;
    if stat.st_mode & PERMISSIONS == 0 {
        stat.st_mode |= match stat.st_mode & libc::S_IFMT {
            libc::S_IFDIR => 0o755,
            libc::S_IFLNK => 0o777,
            libc::S_IFCHR => 0o666,
            libc::S_IFSOCK => 0o755,
            libc::S_IFIFO => 0o600,
            _ => 0o644,
        };
    }
}

/// fstat(2): S_ISSOCK is true for a socket. preview1 has no file type for a pipe, which a standard stream may be.
///
/// # Safety
/// `stat` is writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstat(fd: c_int, stat: *mut libc::stat) -> c_int {
    if !is_ours(fd) {
        // SAFETY: passed on.
        let result = unsafe { __real_fstat(fd, stat) };
        if result == 0 {
            // SAFETY: it was written to.
            let stat = unsafe { &mut *stat };
            if stat.st_mode & libc::S_IFMT == 0 && descriptors::standard_stream(fd).is_some() {
                stat.st_mode |= libc::S_IFIFO;
            }
            complete(stat);
        }
        return result;
    }
    if stat.is_null() {
        return c_unit(Err(Errno(libc::EFAULT)));
    }
    // SAFETY: all fields of a stat are numbers, for which zero is a valid value.
    let mut answer: libc::stat = unsafe { core::mem::zeroed() };
    answer.st_mode = match descriptors::pipe_end(fd) {
        Ok(Some(_)) => PIPE_MODE,
        _ => SOCKET_MODE,
    };
    complete(&mut answer);
    answer.st_nlink = 1;
    answer.st_blksize = BLOCK_SIZE;
    // Different for every open socket: os.path.samestat compares it.
    answer.st_ino = fd as libc::ino_t;
    // SAFETY: not null; the caller answers for the rest.
    unsafe { stat.write(answer) };
    0
}

/// What wasi-libc's stat(2), lstat(2) and fstatat(2) call. preview1 has no file type for the path of a socket: a
/// file of unknown type is reported as one. (It may also be a FIFO, which a guest cannot open either.)
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasilibc_nocwd_fstatat(
    folder: c_int,
    path: *const c_char,
    stat: *mut libc::stat,
    flags: c_int,
) -> c_int {
    if let Some(fd) = descriptor_of(folder, path) {
        // SAFETY: passed on.
        let result = unsafe { __wrap_fstat(fd, stat) };
        if result != 0 {
            set_errno(Errno(libc::ENOENT));
        }
        return result;
    }
    // SAFETY: passed on.
    let result = unsafe { __real___wasilibc_nocwd_fstatat(folder, path, stat, flags) };
    if result == 0 {
        // SAFETY: it was written to.
        let stat = unsafe { &mut *stat };
        if stat.st_mode & libc::S_IFMT == 0 {
            stat.st_mode |= libc::S_IFSOCK;
        }
        complete(stat);
    }
    result
}

/// The result of F_GETFL: the flags of open(2).
fn status_flags(fd: c_int) -> Result<c_int> {
    let mode = match descriptors::pipe_end(fd)? {
        None => O_RDWR,
        Some(true) => O_RDONLY,
        Some(false) => O_WRONLY,
    };
    Ok(match descriptors::is_nonblocking(fd)? {
        true => mode | O_NONBLOCK,
        false => mode,
    })
}

/// fcntl(2): F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD and F_DUPFD_CLOEXEC.
///
/// Those of record locks (F_GETLK, F_SETLK, F_SETLKW) are ENOSYS on a host without locks: programs retry for ever after
/// many other errors.
///
/// # Safety
/// `arguments` points to what the command takes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fcntl(fd: c_int, command: c_int, arguments: *mut c_int) -> c_int {
    // SAFETY: passed on.
    let file_fcntl = || unsafe { __real_fcntl(fd, command, arguments) };
    // SAFETY: these commands take an int, and the caller passed one.
    let argument = || unsafe { arguments.as_ref() }.copied().unwrap_or(0);
    match command {
        F_GETLK | F_SETLK | F_SETLKW => {
            // SAFETY: these commands take a pointer to a lock, and the caller passed one.
            let lock = unsafe { arguments.cast::<*mut flock>().as_ref() };
            // SAFETY: null or a lock.
            let lock = lock.and_then(|lock| unsafe { lock.as_mut() });
            let lock = lock.ok_or(Errno(libc::EFAULT));
            let locked = lock.and_then(|lock| record_lock(fd, command, lock));
            c_unit(locked.map_err(|error| match error {
                Errno(libc::EOPNOTSUPP) => Errno(libc::ENOSYS),
                error => error,
            }))
        }
        F_DUPFD => c_number(socket::dup_above(fd, argument(), false)),
        F_DUPFD_CLOEXEC => c_number(socket::dup_above(fd, argument(), true)),
        F_GETFD => c_number(descriptors::is_cloexec(fd).map(|cloexec| match cloexec {
            true => FD_CLOEXEC,
            false => 0,
        })),
        F_SETFD => c_unit(descriptors::set_cloexec(fd, argument() & FD_CLOEXEC != 0)),
        F_SETFL if is_ours(fd) || descriptors::standard_stream(fd).is_some() => {
            let nonblocking = argument() & O_NONBLOCK != 0;
            c_unit(descriptors::set_nonblocking(fd, nonblocking))
        }
        F_GETFL if descriptors::standard_stream(fd).is_some_and(|(_, set)| set) => {
            file_fcntl() | O_NONBLOCK
        }
        _ if !is_ours(fd) => file_fcntl(),
        F_GETFL => c_number(status_flags(fd)),
        _ => c_unit(Err(Errno(libc::EINVAL))),
    }
}

/// ioctl(2): FIONBIO and FIONREAD, each with a pointer to an int.
///
/// # Safety
/// `arguments` points to what the request takes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ioctl(fd: c_int, request: c_int, arguments: *mut *mut c_int) -> c_int {
    let handled_here =
        is_ours(fd) || (request == FIONBIO && descriptors::standard_stream(fd).is_some());
    if !handled_here {
        // SAFETY: passed on.
        return unsafe { __real_ioctl(fd, request, arguments) };
    }
    let argument = || {
        // SAFETY: these requests take a pointer, and the caller passed one.
        let argument = unsafe { arguments.as_ref() };
        // SAFETY: null or an int.
        let argument = argument.and_then(|argument| unsafe { argument.as_mut() });
        argument.ok_or(Errno(libc::EFAULT))
    };
    c_unit(match request {
        FIONBIO => argument().and_then(|argument| descriptors::set_nonblocking(fd, *argument != 0)),
        FIONREAD => argument().and_then(|argument| {
            *argument = option::readable(fd)?;
            Ok(())
        }),
        _ => Err(Errno(libc::ENOTTY)),
    })
}

/// Most bytes that one sendfile(2) moves, which may always move fewer than asked for.
const SENDFILE_MAX: usize = 256 << 10;

/// sendfile(2) from a file to any descriptor that can be written to.
///
/// # Safety
/// `offset` is null or points to an offset.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(
    to: c_int,
    from: c_int,
    offset: *mut libc::off_t,
    count: usize,
) -> isize {
    let mut buffer = vec![0_u8; count.min(SENDFILE_MAX)];
    // SAFETY: null or an offset.
    let offset = unsafe { offset.as_mut() };
    let read = match &offset {
        // SAFETY: the buffer's own start and length.
        Some(offset) => unsafe {
            libc::pread(from, buffer.as_mut_ptr().cast(), buffer.len(), **offset)
        },
        // SAFETY: as above.
        None => unsafe { __real_read(from, buffer.as_mut_ptr().cast(), buffer.len()) },
    };
    let Ok(read) = usize::try_from(read) else {
        return -1;
    };
    // SAFETY: the buffer has at least `read` bytes.
    let written = unsafe { __wrap_write(to, buffer.as_ptr().cast(), read) };
    let moved = written.max(0) as libc::off_t;
    match offset {
        Some(offset) => *offset = offset.saturating_add(moved),
        // Moves the file's offset back to the first byte that was not written. This cannot fail after a read.
        None => {
            let back = moved.saturating_sub(read as libc::off_t);
            if back < 0 {
                __real_lseek(from, back, libc::SEEK_CUR);
            }
        }
    }
    written
}
