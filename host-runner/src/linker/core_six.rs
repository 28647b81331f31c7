//! The core six: read guest memory, call, write back.

use std::net::SocketAddr;

use wasisocket_abi::{
    CORE_ADDR_LEN, CORE_MODULE, CoreSocketAddr, Errno, HOST_NAME_MAX, IO_MAX, RESOLVE_MAX,
};
use wasmtime::{Caller, Linker, Result};

use super::call;
use crate::SocketsCtx;
use crate::ctx::Address;
use crate::sockets::Timeout;

/// Defines the core six. They block.
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
        "sock_resolve",
        move |caller: Caller<'_, T>,
              name: u32,
              name_len: u32,
              port: u32,
              entries: u32,
              max_entries: u32,
              count_out: u32| {
            call(caller, get, |memory, sockets| {
                let out = memory.out(count_out)?;
                let port = u16::try_from(port).map_err(|_| Errno::EINVAL)?;
                // All the room that the guest says it has must be there, even what is not needed.
                let room = max_entries
                    .checked_mul(CORE_ADDR_LEN as u32)
                    .ok_or(Errno::EFAULT)?;
                memory.slice(entries, room)?;
                if name_len as usize > HOST_NAME_MAX {
                    return Err(Errno::ENAMETOOLONG);
                }
                let lookup = sockets.resolve_start(memory.slice(name, name_len)?)?;
                let addresses = sockets.resolve_finish(&lookup, Timeout::FOREVER).map_err(
                    |errno| match errno {
                        // A call that waits has no other "try again" than the resolver's.
                        Errno::EBUSY => Errno::EAGAIN,
                        errno => errno,
                    },
                )?;
                let max = RESOLVE_MAX.min(max_entries as usize);
                let count = addresses.len().min(max);
                let places = memory
                    .slice_mut(entries, room)?
                    .chunks_exact_mut(CORE_ADDR_LEN);
                for (place, ip) in places.zip(addresses.into_iter().take(max)) {
                    place.copy_from_slice(
                        &CoreSocketAddr::from(SocketAddr::new(ip, port)).to_bytes(),
                    );
                }
                memory.put(out, (count as u32).to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        CORE_MODULE,
        "sock_connect",
        move |caller: Caller<'_, T>, handle: u32, address: u32| {
            call(caller, get, |memory, sockets| {
                let address = CoreSocketAddr::from_bytes(memory.array(address)?);
                let address = Address::Ip(address.try_into()?);
                sockets.connect(handle, address, Timeout::FOREVER)
            })
        },
    )?;
    linker.func_wrap(
        CORE_MODULE,
        "sock_send",
        move |caller: Caller<'_, T>, handle: u32, data: u32, length: u32, sent_out: u32| {
            call(caller, get, |memory, sockets| {
                let out = memory.out(sent_out)?;
                let data = memory.slice(data, length)?;
                let sent = sockets.send(handle, data.get(..IO_MAX).unwrap_or(data))?;
                memory.put(out, (sent as u32).to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        CORE_MODULE,
        "sock_recv",
        move |caller: Caller<'_, T>, handle: u32, buffer: u32, length: u32, received_out: u32| {
            call(caller, get, |memory, sockets| {
                let out = memory.out(received_out)?;
                memory.slice(buffer, length)?;
                let buffer = memory.slice_mut(buffer, length.min(IO_MAX as u32))?;
                let received = sockets.recv(handle, buffer)?;
                memory.put(out, (received as u32).to_le_bytes())
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
