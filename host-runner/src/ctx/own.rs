//! Talking to oneself over loopback, as programs do that know no socketpair(2).
//!
//! A guest with any grant may listen at a loopback port that the system picks, and connect to that. It
//! hears itself there and nobody else: who else connects is closed when the guest accepts.

use std::collections::HashSet;
use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use wasisocket_abi::v1::SocketOption;

use super::SocketsCtx;
use crate::policy::Protocol;
use crate::sockets::{Kind, Socket};

impl SocketsCtx {
    /// May a stream that is bound to this address listen without a grant, to its own guest?
    pub(super) fn may_listen_to_itself(&self, bound: SocketAddr) -> bool {
        self.policy.grants_any()
            && bound.port() == 0
            && bound.ip().to_canonical().is_loopback()
            && !self.policy.forbids_listening(Protocol::Tcp, bound)
    }

    /// Is it where this guest listens to itself, and no deny rule against it?
    pub(super) fn may_connect_to_itself(&self, socket: &Socket, address: SocketAddr) -> bool {
        let there = canonical(address);
        // The kernel gives a port that it picked to others once its socket does not listen any more.
        let is_there = |own: &Socket| name(own) == Some(there) && listens(own);
        socket.kind() == Kind::Stream
            && self.own_sockets().any(is_there)
            && !self
                .policy
                .forbids_peer(Protocol::Tcp, address, &self.looked_up)
    }

    /// From where this guest is connected to a listener of its own.
    pub(super) fn connected_to_itself(&self, listener: &Socket) -> HashSet<SocketAddr> {
        let Some(there) = name(listener) else {
            return HashSet::new();
        };
        // Also under a rule that lets it. The kernel gives one port to many, each connected to another place.
        let connected = self.handles.sockets().filter(|socket| {
            let peer = socket.peer_name().ok().flatten();
            socket.kind() == Kind::Stream && peer.is_some_and(|peer| address(peer) == Some(there))
        });
        connected.filter_map(name).collect()
    }

    /// To be called before a socket may stop to listen. The guest's connections to itself that are not there
    /// yet are given up: the kernel would go on to try, and reach whoever listens at the port next.
    pub(super) fn stops_listening(&self, socket: &Socket) {
        if !socket.state().own || !listens(socket) {
            return;
        }
        for own in self.own_sockets().filter(|own| own.state().connecting) {
            own.give_up_connect();
        }
    }

    fn own_sockets(&self) -> impl Iterator<Item = &Socket> {
        self.handles.sockets().filter(|own| own.state().own)
    }
}

fn listens(socket: &Socket) -> bool {
    socket.option(SocketOption::ACCEPTING) == Ok(1)
}

fn name(socket: &Socket) -> Option<SocketAddr> {
    address(socket.name().ok()?)
}

fn address(name: SocketAddrAny) -> Option<SocketAddr> {
    SocketAddr::try_from(name).ok().map(canonical)
}

/// What a stream of IPv6 calls ::ffff:127.0.0.1 is 127.0.0.1 for one of IPv4.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
