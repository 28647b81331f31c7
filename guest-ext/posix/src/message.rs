//! Sending and receiving. One function is one POSIX call, and one crossing into the host.
//!
//! Flags are C's `MSG_` bits. MSG_NOSIGNAL is always on: no call sends SIGPIPE.

use core::mem::MaybeUninit;

use wasisocket_abi::v1::{self, Ancillary};

use crate::descriptors::{self, Kind, RawFd, Type};
use crate::host::{Address, Buffers, Host as _, Imp, Message, Receiving, Sending, Want};
use crate::socket::address_for;
use crate::sys::*;
use crate::unix::as_spelled;
use crate::{Errno, Result};

// The bits that the host gets have the same numbers in C and in the ABI.
const _: () = assert!(
    MSG_OOB as u32 == v1::MSG_OOB
        && MSG_PEEK as u32 == v1::MSG_PEEK
        && MSG_CTRUNC as u32 == v1::MSG_CTRUNC
        && MSG_TRUNC as u32 == v1::MSG_TRUNC
        && MSG_MORE as u32 == v1::MSG_MORE
);

/// The direction of a call. Each end of a pipe has only one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Send,
    Receive,
}

fn type_of(kind: Kind, direction: Direction) -> Result<Type> {
    match kind {
        Kind::Socket(_, ty) => Ok(ty),
        Kind::Pipe { readable } if readable == (direction == Direction::Receive) => {
            Ok(Type::Stream)
        }
        Kind::Pipe { .. } => Err(Errno(libc::EBADF)),
        _ => Err(Errno(libc::ENOTSOCK)),
    }
}

