//! The wasmtime side of wasisocket: sockets for WebAssembly guests, under grants.
//!
//! A [`SocketsCtx`] is all that one guest has: its [`Policy`], its open sockets, what it looked up.
//! There are no globals; two stores in one process share nothing but the threads of look-ups. [`add_to_linker`] supplies the
//! imports, the core six and `wasisocket_v1`, as [`wasisocket_abi`] describes them.
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
//! Where a `send()` goes: [`linker`](add_to_linker) reads the arguments, `guest_memory` turns pointer
//! and length into a slice, `ctx` finds the socket (the policy was asked at `connect`), and `sockets`
//! makes the system call on guest memory itself.
//!
//! Every operation is an attempt that does not wait. What waits between two of them is `linker::operation`: it
//! blocks the calling thread in a synchronous store ([`add_to_linker`]), and gives it to other tasks in an
//! asynchronous one ([`add_to_linker_async`]). Only to wait without end, a synchronous store leaves that to
//! send(2) and recv(2) themselves.
//!
//! Look-ups run on up to four threads for each guest, which end once they have none to do, and up to 512 for all
//! guests of a process: where more than half of these are busy each guest has one, and waits for its turn.
//! getaddrinfo(3) cannot be interrupted: when a guest's [`SocketsCtx`] is dropped, up to four threads go on
//! until the resolver answers them or gives up. Name servers that were given to a [`Resolver`] are waited for
//! 15 seconds. Build with `panic = "unwind"`, Rust's default: dns-lookup panics at a canonical name that is not
//! UTF-8, which whoever answers for a name can choose, and a look-up's thread catches that.
//!
//! # Many guests, and their ends
//!
//! A host of many guests compiles the module once, resolves its imports once, has places for them ready, and
//! lets them share threads. [`Limits`] end one that takes too long, wherever it is: a [`Ticker`] brings it back
//! from computing, and its [`GuestClock`] from waiting. What a store has to be told of them are [`limit_time_async`]
//! and [`limit_memory`].
//!
//! ```
//! use std::time::Duration;
//! use wasisocket_host::{
//!     Limits, Policy, SocketsCtx, SocketsView, Ticker, add_to_linker_async, limit_memory,
//!     limit_time_async,
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
//!     let mut limits = Limits::default();
//!     limits.max_connections = Some(10);
//!     limits.max_memory = Some(64 << 20);
//!     limits.max_cpu = Some(Duration::from_secs(1));
//!     limits.timeout = Some(Duration::from_secs(10));
//!     let sockets = SocketsCtx::builder(policy.clone()).limits(limits).build();
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
//! Guests that share a thread take turns: one that makes calls lets others run after some 20 microseconds, also if
//! it never has to wait, and one that only computes at each [`TICK`]. A runtime whose threads take tasks from each
//! other, as tokio's multi-thread runtime does, spreads a guest that is always busy over all threads; guests
//! that stay on the thread they started on (`LocalPoolHandle` of tokio-util) are held up less.
//!
//! A synchronous store has [`limit_time`] and [`GuestClock::run`]. A decision of the host's own, on top of the
//! rules, is [`SocketsCtxBuilder::approve`]; rules and limits in a file are [`Grants::from_toml`].
//!
//! # What is granted, and what is not
//!
//! - Connecting and sending: what [`Policy::allow`] covers, at the time. A UDP socket that the guest did not
//!   bind receives from those only.
//! - Binding, listening and multicast groups: what [`Policy::allow_listen`] covers and no
//!   [`Policy::deny_listen`] forbids. Whoever reaches such a socket is heard and may be answered, except
//!   those that [`Policy::deny`] keeps away: over an accepted connection, or with datagrams to the last 256
//!   senders of each socket, for two minutes after they were heard. As with a stateful firewall, a sender is
//!   who its datagrams say it is.
//! - With any rule, a TCP listener at a loopback port that the system picks, and connections to it by the
//!   same guest, as programs make them that know no socketpair(2). Others are closed when it accepts.
//! - A UDP socket whose port the system picks never gets one that another socket holds, whatever
//!   SO_REUSEADDR and SO_REUSEPORT say, nor does another get one that it picked for a TCP socket; a port that is
//!   granted by its number can be shared as on Linux.
//! - Names and addresses: what a rule covers is asked of the [`Resolver`], and nothing else is asked of anybody.
//! - What an IPv6 address leads to by translation is read where its prefix tells (RFC 6052, RFC 8215). A NAT64 of the
//!   network's own prefix is not known here: where there is one, deny it.
//! - All of that only as far as [`SocketsCtxBuilder::approve`] approves it.
//! - UDP-Lite is under the rules of UDP; without any rule there is none.
//! - Unix sockets by path: beneath [`SocketsCtxBuilder::unix_folder`]. Connected pairs need no grant.
//! - What is sent with a message of a Unix socket: regular files, with the access mode that they were opened
//!   with, Unix sockets of anybody, and the guest's own sockets. IPv4 and IPv6 sockets of others are closed. A
//!   guest with a folder trusts whom it talks to there, and the other way round: a socket that it sends is
//!   the receiver's too, to use without any policy.
//! - The names of the host's network interfaces: with any allow rule; without one the list is empty.
//!
//! Linux only: epoll(7), openat2(2) and /proc are used.

#![forbid(unsafe_code)]

mod clock;
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
mod sockets;
#[cfg(test)]
mod testing;
mod view;

pub use clock::{GuestClock, TICK, Ticker, limit_time, limit_time_async};
pub use ctx::{Files, SocketsCtx, SocketsCtxBuilder};
pub use event::{Endpoint, Event, SocketId};
pub use grants::Grants;
#[cfg(feature = "policy-file")]
pub use grants::GrantsError;
pub use limits::{Limit, LimitError, LimitReached, Limits, MAX_SOCKETS_DEFAULT};
pub use linker::{add_files_to_linker, add_to_linker, add_to_linker_async};
pub use list::List;
pub use memory::limit_memory;
pub use names::{IpFamily, LookupThreads, Question, Resolver};
pub use policy::{Denial, Operation, Policy, Protocol, Reason, RuleError};
pub use view::SocketsView;
pub use wasisocket_abi::Errno;
