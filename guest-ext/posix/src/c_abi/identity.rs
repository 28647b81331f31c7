//! The user and group of unistd.h, and `umask` of sys/stat.h.
//!
//! preview1 has no users and no permissions. Programs ask all the same, before they write a file or choose
//! a folder.

use core::sync::atomic::{AtomicU32, Ordering};

/// The user and group of the guest, and the owner of every file that it sees: the number that Linux systems give to
/// their first user. Programs that run as root expect that they can call chown(2), and do so.
pub(super) const USER: u32 = 1000;

static MASK: AtomicU32 = AtomicU32::new(0o022);

/// getuid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getuid() -> u32 {
    USER
}

/// geteuid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn geteuid() -> u32 {
    USER
}

/// getgid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getgid() -> u32 {
    USER
}

/// getegid(2): never fails.
#[unsafe(no_mangle)]
extern "C" fn getegid() -> u32 {
    USER
}

/// umask(2): remembered, for there is nothing that it could apply to.
#[unsafe(no_mangle)]
extern "C" fn umask(mask: u32) -> u32 {
    MASK.swap(mask & 0o777, Ordering::Relaxed)
}
