//! The granted folders, and how wasi-libc finds that of a path.
//!
//! wasi-libc looks for the granted folder whose name the path begins with. This module resolves paths before that
//! which leave their folder by `..`. See [`crate::paths`] for the rules.
//!
//! # Safety
//!
//! See the parent module. Paths are NUL-terminated strings, and results are written where wasi-libc wants them.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int};

use super::paths::{__real___wasi_path_filestat_get, __real___wasi_path_readlink};
use super::{c_unit, string};
use crate::paths::{Kind, Mounts, Tree, normalize};
use crate::{Errno, Result};

/// Longest target of a symbolic link: Linux's PATH_MAX.
const LINK_MAX: usize = 4096;

/// Folder numbers from here downwards stand for the error `REFUSED - number`: wasi-libc's own function has an
/// error of its own for every path without a folder. AT_FDCWD is -2.
const REFUSED: c_int = -1000;

/// Stands for a directory that is in no granted folder, but has one below it.
pub(super) const PARENT_OF_MOUNTS: c_int = REFUSED;

unsafe extern "C" {
    /// The working directory: absolute. It is replaced by chdir(2).
    static mut __wasilibc_cwd: *const c_char;
    fn __wasilibc_find_abspath(
        path: *const c_char,
        prefix: *mut *const c_char,
        relative: *mut *const c_char,
    ) -> c_int;
    fn __real___wasilibc_find_relpath_alloc(
        path: *const c_char,
        prefix: *mut *const c_char,
        relative: *mut *mut c_char,
        length: *mut usize,
        may_grow: c_int,
    ) -> c_int;
    fn __real_chdir(path: *const c_char) -> c_int;
}

/// The granted folders: numbers from 3 upwards, as wasi-libc finds them, and their names.
struct Granted {
    folders: Vec<(c_int, Vec<u8>)>,
    mounts: Mounts,
}

thread_local! {
    /// Read once: preview1 can grant no folder later.
    static GRANTED: Cell<Option<&'static Granted>> = const { Cell::new(None) };
}

fn granted() -> &'static Granted {
    GRANTED.get().unwrap_or_else(|| {
        let folders: Vec<_> = (3..)
            .map_while(|folder| Some((folder, name_of(folder)?)))
            .collect();
        let mounts = Mounts::new(folders.iter().map(|(_, name)| name.as_slice()));
        let granted = Box::leak(Box::new(Granted { folders, mounts }));
        GRANTED.set(Some(granted));
        granted
    })
}

/// Has the granted folders read again when they are used next. Other guests, which begin with an image of this one's
/// memory, have others.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_forget_granted() {
    GRANTED.set(None);
}

/// Closes all sockets and what else the host has a handle for. This guest's memory is a copy of another one's, which has
/// them.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_forget_handles() {
    crate::descriptors::forget_handles();
    crate::signals::copied();
}

/// The name under which a folder is granted; `None` if this number is none.
fn name_of(folder: c_int) -> Option<Vec<u8>> {
    let folder = u32::try_from(folder).ok()?;
    // SAFETY: takes a number; an unknown one is EBADF.
    let prestat = unsafe { wasi::fd_prestat_get(folder) }.ok()?;
    // SAFETY: directories are the only kind that preview1 has.
    let mut name = vec![0; unsafe { prestat.u.dir.pr_name_len }];
    // SAFETY: the buffer's own start and length.
    unsafe { wasi::fd_prestat_dir_name(folder, name.as_mut_ptr(), name.len()) }.ok()?;
    Some(name)
}

/// A granted folder and what is below it.
pub(super) struct Place<'a> {
    pub(super) folder: c_int,
    pub(super) relative: &'a CStr,
}

/// The folder of an absolute path that was resolved.
pub(super) fn place(path: &CStr) -> Option<Place<'_>> {
    let mut prefix = core::ptr::null();
    let mut relative = core::ptr::null();
    // SAFETY: a string, and two pointers to write to.
    let folder =
        unsafe { __wasilibc_find_abspath(path.as_ptr(), &raw mut prefix, &raw mut relative) };
    if folder < 0 {
        return None;
    }
    // SAFETY: it is the end of `path`, or a constant.
    let relative = unsafe { CStr::from_ptr(relative) };
    Some(Place { folder, relative })
}

fn c_path(path: &[u8]) -> Result<CString> {
    CString::new(path).map_err(|_| Errno(libc::ENOENT))
}

