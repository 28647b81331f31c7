//! The guest's files, which it sends through Unix sockets and receives from them.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use wasisocket_host::Files;
use wasmtime_wasi::filesystem::{self, Descriptor};
use wasmtime_wasi::p1::types;
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::{FsPerms, OpenMode};

use crate::preview1::{Preview1, no_memory, wait};

/// No call in here may wait, and preview1's do where files are not read on the guest's own thread: such guests cannot send
/// files through Unix sockets.
impl Files for Preview1 {
    fn file(&mut self, number: u32) -> Option<OwnedFd> {
        if !self.may_block() {
            return None;
        }
        let Descriptor::File(file) = self.descriptor(number)? else {
            return None;
        };
        let mut file = file.file.try_clone().ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let wasi = self.wasi();
        let offset = wasi.fd_tell(&mut no_memory(), number.into()).ok()?;
        let status = wait(wasi.fd_fdstat_get(&mut no_memory(), number.into())).ok()?;
        // wasmtime-wasi keeps offsets and O_APPEND itself, and never looks at the system's.
        file.seek(SeekFrom::Start(offset)).ok()?;
        if status.fs_flags.contains(types::Fdflags::APPEND) {
            let flags = fcntl_getfl(&file).ok()?;
            fcntl_setfl(&file, flags | OFlags::APPEND).ok()?;
        }
        Some(file.into())
    }

    fn descriptor(&mut self, number: u32) -> Option<OwnedFd> {
        match self.descriptor(number)? {
            Descriptor::File(file) => Some(file.file.try_clone().ok()?.into()),
            Descriptor::Dir(folder) => Some(folder.dir.try_clone().ok()?.into()),
        }
    }

    fn adopt(&mut self, file: OwnedFd) -> Option<u32> {
        if !self.may_block() {
            return None;
        }
        self.room_for_file().ok()?;
        let flags = fcntl_getfl(&file).ok()?;
        let (perms, mode) = access(flags)?;
        let mut file = File::from(file);
        let offset = i64::try_from(file.stream_position().ok()?).ok()?;
        let file = Descriptor::File(filesystem::File::new(file, perms, mode, true));
        let append = match flags.contains(OFlags::APPEND) {
            true => types::Fdflags::APPEND,
            false => types::Fdflags::empty(),
        };
        let folder = self.any_directory()?;
        let number = wait(self.put(folder, file, append)).ok()?;
        let (mut memory, whence) = (no_memory(), types::Whence::Set);
        let wasi = self.wasi();
        let seek = wasi.fd_seek(&mut memory, number.into(), offset, whence);
        if wait(seek).is_err() {
            wait(self.close(number));
            return None;
        }
        Some(number)
    }
}

/// The guest may do with a file what its sender could.
fn access(flags: OFlags) -> Option<(FsPerms, OpenMode)> {
    let both = OpenMode::READ | OpenMode::WRITE;
    match flags & OFlags::RWMODE {
        OFlags::RDONLY => Some((FsPerms::ReadOnly, OpenMode::READ)),
        OFlags::WRONLY => Some((FsPerms::ReadWrite, OpenMode::WRITE)),
        OFlags::RDWR => Some((FsPerms::ReadWrite, both)),
        _ => None,
    }
}
