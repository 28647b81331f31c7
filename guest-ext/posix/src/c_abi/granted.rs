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
use crate::descriptors::{self, Object, PLACES_MAX};
use crate::devices;
use crate::paths::{Kind, Mounts, Tree, normalize};
use crate::{Errno, Result};

/// Longest target of a symbolic link: Linux's PATH_MAX.
const LINK_MAX: usize = 4096;

/// Folder numbers from here on stand for granted folders: preview1's number and this. No descriptor is as large.
const GRANTED: c_int = 1 << 24;
const _: () = assert!(GRANTED as usize > PLACES_MAX);

/// Folder numbers below this one stand for the error `REFUSED - number`: wasi-libc's own function has an error of its
/// own for every path without a folder. AT_FDCWD is -2.
const REFUSED: c_int = -1000;

/// Stands for what this library has itself. The path beside it is absolute and resolved.
const SYNTHETIC: c_int = REFUSED;

/// What wasi-libc's number of a path's folder stands for.
pub(super) enum Folder {
    /// preview1's number.
    Preview1(c_int),
    /// See [`SYNTHETIC`].
    Synthetic,
    /// An open folder that this library has itself.
    Listing,
}

/// What this library has itself.
pub(super) enum Synthetic {
    /// A directory that the host does not have, with a granted folder below it.
    Parent,
    Device(devices::Entry),
    /// A name that is in none of its own directories, which are for reading.
    Missing,
}

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
}

/// The granted folders: numbers from 3 upwards, as wasi-libc finds them, and their names.
struct Granted {
    folders: Vec<(c_int, Vec<u8>)>,
    /// Of these folders, and of the devices.
    mounts: Mounts,
    /// No granted folder is in the place of the devices.
    has_devices: bool,
}

thread_local! {
    /// The last path that a number above [`REFUSED`] was found for.
    static UNRESOLVED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Read once: preview1 can grant no folder later.
    static FOLDERS: Cell<Option<&'static Granted>> = const { Cell::new(None) };
}

fn granted() -> &'static Granted {
    FOLDERS.get().unwrap_or_else(|| {
        let folders: Vec<_> = (3..)
            .map_while(|folder| Some((folder, name_of(folder)?)))
            .collect();
        let names = || folders.iter().map(|(_, name)| name.as_slice());
        let has_devices = !names().any(|name| normalize(b"", name) == devices::FOLDER);
        let own = has_devices.then_some(devices::FOLDER);
        let mounts = Mounts::new(names().chain(own));
        let granted = Box::leak(Box::new(Granted {
            folders,
            mounts,
            has_devices,
        }));
        FOLDERS.set(Some(granted));
        granted
    })
}

/// Has the granted folders read again when they are used next. Other guests, which begin with an image of this one's
/// memory, have others.
#[unsafe(no_mangle)]
extern "C" fn wasisocket_forget_granted() {
    FOLDERS.set(None);
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

/// Where a path leads.
pub(super) enum Place<'a> {
    /// A granted folder, by preview1's number, and what is below it.
    Below {
        folder: c_int,
        relative: &'a CStr,
    },
    Synthetic(Synthetic),
}

/// The place of an absolute path that was resolved.
///
/// # Errors
/// ENOENT, ENOTDIR.
pub(super) fn place(path: &CStr) -> Result<Place<'_>> {
    if let Some(entry) = device(path.to_bytes()) {
        return match entry {
            Ok(entry) => Ok(Place::Synthetic(Synthetic::Device(entry))),
            Err(_) if is_missing(path.to_bytes()) => Ok(Place::Synthetic(Synthetic::Missing)),
            Err(error) => Err(error),
        };
    }
    let mut prefix = core::ptr::null();
    let mut relative = core::ptr::null();
    // SAFETY: a string, and two pointers to write to.
    let folder =
        unsafe { __wasilibc_find_abspath(path.as_ptr(), &raw mut prefix, &raw mut relative) };
    match folder {
        0.. => Ok(Place::Below {
            folder,
            // SAFETY: it is the end of `path`, or a constant.
            relative: unsafe { CStr::from_ptr(relative) },
        }),
        _ if is_parent(path.to_bytes()) => Ok(Place::Synthetic(Synthetic::Parent)),
        _ if is_missing(path.to_bytes()) => Ok(Place::Synthetic(Synthetic::Missing)),
        _ => Err(Errno(libc::ENOENT)),
    }
}

/// What an absolute path without `.` and `..` names in the folder of devices; `None` outside of it.
fn device(path: &[u8]) -> Option<Result<devices::Entry>> {
    let granted = granted();
    let is_there = granted.has_devices && granted.mounts.of(path) == Some(devices::FOLDER);
    is_there.then(|| devices::find(path)).flatten()
}

