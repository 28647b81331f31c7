//! The core six.

use std::net::SocketAddr;

use wasisocket_abi::v1::{EVENT_IN, EVENT_OUT};
use wasisocket_abi::{CoreSocketAddr, Errno, HOST_NAME_MAX, IO_MAX, RESOLVE_MAX};

use super::operation::{Attempt, Operation, Stop};
use crate::SocketsCtx;
use crate::ctx::{Address, Pace, WaitsFor};
use crate::guest_memory::{GuestMemory, Pointer, Slice};
use crate::sockets::Timeout;

pub(super) fn sock_open(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    family: u32,
    kind: u32,
) -> Result<u32, Errno> {
    sockets.open(family, kind, 0)
}

/// While it waits, the look-up takes a handle of the guest's, and longer if the call is dropped: until the next.
pub(super) fn sock_resolve(
    name: Slice<u8>,
    port: u32,
    addresses: Slice<CoreSocketAddr>,
) -> Operation<u32, impl Attempt<u32>> {
    let mut started = None;
    Operation::new(Timeout::FOREVER, None, move |memory, sockets, _| {
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
    let pace = Some(Pace::Connect(handle));
    let mut again = false;
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, _| {
        let address = Address::Ip(memory.read(address)?.try_into()?);
        let connected = sockets.connect(handle, address, again);
        again = true;
        connected.map_err(Stop::unless_connected(handle, Timeout::FOREVER))
    })
}

/// Sends all of it, as a blocking send(2) does: less only if an error comes in between.
pub(super) fn sock_send(handle: u32, data: Slice<u8>) -> Operation<u32, impl Attempt<u32>> {
    let pace = Some(Pace::Send(handle));
    let mut sent = 0;
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, patience| {
        let data = memory.bytes(data)?;
        let data = data.get(..IO_MAX).unwrap_or(data);
        let rest = data.get(sent..).unwrap_or_default();
        let result = sockets.room_to_send(handle).and_then(|room| {
            let part = match room.excess {
                Some(errno) if rest.len() > room.most => return Err(sockets.too_large(errno)),
                _ => rest.get(..room.most).unwrap_or(rest),
            };
            sockets.send(handle, part, patience)
        });
        match result {
            Ok(count) => sent += count,
            // What was sent has to be reported, also if it cannot be waited for more.
            Err(Errno::EAGAIN) if sent > 0 => {
                return Err(Stop::NotYet {
                    waits_for: WaitsFor::Handle(handle, EVENT_OUT),
                    over: Ok(sent as u32),
                });
            }
            Err(errno) if sent == 0 => {
                return Err(Stop::unless_ready(handle, EVENT_OUT)(errno));
            }
            Err(_) => return Ok(sent as u32),
        }
        match sent < data.len() {
            true => Err(Stop::Again),
            false => Ok(sent as u32),
        }
    })
}

pub(super) fn sock_recv(handle: u32, buffer: Slice<u8>) -> Operation<u32, impl Attempt<u32>> {
    let pace = Some(Pace::Receive(handle));
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, patience| {
        memory.bytes(buffer)?;
        let most = sockets.room_to_receive(handle)?.most;
        let buffer = memory.bytes_mut(buffer.first(most))?;
        let received = sockets.recv(handle, buffer, patience);
        let received = received.map_err(Stop::unless_ready(handle, EVENT_IN))?;
        Ok(received as u32)
    })
}

pub(super) fn sock_close(
    _: &mut GuestMemory<'_>,
    sockets: &mut SocketsCtx,
    handle: u32,
) -> Result<(), Errno> {
    sockets.close(handle)
}
