//! wasi-libc's calls of preview1's `path_*` functions.
//!
//! wasi-libc passes a granted folder and a path below it to the host. Where the host refuses to leave the folder,
//! which a symbolic link may want, the path is resolved here and the host is asked for what it leads to.
//!
//! # Safety
//!
//! See the parent module. Paths are NUL-terminated strings, and results are written where wasi-libc wants them.

use std::ffi::{c_char, c_int};

use super::granted::{
    PARENT_OF_MOUNTS, is_parent_of_mounts, parent_stat, place, refusal, resolve_refused,
};
use super::string;
use crate::Errno;
use crate::descriptors::is_ours;
use crate::host;

/// preview1's lookupflags: a symbolic link at the end is followed.
const SYMLINK_FOLLOW: u32 = wasi::LOOKUPFLAGS_SYMLINK_FOLLOW;

unsafe extern "C" {
    fn __real___wasi_fd_fdstat_get(fd: c_int, stat: *mut wasi::Fdstat) -> u32;
    fn __real___wasi_path_open(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        open: u32,
        rights: u64,
        inheriting: u64,
        flags: u32,
        opened: *mut c_int,
    ) -> u32;
    pub(super) fn __real___wasi_path_filestat_get(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        stat: *mut wasi::Filestat,
    ) -> u32;
    fn __real___wasi_path_link(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        new_folder: c_int,
        new_path: *const c_char,
    ) -> u32;
    fn __real___wasi_path_rename(
        folder: c_int,
        path: *const c_char,
        new_folder: c_int,
        new_path: *const c_char,
    ) -> u32;
}
/// Calls a function of preview1 with a folder and a path, and once more with others if the host refused to leave
/// the folder, which links may do.
fn call(
    folder: c_int,
    path: *const c_char,
    lookup: u32,
    function: impl Fn(c_int, *const c_char) -> u32,
) -> u32 {
    if let Some(error) = refusal(folder) {
        return error;
    }
    let error = function(folder, path);
    if !matches!(error as c_int, libc::EPERM | libc::ENOTCAPABLE) {
        return error;
    }
    match resolve_refused(folder, path, lookup & SYMLINK_FOLLOW != 0) {
        Ok(None) => error,
        Ok(Some(path)) => match place(&path) {
            Some(place) => function(place.folder, place.relative.as_ptr()),
            None => libc::ENOENT as u32,
        },
        Err(Errno(errno)) => errno as u32,
    }
}

/// preview1's `fd_fdstat_get`, which wasi-libc asks for the rights of a path's folder before it opens the path.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_fd_fdstat_get(fd: c_int, stat: *mut wasi::Fdstat) -> u32 {
    // SAFETY: passed on.
    refusal(fd).unwrap_or_else(|| unsafe { __real___wasi_fd_fdstat_get(fd, stat) })
}

/// preview1's `path_open`. A file must not get the number of a socket.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_open(
    folder: c_int,
    lookup: u32,
    path: *const c_char,
    open: u32,
    rights: u64,
    inheriting: u64,
    flags: u32,
    opened: *mut c_int,
) -> u32 {
    let open_flags = open as u16;
    let resolution = match open_flags & wasi::OFLAGS_EXCL {
        0 => lookup,
        _ => 0,
    };
    let error = call(folder, path, resolution, |folder, path| {
        // SAFETY: passed on.
        unsafe {
            __real___wasi_path_open(
                folder, lookup, path, open, rights, inheriting, flags, opened,
            )
        }
    });
    if error as c_int == libc::ENOENT
        && open_flags & wasi::OFLAGS_CREAT == 0
        && is_parent_of_mounts(folder, path).is_some()
    {
        return libc::EACCES as u32;
    }
    if error != 0 {
        return error;
    }
    // SAFETY: path_open wrote to it.
    let number = unsafe { opened.read() };
    if is_ours(number) {
        // wasi-libc does not know the number yet, and it was just opened.
        let _ = host::close_file(number as u32);
        return libc::EMFILE as u32;
    }
    0
}

