//! What a guest starts with.

use std::collections::HashMap;
use std::convert::identity;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasisocket_abi::v1::{STDERR, STDIN, STDOUT};

use super::handles::Handles;
use super::locks::RecordLocks;
use super::readiness::StandardStreams;
use super::report::Bytes;
use super::{Approval, SocketsCtx, TimeSlice};
use crate::calls::{Calls, Function, Reply};
use crate::crypto::Keys;
use crate::event::{Event, Events, Sink};
use crate::limits::{CpuTime, Limits, Usage, with_limits};
use crate::names::{Lookups, Resolver};
use crate::policy::{LookedUp, Operation, Policy};
use crate::signals::GuestSignals;
use crate::sockets::UnixFolder;

/// Made by [`SocketsCtx::builder`].
pub struct SocketsCtxBuilder {
    policy: Arc<Policy>,
    limits: Limits,
    resolver: Resolver,
    streams: StandardStreams,
    unix_folders: Vec<UnixFolder>,
    on_event: Option<Arc<Sink>>,
    approve: Option<Arc<Approval>>,
    on_call: Option<Arc<Function>>,
    signals: Option<GuestSignals>,
}

impl SocketsCtx {
    /// Starts with the grants of `policy`, the default [`Limits`], and events that go to the log
    /// ([`Event::log`]). The guest decides how many events there are: where the log has to be bounded, bound it
    /// in its subscriber or set [`SocketsCtxBuilder::on_event`].
    pub fn builder(policy: impl Into<Arc<Policy>>) -> SocketsCtxBuilder {
        SocketsCtxBuilder {
            policy: policy.into(),
            limits: Limits::default(),
            resolver: Resolver::default(),
            streams: StandardStreams::default(),
            unix_folders: Vec::new(),
            on_event: None,
            approve: None,
            on_call: None,
            signals: None,
        }
    }
}

impl SocketsCtxBuilder {
    /// How much the guest may use. Limits of time and memory are enforced only in a store that was passed to
    /// [`limit_time`](crate::limit_time) and [`limit_memory`](crate::limit_memory).
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Who is asked for what the guest may look up. The default is the system's resolver, with threads of this guest's
    /// own; guests whose resolvers are clones of one share its threads ([`LookupThreads`](crate::LookupThreads)).
    #[must_use]
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// The descriptor behind the guest's standard input, so that `sock_poll` and interest sets can wait for it
    /// together with sockets. Nothing is read from it. Without it, standard input is reported as always ready, as a
    /// file is.
    #[must_use]
    pub fn stdin(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.streams[STDIN as usize] = Some(fd.into());
        self
    }

    /// As [`SocketsCtxBuilder::stdin`], for the guest's standard output. Nothing is written to it.
    #[must_use]
    pub fn stdout(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.streams[STDOUT as usize] = Some(fd.into());
        self
    }

    /// As [`SocketsCtxBuilder::stdin`], for the guest's standard error. Nothing is written to it.
    #[must_use]
    pub fn stderr(mut self, fd: impl Into<OwnedFd>) -> Self {
        self.streams[STDERR as usize] = Some(fd.into());
        self
    }

    /// A folder in which the guest may bind Unix sockets, and reach those of others. `guest` is its path as the guest
    /// sees it. Paths cannot lead out of it. In a `read_only` folder the guest has no sockets, as connecting needs the
    /// right to write (unix(7)); it is declared so that denials can say so.
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

