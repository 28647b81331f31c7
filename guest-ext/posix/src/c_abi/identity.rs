//! The user and group of unistd.h, and `umask` of sys/stat.h.
//!
//! preview1 has no users and no permissions. Programs ask all the same, before they write a file or choose
//! a folder: they get the numbers that preview1's files have, so that what they own looks like theirs.

use core::sync::atomic::{AtomicU32, Ordering};

/// `st_uid` and `st_gid` of every file in wasi-libc's stat(2).
const OWNER: u32 = 0;

static MASK: AtomicU32 = AtomicU32::new(0o022);

/// getuid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getuid() -> u32 {
    OWNER
}

/// geteuid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn geteuid() -> u32 {
    OWNER
}

/// getgid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getgid() -> u32 {
    OWNER
}

/// getegid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getegid() -> u32 {
    OWNER
}

/// umask(2): remembered, for there is nothing that it could apply to.
#[unsafe(no_mangle)]
extern "C" fn umask(mask: u32) -> u32 {
    MASK.swap(mask & 0o777, Ordering::Relaxed)
}
