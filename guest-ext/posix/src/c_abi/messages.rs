//! The functions of sys/socket.h that send and receive, and what read and write share with them.
//!
//! # Safety
//!
//! See the parent module.

use core::mem::MaybeUninit;
use core::{ptr, slice};
use std::ffi::c_int;

use wasisocket_abi::v1::{Ancillary, IOVECS_MAX};

use super::sockets::{address_at, put_address};
use super::{LENGTH_MAX, bytes, c_length};
use crate::ancillary;
use crate::host::Want;
use crate::message::{self, Message, RecvFlags, SendFlags};
use crate::rights::{Rights, carries_rights, recvmsg_rights, sendmsg_rights};
use crate::sys::{
    MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK,
    MSG_TRUNC, MSG_WAITALL, iovec, msghdr, socklen_t,
};
use crate::{Address, Errno, RawFd, Result};

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
    match flags & !(known | MSG_CMSG_CLOEXEC) {
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

/// The buffer at `base`.
///
/// # Safety
/// `base` points to `length` writable bytes, for as long as the slice is in use.
unsafe fn room<'a>(base: *mut u8, length: usize) -> Result<&'a mut [MaybeUninit<u8>]> {
    match (base.is_null(), length) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(Errno(libc::EFAULT)),
        // SAFETY: not null; the caller is responsible for the rest.
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

/// Sends the data that the iovecs point to.
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
    unsafe {
        with_data(iovecs, |data| {
            message::sendmsg(fd, data, to, ancillary, flags)
        })
    }
}

/// Calls `send` with the data that the iovecs point to.
///
/// # Safety
/// As for [`send_iovecs`].
unsafe fn with_data<T>(iovecs: &[iovec], send: impl FnOnce(&[&[u8]]) -> Result<T>) -> Result<T> {
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

/// Receives into the buffers that the iovecs point to.
///
/// # Safety
/// Each points to as many writable bytes as it says, and no two overlap.
pub(super) unsafe fn recv_iovecs(
    fd: RawFd,
    iovecs: &[iovec],
    want: Want,
    flags: RecvFlags,
) -> Result<Message> {
    // SAFETY: passed on.
    unsafe { with_room(iovecs, |buffers| message::recvmsg(fd, buffers, want, flags)) }
}

/// Calls `receive` with the buffers that the iovecs point to.
///
/// # Safety
/// As for [`recv_iovecs`].
unsafe fn with_room<T>(
    iovecs: &[iovec],
    receive: impl FnOnce(&mut [&mut [MaybeUninit<u8>]]) -> Result<T>,
) -> Result<T> {
    // SAFETY: passed on.
    let piece = |iovec: &iovec| unsafe { room(iovec.iov_base.cast(), iovec.iov_len) };
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
    c_length(send_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let control =
            unsafe { bytes(message.msg_control.cast(), message.msg_controllen as usize) }?;
        let control = ancillary::read(control)?;
        let to = match message.msg_name.is_null() {
            true => None,
            // SAFETY: passed on.
            false => Some(unsafe { address_at(message.msg_name.cast(), message.msg_namelen) }?),
        };
        // SAFETY: passed on.
        let iovecs = unsafe { iovecs(message.msg_iov, message.msg_iovlen) }?;
        let to = to.as_ref();
        if !control.rights.is_empty() && carries_rights(fd) {
            let send = |data: &[&[u8]]| sendmsg_rights(fd, data, to, &control.rights, flags);
            // SAFETY: passed on.
            return unsafe { with_data(iovecs, send) };
        }
        // SAFETY: passed on.
        unsafe { send_iovecs(fd, iovecs, to, control.ancillary.as_ref(), flags) }
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
    let cloexec = flags & MSG_CMSG_CLOEXEC;
    c_length(recv_flags(flags).and_then(|flags| {
        // SAFETY: passed on.
        let iovecs = unsafe { iovecs(header.msg_iov, header.msg_iovlen) }?;
        let want = Want {
            address: !header.msg_name.is_null(),
            ancillary: !header.msg_control.is_null() && header.msg_controllen > 0,
        };
        let room = match want.ancillary {
            true => header.msg_controllen as usize,
            false => 0,
        };
        let (received, rights) = if carries_rights(fd) {
            let max = ancillary::rights_room(room);
            // SAFETY: passed on.
            unsafe {
                with_room(iovecs, |buffers| {
                    recvmsg_rights(fd, buffers, want, max, flags, cloexec != 0)
                })
            }?
        } else {
            // SAFETY: passed on.
            let received = unsafe { recv_iovecs(fd, iovecs, want, flags) }?;
            (received, Rights::default())
        };
        let mut length = header.msg_namelen;
        // SAFETY: passed on; the length is a local's.
        unsafe { put_address(&received.from, header.msg_name.cast(), &mut length) }?;
        if want.address {
            header.msg_namelen = length;
        }
        let (mut control, cut) = ancillary::write(&received.ancillary, room);
        // No socket has both.
        control.extend(ancillary::write_rights(&rights.fds));
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
        let flags = [
            (received.truncated, MSG_TRUNC),
            (received.out_of_band, MSG_OOB),
            (cut || rights.cut, MSG_CTRUNC),
        ];
        header.msg_flags = flags.iter().fold(
            cloexec,
            |flags, (set, flag)| if *set { flags | flag } else { flags },
        );
        Ok(received.bytes)
    }))
}
