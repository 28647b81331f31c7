//! Descriptors that are sent with messages of Unix sockets: SCM_RIGHTS of unix(7).
//!
//! The host tries once and never waits, so the waiting is done here.

use core::mem::MaybeUninit;
use std::rc::Rc;

use wasisocket_abi::v1::{self, RIGHT_FILE, RIGHT_SOCKET, RIGHTS_MAX, ReceivedRight, Right};

use crate::descriptors::{self, Description, Family, Kind, RawFd, Type};
use crate::host::{self, Address, Buffers, Host as _, Imp, Message, Want, attempt_until};
use crate::message::{receiving, sending};
use crate::sys::MSG_CMSG_CLOEXEC;
use crate::unix::as_spelled;
use crate::{Errno, Result};

/// Whether descriptors can be sent with messages of this one. Other sockets ignore them (net/core/sock.c,
/// __sock_cmsg_send).
pub fn carries_rights(fd: RawFd) -> bool {
    let kind = descriptors::get(fd).map(|descriptor| descriptor.description.kind);
    matches!(kind, Ok(Kind::Socket(Family::Unix, _)))
}

/// `ssize_t sendmsg(int fd, const struct msghdr *message, int flags)` with SCM_RIGHTS: sendmsg(2).
///
/// # Errors
/// As for [`sendmsg`](crate::sendmsg). EBADF for a number that is no descriptor; EOPNOTSUPP for a descriptor that is not
/// a socket, a pipe or a regular file, and for a file on a host that cannot send files.
pub fn sendmsg_rights(
    fd: RawFd,
    data: &[&[u8]],
    to: Option<&Address>,
    rights: &[RawFd],
    flags: i32,
) -> Result<usize> {
    let call = sending(fd, to, flags)?;
    let rights = rights.iter().map(|fd| right_of(*fd));
    let rights = rights.collect::<Result<Vec<Right>>>()?;
    let sent = attempt_until(call.handle, v1::EVENT_OUT, call.timeout, || {
        Imp::send_rights(&call, data, &rights)
    });
    Ok(sent?)
}

fn right_of(fd: RawFd) -> Result<Right> {
    let descriptor = descriptors::any(fd)?;
    match descriptor.description.kind {
        Kind::Socket(..) | Kind::Pipe { .. } => Ok(Right {
            kind: RIGHT_SOCKET,
            number: descriptor.handle,
        }),
        Kind::File => Ok(Right {
            kind: RIGHT_FILE,
            number: descriptors::file(fd)?,
        }),
        _ => Err(Errno(libc::EOPNOTSUPP)),
    }
}

/// `ssize_t recvmsg(int fd, struct msghdr *message, int flags)` with room for `max` descriptors: recvmsg(2),
/// of a Unix socket. Returns the new descriptors too. MSG_CTRUNC: there were more, or some that a guest cannot have;
/// those were closed.
///
/// # Errors
/// As for [`recvmsg`](crate::recvmsg).
pub fn recvmsg_rights(
    fd: RawFd,
    buffers: &mut Buffers<'_>,
    want: Want,
    max: usize,
    flags: i32,
) -> Result<(Message, Vec<RawFd>)> {
    let receive = receiving(fd, buffers, want, flags)?;
    let call = &receive.call;
    let mut message = Message::default();
    let mut fds = Vec::new();
    if receive.is_empty {
        return Ok((message, fds));
    }
    let mut entries = vec![ReceivedRight::default(); max.min(RIGHTS_MAX)];
    loop {
        let mut rest = rest_of(buffers, message.bytes);
        let received = attempt_until(call.handle, v1::EVENT_IN, call.timeout, || {
            Imp::recv_rights(call, &mut rest, &mut entries)
        });
        let (received, count) = match received {
            Ok(received) => received,
            // The data is not lost; the next call returns the error.
            Err(_) if message.bytes > 0 => break,
            Err(error) => return Err(error.into()),
        };
        message.bytes = message.bytes.saturating_add(received.bytes);
        message.from = as_spelled(received.from);
        message.flags = received.flags;
        let received_rights = entries.get(..count).unwrap_or_default();
        if !take(received_rights, flags & MSG_CMSG_CLOEXEC != 0, &mut fds) {
            message.flags |= v1::MSG_CTRUNC;
        }
        // Data of messages with different rights is not merged: unix(7).
        let goes_on = receive.fills && received.bytes > 0 && message.bytes < receive.room;
        if !goes_on || !fds.is_empty() || message.flags & v1::MSG_CTRUNC != 0 {
            break;
        }
    }
    if message.bytes > receive.room && !receive.whole_length {
        return Err(Errno::EIO);
    }
    Ok((message, fds))
}

