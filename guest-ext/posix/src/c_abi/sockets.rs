//! sys/socket.h except sending and receiving, and `dup` and `pipe` of unistd.h.
//!
//! # Safety
//!
//! See the parent module.

use core::ptr;
use std::ffi::{c_int, c_void};

use super::{bytes, c_number, c_unit};
use crate::descriptors;
use crate::option::{self, VALUE_MAX};
use crate::socket::{self};
use crate::sys::*;
use crate::{Address, Errno, Family, Result, Type};

/// Linux's limit (net/socket.c, move_addr_to_kernel): `sizeof(struct sockaddr_storage)`.
const ADDRESS_MAX: socklen_t = 128;

/// Reads a `struct sockaddr`.
///
/// # Safety
/// `address` points to `length` readable bytes.
pub(super) unsafe fn address_at(address: *const u8, length: socklen_t) -> Result<Address> {
    if length > ADDRESS_MAX {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: passed on.
    Address::from_sockaddr(unsafe { bytes(address, length as usize) }?)
}

/// Writes as much of a `struct sockaddr` as there is room for, and its whole length.
///
/// # Safety
/// `room` is null, or has as many writable bytes as `length` says; `length` is writable, or `room` null.
pub(super) unsafe fn put_address(
    address: &Address,
    room: *mut u8,
    length: *mut socklen_t,
) -> Result<()> {
    if room.is_null() {
        return Ok(());
    }
    if length.is_null() {
        return Err(Errno(libc::EFAULT));
    }
    // SAFETY: not null; the caller is responsible for the rest.
    let available = unsafe { length.read() };
    let (bytes, whole) = address.to_sockaddr();
    let count = whole.min(available as usize).min(bytes.len());
    // SAFETY: no more than the caller has room for, and no more than there is.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), room, count) };
    // SAFETY: as when it was read.
    unsafe { length.write(whole as socklen_t) };
    Ok(())
}

/// The type without its flags, and the flags.
fn type_of(ty: c_int, protocol: c_int) -> Result<(Type, c_int)> {
    let flags = ty & (SOCK_NONBLOCK | SOCK_CLOEXEC);
    match ty & !flags {
        SOCK_STREAM => Ok((Type::Stream, flags)),
        SOCK_DGRAM if protocol == IPPROTO_UDPLITE => Ok((Type::DatagramLite, flags)),
        SOCK_DGRAM => Ok((Type::Datagram, flags)),
        // As for any program without privileges on Linux: raw(7).
        SOCK_RAW => Err(Errno(libc::EPERM)),
        _ => Err(Errno(libc::EPROTONOSUPPORT)),
    }
}

/// EPROTONOSUPPORT for a protocol that is neither 0 nor that of the type.
fn check_protocol(family: Family, ty: Type, protocol: c_int) -> Result<()> {
    match protocol == 0 || protocol == option::protocol(family, ty) {
        true => Ok(()),
        false => Err(Errno(libc::EPROTONOSUPPORT)),
    }
}

/// socket(2).
#[unsafe(no_mangle)]
extern "C" fn socket(domain: c_int, ty: c_int, protocol: c_int) -> c_int {
    c_number(Family::from_c(domain).and_then(|family| {
        let (ty, flags) = type_of(ty, protocol)?;
        check_protocol(family, ty, protocol)?;
        socket::socket(family, ty, flags)
    }))
}

/// socketpair(2). AF_UNIX only, as on Linux.
///
/// # Safety
/// `pair` has room for two ints.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(
    domain: c_int,
    ty: c_int,
    protocol: c_int,
    pair: *mut c_int,
) -> c_int {
    c_unit(Family::from_c(domain).and_then(|family| {
        if pair.is_null() {
            return Err(Errno(libc::EFAULT));
        }
        let (ty, flags) = type_of(ty, protocol)?;
        if family != Family::Unix {
            return Err(Errno(libc::EOPNOTSUPP));
        }
        check_protocol(family, ty, protocol)?;
        let fds = socket::socketpair(ty, flags)?;
        // SAFETY: not null; the caller is responsible for the room.
        unsafe { pair.cast::<[c_int; 2]>().write_unaligned(fds) };
        Ok(())
    }))
}

/// dup(2).
#[unsafe(no_mangle)]
extern "C" fn dup(fd: c_int) -> c_int {
    c_number(socket::dup(fd))
}

/// dup2(2).
#[unsafe(no_mangle)]
extern "C" fn dup2(fd: c_int, target: c_int) -> c_int {
    c_number(socket::dup2(fd, target))
}

