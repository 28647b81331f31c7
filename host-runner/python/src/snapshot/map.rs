//! Maps an image into a guest's memory.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap};
use rustix::param::page_size;

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

/// Has a memory that was mapped have these of its pages for itself, as if it had written to them: one call for each range
/// takes less time than a page fault for each page. Older kernels than Linux 5.14 do nothing.
pub(super) fn populate(memory: &mut [u8], ranges: &[Range<usize>]) {
    for range in ranges {
        let Some(pages) = memory.get_mut(range.clone()) else {
            return;
        };
        // SAFETY: the pages are exclusively borrowed, and keep their content: MADV_POPULATE_WRITE does what a write to
        // each of them would do, without one.
        let advised = unsafe {
            madvise(
                pages.as_mut_ptr().cast(),
                pages.len(),
                Advice::LinuxPopulateWrite,
            )
        };
        if advised.is_err() {
            return;
        }
    }
}

/// The pages of a mapped image that its guest has written to, as ranges of bytes in memory.
///
/// # Errors
/// proc(5) is not there.
pub(super) fn written(header: &Header, memory: &[u8]) -> io::Result<Vec<Range<usize>>> {
    /// Of an entry of /proc/self/pagemap: a page is there, and it is one of a file.
    const PRESENT: u64 = 1 << 63;
    const OF_FILE: u64 = 1 << 61;

    let page = page_size();
    let image = &memory[header.start..][..header.length];
    let mut entries = vec![0; image.len() / page * size_of::<u64>()];
    let first = image.as_ptr().addr() / page * size_of::<u64>();
    File::open("/proc/self/pagemap")?.read_exact_at(&mut entries, first as u64)?;
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, entry) in entries.as_chunks().0.iter().enumerate() {
        if u64::from_ne_bytes(*entry) & (PRESENT | OF_FILE) != PRESENT {
            continue;
        }
        let start = header.start + index * page;
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end += page,
            _ => ranges.push(start..start + page),
        }
    }
    Ok(ranges)
}
