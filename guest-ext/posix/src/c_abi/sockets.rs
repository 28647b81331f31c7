//! sys/socket.h, and `dup` of unistd.h.
//!
//! # Safety
//!
//! See the parent module.

use core::mem::MaybeUninit;
use core::{ptr, slice};
use std::ffi::{c_int, c_void};

use super::{LENGTH_MAX, bytes, c_length, c_number, c_unit};
use wasisocket_abi::v1::Ancillary;

use crate::ancillary;
use crate::message::{self, RecvFlags, SendFlags, Want};
use crate::option::{self, VALUE_MAX};
use crate::socket::{self, Flags, Shutdown};
use crate::sys::{
    IPPROTO_UDPLITE, MSG_CTRUNC, MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK,
    MSG_TRUNC, MSG_WAITALL, O_NONBLOCK, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_CLOEXEC, SOCK_DGRAM,
    SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM, iovec, msghdr, socklen_t,
};
use crate::{Address, Errno, Family, RawFd, Result, Type};

/// Linux's limit (net/socket.c, move_addr_to_kernel): `sizeof(struct sockaddr_storage)`.
const ADDRESS_MAX: socklen_t = 128;
/// UIO_MAXIOV.
const IOVECS_MAX: usize = wasisocket_abi::v1::IOVECS_MAX;

/// Reads a `struct sockaddr`.
///
/// # Safety
/// `address` points to `length` readable bytes.
unsafe fn address_at(address: *const u8, length: socklen_t) -> Result<Address> {
    if length > ADDRESS_MAX {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: passed on.
    Address::from_sockaddr(unsafe { bytes(address, length as usize) }?)
}

/// Writes a `struct sockaddr` as far as there is room, and its whole length.
///
/// # Safety
/// `room` is null, or has as many writable bytes as `length` says; `length` is writable, or `room` null.
unsafe fn put_address(address: &Address, room: *mut u8, length: *mut socklen_t) -> Result<()> {
    if room.is_null() {
        return Ok(());
    }
    if length.is_null() {
        return Err(Errno(libc::EFAULT));
    }
    // SAFETY: not null; the caller answers for the rest.
    let available = unsafe { length.read() };
    let (bytes, whole) = address.to_sockaddr();
    let count = whole.min(available as usize).min(bytes.len());
    // SAFETY: no more than the caller has room for, and than there is.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), room, count) };
    // SAFETY: as when it was read.
    unsafe { length.write(whole as socklen_t) };
    Ok(())
}

/// The type without its flags, and the flags.
fn type_of(ty: c_int, protocol: c_int) -> Result<(Type, Flags)> {
    let flags = Flags {
        nonblocking: ty & SOCK_NONBLOCK != 0,
        cloexec: ty & SOCK_CLOEXEC != 0,
    };
    match ty & !(SOCK_NONBLOCK | SOCK_CLOEXEC) {
        SOCK_STREAM => Ok((Type::Stream, flags)),
        SOCK_DGRAM if protocol == IPPROTO_UDPLITE => Ok((Type::DatagramLite, flags)),
        SOCK_DGRAM => Ok((Type::Datagram, flags)),
        // As to any program without privileges on Linux: raw(7).
        SOCK_RAW => Err(Errno(libc::EPERM)),
        _ => Err(Errno(libc::EPROTONOSUPPORT)),
    }
}

/// A protocol is one of the type, or 0.
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
        // SAFETY: not null; the caller answers for the room.
        unsafe { pair.cast::<[c_int; 2]>().write_unaligned(fds) };
        Ok(())
    }))
}

/// dup(2), of a socket. preview1 has no way to duplicate a file: ENOTSUP.
#[unsafe(no_mangle)]
extern "C" fn dup(fd: c_int) -> c_int {
    c_number(socket::dup(fd).map_err(|error| match error {
        Errno(libc::ENOTSOCK) => Errno(libc::ENOTSUP),
        error => error,
    }))
}

