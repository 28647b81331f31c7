//! The wasmtime side of wasisocket: sockets for WebAssembly guests, under grants.
//!
//! A [`SocketsCtx`] is everything that one guest has: its [`Policy`], its open sockets, and what it looked up. There are
//! no globals: two stores in one process share only what the embedder shares between them. [`add_to_linker`] supplies
//! the imports that [`wasisocket_abi`] describes: the core six and `wasisocket_v1`.
//!
//! ```
//! use wasisocket_host::{Policy, SocketsCtx, add_to_linker};
//! use wasmtime::{Engine, Linker, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::new()
//!     .allow("example.com:443")?
//!     .allow("127.0.0.1:8000")?
//!     .allow_listen("127.0.0.1:0")?;
//!
//! let engine = Engine::default();
//! let mut linker = Linker::new(&engine);
//! // SocketsView shows it with WASI in the same linker.
//! add_to_linker(&mut linker, |sockets: &mut SocketsCtx| sockets)?;
//! let mut store = Store::new(&engine, SocketsCtx::builder(policy).build());
//! # let module = wasmtime::Module::new(&engine, b"\0asm\x01\0\0\0")?;
//! linker.instantiate(&mut store, &module)?;
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! | module | what it does | what it does not know |
//! |---|---|---|
//! | `linker` | reads guest memory, calls `ctx`, writes the results back | rules and limits |
//! | `ctx` | one guest: asks `policy` and `limits`, acts through `sockets` and `names` | wasmtime |
//! | `policy` | rules, and what was looked up | sockets |
//! | `limits` | what is counted, and how much is left | sockets |
//! | `sockets` | system calls, and the state of each socket | rules and limits |
//! | `names` | who answers look-ups, and on which threads | rules |
//! | `calls` | calls of the embedder's function, and their answers | what they mean |
//! | `crypto` | ciphers for the TLS of guests | sockets, rules and limits |
//! | [`Event`] | everything that the host can see | |
//!
//! The path of a `send()`: [`linker`](add_to_linker) reads the arguments, `guest_memory` turns pointer and length into a
//! slice, `ctx` finds the socket and applies limits (the policy was asked at `connect`), and `sockets` makes the system
//! call on guest memory itself.
//!
//! Every operation is an attempt that does not wait. `linker::operation` waits between two attempts: it blocks the
//! calling thread in a synchronous store ([`add_to_linker`]), and lets other tasks run in an asynchronous one
//! ([`add_to_linker_async`]). To wait without a timeout, a synchronous store lets send(2) and recv(2) block.
//!
//! Look-ups run on up to four threads for each guest, within the limit of the [`LookupThreads`] that resolvers share.
//! getaddrinfo(3) cannot be interrupted: when a guest's [`SocketsCtx`] is dropped, up to four threads go on until the
//! resolver answers or gives up. Look-ups by the name servers of a [`Resolver`] take 15 seconds at most. Build with
//! `panic = "unwind"`, Rust's default: dns-lookup panics at a canonical name that is not UTF-8, which whoever answers
//! for a name can choose, and the thread of a look-up catches that.
//!
//! # Many guests, and how they end
//!
//! A host of many guests compiles the module once, resolves its imports once, keeps memory for guests ready, and lets
//! guests share threads. [`Limits`] end a guest that takes too long, whatever it does: a [`Ticker`] interrupts code that
//! computes, and the [`GuestClock`] ends waiting. Stores learn of limits by [`limit_time_async`] and [`limit_memory`].
//!
//! ```
//! use std::time::Duration;
//! use wasisocket_host::{
//!     Policy, SocketsCtx, SocketsView, Ticker, add_to_linker_async, limit_memory, limit_time_async,
//! };
//! use wasmtime::{Config, Engine, InstanceAllocationStrategy, Linker, Module, Store};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::new();
//! config
//!     .allocation_strategy(InstanceAllocationStrategy::pooling())
//!     .epoch_interruption(true);
//! let engine = Engine::new(&config)?;
//! let _ticker = Ticker::start(&engine)?;
//! # let module = Module::new(&engine, wat::parse_str(r#"(module (func (export "_start")))"#)?)?;
//! let mut linker = Linker::new(&engine);
//! add_to_linker_async(&mut linker, SocketsCtx::sockets)?;
//! let pre = linker.instantiate_pre(&module)?;
//!
//! let policy = Policy::new().allow("example.com:443")?;
//! let guest = async || -> Result<(), Box<dyn std::error::Error>> {
//!     let sockets = SocketsCtx::builder(policy.clone())
//!         .max_connections(10)
//!         .max_memory(64 << 20)
//!         .max_cpu(Duration::from_secs(1))
//!         .timeout(Duration::from_secs(10))
//!         .build();
//!     let clock = sockets.clock();
//!     let mut store = Store::new(&engine, sockets);
//!     limit_time_async(&mut store, SocketsCtx::sockets);
//!     limit_memory(&mut store, SocketsCtx::sockets);
//!     let instance = pre.instantiate_async(&mut store).await?;
//!     let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
//!     clock.run_async(start.call_async(&mut store, ())).await??;
//!     Ok(())
//! };
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
//! runtime.block_on(async {
//!     tokio::try_join!(guest(), guest(), guest())
//! })?;
//! # Ok(())
//! # }
//! ```
//!
//! Guests that share a thread take turns: a guest that makes calls lets others run after some 20 microseconds, also if
//! it never has to wait, and a guest that only computes at each [`TICK`]. A runtime whose threads take tasks from each
//! other, such as tokio's multi-thread runtime, spreads a guest that is always busy over all threads; guests that stay
//! on the thread that they started on (`LocalPoolHandle` of tokio-util) are delayed less.
//!
//! Synchronous stores have [`limit_time`] and [`GuestClock::run`]. [`SocketsCtxBuilder::approve`] adds a decision of the
//! host's own to the rules, and [`Grants::from_toml`] reads rules and limits from a file.
//!
//! # What is granted, and what is not
//!
//! - Connecting and sending: what [`Policy::allow`] covers at that time. A UDP socket that the guest did not bind
//!   receives only from addresses that it may send to.
//! - Binding, listening and multicast groups: what [`Policy::allow_listen`] covers and no [`Policy::deny_listen`]
//!   forbids. Whoever reaches such a socket is received from and may be answered, except peers that
//!   [`Policy::deny`] forbids: over an accepted connection, or with datagrams to the last 256 senders of each socket,
//!   for two minutes after they sent. As with a stateful firewall, the source address of a datagram is taken for its
//!   sender.
//! - With any rule: a TCP listener at a loopback port that the system picks, and connections to it by the same guest,
//!   as programs make them that know no socketpair(2). Connections of others are closed when the guest accepts.
//! - A UDP socket whose port the system picks never gets a port that another socket holds, whatever SO_REUSEADDR and
//!   SO_REUSEPORT say, and no other socket gets a port that the system picked for a TCP socket of the guest. A port that
//!   is granted by its number can be shared as on Linux.
//! - Names and addresses: questions that a rule covers go to the [`Resolver`]. Others go nowhere.
//! - IPv6 addresses that lead to IPv4 addresses by translation are recognised where their prefix says so (RFC 6052, RFC
//!   8215). A NAT64 with a prefix of the network's own cannot be recognised: if there is one, deny its prefix.
//! - All of that only as far as [`SocketsCtxBuilder::approve`] approves it.
//! - UDP-Lite is under the rules of UDP, and is not available without any rule.
//! - Unix sockets by path: below [`SocketsCtxBuilder::unix_folder`]. Connected pairs need no grant.
//! - Descriptors in messages of Unix sockets: regular files, with the access mode that they were opened with, Unix
//!   sockets of anybody, and the guest's own sockets. IPv4 and IPv6 sockets of others are closed. A guest with a folder
//!   and its peers there trust each other: a socket that one sends is the receiver's too, to use without any policy.
//! - Calls of the embedder's own function, if there is one: [`SocketsCtxBuilder::on_call`]. What it does for the guest is
//!   up to it.
//! - The names of the host's network interfaces: with any allow rule. Without one the list is empty.
//!
//! # Features
//!
//! | feature | what it adds | dependencies |
//! |---|---|---|
//! | `async` | `add_to_linker_async`, `limit_time_async`, [`GuestClock::run_async`] | tokio |
//! | `crypto` | ciphers at the processor's speed; without it guests use their own code | aws-lc-rs, which needs a C compiler |
//! | `dns` | name servers for [`Resolver::dns`] | hickory-resolver, tokio |
//! | `policy-file` | [`Grants::from_toml`] | toml, strsim |
//!
//! All are on by default. Linux only: epoll(7), openat2(2) and /proc are used.

