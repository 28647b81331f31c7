//! Maps a compiled module into memory.

#![allow(unsafe_code)]

use std::fs::File;

use rustix::fs::{FileType, fstat};
use rustix::process::geteuid;
use wasmtime::{Engine, Module, Result};

/// Loads a module that [`crate::compiled`] added to a trusted folder. Its pages are read when they are used, and all
/// processes share them.
///
/// # Errors
/// Another version of wasmtime made it, or one with other settings.
pub(crate) fn load(engine: &Engine, file: File) -> Result<Module> {
    // SAFETY: the file has to be what `Module::serialize` returned, of any version of wasmtime, and must not change
    // while the module exists. `TrustedFolder::get` opened it:
    // - It is a regular file of this user, with mode 600, in a folder of this user with mode 700, which was found by no
    //   symbolic link; all of that was looked up on the open descriptors. So only programs of this user, or of root, can
    //   have written it or can write it now; they could as well change this program.
    // - Its device, inode, size, mtime and ctime are those of its stamp, or its SHA-256 is. So it is whole, and it is
    //   what `TrustedFolder::add` was given: only `compiled` adds files of this kind, with the result of `serialize`.
    // - This program never writes to a file that was added: it adds another one and renames it.
    unsafe { Module::deserialize_open_file(engine, file) }
}

/// The same of a module that was compiled in advance and lies beside its python.wasm. `None` if anybody could have written
/// the file.
pub(crate) fn load_shipped(engine: &Engine, file: File) -> Option<Result<Module>> {
    let stat = fstat(&file).ok()?;
    let is_trusted = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && [0, geteuid().as_raw()].contains(&stat.st_uid)
        && stat.st_mode & 0o002 == 0;
    // SAFETY: the file has to be what `Module::serialize` returned, of any version of wasmtime, and must not change
    // while the module exists. Its name has the hash of the python.wasm beside it, and it came with that and with this
    // program, as `PythonBuilder::precompile` wrote it: its code is trusted as this program's own is. It belongs to
    // this user or to root, who could as well change this program, and was just seen not to be writable by everybody.
    // Programs that install such files replace them and do not write to them.
    is_trusted.then(|| unsafe { Module::deserialize_open_file(engine, file) })
}
