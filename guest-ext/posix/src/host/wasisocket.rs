//! The wasisocket host: two of the core six, and `wasisocket_v1` (see `wasisocket_abi`).
//!
//! # Safety
//!
//! Each import reads or writes guest memory only inside the pointer and length that it is given, and
//! keeps no pointer past its return. That so many bytes were written rests on the host's word: a guest
//! trusts its host with all of its memory.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;
use std::net::IpAddr;

use wasisocket_abi::v1::{
    ADDR_MAX, Ancillary, Event, Interface, Iovec, PollEntry, ReceivedRight, Right, SocketAddr,
    SocketOption, UnixAddr,
};
use wasisocket_abi::{Errno, RESOLVE_MAX, v1};

use super::{FOREVER, Received, check};
use crate::{Address, Want};

mod import;

/// Calls can be bounded in time.
pub(crate) const CAN_WAIT: bool = true;

/// An address as the host reads it, with as much room as the largest has.
fn to_abi(address: &Address) -> [u8; ADDR_MAX] {
    match address {
        Address::Unspecified => [0; ADDR_MAX],
        Address::Unix(unix) => unix.to_bytes(),
        Address::Inet(inet) => {
            let mut bytes = [0; ADDR_MAX];
            let inet = SocketAddr::from(*inet).to_bytes();
            if let Some(room) = bytes.first_chunk_mut() {
                *room = inet;
            }
            bytes
        }
    }
}

/// An address that the host wrote.
fn from_abi(bytes: [u8; ADDR_MAX]) -> Result<Address, Errno> {
    let [f0, f1, ..] = bytes;
    match u32::from(u16::from_le_bytes([f0, f1])) {
        0 => Ok(Address::Unspecified),
        v1::AF_UNIX => Ok(Address::Unix(UnixAddr::from_bytes(bytes))),
        _ => {
            let inet = bytes.first_chunk().ok_or(Errno::EIO)?;
            Ok(Address::Inet(SocketAddr::from_bytes(*inet).try_into()?))
        }
    }
}

pub(crate) fn open(af: u32, ty: u32, protocol: u32) -> Result<u32, Errno> {
    let mut handle = 0;
    let errno = match protocol {
        0 => import::sock_open(af, ty, &mut handle),
        protocol => import::sock_open_protocol(af, ty, protocol, &mut handle),
    };
    check(errno).map(|()| handle)
}

pub(crate) fn close(handle: u32) -> Result<(), Errno> {
    check(import::sock_close(handle))
}

pub(crate) fn pair(ty: u32) -> Result<[u32; 2], Errno> {
    let mut handles = [0; 2];
    check(import::sock_pair(ty, &mut handles)).map(|()| handles)
}

pub(crate) fn dup(handle: u32) -> Result<u32, Errno> {
    let mut dup = 0;
    check(import::sock_dup(handle, &mut dup)).map(|()| dup)
}

pub(crate) fn bind(handle: u32, address: &Address) -> Result<(), Errno> {
    let address = to_abi(address);
    // SAFETY: room for the largest address.
    check(unsafe { import::sock_bind(handle, address.as_ptr()) })
}

pub(crate) fn listen(handle: u32, backlog: u32) -> Result<(), Errno> {
    check(import::sock_listen(handle, backlog))
}

pub(crate) fn accept(handle: u32, timeout: i64) -> Result<(u32, Address), Errno> {
    let mut address = [0; ADDR_MAX];
    let mut accepted = 0;
    // SAFETY: room for the largest address.
    let errno =
        unsafe { import::sock_accept(handle, timeout, address.as_mut_ptr(), &mut accepted) };
    check(errno)?;
    Ok((accepted, from_abi(address)?))
}

pub(crate) fn connect(handle: u32, address: &Address, timeout: i64) -> Result<(), Errno> {
    let address = to_abi(address);
    // SAFETY: room for the largest address.
    check(unsafe { import::sock_connect_to(handle, address.as_ptr(), timeout) })
}

pub(crate) fn shutdown(handle: u32, how: u32) -> Result<(), Errno> {
    check(import::sock_shutdown(handle, how))
}

pub(crate) fn getsockname(handle: u32) -> Result<Address, Errno> {
    let mut address = [0; ADDR_MAX];
    // SAFETY: room for the largest address.
    check(unsafe { import::sock_getsockname(handle, address.as_mut_ptr()) })?;
    from_abi(address)
}

pub(crate) fn getpeername(handle: u32) -> Result<Address, Errno> {
    let mut address = [0; ADDR_MAX];
    // SAFETY: room for the largest address.
    check(unsafe { import::sock_getpeername(handle, address.as_mut_ptr()) })?;
    from_abi(address)
}

