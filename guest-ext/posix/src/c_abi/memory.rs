//! `mmap`, `msync` and `shm_open` of sys/mman.h.
//!
//! # Safety
//!
//! See the parent module.

use std::ffi::{c_char, c_int, c_void};

use super::{c_unit, set_errno};
use crate::Errno;
use crate::sys::{MAP_ANONYMOUS, MAP_SHARED, PROT_WRITE};

unsafe extern "C" {
    fn __real_mmap(
        address: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: libc::off_t,
    ) -> *mut c_void;
}

/// mmap(2): wasi-libc's, which reads the file into memory. ENOTSUP for a shared writable mapping of a file, because its
/// changes would never reach the file.
///
/// # Safety
/// As mmap(2) requires.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_mmap(
    address: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: libc::off_t,
) -> *mut c_void {
    let is_file = flags & MAP_ANONYMOUS == 0;
    if is_file && flags & MAP_SHARED != 0 && protection & PROT_WRITE != 0 {
        set_errno(Errno(libc::ENOTSUP));
        // MAP_FAILED.
        return core::ptr::without_provenance_mut(usize::MAX);
    }
    // SAFETY: the caller's arguments.
    unsafe { __real_mmap(address, length, protection, flags, fd, offset) }
}

/// msync(2): 0, because no mapping has changes that belong into a file.
///
/// # Safety
/// As msync(2) requires.
#[unsafe(no_mangle)]
unsafe extern "C" fn msync(_address: *mut c_void, _length: usize, _flags: c_int) -> c_int {
    0
}

/// shm_open(3): ENOSYS, because memory cannot be shared.
#[unsafe(no_mangle)]
extern "C" fn shm_open(_name: *const c_char, _flags: c_int, _mode: u32) -> c_int {
    c_unit(Err(Errno(libc::ENOSYS)))
}

/// shm_unlink(3): ENOENT, because nothing can be made.
#[unsafe(no_mangle)]
extern "C" fn shm_unlink(_name: *const c_char) -> c_int {
    c_unit(Err(Errno(libc::ENOENT)))
}
