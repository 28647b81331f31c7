//! Maps a compiled module into memory.

#![allow(unsafe_code)]

use std::fs::File;

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
