//! Sending and receiving.

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{
    ADDR_MAX, EVENT_IN, EVENT_OUT, EVENT_PRI, MODULE, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC,
};

use super::{ancillary, ancillary_bytes, unless_null};
use crate::ctx::Pace;
use crate::linker::iovecs::Iovecs;
use crate::linker::operation::{Attempt, Operation, Stop};
use crate::linker::waiting_imports;
use crate::sockets::{Incoming, Receiving, Timeout};

waiting_imports! {
    MODULE;
    "sock_sendmsg" = sendmsg(
        handle: u32, iovecs: u32, count: u32, address: u32, ancillary_at: u32, flags: u32, timeout: i64,
        sent: u32
    );
    "sock_recvmsg" = recvmsg(
        handle: u32, iovecs: u32, count: u32, address: u32, ancillary_at: u32, flags: u32, timeout: i64,
        received: u32
    );
}

#[expect(clippy::too_many_arguments, reason = "those of the import")]
fn sendmsg(
    handle: u32,
    iovecs: u32,
    count: u32,
    address: u32,
    ancillary_at: u32,
    flags: u32,
    timeout: i64,
    sent: u32,
) -> Operation<impl Attempt> {
    let pace = Some(Pace::Send(handle));
    Operation::new(Timeout(timeout), pace, move |memory, sockets, patience| {
        let out = memory.out(sent)?;
        let flags = send_flags(flags)?;
        let to = unless_null(address, |at| memory.address(at))?;
        let given = unless_null(ancillary_at, |at| memory.array(at))?;
        let ancillary = given.map(ancillary).unwrap_or_default();
        let room = sockets.room_to_send(handle)?;
        let iovecs = Iovecs::read(memory, iovecs, count, room);
        let iovecs = iovecs.map_err(|errno| sockets.too_large(errno))?;
        let sent = iovecs.with_data(memory, |data| {
            sockets.sendmsg(handle, data, to, &ancillary, flags, patience)
        });
        let sent = sent.map_err(Stop::unless_ready(handle, EVENT_OUT))?;
        Ok(memory.put(out, (sent as u32).to_le_bytes())?)
    })
}

#[expect(clippy::too_many_arguments, reason = "those of the import")]
fn recvmsg(
    handle: u32,
    iovecs: u32,
    count: u32,
    address: u32,
    ancillary_at: u32,
    flags: u32,
    timeout: i64,
    received: u32,
) -> Operation<impl Attempt> {
    let pace = Some(Pace::Receive(handle));
    Operation::new(Timeout(timeout), pace, move |memory, sockets, patience| {
        let out = memory.out::<8>(received)?;
        let from = unless_null(address, |at| memory.out::<ADDR_MAX>(at))?;
        let ancillary = unless_null(ancillary_at, |at| memory.out(at))?;
        let receiving = Receiving {
            flags: recv_flags(flags)?,
            from: from.is_some(),
            ancillary: ancillary.is_some(),
            patience,
        };
        let iovecs = Iovecs::read(memory, iovecs, count, sockets.room_to_receive(handle)?)?;
        let received = iovecs.with_buffers(memory, |buffers| {
            let (incoming, name) = sockets.recvmsg(handle, buffers, receiving)?;
            Ok((incoming, name, buffers.room()))
        });
        let event = match flags & MSG_OOB {
            0 => EVENT_IN,
            _ => EVENT_PRI,
        };
        let (incoming, name, room) = received.map_err(Stop::unless_ready(handle, event))?;
        if let Some(from) = from {
            memory.put(from, name.to_bytes())?;
        }
        if let Some(at) = ancillary {
            memory.put(at, ancillary_bytes(incoming.ancillary))?;
        }
        let bytes = told_length(&incoming, room, flags);
        let received = u64::from(bytes) | u64::from(told_flags(&incoming)) << 32;
        Ok(memory.put(out, received.to_le_bytes())?)
    })
}

/// What the answer says of a message's length, given the room for it and the flags of the call.
pub(super) fn told_length(incoming: &Incoming, room: usize, flags: u32) -> u32 {
    let told = match flags & MSG_TRUNC {
        0 => incoming.length.min(room),
        _ => incoming.length,
    };
    told as u32
}

/// What the answer says of a message besides its length.
pub(super) fn told_flags(incoming: &Incoming) -> u32 {
    let mut told = 0;
    if incoming.truncated {
        told |= MSG_TRUNC;
    }
    if incoming.out_of_band {
        told |= MSG_OOB;
    }
    told
}

/// EINVAL for a flag that is not one of sending.
pub(super) fn send_flags(flags: u32) -> std::result::Result<SendFlags, Errno> {
    let names = [(MSG_OOB, SendFlags::OOB), (MSG_MORE, SendFlags::MORE)];
    let known = names.iter().fold(0, |known, (abi, _)| known | abi);
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let asked = names.into_iter().filter(|(abi, _)| flags & abi != 0);
    Ok(asked.map(|(_, flag)| flag).collect())
}

/// EINVAL for a flag that is not one of receiving. MSG_TRUNC is about the answer alone.
pub(super) fn recv_flags(flags: u32) -> std::result::Result<RecvFlags, Errno> {
    let names = [(MSG_OOB, RecvFlags::OOB), (MSG_PEEK, RecvFlags::PEEK)];
    let known = names.iter().fold(MSG_TRUNC, |known, (abi, _)| known | abi);
    if flags & !known != 0 {
        return Err(Errno::EINVAL);
    }
    let asked = names.into_iter().filter(|(abi, _)| flags & abi != 0);
    Ok(asked.map(|(_, flag)| flag).collect())
}
