//! All that one guest has: policy, open sockets, what it looked up.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wasisocket_abi::{Errno, RESOLVE_MAX};

use crate::policy::{Denial, HostName, LookedUp, Policy, destination};
use crate::sockets::{Handles, Socket, resolve};

/// Open sockets that a guest may have unless the builder says otherwise. Each is a file descriptor of
/// the host's process, whose own limit is often 1024 for all guests together.
pub const MAX_SOCKETS_DEFAULT: usize = 256;

type DenialSink = dyn Fn(&Denial) + Send + Sync;

/// The sockets of one guest, and what it may do with them. Dropping it closes them all.
pub struct SocketsCtx {
    policy: Arc<Policy>,
    looked_up: LookedUp,
    handles: Handles,
    on_denial: Option<Arc<DenialSink>>,
}

impl SocketsCtx {
    /// Starts with the grants of `policy`, [`MAX_SOCKETS_DEFAULT`], and denials logged by `tracing`.
    pub fn builder(policy: impl Into<Arc<Policy>>) -> SocketsCtxBuilder {
        SocketsCtxBuilder {
            policy: policy.into(),
            max_sockets: MAX_SOCKETS_DEFAULT,
            on_denial: None,
        }
    }

    pub(crate) fn open(&mut self, family: u32, kind: u32) -> Result<u32, Errno> {
        self.handles.insert(|| Socket::open(family, kind))
    }

    /// The addresses of a name, at most [`RESOLVE_MAX`]. A name grant covers what comes back.
    pub(crate) fn resolve(&mut self, name: &[u8]) -> Result<Vec<IpAddr>, Errno> {
        let name = match HostName::parse(name)? {
            HostName::Literal(ip) => return Ok(vec![ip]),
            HostName::Name(name) => name,
        };
        self.allowed(self.policy.check_resolve(&name))?;
        let mut addresses = resolve(&name)?;
        addresses.truncate(RESOLVE_MAX);
        self.looked_up.record(&self.policy, &name, &addresses);
        Ok(addresses)
    }

    pub(crate) fn connect(&mut self, handle: u32, address: SocketAddr) -> Result<(), Errno> {
        let address = destination(address);
        self.handles.get(handle)?;
        self.allowed(self.policy.check_connect(address, &self.looked_up))?;
        self.handles.get_mut(handle)?.connect(address)
    }

    pub(crate) fn send(&mut self, handle: u32, data: &[u8]) -> Result<usize, Errno> {
        self.handles.get(handle)?.send(data)
    }

    pub(crate) fn recv(&mut self, handle: u32, buffer: &mut [u8]) -> Result<usize, Errno> {
        self.handles.get(handle)?.recv(buffer)
    }

    pub(crate) fn close(&mut self, handle: u32) -> Result<(), Errno> {
        self.handles.remove(handle).map(drop)
    }

    /// EACCES for the guest; the reason goes to the host only.
    fn allowed(&self, verdict: Result<(), Denial>) -> Result<(), Errno> {
        verdict.map_err(|denial| {
            match &self.on_denial {
                Some(sink) => sink(&denial),
                None => tracing::warn!(target: "wasisocket::denied", "{denial}"),
            }
            Errno::EACCES
        })
    }
}

impl fmt::Debug for SocketsCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketsCtx")
            .field("policy", &self.policy)
            .field("handles", &self.handles)
            .finish_non_exhaustive()
    }
}

/// Made by [`SocketsCtx::builder`].
pub struct SocketsCtxBuilder {
    policy: Arc<Policy>,
    max_sockets: usize,
    on_denial: Option<Arc<DenialSink>>,
}

impl SocketsCtxBuilder {
    /// How many sockets may be open at once; one more is EMFILE.
    #[must_use]
    pub fn max_sockets(mut self, count: usize) -> Self {
        self.max_sockets = count;
        self
    }

    /// Called for every denial, in place of the log. A guest decides how often: bound what you do.
    #[must_use]
    pub fn on_denial(mut self, sink: impl Fn(&Denial) + Send + Sync + 'static) -> Self {
        self.on_denial = Some(Arc::new(sink));
        self
    }

    /// The sockets of one guest, none of them open yet.
    #[must_use]
    pub fn build(self) -> SocketsCtx {
        SocketsCtx {
            policy: self.policy,
            looked_up: LookedUp::default(),
            handles: Handles::new(self.max_sockets),
            on_denial: self.on_denial,
        }
    }
}

impl fmt::Debug for SocketsCtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketsCtxBuilder")
            .field("policy", &self.policy)
            .field("max_sockets", &self.max_sockets)
            .finish_non_exhaustive()
    }
}
