//! The private folder of a sandbox: made with it, and removed with it.

use std::ffi::CString;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use cap_primitives::fs as sandbox;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, flock, mkdirat, openat, readlinkat,
    renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use tracing::debug;

/// What the names of these folders begin with. Each is locked (flock(2)) as long as its sandbox exists.
const PREFIX: &str = "wasisocket-sandbox-";

/// How long a folder without a lock stays: a process may be about to lock it.
const UNLOCKED: Duration = Duration::from_secs(60);

/// The files in a sandbox's private folder, which is the guest's `/`. Paths are the guest's, and relative ones begin at `/`.
///
/// What the host reads and writes here is not limited, and does not count as the guest's. The guest may do what it likes
/// with these files at any time: links in them lead to nothing outside of the folder. Clones share the folder, which is removed
/// when the sandbox and all clones are gone.
#[derive(Clone)]
pub struct Files(Arc<PrivateFolder>);

struct PrivateFolder {
    path: PathBuf,
    folder: File,
}

impl Files {
    /// A new folder, in the system's folder for temporary files, which only this user can look into.
    pub(super) fn new() -> io::Result<Self> {
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
        let files = Self(Arc::new(PrivateFolder { path, folder }));
        // For tempfile.
        fs::create_dir(files.path().join("tmp"))?;
        Ok(files)
    }

    /// A new folder with copies of all that is in this one, but for Unix sockets.
    pub(super) fn copy(&self) -> io::Result<Self> {
        let copy = Self::new()?;
        copy_content(&self.0.folder, &copy.0.folder)?;
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0.path
    }

    /// The content of a file.
    ///
    /// # Errors
    /// There is no such file, or it is a folder.
    pub fn read(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        // What is no file must not be waited for.
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32);
        let mut file = self.open(path.as_ref(), &options)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        Ok(content)
    }

    /// Writes a file, in the place of one that is there, and makes the folders that lead to it.
    ///
    /// # Errors
    /// What is there is a folder, or there is no room on the disk.
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> io::Result<()> {
        let path = path.as_ref();
        for folder in relative(path)?
            .ancestors()
            .skip(1)
            .collect::<Vec<_>>()
            .iter()
            .rev()
        {
            if folder.as_os_str().is_empty() {
                continue;
            }
            match sandbox::create_dir(&self.0.folder, folder, &sandbox::DirOptions::new()) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        options.custom_flags(OFlags::NONBLOCK.bits() as i32);
        self.open(path, &options)?.write_all(content.as_ref())
    }

    /// The names in a folder, sorted. Those of folders end in `/`. What is not UTF-8 in them is replaced.
    ///
    /// # Errors
    /// There is no such folder.
    pub fn list(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        let path = relative(path.as_ref())?;
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &path
        };
        let entries = sandbox::read_dir(&self.0.folder, path)?;
        let names = entries.map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok(match entry.file_type()?.is_dir() {
                true => name + "/",
                false => name,
            })
        });
        let mut names = names.collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(names)
    }

    /// Removes a file, or a folder with all that is in it.
    ///
    /// # Errors
    /// There is no such file.
    pub fn remove(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = relative(path.as_ref())?;
        let folder = &self.0.folder;
        let found = sandbox::stat(folder, &path, FollowSymlinks::No)?;
        if !found.is_dir() {
            return sandbox::remove_file(folder, &path);
        }
        let inner = sandbox::open(folder, &path, OpenOptions::new().read(true))?;
        remove_content(&inner)?;
        sandbox::remove_dir(folder, &path)
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        let file = sandbox::open(&self.0.folder, &relative(path)?, options)?;
        match file.metadata()?.is_dir() {
            true => Err(Errno::ISDIR.into()),
            false => Ok(file),
        }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.0.path).finish()
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path, &self.folder) {
            debug!("{}: {error}", self.path.display());
        }
    }
}

