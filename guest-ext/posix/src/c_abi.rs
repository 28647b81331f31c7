//! The socket functions that wasi-libc has for wasip1, defined here instead.
//!
//! wasi-libc's own call preview1's `sock_send`, `sock_recv`, `sock_accept` and `sock_shutdown`. Two of
//! those clash in type with the core six, and one use of them anywhere in the guest makes a module
//! that no host instantiates. A definition in this library comes before libc's archive on the link
//! line, so libc's are never pulled in.
//!
//! # Safety
//!
//! The callers are C: pointers and lengths are theirs to answer for, as POSIX says of each function.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use core::slice;
use std::ffi::{c_int, c_void};

use crate::{Errno, Result, socket};
use wasisocket_abi::FIRST_HANDLE;

/// No slice may be longer. Some C callers pass SIZE_MAX for "as much as there is".
const LENGTH_MAX: usize = isize::MAX as usize;

/// The C convention: -1 and errno.
fn c_result(result: Result<usize>) -> isize {
    // A length above isize::MAX cannot be: no slice is that long.
    match result.and_then(|count| isize::try_from(count).map_err(|_| Errno::EIO)) {
        Ok(count) => count,
        Err(Errno(errno)) => {
            // SAFETY: wasi-libc's errno of this thread, valid for as long as the thread runs.
            let location = unsafe { libc::__errno_location() };
            // SAFETY: as above; aligned, and nobody else writes to it meanwhile.
            unsafe { location.write(errno) };
            -1
        }
    }
}

/// For a socket of the host: the call is one that the core six cannot carry. Else: not a socket.
fn unsupported(fd: c_int) -> Errno {
    match u32::try_from(fd) {
        Ok(fd) if fd >= FIRST_HANDLE => Errno(libc::EOPNOTSUPP),
        Ok(_) => Errno(libc::ENOTSOCK),
        Err(_) => Errno(libc::EBADF),
    }
}

/// `ssize_t send(int fd, const void *data, size_t length, int flags)`: send(2). No flag is supported.
///
/// # Safety
/// `data` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, data: *const u8, length: usize, flags: c_int) -> isize {
    if flags != 0 {
        return c_result(Err(unsupported(fd)));
    }
    if data.is_null() {
        return c_result(if length == 0 {
            socket::send(fd, &[])
        } else {
            Err(Errno(libc::EFAULT))
        });
    }
    // SAFETY: not null; the caller answers for the rest.
    let data = unsafe { slice::from_raw_parts(data, length.min(LENGTH_MAX)) };
    c_result(socket::send(fd, data))
}

/// `ssize_t recv(int fd, void *buffer, size_t length, int flags)`: recv(2). No flag is supported.
///
/// # Safety
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(
    fd: c_int,
    buffer: *mut MaybeUninit<u8>,
    length: usize,
    flags: c_int,
) -> isize {
    if flags != 0 {
        return c_result(Err(unsupported(fd)));
    }
    if buffer.is_null() {
        return c_result(if length == 0 {
            socket::recv(fd, &mut [])
        } else {
            Err(Errno(libc::EFAULT))
        });
    }
    // SAFETY: not null; the caller answers for the rest.
    let buffer = unsafe { slice::from_raw_parts_mut(buffer, length.min(LENGTH_MAX)) };
    c_result(socket::recv(fd, buffer))
}

/// `int accept(int fd, struct sockaddr *address, socklen_t *length)`: EOPNOTSUPP.
#[unsafe(no_mangle)]
extern "C" fn accept(fd: c_int, _address: *mut c_void, _length: *mut c_void) -> c_int {
    c_result(Err(unsupported(fd))) as c_int
}

/// `int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)`: EOPNOTSUPP.
#[unsafe(no_mangle)]
extern "C" fn accept4(
    fd: c_int,
    _address: *mut c_void,
    _length: *mut c_void,
    _flags: c_int,
) -> c_int {
    c_result(Err(unsupported(fd))) as c_int
}

/// `int shutdown(int fd, int how)`: EOPNOTSUPP.
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, _how: c_int) -> c_int {
    c_result(Err(unsupported(fd))) as c_int
}

/// `int getsockopt(int fd, int level, int name, void *value, socklen_t *length)`: EOPNOTSUPP.
#[unsafe(no_mangle)]
extern "C" fn getsockopt(
    fd: c_int,
    _level: c_int,
    _name: c_int,
    _value: *mut c_void,
    _length: *mut c_void,
) -> c_int {
    c_result(Err(unsupported(fd))) as c_int
}
