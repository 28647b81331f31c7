//! Name look-up.

use wasisocket_abi::v1::{EVENT_IN, MODULE, SocketAddr};
use wasisocket_abi::{Errno, HOST_NAME_MAX, RESOLVE_MAX};
use wasmtime::{Linker, Result};

use super::{fill, import};
use crate::SocketsCtx;
use crate::linker::operation::{Attempt, Operation, Stop};
use crate::linker::waiting_imports;
use crate::sockets::Timeout;

waiting_imports! {
    MODULE;
    "lookup_addrs" = addrs(lookup: u32, addresses: u32, max: u32, timeout: i64, count: u32);
    "lookup_host" = host(lookup: u32, name: u32, max: u32, timeout: i64, length: u32);
}

fn addrs(
    lookup: u32,
    addresses: u32,
    max: u32,
    timeout: i64,
    count: u32,
) -> Operation<impl Attempt> {
    Operation::new(Timeout(timeout), None, move |memory, sockets, _| {
        let out = memory.out(count)?;
        let max = (max as usize).min(RESOLVE_MAX);
        let room = (max * size_of::<SocketAddr>()) as u32;
        memory.slice(addresses, room)?;
        let found = sockets.lookup_addrs(lookup);
        let found = found
            .map_err(Stop::unless_ready(lookup, EVENT_IN))?
            .iter()
            .map(|ip| SocketAddr::from(std::net::SocketAddr::new(*ip, 0)).to_bytes());
        let count = fill(memory.slice_mut(addresses, room)?, found);
        Ok(memory.put(out, count.to_le_bytes())?)
    })
}

fn host(lookup: u32, name: u32, max: u32, timeout: i64, length: u32) -> Operation<impl Attempt> {
    Operation::new(Timeout(timeout), None, move |memory, sockets, _| {
        let out = memory.out(length)?;
        memory.slice(name, max)?;
        let host = sockets.lookup_host(lookup);
        let host = host.map_err(Stop::unless_ready(lookup, EVENT_IN))?;
        if host.len() > max as usize {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let length = host.len() as u32;
        memory
            .slice_mut(name, length)?
            .copy_from_slice(host.as_bytes());
        Ok(memory.put(out, length.to_le_bytes())?)
    })
}

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    import!(
        linker,
        get,
        "lookup_name",
        |memory, sockets, name: u32, length: u32, family: u32, lookup: u32| {
            let out = memory.out(lookup)?;
            if length as usize > HOST_NAME_MAX {
                return Err(Errno::ENAMETOOLONG);
            }
            let name = memory.slice(name, length)?;
            let lookup = sockets.lookup_name(name, family)?;
            memory.put(out, lookup.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "lookup_addr",
        |memory, sockets, address: u32, lookup: u32| {
            let out = memory.out(lookup)?;
            let address = memory.ip_address(address)?;
            memory.put(out, sockets.lookup_addr(address.ip())?.to_le_bytes())
        }
    );
    Ok(())
}
