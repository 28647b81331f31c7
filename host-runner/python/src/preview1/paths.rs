//! What preview1's `path_*` functions do, for paths that are not UTF-8.
//!
//! Each resolves its path below a directory by [`cap_primitives`], as wasmtime-wasi does for the others: no path
//! leaves the directory, by `..` or by a symbolic link. Permissions are those of the granted folder.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use cap_primitives::fs as sandbox;
use cap_primitives::fs::{
    FileTypeExt as _, FollowSymlinks, Metadata, MetadataExt as _, OpenOptions,
};
use cap_primitives::time::SystemTime;
use rustix::fs::{FileType, Mode, OFlags, fstat, fsync, openat};
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};
use wasmtime_wasi::p1::types::{
    Errno, Fdflags, Filestat, Filetype, Fstflags, Lookupflags, Oflags, Rights,
};
use wasmtime_wasi::{OpenMode, SystemTimeSpec};

use super::{Failure, Preview1, blocking, failure};

/// The device of all files: wasmtime-wasi's answer.
const DEVICE: u64 = 1;

type Done = Result<(), Failure>;

/// A path of the guest's, which is any bytes.
pub(super) fn from_bytes(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

/// The inode that wasmtime-wasi reports for a file: the same for a directory entry and for the file itself, and the
/// same however its path is written.
pub(super) fn inode(device: u64, inode: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (device, inode).hash(&mut hasher);
    hasher.finish()
}

fn follow(lookup: i32) -> FollowSymlinks {
    let lookup = Lookupflags::from_bits_truncate(lookup as u32);
    match lookup.contains(Lookupflags::SYMLINK_FOLLOW) {
        true => FollowSymlinks::Yes,
        false => FollowSymlinks::No,
    }
}

/// Changes nothing in a folder that is granted to read only: EPERM, as wasmtime-wasi has it.
fn check_writable(folder: &Dir) -> Done {
    match folder.perms.write_not_permitted() {
        true => Err(Errno::Perm.into()),
        false => Ok(()),
    }
}

fn change(folder: &Dir, change: impl FnOnce(&std::fs::File) -> io::Result<()>) -> Done {
    check_writable(folder)?;
    change(&folder.dir).map_err(failure)
}

pub(super) fn create_directory(folder: &Dir, path: &Path) -> Done {
    change(folder, |folder| {
        sandbox::create_dir(folder, path, &sandbox::DirOptions::new())
    })
}

pub(super) fn remove_directory(folder: &Dir, path: &Path) -> Done {
    change(folder, |folder| sandbox::remove_dir(folder, path))
}

pub(super) fn unlink_file(folder: &Dir, path: &Path) -> Done {
    change(folder, |folder| sandbox::remove_file(folder, path))
}

/// The target is text, which may be absolute or lead anywhere: whoever follows it checks it.
pub(super) fn symlink(target: &Path, folder: &Dir, path: &Path) -> Done {
    change(folder, |folder| {
        sandbox::symlink_contents(target, folder, path)
    })
}

/// Both folders are granted to write to.
fn change_both(
    folder: &Dir,
    new_folder: &Dir,
    act: impl FnOnce(&std::fs::File, &std::fs::File) -> io::Result<()>,
) -> Done {
    check_writable(new_folder)?;
    change(folder, |folder| act(folder, &new_folder.dir))
}

pub(super) fn rename(folder: &Dir, path: &Path, new_folder: &Dir, new_path: &Path) -> Done {
    change_both(folder, new_folder, |folder, new_folder| {
        sandbox::rename(folder, path, new_folder, new_path)
    })
}

pub(super) fn link(
    folder: &Dir,
    path: &Path,
    lookup: i32,
    new_folder: &Dir,
    new_path: &Path,
) -> Done {
    if follow(lookup) == FollowSymlinks::Yes {
        return Err(Errno::Inval.into());
    }
    change_both(folder, new_folder, |folder, new_folder| {
        sandbox::hard_link(folder, path, new_folder, new_path)
    })
}

/// The target of a symbolic link: text, which may be absolute. The guest resolves it in its own tree.
pub(super) fn read_link(folder: &Dir, path: &Path) -> Result<Vec<u8>, Failure> {
    let target = sandbox::read_link_contents(&folder.dir, path).map_err(failure)?;
    Ok(target.into_os_string().into_vec())
}

/// Access and modification times to set; `None` leaves one as it is.
pub(super) struct Times {
    accessed: Option<SystemTimeSpec>,
    modified: Option<SystemTimeSpec>,
}

impl Times {
    pub(super) fn new(accessed: i64, modified: i64, which: i32) -> Result<Self, Failure> {
        let which = Fstflags::from_bits_truncate(which as u16);
        let time = |given, now, nanoseconds: i64| match (which.contains(given), which.contains(now))
        {
            (true, true) => Err(Errno::Inval),
            (true, false) => {
                let time = UNIX_EPOCH.checked_add(Duration::from_nanos(nanoseconds as u64));
                let time = time.ok_or(Errno::Overflow)?;
                Ok(Some(SystemTimeSpec::Absolute(SystemTime::from_std(time))))
            }
            (false, true) => Ok(Some(SystemTimeSpec::SymbolicNow)),
            (false, false) => Ok(None),
        };
        Ok(Self {
            accessed: time(Fstflags::ATIM, Fstflags::ATIM_NOW, accessed)?,
            modified: time(Fstflags::MTIM, Fstflags::MTIM_NOW, modified)?,
        })
    }
}

pub(super) fn set_times(folder: &Dir, path: &Path, lookup: i32, times: Times) -> Done {
    let Times { accessed, modified } = times;
    change(folder, |folder| match follow(lookup) {
        FollowSymlinks::Yes => sandbox::set_times(folder, path, accessed, modified),
        FollowSymlinks::No => sandbox::set_times_nofollow(folder, path, accessed, modified),
    })
}

pub(super) fn stat(folder: &Dir, path: &Path, lookup: i32) -> Result<Filestat, Failure> {
    let stat = sandbox::stat(&folder.dir, path, follow(lookup)).map_err(failure)?;
    let nanoseconds = |time: io::Result<SystemTime>| {
        let time = time.ok().map(SystemTime::into_std);
        let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        since.map_or(0, |since| {
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        })
    };
    Ok(Filestat {
        dev: DEVICE,
        ino: inode(stat.dev(), stat.ino()),
        filetype: file_type(&stat),
        nlink: stat.nlink(),
        size: stat.len(),
        atim: nanoseconds(stat.accessed()),
        mtim: nanoseconds(stat.modified()),
        // wasmtime-wasi's answer: the time of creation.
        ctim: nanoseconds(stat.created()),
    })
}

/// What fstat(2) says of a standard stream. One that is not this process's is like a device.
pub(super) fn stat_of_stream(stream: Option<&OwnedFd>) -> Result<Filestat, Failure> {
    let mut answer = Filestat {
        dev: DEVICE,
        ino: 0,
        filetype: Filetype::CharacterDevice,
        nlink: 1,
        size: 0,
        atim: 0,
        mtim: 0,
        ctim: 0,
    };
    if let Some(stream) = stream {
        let stat = fstat(stream).map_err(|errno| failure(errno.into()))?;
        answer.ino = inode(stat.st_dev, stat.st_ino);
        answer.filetype = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Filetype::RegularFile,
            FileType::CharacterDevice => Filetype::CharacterDevice,
            FileType::BlockDevice => Filetype::BlockDevice,
            FileType::Directory => Filetype::Directory,
            FileType::Socket => Filetype::SocketStream,
            // Of a pipe: there is none for it.
            _ => Filetype::Unknown,
        };
        answer.size = u64::try_from(stat.st_size).unwrap_or(0);
    }
    Ok(answer)
}

