//! The identity of a file: its device, inode, size, mtime and ctime.
//!
//! The kernel sets the ctime at each change of a file's content or inode, and no program can set it otherwise, so a file
//! with the same identity has the same content. Comparing identities takes microseconds, and a SHA-256 of a compiled
//! module tens of milliseconds.

use rustix::fs::Stat;

/// Its fields, one after the other.
pub(crate) type Identity = [u8; 7 * 8];

/// The identity of the file that has this state.
pub(crate) fn identity(stat: &Stat) -> Identity {
    let fields = [
        stat.st_dev,
        stat.st_ino,
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
    ];
    let mut bytes = [0; size_of::<Identity>()];
    for (place, field) in bytes.as_chunks_mut().0.iter_mut().zip(fields) {
        *place = field.to_le_bytes();
    }
    bytes
}
