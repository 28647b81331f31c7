//! The guest's files, to be sent through Unix sockets and received from them.
//!
//! wasmtime-wasi keeps it to itself which of its files a preview1 number stands for, and has no call for a
//! file that nobody opened. It does give out its files (the resource table), and preview1 as a host calls it.
//! So a number's file is the one without which the number's rights are others, and a file is put under a
//! number in the place of one that is opened for that.

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

/// A folder and a file in it that are there on every Linux: what is opened to be replaced.
const PLACEHOLDER: (&str, &str) = ("/dev", "null");

/// Where granted folders are: the first three are standard input, output and error. A guest that has moved
/// them elsewhere receives no files.
const FOLDERS: Range<u32> = 3..64;

/// The file system of a guest whose [`WasiCtxBuilder`](wasmtime_wasi::WasiCtxBuilder) was told
/// `allow_blocking_current_thread`: then nothing in here has to wait.
pub(crate) struct GuestFiles {
    pub(crate) wasi: WasiP1Ctx,
}

impl Files for GuestFiles {
    fn file(&mut self, number: u32) -> Option<OwnedFd> {
        let status = self.status(number)?;
        if status.fs_filetype != types::Filetype::RegularFile {
            return None;
        }
        let place = self.place_of(number)?;
        let offset = self.wasi.fd_tell(&mut no_memory(), number.into()).ok()?;
        let mut file = self.files().nth(place)?.file.try_clone().ok()?;
        // wasmtime-wasi has offsets and O_APPEND of its own, and never looks at the system's.
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
        let number = self.put(file, append)?;
        if self.seek(number, offset).is_none() {
            self.close(number);
            return None;
        }
        Some(number)
    }
}

/// What the guest may do with a file is what its sender could.
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

/// What a call of preview1 answers; `None` for an error.
fn ready<T>(call: impl Future<Output = Result<T, types::Error>>) -> Option<T> {
    runtime::poll_noop(pin!(call))?.ok()
}

impl GuestFiles {
    fn status(&mut self, number: u32) -> Option<types::Fdstat> {
        ready(self.wasi.fd_fdstat_get(&mut no_memory(), number.into()))
    }

    fn descriptors(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        let table = self.wasi.ctx().table;
        table.iter_mut().filter_map(|entry| entry.downcast_mut())
    }

    /// The open files, in an order that stays as long as none is opened or closed.
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

    /// Where among the open files the one of this number is.
    fn place_of(&mut self, number: u32) -> Option<usize> {
        let mut places = 0..self.files().count();
        while places.len() > 1 {
            let middle = places.start + places.len() / 2;
            places = match self.is_among(places.start..middle, number) {
                true => places.start..middle,
                false => middle..places.end,
            };
        }
        self.is_among(places.clone(), number)
            .then_some(places.start)
    }

    /// Does the number lose its rights to read and write when these files do?
    fn is_among(&mut self, places: Range<usize>, number: u32) -> bool {
        let own: Vec<_> = self
            .modes(places.clone())
            .map(|mode| mem::replace(mode, OpenMode::empty()))
            .collect();
        let status = self.status(number);
        for (mode, own) in self.modes(places).zip(own) {
            *mode = own;
        }
        let rights = types::Rights::FD_READ | types::Rights::FD_WRITE;
        status.is_some_and(|status| !status.fs_rights_base.intersects(rights))
    }

    fn modes(&mut self, places: Range<usize>) -> impl Iterator<Item = &mut OpenMode> {
        let files = self.files().skip(places.start).take(places.len());
        files.map(|file| &mut file.open_mode)
    }

    /// Puts a file under a new number.
    fn put(&mut self, file: filesystem::File, flags: types::Fdflags) -> Option<u32> {
        let folder = FOLDERS.map(types::Fd::from).find(|number| {
            let prestat = self.wasi.fd_prestat_get(&mut no_memory(), *number);
            prestat.is_ok()
        })?;
        let before: HashSet<_> = self.files().map(|file| Arc::as_ptr(&file.file)).collect();

        // For one call, all of the guest's folders are another.
        let (place, name) = PLACEHOLDER;
        let place = Arc::new(File::open(place).ok()?);
        let folders: Vec<_> = self
            .folders()
            .map(|folder| mem::replace(&mut folder.dir, Arc::clone(&place)))
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
        for (folder, own) in self.folders().zip(folders) {
            folder.dir = own;
        }

        let number = opened?.into();
        let mut files = self.files();
        let Some(placeholder) = files.find(|file| !before.contains(&Arc::as_ptr(&file.file)))
        else {
            drop(files);
            self.close(number);
            return None;
        };
        *placeholder = file;
        Some(number)
    }

    fn seek(&mut self, number: u32, offset: i64) -> Option<u64> {
        let whence = types::Whence::Set;
        ready(
            self.wasi
                .fd_seek(&mut no_memory(), number.into(), offset, whence),
        )
    }

    fn close(&mut self, number: u32) {
        // It was open until now, and the guest was not told of it.
        let _ = ready(self.wasi.fd_close(&mut no_memory(), number.into()));
    }
}
