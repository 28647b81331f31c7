//! Functions of files that sockets have too: unistd.h, fcntl.h, sys/ioctl.h, sys/stat.h, sys/uio.h.
//!
//! Each looks whose the descriptor is, and passes a file's on to wasi-libc.
//!
//! # Safety
//!
//! See the parent module. `fcntl` and `ioctl` are variadic in C: on wasm32 the variable arguments lie in
//! memory, and the last parameter points to them (tool-conventions, BasicCABI.md).

use std::ffi::{c_char, c_int, c_void};

use super::messages::{iovecs, recv_iovecs, send_iovecs};
use super::{bytes, c_length, c_number, c_unit};
use crate::descriptors::{self, is_ours};
use crate::host;
use crate::message::{self, RecvFlags, SendFlags, Want};
use crate::option;
use crate::sys::{
    F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_GETFL, F_GETLK, F_SETFD, F_SETFL, F_SETLK, F_SETLKW,
    FD_CLOEXEC, FIONBIO, FIONREAD, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY, iovec,
};
use crate::{Errno, Result};
use crate::{socket, stdin};

/// S_IFSOCK, and all permissions: what Linux says of a socket.
const SOCKET_MODE: libc::mode_t = libc::S_IFSOCK | 0o777;
/// And of a pipe.
const PIPE_MODE: libc::mode_t = libc::S_IFIFO | 0o600;
/// Page size of wasm's hosts; Linux says the same of a socket.
const BLOCK_SIZE: libc::blksize_t = 4096;

unsafe extern "C" {
    safe fn __real_close(fd: c_int) -> c_int;
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
    fn __real___wasi_path_open(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        open: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
        opened: *mut c_int,
    ) -> u32;
}

/// close(2).
#[unsafe(no_mangle)]
extern "C" fn __wrap_close(fd: c_int) -> c_int {
    match is_ours(fd) {
        true => c_unit(socket::close(fd)),
        false => {
            stdin::closed(fd);
            __real_close(fd)
        }
    }
}

/// lseek(2).
#[unsafe(no_mangle)]
extern "C" fn __wrap_lseek(fd: c_int, offset: libc::off_t, whence: c_int) -> libc::off_t {
    match is_ours(fd) {
        true => c_unit(Err(Errno(libc::ESPIPE))).into(),
        false => __real_lseek(fd, offset, whence),
    }
}

/// What unistd.h makes of an lseek that only asks for the place.
#[unsafe(no_mangle)]
extern "C" fn __wrap___wasilibc_tell(fd: c_int) -> libc::off_t {
    match is_ours(fd) {
        true => c_unit(Err(Errno(libc::ESPIPE))).into(),
        false => __real___wasilibc_tell(fd),
    }
}

/// What is no socket has nothing to read: an interest set, or a look-up (read(2), EINVAL).
fn no_data(error: Errno) -> Errno {
    match error {
        Errno(libc::ENOTSOCK) => Errno(libc::EINVAL),
        error => error,
    }
}

/// read(2).
///
/// # Safety
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_read(fd: c_int, buffer: *mut c_void, length: usize) -> isize {
    if !is_ours(fd) {
        return match stdin::check_read(fd) {
            // SAFETY: passed on.
            Ok(()) => unsafe { __real_read(fd, buffer, length) },
            Err(error) => c_length(Err(error)),
        };
    }
    let iovec = iovec {
        iov_base: buffer,
        iov_len: length,
    };
    // SAFETY: passed on.
    let message = unsafe { recv_iovecs(fd, &[iovec], Want::default(), RecvFlags::default()) };
    c_length(message.map(|message| message.bytes).map_err(no_data))
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
    let sent = data.and_then(|data| message::send(fd, data, SendFlags::default()));
    c_length(sent.map_err(no_data))
}

