//! Sending and receiving. One function is one POSIX call, and one crossing into the host.

use core::mem::MaybeUninit;

use wasisocket_abi::v1::{self, Ancillary};

use crate::descriptors::{self, Kind, RawFd, Type};
use crate::host::{Address, Host as _, Imp, Want};
use crate::socket::address_for;
use crate::unix::as_spelled;
use crate::{Errno, Result};

/// Flags for sending. MSG_NOSIGNAL is always on, because there are no signals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFlags {
    /// MSG_OOB.
    pub out_of_band: bool,
    /// MSG_MORE.
    pub more: bool,
    /// MSG_DONTWAIT.
    pub dont_wait: bool,
}

/// Flags for receiving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecvFlags {
    /// MSG_OOB.
    pub out_of_band: bool,
    /// MSG_PEEK.
    pub peek: bool,
    /// MSG_TRUNC: return a datagram's whole length.
    pub whole_length: bool,
    /// MSG_WAITALL.
    pub wait_all: bool,
    /// MSG_DONTWAIT.
    pub dont_wait: bool,
}

impl SendFlags {
    /// The flags in the ABI's numbers.
    pub(crate) fn bits(self) -> u32 {
        bits(&[(self.out_of_band, v1::MSG_OOB), (self.more, v1::MSG_MORE)])
    }
}

impl RecvFlags {
    /// The flags in the ABI's numbers, for a socket of this type.
    pub(crate) fn bits(self, ty: Type) -> u32 {
        bits(&[
            (self.out_of_band, v1::MSG_OOB),
            (self.peek, v1::MSG_PEEK),
            (self.whole_length && ty != Type::Stream, v1::MSG_TRUNC),
        ])
    }

    /// Whether a call on a socket of this type goes on until the buffers are full.
    pub(crate) fn fills(self, ty: Type, timeout: i64) -> bool {
        self.wait_all && ty == Type::Stream && timeout != 0 && !self.peek
    }
}

fn bits(flags: &[(bool, u32)]) -> u32 {
    let set = flags.iter().filter(|(set, _)| *set);
    set.fold(0, |all, (_, bit)| all | bit)
}

/// The direction of a call. Each end of a pipe has only one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Send,
    Receive,
}

pub(crate) fn type_of(kind: Kind, direction: Direction) -> Result<Type> {
    match kind {
        Kind::Socket(_, ty) => Ok(ty),
        Kind::Pipe { readable } if readable == (direction == Direction::Receive) => {
            Ok(Type::Stream)
        }
        Kind::Pipe { .. } => Err(Errno(libc::EBADF)),
        _ => Err(Errno(libc::ENOTSOCK)),
    }
}

/// `ssize_t send(int fd, const void *data, size_t length, int flags)`: send(2).
/// Returns how many bytes the host accepted, which may be fewer than `data` has.
///
/// # Errors
/// EPIPE, ECONNRESET, EDESTADDRREQ... as on Linux; EAGAIN.
#[inline]
pub fn send(fd: RawFd, data: &[u8], flags: SendFlags) -> Result<usize> {
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
    flags: SendFlags,
) -> Result<usize> {
    let (handle, kind, timeout) = descriptors::to_send(fd)?;
    type_of(kind, Direction::Send)?;
    let timeout = if flags.dont_wait { 0 } else { timeout };
    let to = match to {
        Some(address) => Some(address_for(kind, address)?),
        None => None,
    };
    let sent = Imp::send(handle, data, to.as_ref(), ancillary, flags.bits(), timeout)?;
    let given = data
        .iter()
        .fold(0, |sum: usize, piece| sum.saturating_add(piece.len()));
    if sent > given {
        Err(Errno::EIO)
    } else {
        Ok(sent)
    }
}

/// `ssize_t recv(int fd, void *buffer, size_t length, int flags)`: recv(2).
/// Returns how many bytes at the start of `buffer` are now initialised; on a stream 0 is its end. With
/// MSG_TRUNC it may be more than fitted.
///
/// # Errors
/// ECONNRESET, ENOTCONN... as on Linux; EAGAIN.
#[inline]
pub fn recv(fd: RawFd, buffer: &mut [MaybeUninit<u8>], flags: RecvFlags) -> Result<usize> {
    recvmsg(fd, &mut [buffer], Want::default(), flags).map(|message| message.bytes)
}

/// A received message, without its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// How many bytes are initialised, from the first buffer on; with MSG_TRUNC the length of the whole datagram.
    pub bytes: usize,
    /// The sender, if it was asked for and has an address.
    pub from: Address,
    /// The datagram's ancillary data, if it was asked for.
    pub ancillary: Ancillary,
    /// MSG_TRUNC: the datagram was longer than the buffers.
    pub truncated: bool,
    /// MSG_OOB.
    pub out_of_band: bool,
}

/// `ssize_t recvmsg(int fd, struct msghdr *message, int flags)`: recvmsg(2); with one buffer,
/// recvfrom(2).
///
/// # Errors
/// As for [`recv`].
pub fn recvmsg(
    fd: RawFd,
    buffers: &mut [&mut [MaybeUninit<u8>]],
    want: Want,
    flags: RecvFlags,
) -> Result<Message> {
    let (handle, kind, timeout) = descriptors::to_receive(fd)?;
    let ty = type_of(kind, Direction::Receive)?;
    let room = buffers
        .iter()
        .fold(0, |sum: usize, buffer| sum.saturating_add(buffer.len()));
    // For a stream, Linux would wait for data even so, but CPython's sock_recv does not make the call either.
    if room == 0 && ty == Type::Stream {
        return Ok(Message::default());
    }
    let timeout = if flags.dont_wait { 0 } else { timeout };
    let bits = flags.bits(ty);
    if flags.fills(ty, timeout) {
        return recv_all(handle, buffers, bits, timeout);
    }
    let received = Imp::recv(handle, buffers, want, bits, timeout)?;
    if received.bytes > room && !flags.whole_length {
        return Err(Errno::EIO);
    }
    Ok(Message {
        bytes: received.bytes,
        from: as_spelled(received.from),
        ancillary: received.ancillary,
        truncated: received.flags & v1::MSG_TRUNC != 0,
        out_of_band: received.flags & v1::MSG_OOB != 0,
    })
}

/// MSG_WAITALL: fills the buffers, unless the stream ends or fails, or the time is over, before that.
fn recv_all(
    handle: u32,
    buffers: &mut [&mut [MaybeUninit<u8>]],
    bits: u32,
    timeout: i64,
) -> Result<Message> {
    let mut total: usize = 0;
    'buffers: for buffer in buffers {
        let mut rest: &mut [MaybeUninit<u8>] = buffer;
        while !rest.is_empty() {
            let received =
                match Imp::recv(handle, &mut [&mut *rest], Want::default(), bits, timeout) {
                    Ok(received) => received,
                    // The data is not lost; the next call returns the error.
                    Err(_) if total > 0 => break 'buffers,
                    Err(error) => return Err(error.into()),
                };
            if received.bytes == 0 {
                break 'buffers;
            }
            rest = rest.get_mut(received.bytes..).ok_or(Errno::EIO)?;
            total = total.saturating_add(received.bytes);
        }
    }
    Ok(Message {
        bytes: total,
        ..Message::default()
    })
}
