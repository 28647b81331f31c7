//! The files in the private folder of a sandbox.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use cap_primitives::fs as sandbox;
use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt as _};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, mkdirat, openat, readlinkat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::private_folder::{PrivateFolder, remove_content};

/// The files in a sandbox's private folder, which is the guest's `/`. Paths are the guest's, and relative ones begin at `/`.
///
/// What the host reads and writes here is not limited, and does not count as the guest's. The guest may do what it likes
/// with these files at any time: links in them lead to nothing outside of the folder. Clones share the folder, which is removed
/// when the sandbox and all clones are gone.
#[derive(Clone)]
pub struct Files(Arc<PrivateFolder>);

impl Files {
    /// A new folder, in the system's folder for temporary files, which only this user can look into.
    pub(super) fn new() -> io::Result<Self> {
        let files = Self(Arc::new(PrivateFolder::new()?));
        // For tempfile.
        fs::create_dir_all(files.path().join("tmp/home"))?;
        Ok(files)
    }

    /// A new folder with copies of all that is in this one, but for Unix sockets.
    pub(super) fn copy(&self) -> io::Result<Self> {
        let copy = Self::new()?;
        copy_content(self.0.folder(), copy.0.folder())?;
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
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
            match sandbox::create_dir(self.0.folder(), folder, &sandbox::DirOptions::new()) {
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
        let entries = sandbox::read_dir(self.0.folder(), path)?;
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
        let folder = self.0.folder();
        let found = sandbox::stat(folder, &path, FollowSymlinks::No)?;
        if !found.is_dir() {
            return sandbox::remove_file(folder, &path);
        }
        let inner = sandbox::open(folder, &path, OpenOptions::new().read(true))?;
        remove_content(&inner)?;
        sandbox::remove_dir(folder, &path)
    }

    fn open(&self, path: &Path, options: &OpenOptions) -> io::Result<File> {
        let file = sandbox::open(self.0.folder(), &relative(path)?, options)?;
        match file.metadata()?.is_dir() {
            true => Err(Errno::ISDIR.into()),
            false => Ok(file),
        }
    }
}

impl fmt::Debug for Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Files").field(&self.0.path()).finish()
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

#[cfg(test)]
mod tests {
    use super::{Files, fs};
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
}
