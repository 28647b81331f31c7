//! Maps an image into a guest's memory.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;

use rustix::mm::{MapFlags, ProtFlags, mmap};

use super::format::{DATA, Header};

/// Has a memory begin with an image: its pages are those of the file until the guest writes to them.
///
/// The memory is one that wasmtime allocated for one instance, not in a pool.
pub(super) fn map(file: &File, header: &Header, memory: &mut [u8]) -> io::Result<()> {
    let place = &mut memory[header.start..][..header.length];
    let (protection, flags) = (
        ProtFlags::READ | ProtFlags::WRITE,
        MapFlags::PRIVATE | MapFlags::FIXED,
    );
    // SAFETY: mmap(2) with MAP_FIXED replaces the pages of this range, so nothing else may be in them, and nobody may
    // rely on what they were.
    // - `place` is exclusively borrowed: neither the guest nor anyone else uses the range now. Its bytes may have any
    //   value, so other bytes in their place are sound.
    // - The range has whole pages: `Header::read` checked that start and length are multiples of 64 KiB, and wasmtime
    //   aligns memories to pages of the system.
    // - The range is readable and writable before and after. It lies in a mapping that wasmtime made for this memory
    //   alone (`MmapMemory`), grows by mprotect(2) beyond this range, and unmaps as a whole; it never asks what its
    //   pages are backed by, except in a pool, and this crate's engines have none.
    // - The mapping is private: writes do not reach the file. And nobody changes or shortens the file: it is sealed, or
    //   one that `TrustedFolder` found and only this user can write to, or one of this user that nobody may write
    //   to; this program replaces such files only.
    let mapped = unsafe {
        mmap(
            place.as_mut_ptr().cast(),
            place.len(),
            protection,
            flags,
            file,
            DATA as u64,
        )
    };
    mapped?;
    Ok(())
}