/// dup2(2), of a socket. Files cannot be duplicated: ENOTSUP.
#[unsafe(no_mangle)]
extern "C" fn dup2(fd: c_int, target: c_int) -> c_int {
    c_number(socket::dup2(fd, target).map_err(|error| match error {
        Errno(libc::ENOTSOCK) => Errno(libc::ENOTSUP),
        error => error,
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
    let flags = Flags {
        nonblocking: flags & O_NONBLOCK != 0,
        cloexec: true,
    };
    c_unit(socket::pipe(flags).map(|fds| {
        // SAFETY: not null; the caller answers for the room.
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
    if flags & !(SOCK_NONBLOCK | SOCK_CLOEXEC) != 0 {
        return c_unit(Err(Errno(libc::EINVAL)));
    }
    let flags = Flags {
        nonblocking: flags & SOCK_NONBLOCK != 0,
        cloexec: flags & SOCK_CLOEXEC != 0,
    };
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
    let how = match how {
        SHUT_RD => Shutdown::Read,
        SHUT_WR => Shutdown::Write,
        SHUT_RDWR => Shutdown::Both,
        _ => return c_unit(Err(Errno(libc::EINVAL))),
    };
    c_unit(socket::shutdown(fd, how))
}

/// Writes what a call returned; both pointers must be there.
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

fn send_flags(flags: c_int) -> Result<SendFlags> {
    match flags & !(MSG_OOB | MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL) {
        0 => Ok(SendFlags {
            out_of_band: flags & MSG_OOB != 0,
            more: flags & MSG_MORE != 0,
            dont_wait: flags & MSG_DONTWAIT != 0,
        }),
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

fn recv_flags(flags: c_int) -> Result<RecvFlags> {
    let known = MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL;
    match flags & !known {
        0 => Ok(RecvFlags {
            out_of_band: flags & MSG_OOB != 0,
            peek: flags & MSG_PEEK != 0,
            whole_length: flags & MSG_TRUNC != 0,
            wait_all: flags & MSG_WAITALL != 0,
            dont_wait: flags & MSG_DONTWAIT != 0,
        }),
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

/// send(2).
///
/// # Safety
/// `data` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, data: *const u8, length: usize, flags: c_int) -> isize {
    c_length(send_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        message::send(fd, unsafe { bytes(data, length) }?, flags)
    }))
}

/// sendto(2).
///
/// # Safety
/// `data` points to `length` readable bytes; `to` is null or points to `to_length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    data: *const u8,
    length: usize,
    flags: c_int,
    to: *const u8,
    to_length: socklen_t,
) -> isize {
    c_length(send_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let data = unsafe { bytes(data, length) }?;
        let to = match to.is_null() {
            true => None,
            // SAFETY: passed on.
            false => Some(unsafe { address_at(to, to_length) }?),
        };
        message::sendmsg(fd, &[data], to.as_ref(), None, flags)
    }))
}

/// The room that an iovec, or a buffer and its length, stand for.
///
/// # Safety
/// `base` points to `length` writable bytes, for as long as the slice is in use.
unsafe fn room<'a>(base: *mut u8, length: usize) -> Result<&'a mut [MaybeUninit<u8>]> {
    match (base.is_null(), length) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Errno(libc::EFAULT)),
        // SAFETY: not null; the caller answers for the rest.
        (false, _) => Ok(unsafe { slice::from_raw_parts_mut(base.cast(), length.min(LENGTH_MAX)) }),
    }
}

/// recv(2).
///
/// # Safety
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut u8, length: usize, flags: c_int) -> isize {
    c_length(recv_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        message::recv(fd, unsafe { room(buffer, length) }?, flags)
    }))
}

/// recvfrom(2).
///
/// # Safety
/// `buffer` points to `length` writable bytes; `from` and `from_length` as for [`put_address`].
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut u8,
    length: usize,
    flags: c_int,
    from: *mut u8,
    from_length: *mut socklen_t,
) -> isize {
    c_length(recv_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let buffer = unsafe { room(buffer, length) }?;
        let want = Want {
            address: !from.is_null(),
            ancillary: false,
        };
        let message = message::recvmsg(fd, &mut [buffer], want, flags)?;
        // SAFETY: passed on.
        unsafe { put_address(&message.from, from, from_length) }?;
        Ok(message.bytes)
    }))
}