/// fsync(2) of a directory: the names in it are on the disk.
pub(super) fn sync(folder: &Dir) -> Done {
    // A granted folder may be open for its path alone.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let synced = openat(&*folder.dir, ".", flags, Mode::empty()).and_then(fsync);
    synced.map_err(|errno| failure(errno.into()))
}

/// preview1's file types: sockets and pipes have none.
fn file_type(stat: &Metadata) -> Filetype {
    let kind = stat.file_type();
    if kind.is_dir() {
        Filetype::Directory
    } else if kind.is_symlink() {
        Filetype::SymbolicLink
    } else if kind.is_file() {
        Filetype::RegularFile
    } else if kind.is_block_device() {
        Filetype::BlockDevice
    } else if kind.is_char_device() {
        Filetype::CharacterDevice
    } else {
        Filetype::Unknown
    }
}

/// What cannot be opened. open(2) of a FIFO waits until somebody has the other end, and a guest's limits of time would not
/// hold meanwhile: ENOTSUP. Nobody could read from it anyway: wasmtime-wasi reads at offsets, which a FIFO has not. A
/// Unix socket is ENXIO, for which wasmtime-wasi has no number.
pub(super) fn check_kind(folder: &Dir, path: &Path, lookup: i32) -> Done {
    let Ok(stat) = sandbox::stat(&folder.dir, path, follow(lookup)) else {
        return Ok(());
    };
    let kind = stat.file_type();
    if kind.is_fifo() {
        return Err(Errno::Notsup.into());
    }
    if kind.is_socket() {
        return Err(Errno::Nxio.into());
    }
    Ok(())
}

