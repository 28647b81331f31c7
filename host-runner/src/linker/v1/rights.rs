//! Sending and receiving sockets and files.

use wasisocket_abi::v1::{ADDR_MAX, MSG_CTRUNC, RIGHTS_MAX, ReceivedRight, ReceivedRights, Right};
use wasisocket_abi::{Errno, v1};
use wasmtime::{Caller, Linker, Result};

use super::messages::{recv_flags, send_flags, told_flags, told_length};
use super::unless_null;
use crate::SocketsCtx;
use crate::ctx::{Files, NoFiles};
use crate::guest_memory::GuestMemory;
use crate::linker::call_with_files;
use crate::linker::iovecs::Iovecs;

const RIGHT: usize = size_of::<Right>();
const RECEIVED: usize = size_of::<ReceivedRight>();

/// Defines both, for guests whose files stay where they are.
pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    define(linker, move |data: &mut T| {
        (get(data), None::<&mut NoFiles>)
    })
}

/// Lets guests send their files through Unix sockets, and receive such: gives `sock_send_rights` and
/// `sock_recv_rights` the [`Files`] of a guest beside its sockets. Call it after
/// [`add_to_linker`](crate::add_to_linker), with `linker.allow_shadowing(true)`.
///
/// # Errors
/// Shadowing is not allowed.
pub fn add_files_to_linker<T: 'static, F: Files + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, &mut F) + Copy + Send + Sync + 'static,
) -> Result<()> {
    define(linker, move |data: &mut T| {
        let (sockets, files) = get(data);
        (sockets, Some(files))
    })
}

fn define<T: 'static, F: Files + 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> (&mut SocketsCtx, Option<&mut F>) + Copy + Send + Sync + 'static,
) -> Result<()> {
    linker.func_wrap(
        v1::MODULE,
        "sock_send_rights",
        move |caller: Caller<'_, T>,
              handle: u32,
              iovecs: u32,
              count: u32,
              address: u32,
              rights: u32,
              rights_count: u32,
              flags: u32,
              sent: u32| {
            call_with_files(caller, get, |memory, sockets, files| {
                let out = memory.out(sent)?;
                let flags = send_flags(flags)?;
                let to = unless_null(address, |at| memory.address(at))?;
                let rights = memory.rights(rights, rights_count)?;
                let room = sockets.room_to_send(handle)?;
                let iovecs = Iovecs::read(memory, iovecs, count, room)?;
                let sent = iovecs.with_data(memory, |data| {
                    sockets.send_rights(files, handle, data, to, &rights, flags)
                })?;
                memory.put(out, (sent as u32).to_le_bytes())
            })
        },
    )?;
    linker.func_wrap(
        v1::MODULE,
        "sock_recv_rights",
        move |caller: Caller<'_, T>,
              handle: u32,
              iovecs: u32,
              count: u32,
              address: u32,
              rights: u32,
              max: u32,
              flags: u32,
              received: u32| {
            call_with_files(caller, get, |memory, sockets, files| {
                let out = memory.out(received)?;
                let from = unless_null(address, |at| memory.out::<ADDR_MAX>(at))?;
                let max = rights_count(max)?;
                // So that none is lost to a bad pointer.
                memory.slice(rights, (max * RECEIVED) as u32)?;
                let asked = recv_flags(flags)?;
                let room = sockets.room_to_receive(handle)?;
                let iovecs = Iovecs::read(memory, iovecs, count, room)?;
                let (message, room) = iovecs.with_buffers(memory, |buffers| {
                    let message = sockets.recv_rights(files, handle, buffers, max, asked)?;
                    Ok((message, buffers.room()))
                })?;
                if let Some(from) = from {
                    memory.put(from, message.name.to_bytes())?;
                }
                let length = message.rights.len() * RECEIVED;
                let entries = message.rights.iter().copied().map(received_right);
                let count = super::fill(memory.slice_mut(rights, length as u32)?, entries);
                let cut = if message.cut { MSG_CTRUNC } else { 0 };
                memory.put(
                    out,
                    received_rights(ReceivedRights {
                        bytes: told_length(&message.incoming, room, flags),
                        flags: told_flags(&message.incoming) | cut,
                        count,
                    }),
                )
            })
        },
    )?;
    Ok(())
}

/// EINVAL for more than [`RIGHTS_MAX`].
fn rights_count(count: u32) -> std::result::Result<usize, Errno> {
    let count = count as usize;
    match count <= RIGHTS_MAX {
        true => Ok(count),
        false => Err(Errno::EINVAL),
    }
}

impl GuestMemory<'_> {
    fn rights(&self, pointer: u32, count: u32) -> std::result::Result<Vec<Right>, Errno> {
        let bytes = self.slice(pointer, (rights_count(count)? * RIGHT) as u32)?;
        let right = |bytes: &[u8]| match *bytes {
            [k0, k1, k2, k3, n0, n1, n2, n3] => Right {
                kind: u32::from_le_bytes([k0, k1, k2, k3]),
                number: u32::from_le_bytes([n0, n1, n2, n3]),
            },
            _ => Right::default(),
        };
        Ok(bytes.chunks_exact(RIGHT).map(right).collect())
    }
}

fn received_right(received: ReceivedRight) -> [u8; RECEIVED] {
    let mut bytes = [0; RECEIVED];
    let (kind, rest) = bytes.split_at_mut(4);
    let (number, rest) = rest.split_at_mut(4);
    let (family, rest) = rest.split_at_mut(2);
    let (ty, dup_of) = rest.split_at_mut(2);
    kind.copy_from_slice(&received.right.kind.to_le_bytes());
    number.copy_from_slice(&received.right.number.to_le_bytes());
    family.copy_from_slice(&received.family.to_le_bytes());
    ty.copy_from_slice(&received.ty.to_le_bytes());
    dup_of.copy_from_slice(&received.dup_of.to_le_bytes());
    bytes
}

fn received_rights(received: ReceivedRights) -> [u8; size_of::<ReceivedRights>()] {
    let mut bytes = [0; size_of::<ReceivedRights>()];
    let numbers = [received.bytes, received.flags, received.count];
    for (place, number) in bytes.chunks_exact_mut(4).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    bytes
}