/// The iovecs that `count` at `first` are. EMSGSIZE past UIO_MAXIOV, as on Linux.
///
/// # Safety
/// `first` points to `count` iovecs.
pub(super) unsafe fn iovecs<'a>(first: *const iovec, count: c_int) -> Result<&'a [iovec]> {
    let count = usize::try_from(count).map_err(|_| Errno(libc::EINVAL))?;
    match (first.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno(libc::EFAULT)),
        (_, count) if count > IOVECS_MAX => Err(Errno(libc::EMSGSIZE)),
        // SAFETY: not null; the caller answers for the rest.
        _ => Ok(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// Sends what the iovecs point to.
///
/// # Safety
/// Each points to as many readable bytes as it says.
pub(super) unsafe fn send_iovecs(
    fd: RawFd,
    iovecs: &[iovec],
    to: Option<&Address>,
    ancillary: Option<&Ancillary>,
    flags: SendFlags,
) -> Result<usize> {
    // SAFETY: passed on.
    let piece = |iovec: &iovec| unsafe { bytes(iovec.iov_base.cast(), iovec.iov_len) };
    match iovecs {
        [only] => message::sendmsg(fd, &[piece(only)?], to, ancillary, flags),
        many => {
            let pieces: Result<Vec<&[u8]>> = many.iter().map(piece).collect();
            message::sendmsg(fd, &pieces?, to, ancillary, flags)
        }
    }
}

/// Receives into what the iovecs point to.
///
/// # Safety
/// Each points to as many writable bytes as it says, and no two overlap.
pub(super) unsafe fn recv_iovecs(
    fd: RawFd,
    iovecs: &[iovec],
    want: Want,
    flags: RecvFlags,
) -> Result<message::Message> {
    // SAFETY: passed on.
    let piece = |iovec: &iovec| unsafe { room(iovec.iov_base.cast(), iovec.iov_len) };
    match iovecs {
        [only] => message::recvmsg(fd, &mut [piece(only)?], want, flags),
        many => {
            let pieces: Result<Vec<_>> = many.iter().map(piece).collect();
            message::recvmsg(fd, &mut pieces?, want, flags)
        }
    }
}

/// sendmsg(2). Ancillary data is a hop limit or a traffic class; descriptors cannot be sent.
///
/// # Safety
/// `message` and all that it points to are readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> isize {
    // SAFETY: null or a message.
    let Some(message) = (unsafe { message.as_ref() }) else {
        return c_length(Err(Errno(libc::EFAULT)));
    };
    c_length(send_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let control =
            unsafe { bytes(message.msg_control.cast(), message.msg_controllen as usize) }?;
        let ancillary = ancillary::read(control)?;
        let to = match message.msg_name.is_null() {
            true => None,
            // SAFETY: passed on.
            false => Some(unsafe { address_at(message.msg_name.cast(), message.msg_namelen) }?),
        };
        // SAFETY: passed on.
        let iovecs = unsafe { iovecs(message.msg_iov, message.msg_iovlen) }?;
        // SAFETY: passed on.
        unsafe { send_iovecs(fd, iovecs, to.as_ref(), ancillary.as_ref(), flags) }
    }))
}

/// recvmsg(2).
///
/// # Safety
/// `message` and all that it points to are writable.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> isize {
    // SAFETY: null or a message.
    let Some(header) = (unsafe { message.as_mut() }) else {
        return c_length(Err(Errno(libc::EFAULT)));
    };
    c_length(recv_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let iovecs = unsafe { iovecs(header.msg_iov, header.msg_iovlen) }?;
        let want = Want {
            address: !header.msg_name.is_null(),
            ancillary: !header.msg_control.is_null() && header.msg_controllen > 0,
        };
        // SAFETY: passed on.
        let received = unsafe { recv_iovecs(fd, iovecs, want, flags) }?;
        let mut length = header.msg_namelen;
        // SAFETY: passed on; the length is a local's.
        unsafe { put_address(&received.from, header.msg_name.cast(), &mut length) }?;
        if want.address {
            header.msg_namelen = length;
        }
        let room = header.msg_controllen as usize;
        let (control, cut) = ancillary::write(&received.ancillary, room);
        if want.ancillary {
            // SAFETY: no more than the caller has room for.
            unsafe {
                ptr::copy_nonoverlapping(
                    control.as_ptr(),
                    header.msg_control.cast(),
                    control.len(),
                );
            }
        }
        header.msg_controllen = control.len() as socklen_t;
        let told = [
            (received.truncated, MSG_TRUNC),
            (received.out_of_band, MSG_OOB),
            (cut, MSG_CTRUNC),
        ];
        header.msg_flags = told.iter().fold(
            0,
            |flags, (set, flag)| if *set { flags | flag } else { flags },
        );
        Ok(received.bytes)
    }))
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
    c_unit(
        option::getsockopt(fd, level, name).and_then(|(bytes, whole)| {
            if value.is_null() || length.is_null() {
                return Err(Errno(libc::EFAULT));
            }
            // SAFETY: not null; the caller answers for the rest.
            let available = unsafe { length.read() } as usize;
            let count = whole.min(available).min(VALUE_MAX);
            // SAFETY: no more than the caller has room for, and than there is.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), value.cast(), count) };
            // SAFETY: as when it was read.
            unsafe { length.write(count as socklen_t) };
            Ok(())
        }),
    )
}
