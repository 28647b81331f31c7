//! Sending and receiving sockets and files.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    Addr, Ciovec, Iovec, MSG_CTRUNC, RIGHTS_MAX, ReceivedRight, ReceivedRights, Right,
};

use super::Call;
use super::iovecs::Iovecs;
use super::messages::{recv_flags, reported_flags, reported_length, send_flags};
use crate::ctx::Files;
use crate::guest_memory::{Pointer, Slice};

impl<F: Files> Call<'_, F> {
    pub(super) fn sock_send_rights(
        &mut self,
        handle: u32,
        iovecs: Slice<Ciovec>,
        address: Option<Pointer<Addr>>,
        rights: Slice<Right>,
        flags: u32,
    ) -> Result<u32, Errno> {
        let Call {
            memory,
            sockets,
            files,
        } = self;
        let flags = send_flags(flags)?;
        let to = address.map(|at| memory.address(at)).transpose()?;
        let rights: Vec<Right> = memory.read_all(within_limit(rights)?)?.collect();
        let iovecs = Iovecs::read(memory, iovecs)?;
        let sent = iovecs.with_data(memory, |data| {
            sockets.send_rights(files.as_deref_mut(), handle, data, to, &rights, flags)
        })?;
        Ok(sent as u32)
    }

    pub(super) fn sock_recv_rights(
        &mut self,
        handle: u32,
        iovecs: Slice<Iovec>,
        address: Option<Pointer<Addr>>,
        rights: Slice<ReceivedRight>,
        flags: u32,
    ) -> Result<ReceivedRights, Errno> {
        let Call {
            memory,
            sockets,
            files,
        } = self;
        let from = address.map(|at| memory.out(at)).transpose()?;
        let rights = within_limit(rights)?;
        // Checked first, so that none is lost to a bad pointer.
        memory.bytes(rights)?;
        let asked = recv_flags(flags)?;
        let iovecs = Iovecs::read(memory, iovecs)?;
        let (message, room) = iovecs.with_buffers(memory, |buffers| {
            let message = sockets.recv_rights(
                files.as_deref_mut(),
                handle,
                buffers,
                rights.count(),
                asked,
            )?;
            Ok::<_, Errno>((message, buffers.room()))
        })?;
        if let Some(from) = from {
            memory.write(from, message.name.into())?;
        }
        let cut = if message.cut { MSG_CTRUNC } else { 0 };
        Ok(ReceivedRights {
            bytes: reported_length(&message.incoming, room, flags),
            flags: reported_flags(&message.incoming) | cut,
            count: memory.write_all(rights, message.rights)?,
        })
    }
}

/// EINVAL for more than [`RIGHTS_MAX`].
fn within_limit<T>(rights: Slice<T>) -> Result<Slice<T>, Errno> {
    match rights.count() <= RIGHTS_MAX {
        true => Ok(rights),
        false => Err(Errno::EINVAL),
    }
}
