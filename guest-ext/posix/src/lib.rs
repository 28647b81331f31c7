//! Sockets for `wasm32-wasip1`, without Python: what wasi-libc lacks, over a wasisocket host.
//!
//! One function is one POSIX call, named as POSIX names it. File descriptors of sockets are the
//! host's handles ([`wasisocket_abi::FIRST_HANDLE`] and above). Errors are the guest's own errno.
//!
//! The [`c_abi`] module defines the few socket functions that wasi-libc does have. Without it, one use
//! of wasi-libc's `send` would pull in preview1's `sock_send`, whose type clashes with the host's.

// Nothing in here may abort the guest: what could panic does not compile.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

#[cfg(not(any(feature = "host-wasisocket", feature = "host-core")))]
compile_error!("choose a host: feature host-wasisocket or host-core");

#[cfg(target_os = "wasi")]
mod c_abi;
mod errno;
mod host;
mod socket;

pub use errno::{Errno, Result};
pub use socket::{RawFd, close, connect, recv, resolve, send, socket};
