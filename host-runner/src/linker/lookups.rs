//! Name look-up.

use wasisocket_abi::v1::{EVENT_IN, SocketAddr};
use wasisocket_abi::{Errno, HOST_NAME_MAX, RESOLVE_MAX};

use super::Call;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::Files;
use crate::guest_memory::{Pointer, Slice};
use crate::sockets::Timeout;

impl<F: Files> Call<'_, F> {
    pub(super) fn lookup_name(&mut self, name: Slice<u8>, family: u32) -> Result<u32, Errno> {
        if name.count() > HOST_NAME_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        self.sockets.lookup_name(self.memory.bytes(name)?, family)
    }

    pub(super) fn lookup_addr(&mut self, address: Pointer<SocketAddr>) -> Result<u32, Errno> {
        let address = std::net::SocketAddr::try_from(self.memory.read(address)?)?;
        self.sockets.lookup_addr(address.ip())
    }
}

pub(super) fn lookup_addrs(
    lookup: u32,
    addresses: Slice<SocketAddr>,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    let addresses = addresses.first(RESOLVE_MAX);
    Operation::new(timeout, move |memory, sockets, _| {
        memory.bytes(addresses)?;
        let found = sockets.lookup_addrs(lookup);
        let found = found.map_err(Stop::unless_ready(lookup, EVENT_IN))?.iter();
        let found = found.map(|ip| std::net::SocketAddr::new(*ip, 0).into());
        Ok(memory.write_all(addresses, found)?)
    })
}

pub(super) fn lookup_host(
    lookup: u32,
    name: Slice<u8>,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    Operation::new(timeout, move |memory, sockets, _| {
        let room = memory.bytes_mut(name)?;
        let host = sockets.lookup_host(lookup);
        let host = host.map_err(Stop::unless_ready(lookup, EVENT_IN))?;
        let place = room.get_mut(..host.len()).ok_or(Errno::ENAMETOOLONG)?;
        place.copy_from_slice(host.as_bytes());
        Ok(host.len() as u32)
    })
}
