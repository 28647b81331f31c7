//! wasi-libc's calls of preview1's `fd_*` functions, with the descriptors of this library.
//!
//! A file's descriptor stands for a number of preview1, several of them perhaps for the same one. The files and folders
//! that this library has itself are read and written here.
//!
//! # Safety
//!
//! See the parent module. Buffers and places are wasi-libc's own, which come with their lengths.

use std::ffi::c_int;

use super::granted::{Folder, folder_stat, synthetic_kind};
use super::slice_mut;
use crate::descriptors::{self, Object};
use crate::devices::{Device, Read};
use crate::listing::{self, Entry};
use crate::standard_streams::{check_read, check_write};
use crate::{Errno, Result};

/// preview1's numbers are wasi-libc's errno.
fn errno(result: Result<()>) -> u32 {
    result.err().map_or(0, |Errno(errno)| errno as u32)
}

/// Wraps functions whose first argument is a descriptor: a file's is passed on, the others have an answer each.
macro_rules! translate {
    ($(
        $(#[$doc:meta])*
        $wrap:ident($($argument:ident: $Argument:ty),*) -> $real:ident {
            $(read_only: $read_only:expr,)? device: $device:expr, listing: $listing:expr, other: $other:expr,
        }
    )*) => {$(
        unsafe extern "C" {
            fn $real(number: c_int $(, $argument: $Argument)*) -> u32;
        }

        $(#[$doc])*
        ///
        /// # Safety
        /// As wasi-libc declares it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $wrap(fd: c_int $(, $argument: $Argument)*) -> u32 {
            match descriptors::object(fd) {
                $(Ok(Object::File(_, description)) if description.read_only => errno($read_only),)?
                // SAFETY: passed on.
                Ok(Object::File(number, _)) => unsafe { $real(number as c_int $(, $argument)*) },
                Ok(Object::Device(_)) => errno($device),
                Ok(Object::Listing(_)) => errno($listing),
                Ok(Object::Handle) => errno($other),
                Err(Errno(errno)) => errno as u32,
            }
        }
    )*};
}

const INVALID: Result<()> = Err(Errno(libc::EINVAL));
const NOT_SEEKABLE: Result<()> = Err(Errno(libc::ESPIPE));
const IS_FOLDER: Result<()> = Err(Errno(libc::EISDIR));

translate! {
    /// preview1's `fd_advise`: posix_fadvise(2).
    __wrap___wasi_fd_advise(offset: u64, length: u64, advice: u32) -> __real___wasi_fd_advise {
        device: Ok(()), listing: Ok(()), other: NOT_SEEKABLE,
    }

    /// preview1's `fd_allocate`: posix_fallocate(3).
    __wrap___wasi_fd_allocate(offset: u64, length: u64) -> __real___wasi_fd_allocate {
        read_only: Err(Errno(libc::EBADF)),
        device: Err(Errno(libc::ENODEV)), listing: Err(Errno(libc::ENODEV)), other: NOT_SEEKABLE,
    }

    /// preview1's `fd_sync`: fsync(2).
    __wrap___wasi_fd_sync() -> __real___wasi_fd_sync {
        device: INVALID, listing: Ok(()), other: INVALID,
    }

    /// preview1's `fd_datasync`: fdatasync(2).
    __wrap___wasi_fd_datasync() -> __real___wasi_fd_datasync {
        device: INVALID, listing: Ok(()), other: INVALID,
    }

    /// preview1's `fd_fdstat_set_flags`: F_SETFL of fcntl(2).
    __wrap___wasi_fd_fdstat_set_flags(flags: u32) -> __real___wasi_fd_fdstat_set_flags {
        device: Ok(()), listing: Ok(()), other: INVALID,
    }

    /// preview1's `fd_filestat_set_size`: ftruncate(2).
    __wrap___wasi_fd_filestat_set_size(size: u64) -> __real___wasi_fd_filestat_set_size {
        read_only: INVALID, device: INVALID, listing: INVALID, other: INVALID,
    }

    /// preview1's `fd_filestat_set_times`: futimens(3).
    __wrap___wasi_fd_filestat_set_times(accessed: u64, modified: u64, which: u32)
        -> __real___wasi_fd_filestat_set_times {
        device: Err(Errno(libc::EPERM)), listing: Err(Errno(libc::EPERM)), other: Err(Errno(libc::EPERM)),
    }

    /// preview1's `fd_seek`: lseek(2). A device has one place.
    __wrap___wasi_fd_seek(offset: i64, whence: u32, place: *mut u64) -> __real___wasi_fd_seek {
        // SAFETY: the caller's own place.
        device: { unsafe { place.write(0) }; Ok(()) }, listing: INVALID, other: NOT_SEEKABLE,
    }

    /// preview1's `fd_tell`: the offset of lseek(2).
    __wrap___wasi_fd_tell(place: *mut u64) -> __real___wasi_fd_tell {
        // SAFETY: the caller's own place.
        device: { unsafe { place.write(0) }; Ok(()) }, listing: INVALID, other: NOT_SEEKABLE,
    }
}

unsafe extern "C" {
    pub(super) fn __real___wasi_fd_fdstat_get(number: c_int, stat: *mut wasi::Fdstat) -> u32;
    fn __real___wasi_fd_filestat_get(number: c_int, stat: *mut wasi::Filestat) -> u32;
    fn __real___wasi_fd_read(
        number: c_int,
        iovecs: *const wasi::Iovec,
        count: usize,
        done: *mut usize,
    ) -> u32;
    fn __real___wasi_fd_pread(
        number: c_int,
        iovecs: *const wasi::Iovec,
        count: usize,
        offset: u64,
        done: *mut usize,
    ) -> u32;
    fn __real___wasi_fd_write(
        number: c_int,
        iovecs: *const wasi::Ciovec,
        count: usize,
        done: *mut usize,
    ) -> u32;
    fn __real___wasi_fd_pwrite(
        number: c_int,
        iovecs: *const wasi::Ciovec,
        count: usize,
        offset: u64,
        done: *mut usize,
    ) -> u32;
    fn __real___wasi_fd_readdir(
        number: c_int,
        buffer: *mut u8,
        size: usize,
        cookie: u64,
        used: *mut usize,
    ) -> u32;
}

/// preview1's `fd_fdstat_get`. wasi-libc asks for the rights of a path's folder before it opens the path.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_fdstat_get(fd: c_int, stat: *mut wasi::Fdstat) -> u32 {
    let filetype = match super::granted::folder(fd) {
        Ok(Folder::Preview1(number)) => {
            // SAFETY: passed on.
            let error = unsafe { __real___wasi_fd_fdstat_get(number, stat) };
            if error == 0
                && let Ok(Object::File(_, description)) = descriptors::object(fd)
                && description.read_only
            {
                // SAFETY: it was written to.
                unsafe { (*stat).fs_rights_base &= !wasi::RIGHTS_FD_WRITE };
            }
            return error;
        }
        Ok(Folder::Synthetic | Folder::Listing) => wasi::FILETYPE_DIRECTORY,
        Err(Errno(libc::ENOTDIR)) => match descriptors::object(fd) {
            Ok(Object::Device(_)) => wasi::FILETYPE_CHARACTER_DEVICE,
            _ => wasi::FILETYPE_SOCKET_STREAM,
        },
        Err(Errno(errno)) => return errno as u32,
    };
    let answer = wasi::Fdstat {
        fs_filetype: filetype,
        fs_flags: 0,
        // A character device with a place to seek to is no terminal: isatty(3) of wasi-libc.
        fs_rights_base: u64::MAX,
        fs_rights_inheriting: u64::MAX,
    };
    // SAFETY: the caller's own place.
    unsafe { stat.write(answer) };
    0
}