/// A pointer and a length as the host reads them. wasm32's pointers and lengths have 32 bits.
///
/// No longer than the memory goes on: some C callers pass SIZE_MAX for "as much as there is".
fn iovec<T>(pointer: *const T, length: usize) -> Iovec {
    const PAGE: usize = 1 << 16;
    let pointer = pointer.addr();
    let end = core::arch::wasm32::memory_size::<0>().saturating_mul(PAGE);
    Iovec {
        pointer: pointer as u32,
        length: length.min(end.saturating_sub(pointer)) as u32,
    }
}

pub(crate) fn send(
    handle: u32,
    data: &[&[u8]],
    to: Option<&Address>,
    ancillary: Option<&Ancillary>,
    flags: u32,
    timeout: i64,
) -> Result<usize, Errno> {
    let address = to.map(to_abi);
    let address = address.as_ref().map_or(core::ptr::null(), |to| to.as_ptr());
    let mut sent = 0;
    let mut call = |iovecs: &[Iovec]| {
        // SAFETY: each iovec is a slice's own; the address is null or has room for the largest.
        check(unsafe {
            import::sock_sendmsg(
                handle,
                iovecs.as_ptr(),
                iovecs.len(),
                address,
                ancillary,
                flags,
                timeout,
                &mut sent,
            )
        })
    };
    match data {
        [data] => call(&[iovec(data.as_ptr(), data.len())])?,
        data => {
            let iovecs = data.iter().map(|data| iovec(data.as_ptr(), data.len()));
            call(&iovecs.collect::<Vec<_>>())?;
        }
    }
    Ok(sent as usize)
}

pub(crate) fn recv(
    handle: u32,
    buffers: &mut [&mut [MaybeUninit<u8>]],
    want: Want,
    flags: u32,
    timeout: i64,
) -> Result<Received, Errno> {
    let mut address = [0; ADDR_MAX];
    let address_out = match want.address {
        true => address.as_mut_ptr(),
        false => core::ptr::null_mut(),
    };
    let mut ancillary = Ancillary::default();
    let mut received = v1::Received::default();
    let mut call = |iovecs: &[Iovec]| {
        // SAFETY: each iovec is a slice's own, and the host only writes to it; the address is null or
        // has room for the largest.
        check(unsafe {
            import::sock_recvmsg(
                handle,
                iovecs.as_ptr(),
                iovecs.len(),
                address_out,
                want.ancillary.then_some(&mut ancillary),
                flags,
                timeout,
                &mut received,
            )
        })
    };
    match buffers {
        [buffer] => call(&[iovec(buffer.as_mut_ptr(), buffer.len())])?,
        buffers => {
            let iovecs = buffers
                .iter_mut()
                .map(|buffer| iovec(buffer.as_mut_ptr(), buffer.len()));
            call(&iovecs.collect::<Vec<_>>())?;
        }
    }
    Ok(Received {
        bytes: received.bytes as usize,
        flags: received.flags,
        from: from_abi(address)?,
        ancillary,
    })
}

pub(crate) fn send_rights(
    handle: u32,
    data: &[&[u8]],
    to: Option<&Address>,
    rights: &[Right],
    flags: u32,
) -> Result<usize, Errno> {
    let address = to.map(to_abi);
    let address = address.as_ref().map_or(core::ptr::null(), |to| to.as_ptr());
    let iovecs = data.iter().map(|data| iovec(data.as_ptr(), data.len()));
    let iovecs: Vec<Iovec> = iovecs.collect();
    let mut sent = 0;
    // SAFETY: each iovec is a slice's own; pointers and lengths are one slice's; the address is null or has
    // room for the largest.
    check(unsafe {
        import::sock_send_rights(
            handle,
            iovecs.as_ptr(),
            iovecs.len(),
            address,
            rights.as_ptr(),
            rights.len(),
            flags,
            &mut sent,
        )
    })?;
    Ok(sent as usize)
}

/// What was received, and how many of `rights` are written.
pub(crate) fn recv_rights(
    handle: u32,
    buffers: &mut [&mut [MaybeUninit<u8>]],
    address: bool,
    rights: &mut [ReceivedRight],
    flags: u32,
) -> Result<(Received, usize), Errno> {
    let mut from = [0; ADDR_MAX];
    let address_out = match address {
        true => from.as_mut_ptr(),
        false => core::ptr::null_mut(),
    };
    let iovecs = buffers
        .iter_mut()
        .map(|buffer| iovec(buffer.as_mut_ptr(), buffer.len()));
    let iovecs: Vec<Iovec> = iovecs.collect();
    let mut received = v1::ReceivedRights::default();
    // SAFETY: each iovec is a slice's own, and the host only writes to it; pointers and lengths are one
    // slice's; the address is null or has room for the largest.
    check(unsafe {
        import::sock_recv_rights(
            handle,
            iovecs.as_ptr(),
            iovecs.len(),
            address_out,
            rights.as_mut_ptr(),
            rights.len(),
            flags,
            &mut received,
        )
    })?;
    let message = Received {
        bytes: received.bytes as usize,
        flags: received.flags,
        from: from_abi(from)?,
        ancillary: Ancillary::default(),
    };
    Ok((message, received.count as usize))
}