/// A path of the guest, from its `/`.
fn relative(path: &Path) -> io::Result<PathBuf> {
    let path: PathBuf = path
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
        .collect();
    match path.as_os_str().as_bytes().contains(&0) {
        true => Err(Errno::INVAL.into()),
        false => Ok(path),
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

/// Copies what is in a folder into another one, where folders may be already.
fn copy_content(from: &File, to: &File) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut folders = vec![(from.try_clone()?, to.try_clone()?)];
    while let Some((from, to)) = folders.pop() {
        for entry in Dir::read_from(&from)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = statat(&from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            match FileType::from_raw_mode(found.st_mode) {
                FileType::Directory => {
                    match mkdirat(&to, name, Mode::RWXU) {
                        Err(Errno::EXIST) => {}
                        made => made?,
                    }
                    let open =
                        |at: &File| openat(at, name, flags | OFlags::DIRECTORY, Mode::empty());
                    folders.push((open(&from)?.into(), open(&to)?.into()));
                }
                FileType::Symlink => {
                    let target = readlinkat(&from, name, Vec::new())?;
                    symlinkat(&*target, &to, name)?;
                }
                FileType::RegularFile => {
                    let mut source = File::from(openat(&from, name, flags, Mode::empty())?);
                    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                    let mode = Mode::RUSR | Mode::WUSR;
                    let mut target = File::from(openat(&to, name, create, mode)?);
                    io::copy(&mut source, &mut target)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Removes what is in a folder, however deep it is: inner folders are moved out of each other. Nobody else must use it.
fn remove_content(folder: &File) -> io::Result<()> {
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

/// Removes the folders of this user's sandboxes whose processes were killed: nobody has a lock on them.
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
    use super::{Errno, File, Files, PREFIX, fs, remove_abandoned};
    use rustix::fs::{Mode, OFlags, mkdirat, openat};
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    #[test]
    fn files_are_written_read_listed_and_removed() {
        let files = Files::new().unwrap();
        files.write("/a/b/c.txt", "text").unwrap();
        files.write("d", b"\xff").unwrap();
        files.write("./d", b"\xfe").unwrap();
        assert_eq!(files.read("a/b/c.txt").unwrap(), b"text");
        assert_eq!(files.read("/d").unwrap(), b"\xfe");
        assert_eq!(files.list("/").unwrap(), ["a/", "d", "tmp/"]);
        assert_eq!(files.list("a").unwrap(), ["b/"]);
        for path in ["x", "a/x", "d/x"] {
            assert!(files.read(path).is_err());
        }
        assert_eq!(files.read("a").unwrap_err().kind(), ErrorKind::IsADirectory);
        assert!(files.write("a", "").is_err());
        assert!(files.write("d/x", "").is_err());
        files.remove("a").unwrap();
        files.remove("d").unwrap();
        assert_eq!(files.list("").unwrap(), ["tmp/"]);
        assert_eq!(files.remove("a").unwrap_err().kind(), ErrorKind::NotFound);
        let path = files.path().to_owned();
        drop(files);
        assert!(!path.exists());
    }

    #[test]
    fn no_path_and_no_link_leads_out_of_the_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        let files = Files::new().unwrap();
        symlink(outside.path(), files.path().join("absolute")).unwrap();
        symlink("..", files.path().join("up")).unwrap();
        symlink(outside.path().join("secret"), files.path().join("link")).unwrap();
        let name = outside.path().file_name().unwrap().to_str().unwrap();
        for path in [
            "absolute/secret".into(),
            "link".into(),
            format!("../{name}/secret"),
            format!("up/{name}/secret"),
            format!("/tmp/../../{name}/secret"),
        ] {
            assert!(files.read(&path).is_err(), "{path}");
            assert!(files.write(&path, "y").is_err(), "{path}");
            assert!(files.write(format!("{path}/new"), "y").is_err(), "{path}");
        }
        for path in ["absolute", "up"] {
            assert!(files.list(path).is_err());
            files.remove(path).unwrap();
        }
        assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"x");
        drop(files);
        assert!(outside.path().join("secret").exists());
    }

    /// Folders in folders, more than there are descriptors or bytes in a path.
    #[test]
    fn folder_is_removed_however_deep_it_is() {
        let files = Files::new().unwrap();
        let path = files.path().to_owned();
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
        files.write("3", "").unwrap();
        files.remove("b").unwrap();
        assert_eq!(files.list("").unwrap(), ["1/", "3", "tmp/"]);
        drop(files);
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
        assert_eq!(Errno::ISDIR.kind(), ErrorKind::IsADirectory);
    }
}
