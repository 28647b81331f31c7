//! Files that the guest does not get at for want of a granted folder: the host learns of them, for people who look for
//! the reason of a failure. The program sees the errors of Linux.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_char, c_int};

use super::granted::{from_root, is_granted, resolve};
use crate::host::{Host as _, Imp};
use crate::paths::normalize;
use crate::sys::{O_ACCMODE, O_RDONLY};
use crate::{Errno, Result};

/// Below these, programs look for what need not be there.
const PROBED: [&[u8]; 3] = [b"/usr/local/", b"/proc/", b"/sys/"];

/// open(2) failed.
pub(super) fn open(folder: c_int, path: *const c_char, flags: c_int, error: Errno) {
    // There is nothing to do about an error.
    let _ = report(folder, path, flags, error);
}

fn report(folder: c_int, path: *const c_char, flags: c_int, error: Errno) -> Result<()> {
    let writes = flags & (libc::O_CREAT | libc::O_TRUNC) != 0 || flags & O_ACCMODE != O_RDONLY;
    let is_refusal = match error {
        Errno(libc::ENOENT) => true,
        Errno(libc::EACCES | libc::EPERM) => writes,
        _ => false,
    };
    if !is_refusal {
        return Ok(());
    }
    let Some(path) = from_root(folder, path) else {
        return Ok(());
    };
    // That of a link's target.
    let path = match resolve(&path, true) {
        Ok(resolved) => normalize(b"", resolved.to_bytes()),
        Err(_) => normalize(b"", &path),
    };
    let is_probed = PROBED.iter().any(|folder| path.starts_with(folder));
    let is_missing = error == Errno(libc::ENOENT) && is_granted(&path);
    if is_probed || is_missing {
        return Ok(());
    }
    Ok(Imp::file_refused(&path, writes)?)
}