/// Whether the place of a path, without `.` and `..`, is granted. It is not if only the root is, and has no folder of that
/// name: what a program wants there is in another tree.
pub(super) fn is_granted(path: &[u8]) -> bool {
    match granted().mounts.of(path) {
        None => false,
        Some(b"") => {
            let rest = path.get(1..).unwrap_or_default();
            let end = rest.iter().position(|byte| *byte == b'/');
            let first = end.and_then(|end| path.get(..=end));
            first.is_none_or(|first| Host.kind(first).is_ok())
        }
        Some(_) => true,
    }
}

/// Is this a directory because a folder is mounted there or below it?
pub(super) fn is_parent(path: &[u8]) -> bool {
    granted().mounts.is_directory(&normalize(b"", path))
}

/// Is there nothing here, in a directory that this library has itself?
fn is_missing(path: &[u8]) -> bool {
    let path = normalize(b"", path);
    let end = path.iter().rposition(|byte| *byte == b'/');
    let folder = path.get(..end.unwrap_or_default()).unwrap_or_default();
    match device(folder) {
        Some(entry) => {
            let is_folder = entry.is_ok_and(|entry| entry_kind(entry) == wasi::FILETYPE_DIRECTORY);
            is_folder && device(&path) == Some(Err(Errno(libc::ENOENT)))
        }
        None => granted().mounts.of(&path).is_none() && is_parent(folder) && !is_parent(&path),
    }
}

/// The names in a folder that are there because of what is mounted, and those of devices.
pub(super) fn own_names(path: &[u8], entry: Option<devices::Entry>) -> Vec<Vec<u8>> {
    let mounted = granted().mounts.names_in(path);
    match entry {
        Some(devices::Entry::Devices) => devices::names()
            .map(<[u8]>::to_vec)
            .chain(mounted)
            .collect(),
        Some(devices::Entry::Descriptors) => {
            let numbers = descriptors::numbers().into_iter();
            numbers.map(|fd| fd.to_string().into_bytes()).collect()
        }
        _ => mounted.collect(),
    }
}

/// preview1's type of something with a name of [`own_names`].
pub(super) fn synthetic_kind(path: &[u8]) -> u8 {
    match device(path) {
        Some(Ok(entry)) => entry_kind(entry).raw(),
        _ => wasi::FILETYPE_DIRECTORY.raw(),
    }
}

/// preview1's type of an entry of devices.
pub(super) fn entry_kind(entry: devices::Entry) -> wasi::Filetype {
    match entry {
        devices::Entry::Device(_) | devices::Entry::Terminal => wasi::FILETYPE_CHARACTER_DEVICE,
        devices::Entry::Devices | devices::Entry::Descriptors => wasi::FILETYPE_DIRECTORY,
        devices::Entry::Descriptor(_) => wasi::FILETYPE_UNKNOWN,
    }
}

fn c_path(path: &[u8]) -> Result<CString> {
    CString::new(path).map_err(|_| Errno(libc::ENOENT))
}

/// Calls a function of preview1 with the granted folder of a path and what is below it.
fn call(path: &[u8], function: impl FnOnce(c_int, *const c_char) -> u32) -> Result<()> {
    let path = c_path(path)?;
    match place(&path)? {
        Place::Below { folder, relative } => match function(folder, relative.as_ptr()) {
            0 => Ok(()),
            error => Err(Errno(error as c_int)),
        },
        Place::Synthetic(Synthetic::Missing) => Err(Errno(libc::ENOENT)),
        Place::Synthetic(_) => Err(Errno(libc::EINVAL)),
    }
}

/// The directories as the host shows them.
struct Host;

