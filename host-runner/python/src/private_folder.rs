//! A folder that is made for one guest, and removed with it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, openat, renameat, statat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use tracing::debug;

/// What the names of these folders begin with. Each is locked (flock(2)) as long as its guest exists.
const PREFIX: &str = "wasisocket-guest-";

/// How long a folder without a lock stays: a process may be about to lock it.
const UNLOCKED: Duration = Duration::from_secs(60);

/// A folder in the system's folder for temporary files, which only this user can look into.
pub(crate) struct PrivateFolder {
    path: PathBuf,
    folder: File,
}

impl PrivateFolder {
    /// A new one.
    pub(crate) fn new() -> io::Result<Self> {
        static CLEANED: Once = Once::new();
        let parent = std::env::temp_dir();
        CLEANED.call_once(|| remove_abandoned(&parent));
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&parent)?
            .keep();
        let folder = open(&path)?;
        flock(&folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Self { path, folder })
    }

    /// Its path on the host.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn folder(&self) -> &File {
        &self.folder
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path, &self.folder) {
            debug!("{}: {error}", self.path.display());
        }
    }
}

fn open(folder: &Path) -> io::Result<File> {
    fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::DIRECTORY | OFlags::NOFOLLOW).bits() as i32)
        .open(folder)
}

fn remove(path: &Path, folder: &File) -> io::Result<()> {
    remove_content(folder)?;
    fs::remove_dir(path)
}

/// Removes what is in a folder, however deep it is: inner folders are moved out of each other. Nobody else must use it.
pub(crate) fn remove_content(folder: &File) -> io::Result<()> {
    let mut left: Vec<CString> = Vec::new();
    remove_entries(folder.as_fd(), |name| {
        left.push(name);
        Ok(())
    })?;
    let (mut moved, mut again): (u64, _) = (0, 1000);
    while let Some(name) = left.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = openat(folder, &*name, flags, Mode::empty())?;
        remove_entries(inner.as_fd(), |name| {
            loop {
                moved += 1;
                let new = CString::new(format!("{moved}"))?;
                // Another folder that is not empty, or a name that is not removed yet.
                match renameat(&inner, &*name, folder, &*new) {
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
                    Err(error) => return Err(error.into()),
                    Ok(()) => {
                        left.push(new);
                        return Ok(());
                    }
                }
            }
        })?;
        match unlinkat(folder, &*name, AtFlags::REMOVEDIR) {
            // Entries may be missed while others are removed: readdir(3).
            Err(Errno::NOTEMPTY | Errno::EXIST) if again > 0 => {
                again -= 1;
                left.push(name);
            }
            removed => removed?,
        }
    }
    Ok(())
}

/// Removes the entries of a folder but for folders that are not empty.
fn remove_entries(
    folder: std::os::fd::BorrowedFd<'_>,
    mut not_empty: impl FnMut(CString) -> io::Result<()>,
) -> io::Result<()> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_folder = match entry.file_type() {
            FileType::Unknown => {
                let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
                FileType::from_raw_mode(found.st_mode) == FileType::Directory
            }
            kind => kind == FileType::Directory,
        };
        let flags = match is_folder {
            true => AtFlags::REMOVEDIR,
            false => AtFlags::empty(),
        };
        match unlinkat(folder, name, flags) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => not_empty(name.to_owned())?,
            removed => removed?,
        }
    }
    Ok(())
}

/// Removes the folders of this user's guests whose processes were killed: nobody has a lock on them.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let path = entry.path();
        let removed = open(&path).and_then(|folder| {
            let found = folder.metadata()?;
            let is_old = found.modified()?.elapsed().is_ok_and(|age| age > UNLOCKED);
            if found.uid() != geteuid().as_raw() || !is_old {
                return Ok(());
            }
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => remove(&path, &folder),
                Err(_) => Ok(()),
            }
        });
        if let Err(error) = removed {
            debug!("{}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, PrivateFolder, remove_abandoned};
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    use std::fs::{self, File};

    /// Folders in folders, more than there are descriptors or bytes in a path.
    #[test]
    fn folder_is_removed_however_deep_it_is() {
        let folder = PrivateFolder::new().unwrap();
        let path = folder.path().to_owned();
        for tree in ["1", "b"] {
            let mut at = File::open(&path).unwrap().into();
            for depth in 0..5000 {
                let name = if depth == 0 { tree } else { "2" };
                mkdirat(&at, name, Mode::RWXU).unwrap();
                let flags = OFlags::RDONLY | OFlags::DIRECTORY;
                at = openat(&at, name, flags, Mode::empty()).unwrap();
                openat(&at, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR).unwrap();
            }
        }
        fs::write(path.join("3"), "").unwrap();
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn folders_of_killed_processes_are_removed_and_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        let names = ["1", "2", "3"].map(|name| parent.path().join(format!("{PREFIX}{name}")));
        for name in &names {
            fs::create_dir_all(name.join("a/b")).unwrap();
        }
        let long_ago = std::time::SystemTime::now() - 2 * super::UNLOCKED;
        for name in &names[..2] {
            File::open(name).unwrap().set_modified(long_ago).unwrap();
        }
        fs::create_dir(parent.path().join("other")).unwrap();
        let locked = File::open(&names[0]).unwrap();
        rustix::fs::flock(&locked, rustix::fs::FlockOperation::LockExclusive).unwrap();
        remove_abandoned(parent.path());
        assert!(names[0].join("a/b").exists() && !names[1].exists() && names[2].exists());
        assert!(parent.path().join("other").exists());
    }
}
