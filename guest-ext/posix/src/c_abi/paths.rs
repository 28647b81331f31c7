//! wasi-libc's calls of preview1's `path_*` functions.
//!
//! wasi-libc passes a granted folder and a path below it to the host. Where the host refuses to leave the folder,
//! which a symbolic link may want, the path is resolved here and the host is asked for what it leads to.
//!
//! # Safety
//!
//! See the parent module. Paths are NUL-terminated strings, and results are written where wasi-libc wants them.

use std::ffi::{CString, c_char, c_int};

use super::granted::{
    self, Folder, Place, Synthetic, entry_kind, folder_stat, from_root, is_parent, own_names,
    place, resolve_refused,
};
use super::preview1::{__wrap___wasi_fd_filestat_get, device_stat};
use super::string;
use crate::descriptors::{self, Description, Kind};
use crate::devices::Entry;
use crate::paths::normalize;
use crate::{Errno, RawFd, Result, socket};

/// preview1's lookupflags: a symbolic link at the end is followed.
const SYMLINK_FOLLOW: u32 = wasi::LOOKUPFLAGS_SYMLINK_FOLLOW;

unsafe extern "C" {
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

/// Something that this library has itself, and its absolute path.
struct Own {
    what: Synthetic,
    path: Vec<u8>,
}

/// Calls a function of preview1 with a folder and a path: once more with others if the host refused to leave the
/// folder, which links may do. `own` answers for what this library has itself.
fn call(
    folder: c_int,
    path: *const c_char,
    lookup: u32,
    own: impl FnOnce(Own) -> Result<()>,
    function: impl Fn(c_int, *const c_char) -> u32,
) -> u32 {
    let follow = lookup & SYMLINK_FOLLOW != 0;
    let found = match granted::folder(folder) {
        Ok(Folder::Preview1(number)) => match function(number, path) as c_int {
            error @ (libc::EPERM | libc::ENOTCAPABLE) => {
                match resolve_refused(folder, path, follow) {
                    Ok(Some(resolved)) => Ok(resolved),
                    Ok(None) => Err(Errno(error)),
                    Err(error) => Err(error),
                }
            }
            libc::ENOENT => match from_root(folder, path) {
                Some(path) if is_parent(&path) => {
                    return answer(own(Own {
                        what: Synthetic::Parent,
                        path: normalize(b"", &path),
                    }));
                }
                // The host follows links within one folder, and does not see what is mounted in it.
                Some(whole) if follow && is_link(number, path) => granted::resolve(&whole, true),
                _ => Err(Errno(libc::ENOENT)),
            },
            // It is open, and no folder.
            libc::EBADF => Err(Errno(libc::ENOTDIR)),
            error => return error as u32,
        },
        Ok(Folder::Synthetic | Folder::Listing) => from_root(folder, path)
            .ok_or(Errno(libc::ENOENT))
            .and_then(|path| granted::resolve(&path, follow)),
        Err(error) => Err(error),
    };
    let called = found.and_then(|path: CString| match place(&path)? {
        Place::Below { folder, relative } => match function(folder, relative.as_ptr()) {
            0 => Ok(()),
            error if error as c_int == libc::ENOENT && is_parent(path.to_bytes()) => own(Own {
                what: Synthetic::Parent,
                path: normalize(b"", path.to_bytes()),
            }),
            error => Err(Errno(error as c_int)),
        },
        Place::Synthetic(what) => own(Own {
            what,
            path: normalize(b"", path.to_bytes()),
        }),
    });
    answer(called)
}

/// Is there a link with this path in a folder of preview1?
fn is_link(folder: c_int, path: *const c_char) -> bool {
    let mut stat = folder_stat(b"");
    // SAFETY: wasi-libc's path, and a structure to write to.
    let error = unsafe { __real___wasi_path_filestat_get(folder, 0, path, &raw mut stat) };
    error == 0 && stat.filetype == wasi::FILETYPE_SYMBOLIC_LINK
}

fn answer(result: Result<()>) -> u32 {
    result.err().map_or(0, |Errno(errno)| errno as u32)
}

/// How something that this library has itself is opened.
#[derive(Clone, Copy)]
struct Opening {
    flags: u16,
    writes: bool,
}

impl Own {
    /// open(2).
    fn open(self, opening: Opening) -> Result<RawFd> {
        let has = |flag| opening.flags & flag != 0;
        if let Synthetic::Missing = self.what {
            let errno = match has(wasi::OFLAGS_CREAT) {
                true => libc::EACCES,
                false => libc::ENOENT,
            };
            return Err(Errno(errno));
        }
        if has(wasi::OFLAGS_CREAT) && has(wasi::OFLAGS_EXCL) {
            return Err(Errno(libc::EEXIST));
        }
        let entry = match self.what {
            Synthetic::Parent | Synthetic::Missing => None,
            Synthetic::Device(entry) => Some(entry),
        };
        match entry {
            Some(Entry::Device(_) | Entry::Descriptor(_) | Entry::Terminal)
                if has(wasi::OFLAGS_DIRECTORY) =>
            {
                Err(Errno(libc::ENOTDIR))
            }
            Some(Entry::Device(device)) => {
                descriptors::insert_file(Description::new(Kind::Device(device)))
            }
            Some(Entry::Descriptor(fd)) => {
                let opened = socket::dup(fd).map_err(|error| match error {
                    Errno(libc::EBADF) => Errno(libc::ENOENT),
                    error => error,
                })?;
                descriptors::set_cloexec(opened, true)?;
                Ok(opened)
            }
            // No controlling terminal: tty(4).
            Some(Entry::Terminal) => Err(Errno(libc::ENXIO)),
            None | Some(Entry::Devices | Entry::Descriptors) => {
                if opening.writes || has(wasi::OFLAGS_CREAT) {
                    return Err(Errno(libc::EISDIR));
                }
                let mut description = Description::new(Kind::Listing);
                description.folder = Some(descriptors::Folder {
                    names: own_names(&self.path, entry),
                    path: self.path,
                });
                descriptors::insert_file(description)
            }
        }
    }

    /// stat(2).
    fn stat(self) -> Result<wasi::Filestat> {
        match self.what {
            Synthetic::Device(Entry::Device(device)) => Ok(device_stat(device)),
            Synthetic::Device(Entry::Descriptor(fd)) if descriptors::is_ours(fd) => {
                Ok(wasi::Filestat {
                    filetype: wasi::FILETYPE_SOCKET_STREAM,
                    ..folder_stat(&self.path)
                })
            }
            Synthetic::Device(Entry::Descriptor(fd)) => {
                let mut stat = folder_stat(&self.path);
                // SAFETY: a place of its own.
                match unsafe { __wrap___wasi_fd_filestat_get(fd, &raw mut stat) } {
                    0 => Ok(stat),
                    _ => Err(Errno(libc::ENOENT)),
                }
            }
            Synthetic::Device(entry) => Ok(wasi::Filestat {
                filetype: entry_kind(entry),
                ..folder_stat(&self.path)
            }),
            Synthetic::Parent => Ok(folder_stat(&self.path)),
            Synthetic::Missing => Err(Errno(libc::ENOENT)),
        }
    }

    /// What changes, moves or removes it: nobody may.
    fn change(self) -> Result<()> {
        self.refuse(libc::EACCES, libc::ENOENT)
    }

    /// What makes a name.
    fn make(self) -> Result<()> {
        self.refuse(libc::EEXIST, libc::EACCES)
    }

    /// The new name of rename(2), which may be taken.
    fn replace(self) -> Result<()> {
        self.refuse(libc::EACCES, libc::EACCES)
    }

    /// readlink(2).
    fn read_link(self) -> Result<()> {
        self.refuse(libc::EINVAL, libc::ENOENT)
    }

    fn refuse(self, present: c_int, missing: c_int) -> Result<()> {
        Err(Errno(match self.what {
            Synthetic::Missing => missing,
            Synthetic::Parent | Synthetic::Device(_) => present,
        }))
    }
}

/// O_SYNC and its like of open(2).
const SYNCHRONOUS: u16 = wasi::FDFLAGS_SYNC | wasi::FDFLAGS_DSYNC | wasi::FDFLAGS_RSYNC;

/// preview1's `path_open`. The new file gets a number of this library's table.
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
    let synchronous = flags as u16 & SYNCHRONOUS;
    // Not every host knows these.
    let flags = flags & !u32::from(SYNCHRONOUS);
    let opening = Opening {
        flags: open_flags,
        writes: rights & wasi::RIGHTS_FD_WRITE != 0,
    };
    let mut own = None;
    let error = call(
        folder,
        path,
        resolution,
        |subject| {
            own = Some(subject.open(opening)?);
            Ok(())
        },
        |folder, path| {
            // SAFETY: passed on.
            unsafe {
                __real___wasi_path_open(
                    folder, lookup, path, open, rights, inheriting, flags, opened,
                )
            }
        },
    );
    if error != 0 {
        return error;
    }
    let fd = match own {
        Some(fd) => Ok(fd),
        None => {
            // SAFETY: path_open wrote to it.
            let number = unsafe { opened.read() } as u32;
            let mut description = Description::of_file(number);
            description.synchronous = synchronous & !wasi::FDFLAGS_RSYNC != 0;
            description.read_only = !opening.writes;
            description.folder = opened_folder(folder, path);
            descriptors::insert_file(description)
        }
    };
    answer(fd.map(|fd| {
        // SAFETY: the caller's own place.
        unsafe { opened.write(fd) };
    }))
}

