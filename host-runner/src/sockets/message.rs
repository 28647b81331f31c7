//! Sending and receiving, straight from and to the caller's memory.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;

use rustix::io::retry_on_intr;
use rustix::net::{
    self, RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags,
    SocketAddrAny,
};
use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::Ancillary;

use super::socket::{Kind, Socket};
use super::unix::UnixPlace;
use super::wait::Patience;
use crate::errno::from_system;

/// How many datagrams or connections of senders that are not admitted one attempt discards before it answers EAGAIN:
/// they must not hold up a call that does not wait.
pub(super) const STRANGERS_MAX: usize = 256;

/// What to send. A single piece needs no vector.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Data<'a> {
    One(&'a [u8]),
    Many(&'a [IoSlice<'a>]),
}

/// Where received data goes.
#[derive(Debug)]
pub(crate) enum Buffers<'v, 'm> {
    One(&'m mut [u8]),
    Many(&'v mut [IoSliceMut<'m>]),
}

/// The destination of a message.
#[derive(Debug)]
pub(crate) enum Destination {
    /// To the peer.
    Peer,
    Ip(SocketAddr),
    Unix(UnixPlace),
}

/// How to receive, and what to report besides the data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receiving {
    pub(crate) flags: RecvFlags,
    /// Report the sender.
    pub(crate) from: bool,
    /// Report the ancillary data, if the socket has any.
    pub(crate) ancillary: bool,
    /// Fail with ENOTCONN on a datagram socket without a peer or a port, as the core six do.
    pub(crate) needs_peer: bool,
    pub(crate) patience: Patience,
}

/// What was received.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The length of the message, for a datagram including what found no room.
    pub(crate) length: usize,
    /// A datagram was longer than the room.
    pub(crate) truncated: bool,
    pub(crate) out_of_band: bool,
    pub(crate) from: Option<SocketAddrAny>,
    pub(crate) ancillary: Ancillary,
}

/// Decides whose datagrams or connections are received; `None` admits everybody.
pub(crate) type Admission<'a> = Option<&'a dyn Fn(SocketAddr) -> bool>;

impl Socket {
    /// sendmsg(2); how many bytes the kernel took. `ancillary` is what this socket can send.
    pub(crate) fn send(
        &self,
        data: Data<'_>,
        to: &Destination,
        ancillary: &Ancillary,
        flags: SendFlags,
        patience: Patience,
    ) -> Result<usize, Errno> {
        let flags = match patience.is_endless() {
            true => flags | SendFlags::NOSIGNAL,
            false => flags | SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
        };
        let result = retry_on_intr(|| match ancillary.present {
            0 => self.send_once(data, to, flags),
            _ => self.send_with_ancillary(data, to, ancillary, flags),
        });
        self.settle_reuse_if_it_waits();
        result.map_err(from_system)
    }

    fn send_once(
        &self,
        data: Data<'_>,
        to: &Destination,
        flags: SendFlags,
    ) -> rustix::io::Result<usize> {
        let mut control = SendAncillaryBuffer::default();
        match (data, to) {
            (Data::One(data), Destination::Peer) => net::send(self, data, flags),
            (Data::One(data), Destination::Ip(to)) => net::sendto(self, data, flags, to),
            (Data::One(data), Destination::Unix(to)) => net::sendto(self, data, flags, &to.address),
            (Data::Many(data), Destination::Peer) => net::sendmsg(self, data, &mut control, flags),
            (Data::Many(data), Destination::Ip(to)) => {
                net::sendmsg_addr(self, to, data, &mut control, flags)
            }
            (Data::Many(data), Destination::Unix(to)) => {
                net::sendmsg_addr(self, &to.address, data, &mut control, flags)
            }
        }
    }

    /// recvmsg(2). Asks the kernel for the sender only if `receiving` says so or `admission` needs it.
    pub(crate) fn recv(
        &self,
        buffers: &mut Buffers<'_, '_>,
        receiving: Receiving,
        admission: Admission<'_>,
    ) -> Result<Incoming, Errno> {
        let flags = receiving.flags;
        let flags = match receiving.patience.is_endless() {
            true => flags,
            false => flags | RecvFlags::DONTWAIT,
        };
        // A stream would take MSG_TRUNC as an order to discard the data (tcp(7)).
        let flags = match self.kind() {
            Kind::Stream => flags - RecvFlags::TRUNC,
            Kind::Datagram => flags | RecvFlags::TRUNC,
        };
        let from = receiving.from || admission.is_some();
        let ancillary = receiving.ancillary && self.has_ancillary();
        // Data is in the guest's memory already when its sender is known. The guest must find neither data of a
        // sender that is not admitted nor its length.
        let mut wiped = false;
        for _ in 0..STRANGERS_MAX {
            let incoming = retry_on_intr(|| match ancillary {
                false => self.recv_once(buffers, flags, from),
                true => self.recv_with_ancillary(buffers, flags),
            })
            .map_err(from_system)?;
            let Some(admits) = admission else {
                return Ok(incoming);
            };
            if source(&incoming.from).is_some_and(admits) {
                return Ok(incoming);
            }
            buffers.wipe(if wiped { incoming.length } else { usize::MAX });
            wiped = true;
            self.state().counts.peeked = 0;
            if flags.contains(RecvFlags::PEEK) {
                self.discard()?;
            }
        }
        Err(Errno::EAGAIN)
    }