/// Calls a function of preview1 with the granted folder of a path and what is below it.
fn call(path: &[u8], function: impl FnOnce(c_int, *const c_char) -> u32) -> Result<()> {
    let path = c_path(path)?;
    let place = place(&path).ok_or(Errno(libc::ENOENT))?;
    match function(place.folder, place.relative.as_ptr()) {
        0 => Ok(()),
        error => Err(Errno(error as c_int)),
    }
}

/// The directories as the host shows them.
struct Host;

impl Tree for Host {
    fn kind(&self, path: &[u8]) -> Result<Kind> {
        // SAFETY: all of its fields are numbers, for which zeros are a value.
        let mut stat: wasi::Filestat = unsafe { core::mem::zeroed() };
        // SAFETY: a string, and a structure to write to.
        call(path, |folder, path| unsafe {
            __real___wasi_path_filestat_get(folder, 0, path, &raw mut stat)
        })?;
        Ok(match stat.filetype {
            wasi::FILETYPE_DIRECTORY => Kind::Directory,
            wasi::FILETYPE_SYMBOLIC_LINK => Kind::Link,
            _ => Kind::Other,
        })
    }

    fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let mut target = vec![0; LINK_MAX];
        let mut length = 0;
        let (start, size) = (target.as_mut_ptr(), target.len());
        // SAFETY: a string, the buffer's own start and length, and a number to write to.
        call(path, |folder, path| unsafe {
            __real___wasi_path_readlink(folder, path, start, size, &raw mut length)
        })?;
        target.truncate(length);
        Ok(target)
    }
}

/// A path from the root, as it is: relative ones begin at the working directory.
fn absolute(path: &[u8]) -> Vec<u8> {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    // SAFETY: wasi-libc's own; only chdir(2) changes it, and it does not run meanwhile.
    let folder = unsafe { __wasilibc_cwd };
    // SAFETY: as above.
    let folder = unsafe { string(folder) };
    [folder.unwrap_or_default(), path].join(&b'/')
}

/// wasi-libc's search for the granted folder of a path, in which all its functions with paths begin. `..` of a
/// granted folder is its parent directory.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasilibc_find_relpath_alloc(
    path: *const c_char,
    prefix: *mut *const c_char,
    relative: *mut *mut c_char,
    length: *mut usize,
    may_grow: c_int,
) -> c_int {
    // SAFETY: the caller's own places.
    let find = |path: *const c_char| unsafe {
        __real___wasilibc_find_relpath_alloc(path, prefix, relative, length, may_grow)
    };
    // SAFETY: as wasi-libc declares it.
    let Some(text) = (unsafe { string(path) }) else {
        return find(path);
    };
    let mounts = &granted().mounts;
    let absolute = absolute(text);
    let resolved = match mounts.need_resolution(&absolute) {
        false => Ok(None),
        true => mounts
            .resolve(&Host, &absolute, false)
            .and_then(|path| c_path(&path).map(Some)),
    };
    let folder = match &resolved {
        Ok(None) => find(path),
        Ok(Some(path)) => find(path.as_ptr()),
        Err(_) => -1,
    };
    if folder >= 0 {
        return folder;
    }
    let text = normalize(b"", &absolute);
    let is_parent = mounts.is_directory(&text);
    // SAFETY: the caller's own places.
    if unsafe { write_current(&text, prefix, relative, length, may_grow) }.is_none() {
        return -1;
    }
    match resolved {
        Err(Errno(errno)) => REFUSED.saturating_sub(errno),
        Ok(_) if is_parent => PARENT_OF_MOUNTS,
        Ok(_) => REFUSED.saturating_sub(libc::ENOENT),
    }
}

/// chdir(2). The working directory is a path without links, `.` and `..`, as getcwd(3) has it: it is still right when
/// a directory beside it is renamed.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap_chdir(path: *const c_char) -> c_int {
    // SAFETY: as wasi-libc declares it.
    let Some(text) = (unsafe { string(path) }).filter(|text| !text.is_empty()) else {
        return c_unit(Err(Errno(libc::ENOENT)));
    };
    let resolved = granted()
        .mounts
        .resolve(&Host, &absolute(text), true)
        .and_then(|path| {
            let path = path.strip_suffix(b"/").unwrap_or(&path);
            c_path(if path.is_empty() { b"/" } else { path })
        });
    match resolved {
        // SAFETY: a string.
        Ok(path) => unsafe { __real_chdir(path.as_ptr()) },
        Err(error) => c_unit(Err(error)),
    }
}

