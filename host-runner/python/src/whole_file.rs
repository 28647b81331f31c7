//! Files that are there as a whole or not at all.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open};
use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

/// Opens a file to read, if it is one: what is none may have no end, or wait.
pub(crate) fn open_file(path: &Path) -> Result<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = open(path, flags, Mode::empty()).context("cannot open it")?;
    let stat = fstat(&file)?;
    ensure!(
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
        "it is no file"
    );
    Ok((file.into(), stat))
}

/// Writes a file with these rights, at once and in place of an earlier one.
pub(crate) fn replace_file(
    path: &Path,
    mode: u32,
    write: impl FnOnce(&mut File) -> Result<()>,
) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let replace = || -> Result<()> {
        let mut file = tempfile::Builder::new()
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(folder)?;
        write(file.as_file_mut())?;
        file.as_file().sync_data()?;
        file.persist(path)?;
        Ok(File::open(folder)?.sync_all()?)
    };
    replace().with_context(|| format!("cannot write {}", path.display()))
}
