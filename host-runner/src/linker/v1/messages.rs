//! Sending and receiving.

use rustix::net::{RecvFlags, SendFlags};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{ADDR_MAX, Ancillary, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC};
use wasmtime::{Linker, Result};

use super::{ancillary, ancillary_bytes, import};
use crate::SocketsCtx;
use crate::linker::iovecs::{Excess, Iovecs};
use crate::sockets::{Incoming, Receiving, Timeout};

pub(super) fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SocketsCtx + Copy + Send + Sync + 'static,
) -> Result<()> {
    import!(
        linker,
        get,
        "sock_sendmsg",
        |memory,
         sockets,
         handle: u32,
         iovecs: u32,
         count: u32,
         address: u32,
         ancillary_at: u32,
         flags: u32,
         timeout: i64,
         sent: u32| {
            let out = memory.out(sent)?;
            let flags = send_flags(flags)?;
            let to = match address {
                0 => None,
                address => Some(memory.address(address)?),
            };
            let ancillary = match ancillary_at {
                0 => Ancillary::default(),
                at => ancillary(memory.array(at)?),
            };
            let excess = match sockets.is_stream(handle)? {
                true => Excess::Stays,
                false => Excess::IsAnError,
            };
            let iovecs = Iovecs::read(memory, iovecs, count, excess)?;
            let sent = iovecs.with_data(memory, |data| {
                sockets.sendmsg(handle, data, to, &ancillary, flags, Timeout(timeout))
            })?;
            memory.put(out, (sent as u32).to_le_bytes())
        }
    );
    import!(
        linker,
        get,
        "sock_recvmsg",
        |memory,
         sockets,
         handle: u32,
         iovecs: u32,
         count: u32,
         address: u32,
         ancillary_at: u32,
         flags: u32,
         timeout: i64,
         received: u32| {
            let out = memory.out::<8>(received)?;
            let from = match address {
                0 => None,
                address => Some(memory.out::<ADDR_MAX>(address)?),
            };
            let ancillary = match ancillary_at {
                0 => None,
                at => Some(memory.out(at)?),
            };
            let whole_length = flags & MSG_TRUNC != 0;
            let receiving = Receiving {
                flags: recv_flags(flags)?,
                from: from.is_some(),
                ancillary: ancillary.is_some(),
                timeout: Timeout(timeout),
            };
            let iovecs = Iovecs::read(memory, iovecs, count, Excess::Stays)?;
            let (incoming, name, room) = iovecs.with_buffers(memory, |buffers| {
                let (incoming, name) = sockets.recvmsg(handle, buffers, receiving)?;
                Ok((incoming, name, buffers.room()))
            })?;
            if let Some(from) = from {
                memory.put(from, name.to_bytes())?;
            }
            if let Some(at) = ancillary {
                memory.put(at, ancillary_bytes(incoming.ancillary))?;
            }
            let bytes = match whole_length {
                true => incoming.length,
                false => incoming.length.min(room),
            };
            let received = bytes as u64 | u64::from(told_flags(&incoming)) << 32;
            memory.put(out, received.to_le_bytes())
        }
    );
    Ok(())
}

/// What `Received` says of a message besides its length.
fn told_flags(incoming: &Incoming) -> u32 {
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
