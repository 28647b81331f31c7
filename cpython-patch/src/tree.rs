//! Operations on whole folders: list, copy, remove, measure.

use std::fs::{self, File, FileTimes};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The files and symbolic links below `root` in sorted order, as relative paths. Folders for which `keep`
/// is false are skipped.
pub(crate) fn files(root: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        let entries =
            fs::read_dir(&path).with_context(|| format!("cannot list {}", path.display()))?;
        for entry in entries {
            let entry = entry?;
            let relative = folder.join(entry.file_name());
            if !keep(&relative) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(relative);
            } else {
                found.push(relative);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// A file's bytes, or a symbolic link's target.
pub(crate) fn content(path: &Path) -> Result<Vec<u8>> {
    let read = || {
        Ok::<_, io::Error>(if path.symlink_metadata()?.is_symlink() {
            fs::read_link(path)?.into_os_string().into_encoded_bytes()
        } else {
            fs::read(path)?
        })
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// Copies the files for which `keep` is true. Modes and times are preserved: make compares times, and
/// CPython's release archive depends on the order of the times of generated files.
pub(crate) fn copy(from: &Path, to: &Path, keep: &dyn Fn(&Path) -> bool) -> Result<()> {
    for relative in files(from, keep)? {
        let (source, target) = (from.join(&relative), to.join(&relative));
        copy_file(&source, &target)?;
    }
    Ok(())
}

/// Makes every folder of `from` in `to` too: [`copy`] makes only those that contain files.
pub(crate) fn copy_folders(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
    let list = || format!("cannot list {}", from.display());
    for entry in fs::read_dir(from).with_context(list)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_folders(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Copies one file or symbolic link with its mode and times, and makes its folder if it is missing.
pub(crate) fn copy_file(source: &Path, target: &Path) -> Result<()> {
    let copy = || {
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        let metadata = source.symlink_metadata()?;
        if metadata.is_symlink() {
            return std::os::unix::fs::symlink(fs::read_link(source)?, target);
        }
        fs::copy(source, target)?;
        let times = FileTimes::new().set_modified(metadata.modified()?);
        // The owner can set times through a descriptor for reading, also of a read-only file.
        File::open(target)?.set_times(times)
    };
    copy().with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))
}

/// Writes an empty file that marks something as done.
pub(crate) fn stamp(path: &Path) -> Result<()> {
    fs::write(path, "").with_context(|| format!("cannot write {}", path.display()))
}

/// Removes a file, link or folder, if it exists.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let result = match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The bytes of the files below `path`, or of the file `path`.
pub(crate) fn size(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}