    fn recv_once(
        &self,
        buffers: &mut Buffers<'_, '_>,
        flags: RecvFlags,
        from: bool,
    ) -> rustix::io::Result<Incoming> {
        let room = buffers.room();
        let datagram = self.kind() == Kind::Datagram;
        let incoming = |length: usize, from| Incoming {
            length,
            truncated: datagram && length > room,
            out_of_band: !datagram && length > 0 && flags.contains(RecvFlags::OOB),
            from,
            ancillary: Ancillary::default(),
        };
        match buffers {
            Buffers::One(buffer) if from => {
                let (_, length, from) = net::recvfrom(self, &mut **buffer, flags)?;
                Ok(incoming(length, from))
            }
            Buffers::One(buffer) => {
                let (_, length) = net::recv(self, &mut **buffer, flags)?;
                Ok(incoming(length, None))
            }
            Buffers::Many(buffers) => {
                let mut control = RecvAncillaryBuffer::default();
                let message = net::recvmsg(self, buffers, &mut control, flags)?;
                Ok(Incoming {
                    out_of_band: message.flags.contains(ReturnFlags::OOB),
                    ..incoming(message.bytes, message.address)
                })
            }
        }
    }

    /// Discards datagrams at the head of the queue whose senders are not admitted, so that the next question about
    /// the queue is about a datagram that the guest may have. False if there is none yet.
    pub(crate) fn discard_strangers(&self, admits: &dyn Fn(SocketAddr) -> bool) -> bool {
        for _ in 0..STRANGERS_MAX {
            let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
            let head = retry_on_intr(|| self.recv_once(&mut Buffers::One(&mut []), flags, true));
            let Ok(head) = head else { return false };
            if source(&head.from).is_some_and(admits) {
                return true;
            }
            if self.discard().is_err() {
                return false;
            }
        }
        false
    }

    pub(super) fn discard(&self) -> Result<(), Errno> {
        self.state().counts.peeked = 0;
        let nothing = &mut Buffers::One(&mut []);
        retry_on_intr(|| self.recv_once(nothing, RecvFlags::DONTWAIT, false))
            .map(drop)
            .map_err(from_system)
    }
}

impl Incoming {
    /// The IP address of the sender, if it was asked for.
    pub(crate) fn source(&self) -> Option<SocketAddr> {
        source(&self.from)
    }
}

/// The IP address of a peer.
pub(super) fn source(from: &Option<SocketAddrAny>) -> Option<SocketAddr> {
    SocketAddr::try_from(from.clone()?).ok()
}

/// Pieces of memory to send. Vectors up to this length need no allocation.
pub(crate) type Pieces<'a> = SmallVec<[IoSlice<'a>; 16]>;

impl<'a> Data<'a> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::One(data) => data.len(),
            Self::Many(data) => data.iter().map(|piece| piece.len()).sum(),
        }
    }

    /// Calls with a vector, also for a single piece.
    pub(super) fn with_vector<T>(self, send: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        match self {
            Self::One(data) => send(&[IoSlice::new(data)]),
            Self::Many(data) => send(data),
        }
    }

    /// No more than the first `most` bytes; `pieces` is room for a shorter vector.
    pub(crate) fn first<'s>(self, most: usize, pieces: &'s mut Pieces<'a>) -> Data<'s>
    where
        'a: 's,
    {
        match self {
            Self::One(data) => Data::One(data.get(..most).unwrap_or(data)),
            Self::Many(_) if self.len() <= most => self,
            Self::Many(data) => {
                let mut left = most;
                for piece in data {
                    let piece = piece.get(..left).unwrap_or(piece);
                    left -= piece.len();
                    pieces.push(IoSlice::new(piece));
                }
                Data::Many(pieces)
            }
        }
    }
}

impl Buffers<'_, '_> {
    /// Calls with no more room than for the first `most` bytes.
    pub(crate) fn with_first<T>(
        &mut self,
        most: usize,
        receive: impl FnOnce(&mut Buffers<'_, '_>) -> T,
    ) -> T {
        let room = self.room();
        match self {
            _ if room <= most => receive(self),
            Self::One(buffer) => {
                let (first, _) = buffer.split_at_mut(most);
                receive(&mut Buffers::One(first))
            }
            Self::Many(buffers) => {
                let mut left = most;
                let mut first: SmallVec<[IoSliceMut<'_>; 16]> = SmallVec::new();
                for buffer in buffers.iter_mut() {
                    let length = buffer.len().min(left);
                    left -= length;
                    first.push(IoSliceMut::new(buffer.split_at_mut(length).0));
                }
                receive(&mut Buffers::Many(&mut first))
            }
        }
    }

    /// Calls with a vector, also for a single piece.
    pub(super) fn with_vector<T>(&mut self, receive: impl FnOnce(&mut [IoSliceMut<'_>]) -> T) -> T {
        match self {
            Self::One(buffer) => receive(&mut [IoSliceMut::new(buffer)]),
            Self::Many(buffers) => receive(buffers),
        }
    }

    pub(crate) fn room(&self) -> usize {
        match self {
            Self::One(buffer) => buffer.len(),
            Self::Many(buffers) => buffers.iter().map(|buffer| buffer.len()).sum(),
        }
    }

    fn wipe(&mut self, length: usize) {
        self.with_vector(|buffers| {
            let mut left = length;
            for buffer in buffers {
                let written = left.min(buffer.len());
                buffer[..written].fill(0);
                left -= written;
            }
        });
    }
}