/// A call that sends, as the host gets it. EOPNOTSUPP for an unknown flag.
pub(crate) fn sending(fd: RawFd, to: Option<&Address>, flags: i32) -> Result<Sending> {
    if flags & !(MSG_OOB | MSG_MORE | MSG_DONTWAIT | MSG_NOSIGNAL) != 0 {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    let (handle, kind, timeout) = descriptors::to_send(fd)?;
    type_of(kind, Direction::Send)?;
    Ok(Sending {
        handle,
        to: to.map(|address| address_for(kind, address)).transpose()?,
        flags: (flags & (MSG_OOB | MSG_MORE)) as u32,
        timeout: within(timeout, flags),
    })
}

/// A call that receives, as the host gets it, and what this crate has to do.
pub(crate) struct Receive {
    pub(crate) call: Receiving,
    /// How many bytes the buffers have room for.
    pub(crate) room: usize,
    /// Whether there is nothing to do. For a stream, Linux would wait for data even without room, but CPython's
    /// sock_recv does not make the call either.
    pub(crate) is_empty: bool,
    /// MSG_WAITALL: whether the call goes on until the buffers are full.
    pub(crate) fills: bool,
    /// Whether the host may return more bytes than there is room for: a datagram's whole length.
    pub(crate) whole_length: bool,
}

/// EOPNOTSUPP for an unknown flag.
pub(crate) fn receiving(
    fd: RawFd,
    buffers: &Buffers<'_>,
    want: Want,
    flags: i32,
) -> Result<Receive> {
    const FOR_HOST: i32 = MSG_OOB | MSG_PEEK | MSG_TRUNC;
    const KNOWN: i32 = FOR_HOST | MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
    if flags & !KNOWN != 0 {
        return Err(Errno(libc::EOPNOTSUPP));
    }
    let (handle, kind, timeout) = descriptors::to_receive(fd)?;
    let is_stream = type_of(kind, Direction::Receive)? == Type::Stream;
    let timeout = within(timeout, flags);
    let room = total(buffers.iter().map(|buffer| buffer.len()));
    // On a stream, MSG_TRUNC would discard the data: tcp(7).
    let ignored = if is_stream { MSG_TRUNC } else { 0 };
    Ok(Receive {
        call: Receiving {
            handle,
            want,
            flags: (flags & FOR_HOST & !ignored) as u32,
            timeout,
        },
        room,
        is_empty: is_stream && room == 0,
        fills: is_stream && timeout != 0 && flags & (MSG_WAITALL | MSG_PEEK) == MSG_WAITALL,
        whole_length: flags & MSG_TRUNC != 0,
    })
}

/// The timeout of a call, which MSG_DONTWAIT sets to 0.
fn within(timeout: i64, flags: i32) -> i64 {
    if flags & MSG_DONTWAIT != 0 {
        0
    } else {
        timeout
    }
}

fn total(lengths: impl Iterator<Item = usize>) -> usize {
    lengths.fold(0, usize::saturating_add)
}

/// `ssize_t send(int fd, const void *data, size_t length, int flags)`: send(2).
/// Returns how many bytes the host accepted, which may be fewer than `data` has.
///
/// # Errors
/// EPIPE, ECONNRESET, EDESTADDRREQ... as on Linux; EAGAIN; EOPNOTSUPP for an unknown flag.
#[inline]
pub fn send(fd: RawFd, data: &[u8], flags: i32) -> Result<usize> {
    sendmsg(fd, &[data], None, None, flags)
}

/// `ssize_t sendmsg(int fd, const struct msghdr *message, int flags)`: sendmsg(2); with one piece,
/// sendto(2). `ancillary` is for this datagram alone, over IPv6.
///
/// # Errors
/// As for [`send`]; EACCES without a grant for the address.
pub fn sendmsg(
    fd: RawFd,
    data: &[&[u8]],
    to: Option<&Address>,
    ancillary: Option<&Ancillary>,
    flags: i32,
) -> Result<usize> {
    let sent = Imp::send(&sending(fd, to, flags)?, data, ancillary)?;
    match sent <= total(data.iter().map(|piece| piece.len())) {
        true => Ok(sent),
        false => Err(Errno::EIO),
    }
}

/// `ssize_t recv(int fd, void *buffer, size_t length, int flags)`: recv(2).
/// Returns how many bytes at the start of `buffer` are now initialised; on a stream 0 is its end. With
/// MSG_TRUNC it may be more than fitted.
///
/// # Errors
/// ECONNRESET, ENOTCONN... as on Linux; EAGAIN; EOPNOTSUPP for an unknown flag.
#[inline]
pub fn recv(fd: RawFd, buffer: &mut [MaybeUninit<u8>], flags: i32) -> Result<usize> {
    recvmsg(fd, &mut [buffer], Want::default(), flags).map(|message| message.bytes)
}

/// `ssize_t recvmsg(int fd, struct msghdr *message, int flags)`: recvmsg(2); with one buffer,
/// recvfrom(2).
///
/// # Errors
/// As for [`recv`].
pub fn recvmsg(fd: RawFd, buffers: &mut Buffers<'_>, want: Want, flags: i32) -> Result<Message> {
    let receive = receiving(fd, buffers, want, flags)?;
    if receive.is_empty {
        return Ok(Message::default());
    }
    if receive.fills {
        return recv_all(&receive.call, buffers);
    }
    let received = Imp::recv(&receive.call, buffers)?;
    if received.bytes > receive.room && !receive.whole_length {
        return Err(Errno::EIO);
    }
    Ok(Message {
        from: as_spelled(received.from),
        ..received
    })
}

/// MSG_WAITALL: fills the buffers, unless the stream ends or fails, or the time is over, before that.
fn recv_all(call: &Receiving, buffers: &mut Buffers<'_>) -> Result<Message> {
    #[cfg(target_os = "wasi")]
    let _in_use = crate::threads::in_use::InUse::new([call.handle]);
    let mut message = Message::default();
    'buffers: for buffer in buffers {
        let mut rest: &mut [MaybeUninit<u8>] = buffer;
        while !rest.is_empty() {
            let bytes = match Imp::recv(call, &mut [&mut *rest]) {
                Ok(received) => received.bytes,
                // The data is not lost; the next call returns the error.
                Err(_) if message.bytes > 0 => break 'buffers,
                Err(error) => return Err(error.into()),
            };
            if bytes == 0 {
                break 'buffers;
            }
            rest = rest.get_mut(bytes..).ok_or(Errno::EIO)?;
            message.bytes = message.bytes.saturating_add(bytes);
        }
    }
    Ok(message)
}
