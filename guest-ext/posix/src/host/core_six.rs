//! A host that has the core six alone (see `wasisocket_abi`): IPv4 and IPv6 streams that connect, and datagrams to a
//! peer.

use std::net::{IpAddr, SocketAddr};

use wasisocket_abi::v1::Ancillary;
use wasisocket_abi::{CoreSocketAddr, Errno, RESOLVE_MAX};

use super::{Address, Buffers, Host, Message, Receiving, Result, Sending, import};

pub(crate) enum CoreSix {}

/// EOPNOTSUPP for a call that must not wait without end: none can be bounded in time.
fn blocks(timeout: i64) -> Result<()> {
    match timeout {
        ..0 => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

impl Host for CoreSix {
    const CAN_WAIT: bool = false;

    fn open(family: u32, ty: u32, protocol: u32) -> Result<u32> {
        match protocol {
            0 => import::sock_open(family, ty),
            _ => Err(Errno::EPROTONOSUPPORT),
        }
    }

    fn close(handle: u32) -> Result<()> {
        import::sock_close(handle)
    }

    fn resolve(name: &[u8], family: u32) -> Result<Vec<IpAddr>> {
        let mut entries = [CoreSocketAddr::default(); RESOLVE_MAX];
        let count = import::sock_resolve(name, 0, &mut entries)?;
        let found = entries.get(..count as usize).ok_or(Errno::EIO)?;
        found
            .iter()
            .filter(|entry| family == 0 || u32::from(entry.family) == family)
            .map(|entry| Ok(SocketAddr::try_from(*entry)?.ip()))
            .collect()
    }

    fn connect(handle: u32, address: &Address, timeout: i64) -> Result<()> {
        blocks(timeout)?;
        match address {
            Address::Inet(address) => import::sock_connect(handle, &(*address).into()),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// EOPNOTSUPP for more than one piece, an address or a flag.
    fn send(call: &Sending, data: &[&[u8]], ancillary: Option<&Ancillary>) -> Result<usize> {
        blocks(call.timeout)?;
        let ([data], None, None, 0) = (data, call.to, ancillary, call.flags) else {
            return Err(Errno::EOPNOTSUPP);
        };
        Ok(import::sock_send(call.handle, data)? as usize)
    }

    /// EOPNOTSUPP for more than one buffer or a flag. There is neither a sender nor ancillary data.
    fn recv(call: &Receiving, buffers: &mut Buffers<'_>) -> Result<Message> {
        blocks(call.timeout)?;
        let ([buffer], 0) = (buffers, call.flags) else {
            return Err(Errno::EOPNOTSUPP);
        };
        Ok(Message {
            bytes: import::sock_recv(call.handle, buffer)? as usize,
            ..Message::default()
        })
    }
}
