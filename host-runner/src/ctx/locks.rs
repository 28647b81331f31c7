//! Locks of a guest's files, and the space of their file systems.
//!
//! Record locks belong to a process and a file (fcntl(2)), so they are taken here with one open file description for each
//! file of a guest: two guests in one process keep each other out as two processes do, and what others lock counts too.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::{FileType, FlockOperation, OFlags, fcntl_getfl, flock, fstat, fstatvfs};
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{LOCK_EXCLUSIVE, LOCK_NONE, LOCK_SHARED, RecordLock, Space};

use super::{Files, SocketsCtx};
use crate::errno::{from_nix, from_system};
use crate::limits::DiskQuota;

/// Most files of a guest that have record locks. Each takes a descriptor of the host's.
const LOCKED_MAX: usize = 256;

/// A file: device and inode.
type File = (u64, u64);

/// The files that a guest has record locks in, each with the description that has them.
#[derive(Debug, Default)]
pub(super) struct RecordLocks(HashMap<File, OwnedFd>);

/// What a record lock is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) kind: u32,
    pub(crate) start: i64,
    pub(crate) len: i64,
}

impl Range {
    fn to_system(self) -> Result<libc::flock, Errno> {
        let kind = match self.kind {
            LOCK_SHARED => libc::F_RDLCK,
            LOCK_EXCLUSIVE => libc::F_WRLCK,
            LOCK_NONE => libc::F_UNLCK,
            _ => return Err(Errno::EINVAL),
        };
        // A negative length is another range: fcntl(2).
        if self.start < 0 || self.len < 0 {
            return Err(Errno::EINVAL);
        }
        Ok(libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: self.start,
            l_len: self.len,
            // As F_OFD_SETLK wants it.
            l_pid: 0,
        })
    }
}

fn system(error: nix::errno::Errno) -> Errno {
    from_system(from_nix(error))
}

/// EBADF unless the guest has opened a file for what a lock is for.
fn check_access(file: &OwnedFd, kind: u32) -> Result<(), Errno> {
    let mode = fcntl_getfl(file).map_err(from_system)? & OFlags::RWMODE;
    match kind {
        LOCK_SHARED if mode == OFlags::WRONLY => Err(Errno::EBADF),
        LOCK_EXCLUSIVE if mode == OFlags::RDONLY => Err(Errno::EBADF),
        _ => Ok(()),
    }
}

/// EBADF for anything else: to open a device again may do something.
fn regular_file(file: &OwnedFd) -> Result<File, Errno> {
    let stat = fstat(file).map_err(from_system)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((stat.st_dev, stat.st_ino)),
        _ => Err(Errno::EBADF),
    }
}

/// Another description of a file that is open: locks for writing need one that could write, which this never does.
fn reopen(file: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    let opened = options.clone().write(true).open(&path);
    Ok(opened.or_else(|_| options.open(&path))?.into())
}

impl RecordLocks {
    fn set(&mut self, file: &OwnedFd, range: Range) -> Result<(), Errno> {
        let wanted = range.to_system()?;
        check_access(file, range.kind)?;
        let key = regular_file(file)?;
        let count = self.0.len();
        let mut entry = match self.0.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(_) if range.kind == LOCK_NONE => return Ok(()),
            Entry::Vacant(_) if count >= LOCKED_MAX => return Err(Errno::ENOLCK),
            Entry::Vacant(entry) => entry.insert_entry(reopen(file).map_err(|_| Errno::ENOLCK)?),
        };
        if range.kind == LOCK_NONE && (range.start, range.len) == (0, 0) {
            // With its description, all of its locks.
            entry.remove();
            return Ok(());
        }
        let locked = fcntl(entry.get_mut().as_fd(), FcntlArg::F_OFD_SETLK(&wanted));
        locked.map(drop).map_err(system)
    }

    fn get(&self, file: &OwnedFd, range: Range) -> Result<RecordLock, Errno> {
        let mut lock = range.to_system()?;
        if range.kind == LOCK_NONE {
            return Err(Errno::EINVAL);
        }
        let owner = self.0.get(&regular_file(file)?).unwrap_or(file);
        fcntl(owner.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock)).map_err(system)?;
        let kind = match i32::from(lock.l_type) {
            libc::F_RDLCK => LOCK_SHARED,
            libc::F_WRLCK => LOCK_EXCLUSIVE,
            _ => LOCK_NONE,
        };
        Ok(RecordLock {
            start: lock.l_start.unsigned_abs(),
            len: lock.l_len.unsigned_abs(),
            kind,
            reserved: 0,
        })
    }
}

impl SocketsCtx {
    pub(crate) fn lock<F: Files>(
        &mut self,
        files: Option<&mut F>,
        file: u32,
        range: Range,
    ) -> Result<(), Errno> {
        self.locks.set(&descriptor(files, file)?, range)
    }

    pub(crate) fn conflicting_lock<F: Files>(
        &self,
        files: Option<&mut F>,
        file: u32,
        range: Range,
    ) -> Result<RecordLock, Errno> {
        self.locks.get(&descriptor(files, file)?, range)
    }

