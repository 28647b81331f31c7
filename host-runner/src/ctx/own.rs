//! Talking to oneself over loopback, as programs do that know no socketpair(2).
//!
//! A guest with any grant may listen at a loopback port that the system picks, and connect to that. It
//! hears itself there and nobody else: who else connects is closed when the guest accepts.

use std::net::SocketAddr;

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
        // The kernel gives a port that it picked to others once its socket does not listen any more.
        let listens = |own: &Socket| own.option(SocketOption::ACCEPTING) == Ok(1);
        socket.kind() == Kind::Stream
            && self.is_own(address, listens)
            && !self
                .policy
                .forbids_peer(Protocol::Tcp, address, &self.looked_up)
    }

    /// Is it this guest that connected from there?
    pub(super) fn connected_to_itself(&self, from: SocketAddr) -> bool {
        self.is_own(from, |own| own.peer_name().is_ok())
    }

    fn is_own(&self, address: SocketAddr, holds_its_name: impl Fn(&Socket) -> bool) -> bool {
        let has = |own: &Socket| {
            let name = own.name().map(SocketAddr::try_from);
            matches!(name, Ok(Ok(name)) if canonical(name) == canonical(address))
        };
        let mut own = self.handles.sockets().filter(|own| own.state().own);
        own.any(|own| has(own) && holds_its_name(own))
    }
}

/// What a stream of IPv6 calls ::ffff:127.0.0.1 is 127.0.0.1 for one of IPv4.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