impl Tree for Host {
    fn kind(&self, path: &[u8]) -> Result<Kind> {
        if let Some(entry) = device(path) {
            return Ok(match entry_kind(entry?) {
                wasi::FILETYPE_DIRECTORY => Kind::Directory,
                _ => Kind::Other,
            });
        }
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

/// Whether an absolute path may lead into the folder of devices.
fn may_be_device(path: &[u8]) -> bool {
    let start = path.iter().position(|byte| *byte != b'/').unwrap_or(0);
    let name = devices::FOLDER.get(1..).unwrap_or_default();
    path.get(start..).is_some_and(|path| path.starts_with(name))
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
    let own = match &resolved {
        Err(_) => None,
        Ok(path) => {
            let path = path.as_ref().map_or(&*absolute, |path| path.to_bytes());
            // Few paths lead to devices, and all of those begin so.
            may_be_device(path).then(|| normalize(b"", path))
        }
    };
    let own = own.filter(|path| device(path).is_some());
    let (number, text) = match (resolved, own) {
        (_, Some(path)) => (SYNTHETIC, path),
        (Err(Errno(errno)), None) => {
            UNRESOLVED.set(normalize(b"", &absolute));
            (REFUSED.saturating_sub(errno), Vec::new())
        }
        (Ok(resolved), None) => {
            let folder = find(resolved.as_ref().map_or(path, |path| path.as_ptr()));
            if folder >= 0 {
                return folder.saturating_add(GRANTED);
            }
            (SYNTHETIC, normalize(b"", &absolute))
        }
    };
    // SAFETY: the caller's own places.
    match unsafe { write_path(&text, prefix, relative, length, may_grow) } {
        Some(()) => number,
        None => -1,
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
    c_unit(change_folder(&absolute(text)))
}

thread_local! {
    /// The working directory, once it was changed.
    static WORKING: RefCell<CString> = RefCell::default();
}

fn change_folder(path: &[u8]) -> Result<()> {
    let mounts = &granted().mounts;
    let path = mounts.resolve(&Host, path, true)?;
    let path = path.strip_suffix(b"/").unwrap_or(&path);
    if !mounts.is_directory(path) && Host.kind(path)? != Kind::Directory {
        return Err(Errno(libc::ENOTDIR));
    }
    let path = c_path(if path.is_empty() { b"/" } else { path })?;
    WORKING.with_borrow_mut(|working| {
        // SAFETY: wasi-libc's own; nothing reads it meanwhile, and the text lives until it is replaced again.
        unsafe { __wasilibc_cwd = path.as_ptr() };
        *working = path;
    });
    Ok(())
}

/// Writes the path that goes with the number of a folder which is none of preview1's.
///
/// # Safety
/// As [`__wrap___wasilibc_find_relpath_alloc`].
unsafe fn write_path(
    text: &[u8],
    prefix: *mut *const c_char,
    relative: *mut *mut c_char,
    length: *mut usize,
    may_grow: c_int,
) -> Option<()> {
    const NO_PREFIX: &CStr = c"";
    let text = c_path(text).ok()?;
    let size = text.as_bytes_with_nul().len();
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
    unsafe { relative.copy_from_nonoverlapping(text.as_ptr(), size) };
    // SAFETY: the caller's own place.
    unsafe { prefix.write(NO_PREFIX.as_ptr()) };
    Some(())
}

/// No error number of preview1 is larger; they end at 76 (ENOTCAPABLE).
const ERRNO_MAX: c_int = 255;

/// What the number of a path's folder stands for.
///
/// # Errors
/// The one that it stands for; EBADF; ENOTDIR for a descriptor that is not preview1's.
pub(super) fn folder(number: c_int) -> Result<Folder> {
    if let Some(number) = number.checked_sub(GRANTED).filter(|number| *number >= 0) {
        return Ok(Folder::Preview1(number));
    }
    match REFUSED.checked_sub(number) {
        Some(0) => return Ok(Folder::Synthetic),
        // Other negative numbers are the program's, and no descriptors.
        Some(errno @ 1..=ERRNO_MAX) => return Err(Errno(errno)),
        _ => {}
    }
    match descriptors::object(number)? {
        Object::File(number, _) => Ok(Folder::Preview1(number as c_int)),
        Object::Listing(_) => Ok(Folder::Listing),
        Object::Device(_) | Object::Handle => Err(Errno(libc::ENOTDIR)),
    }
}

/// The absolute path of what is below a folder; `None` if that of the folder is not known.
pub(super) fn from_root(folder: c_int, path: *const c_char) -> Option<Vec<u8>> {
    // SAFETY: wasi-libc passes a path.
    let path = unsafe { string(path) }?;
    let folder = match folder {
        SYNTHETIC => return Some(path.to_vec()),
        ..REFUSED => return Some(UNRESOLVED.with_borrow(Clone::clone)),
        GRANTED.. => {
            let number = folder.saturating_sub(GRANTED);
            let known = granted().folders.iter().find(|(known, _)| *known == number);
            known.map(|(_, name)| name.clone())
        }
        fd => match descriptors::object(fd).ok()? {
            Object::File(_, description) | Object::Listing(description) => {
                let folder = description.folder.as_ref();
                folder.map(|folder| folder.path.clone())
            }
            _ => None,
        },
    };
    Some([b"".as_slice(), &folder?, path].join(&b'/'))
}

/// The descriptor that a path in the folder of devices names.
pub(super) fn descriptor_of(folder: c_int, path: *const c_char) -> Option<c_int> {
    let is_own = folder == SYNTHETIC || matches!(self::folder(folder), Ok(Folder::Listing));
    if !is_own {
        return None;
    }
    match device(&normalize(b"", &from_root(folder, path)?))? {
        Ok(devices::Entry::Descriptor(fd)) => Some(fd),
        _ => None,
    }
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
    let resolved = resolve(&text, follow)?;
    // A path from a folder that the program opened may leave that one by `..`, and none of the granted ones.
    let is_same = folder >= GRANTED && normalize(b"", &text) == normalize(b"", resolved.to_bytes());
    match is_same {
        true => Ok(None),
        false => Ok(Some(resolved)),
    }
}

/// An absolute path without links, `.` and `..`.
///
/// # Errors
/// Those of path_resolution(7).
pub(super) fn resolve(path: &[u8], follow: bool) -> Result<CString> {
    c_path(&granted().mounts.resolve(&Host, path, follow)?)
}

/// What stat(2) says of a directory that the host does not have.
pub(super) fn folder_stat(path: &[u8]) -> wasi::Filestat {
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
