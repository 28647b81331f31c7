//! Where the limits hold.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use wasisocket_abi::{Errno, IO_MAX};

use super::SocketsCtx;
use super::handles::Handles;
use crate::limits::{Counted, Limit, LimitReached, Usage};
use crate::sockets::{Family, Kind, Socket};

/// What one attempt moves at most where others wait for the thread, of what can be moved in parts.
const SHARED_IO_MAX: usize = 128 << 10;

/// An operation that has a rate: with this handle.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    Connect(u32),
    Receive(u32),
    Send(u32),
}

/// How much a call may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// Bytes, at most [`IO_MAX`].
    pub(crate) most: usize,
    /// What more than that is. `None`: it stays for the next call, of a stream, or is room that is not used.
    pub(crate) excess: Option<Errno>,
}

impl SocketsCtx {
    /// When the guest's time is over.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.end
    }

    /// # Errors
    /// It is over.
    pub(crate) fn check_time(&mut self) -> Result<(), LimitReached> {
        match self.end {
            Some(end) if end <= Instant::now() => {
                self.usage.reached(Limit::Timeout);
                Err(LimitReached(Limit::Timeout))
            }
            _ => Ok(()),
        }
    }

    /// How much a stream moves in one attempt.
    fn stream_max(&self) -> usize {
        match self.shares_thread {
            true => SHARED_IO_MAX,
            false => IO_MAX,
        }
    }

    /// How long processors may work for it.
    pub(crate) fn max_cpu(&self) -> Option<Duration> {
        self.max_cpu
    }

    /// Until when the guest has to wait before it does this, if it has to.
    pub(crate) fn pause(&mut self, pace: Pace) -> Option<Instant> {
        let (Pace::Connect(handle) | Pace::Receive(handle) | Pace::Send(handle)) = pace;
        let socket = self.handles.socket(handle).ok().filter(is_counted)?;
        let counted = match pace {
            Pace::Connect(_) if socket.kind() == Kind::Datagram => return None,
            // It was waited for when it began.
            Pace::Connect(_) if socket.state().connection.is_connecting() => return None,
            Pace::Connect(_) => Counted::Connections,
            Pace::Receive(_) => Counted::Received,
            Pace::Send(_) => Counted::Sent,
        };
        self.usage.pause(counted)
    }

    /// How much may be sent now. EDQUOT if it is nothing.
    pub(crate) fn room_to_send(&mut self, handle: u32) -> Result<Room, Errno> {
        let socket = self.handles.socket(handle)?;
        let stream = socket.kind() == Kind::Stream;
        let most = match is_counted(&socket) {
            true => self.usage.room(Counted::Sent, !stream)?,
            false => usize::MAX,
        };
        Ok(Room {
            most: most.min(if stream { self.stream_max() } else { IO_MAX }),
            excess: match stream {
                true => None,
                false if most < IO_MAX => Some(Errno::EDQUOT),
                false => Some(Errno::EMSGSIZE),
            },
        })
    }

    /// Tells of the limit that is why what goes as a whole was too large to be sent, if one is.
    pub(crate) fn too_large(&mut self, errno: Errno) -> Errno {
        if errno == Errno::EDQUOT {
            self.usage.reached(Limit::MaxBytesOut);
        }
        errno
    }

    /// How much may be received now. EDQUOT if it is nothing.
    pub(crate) fn room_to_receive(&mut self, handle: u32) -> Result<Room, Errno> {
        let socket = self.handles.socket(handle)?;
        let peeked = socket.state().counts.peeked;
        let most = match is_counted(&socket) {
            // What is counted already can be had still.
            true => match self.usage.room(Counted::Received, false) {
                Ok(room) => room.saturating_add(peeked),
                Err(errno) if peeked == 0 => return Err(errno),
                Err(_) => peeked,
            },
            false => usize::MAX,
        };
        // A datagram would be cut, and the rest of it lost.
        let most = match socket.kind() {
            Kind::Stream => most.min(self.stream_max()),
            Kind::Datagram => IO_MAX,
        };
        Ok(Room { most, excess: None })
    }
}

/// Unix sockets are not: they lead nowhere that their guest has no folder of.
pub(super) fn is_counted(socket: &&Socket) -> bool {
    socket.family() != Family::Unix
}

/// EMFILE unless so many more handles can be opened.
pub(super) fn room_for(handles: &Handles, usage: &mut Usage, count: usize) -> Result<(), Errno> {
    handles
        .room_for(count)
        .inspect_err(|_| usage.reached(Limit::MaxSockets))
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
