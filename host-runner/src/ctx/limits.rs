//! Where limits are applied: the only place that asks what is left of them.

use std::net::SocketAddr;
use std::time::Instant;

use wasisocket_abi::{Errno, IO_MAX};

use super::SocketsCtx;
use super::handles::Handles;
use crate::limits::{Counted, Limit, LimitReached, Usage};
use crate::sockets::{Family, Kind, Socket};

/// How many bytes one attempt moves at most over a stream while other guests wait for the thread.
const SHARED_IO_MAX: usize = 128 << 10;

/// Why an operation was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDone {
    Errno(Errno),
    /// A rate is used up until then. The guest has to wait for that, also in a call that does not wait otherwise.
    Pause(Instant),
}

impl From<Errno> for NotDone {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl SocketsCtx {
    /// # Errors
    /// The guest's time is over.
    pub(crate) fn check_time(&self) -> Result<(), LimitReached> {
        match self.end {
            Some(end) if end <= Instant::now() => {
                self.events.limit_reached(Limit::Timeout);
                Err(LimitReached(Limit::Timeout))
            }
            _ => Ok(()),
        }
    }

    /// How many bytes one attempt may move over a stream.
    pub(super) fn stream_max(&self) -> usize {
        match self.shares_thread {
            true => SHARED_IO_MAX,
            false => IO_MAX,
        }
    }
}

/// Unix sockets are not counted: they lead only where the guest has a folder.
pub(super) fn is_counted(socket: &Socket) -> bool {
    socket.family() != Family::Unix
}

/// EMFILE unless so many more handles can be opened.
pub(super) fn check_handles(
    handles: &Handles,
    usage: &mut Usage,
    count: usize,
) -> Result<(), Errno> {
    handles
        .room_for(count)
        .inspect_err(|_| usage.reached(Limit::MaxSockets))
}

/// How many bytes one call may move over a socket, whatever is left of its limits.
pub(super) fn move_max(socket: &Socket, stream_max: usize) -> usize {
    match socket.kind() {
        Kind::Stream => stream_max,
        Kind::Datagram => IO_MAX,
    }
}

/// EMSGSIZE for a datagram that is longer than one call may move. More data of a stream is for the next call.
pub(super) fn check_length(socket: &Socket, length: usize) -> Result<(), Errno> {
    match socket.kind() == Kind::Datagram && length > IO_MAX {
        true => Err(Errno::EMSGSIZE),
        false => Ok(()),
    }
}

/// How many bytes of a message of this length may be sent now. EDQUOT if none may, and for a datagram that is
/// longer than what may.
pub(super) fn allow_sending(
    socket: &Socket,
    usage: &mut Usage,
    length: usize,
    stream_max: usize,
) -> Result<usize, NotDone> {
    let most = move_max(socket, stream_max);
    if !is_counted(socket) {
        check_length(socket, length)?;
        return Ok(most);
    }
    check_rate(usage, Counted::Sent)?;
    let stream = socket.kind() == Kind::Stream;
    let left = usage.room(Counted::Sent, !stream)?;
    if !stream && length > left && left < IO_MAX {
        usage.reached(Limit::MaxBytesOut);
        return Err(Errno::EDQUOT.into());
    }
    check_length(socket, length)?;
    Ok(left.min(most))
}

/// How many bytes may be received now. EDQUOT if none may.
pub(super) fn allow_receiving(
    socket: &Socket,
    usage: &mut Usage,
    stream_max: usize,
) -> Result<usize, NotDone> {
    let most = move_max(socket, stream_max);
    if !is_counted(socket) {
        return Ok(most);
    }
    check_rate(usage, Counted::Received)?;
    // What MSG_PEEK has shown is counted already, and may be received still.
    let peeked = socket.state().counts.peeked;
    let left = match usage.room(Counted::Received, false) {
        Ok(left) => left.saturating_add(peeked),
        Err(errno) if peeked == 0 => return Err(errno.into()),
        Err(_) => peeked,
    };
    // A datagram would be cut, and the rest of it lost.
    Ok(match socket.kind() {
        Kind::Stream => left.min(most),
        Kind::Datagram => most,
    })
}

/// Checks the rate of connections, for a stream that does not connect yet.
pub(super) fn check_connect_rate(socket: &Socket, usage: &mut Usage) -> Result<(), NotDone> {
    let connects = is_counted(socket) && socket.kind() == Kind::Stream;
    match connects && !socket.state().connection.is_connecting() {
        true => check_rate(usage, Counted::Connections),
        false => Ok(()),
    }
}

fn check_rate(usage: &mut Usage, counted: Counted) -> Result<(), NotDone> {
    usage
        .pause(counted)
        .map_or(Ok(()), |until| Err(NotDone::Pause(until)))
}

/// Connects a stream. An attempt counts once, however often the guest calls connect(2) for it. The outer error is
/// that of the limit, without an attempt.
pub(super) fn connect_counted(
    socket: &Socket,
    address: SocketAddr,
    usage: &mut Usage,
) -> Result<Result<(), Errno>, Errno> {
    let before = socket.state().connection;
    if !before.is_connecting() {
        usage.room(Counted::Connections, true)?;
    }
    let result = socket.connect(&address);
    let mut state = socket.state();
    if !before.is_connecting() && result != Err(Errno::EISCONN) {
        usage.used(Counted::Connections, 1);
        // What MSG_PEEK showed came over the connection before.
        state.counts.peeked = 0;
    }
    state.connection = before.after_connect(address, result);
    Ok(result)
}