/// preview1's `path_filestat_get`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_filestat_get(
    folder: c_int,
    lookup: u32,
    path: *const c_char,
    stat: *mut wasi::Filestat,
) -> u32 {
    // SAFETY: wasi-libc passes a path.
    let text = unsafe { string(path) };
    // A trailing slash follows links and wants a directory. The host only looks at it where it follows links anyway.
    let lookup = match text.is_some_and(|text| text.ends_with(b"/")) {
        true => lookup | SYMLINK_FOLLOW,
        false => lookup,
    };
    let error = call(folder, path, lookup, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_filestat_get(folder, lookup, path, stat) }
    });
    if (error as c_int == libc::ENOENT || folder == PARENT_OF_MOUNTS)
        && let Some(path) = is_parent_of_mounts(folder, path)
    {
        // SAFETY: as wasi-libc declares it.
        unsafe { stat.write(parent_stat(&path)) };
        return 0;
    }
    error
}

/// Wraps functions with one path, the one between brackets. Without lookupflags beside it, a link at its end is not
/// followed.
macro_rules! wrap {
    ($(
        $(#[$doc:meta])*
        $wrap:ident(
            $($before:ident: $Before:ty,)*
            [$folder:ident $(($lookup:ident))?, $path:ident]
            $(, $after:ident: $After:ty)*
        ) -> $real:ident;
    )*) => {$(
        unsafe extern "C" {
            pub(super) fn $real(
                $($before: $Before,)*
                $folder: c_int, $($lookup: u32,)? $path: *const c_char
                $(, $after: $After)*
            ) -> u32;
        }

        $(#[$doc])*
        ///
        /// # Safety
        /// As wasi-libc declares it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $wrap(
            $($before: $Before,)*
            $folder: c_int, $($lookup: u32,)? $path: *const c_char
            $(, $after: $After)*
        ) -> u32 {
            call($folder, $path, 0 $(| $lookup)?, |$folder, $path| {
                // SAFETY: passed on.
                unsafe { $real($($before,)* $folder, $($lookup,)? $path $(, $after)*) }
            })
        }
    )*};
}

wrap! {
    /// preview1's `path_filestat_set_times`.
    __wrap___wasi_path_filestat_set_times(
        [folder (lookup), path], accessed: u64, modified: u64, which: u32
    ) -> __real___wasi_path_filestat_set_times;

    /// preview1's `path_create_directory`.
    __wrap___wasi_path_create_directory([folder, path]) -> __real___wasi_path_create_directory;

    /// preview1's `path_remove_directory`.
    __wrap___wasi_path_remove_directory([folder, path]) -> __real___wasi_path_remove_directory;

    /// preview1's `path_unlink_file`.
    __wrap___wasi_path_unlink_file([folder, path]) -> __real___wasi_path_unlink_file;

    /// preview1's `path_readlink`.
    __wrap___wasi_path_readlink(
        [folder, path], buffer: *mut u8, size: usize, length: *mut usize
    ) -> __real___wasi_path_readlink;

    /// preview1's `path_symlink`: `target` is text.
    __wrap___wasi_path_symlink(target: *const c_char, [folder, path]) -> __real___wasi_path_symlink;
}

/// preview1's `path_link`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_link(
    folder: c_int,
    lookup: u32,
    path: *const c_char,
    new_folder: c_int,
    new_path: *const c_char,
) -> u32 {
    call(folder, path, lookup, |folder, path| {
        call(new_folder, new_path, 0, |new_folder, new_path| {
            // SAFETY: passed on.
            unsafe { __real___wasi_path_link(folder, lookup, path, new_folder, new_path) }
        })
    })
}

/// preview1's `path_rename`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_rename(
    folder: c_int,
    path: *const c_char,
    new_folder: c_int,
    new_path: *const c_char,
) -> u32 {
    call(folder, path, 0, |folder, path| {
        call(new_folder, new_path, 0, |new_folder, new_path| {
            // SAFETY: passed on.
            unsafe { __real___wasi_path_rename(folder, path, new_folder, new_path) }
        })
    })
}
