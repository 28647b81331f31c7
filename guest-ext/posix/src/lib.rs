//! BSD sockets for `wasm32-wasip1`, without Python: what wasi-libc lacks, over a wasisocket host.
//!
//! One function is one POSIX call, named as POSIX names it. Errors are the guest's own errno. On the
//! target the `c_abi` module exports the same functions to C under their POSIX names.
//!
//! | module | |
//! |---|---|
//! | `descriptors` | what each file descriptor stands for, and its state: O_NONBLOCK, timeouts |
//! | `socket`, `message`, `rights`, `option` | calls on one socket |
//! | `poll`, `epoll` | waiting for several descriptors |
//! | `threads` | call stacks that take turns, and what they wait for |
//! | `signals` | what comes from outside, and the functions that handle it |
//! | `paths` | paths in the granted folders, as if those were mounted in one tree |
//! | `devices`, `listing` | files in `/dev`, and directories that no host has |
//! | `standard_streams` | standard input, output and error, which the host can watch as it watches sockets |
//! | `locks` | locks of files |
//! | `users` | the files of users and groups |
//! | `zones` | time zones: TZ, local time and mktime |
//! | [`netdb`] | names, services and interfaces |
//! | [`calls`] | functions of the program that embeds the guest |
//! | [`crypto`] | ciphers and signatures that the host computes |
//! | `host` | the seam: the trait that each host implements |

// Nothing here may abort the guest, so code that could panic does not compile.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(not(any(feature = "host-wasisocket", feature = "host-core")))]
compile_error!("choose a host: feature host-wasisocket or host-core");
#[cfg(all(feature = "host-wasisocket", feature = "host-core"))]
compile_error!(
    "choose one host: with feature host-core, switch host-wasisocket off by --no-default-features"
);

mod address;
mod ancillary;
#[cfg(target_os = "wasi")]
mod c_abi;
pub mod calls;
pub mod crypto;
#[cfg_attr(not(target_os = "wasi"), allow(dead_code, reason = "files are for C"))]
mod descriptors;
#[cfg_attr(not(target_os = "wasi"), allow(dead_code, reason = "files are for C"))]
mod devices;
mod epoll;
mod errno;
mod host;
#[cfg(any(target_os = "wasi", test))]
mod listing;
#[cfg_attr(
    not(target_os = "wasi"),
    allow(dead_code, reason = "only C code calls it")
)]
mod locks;
mod message;
pub mod netdb;
mod option;
#[cfg(any(target_os = "wasi", test))]
mod paths;
mod poll;
mod rights;
#[cfg(target_os = "wasi")]
#[cfg_attr(
    feature = "host-core",
    allow(dead_code, reason = "that host cannot wait")
)]
mod signals;
mod socket;
#[cfg(target_os = "wasi")]
mod standard_streams;
pub mod sys;
#[cfg(target_os = "wasi")]
#[cfg_attr(
    feature = "host-core",
    allow(dead_code, reason = "that host has no threads")
)]
mod threads;
mod unix;
#[cfg(any(target_os = "wasi", test))]
mod users;
#[cfg(any(target_os = "wasi", test))]
mod zones;

pub use address::SOCKADDR_MAX;
pub use descriptors::{
    Family, RawFd, Type, is_cloexec, is_nonblocking, pipe_end, set_cloexec, set_nonblocking,
};
pub use epoll::{epoll_create, epoll_ctl, epoll_wait};
pub use errno::{Errno, Result};
pub use host::{Address, Message, Want};
pub use message::{recv, recvmsg, send, sendmsg};
pub use option::{VALUE_MAX, getsockopt, protocol, readable, setsockopt};
pub use poll::{poll, select};
pub use rights::{carries_rights, recvmsg_rights, sendmsg_rights};
pub use socket::{
    accept, bind, close, close_handle, connect, dup, dup_above, dup2, getpeername, getsockname,
    listen, pipe, shutdown, socket, socketpair,
};
