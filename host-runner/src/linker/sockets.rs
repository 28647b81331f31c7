//! Opening, connecting, listening; names and options.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    Addr, EVENT_IN, INTERFACES_MAX, Interface, Pair, SocketAddr, SocketOption,
};

use super::Call;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::{ConnectCall, Files};
use crate::guest_memory::{Pointer, Slice};
use crate::sockets::Timeout;

impl<F: Files> Call<'_, F> {
    pub(super) fn sock_open_protocol(
        &mut self,
        family: u32,
        kind: u32,
        protocol: u32,
    ) -> Result<u32, Errno> {
        self.sockets.open(family, kind, protocol)
    }

    pub(super) fn sock_pair(&mut self, kind: u32) -> Result<Pair, Errno> {
        let (first, second) = self.sockets.pair(kind)?;
        Ok(Pair { first, second })
    }

    pub(super) fn sock_dup(&mut self, handle: u32) -> Result<u32, Errno> {
        self.sockets.duplicate(handle)
    }

    pub(super) fn sock_bind(&mut self, handle: u32, address: Pointer<Addr>) -> Result<(), Errno> {
        self.sockets.bind(handle, self.memory.address(address)?)
    }

    pub(super) fn sock_listen(&mut self, handle: u32, backlog: u32) -> Result<(), Errno> {
        self.sockets.listen(handle, backlog)
    }

    pub(super) fn sock_shutdown(&mut self, handle: u32, how: u32) -> Result<(), Errno> {
        self.sockets.shutdown(handle, how)
    }

    pub(super) fn sock_getsockname(&mut self, handle: u32) -> Result<Addr, Errno> {
        Ok(self.sockets.sockname(handle)?.into())
    }

    pub(super) fn sock_getpeername(&mut self, handle: u32) -> Result<Addr, Errno> {
        Ok(self.sockets.peername(handle)?.into())
    }

    pub(super) fn sock_getsockopt(&mut self, handle: u32, option: u32) -> Result<i64, Errno> {
        self.sockets.option(handle, SocketOption(option))
    }

    pub(super) fn sock_setsockopt(
        &mut self,
        handle: u32,
        option: u32,
        value: i64,
    ) -> Result<(), Errno> {
        self.sockets.set_option(handle, SocketOption(option), value)
    }

    pub(super) fn sock_membership(
        &mut self,
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
        let group = self.memory.read(group)?.try_into()?;
        let interface = self.memory.read(interface)?.try_into()?;
        self.sockets.membership(handle, join, group, interface)
    }

    pub(super) fn net_interfaces(&mut self, entries: Slice<Interface>) -> Result<u32, Errno> {
        let entries = entries.first(INTERFACES_MAX);
        self.memory.bytes(entries)?;
        self.memory.write_all(entries, self.sockets.interfaces()?)
    }
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
