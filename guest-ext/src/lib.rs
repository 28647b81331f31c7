//! `_wasisocket`: the low-level Python module. Parse, call, convert; nothing else.
//!
//! Its constants have the ABI's numbers (`AF_INET6` is 10), and its OSErrors have the guest's errno.
//! `wasisocket-posix` implements the calls.

// Nothing in this crate may abort the guest: code that could panic does not compile.
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod arguments;
mod buffer;
mod error;
mod functions;

use pyo3::pymodule;

/// TCP and UDP over the host's sockets. Each function is one blocking call.
///
/// File descriptors, families and types are those of the socket module too.
/// Errors are OSError, by errno: PermissionError where no grant of the host covers the call.
/// call, call_start and call_answer reach a function of the program that embeds this one.
#[pymodule]
mod _wasisocket {
    use wasisocket_abi as abi;

    #[pymodule_export]
    const AF_INET: u32 = abi::AF_INET;
    #[pymodule_export]
    const AF_INET6: u32 = abi::AF_INET6;
    #[pymodule_export]
    const SOCK_STREAM: u32 = abi::SOCK_STREAM;
    #[pymodule_export]
    const SOCK_DGRAM: u32 = abi::SOCK_DGRAM;

    #[pymodule_export]
    use crate::functions::{call, call_answer, call_start};
    #[pymodule_export]
    use crate::functions::{lookup_addr, lookup_addrs, lookup_host, lookup_name};
    #[pymodule_export]
    use crate::functions::{
        sock_close, sock_connect, sock_open, sock_recv, sock_recv_into, sock_resolve, sock_send,
    };
}