#![forbid(unsafe_code)]

mod calls;
mod clock;
mod crypto;
mod ctx;
mod errno;
mod event;
mod grants;
mod guest_memory;
mod limits;
mod linker;
mod list;
mod memory;
mod names;
mod policy;
mod signals;
mod sockets;
#[cfg(test)]
mod testing;
mod view;

pub use calls::Reply;
#[cfg(feature = "async")]
pub use clock::limit_time_async;
pub use clock::{GuestClock, TICK, Ticker, limit_time};
pub use crypto::prefers_aes;
pub use ctx::{Files, SocketsCtx, SocketsCtxBuilder};
pub use event::{Endpoint, Event, SocketId};
pub use grants::Grants;
#[cfg(feature = "policy-file")]
pub use grants::GrantsError;
pub use limits::{
    CountLimit, DiskQuota, Limit, LimitError, LimitReached, Limits, MAX_DISK_DEFAULT,
    MAX_FILES_DEFAULT, MAX_SOCKETS_DEFAULT, MAX_THREADS_DEFAULT,
};
#[cfg(feature = "async")]
pub use linker::add_to_linker_async;
pub use linker::{add_files_to_linker, add_to_linker};
pub use list::List;
pub use memory::limit_memory;
pub use names::{IpFamily, LookupThreads, Question, Resolver};
pub use policy::{Denial, Operation, Policy, Protocol, Reason, RuleError};
pub use signals::GuestSignals;
pub use view::SocketsView;
pub use wasisocket_abi::Errno;
