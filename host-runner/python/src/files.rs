//! The guest's files, to be sent through Unix sockets and received from them.
//!
//! wasmtime-wasi does not say which of its files a preview1 descriptor stands for, and has no call that opens a
//! descriptor for a file of the host. It does make its files public (the resource table), and preview1's calls. So the
//! file of a descriptor is found by taking the rights of files away: it is the one without which the descriptor has
//! none. And a received file replaces a placeholder that is opened for it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::mem;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use wasisocket_host::Files;
use wasmtime_wasi::filesystem::{self, Descriptor};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::p1::{WasiP1Ctx, types};
use wasmtime_wasi::{FsPerms, OpenMode, WasiView as _, runtime};
use wiggle::{GuestMemory, GuestPtr};

/// A folder and a file in it that exist on every Linux: what is opened to be replaced.
const PLACEHOLDER: (&str, &str) = ("/dev", "null");

/// The descriptors of granted folders: the first three are standard input, output and error. A guest that has moved
/// them elsewhere receives no files.
const FOLDERS: Range<u32> = 3..64;

/// The file system of a guest. For its files to be sent, its [`WasiCtxBuilder`](wasmtime_wasi::WasiCtxBuilder) needs
/// `allow_blocking_current_thread`: then none of these calls has to wait.
pub(crate) struct GuestFiles {
    pub(crate) wasi: WasiP1Ctx,
}

impl Files for GuestFiles {
    fn file(&mut self, descriptor: u32) -> Option<OwnedFd> {
        let status = self.status(descriptor)?;
        if status.fs_filetype != types::Filetype::RegularFile {
            return None;
        }
        let position = self.position(descriptor)?;
        let offset = self
            .wasi
            .fd_tell(&mut no_memory(), descriptor.into())
            .ok()?;
        let mut file = self.files().nth(position)?.file.try_clone().ok()?;
        // wasmtime-wasi keeps offsets and O_APPEND itself, and never looks at the system's.
        file.seek(SeekFrom::Start(offset)).ok()?;
        if status.fs_flags.contains(types::Fdflags::APPEND) {
            let flags = fcntl_getfl(&file).ok()?;
            fcntl_setfl(&file, flags | OFlags::APPEND).ok()?;
        }
        Some(file.into())
    }

    fn adopt(&mut self, file: OwnedFd) -> Option<u32> {
        let flags = fcntl_getfl(&file).ok()?;
        let (perms, mode) = access(flags)?;
        let mut file = File::from(file);
        let offset = i64::try_from(file.stream_position().ok()?).ok()?;
        let file = filesystem::File::new(file, perms, mode, true);
        let append = match flags.contains(OFlags::APPEND) {
            true => types::Fdflags::APPEND,
            false => types::Fdflags::empty(),
        };
        let descriptor = self.put(file, append)?;
        if self.seek(descriptor, offset).is_none() {
            self.close(descriptor);
            return None;
        }
        Some(descriptor)
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

fn no_memory() -> GuestMemory<'static> {
    GuestMemory::Unshared(&mut [])
}

/// The result of a call of preview1; `None` for an error.
fn ready<T>(call: impl Future<Output = Result<T, types::Error>>) -> Option<T> {
    runtime::poll_noop(pin!(call))?.ok()
}

impl GuestFiles {
    fn status(&mut self, descriptor: u32) -> Option<types::Fdstat> {
        ready(self.wasi.fd_fdstat_get(&mut no_memory(), descriptor.into()))
    }

    fn descriptors(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        let table = self.wasi.ctx().table;
        table.iter_mut().filter_map(|entry| entry.downcast_mut())
    }

    /// The open files, in an order that does not change while none is opened or closed.
    fn files(&mut self) -> impl Iterator<Item = &mut filesystem::File> {
        self.descriptors()
            .filter_map(|descriptor| match descriptor {
                Descriptor::File(file) => Some(file),
                Descriptor::Dir(_) => None,
            })
    }

    fn folders(&mut self) -> impl Iterator<Item = &mut filesystem::Dir> {
        self.descriptors()
            .filter_map(|descriptor| match descriptor {
                Descriptor::Dir(folder) => Some(folder),
                Descriptor::File(_) => None,
            })
    }

    /// The position of a descriptor's file among the open files, by bisection.
    fn position(&mut self, descriptor: u32) -> Option<usize> {
        let mut range = 0..self.files().count();
        while range.len() > 1 {
            let middle = range.start + range.len() / 2;
            range = match self.is_among(range.start..middle, descriptor) {
                true => range.start..middle,
                false => middle..range.end,
            };
        }
        self.is_among(range.clone(), descriptor)
            .then_some(range.start)
    }

    /// Does the descriptor lose its rights to read and write when these files do?
    fn is_among(&mut self, range: Range<usize>, descriptor: u32) -> bool {
        let saved: Vec<_> = self
            .modes(range.clone())
            .map(|mode| mem::replace(mode, OpenMode::empty()))
            .collect();
        let status = self.status(descriptor);
        for (mode, saved) in self.modes(range).zip(saved) {
            *mode = saved;
        }
        let rights = types::Rights::FD_READ | types::Rights::FD_WRITE;
        status.is_some_and(|status| !status.fs_rights_base.intersects(rights))
    }

    fn modes(&mut self, range: Range<usize>) -> impl Iterator<Item = &mut OpenMode> {
        let files = self.files().skip(range.start).take(range.len());
        files.map(|file| &mut file.open_mode)
    }

    /// Opens a new descriptor for a file.
    fn put(&mut self, file: filesystem::File, flags: types::Fdflags) -> Option<u32> {
        let folder = FOLDERS.map(types::Fd::from).find(|descriptor| {
            let prestat = self.wasi.fd_prestat_get(&mut no_memory(), *descriptor);
            prestat.is_ok()
        })?;
        let before: HashSet<_> = self.files().map(|file| Arc::as_ptr(&file.file)).collect();

        // For one call, all of the guest's folders are the placeholder's.
        let (parent, name) = PLACEHOLDER;
        let parent = Arc::new(File::open(parent).ok()?);
        let saved: Vec<_> = self
            .folders()
            .map(|folder| mem::replace(&mut folder.dir, Arc::clone(&parent)))
            .collect();
        let mut path = name.as_bytes().to_vec();
        let length = path.len() as u32;
        self.wasi.set_hostcall_fuel(path.len());
        let opened = ready(self.wasi.path_open(
            &mut GuestMemory::Unshared(&mut path),
            folder,
            types::Lookupflags::empty(),
            GuestPtr::new((0, length)),
            types::Oflags::empty(),
            types::Rights::FD_READ,
            types::Rights::empty(),
            flags,
        ));
        for (folder, saved) in self.folders().zip(saved) {
            folder.dir = saved;
        }

        let descriptor = opened?.into();
        let mut files = self.files();
        let Some(placeholder) = files.find(|file| !before.contains(&Arc::as_ptr(&file.file)))
        else {
            drop(files);
            self.close(descriptor);
            return None;
        };
        *placeholder = file;
        Some(descriptor)
    }

    fn seek(&mut self, descriptor: u32, offset: i64) -> Option<u64> {
        let whence = types::Whence::Set;
        ready(
            self.wasi
                .fd_seek(&mut no_memory(), descriptor.into(), offset, whence),
        )
    }

    fn close(&mut self, descriptor: u32) {
        // The guest does not know of it yet.
        let _ = ready(self.wasi.fd_close(&mut no_memory(), descriptor.into()));
    }
}
