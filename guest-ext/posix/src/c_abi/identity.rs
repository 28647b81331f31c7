//! The user and group of unistd.h, and `umask` of sys/stat.h.
//!
//! preview1 has no users and no permissions. Programs ask all the same, before they write a file or choose
//! a folder.

use core::sync::atomic::{AtomicU32, Ordering};

/// The user and group of the guest, and the owner of every file that it sees: the number that Linux systems give to
/// their first user. Programs that run as root expect that they can call chown(2), and do so.
pub(super) const USER: u32 = 1000;

static MASK: AtomicU32 = AtomicU32::new(0o022);

macro_rules! answer_user {
    ($($(#[$doc:meta])* $name:ident)*) => {
        $($(#[$doc])*
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> u32 {
            USER
        })*
    };
}

answer_user! {
    /// getuid(2): never fails.
    getuid
    /// geteuid(2): never fails.
    geteuid
    /// getgid(2): never fails.
    getgid
    /// getegid(2): never fails.
    getegid
}

/// umask(2): remembered, for there is nothing that it could apply to.
#[unsafe(no_mangle)]
extern "C" fn umask(mask: u32) -> u32 {
    MASK.swap(mask & 0o777, Ordering::Relaxed)
}
