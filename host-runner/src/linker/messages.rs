//! Sending and receiving.

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    Addr, Ancillary, Ciovec, EVENT_IN, EVENT_OUT, EVENT_PRI, Iovec, MSG_MORE, MSG_OOB, MSG_PEEK,
    MSG_TRUNC, Received,
};

use super::iovecs::Iovecs;
use super::operation::{Attempt, Operation, Stop};
use crate::ctx::{NotDone, Outgoing};
use crate::guest_memory::{Pointer, Slice};
use crate::sockets::{Incoming, Receiving, Timeout};

pub(super) fn sock_sendmsg(
    handle: u32,
    iovecs: Slice<Ciovec>,
    address: Option<Pointer<Addr>>,
    ancillary: Option<Pointer<Ancillary>>,
    flags: u32,
    timeout: Timeout,
) -> Operation<u32, impl Attempt<u32>> {
    Operation::new(timeout, move |memory, sockets, patience| {
        let flags = send_flags(flags)?;
        let to = address.map(|at| memory.address(at)).transpose()?;
        let ancillary = ancillary.map(|at| memory.read(at)).transpose()?;
        let ancillary = ancillary.unwrap_or_default();
        let sent = Iovecs::read(memory, iovecs)?.with_data(memory, |data| {
            let message = Outgoing {
                data,
                to,
                ancillary,
                flags,
            };
            sockets.send(handle, message, patience)
        });
        let sent = sent.map_err(Stop::unless_ready(handle, EVENT_OUT))?;
        Ok(sent as u32)
    })
}

pub(super) fn sock_recvmsg(
    handle: u32,
    iovecs: Slice<Iovec>,
    address: Option<Pointer<Addr>>,
    ancillary: Option<Pointer<Ancillary>>,
    flags: u32,
    timeout: Timeout,
) -> Operation<Received, impl Attempt<Received>> {
    Operation::new(timeout, move |memory, sockets, patience| {
        let from = address.map(|at| memory.out(at)).transpose()?;
        let ancillary = ancillary.map(|at| memory.out(at)).transpose()?;
        let receiving = Receiving {
            flags: recv_flags(flags)?,
            from: from.is_some(),
            ancillary: ancillary.is_some(),
            needs_peer: false,
            patience,
        };
        let received = Iovecs::read(memory, iovecs)?.with_buffers(memory, |buffers| {
            let (incoming, name) = sockets.receive(handle, buffers, receiving)?;
            Ok::<_, NotDone>((incoming, name, buffers.room()))
        });
        let event = match flags & MSG_OOB {
            0 => EVENT_IN,
            _ => EVENT_PRI,
        };
        let (incoming, name, room) = received.map_err(Stop::unless_ready(handle, event))?;
        if let Some(from) = from {
            memory.write(from, name.into())?;
        }
        if let Some(at) = ancillary {
            memory.write(at, incoming.ancillary)?;
        }
        Ok(Received {
            bytes: reported_length(&incoming, room, flags),
            flags: reported_flags(&incoming),
        })
    })
}

/// The length that a message is reported with, given the room for it and the flags of the call.
pub(super) fn reported_length(incoming: &Incoming, room: usize, flags: u32) -> u32 {
    let length = match flags & MSG_TRUNC {
        0 => incoming.length.min(room),
        _ => incoming.length,
    };
    length as u32
}

/// The flags that a message is reported with.
pub(super) fn reported_flags(incoming: &Incoming) -> u32 {
    let mut flags = 0;
    if incoming.truncated {
        flags |= MSG_TRUNC;
    }
    if incoming.out_of_band {
        flags |= MSG_OOB;
    }
    flags
}

/// The flags of sending. EINVAL for any other.
pub(super) fn send_flags(flags: u32) -> Result<SendFlags, Errno> {
    let names = [(MSG_OOB, SendFlags::OOB), (MSG_MORE, SendFlags::MORE)];
    let known = names.iter().fold(0, |known, (abi, _)| known | abi);
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let asked = names.into_iter().filter(|(abi, _)| flags & abi != 0);
    Ok(asked.map(|(_, flag)| flag).collect())
}

/// The flags of receiving. EINVAL for any other. MSG_TRUNC is left out: it only changes the reported length.
pub(super) fn recv_flags(flags: u32) -> Result<RecvFlags, Errno> {
    let names = [(MSG_OOB, RecvFlags::OOB), (MSG_PEEK, RecvFlags::PEEK)];
    let known = names.iter().fold(MSG_TRUNC, |known, (abi, _)| known | abi);
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let asked = names.into_iter().filter(|(abi, _)| flags & abi != 0);
    Ok(asked.map(|(_, flag)| flag).collect())
}