    pub(crate) fn space<F: Files>(&self, files: Option<&mut F>, file: u32) -> Result<Space, Errno> {
        let stat = fstatvfs(descriptor(files, file)?).map_err(from_system)?;
        let block_size = stat.f_frsize.max(1);
        let quota = &self.usage.disk;
        let within = |unit: u64, there: u64, free: u64| {
            let free = free.min(quota.left() / unit);
            (there.min(quota.max() / unit).max(free), free)
        };
        let (blocks, free_blocks) = within(block_size, stat.f_blocks, stat.f_bavail);
        let (files, free_files) = within(DiskQuota::NAME, stat.f_files, stat.f_favail);
        Ok(Space {
            block_size,
            blocks,
            free_blocks,
            files,
            free_files,
            name_max: stat.f_namemax,
        })
    }
}

/// flock(2), which does not wait.
pub(crate) fn flock_file<F: Files>(
    files: Option<&mut F>,
    file: u32,
    kind: u32,
) -> Result<(), Errno> {
    let file = descriptor(files, file)?;
    if kind == LOCK_EXCLUSIVE {
        check_access(&file, kind)?;
    }
    let operation = match kind {
        LOCK_SHARED => FlockOperation::NonBlockingLockShared,
        LOCK_EXCLUSIVE => FlockOperation::NonBlockingLockExclusive,
        LOCK_NONE => FlockOperation::Unlock,
        _ => return Err(Errno::EINVAL),
    };
    flock(file, operation).map_err(from_system)
}

/// # Errors
/// EBADF for a file that there is not, EOPNOTSUPP if the guest has none.
fn descriptor<F: Files>(files: Option<&mut F>, file: u32) -> Result<OwnedFd, Errno> {
    let files = files.ok_or(Errno::EOPNOTSUPP)?;
    files.descriptor(file).ok_or(Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::OwnedFd;

    use super::{Errno, LOCK_EXCLUSIVE, LOCK_NONE, LOCK_SHARED, LOCKED_MAX, Range, RecordLocks};

    fn range(kind: u32, start: i64, len: i64) -> Range {
        Range { kind, start, len }
    }

    fn open(path: &std::path::Path) -> OwnedFd {
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        options.open(path).unwrap().into()
    }

    #[test]
    fn locks_are_those_of_a_guest_and_not_of_its_descriptors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let [one, other] = [open(&path), open(&path)];
        let mut mine = RecordLocks::default();
        let mut theirs = RecordLocks::default();
        mine.set(&one, range(LOCK_EXCLUSIVE, 0, 10)).unwrap();
        mine.set(&other, range(LOCK_EXCLUSIVE, 5, 10)).unwrap();
        let wanted = range(LOCK_SHARED, 14, 1);
        assert_eq!(theirs.set(&one, wanted), Err(Errno::EAGAIN));
        let found = theirs.get(&one, wanted).unwrap();
        assert_eq!(
            (found.kind, found.start, found.len),
            (LOCK_EXCLUSIVE, 0, 15)
        );
        assert_eq!(mine.get(&one, wanted).unwrap().kind, LOCK_NONE);
        theirs.set(&one, range(LOCK_SHARED, 15, 0)).unwrap();
        mine.set(&other, range(LOCK_NONE, 14, 1)).unwrap();
        theirs.set(&one, wanted).unwrap();
        mine.set(&other, range(LOCK_NONE, 0, 0)).unwrap();
        assert!(mine.0.is_empty());
        theirs.set(&one, range(LOCK_EXCLUSIVE, 0, 0)).unwrap();
    }

    #[test]
    fn locks_need_the_access_that_they_are_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        open(&path);
        let reads = File::open(&path).unwrap().into();
        let writes = File::options().write(true).open(&path).unwrap().into();
        let mut locks = RecordLocks::default();
        assert_eq!(
            locks.set(&reads, range(LOCK_EXCLUSIVE, 0, 0)),
            Err(Errno::EBADF)
        );
        assert_eq!(
            locks.set(&writes, range(LOCK_SHARED, 0, 0)),
            Err(Errno::EBADF)
        );
        locks.set(&reads, range(LOCK_SHARED, 0, 0)).unwrap();
        locks.set(&writes, range(LOCK_EXCLUSIVE, 0, 0)).unwrap();
        let folder = File::open(folder.path()).unwrap().into();
        let wanted = range(LOCK_SHARED, 0, 0);
        assert_eq!(locks.set(&folder, wanted), Err(Errno::EBADF));
        assert_eq!(locks.get(&folder, wanted).err(), Some(Errno::EBADF));
        for bad in [
            range(4, 0, 0),
            range(LOCK_SHARED, -1, 0),
            range(LOCK_SHARED, 0, -1),
        ] {
            assert_eq!(locks.set(&reads, bad), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn locked_files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut locks = RecordLocks::default();
        let wanted = range(LOCK_EXCLUSIVE, 0, 0);
        for number in 0..LOCKED_MAX {
            locks
                .set(&open(&folder.path().join(number.to_string())), wanted)
                .unwrap();
        }
        let more = open(&folder.path().join("more"));
        assert_eq!(locks.set(&more, wanted), Err(Errno::ENOLCK));
        locks
            .set(&open(&folder.path().join("0")), range(LOCK_NONE, 0, 0))
            .unwrap();
        locks.set(&more, wanted).unwrap();
    }
}
