//! Sending and receiving. What streams send and receive was allowed when they were connected or
//! accepted; datagrams are asked about one by one.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{Ancillary, RIGHTS_MAX};

use super::report::{endpoint, unix_endpoint};
use super::usage::is_counted;
use super::{Address, Name, SocketsCtx};
use crate::limits::Counted;
use crate::policy::{Operation, Protocol, destination};
use crate::sockets::{
    Admission, AllowedDestination, Buffers, Data, Destination, Family, Inbound, Incoming, Kind,
    Patience, Receiving, Socket,
};

impl SocketsCtx {
    /// The core six's `sock_send`, once.
    pub(crate) fn send(
        &mut self,
        handle: u32,
        data: &[u8],
        patience: Patience,
    ) -> Result<usize, Errno> {
        let (data, nothing) = (Data::One(data), Ancillary::default());
        self.sendmsg(handle, data, None, &nothing, SendFlags::empty(), patience)
    }

    /// The core six's `sock_recv`, which knows no datagram without a peer.
    pub(crate) fn recv(
        &mut self,
        handle: u32,
        buffer: &mut [u8],
        patience: Patience,
    ) -> Result<usize, Errno> {
        if self.handles.socket(handle)?.inbound() == Inbound::Nobody {
            return Err(Errno::ENOTCONN);
        }
        let mut buffers = Buffers::One(buffer);
        let receiving = Receiving {
            flags: RecvFlags::empty(),
            from: false,
            ancillary: false,
            patience,
        };
        let (incoming, _) = self.recvmsg(handle, &mut buffers, receiving)?;
        Ok(incoming.length.min(buffers.room()))
    }

    /// sendmsg(2), of not more than [`SocketsCtx::room_to_send`] says.
    pub(crate) fn sendmsg(
        &mut self,
        handle: u32,
        data: Data<'_>,
        to: Option<Address>,
        ancillary: &Ancillary,
        flags: SendFlags,
        patience: Patience,
    ) -> Result<usize, Errno> {
        let socket = self.handles.socket(handle)?;
        may_be_out_of_band(socket, flags.contains(SendFlags::OOB))?;
        socket.check_ancillary(ancillary)?;
        let to = match to {
            None => Destination::Peer,
            Some(to) => self.destination(socket, to)?,
        };
        if socket.inbound() == Inbound::Nobody {
            if let Destination::Peer = to {
                // The kernel would give it a port before it says so.
                return Err(Errno::EDESTADDRREQ);
            }
            socket.state().grant.inbound = Inbound::Reachable;
        }
        let sent = socket.send(data, &to, ancillary, flags, patience)?;
        self.count_sent(socket, sent);
        if is_counted(&socket) {
            self.usage.used(Counted::Sent, size(socket, sent));
        }
        Ok(sent)
    }

    /// Where a message goes, if it may.
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

    /// Asks the policy, unless it allowed this destination for this socket before. Policies never
    /// change, and what was looked up is counted: the verdict is the same as long as the count is, until
    /// the answer that a name rule covers is too old.
    ///
    /// A socket that was bound under a grant may answer whom it heard from, as an accepted connection
    /// may be answered, unless a deny rule is against it.
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
        // Not written down as known: who was heard is forgotten again.
        if answers && !self.policy.forbids_peer(Protocol::Udp, to, &self.looked_up) {
            return self.allowed(Ok(()), doing);
        }
        let until = self.allowed(self.policy.check_send(to, &self.looked_up), doing)?;
        socket.state().grant.destination = Some(AllowedDestination {
            address: to,
            changes,
            until,
        });
        Ok(())
    }

    /// recvmsg(2), of not more than [`SocketsCtx::room_to_receive`] says.
    pub(crate) fn recvmsg(
        &mut self,
        handle: u32,
        buffers: &mut Buffers<'_, '_>,
        mut receiving: Receiving,
    ) -> Result<(Incoming, Name), Errno> {
        let socket = self.handles.socket(handle)?;
        may_be_out_of_band(socket, receiving.flags.contains(RecvFlags::OOB))?;
        // Of a TCP stream the kernel tells no sender.
        receiving.from &= socket.kind() == Kind::Datagram || socket.family() == Family::Unix;
        let from = receiving.from;
        let mut incoming = self.receive(socket, buffers, receiving)?;
        if !receiving.flags.contains(RecvFlags::PEEK) {
            self.count_received(socket, incoming.length);
        }
        if is_counted(&socket) {
            let new = not_counted_yet(socket, incoming.length, receiving.flags);
            self.usage.used(Counted::Received, new);
        }
        let name = match incoming.from.take() {
            Some(name) if from => self.name_of(Some(name)),
            _ => Name::None,
        };
        Ok((incoming, name))
    }

    /// Receives what a socket may, and remembers the sender if it can be answered only for that.
    fn receive(
        &self,
        socket: &Socket,
        buffers: &mut Buffers<'_, '_>,
        mut receiving: Receiving,
    ) -> Result<Incoming, Errno> {
        let remembers = socket.inbound() == Inbound::Anyone && !self.policy.allows_all();
        receiving.from |= remembers;
        let incoming = match socket.family() {
            // Whoever is at the other end of one that leads out may send rights, which the kernel would close, and
            // wait for that as SO_LINGER says.
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

    /// Throws away what strangers sent, where it would be told of otherwise. False if the head of the queue
    /// is still nothing that the guest may have.
    pub(super) fn discard_strangers(&self, socket: &Socket) -> bool {
        self.admitted(socket, |admission| {
            admission.is_none_or(|admits| socket.discard_strangers(admits))
        })
    }

    /// Calls with whose datagrams a socket may receive. Who sends to a guest does not learn more than
    /// from a closed port, and no denial is told: the guest did nothing.
    fn admitted<T>(&self, socket: &Socket, receive: impl FnOnce(Admission<'_>) -> T) -> T {
        let (policy, looked_up) = (&*self.policy, &self.looked_up);
        match socket.inbound() {
            Inbound::Kernel => receive(None),
            Inbound::Anyone if !policy.forbids_any() => receive(None),
            Inbound::Anyone => receive(Some(&|from| {
                !policy.forbids_peer(Protocol::Udp, from, looked_up)
            })),
            Inbound::Peer(peer) => receive(Some(&|from| {
                // The kernel may put a scope and flow info to it, or map IPv4 into IPv6.
                from.ip().to_canonical() == peer.ip().to_canonical() && from.port() == peer.port()
            })),
            Inbound::Nobody | Inbound::Reachable => {
                receive(Some(&|from| policy.check_send(from, looked_up).is_ok()))
            }
        }
    }
}

/// What a datagram's headers take, of IPv4 and UDP: empty ones are not for nothing.
const HEADERS: usize = 28;

/// For how many bytes a message counts.
fn size(socket: &Socket, length: usize) -> usize {
    match socket.kind() {
        Kind::Stream => length,
        Kind::Datagram => length.max(HEADERS),
    }
}

/// For how many bytes a message counts that was received: what MSG_PEEK has shown stays at the head of the queue, and
/// is counted.
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

/// EOPNOTSUPP for out-of-band data of Unix sockets. Linux has them since 5.15, for few, and their code had
/// flaws that guests could have used (CVE-2025-38236).
pub(super) fn may_be_out_of_band(socket: &Socket, asked: bool) -> Result<(), Errno> {
    match asked && socket.family() == Family::Unix {
        true => Err(Errno::EOPNOTSUPP),
        false => Ok(()),
    }
}
