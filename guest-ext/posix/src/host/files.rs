//! Files, which are preview1's and wasi-libc's.
//!
//! # Safety
//!
//! Each call is given values, or a buffer with its own length.
#![allow(unsafe_code)]

use std::ffi::CStr;

use wasisocket_abi::Errno;

/// Longest path of the working directory, in bytes. A Unix socket's path is shorter still.
const FOLDER_MAX: usize = 1024;

/// Closes a file, by preview1's number.
pub(crate) fn close_file(number: u32) -> Result<(), Errno> {
    // SAFETY: takes a number; an unknown one is EBADF.
    unsafe { wasi::fd_close(number) }.map_err(|_| Errno::EBADF)
}

/// The working directory, as the guest sees it.
pub(crate) fn working_folder() -> Option<Vec<u8>> {
    let mut buffer = [0_u8; FOLDER_MAX];
    // SAFETY: the buffer's own start and length.
    let path = unsafe { libc::getcwd(buffer.as_mut_ptr().cast(), buffer.len()) };
    if path.is_null() {
        return None;
    }
    CStr::from_bytes_until_nul(&buffer)
        .ok()
        .map(|path| path.to_bytes().to_vec())
}
