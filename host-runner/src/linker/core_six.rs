//! The core six.

use std::net::SocketAddr;

use rustix::net::RecvFlags;
use wasisocket_abi::v1::{EVENT_IN, EVENT_OUT};
use wasisocket_abi::{CoreSocketAddr, Errno, HOST_NAME_MAX, IO_MAX, RESOLVE_MAX};

use super::Call;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::{Address, ConnectCall, Files, NotDone, Outgoing, WaitsFor};
use crate::guest_memory::{Pointer, Slice};
use crate::sockets::{Buffers, Receiving, Timeout};

impl<F: Files> Call<'_, F> {
    pub(super) fn sock_open(&mut self, family: u32, kind: u32) -> Result<u32, Errno> {
        self.sockets.open(family, kind, 0)
    }

    pub(super) fn sock_close(&mut self, handle: u32) -> Result<(), Errno> {
        self.sockets.close(handle)
    }
}

/// While it waits, the look-up takes a handle of the guest's, and longer if the call is dropped: until the next.
pub(super) fn sock_resolve(
    name: Slice<u8>,
    port: u32,
    addresses: Slice<CoreSocketAddr>,
) -> Operation<u32, impl Attempt<u32>> {
    let mut started = None;
    Operation::new(Timeout::FOREVER, move |memory, sockets, _| {
        let port = u16::try_from(port).map_err(|_| Errno::EINVAL)?;
        // All the room that the guest says it has must be there, even what is not needed.
        memory.bytes(addresses)?;
        if name.count() > HOST_NAME_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let lookup = match started {
            Some(lookup) => lookup,
            None => sockets.resolve_name(memory.bytes(name)?)?,
        };
        started = Some(lookup);
        let found = match sockets.lookup_addrs(lookup) {
            Err(Errno::EAGAIN) => return Err(Stop::unless_ready(lookup, EVENT_IN)(Errno::EAGAIN)),
            // The resolver said so: no look-up is going on any more.
            Err(Errno::EBUSY) => Err(Errno::EAGAIN),
            found => found.map(<[_]>::to_vec),
        };
        sockets.resolved();
        let found = found?.into_iter().take(RESOLVE_MAX);
        let found = found.map(|ip| CoreSocketAddr::from(SocketAddr::new(ip, port)));
        Ok(memory.write_all(addresses, found)?)
    })
}

pub(super) fn sock_connect(
    handle: u32,
    address: Pointer<CoreSocketAddr>,
) -> Operation<(), impl Attempt<()>> {
    let mut call = ConnectCall::default();
    Operation::new(Timeout::FOREVER, move |memory, sockets, _| {
        let address = Address::Ip(memory.read(address)?.try_into()?);
        let connected = sockets.connect(handle, address, &mut call);
        connected.map_err(Stop::unless_connected(handle, Timeout::FOREVER))
    })
}

/// Sends all of it, as a blocking send(2) does: less only if an error comes in between.
pub(super) fn sock_send(handle: u32, data: Slice<u8>) -> Operation<u32, impl Attempt<u32>> {
    let mut sent = 0;
    Operation::new(Timeout::FOREVER, move |memory, sockets, patience| {
        let data = memory.bytes(data)?;
        let data = data.get(..IO_MAX).unwrap_or(data);
        let rest = data.get(sent..).unwrap_or_default();
        match sockets.send(handle, Outgoing::to_peer(rest), patience) {
            Ok(count) => sent += count,
            // What was sent has to be reported, also if it cannot be waited for more.
            Err(NotDone::Errno(Errno::EAGAIN)) if sent > 0 => {
                return Err(Stop::NotYet {
                    waits_for: WaitsFor::Handle(handle, EVENT_OUT),
                    over: Ok(sent as u32),
                    is_begun: true,
                });
            }
            Err(NotDone::Errno(_)) if sent > 0 => return Ok(sent as u32),
            Err(not_done) => return Err(Stop::unless_ready(handle, EVENT_OUT)(not_done)),
        }
        match sent < data.len() {
            true => Err(Stop::Again),
            false => Ok(sent as u32),
        }
    })
}

pub(super) fn sock_recv(handle: u32, buffer: Slice<u8>) -> Operation<u32, impl Attempt<u32>> {
    Operation::new(Timeout::FOREVER, move |memory, sockets, patience| {
        let mut buffers = Buffers::One(memory.bytes_mut(buffer)?);
        let receiving = Receiving {
            flags: RecvFlags::empty(),
            from: false,
            ancillary: false,
            needs_peer: true,
            patience,
        };
        let received = sockets.receive(handle, &mut buffers, receiving);
        let (incoming, _) = received.map_err(Stop::unless_ready(handle, EVENT_IN))?;
        Ok(incoming.length.min(buffers.room()) as u32)
    })
}
