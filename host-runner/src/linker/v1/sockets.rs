//! Opening, connecting, listening; names and options.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{ADDR_MAX, EVENT_IN, INTERFACES_MAX, Interface, MODULE, SocketOption};
use wasmtime::{Linker, Result};

use super::{fill, import, interface_bytes};
use crate::SocketsCtx;
use crate::ctx::Pace;
use crate::linker::operation::{Attempt, Operation, Stop};
use crate::linker::waiting_imports;
use crate::sockets::Timeout;

waiting_imports! {
    MODULE;
    "sock_accept" = accept(handle: u32, timeout: i64, address: u32, accepted: u32);
    "sock_connect_to" = connect_to(handle: u32, address: u32, timeout: i64);
}

fn accept(handle: u32, timeout: i64, address: u32, accepted: u32) -> Operation<impl Attempt> {
    Operation::new(Timeout(timeout), None, move |memory, sockets, _| {
        let address = memory.out::<ADDR_MAX>(address)?;
        let out = memory.out(accepted)?;
        let accepted = sockets.accept(handle);
        let (accepted, peer) = accepted.map_err(Stop::unless_ready(handle, EVENT_IN))?;
        memory.put(address, peer.to_bytes())?;
        Ok(memory.put(out, accepted.to_le_bytes())?)
    })
}

fn connect_to(handle: u32, address: u32, timeout: i64) -> Operation<impl Attempt> {
    let timeout = Timeout(timeout);
    let pace = Some(Pace::Connect(handle));
    let mut again = false;
    Operation::new(timeout, pace, move |memory, sockets, _| {
        let address = memory.address(address)?;
        let connected = sockets.connect(handle, address, again);
        again = true;
        connected.map_err(Stop::unless_connected(handle, timeout))
    })
}

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    import!(
        linker,
        get,
        "sock_open_protocol",
        |memory, sockets, family: u32, kind: u32, protocol: u32, handle: u32| {
            let out = memory.out(handle)?;
            let handle = sockets.open(family, kind, protocol)?;
            memory.put(out, handle.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_pair",
        |memory, sockets, kind: u32, pair: u32| {
            let out = memory.out::<8>(pair)?;
            let (one, other) = sockets.pair(kind)?;
            let pair = u64::from(one) | u64::from(other) << 32;
            memory.put(out, pair.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_dup",
        |memory, sockets, handle: u32, other: u32| {
            let out = memory.out(other)?;
            memory.put(out, sockets.duplicate(handle)?.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_bind",
        |memory, sockets, handle: u32, address: u32| {
            sockets.bind(handle, memory.address(address)?)
        }
    );
    import!(
        linker,
        get,
        "sock_listen",
        |_memory, sockets, handle: u32, backlog: u32| { sockets.listen(handle, backlog) }
    );
    import!(
        linker,
        get,
        "sock_shutdown",
        |_memory, sockets, handle: u32, how: u32| { sockets.shutdown(handle, how) }
    );
    import!(
        linker,
        get,
        "sock_getsockname",
        |memory, sockets, handle: u32, address: u32| {
            let out = memory.out(address)?;
            memory.put(out, sockets.sockname(handle)?.to_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_getpeername",
        |memory, sockets, handle: u32, address: u32| {
            let out = memory.out(address)?;
            memory.put(out, sockets.peername(handle)?.to_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_getsockopt",
        |memory, sockets, handle: u32, option: u32, value: u32| {
            let out = memory.out(value)?;
            let value = sockets.option(handle, SocketOption(option))?;
            memory.put(out, value.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_setsockopt",
        |_memory, sockets, handle: u32, option: u32, value: i64| {
            sockets.set_option(handle, SocketOption(option), value)
        }
    );
    import!(
        linker,
        get,
        "sock_membership",
        |memory, sockets, handle: u32, join: u32, group: u32, interface: u32| {
            let join = match join {
                0 => false,
                1 => true,
                _ => return Err(Errno::EINVAL),
            };
            let group = memory.ip_address(group)?;
            sockets.membership(handle, join, group, memory.ip_address(interface)?)
        }
    );
    import!(
        linker,
        get,
        "net_interfaces",
        |memory, sockets, entries: u32, max: u32, count: u32| {
            let out = memory.out(count)?;
            let room = max.min(INTERFACES_MAX as u32) * size_of::<Interface>() as u32;
            memory.slice(entries, room)?;
            let interfaces = sockets.interfaces()?.into_iter().map(interface_bytes);
            let count = fill(memory.slice_mut(entries, room)?, interfaces);
            memory.put(out, count.to_le_bytes())
        }
    );
    Ok(())
}
