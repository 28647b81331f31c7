//! Sending and receiving. What streams send and receive was allowed when they were connected or accepted; the policy
//! is asked about each datagram.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{Ancillary, RIGHTS_MAX};

use super::limits::{allow_receiving, allow_sending, is_counted};
use super::report::{endpoint, unix_endpoint};
use super::{Address, Name, NotDone, SocketsCtx};
use crate::limits::Counted;
use crate::policy::{Operation, Protocol, destination};
use crate::sockets::{
    Admission, AllowedDestination, Buffers, Data, Destination, Family, Inbound, Incoming, Kind,
    Patience, Pieces, Receiving, Socket,
};

/// What to send, where to and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) data: Data<'a>,
    /// The destination; `None` is the peer.
    pub(crate) to: Option<Address>,
    pub(crate) ancillary: Ancillary,
    pub(crate) flags: SendFlags,
}

impl<'a> Outgoing<'a> {
    /// To the peer, without anything else.
    pub(crate) fn to_peer(data: &'a [u8]) -> Self {
        Self {
            data: Data::One(data),
            to: None,
            ancillary: Ancillary::default(),
            flags: SendFlags::empty(),
        }
    }
}

impl SocketsCtx {
    /// sendmsg(2), of as much as limits allow now; how many bytes were sent.
    pub(crate) fn send(
        &mut self,
        handle: u32,
        message: Outgoing<'_>,
        patience: Patience,
    ) -> Result<usize, NotDone> {
        let stream_max = self.stream_max();
        let socket = self.handles.socket(handle)?;
        let Outgoing {
            data,
            to,
            ancillary,
            flags,
        } = message;
        let mut pieces = Pieces::new();
        let allowed = allow_sending(socket, &mut self.usage, data.len(), stream_max)?;
        may_be_out_of_band(socket, flags.contains(SendFlags::OOB))?;
        socket.check_ancillary(&ancillary)?;
        let to = match to {
            None => Destination::Peer,
            Some(to) => self.destination(socket, to)?,
        };
        if socket.inbound() == Inbound::Nobody {
            if let Destination::Peer = to {
                // The kernel would pick a port before it says so.
                return Err(Errno::EDESTADDRREQ.into());
            }
            socket.state().grant.inbound = Inbound::Reachable;
        }
        let data = data.first(allowed, &mut pieces);
        let sent = socket.send(data, &to, &ancillary, flags, patience)?;
        self.count_sent(socket, sent);
        if is_counted(socket) {
            self.usage.used(Counted::Sent, size(socket, sent));
        }
        Ok(sent)
    }

