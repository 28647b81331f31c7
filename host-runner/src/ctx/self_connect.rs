//! Connections of a guest to itself over loopback, as programs make them that know no socketpair(2).
//!
//! A guest with any grant may listen at a loopback port that the system picks, and connect to that port. Nobody
//! else reaches it there: connections of others are closed when the guest accepts.

use std::collections::HashSet;
use std::net::SocketAddr;

use rustix::net::SocketAddrAny;
use wasisocket_abi::v1::SocketOption;

use super::SocketsCtx;
use crate::policy::Protocol;
use crate::sockets::{Kind, Socket};

impl SocketsCtx {
    /// May a stream that is bound to this address listen without a grant, for its own guest?
    pub(super) fn may_listen_to_itself(&self, bound: SocketAddr) -> bool {
        self.policy.grants_any()
            && bound.port() == 0
            && bound.ip().to_canonical().is_loopback()
            && !self.policy.forbids_listening(Protocol::Tcp, bound)
    }

    /// Does this guest listen for itself at this address, with no deny rule against it?
    pub(super) fn may_connect_to_itself(&self, socket: &Socket, address: SocketAddr) -> bool {
        let there = canonical(address);
        // Once the socket does not listen any more, the kernel may give its port to others.
        let is_there = |own: &Socket| name(own) == Some(there) && listens(own);
        socket.kind() == Kind::Stream
            && self.own_sockets().any(is_there)
            && !self
                .policy
                .forbids_peer(Protocol::Tcp, address, &self.looked_up)
    }

    /// The local addresses of this guest's connections to a listener of its own.
    pub(super) fn connected_to_itself(&self, listener: &Socket) -> HashSet<SocketAddr> {
        let Some(there) = name(listener) else {
            return HashSet::new();
        };
        // Also those that a rule allows. The kernel gives one port to many sockets, each with another peer.
        let connected = self.handles.sockets().filter(|socket| {
            let peer = socket.peer_name().ok().flatten();
            socket.kind() == Kind::Stream && peer.is_some_and(|peer| address(peer) == Some(there))
        });
        connected.filter_map(name).collect()
    }

    /// To be called before a socket may stop listening. Gives up the guest's attempts to connect to itself: the
    /// kernel would go on trying, and reach whoever listens at the port next.
    pub(super) fn stops_listening(&self, socket: &Socket) {
        if !socket.state().grant.self_connect || !listens(socket) {
            return;
        }
        for own in self
            .own_sockets()
            .filter(|own| own.state().connection.is_connecting())
        {
            self.report_given_up(own);
            own.give_up_connect();
        }
    }

    fn own_sockets(&self) -> impl Iterator<Item = &Socket> {
        self.handles
            .sockets()
            .filter(|own| own.state().grant.self_connect)
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

/// An IPv6 stream has ::ffff:127.0.0.1 where an IPv4 stream has 127.0.0.1.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