    /// The sink that receives every [`Event`] of the guest, in place of the log. A later call replaces an
    /// earlier one.
    ///
    /// The sink runs on the thread that the event happened on, while the guest waits for it: usually that of the
    /// guest, and for look-ups also others. The guest decides how often it is called: bound what it writes and
    /// stores.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use wasisocket_host::{Event, Policy, SocketsCtx};
    ///
    /// let denials = Arc::new(Mutex::new(Vec::new()));
    /// let sink = Arc::clone(&denials);
    /// let sockets = SocketsCtx::builder(Policy::new())
    ///     .on_event(move |event| match event {
    ///         Event::Denied(denial) => {
    ///             let mut denials = sink.lock().unwrap();
    ///             if denials.len() < 100 {
    ///                 denials.push(denial.to_string());
    ///             }
    ///         }
    ///         other => other.log(),
    ///     })
    ///     .build();
    /// ```
    #[must_use]
    pub fn on_event(mut self, sink: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(sink));
        self
    }

    /// A decision about everything that the rules allow, before it is done: connecting, sending to an address,
    /// binding and listening, joining groups, look-ups, Unix sockets by path, and also a guest's connection to
    /// itself. `false` refuses the operation: the host can narrow what is granted, but not widen it. A later call
    /// replaces an earlier one.
    ///
    /// It is asked about each operation of the guest, but not about what comes to the guest, nor about data on a
    /// connection. The guest waits for the answer.
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

    /// A function that the guest can call (`call_start` in [`wasisocket_abi`]). It gets the request, and answers it by the
    /// [`Reply`]: before it returns or later, from any thread. A later call replaces an earlier one.
    ///
    /// It runs on the guest's thread, while the guest waits, and what it does there counts as the guest's CPU time. The
    /// guest decides what is in a request; at most [`CALLS_MAX`](wasisocket_abi::v1::CALLS_MAX) replies exist at a time.
    ///
    /// ```
    /// use wasisocket_host::{Policy, SocketsCtx};
    ///
    /// let sockets = SocketsCtx::builder(Policy::new())
    ///     .on_call(|request, reply| match &*request {
    ///         b"version" => reply.send(env!("CARGO_PKG_VERSION").into()),
    ///         _ => drop(reply),
    ///     })
    ///     .build();
    /// ```
    #[must_use]
    pub fn on_call(mut self, function: impl Fn(Vec<u8>, Reply) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Arc::new(function));
        self
    }

    /// Lets the host send signals to the guest. Without it the guest gets none but those that it sends itself.
    ///
    /// In a synchronous store, calls that block take more system calls with it.
    #[must_use]
    pub fn signals(mut self, signals: &GuestSignals) -> Self {
        self.signals = Some(signals.clone());
        self
    }

    /// The sockets of one guest, none of them open yet. Its time begins now ([`Limits::timeout`]).
    #[must_use]
    pub fn build(self) -> SocketsCtx {
        let cpu = Arc::<CpuTime>::default();
        let events = Events::new(self.on_event);
        let mut sockets = SocketsCtx {
            policy: self.policy,
            looked_up: LookedUp::default(),
            handles: Handles::new(self.limits.max_sockets),
            lookups: Lookups::new(self.resolver, Arc::clone(&cpu), events.clone()),
            calls: Calls::new(self.on_call),
            resolving: None,
            last_counted: None,
            keys: Keys::default(),
            streams: Arc::new(self.streams),
            unix_folders: self.unix_folders,
            unix_names: HashMap::new(),
            locks: RecordLocks::default(),
            sent_rights: 0,
            sent_backlog: 0,
            usage: Usage::new(&self.limits, events.clone()),
            events,
            closed: Bytes::default(),
            started: Instant::now(),
            timeout: self.limits.timeout,
            end: None,
            time_slice: TimeSlice::default(),
            last_epoch: None,
            shares_thread: false,
            max_cpu: self.limits.max_cpu,
            cpu,
            cpu_before: Duration::ZERO,
            approve: self.approve,
            signals: self.signals,
        };
        sockets.restart_clock();
        sockets
    }
}

macro_rules! set_one_limit {
    ($(
        $(#[doc = $doc:literal])+
        $limit:ident $field:ident: $type:ty = $default:expr, $wrap:ident($value:ty), $name:literal, $grammar:ty,
            $help:literal;
    )+) => {
        /// One limit alone, beside [`SocketsCtxBuilder::limits`], which sets them all.
        impl SocketsCtxBuilder {
            $(
                #[doc = concat!("Sets [`Limits::", stringify!($field), "`].")]
                #[must_use]
                pub fn $field(mut self, value: $value) -> Self {
                    self.limits.$field = $wrap(value);
                    self
                }
            )+
        }
    };
}
with_limits!(set_one_limit);

impl fmt::Debug for SocketsCtxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketsCtxBuilder")
            .field("policy", &self.policy)
            .field("limits", &self.limits)
            .field("resolver", &self.resolver)
            .field("streams", &self.streams)
            .field("unix_folders", &self.unix_folders)
            .finish_non_exhaustive()
    }
}
