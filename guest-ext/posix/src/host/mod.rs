//! The seam below this crate: one module per host, all with the same functions.
//!
//! Every function is one crossing into the host. Errors are the host's, in Linux numbering. A `timeout`
//! is in nanoseconds: 0 tries once, negative ([`FOREVER`]) waits without end.

#[cfg(all(target_os = "wasi", not(feature = "host-wasisocket")))]
mod core_six;
#[cfg(not(target_os = "wasi"))]
mod fake;
#[cfg(target_os = "wasi")]
mod files;
#[cfg(not(all(target_os = "wasi", feature = "host-wasisocket")))]
mod unsupported;
#[cfg(all(target_os = "wasi", feature = "host-wasisocket"))]
mod wasisocket;

#[cfg(all(target_os = "wasi", not(feature = "host-wasisocket")))]
use core_six as imp;
#[cfg(not(target_os = "wasi"))]
use fake as imp;
#[cfg(all(target_os = "wasi", feature = "host-wasisocket"))]
use wasisocket as imp;

pub(crate) use imp::{
    CAN_WAIT, accept, bind, close, connect, dup, getpeername, getsockname, getsockopt,
    interest_create, interest_ctl, interest_wait, listen, lookup_addr, lookup_addrs, lookup_host,
    lookup_name, membership, net_interfaces, open, pair, poll, recv, recv_rights, resolve, send,
    send_rights, setsockopt, shutdown,
};

#[cfg(not(target_os = "wasi"))]
pub(crate) use fake::{close_file, is_file, working_folder};
#[cfg(target_os = "wasi")]
pub(crate) use files::{close_file, is_file, working_folder};

/// The timeout that never ends.
pub(crate) const FOREVER: i64 = -1;

/// What a `recv` brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) bytes: usize,
    /// `MSG_` flags of the ABI.
    pub(crate) flags: u32,
    /// The sender's address, if it was asked for.
    pub(crate) from: crate::Address,
    /// What came with it, if it was asked for.
    pub(crate) ancillary: wasisocket_abi::v1::Ancillary,
}

/// What an import answers: 0 is success, anything else the error.
#[cfg(target_os = "wasi")]
fn check(errno: u32) -> Result<(), wasisocket_abi::Errno> {
    match errno {
        0 => Ok(()),
        errno => Err(wasisocket_abi::Errno(errno)),
    }
}
