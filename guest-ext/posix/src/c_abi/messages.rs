//! The functions of sys/socket.h that send and receive, and what read and write share with them.
//!
//! # Safety
//!
//! See the parent module.

use core::mem::MaybeUninit;
use core::{ptr, slice};
use std::ffi::c_int;

use wasisocket_abi::v1::IOVECS_MAX;

use super::sockets::{address_at, put_address};
use super::{bytes, c_length, slice_mut};
use crate::ancillary;
use crate::host::Want;
use crate::message;
use crate::rights::{carries_rights, recvmsg_rights, sendmsg_rights};
use crate::sys::{MSG_CMSG_CLOEXEC, MSG_CTRUNC, iovec, msghdr, socklen_t};
use crate::{Address, Errno, Result};

/// send(2).
///
/// # Safety
/// `data` points to `length` readable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, data: *const u8, length: usize, flags: c_int) -> isize {
    // SAFETY: passed on.
    let data = unsafe { bytes(data, length) };
    c_length(data.and_then(|data| message::send(fd, data, flags)))
}

/// The address to send to, if there is one.
///
/// # Safety
/// `to` is null or points to `length` readable bytes.
unsafe fn destination(to: *const u8, length: socklen_t) -> Result<Option<Address>> {
    match to.is_null() {
        true => Ok(None),
        // SAFETY: passed on.
        false => unsafe { address_at(to, length) }.map(Some),
    }
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
    // SAFETY: passed on.
    c_length(unsafe { bytes(data, length) }.and_then(|data| {
        // SAFETY: passed on.
        let to = unsafe { destination(to, to_length) }?;
        message::sendmsg(fd, &[data], to.as_ref(), None, flags)
    }))
}

/// recv(2).
///
/// # Safety
/// `buffer` points to `length` writable bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut u8, length: usize, flags: c_int) -> isize {
    // SAFETY: passed on.
    let buffer = unsafe { slice_mut(buffer.cast(), length) };
    c_length(buffer.and_then(|buffer| message::recv(fd, buffer, flags)))
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
    // SAFETY: passed on.
    c_length(
        unsafe { slice_mut(buffer.cast(), length) }.and_then(|buffer| {
            let want = Want {
                address: !from.is_null(),
                ancillary: false,
            };
            let message = message::recvmsg(fd, &mut [buffer], want, flags)?;
            // SAFETY: passed on.
            unsafe { put_address(&message.from, from, from_length) }?;
            Ok(message.bytes)
        }),
    )
}

/// The `count` iovecs at `first`. EMSGSIZE for more than UIO_MAXIOV, as on Linux.
///
/// # Safety
/// `first` points to `count` iovecs.
pub(super) unsafe fn iovecs<'a>(first: *const iovec, count: c_int) -> Result<&'a [iovec]> {
    let count = usize::try_from(count).map_err(|_| Errno(libc::EINVAL))?;
    match (first.is_null(), count) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(Errno(libc::EFAULT)),
        (_, count) if count > IOVECS_MAX => Err(Errno(libc::EMSGSIZE)),
        // SAFETY: not null; the caller is responsible for the rest.
        _ => Ok(unsafe { slice::from_raw_parts(first, count) }),
    }
}

/// Calls `send` with the data that the iovecs point to.
///
/// # Safety
/// Each points to as many readable bytes as it says.
pub(super) unsafe fn with_data<T>(
    iovecs: &[iovec],
    send: impl FnOnce(&[&[u8]]) -> Result<T>,
) -> Result<T> {
    // SAFETY: passed on.
    let piece = |iovec: &iovec| unsafe { bytes(iovec.iov_base.cast(), iovec.iov_len) };
    match iovecs {
        [only] => send(&[piece(only)?]),
        many => {
            let pieces: Result<Vec<&[u8]>> = many.iter().map(piece).collect();
            send(&pieces?)
        }
    }
}

/// Calls `receive` with the buffers that the iovecs point to.
///
/// # Safety
/// Each points to as many writable bytes as it says, and no two overlap.
pub(super) unsafe fn with_room<T>(
    iovecs: &[iovec],
    receive: impl FnOnce(&mut [&mut [MaybeUninit<u8>]]) -> Result<T>,
) -> Result<T> {
    // SAFETY: passed on.
    let piece = |iovec: &iovec| unsafe { slice_mut(iovec.iov_base.cast(), iovec.iov_len) };
    match iovecs {
        [only] => receive(&mut [piece(only)?]),
        many => {
            let pieces: Result<Vec<_>> = many.iter().map(piece).collect();
            receive(&mut pieces?)
        }
    }
}

/// sendmsg(2). Ancillary data can be a hop limit, a traffic class, or descriptors.
///
/// # Safety
/// `message` and all that it points to are readable.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> isize {
    // SAFETY: null or a message.
    let Some(message) = (unsafe { message.as_ref() }) else {
        return c_length(Err(Errno(libc::EFAULT)));
    };
    // SAFETY: passed on.
    let control = unsafe { bytes(message.msg_control.cast(), message.msg_controllen as usize) };
    c_length(control.and_then(ancillary::read).and_then(|control| {
        // SAFETY: passed on.
        let to = unsafe { destination(message.msg_name.cast(), message.msg_namelen) }?;
        // SAFETY: passed on.
        let iovecs = unsafe { iovecs(message.msg_iov, message.msg_iovlen) }?;
        let to = to.as_ref();
        if !control.rights.is_empty() && carries_rights(fd) {
            let send = |data: &[&[u8]]| sendmsg_rights(fd, data, to, &control.rights, flags);
            // SAFETY: passed on.
            return unsafe { with_data(iovecs, send) };
        }
        let ancillary = control.ancillary.as_ref();
        let send = |data: &[&[u8]]| message::sendmsg(fd, data, to, ancillary, flags);
        // SAFETY: passed on.
        unsafe { with_data(iovecs, send) }
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
    // SAFETY: passed on.
    let iovecs = unsafe { iovecs(header.msg_iov, header.msg_iovlen) };
    c_length(iovecs.and_then(|iovecs| {
        let want = Want {
            address: !header.msg_name.is_null(),
            ancillary: !header.msg_control.is_null() && header.msg_controllen > 0,
        };
        let room = match want.ancillary {
            true => header.msg_controllen as usize,
            false => 0,
        };
        // SAFETY: passed on.
        let (received, fds) = unsafe {
            with_room(iovecs, |buffers| match carries_rights(fd) {
                true => {
                    let max = ancillary::rights_room(room);
                    recvmsg_rights(fd, buffers, want, max, flags)
                }
                false => Ok((message::recvmsg(fd, buffers, want, flags)?, Vec::new())),
            })
        }?;
        let mut length = header.msg_namelen;
        // SAFETY: passed on; the length is a local's.
        unsafe { put_address(&received.from, header.msg_name.cast(), &mut length) }?;
        if want.address {
            header.msg_namelen = length;
        }
        let (mut control, cut) = ancillary::write(&received.ancillary, room);
        // No socket has both.
        control.extend(ancillary::write_rights(&fds));
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
        header.msg_flags = flags & MSG_CMSG_CLOEXEC | received.flags as c_int;
        if cut {
            header.msg_flags |= MSG_CTRUNC;
        }
        Ok(received.bytes)
    }))
}
