//! What neither the core six nor the host in memory have.

use core::mem::MaybeUninit;
use std::net::IpAddr;

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{Event, Interface, ReceivedRight, Right, SocketOption};

use super::Received;
use crate::Address;

/// Calls that fail, each with what it would return.
macro_rules! unsupported {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty;)*) => {
        $(pub(crate) fn $name($($argument: $kind),*) -> Result<$result, Errno> {
            $(let _ = $argument;)*
            Err(Errno::EOPNOTSUPP)
        })*
    };
}

unsupported! {
    dup(handle: u32) -> u32;
    bind(handle: u32, address: &Address) -> ();
    listen(handle: u32, backlog: u32) -> ();
    accept(handle: u32, timeout: i64) -> (u32, Address);
    shutdown(handle: u32, how: u32) -> ();
    getsockname(handle: u32) -> Address;
    getpeername(handle: u32) -> Address;
    membership(handle: u32, join: bool, group: &Address, interface: &Address) -> ();
    send_rights(handle: u32, data: &[&[u8]], to: Option<&Address>, rights: &[Right], flags: u32) -> usize;
    recv_rights(handle: u32, buffers: &mut [&mut [MaybeUninit<u8>]], address: bool, rights: &mut [ReceivedRight], flags: u32) -> (Received, usize);
    interest_create() -> u32;
    interest_ctl(set: u32, op: u32, handle: u32, events: u32, data: u64) -> ();
    interest_wait(set: u32, events: &mut [Event], timeout: i64) -> usize;
    lookup_name(name: &[u8], family: u32) -> u32;
    lookup_addr(address: &Address) -> u32;
    lookup_addrs(lookup: u32, timeout: i64) -> Vec<IpAddr>;
    lookup_host(lookup: u32, name: &mut [u8], timeout: i64) -> usize;
    net_interfaces(entries: &mut [Interface]) -> usize;
}

/// There are no options. This very errno is what programs forgive: http.client sets TCP_NODELAY.
pub(crate) fn getsockopt(_handle: u32, _option: SocketOption) -> Result<i64, Errno> {
    Err(Errno::ENOPROTOOPT)
}

/// As for [`getsockopt`].
pub(crate) fn setsockopt(_handle: u32, _option: SocketOption, _value: i64) -> Result<(), Errno> {
    Err(Errno::ENOPROTOOPT)
}