/// dup3(2). O_CLOEXEC is 0 in wasi-libc: close-on-exec is always on.
#[unsafe(no_mangle)]
extern "C" fn dup3(fd: c_int, target: c_int, flags: c_int) -> c_int {
    if flags != 0 || fd == target {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    c_number(socket::dup2(fd, target).and_then(|fd| {
        descriptors::set_cloexec(fd, true)?;
        Ok(fd)
    }))
}

/// pipe(2).
///
/// # Safety
/// `ends` has room for two ints.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe(ends: *mut c_int) -> c_int {
    // SAFETY: passed on.
    unsafe { pipe2(ends, 0) }
}

/// pipe2(2). O_CLOEXEC is 0 in wasi-libc: close-on-exec is always on.
///
/// # Safety
/// `ends` has room for two ints.
#[unsafe(no_mangle)]
unsafe extern "C" fn pipe2(ends: *mut c_int, flags: c_int) -> c_int {
    if ends.is_null() {
        return c_unit(Err(Errno(libc::EFAULT)));
    }
    if flags & !O_NONBLOCK != 0 {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    let nonblock = if flags == 0 { 0 } else { SOCK_NONBLOCK };
    c_unit(socket::pipe(SOCK_CLOEXEC | nonblock).map(|fds| {
        // SAFETY: not null; the caller is responsible for the room.
        unsafe { ends.cast::<[c_int; 2]>().write_unaligned(fds) };
    }))
}

/// bind(2).
///
/// # Safety
/// `address` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn bind(fd: c_int, address: *const u8, length: socklen_t) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { address_at(address, length) }.and_then(|address| socket::bind(fd, &address)))
}

/// listen(2).
#[unsafe(no_mangle)]
extern "C" fn listen(fd: c_int, backlog: c_int) -> c_int {
    c_unit(socket::listen(fd, backlog))
}

/// accept(2).
///
/// # Safety
/// As for [`put_address`].
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut u8, length: *mut socklen_t) -> c_int {
    // SAFETY: passed on.
    unsafe { accept4(fd, address, length, 0) }
}

/// accept4(2).
///
/// # Safety
/// As for [`put_address`].
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut u8,
    length: *mut socklen_t,
    flags: c_int,
) -> c_int {
    c_number(socket::accept(fd, flags).and_then(|(accepted, peer)| {
        // SAFETY: passed on.
        unsafe { put_address(&peer, address, length) }?;
        Ok(accepted)
    }))
}

/// connect(2).
///
/// # Safety
/// `address` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const u8, length: socklen_t) -> c_int {
    // SAFETY: passed on.
    c_unit(unsafe { address_at(address, length) }.and_then(|address| socket::connect(fd, &address)))
}

/// shutdown(2).
#[unsafe(no_mangle)]
extern "C" fn shutdown(fd: c_int, how: c_int) -> c_int {
    c_unit(socket::shutdown(fd, how))
}

/// Writes an address that a call returned. EFAULT for a null pointer.
///
/// # Safety
/// As for [`put_address`].
unsafe fn name(name: Result<Address>, address: *mut u8, length: *mut socklen_t) -> c_int {
    c_unit(name.and_then(|name| {
        if address.is_null() {
            return Err(Errno(libc::EFAULT));
        }
        // SAFETY: passed on.
        unsafe { put_address(&name, address, length) }
    }))
}

/// getsockname(2).
///
/// # Safety
/// As for [`put_address`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(fd: c_int, address: *mut u8, length: *mut socklen_t) -> c_int {
    // SAFETY: passed on.
    unsafe { name(socket::getsockname(fd), address, length) }
}

/// getpeername(2).
///
/// # Safety
/// As for [`put_address`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(fd: c_int, address: *mut u8, length: *mut socklen_t) -> c_int {
    // SAFETY: passed on.
    unsafe { name(socket::getpeername(fd), address, length) }
}

/// setsockopt(2).
///
/// # Safety
/// `value` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    // SAFETY: passed on.
    let value = unsafe { bytes(value.cast(), length as usize) };
    c_unit(value.and_then(|value| option::setsockopt(fd, level, name, value)))
}

/// getsockopt(2).
///
/// # Safety
/// `length` is writable, and `value` has as many writable bytes as it says.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: null or a length.
    let available = unsafe { length.as_ref() }.map_or(0, |length| *length as usize);
    c_unit(
        option::getsockopt(fd, level, name, available).and_then(|(bytes, whole)| {
            if value.is_null() || length.is_null() {
                return Err(Errno(libc::EFAULT));
            }
            let count = whole.min(available).min(VALUE_MAX);
            // SAFETY: no more than the caller has room for, and no more than there is.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), count) };
            // SAFETY: as when it was read.
            unsafe { length.write(count as socklen_t) };
            Ok(())
        }),
    )
}