    /// Where a message goes, if the policy allows it.
    pub(super) fn destination(&self, socket: &Socket, to: Address) -> Result<Destination, Errno> {
        match (socket.family(), socket.kind(), to) {
            // tcp(7) has no use for an address, and Linux does not look at it.
            (Family::V4 | Family::V6, Kind::Stream, _) => Ok(Destination::Peer),
            (Family::V4 | Family::V6, Kind::Datagram, Address::Ip(to)) => {
                let to = destination(to);
                self.may_send(socket, to)?;
                self.report_sent_to(socket, || endpoint(socket, to));
                Ok(Destination::Ip(to))
            }
            (Family::Unix, Kind::Stream, _) => Err(match socket.peer_name() {
                Ok(_) => Errno::EISCONN,
                Err(_) => Errno::EOPNOTSUPP,
            }),
            (Family::Unix, Kind::Datagram, Address::Unix(to)) => {
                let place = self.unix_place(socket, &to)?;
                self.report_sent_to(socket, || unix_endpoint(&to));
                Ok(Destination::Unix(place))
            }
            (Family::Unix, Kind::Datagram, _) => Err(Errno::EINVAL),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// Asks the policy, unless it allowed this destination for this socket before. Policies never change, and changes
    /// of what was looked up are counted: the verdict is the same as long as the count is, until the answer that a
    /// rule for a name covers is too old.
    ///
    /// A socket that was bound under a grant may answer recent senders, as an accepted connection may be answered,
    /// unless a deny rule forbids the peer.
    fn may_send(&self, socket: &Socket, to: SocketAddr) -> Result<(), Errno> {
        let doing = || Operation::Send { address: to };
        let changes = self.looked_up.changes();
        let state = socket.state();
        if self.approve.is_none()
            && let Some(allowed) = state.grant.destination
            && (allowed.address, allowed.changes) == (to, changes)
            && allowed.until.is_none_or(|until| Instant::now() <= until)
        {
            return Ok(());
        }
        let answers = state.grant.recent_senders.contains(to);
        drop(state);
        // Not remembered as allowed: recent senders are forgotten in time.
        if answers && !self.policy.forbids_peer(Protocol::Udp, to, &self.looked_up) {
            return self.allowed(Ok(()), doing);
        }
        let until = self.allowed(
            self.policy
                .check_connect(Protocol::Udp, to, &self.looked_up),
            doing,
        )?;
        socket.state().grant.destination = Some(AllowedDestination {
            address: to,
            changes,
            until,
        });
        Ok(())
    }

    /// recvmsg(2), of as much as limits allow now.
    pub(crate) fn receive(
        &mut self,
        handle: u32,
        buffers: &mut Buffers<'_, '_>,
        mut receiving: Receiving,
    ) -> Result<(Incoming, Name), NotDone> {
        let stream_max = self.stream_max();
        let socket = self.handles.socket(handle)?;
        if receiving.needs_peer && socket.inbound() == Inbound::Nobody {
            return Err(Errno::ENOTCONN.into());
        }
        let allowed = allow_receiving(socket, &mut self.usage, stream_max)?;
        may_be_out_of_band(socket, receiving.flags.contains(RecvFlags::OOB))?;
        // The kernel reports no sender for a TCP stream.
        receiving.from &= socket.kind() == Kind::Datagram || socket.family() == Family::Unix;
        let from = receiving.from;
        let mut incoming = buffers.with_first(allowed, |buffers| {
            self.receive_allowed(socket, buffers, receiving)
        })?;
        if !receiving.flags.contains(RecvFlags::PEEK) {
            self.count_received(socket, incoming.length);
        }
        if is_counted(socket) {
            let new = not_counted_yet(socket, incoming.length, receiving.flags);
            self.usage.used(Counted::Received, new);
        }
        let name = match incoming.from.take() {
            Some(name) if from => self.name_of(Some(name)),
            _ => Name::None,
        };
        Ok((incoming, name))
    }

    /// Receives what the policy lets the socket receive, and records the sender if it may be answered only because it
    /// sent.
    fn receive_allowed(
        &self,
        socket: &Socket,
        buffers: &mut Buffers<'_, '_>,
        mut receiving: Receiving,
    ) -> Result<Incoming, Errno> {
        let remembers = socket.inbound() == Inbound::Anyone && !self.policy.allows_all();
        receiving.from |= remembers;
        let incoming = match socket.family() {
            // The peer of a socket that leads out may send rights. The kernel would close them, and wait for that as long
            // as SO_LINGER says.
            Family::Unix
                if !self.unix_folders.is_empty() && !receiving.flags.contains(RecvFlags::PEEK) =>
            {
                socket
                    .recv_rights(buffers, RIGHTS_MAX, receiving.flags)?
                    .incoming
            }
            _ => self.admitted(socket, |admission| {
                socket.recv(buffers, receiving, admission)
            })?,
        };
        if remembers && let Some(from) = incoming.source() {
            socket.state().grant.recent_senders.record(from);
        }
        Ok(incoming)
    }

    /// Discards datagrams of senders that are not admitted, where the guest would be told about them. False if the
    /// head of the queue is nothing that the guest may have yet.
    pub(super) fn discard_strangers(&self, socket: &Socket) -> bool {
        self.admitted(socket, |admission| {
            admission.is_none_or(|admits| socket.discard_strangers(admits))
        })
    }

    /// Calls `receive` with whose datagrams the socket may receive. A sender that is not admitted learns no more than
    /// from a closed port. There is no denial: the guest did nothing.
    fn admitted<T>(&self, socket: &Socket, receive: impl FnOnce(Admission<'_>) -> T) -> T {
        let (policy, looked_up) = (&*self.policy, &self.looked_up);
        match socket.inbound() {
            Inbound::Kernel => receive(None),
            Inbound::Anyone if !policy.forbids_any() => receive(None),
            Inbound::Anyone => receive(Some(&|from| {
                !policy.forbids_peer(Protocol::Udp, from, looked_up)
            })),
            Inbound::Peer(peer) => receive(Some(&|from| {
                // The kernel may add a scope and flow info, or map IPv4 into IPv6.
                from.ip().to_canonical() == peer.ip().to_canonical() && from.port() == peer.port()
            })),
            Inbound::Nobody | Inbound::Reachable => receive(Some(&|from| {
                let verdict = policy.check_connect(Protocol::Udp, from, looked_up);
                verdict.is_ok()
            })),
        }
    }
}

/// The size of the headers of a datagram over IPv4: empty datagrams count too.
const HEADERS: usize = 28;

/// How many bytes a message counts for.
fn size(socket: &Socket, length: usize) -> usize {
    match socket.kind() {
        Kind::Stream => length,
        Kind::Datagram => length.max(HEADERS),
    }
}

/// How many bytes a received message counts for: what MSG_PEEK has shown stays at the head of the queue, and is
/// counted already.
fn not_counted_yet(socket: &Socket, length: usize, flags: RecvFlags) -> usize {
    let size = size(socket, length);
    if flags.contains(RecvFlags::OOB) {
        return size;
    }
    let mut state = socket.state();
    let counted = state.counts.peeked;
    state.counts.peeked = match (flags.contains(RecvFlags::PEEK), socket.kind()) {
        (true, _) => counted.max(size),
        (false, Kind::Stream) => counted.saturating_sub(size),
        (false, Kind::Datagram) => 0,
    };
    size.saturating_sub(counted)
}

/// EOPNOTSUPP for out-of-band data of Unix sockets. Linux has them since 5.15, few programs use them, and their code
/// had flaws that guests could have exploited (CVE-2025-38236).
pub(super) fn may_be_out_of_band(socket: &Socket, asked: bool) -> Result<(), Errno> {
    match asked && socket.family() == Family::Unix {
        true => Err(Errno::EOPNOTSUPP),
        false => Ok(()),
    }
}