/// What `path_open` is asked for.
#[derive(Clone, Copy)]
pub(super) struct OpenFlags {
    lookup: i32,
    open: Oflags,
    reads: bool,
    writes: bool,
    descriptor: Fdflags,
}

impl OpenFlags {
    pub(super) fn new(lookup: i32, open: i32, rights: i64, flags: i32) -> Self {
        let rights = Rights::from_bits_truncate(rights as u64);
        Self {
            lookup,
            open: Oflags::from_bits_truncate(open as u16),
            reads: rights.contains(Rights::FD_READ),
            writes: rights.contains(Rights::FD_WRITE),
            descriptor: Fdflags::from_bits_truncate(flags as u16),
        }
    }

    /// The rules are wasmtime-wasi's.
    fn check(self, folder: &Dir) -> Result<(OpenOptions, OpenMode), Failure> {
        let synchronous = Fdflags::SYNC | Fdflags::DSYNC | Fdflags::RSYNC;
        if self.descriptor.intersects(synchronous) {
            return Err(Errno::Notsup.into());
        }
        let changes = Oflags::CREAT | Oflags::EXCL | Oflags::TRUNC;
        if self.open.contains(Oflags::DIRECTORY) && self.open.intersects(changes) {
            return Err(Errno::Inval.into());
        }
        let creates = self.open.contains(Oflags::CREAT);
        let truncates = self.open.contains(Oflags::TRUNC);
        let writes = self.writes || creates || truncates;
        // A file that is not opened to write has to be opened to read.
        let reads = self.reads || !self.writes;
        if writes {
            check_writable(folder)?;
        }
        let mut options = OpenOptions::new();
        match creates && self.open.contains(Oflags::EXCL) {
            true => options.create_new(true),
            false => options.create(creates),
        };
        options.truncate(truncates).write(writes).read(reads);
        options._cap_fs_ext_follow(follow(self.lookup));
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, reads);
        mode.set(OpenMode::WRITE, writes);
        Ok((options, mode))
    }
}

impl Preview1 {
    /// Opens a file or a directory below a directory, and gives it a number.
    pub(super) async fn open(
        &mut self,
        number: u32,
        path: PathBuf,
        flags: OpenFlags,
    ) -> Result<u32, Failure> {
        let folder = match self.descriptor(number) {
            Some(Descriptor::Dir(folder)) => folder.clone(),
            Some(Descriptor::File(_)) => return Err(Errno::Notdir.into()),
            None => return Err(Errno::Badf.into()),
        };
        let may_block = self.may_block;
        let opened = blocking(may_block, move || -> Result<_, Failure> {
            let (options, mode) = flags.check(&folder)?;
            check_kind(&folder, &path, flags.lookup)?;
            let file = sandbox::open(&folder.dir, &path, &options).map_err(failure)?;
            if file.metadata().map_err(failure)?.is_dir() {
                let folder = Dir::new(file, folder.perms, mode, may_block);
                return Ok(Descriptor::Dir(folder));
            }
            if flags.open.contains(Oflags::DIRECTORY) {
                return Err(Errno::Notdir.into());
            }
            let file = File::new(file, folder.perms, mode, may_block);
            Ok(Descriptor::File(file))
        });
        self.put(number, opened.await?, flags.descriptor).await
    }
}
