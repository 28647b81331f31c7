//! The core six imports (see `wasisocket_abi`).
//!
//! # Safety
//!
//! Each import reads or writes guest memory only inside the pointer and length that it is given, and
//! keeps no pointer past its return. That `received` bytes were written rests on the host's word: a guest
//! trusts its host with all of its memory.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use std::net::{IpAddr, SocketAddr};

use wasisocket_abi::v1::{Ancillary, PollEntry};
use wasisocket_abi::{CoreSocketAddr, Errno, RESOLVE_MAX};

pub(crate) use super::unsupported::*;
use super::{Received, check};
use crate::{Address, Want};

mod import {
    use super::{CoreSocketAddr, MaybeUninit};

    // The name of this module is `wasisocket_abi::CORE_MODULE`: the attribute takes a literal only.
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub(super) safe fn sock_open(af: u32, ty: u32, fd: &mut u32) -> u32;
        pub(super) unsafe fn sock_resolve(
            host: *const u8,
            host_len: usize,
            port: u32,
            addrs: *mut CoreSocketAddr,
            max_entries: usize,
            count: &mut u32,
        ) -> u32;
        pub(super) safe fn sock_connect(fd: u32, address: &CoreSocketAddr) -> u32;
        pub(super) unsafe fn sock_send(fd: u32, data: *const u8, len: usize, sent: &mut u32)
        -> u32;
        pub(super) unsafe fn sock_recv(
            fd: u32,
            buffer: *mut MaybeUninit<u8>,
            len: usize,
            received: &mut u32,
        ) -> u32;
        pub(super) safe fn sock_close(fd: u32) -> u32;
    }
}

/// Every call blocks, and none can be bounded in time.
pub(crate) const CAN_WAIT: bool = false;

/// A call that must not wait for ever cannot be kept.
fn blocks(timeout: i64) -> Result<(), Errno> {
    match timeout {
        ..0 => Ok(()),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

pub(crate) fn open(af: u32, ty: u32, protocol: u32) -> Result<u32, Errno> {
    if protocol != 0 {
        return Err(Errno::EPROTONOSUPPORT);
    }
    let mut fd = 0;
    check(import::sock_open(af, ty, &mut fd)).map(|()| fd)
}

pub(crate) fn close(handle: u32) -> Result<(), Errno> {
    check(import::sock_close(handle))
}

pub(crate) fn resolve(name: &[u8], family: u32) -> Result<Vec<IpAddr>, Errno> {
    let mut entries = [CoreSocketAddr::default(); RESOLVE_MAX];
    let mut count = 0;
    // SAFETY: both pointers are a slice's or an array's, with its length.
    let errno = unsafe {
        import::sock_resolve(
            name.as_ptr(),
            name.len(),
            0,
            entries.as_mut_ptr(),
            entries.len(),
            &mut count,
        )
    };
    check(errno)?;
    let found = entries.get(..count as usize).ok_or(Errno::EIO)?;
    found
        .iter()
        .filter(|entry| family == 0 || u32::from(entry.family) == family)
        .map(|entry| Ok(SocketAddr::try_from(*entry)?.ip()))
        .collect()
}

pub(crate) fn connect(handle: u32, address: &Address, timeout: i64) -> Result<(), Errno> {
    blocks(timeout)?;
    match address {
        Address::Inet(address) => check(import::sock_connect(handle, &(*address).into())),
        _ => Err(Errno::EAFNOSUPPORT),
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
    blocks(timeout)?;
    // More than one piece, an address or a flag: not with these calls.
    let ([data], None, None, 0) = (data, to, ancillary, flags) else {
        return Err(Errno::EOPNOTSUPP);
    };
    let mut sent = 0;
    // SAFETY: pointer and length are one slice's.
    let errno = unsafe { import::sock_send(handle, data.as_ptr(), data.len(), &mut sent) };
    check(errno).map(|()| sent as usize)
}

pub(crate) fn recv(
    handle: u32,
    buffers: &mut [&mut [MaybeUninit<u8>]],
    _want: Want,
    flags: u32,
    timeout: i64,
) -> Result<Received, Errno> {
    blocks(timeout)?;
    let ([buffer], 0) = (buffers, flags) else {
        return Err(Errno::EOPNOTSUPP);
    };
    let mut received = 0;
    // SAFETY: pointer and length are one slice's; the host only writes to it.
    let errno =
        unsafe { import::sock_recv(handle, buffer.as_mut_ptr(), buffer.len(), &mut received) };
    check(errno)?;
    Ok(Received {
        bytes: received as usize,
        flags: 0,
        from: Address::Unspecified,
        ancillary: Ancillary::default(),
    })
}

pub(crate) fn pair(_ty: u32) -> Result<[u32; 2], Errno> {
    Err(Errno::EOPNOTSUPP)
}

pub(crate) fn poll(_entries: &mut [PollEntry], _timeout: i64) -> Result<usize, Errno> {
    Err(Errno::EOPNOTSUPP)
}