/// readv(2).
///
/// # Safety
/// `first` points to `count` iovecs, each to as many writable bytes as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_readv(fd: c_int, first: *const iovec, count: c_int) -> isize {
    if !is_ours(fd) {
        return match stdin::check_read(fd) {
            // SAFETY: passed on.
            Ok(()) => unsafe { __real_readv(fd, first, count) },
            Err(error) => c_length(Err(error)),
        };
    }
    // SAFETY: passed on.
    c_length(unsafe { iovecs(first, count) }.and_then(|iovecs| {
        // SAFETY: passed on.
        let message = unsafe { recv_iovecs(fd, iovecs, Want::default(), RecvFlags::default()) };
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
        unsafe { send_iovecs(fd, iovecs, None, None, SendFlags::default()) }.map_err(no_data)
    }))
}

/// fstat(2): S_ISSOCK is true of a socket. preview1 has no name for a pipe, which standard input may be.
///
/// # Safety
/// `stat` is writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fstat(fd: c_int, stat: *mut libc::stat) -> c_int {
    if !is_ours(fd) {
        // SAFETY: passed on.
        let result = unsafe { __real_fstat(fd, stat) };
        if result == 0 && stdin::is_stdin(fd) {
            // SAFETY: it was written to.
            let stat = unsafe { &mut *stat };
            if stat.st_mode & libc::S_IFMT == 0 && stdin::is_pipe() {
                stat.st_mode = PIPE_MODE;
            }
        }
        return result;
    }
    if stat.is_null() {
        return c_unit(Err(Errno(libc::EFAULT)));
    }
    // SAFETY: all of a stat's fields are numbers, for which zeros are a value.
    let mut answer: libc::stat = unsafe { core::mem::zeroed() };
    answer.st_mode = match descriptors::pipe_end(fd) {
        Ok(Some(_)) => PIPE_MODE,
        _ => SOCKET_MODE,
    };
    answer.st_nlink = 1;
    answer.st_blksize = BLOCK_SIZE;
    // Of every open socket another: os.path.samestat compares it.
    answer.st_ino = fd as libc::ino_t;
    // SAFETY: not null; the caller answers for the rest.
    unsafe { stat.write(answer) };
    0
}

/// wasi-libc's stat(2), lstat(2) and fstatat(2) end here. Of preview1's file types none is a socket's path:
/// what the host has no name for is one. (Or a FIFO, which a guest can do as little with.)
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
    // SAFETY: passed on.
    let result = unsafe { __real___wasilibc_nocwd_fstatat(folder, path, stat, flags) };
    if result == 0 {
        // SAFETY: it was written to.
        let stat = unsafe { &mut *stat };
        if stat.st_mode & libc::S_IFMT == 0 {
            stat.st_mode |= libc::S_IFSOCK;
        }
    }
    result
}

/// What F_GETFL answers: open(2).
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
/// Locks on files (F_SETLK and its like) are ENOSYS, whatever the descriptor: preview1 has none, and
/// programs try again for ever on any other error.
///
/// # Safety
/// `arguments` points to what the command takes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_fcntl(fd: c_int, command: c_int, arguments: *mut c_int) -> c_int {
    // SAFETY: passed on.
    let of_file = || unsafe { __real_fcntl(fd, command, arguments) };
    let argument = || match arguments.is_null() {
        true => 0,
        // SAFETY: these commands take an int, and the caller passed one.
        false => unsafe { arguments.read() },
    };
    match command {
        F_GETLK | F_SETLK | F_SETLKW => c_unit(Err(Errno(libc::ENOSYS))),
        F_SETFL if is_ours(fd) || stdin::is_stdin(fd) => {
            let nonblocking = argument() & O_NONBLOCK != 0;
            c_unit(descriptors::set_nonblocking(fd, nonblocking))
        }
        F_GETFL if stdin::is_nonblocking(fd) => of_file() | O_NONBLOCK,
        // As dup: preview1 has no way to.
        F_DUPFD | F_DUPFD_CLOEXEC if !is_ours(fd) && host::is_file(fd) => {
            c_unit(Err(Errno(libc::ENOTSUP)))
        }
        _ if !is_ours(fd) => of_file(),
        F_DUPFD => c_number(socket::dup_above(fd, argument(), false)),
        F_DUPFD_CLOEXEC => c_number(socket::dup_above(fd, argument(), true)),
        F_GETFL => c_number(status_flags(fd)),
        F_GETFD => c_number(descriptors::is_cloexec(fd).map(|cloexec| match cloexec {
            true => FD_CLOEXEC,
            false => 0,
        })),
        F_SETFD => c_unit(descriptors::set_cloexec(fd, argument() & FD_CLOEXEC != 0)),
        _ => c_unit(Err(Errno(libc::EINVAL))),
    }
}