/// The buffers without their first `done` bytes.
fn rest_of<'a>(
    buffers: &'a mut [&mut [MaybeUninit<u8>]],
    mut done: usize,
) -> Vec<&'a mut [MaybeUninit<u8>]> {
    buffers
        .iter_mut()
        .filter_map(|buffer| {
            let skipped = done.min(buffer.len());
            done = done.saturating_sub(skipped);
            buffer.get_mut(skipped..)
        })
        .collect()
}

/// Assigns descriptors to received rights. The first that gets none and all behind it are closed: false then.
fn take(received: &[ReceivedRight], cloexec: bool, fds: &mut Vec<RawFd>) -> bool {
    let mut all = true;
    for received in received {
        if !all {
            // Nothing can be done about an error.
            let _ = close(received.right);
            continue;
        }
        match number_of(received, cloexec) {
            Ok(fd) => fds.push(fd),
            Err(_) => all = false,
        }
    }
    all
}

/// The new descriptor. If there is none, the right is closed.
fn number_of(received: &ReceivedRight, cloexec: bool) -> Result<RawFd> {
    let Right { kind, number } = received.right;
    if kind == RIGHT_SOCKET {
        let description = match descriptors::description(received.dup_of) {
            Some(description) => description,
            None => Rc::new(Description::new(kind_of(received))),
        };
        return descriptors::insert(number, description, cloexec);
    }
    let description = Description::of_file(number);
    let fd = descriptors::insert_file(description)?;
    descriptors::set_cloexec(fd, cloexec)?;
    Ok(fd)
}

fn kind_of(received: &ReceivedRight) -> Kind {
    let family = Family::from_c(received.family.into()).unwrap_or(Family::Unix);
    let ty = match u32::from(received.ty) {
        wasisocket_abi::SOCK_DGRAM => Type::Datagram,
        _ => Type::Stream,
    };
    Kind::Socket(family, ty)
}

fn close(right: Right) -> Result<()> {
    match right.kind {
        RIGHT_SOCKET => Ok(Imp::close(right.number)?),
        _ => Ok(host::close_file(right.number)?),
    }
}

#[cfg(test)]
mod tests {
    use super::{MaybeUninit, rest_of, right_of};
    use crate::{Errno, Type, close, socketpair};

    #[test]
    fn buffers_go_on_where_the_bytes_end() {
        let mut bytes = [MaybeUninit::new(0_u8); 6];
        let (one, other) = bytes.split_at_mut(2);
        let buffers = &mut [one, other];
        for (done, lengths) in [
            (0, [2, 4]),
            (1, [1, 4]),
            (2, [0, 4]),
            (3, [0, 3]),
            (9, [0, 0]),
        ] {
            let rest = rest_of(buffers, done);
            assert_eq!([rest[0].len(), rest[1].len()], lengths, "{done}");
        }
    }

    #[test]
    fn files_and_sockets_are_told_apart() {
        let [one, other] = socketpair(Type::Stream, 0).unwrap();
        assert_eq!(right_of(one).unwrap().kind, super::RIGHT_SOCKET);
        assert_eq!(right_of(1).unwrap().kind, super::RIGHT_FILE);
        close(one).unwrap();
        close(other).unwrap();
        for fd in [one, 100, -1] {
            assert_eq!(right_of(fd), Err(Errno(libc::EBADF)), "{fd}");
        }
    }
}
