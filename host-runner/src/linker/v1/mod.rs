//! `wasisocket_v1`: read guest memory, call, write back.

mod lookups;
mod messages;
mod rights;
mod sockets;
mod waiting;

use wasisocket_abi::v1::{
    ADDR_MAX, AF_UNIX, Ancillary, Interface, PollEntry, SocketAddr, UnixAddr,
};
use wasisocket_abi::{Errno, v1};
use wasmtime::{Linker, Result};

use crate::SocketsCtx;
use crate::ctx::Address;
use crate::guest_memory::GuestMemory;

pub use rights::add_files_to_linker;

/// Defines one import that never waits: its name, what it is called with, and what it does with the guest's memory and
/// sockets.
macro_rules! import {
    ($linker:ident, $get:ident, $name:literal,
     |$memory:ident, $sockets:ident, $($argument:ident: $type:ty),+| $body:expr) => {
        $linker.func_wrap(
            wasisocket_abi::v1::MODULE,
            $name,
            move |caller: wasmtime::Caller<'_, T>, $($argument: $type),+| {
                crate::linker::call(caller, $get, |$memory, $sockets| $body)
            },
        )?;
    };
}
use import;

/// Defines what never waits.
pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    sockets::add_to_linker(linker, get)?;
    waiting::add_to_linker(linker, get)?;
    lookups::add_to_linker(linker, get)?;
    rights::add_to_linker(linker, get)
}

/// Defines what may wait, for synchronous stores.
pub(super) fn add_blocking<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    sockets::add_blocking(linker, get)?;
    messages::add_blocking(linker, get)?;
    waiting::add_blocking(linker, get)?;
    lookups::add_blocking(linker, get)
}

/// Defines what may wait, for asynchronous stores.
pub(super) fn add_async<T: Send + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    sockets::add_async(linker, get)?;
    messages::add_async(linker, get)?;
    waiting::add_async(linker, get)?;
    lookups::add_async(linker, get)
}

impl GuestMemory<'_> {
    /// The address at `pointer`, as long as its family says.
    fn address(&self, pointer: u32) -> std::result::Result<Address, Errno> {
        let family = u16::from_le_bytes(self.array(pointer)?);
        Ok(match u32::from(family) {
            0 => Address::Unspecified,
            AF_UNIX => Address::Unix(UnixAddr::from_bytes(self.array::<ADDR_MAX>(pointer)?)),
            _ => Address::Ip(self.ip_address(pointer)?),
        })
    }

    /// The IP address at `pointer`. EAFNOSUPPORT for any other.
    fn ip_address(&self, pointer: u32) -> std::result::Result<std::net::SocketAddr, Errno> {
        SocketAddr::from_bytes(self.array(pointer)?).try_into()
    }
}

/// What an argument that may be null points to.
fn unless_null<T>(
    pointer: u32,
    read: impl FnOnce(u32) -> std::result::Result<T, Errno>,
) -> std::result::Result<Option<T>, Errno> {
    (pointer != 0).then(|| read(pointer)).transpose()
}

/// Writes entries one after another; `room` is of whole entries.
fn fill<const N: usize>(room: &mut [u8], entries: impl Iterator<Item = [u8; N]>) -> u32 {
    let mut count = 0;
    for (place, entry) in room.chunks_exact_mut(N).zip(entries) {
        place.copy_from_slice(&entry);
        count += 1;
    }
    count
}

fn poll_entry(bytes: &[u8]) -> PollEntry {
    match *bytes {
        [h0, h1, h2, h3, e0, e1, r0, r1] => PollEntry {
            handle: u32::from_le_bytes([h0, h1, h2, h3]),
            events: u16::from_le_bytes([e0, e1]),
            revents: u16::from_le_bytes([r0, r1]),
        },
        _ => PollEntry::default(),
    }
}

fn event_bytes(event: v1::Event) -> [u8; 16] {
    let mut bytes = [0; 16];
    let (data, rest) = bytes.split_at_mut(8);
    data.copy_from_slice(&event.data.to_le_bytes());
    rest.split_at_mut(4)
        .0
        .copy_from_slice(&event.events.to_le_bytes());
    bytes
}

fn ancillary(bytes: [u8; 12]) -> Ancillary {
    let [p0, p1, p2, p3, h0, h1, h2, h3, t0, t1, t2, t3] = bytes;
    Ancillary {
        present: u32::from_le_bytes([p0, p1, p2, p3]),
        hop_limit: i32::from_le_bytes([h0, h1, h2, h3]),
        traffic_class: i32::from_le_bytes([t0, t1, t2, t3]),
    }
}

fn ancillary_bytes(ancillary: Ancillary) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (present, rest) = bytes.split_at_mut(4);
    let (hop_limit, traffic_class) = rest.split_at_mut(4);
    present.copy_from_slice(&ancillary.present.to_le_bytes());
    hop_limit.copy_from_slice(&ancillary.hop_limit.to_le_bytes());
    traffic_class.copy_from_slice(&ancillary.traffic_class.to_le_bytes());
    bytes
}

fn interface_bytes(interface: Interface) -> [u8; 20] {
    let mut bytes = [0; 20];
    let (index, name) = bytes.split_at_mut(4);
    index.copy_from_slice(&interface.index.to_le_bytes());
    name.copy_from_slice(&interface.name);
    bytes
}