/// ioctl(2): FIONBIO and FIONREAD, each with a pointer to an int.
///
/// # Safety
/// `arguments` points to what the request takes.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_ioctl(fd: c_int, request: c_int, arguments: *mut *mut c_int) -> c_int {
    let kept_here = is_ours(fd) || (request == FIONBIO && stdin::is_stdin(fd));
    if !kept_here {
        // SAFETY: passed on.
        return unsafe { __real_ioctl(fd, request, arguments) };
    }
    let place = || -> Result<*mut c_int> {
        let place = match arguments.is_null() {
            true => core::ptr::null_mut(),
            // SAFETY: these requests take a pointer, and the caller passed one.
            false => unsafe { arguments.read() },
        };
        match place.is_null() {
            true => Err(Errno(libc::EFAULT)),
            false => Ok(place),
        }
    };
    c_unit(match request {
        FIONBIO => place().and_then(|place| {
            // SAFETY: not null; the caller answers for the rest.
            let nonblocking = unsafe { place.read() } != 0;
            descriptors::set_nonblocking(fd, nonblocking)
        }),
        FIONREAD => place().and_then(|place| {
            let count = option::readable(fd)?;
            // SAFETY: not null; the caller answers for the rest.
            unsafe { place.write(count) };
            Ok(())
        }),
        _ => Err(Errno(libc::ENOTTY)),
    })
}

/// Most bytes that one sendfile moves; it may always move fewer than it was asked for.
const SENDFILE_MAX: usize = 256 << 10;

/// sendfile(2), from a file to whatever can be written to.
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
    let place = unsafe { offset.as_mut() };
    let read = match &place {
        // SAFETY: the buffer's own start and length.
        Some(place) => unsafe {
            libc::pread(from, buffer.as_mut_ptr().cast(), buffer.len(), **place)
        },
        // SAFETY: as above.
        None => unsafe { __real_read(from, buffer.as_mut_ptr().cast(), buffer.len()) },
    };
    let Ok(read) = usize::try_from(read) else {
        return -1;
    };
    // SAFETY: so much of the buffer was read.
    let written = unsafe { __wrap_write(to, buffer.as_ptr().cast(), read) };
    let moved = written.max(0) as libc::off_t;
    match place {
        Some(place) => *place = place.saturating_add(moved),
        // What was read and not written is there to be read again. This cannot fail where reading did not.
        None => {
            let back = moved.saturating_sub(read as libc::off_t);
            if back < 0 {
                __real_lseek(from, back, libc::SEEK_CUR);
            }
        }
    }
    written
}

/// wasi-libc's own call of preview1's path_open: a file must not get the number of a socket.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_open(
    folder: c_int,
    lookup: u32,
    path: *const c_char,
    open: u32,
    rights: u64,
    inheriting: u64,
    flags: u32,
    opened: *mut c_int,
) -> u32 {
    // SAFETY: passed on.
    let error = unsafe {
        __real___wasi_path_open(
            folder, lookup, path, open, rights, inheriting, flags, opened,
        )
    };
    // SAFETY: path_open wrote to it.
    if error == 0 && is_ours(unsafe { opened.read() }) {
        // SAFETY: as above.
        __real_close(unsafe { opened.read() });
        return libc::EMFILE as u32;
    }
    error
}