pub(crate) fn getsockopt(handle: u32, option: SocketOption) -> Result<i64, Errno> {
    let mut value = 0;
    check(import::sock_getsockopt(handle, option.0, &mut value)).map(|()| value)
}

pub(crate) fn setsockopt(handle: u32, option: SocketOption, value: i64) -> Result<(), Errno> {
    check(import::sock_setsockopt(handle, option.0, value))
}

pub(crate) fn membership(
    handle: u32,
    join: bool,
    group: &Address,
    interface: &Address,
) -> Result<(), Errno> {
    let group = to_abi(group);
    let interface = to_abi(interface);
    // SAFETY: room for the largest address, twice.
    check(unsafe {
        import::sock_membership(handle, u32::from(join), group.as_ptr(), interface.as_ptr())
    })
}

pub(crate) fn poll(entries: &mut [PollEntry], timeout: i64) -> Result<usize, Errno> {
    let mut ready = 0;
    // SAFETY: pointer and length are one slice's.
    check(unsafe { import::sock_poll(entries.as_mut_ptr(), entries.len(), timeout, &mut ready) })?;
    Ok(ready as usize)
}

pub(crate) fn interest_create() -> Result<u32, Errno> {
    let mut set = 0;
    check(import::interest_create(&mut set)).map(|()| set)
}

pub(crate) fn interest_ctl(
    set: u32,
    op: u32,
    handle: u32,
    events: u32,
    data: u64,
) -> Result<(), Errno> {
    check(import::interest_ctl(
        set,
        op,
        handle,
        events,
        data.cast_signed(),
    ))
}

pub(crate) fn interest_wait(set: u32, events: &mut [Event], timeout: i64) -> Result<usize, Errno> {
    let mut count = 0;
    // SAFETY: pointer and length are one slice's.
    check(unsafe {
        import::interest_wait(set, events.as_mut_ptr(), events.len(), timeout, &mut count)
    })?;
    Ok(count as usize)
}

pub(crate) fn lookup_name(name: &[u8], family: u32) -> Result<u32, Errno> {
    let mut lookup = 0;
    // SAFETY: pointer and length are one slice's.
    check(unsafe { import::lookup_name(name.as_ptr(), name.len(), family, &mut lookup) })?;
    Ok(lookup)
}

pub(crate) fn lookup_addr(address: &Address) -> Result<u32, Errno> {
    let address = to_abi(address);
    let mut lookup = 0;
    // SAFETY: room for the largest address.
    check(unsafe { import::lookup_addr(address.as_ptr(), &mut lookup) })?;
    Ok(lookup)
}

pub(crate) fn lookup_addrs(lookup: u32, timeout: i64) -> Result<Vec<IpAddr>, Errno> {
    let mut addresses = [SocketAddr::default(); RESOLVE_MAX];
    let mut count = 0;
    // SAFETY: pointer and length are one array's.
    check(unsafe {
        import::lookup_addrs(
            lookup,
            addresses.as_mut_ptr(),
            addresses.len(),
            timeout,
            &mut count,
        )
    })?;
    let found = addresses.iter().take(count as usize);
    found
        .map(|address| Ok(std::net::SocketAddr::try_from(*address)?.ip()))
        .collect()
}

pub(crate) fn lookup_host(lookup: u32, name: &mut [u8], timeout: i64) -> Result<usize, Errno> {
    let mut len = 0;
    // SAFETY: pointer and length are one slice's.
    check(unsafe {
        import::lookup_host(lookup, name.as_mut_ptr(), name.len(), timeout, &mut len)
    })?;
    Ok(len as usize)
}

/// A look-up from its start to its end.
pub(crate) fn resolve(name: &[u8], family: u32) -> Result<Vec<IpAddr>, Errno> {
    let lookup = lookup_name(name, family)?;
    let found = lookup_addrs(lookup, FOREVER);
    close(lookup)?;
    found
}

pub(crate) fn net_interfaces(entries: &mut [Interface]) -> Result<usize, Errno> {
    let mut count = 0;
    // SAFETY: pointer and length are one slice's.
    check(unsafe { import::net_interfaces(entries.as_mut_ptr(), entries.len(), &mut count) })?;
    Ok(count as usize)
}