/// What is known of what was opened, if it is a folder; `None` if its path is not known. The host lists it: what a program
/// walks through does not contain what is mounted there without its doing, such as Python's library.
fn opened_folder(folder: c_int, path: *const c_char) -> Option<descriptors::Folder> {
    Some(descriptors::Folder {
        path: normalize(b"", &from_root(folder, path)?),
        names: Vec::new(),
    })
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
    call(
        folder,
        path,
        lookup,
        |own| {
            let answer = own.stat()?;
            // SAFETY: the caller's own place.
            unsafe { stat.write(answer) };
            Ok(())
        },
        // SAFETY: passed on.
        |folder, path| unsafe { __real___wasi_path_filestat_get(folder, lookup, path, stat) },
    )
}

/// Wraps functions with one path, the one between brackets. Without lookupflags beside it, a link at its end is not
/// followed. Behind each is what it does with a path of this library's own.
macro_rules! wrap {
    ($(
        $(#[$doc:meta])*
        $wrap:ident(
            $($before:ident: $Before:ty,)*
            [$folder:ident $(($lookup:ident))?, $path:ident]
            $(, $after:ident: $After:ty)*
        ) -> $real:ident, $own:ident;
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
            call($folder, $path, 0 $(| $lookup)?, Own::$own, |$folder, $path| {
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
    ) -> __real___wasi_path_filestat_set_times, change;

    /// preview1's `path_create_directory`.
    __wrap___wasi_path_create_directory([folder, path]) -> __real___wasi_path_create_directory, make;

    /// preview1's `path_remove_directory`.
    __wrap___wasi_path_remove_directory([folder, path]) -> __real___wasi_path_remove_directory, change;

    /// preview1's `path_unlink_file`.
    __wrap___wasi_path_unlink_file([folder, path]) -> __real___wasi_path_unlink_file, change;

    /// preview1's `path_readlink`.
    __wrap___wasi_path_readlink(
        [folder, path], buffer: *mut u8, size: usize, length: *mut usize
    ) -> __real___wasi_path_readlink, read_link;

    /// preview1's `path_symlink`: `target` is text.
    __wrap___wasi_path_symlink(target: *const c_char, [folder, path]) -> __real___wasi_path_symlink, make;
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
    call(folder, path, lookup, Own::change, |folder, path| {
        call(
            new_folder,
            new_path,
            0,
            Own::make,
            |new_folder, new_path| {
                // SAFETY: passed on.
                unsafe { __real___wasi_path_link(folder, lookup, path, new_folder, new_path) }
            },
        )
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
    call(folder, path, 0, Own::change, |folder, path| {
        call(
            new_folder,
            new_path,
            0,
            Own::replace,
            |new_folder, new_path| {
                // SAFETY: passed on.
                unsafe { __real___wasi_path_rename(folder, path, new_folder, new_path) }
            },
        )
    })
}
