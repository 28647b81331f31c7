//! Look-ups by a guest, and name servers that count their questions.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasisocket_abi::Errno;
use wasisocket_host::{Policy, Resolver, SocketsCtx, SocketsCtxBuilder};
use wasisocket_tests::dns::scripted_name_server;

use crate::guest::{DATA, Guest, SOON};

const NAME: u32 = 1024;

/// A public address. The tests send nothing there: connecting a UDP socket only records its peer.
pub(crate) const PUBLIC: &str = "1.2.3.4:443";

pub(crate) fn lookup(guest: &mut Guest, name: &[u8], family: u32) -> Result<Vec<IpAddr>, Errno> {
    guest.write(NAME, name);
    let lookup = guest.get("lookup_name", &[NAME, name.len() as u32, family])?;
    let found = collect(guest, lookup);
    guest.call("sock_close", &[lookup]).unwrap();
    found
}

pub(crate) fn collect(guest: &mut Guest, lookup: u32) -> Result<Vec<IpAddr>, Errno> {
    // A server that does not answer takes longer than this; such a test calls again.
    let patience = SOON;
    let count = guest.get("lookup_addrs", &[lookup, DATA, 32, patience])?;
    let at = (0..count).map(|at| DATA + at * 28);
    Ok(at.map(|at| guest.ip_at(at).ip()).collect())
}

/// The look-up of the core six.
pub(crate) fn resolve(guest: &mut Guest, name: &str) -> Result<u32, Errno> {
    guest.write(NAME, name.as_bytes());
    guest.get("sock_resolve", &[NAME, name.len() as u32, 80, DATA, 16])
}

/// The control of a name server.
#[derive(Clone, Default)]
pub(crate) struct Server {
    asked: Arc<AtomicUsize>,
    step: Arc<AtomicUsize>,
}

impl Server {
    /// How many questions it got. A question may arrive twice over UDP.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Switches to the next of its answers.
    pub(crate) fn rebind(&self) {
        self.step.fetch_add(1, Ordering::SeqCst);
    }
}

/// A guest whose look-ups a name server answers: with the first list of addresses until it is rebound, then with the
/// second, and so on. The time to live is one second.
pub(crate) fn answered(policy: Policy, answers: Vec<Vec<IpAddr>>) -> (SocketsCtxBuilder, Server) {
    let server = Server::default();
    let hand = server.clone();
    let address = scripted_name_server(move |_| {
        server.asked.fetch_add(1, Ordering::SeqCst);
        let answer = answers.get(server.step.load(Ordering::SeqCst))?;
        Some((answer.clone(), 1))
    });
    let resolver = Resolver::new().dns(&address.to_string()).unwrap();
    let builder = SocketsCtx::builder(policy)
        .resolver(resolver)
        .max_sockets(16);
    (builder, hand)
}
