//! Opening, connecting, listening; names and options.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    Addr, EVENT_IN, INTERFACES_MAX, Interface, Pair, SocketAddr, SocketOption,
};

use super::operation::{Attempt, Operation, Stop};
use crate::SocketsCtx;
use crate::ctx::ConnectCall;
use crate::guest_memory::{GuestMemory, Pointer, Slice};
use crate::sockets::Timeout;

pub(super) fn sock_open_protocol(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    family: u32,
    kind: u32,
    protocol: u32,
) -> Result<u32, Errno> {
    sockets.open(family, kind, protocol)
}

pub(super) fn sock_pair(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    kind: u32,
) -> Result<Pair, Errno> {
    let (first, second) = sockets.pair(kind)?;
    Ok(Pair { first, second })
}

pub(super) fn sock_dup(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
) -> Result<u32, Errno> {
    sockets.duplicate(handle)
}

pub(super) fn sock_bind(
    memory: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    address: Pointer<Addr>,
) -> Result<(), Errno> {
    sockets.bind(handle, memory.address(address)?)
}

pub(super) fn sock_listen(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    backlog: u32,
) -> Result<(), Errno> {
    sockets.listen(handle, backlog)
}

#[expect(
    clippy::result_large_err,
    reason = "most attempts return the address, which is as large"
)]
pub(super) fn sock_accept(
    handle: u32,
    timeout: Timeout,
) -> Operation<(Addr, u32), impl Attempt<(Addr, u32)>> {
    Operation::new(timeout, move |_, sockets, _| {
        let accepted = sockets.accept(handle);
        let (accepted, peer) = accepted.map_err(Stop::unless_ready(handle, EVENT_IN))?;
        Ok((peer.into(), accepted))
    })
}

pub(super) fn sock_connect_to(
    handle: u32,
    address: Pointer<Addr>,
    timeout: Timeout,
) -> Operation<(), impl Attempt<()>> {
    let mut call = ConnectCall::default();
    Operation::new(timeout, move |memory, sockets, _| {
        let address = memory.address(address)?;
        let connected = sockets.connect(handle, address, &mut call);
        connected.map_err(Stop::unless_connected(handle, timeout))
    })
}

pub(super) fn sock_shutdown(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    how: u32,
) -> Result<(), Errno> {
    sockets.shutdown(handle, how)
}

pub(super) fn sock_getsockname(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
) -> Result<Addr, Errno> {
    Ok(sockets.sockname(handle)?.into())
}

pub(super) fn sock_getpeername(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
) -> Result<Addr, Errno> {
    Ok(sockets.peername(handle)?.into())
}

pub(super) fn sock_getsockopt(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    option: u32,
) -> Result<i64, Errno> {
    sockets.option(handle, SocketOption(option))
}

pub(super) fn sock_setsockopt(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    option: u32,
    value: i64,
) -> Result<(), Errno> {
    sockets.set_option(handle, SocketOption(option), value)
}

pub(super) fn sock_membership(
    memory: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
    join: u32,
    group: Pointer<SocketAddr>,
    interface: Pointer<SocketAddr>,
) -> Result<(), Errno> {
    let join = match join {
        0 => false,
        1 => true,
        _ => return Err(Errno::EINVAL),
    };
    let group = memory.read(group)?.try_into()?;
    let interface = memory.read(interface)?.try_into()?;
    sockets.membership(handle, join, group, interface)
}

pub(super) fn net_interfaces(
    memory: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    entries: Slice<Interface>,
) -> Result<u32, Errno> {
    let entries = entries.first(INTERFACES_MAX);
    memory.bytes(entries)?;
    memory.write_all(entries, sockets.interfaces()?)
}
