//! What a guest is given at the start.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{Approval, DenialSink, SocketsCtx, Turn};
use crate::clock::Cpu;
use crate::limits::{Limit, LimitSink, Limits, Usage};
use crate::policy::{Denial, LookedUp, Operation, Policy};
use crate::sockets::{Handles, Lookups, Resolver, UnixFolder};

/// Made by [`SocketsCtx::builder`].
pub struct SocketsCtxBuilder {
    policy: Arc<Policy>,
    limits: Limits,
    resolver: Resolver,
    stdin: Option<OwnedFd>,
    unix_folders: Vec<UnixFolder>,
    on_denial: Option<Arc<DenialSink>>,
    on_limit: Option<Arc<LimitSink>>,
    approve: Option<Arc<Approval>>,
}

impl SocketsCtx {
    /// Starts with the grants of `policy`, the default [`Limits`], and denials logged by `tracing`: one
    /// warning for each, with the target `wasisocket::denied`. A guest decides how many: where the log has
    /// to be bounded, bound it in its subscriber or set [`SocketsCtxBuilder::on_denial`].
    pub fn builder(policy: impl Into<Arc<Policy>>) -> SocketsCtxBuilder {
        SocketsCtxBuilder {
            policy: policy.into(),
            limits: Limits::default(),
            resolver: Resolver::default(),
            stdin: None,
            unix_folders: Vec::new(),
            on_denial: None,
            on_limit: None,
            approve: None,
        }
    }
}

impl SocketsCtxBuilder {
    /// How much the guest may use. Its time and its memory are held by what a store has to be told, also of these:
    /// [`limit_time`](crate::limit_time) and [`limit_memory`](crate::limit_memory).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// [`Limits::max_sockets`] alone.
    #[must_use]
    pub fn max_sockets(mut self, count: usize) -> Self {
        self.limits.max_sockets = count;
        self
    }

    /// Who is asked for what the guest may look up. By default the system's resolver.
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// What is behind the guest's standard input, so that `sock_poll` and interest sets can wait for it
    /// together with sockets. Nothing is read from it. Without it the guest is told that its standard input
    /// is always ready, as a file is.
    #[must_use]
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(fd.into());
        self
    }

    /// A folder in which the guest may have Unix sockets, and reach those that others have there;
    /// `guest` is its path as the guest sees it. Paths cannot lead out of it. In a `read_only` one there
    /// are no sockets for the guest, as connecting needs the right to write (unix(7)); it is there so
    /// that denials can say so.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn unix_folder(
        mut self,
        host: impl AsRef<Path>,
        guest: &str,
        read_only: bool,
    ) -> io::Result<Self> {
        let folder = UnixFolder::open(host.as_ref(), guest, read_only)?;
        self.unix_folders.push(folder);
        Ok(self)
    }

    /// Called for every denial, in place of the log. A guest decides how often: bound what you do.
    #[must_use]
    pub fn on_denial(mut self, sink: impl Fn(&Denial) + Send + Sync + 'static) -> Self {
        self.on_denial = Some(Arc::new(sink));
        self
    }

    /// Called for every limit that is reached, once for each, beside the log.
    #[must_use]
    pub fn on_limit(mut self, sink: impl Fn(Limit) + Send + Sync + 'static) -> Self {
        self.on_limit = Some(Arc::new(sink));
        self
    }

    /// Asked about everything that the rules allow, before it is done: connecting, sending to an address,
    /// binding and listening, joining groups, look-ups, Unix sockets by path, and also a guest's connection to
    /// itself. `false` refuses it: the host can narrow what is granted, but not widen it. A later call
    /// replaces an earlier one.
    ///
    /// It is asked for what a guest does, each time, and not for what comes to it, nor for each piece of data
    /// that goes over a connection. The guest waits for the answer.
    ///
    /// ```
    /// use wasisocket_host::{Operation, Policy, SocketsCtx, add_to_linker};
    /// use wasmtime::{Engine, Linker, Module, Store};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let sockets = SocketsCtx::builder(Policy::new().allow("*")?)
    ///     .approve(|operation| match operation {
    ///         Operation::Resolve { name, .. } => name != "tracker.test",
    ///         Operation::Connect { address, .. } => address.port() == 443,
    ///         _ => false,
    ///     })
    ///     .build();
    ///
    /// let guest = r#"(module
    ///     (import "wasi_snapshot_preview1" "sock_resolve"
    ///         (func $resolve (param i32 i32 i32 i32 i32 i32) (result i32)))
    ///     (memory (export "memory") 1)
    ///     (data (i32.const 0) "tracker.test")
    ///     (func (export "main") (result i32)
    ///         (call $resolve (i32.const 0) (i32.const 12) (i32.const 443)
    ///             (i32.const 64) (i32.const 1) (i32.const 32))))"#;
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, wat::parse_str(guest)?)?;
    /// let mut linker = Linker::new(&engine);
    /// add_to_linker(&mut linker, |sockets: &mut SocketsCtx| sockets)?;
    /// let mut store = Store::new(&engine, sockets);
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// let main = instance.get_typed_func::<(), u32>(&mut store, "main")?;
    /// assert_eq!(main.call(&mut store, ())?, wasisocket_abi::Errno::EACCES.0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn approve(
        mut self,
        approves: impl Fn(&Operation) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.approve = Some(Arc::new(approves));
        self
    }

    /// The sockets of one guest, none of them open yet. Its time begins now ([`Limits::timeout`]).
    #[must_use]
    pub fn build(self) -> SocketsCtx {
        let cpu = Arc::<Cpu>::default();
        SocketsCtx {
            policy: self.policy,
            looked_up: LookedUp::default(),
            handles: Handles::new(self.limits.max_sockets),
            lookups: Lookups::new(self.resolver, Arc::clone(&cpu)),
            resolving: None,
            last_counted: None,
            stdin: self.stdin.map(Arc::new),
            unix_folders: self.unix_folders,
            unix_names: HashMap::new(),
            given: 0,
            given_backlog: 0,
            on_denial: self.on_denial,
            usage: Usage::new(&self.limits, self.on_limit),
            // Centuries from now are without end.
            end: self
                .limits
                .timeout
                .and_then(|timeout| Instant::now().checked_add(timeout)),
            turn: Turn::default(),
            last_epoch: None,
            shares_thread: false,
            max_cpu: self.limits.max_cpu,
            cpu,
            approve: self.approve,
        }
    }
}

impl fmt::Debug for SocketsCtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketsCtxBuilder")
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .field("resolver", &self.resolver)
            .field("stdin", &self.stdin)
            .field("unix_folders", &self.unix_folders)
            .finish_non_exhaustive()
    }
}