/// preview1's `fd_filestat_get`: fstat(2).
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn __wrap___wasi_fd_filestat_get(
    fd: c_int,
    stat: *mut wasi::Filestat,
) -> u32 {
    let answer = match descriptors::object(fd) {
        // SAFETY: passed on.
        Ok(Object::File(number, _)) => unsafe {
            return __real___wasi_fd_filestat_get(number as c_int, stat);
        },
        Ok(Object::Device(device)) => device_stat(device),
        Ok(Object::Listing(description)) => {
            let folder = description.folder.as_ref();
            folder_stat(folder.map_or(&[], |folder| &folder.path))
        }
        Ok(Object::Handle) => return libc::EBADF as u32,
        Err(Errno(errno)) => return errno as u32,
    };
    // SAFETY: the caller's own place.
    unsafe { stat.write(answer) };
    0
}

/// What stat(2) says of a device.
pub(super) fn device_stat(device: Device) -> wasi::Filestat {
    wasi::Filestat {
        ino: u64::from(u8::MAX).saturating_add(device as u64),
        filetype: wasi::FILETYPE_CHARACTER_DEVICE,
        nlink: 1,
        ..folder_stat(b"")
    }
}

/// Calls a function with each piece of memory, until one is not done whole. Returns how many bytes are done.
///
/// # Safety
/// `iovecs` points to `count` of them, each of which to as many bytes as it says, to be written if `function` does.
unsafe fn each_piece(
    iovecs: *const wasi::Iovec,
    count: usize,
    mut function: impl FnMut(*mut u8, usize) -> Result<usize>,
) -> Result<usize> {
    let mut done = 0_usize;
    for index in 0..count {
        // SAFETY: there are as many.
        let iovec = unsafe { iovecs.add(index) };
        // SAFETY: as above.
        let iovec = unsafe { iovec.read() };
        match function(iovec.buf, iovec.buf_len) {
            Ok(bytes) => {
                done = done.saturating_add(bytes);
                if bytes < iovec.buf_len {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// Calls a function of preview1 with one piece of memory after the other, how many bytes are done before it, and a place
/// for how many it does: hosts may do the first piece only, and a file has all of them on Linux.
///
/// # Safety
/// As [`each_piece`]; `done` is writable.
unsafe fn in_pieces(
    iovecs: *const wasi::Iovec,
    count: usize,
    done: *mut usize,
    function: impl Fn(*const wasi::Iovec, usize, *mut usize) -> u32,
) -> u32 {
    if count <= 1 {
        let nothing = wasi::Iovec {
            buf: std::ptr::dangling_mut(),
            buf_len: 0,
        };
        let piece = if count == 0 {
            &raw const nothing
        } else {
            iovecs
        };
        return function(piece, 0, done);
    }
    let mut before = 0;
    let piece = |buf, buf_len| {
        let mut part = 0;
        match function(&wasi::Iovec { buf, buf_len }, before, &raw mut part) {
            0 => {
                before = before.saturating_add(part);
                Ok(part)
            }
            error => Err(Errno(error as c_int)),
        }
    };
    // SAFETY: passed on.
    let all = unsafe { each_piece(iovecs, count, piece) };
    // SAFETY: passed on.
    unsafe { report(all, done) }
}

/// read(2) of a device.
///
/// # Safety
/// As [`each_piece`]; `done` is writable.
unsafe fn read_device(
    device: Device,
    iovecs: *const wasi::Iovec,
    count: usize,
    done: *mut usize,
) -> u32 {
    let read = |start: *mut u8, length| match device.read(length) {
        Read::End => Ok(0),
        Read::Zeros(length) => {
            // SAFETY: the piece's own memory.
            unsafe { start.write_bytes(0, length) };
            Ok(length)
        }
        Read::Random(length) => {
            // SAFETY: as above.
            let filled = unsafe { wasi::random_get(start, length) };
            filled.map(|()| length).map_err(|_| Errno::EIO)
        }
    };
    // SAFETY: passed on.
    let read = unsafe { each_piece(iovecs, count, read) };
    // SAFETY: passed on.
    unsafe { report(read, done) }
}

/// write(2) to a device.
///
/// # Safety
/// As [`each_piece`]; `done` is writable.
unsafe fn write_device(
    device: Device,
    iovecs: *const wasi::Ciovec,
    count: usize,
    done: *mut usize,
) -> u32 {
    // The two kinds of iovecs differ in whether they may be written to, and nothing is written.
    // SAFETY: passed on.
    let written = unsafe { each_piece(iovecs.cast(), count, |_, length| device.write(length)) };
    // SAFETY: passed on.
    unsafe { report(written, done) }
}

/// Writes how many bytes were done.
///
/// # Safety
/// `place` is writable.
unsafe fn report(done: Result<usize>, place: *mut usize) -> u32 {
    errno(done.map(|done| {
        // SAFETY: passed on.
        unsafe { place.write(done) };
    }))
}

fn is_folder(number: c_int) -> bool {
    let mut stat = folder_stat(b"");
    // SAFETY: a structure to write to.
    let error = unsafe { __real___wasi_fd_filestat_get(number, &raw mut stat) };
    error == 0 && stat.filetype == wasi::FILETYPE_DIRECTORY
}

/// preview1's `fd_read`: readv(2).
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_read(
    fd: c_int,
    iovecs: *const wasi::Iovec,
    count: usize,
    done: *mut usize,
) -> u32 {
    match descriptors::object(fd) {
        Ok(Object::File(number, _)) => match check_read(fd) {
            Ok(()) => {
                let number = number as c_int;
                let read = |pieces, count, done| {
                    // SAFETY: passed on.
                    unsafe { __real___wasi_fd_read(number, pieces, count, done) }
                };
                let error = match descriptors::standard_stream(fd) {
                    // More of it may have to be waited for.
                    Some(_) => read(iovecs, count, done),
                    None => {
                        let read = |piece, _, done| read(piece, 1, done);
                        // SAFETY: passed on.
                        unsafe { in_pieces(iovecs, count, done, read) }
                    }
                };
                match error as c_int {
                    libc::EBADF if is_folder(number) => libc::EISDIR as u32,
                    _ => error,
                }
            }
            Err(Errno(errno)) => errno as u32,
        },
        // SAFETY: passed on.
        Ok(Object::Device(device)) => unsafe { read_device(device, iovecs, count, done) },
        Ok(Object::Listing(_)) => errno(IS_FOLDER),
        Ok(Object::Handle) => errno(INVALID),
        Err(Errno(errno)) => errno as u32,
    }
}

/// preview1's `fd_pread`: preadv(2).
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_pread(
    fd: c_int,
    iovecs: *const wasi::Iovec,
    count: usize,
    offset: u64,
    done: *mut usize,
) -> u32 {
    match descriptors::object(fd) {
        Ok(Object::File(number, _)) => {
            let read = |piece, before, done| {
                let offset = offset.saturating_add(before as u64);
                // SAFETY: passed on.
                unsafe { __real___wasi_fd_pread(number as c_int, piece, 1, offset, done) }
            };
            // SAFETY: passed on.
            unsafe { in_pieces(iovecs, count, done, read) }
        }
        // SAFETY: passed on.
        Ok(Object::Device(device)) => unsafe { read_device(device, iovecs, count, done) },
        Ok(Object::Listing(_)) => errno(IS_FOLDER),
        Ok(Object::Handle) => errno(NOT_SEEKABLE),
        Err(Errno(errno)) => errno as u32,
    }
}

/// O_SYNC: what was written is on the disk when the call returns.
fn synchronize(written: u32, number: u32, description: &descriptors::Description) -> u32 {
    match written == 0 && description.synchronous {
        // SAFETY: takes a number; an unknown one is EBADF.
        true => unsafe { __real___wasi_fd_sync(number as c_int) },
        false => written,
    }
}

/// The most that one write to a standard stream with O_NONBLOCK takes: with as much room as poll(2) reports for a pipe
/// it does not block (PIPE_BUF of pipe(7)).
const PIPE_BUF: usize = 4096;

/// preview1's `fd_write`: writev(2).
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_write(
    fd: c_int,
    iovecs: *const wasi::Ciovec,
    count: usize,
    done: *mut usize,
) -> u32 {
    match descriptors::object(fd) {
        Ok(Object::File(_, description)) if description.read_only => libc::EBADF as u32,
        Ok(Object::File(number, description)) => {
            if let Err(Errno(errno)) = check_write(fd) {
                return errno as u32;
            }
            let write = |piece: *const wasi::Iovec, _, done| {
                // SAFETY: passed on.
                unsafe { __real___wasi_fd_write(number as c_int, piece.cast(), 1, done) }
            };
            let written = match descriptors::standard_stream(fd) {
                Some((_, true)) if count > 0 => {
                    // SAFETY: there is one.
                    let whole = unsafe { iovecs.read() };
                    let first = wasi::Ciovec {
                        buf_len: whole.buf_len.min(PIPE_BUF),
                        ..whole
                    };
                    write((&raw const first).cast(), 0, done)
                }
                // SAFETY: passed on; nothing is written to the pieces.
                _ => unsafe { in_pieces(iovecs.cast(), count, done, write) },
            };
            synchronize(written, number, &description)
        }
        // SAFETY: passed on.
        Ok(Object::Device(device)) => unsafe { write_device(device, iovecs, count, done) },
        Ok(Object::Listing(_)) => errno(Err(Errno(libc::EBADF))),
        Ok(Object::Handle) => errno(INVALID),
        Err(Errno(errno)) => errno as u32,
    }
}

/// preview1's `fd_pwrite`: pwritev(2).
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_pwrite(
    fd: c_int,
    iovecs: *const wasi::Ciovec,
    count: usize,
    offset: u64,
    done: *mut usize,
) -> u32 {
    match descriptors::object(fd) {
        Ok(Object::File(_, description)) if description.read_only => libc::EBADF as u32,
        Ok(Object::File(number, description)) => {
            let write = |piece: *const wasi::Iovec, before, done| {
                let (number, piece) = (number as c_int, piece.cast());
                let offset = offset.saturating_add(before as u64);
                // SAFETY: passed on.
                unsafe { __real___wasi_fd_pwrite(number, piece, 1, offset, done) }
            };
            // SAFETY: passed on; nothing is written to the pieces.
            let written = unsafe { in_pieces(iovecs.cast(), count, done, write) };
            synchronize(written, number, &description)
        }
        // SAFETY: passed on.
        Ok(Object::Device(device)) => unsafe { write_device(device, iovecs, count, done) },
        Ok(Object::Listing(_)) => errno(Err(Errno(libc::EBADF))),
        Ok(Object::Handle) => errno(NOT_SEEKABLE),
        Err(Errno(errno)) => errno as u32,
    }
}

/// preview1's `fd_readdir`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_readdir(
    fd: c_int,
    buffer: *mut u8,
    size: usize,
    cookie: u64,
    used: *mut usize,
) -> u32 {
    let description = match descriptors::object(fd) {
        Ok(Object::File(number, _)) => {
            // SAFETY: passed on.
            let error =
                unsafe { __real___wasi_fd_readdir(number as c_int, buffer, size, cookie, used) };
            return match error as c_int {
                // It is open, and no folder.
                libc::EBADF => libc::ENOTDIR as u32,
                _ => error,
            };
        }
        Ok(Object::Listing(description)) => description,
        Ok(_) => return libc::ENOTDIR as u32,
        Err(Errno(errno)) => return errno as u32,
    };
    // SAFETY: the caller's own buffer.
    let Ok(room) = (unsafe { slice_mut(buffer, size) }) else {
        return libc::EFAULT as u32;
    };
    let filled = description.folder.as_ref().map_or(0, |folder| {
        let names = folder.names.iter().skip(cookie as usize);
        let entries = names.map(|name| {
            let path = [&folder.path, b"/".as_slice(), name].concat();
            Entry {
                name,
                inode: folder_stat(&path).ino,
                kind: synthetic_kind(&path),
            }
        });
        listing::write(entries, cookie.saturating_add(1), room)
    });
    // SAFETY: the caller's own place.
    unsafe { used.write(filled) };
    0
}