thread_local! {
    /// The name of the last folder that is in no granted one: chdir(2) copies it.
    static NAME: RefCell<CString> = RefCell::default();
}

/// Writes what wasi-libc's function writes for a granted folder of this name itself: its name, and the path `.`.
///
/// # Safety
/// As [`__wrap___wasilibc_find_relpath_alloc`].
unsafe fn write_current(
    name: &[u8],
    prefix: *mut *const c_char,
    relative: *mut *mut c_char,
    length: *mut usize,
    may_grow: c_int,
) -> Option<()> {
    const CURRENT: &CStr = c".";
    let size = CURRENT.to_bytes_with_nul().len();
    // SAFETY: the caller's own place.
    let relative = unsafe { relative.as_mut() }?;
    // SAFETY: as above.
    let length = unsafe { length.as_mut() }?;
    if *length < size {
        if may_grow == 0 {
            return None;
        }
        // SAFETY: null or malloc(3)'s where it may grow.
        let grown = unsafe { libc::realloc(relative.cast(), size) };
        if grown.is_null() {
            return None;
        }
        *relative = grown.cast();
        *length = size;
    }
    // SAFETY: it has room for so much.
    unsafe { relative.copy_from_nonoverlapping(CURRENT.as_ptr(), size) };
    let name = c_path(name.strip_prefix(b"/").unwrap_or(name)).ok()?;
    let name = NAME.with_borrow_mut(|last| {
        *last = name;
        last.as_ptr()
    });
    // SAFETY: the caller's own place.
    unsafe { prefix.write(name) };
    Some(())
}

/// No error number of preview1 is larger; they end at 76 (ENOTCAPABLE).
const ERRNO_MAX: u32 = 255;

/// What a folder number that stands for an error says.
pub(super) fn refusal(folder: c_int) -> Option<u32> {
    match folder {
        PARENT_OF_MOUNTS => Some(libc::EACCES as u32),
        // Other negative numbers are the program's, INT_MIN among them, and no descriptors.
        folder if folder < REFUSED => {
            Some(REFUSED.abs_diff(folder)).filter(|errno| *errno <= ERRNO_MAX)
        }
        _ => None,
    }
}

/// The path below a granted folder, from the root; `None` below another one.
fn from_root(folder: c_int, path: *const c_char) -> Option<Vec<u8>> {
    let known = |(number, _): &&(c_int, Vec<u8>)| *number == folder;
    let (_, name) = granted().folders.iter().find(known)?;
    // The number may be another file's by now.
    if name_of(folder).as_ref() != Some(name) {
        return None;
    }
    // SAFETY: wasi-libc passes a path.
    let path = unsafe { string(path) }?;
    Some([b"".as_slice(), name, path].join(&b'/'))
}

/// Where a path leads that the host refused to follow out of its folder; `None` if it refused for another reason,
/// such as a folder that is granted to read only.
///
/// # Errors
/// Those of path_resolution(7).
pub(super) fn resolve_refused(
    folder: c_int,
    path: *const c_char,
    follow: bool,
) -> Result<Option<CString>> {
    let Some(text) = from_root(folder, path) else {
        return Ok(None);
    };
    let resolved = granted().mounts.resolve(&Host, &text, follow)?;
    match normalize(b"", &text) == normalize(b"", &resolved) {
        true => Ok(None),
        false => c_path(&resolved).map(Some),
    }
}

/// Is this a directory that the host does not have, with a granted folder below it?
pub(super) fn is_parent_of_mounts(folder: c_int, path: *const c_char) -> Option<Vec<u8>> {
    if folder == PARENT_OF_MOUNTS {
        return Some(Vec::new());
    }
    let path = normalize(b"", &from_root(folder, path)?);
    granted().mounts.is_directory(&path).then_some(path)
}

/// What stat(2) says of such a directory.
pub(super) fn parent_stat(path: &[u8]) -> wasi::Filestat {
    // FNV-1a, 64 bits: another number for each.
    let hash = path.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    wasi::Filestat {
        dev: 0,
        ino: hash,
        filetype: wasi::FILETYPE_DIRECTORY,
        nlink: 2,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    }
}
