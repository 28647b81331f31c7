//! Name look-up.

use wasisocket_abi::v1::SocketAddr;
use wasisocket_abi::{Errno, HOST_NAME_MAX, RESOLVE_MAX};
use wasmtime::{Linker, Result};

use super::{fill, import};
use crate::SocketsCtx;
use crate::sockets::Timeout;

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
    import!(
        linker,
        get,
        "lookup_addrs",
        |memory, sockets, lookup: u32, addresses: u32, max: u32, timeout: i64, count: u32| {
            let out = memory.out(count)?;
            let max = (max as usize).min(RESOLVE_MAX);
            let room = (max * size_of::<SocketAddr>()) as u32;
            memory.slice(addresses, room)?;
            let found = sockets.lookup_addrs(lookup, Timeout(timeout))?;
            let found = found
                .iter()
                .map(|ip| SocketAddr::from(std::net::SocketAddr::new(*ip, 0)).to_bytes());
            let count = fill(memory.slice_mut(addresses, room)?, found);
            memory.put(out, count.to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "lookup_host",
        |memory, sockets, lookup: u32, name: u32, max: u32, timeout: i64, length: u32| {
            let out = memory.out(length)?;
            memory.slice(name, max)?;
            let host = sockets.lookup_host(lookup, Timeout(timeout))?;
            if host.len() > max as usize {
                return Err(Errno::ENAMETOOLONG);
            }
            let length = host.len() as u32;
            memory
                .slice_mut(name, length)?
                .copy_from_slice(host.as_bytes());
            memory.put(out, length.to_le_bytes())
        }
    );
    Ok(())
}
