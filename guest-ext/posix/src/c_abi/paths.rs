//! Paths: how wasi-libc finds the granted folder of a path, and its calls of preview1's `path_*` functions.
//!
//! wasi-libc looks for the granted folder whose name the path begins with, and passes the rest to the host. This
//! module comes in between twice: before that for paths that leave the folder by `..`, and after it for those
//! that the host refused because a symbolic link leads out of the folder. See [`crate::paths`] for the rules.
//!
//! # Safety
//!
//! See the parent module. Paths are NUL-terminated strings, and results are written where wasi-libc wants them.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int};
use std::sync::OnceLock;

use super::{c_unit, string};
use crate::descriptors::is_ours;
use crate::host;
use crate::paths::{Kind, Mounts, Tree, normalize};
use crate::{Errno, Result};

/// Folder numbers from here downwards stand for the error `REFUSED - number`: wasi-libc's own function has an
/// error of its own for every path without a folder. AT_FDCWD is -2.
const REFUSED: c_int = -1000;

/// Stands for a directory that is in no granted folder, but has one below it.
const PARENT_OF_MOUNTS: c_int = REFUSED;

/// Longest target of a symbolic link: Linux's PATH_MAX.
const LINK_MAX: usize = 4096;

/// preview1's lookupflags: a symbolic link at the end is followed.
const SYMLINK_FOLLOW: u32 = wasi::LOOKUPFLAGS_SYMLINK_FOLLOW;

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
    fn __real___wasi_path_filestat_get(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        stat: *mut wasi::Filestat,
    ) -> u32;
    fn __real___wasi_path_filestat_set_times(
        folder: c_int,
        lookup: u32,
        path: *const c_char,
        accessed: u64,
        modified: u64,
        which: u32,
    ) -> u32;
    fn __real___wasi_path_create_directory(folder: c_int, path: *const c_char) -> u32;
    fn __real___wasi_path_remove_directory(folder: c_int, path: *const c_char) -> u32;
    fn __real___wasi_path_unlink_file(folder: c_int, path: *const c_char) -> u32;
    fn __real___wasi_path_readlink(
        folder: c_int,
        path: *const c_char,
        buffer: *mut u8,
        size: usize,
        length: *mut usize,
    ) -> u32;
    fn __real___wasi_path_symlink(target: *const c_char, folder: c_int, path: *const c_char)
    -> u32;
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

/// The granted folders: numbers from 3 upwards, as wasi-libc finds them, and their names.
struct Granted {
    folders: Vec<(c_int, Vec<u8>)>,
    mounts: Mounts,
}

/// Read once: preview1 can grant no folder later.
static GRANTED: OnceLock<Granted> = OnceLock::new();

fn granted() -> &'static Granted {
    GRANTED.get_or_init(|| {
        let folders: Vec<_> = (3..)
            .map_while(|folder| Some((folder, name_of(folder)?)))
            .collect();
        let mounts = Mounts::new(folders.iter().map(|(_, name)| name.as_slice()));
        Granted { folders, mounts }
    })
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
struct Place<'a> {
    folder: c_int,
    relative: &'a CStr,
}

/// The folder of an absolute path that was resolved.
fn place(path: &CStr) -> Option<Place<'_>> {
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

fn check(error: u32) -> Result<()> {
    match error {
        0 => Ok(()),
        error => Err(Errno(error as c_int)),
    }
}

/// The directories as the host shows them.
struct Host;

impl Tree for Host {
    fn kind(&self, path: &[u8]) -> Result<Kind> {
        let path = c_path(path)?;
        let place = place(&path).ok_or(Errno(libc::ENOENT))?;
        // SAFETY: all of its fields are numbers, for which zeros are a value.
        let mut stat: wasi::Filestat = unsafe { core::mem::zeroed() };
        // SAFETY: a string, and a structure to write to.
        check(unsafe {
            __real___wasi_path_filestat_get(place.folder, 0, place.relative.as_ptr(), &raw mut stat)
        })?;
        Ok(match stat.filetype {
            wasi::FILETYPE_DIRECTORY => Kind::Directory,
            wasi::FILETYPE_SYMBOLIC_LINK => Kind::Link,
            _ => Kind::Other,
        })
    }

    fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
        let path = c_path(path)?;
        let place = place(&path).ok_or(Errno(libc::ENOENT))?;
        let mut target = vec![0; LINK_MAX];
        let mut length = 0;
        // SAFETY: a string, the buffer's own start and length, and a number to write to.
        check(unsafe {
            __real___wasi_path_readlink(
                place.folder,
                place.relative.as_ptr(),
                target.as_mut_ptr(),
                target.len(),
                &raw mut length,
            )
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

/// What a folder number that stands for an error says.
fn refusal(folder: c_int) -> Option<u32> {
    match folder {
        PARENT_OF_MOUNTS => Some(libc::EACCES as u32),
        folder if folder < REFUSED => Some(REFUSED.abs_diff(folder)),
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

/// Calls a function of preview1 with a folder and a path, and once more with others if the host refused to leave
/// the folder, which links may do.
fn call(
    folder: c_int,
    path: *const c_char,
    follow: bool,
    function: impl Fn(c_int, *const c_char) -> u32,
) -> u32 {
    if let Some(error) = refusal(folder) {
        return error;
    }
    let error = function(folder, path);
    if !matches!(error as c_int, libc::EPERM | libc::ENOTCAPABLE) {
        return error;
    }
    let Some(text) = from_root(folder, path) else {
        return error;
    };
    let mounts = &granted().mounts;
    let resolved = match mounts.resolve(&Host, &text, follow) {
        Ok(resolved) => resolved,
        Err(Errno(errno)) => return errno as u32,
    };
    // The refusal has another reason: the folder is granted to read only.
    if normalize(b"", &text) == normalize(b"", &resolved) {
        return error;
    }
    let Ok(resolved) = c_path(&resolved) else {
        return error;
    };
    match place(&resolved) {
        Some(place) => function(place.folder, place.relative.as_ptr()),
        None => libc::ENOENT as u32,
    }
}

/// Is this a directory that the host does not have, with a granted folder below it?
fn is_parent_of_mounts(folder: c_int, path: *const c_char) -> Option<Vec<u8>> {
    if folder == PARENT_OF_MOUNTS {
        return Some(Vec::new());
    }
    let path = normalize(b"", &from_root(folder, path)?);
    granted().mounts.is_directory(&path).then_some(path)
}

/// What stat(2) says of such a directory.
fn parent_stat(path: &[u8]) -> wasi::Filestat {
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
    let follow = lookup & SYMLINK_FOLLOW != 0 && open_flags & wasi::OFLAGS_EXCL == 0;
    let error = call(folder, path, follow, |folder, path| {
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
    let error = call(
        folder,
        path,
        lookup & SYMLINK_FOLLOW != 0,
        |folder, path| {
            // SAFETY: passed on.
            unsafe { __real___wasi_path_filestat_get(folder, lookup, path, stat) }
        },
    );
    if (error as c_int == libc::ENOENT || folder == PARENT_OF_MOUNTS)
        && let Some(path) = is_parent_of_mounts(folder, path)
    {
        // SAFETY: as wasi-libc declares it.
        unsafe { stat.write(parent_stat(&path)) };
        return 0;
    }
    error
}

/// preview1's `path_filestat_set_times`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_filestat_set_times(
    folder: c_int,
    lookup: u32,
    path: *const c_char,
    accessed: u64,
    modified: u64,
    which: u32,
) -> u32 {
    call(
        folder,
        path,
        lookup & SYMLINK_FOLLOW != 0,
        |folder, path| {
            // SAFETY: passed on.
            unsafe {
                __real___wasi_path_filestat_set_times(
                    folder, lookup, path, accessed, modified, which,
                )
            }
        },
    )
}

/// preview1's `path_create_directory`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_create_directory(
    folder: c_int,
    path: *const c_char,
) -> u32 {
    call(folder, path, false, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_create_directory(folder, path) }
    })
}

/// preview1's `path_remove_directory`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_remove_directory(
    folder: c_int,
    path: *const c_char,
) -> u32 {
    call(folder, path, false, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_remove_directory(folder, path) }
    })
}

/// preview1's `path_unlink_file`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_unlink_file(folder: c_int, path: *const c_char) -> u32 {
    call(folder, path, false, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_unlink_file(folder, path) }
    })
}

/// preview1's `path_readlink`.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_readlink(
    folder: c_int,
    path: *const c_char,
    buffer: *mut u8,
    size: usize,
    length: *mut usize,
) -> u32 {
    call(folder, path, false, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_readlink(folder, path, buffer, size, length) }
    })
}

/// preview1's `path_symlink`: `target` is text.
///
/// # Safety
/// As wasi-libc declares it.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___wasi_path_symlink(
    target: *const c_char,
    folder: c_int,
    path: *const c_char,
) -> u32 {
    call(folder, path, false, |folder, path| {
        // SAFETY: passed on.
        unsafe { __real___wasi_path_symlink(target, folder, path) }
    })
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
    call(
        folder,
        path,
        lookup & SYMLINK_FOLLOW != 0,
        |folder, path| {
            call(new_folder, new_path, false, |new_folder, new_path| {
                // SAFETY: passed on.
                unsafe { __real___wasi_path_link(folder, lookup, path, new_folder, new_path) }
            })
        },
    )
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
    call(folder, path, false, |folder, path| {
        call(new_folder, new_path, false, |new_folder, new_path| {
            // SAFETY: passed on.
            unsafe { __real___wasi_path_rename(folder, path, new_folder, new_path) }
        })
    })
}
