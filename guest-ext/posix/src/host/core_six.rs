//! The core six imports (see `wasisocket_abi`).
//!
//! # Safety
//!
//! Each import reads or writes guest memory only inside the pointer and length that it is given, and
//! keeps no pointer past its return. That `received` bytes were written rests on the host's word: a guest
//! trusts its host with all of its memory.
#![allow(unsafe_code)]

use core::mem::MaybeUninit;

use wasisocket_abi::{CoreSocketAddr, Errno};

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
        pub(super) safe fn sock_connect(fd: i32, address: &CoreSocketAddr) -> u32;
        pub(super) unsafe fn sock_send(fd: i32, data: *const u8, len: usize, sent: &mut u32)
        -> u32;
        pub(super) unsafe fn sock_recv(
            fd: i32,
            buffer: *mut MaybeUninit<u8>,
            len: usize,
            received: &mut u32,
        ) -> u32;
        pub(super) safe fn sock_close(fd: i32) -> u32;
    }
}

/// Zero is success, anything else the error.
fn check(errno: u32) -> Result<(), Errno> {
    match errno {
        0 => Ok(()),
        errno => Err(Errno(errno)),
    }
}

pub(crate) fn open(af: u32, ty: u32) -> Result<u32, Errno> {
    let mut fd = 0;
    check(import::sock_open(af, ty, &mut fd)).map(|()| fd)
}

pub(crate) fn resolve(
    host: &[u8],
    port: u16,
    addrs: &mut [CoreSocketAddr],
) -> Result<usize, Errno> {
    let mut count = 0;
    // SAFETY: both pointers come from slices, with the lengths of those slices.
    let errno = unsafe {
        import::sock_resolve(
            host.as_ptr(),
            host.len(),
            u32::from(port),
            addrs.as_mut_ptr(),
            addrs.len(),
            &mut count,
        )
    };
    check(errno).map(|()| count as usize)
}

pub(crate) fn connect(fd: i32, address: &CoreSocketAddr) -> Result<(), Errno> {
    check(import::sock_connect(fd, address))
}

pub(crate) fn send(fd: i32, data: &[u8]) -> Result<usize, Errno> {
    let mut sent = 0;
    // SAFETY: pointer and length are one slice's.
    let errno = unsafe { import::sock_send(fd, data.as_ptr(), data.len(), &mut sent) };
    check(errno).map(|()| sent as usize)
}

pub(crate) fn recv(fd: i32, buffer: &mut [MaybeUninit<u8>]) -> Result<usize, Errno> {
    let mut received = 0;
    // SAFETY: pointer and length are one slice's; the host only writes to it.
    let errno = unsafe { import::sock_recv(fd, buffer.as_mut_ptr(), buffer.len(), &mut received) };
    check(errno).map(|()| received as usize)
}

pub(crate) fn close(fd: i32) -> Result<(), Errno> {
    check(import::sock_close(fd))
}
