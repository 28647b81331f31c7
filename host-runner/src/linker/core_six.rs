//! The core six: read guest memory, call, write back.

use std::net::SocketAddr;

use wasisocket_abi::v1::{EVENT_IN, EVENT_OUT};
use wasisocket_abi::{
    CORE_ADDR_LEN, CORE_MODULE, CoreSocketAddr, Errno, HOST_NAME_MAX, IO_MAX, RESOLVE_MAX,
};
use wasmtime::{Caller, Linker, Result};

use super::operation::{Attempt, Operation, Stop};
use super::{call, waiting_imports};
use crate::SocketsCtx;
use crate::ctx::{Address, Pace, WaitsFor};
use crate::sockets::Timeout;

waiting_imports! {
    CORE_MODULE;
    "sock_resolve" = resolve(
        name: u32, name_len: u32, port: u32, entries: u32, max_entries: u32, count_out: u32
    );
    "sock_connect" = connect(handle: u32, address: u32);
    "sock_send" = send(handle: u32, data: u32, length: u32, sent_out: u32);
    "sock_recv" = recv(handle: u32, buffer: u32, length: u32, received_out: u32);
}

/// While it waits, the look-up takes a handle of the guest's, and longer if the call is dropped: until the next.
fn resolve(
    name: u32,
    name_len: u32,
    port: u32,
    entries: u32,
    max_entries: u32,
    count_out: u32,
) -> Operation<impl Attempt> {
    let mut started = None;
    Operation::new(Timeout::FOREVER, None, move |memory, sockets, _| {
        let out = memory.out(count_out)?;
        let port = u16::try_from(port).map_err(|_| Errno::EINVAL)?;
        // All the room that the guest says it has must be there, even what is not needed.
        let room = max_entries
            .checked_mul(CORE_ADDR_LEN as u32)
            .ok_or(Errno::EFAULT)?;
        memory.slice(entries, room)?;
        if name_len as usize > HOST_NAME_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let lookup = match started {
            Some(lookup) => lookup,
            None => sockets.resolve_name(memory.slice(name, name_len)?)?,
        };
        started = Some(lookup);
        let found = match sockets.lookup_addrs(lookup) {
            Err(Errno::EAGAIN) => return Err(Stop::unless_ready(lookup, EVENT_IN)(Errno::EAGAIN)),
            // What the resolver said: no look-up is going on any more.
            Err(Errno::EBUSY) => Err(Errno::EAGAIN),
            found => found.map(<[_]>::to_vec),
        };
        sockets.resolved();
        let places = memory
            .slice_mut(entries, room)?
            .chunks_exact_mut(CORE_ADDR_LEN);
        let mut count = 0_u32;
        for (place, ip) in places.zip(found?.into_iter().take(RESOLVE_MAX)) {
            place.copy_from_slice(&CoreSocketAddr::from(SocketAddr::new(ip, port)).to_bytes());
            count += 1;
        }
        Ok(memory.put(out, count.to_le_bytes())?)
    })
}

fn connect(handle: u32, address: u32) -> Operation<impl Attempt> {
    let pace = Some(Pace::Connect(handle));
    let mut again = false;
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, _| {
        let address = CoreSocketAddr::from_bytes(memory.array(address)?);
        let address = Address::Ip(address.try_into()?);
        let connected = sockets.connect(handle, address, again);
        again = true;
        connected.map_err(Stop::unless_connected(handle, Timeout::FOREVER))
    })
}

/// Sends all of it, as a blocking send(2) does: less only if an error comes in between.
fn send(handle: u32, data: u32, length: u32, sent_out: u32) -> Operation<impl Attempt> {
    let pace = Some(Pace::Send(handle));
    let mut sent = 0;
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, patience| {
        let out = memory.out(sent_out)?;
        let data = memory.slice(data, length)?;
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
            // What was sent has to be told, also if it cannot be waited for more.
            Err(Errno::EAGAIN) if sent > 0 => {
                memory.put(out, (sent as u32).to_le_bytes())?;
                return Err(Stop::NotYet {
                    waits_for: WaitsFor::Handle(handle, EVENT_OUT),
                    over: Ok(()),
                });
            }
            Err(errno) if sent == 0 => {
                return Err(Stop::unless_ready(handle, EVENT_OUT)(errno));
            }
            Err(_) => return Ok(memory.put(out, (sent as u32).to_le_bytes())?),
        }
        if sent < data.len() {
            return Err(Stop::Again);
        }
        Ok(memory.put(out, (sent as u32).to_le_bytes())?)
    })
}

fn recv(handle: u32, buffer: u32, length: u32, received_out: u32) -> Operation<impl Attempt> {
    let pace = Some(Pace::Receive(handle));
    Operation::new(Timeout::FOREVER, pace, move |memory, sockets, patience| {
        let out = memory.out(received_out)?;
        memory.slice(buffer, length)?;
        let most = sockets.room_to_receive(handle)?.most as u32;
        let buffer = memory.slice_mut(buffer, length.min(most))?;
        let received = sockets.recv(handle, buffer, patience);
        let received = received.map_err(Stop::unless_ready(handle, EVENT_IN))?;
        Ok(memory.put(out, (received as u32).to_le_bytes())?)
    })
}

/// Defines those of the core six that never wait.
pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    linker.func_wrap(
        CORE_MODULE,
        "sock_open",
        move |caller: Caller<'_, T>, family: u32, kind: u32, handle_out: u32| {
            call(caller, get, |memory, sockets| {
                let out = memory.out(handle_out)?;
                memory.put(out, sockets.open(family, kind, 0)?.to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        CORE_MODULE,
        "sock_close",
        move |caller: Caller<'_, T>, handle: u32| {
            call(caller, get, |_, sockets| sockets.close(handle))
        },
    )?;
    Ok(())
}
