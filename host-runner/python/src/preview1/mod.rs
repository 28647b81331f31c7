//! The functions of preview1 in which wasmtime-wasi differs from Linux, over wasmtime-wasi's own descriptors.
//!
//! | import | difference |
//! |---|---|
//! | `fd_readdir` | wasmtime-wasi reads, sorts and stats the whole directory at each call, and fails at a name that is not UTF-8 |
//! | `path_*` | it takes paths only if they are UTF-8; all others are resolved here, by the same sandbox ([`cap_primitives`]) |
//! | `path_symlink` | it refuses an absolute target, which is text as any other: nothing follows it here |
//! | `path_readlink` | it fails for a link whose target is absolute or not UTF-8 |
//! | `fd_close`, `fd_renumber`, `path_open` | passed on; here they say which descriptor a number stands for |
//! | all that make or remove files, or change their size | passed on; the limit `max-disk` is asked before ([`disk`]) |
//! | `path_open` | the limit `max-files` is asked before; a FIFO is ENOTSUP, because to open one may wait, and a Unix socket ENXIO |
//! | `fd_filestat_get` | of a standard stream it knows nothing |
//! | `fd_sync`, `fd_datasync` | it has none of directories |
//!
//! All other imports, and every path that is UTF-8, are wasmtime-wasi's.

mod descriptors;
mod disk;
mod listing;
mod paths;

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::pin;

use wasisocket_host::{CountLimit, DiskQuota};
use wasmtime::{AsContextMut as _, Caller, Extern, Linker, Result, bail};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as upstream, WasiSnapshotPreview1 as _};
use wasmtime_wasi::p1::{WasiP1Ctx, types};
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::runtime;
use wiggle::{GuestMemory, GuestPtr};

pub(crate) use descriptors::no_memory;
use disk::Disk;
use listing::Listings;

const MODULE: &str = "wasi_snapshot_preview1";

/// Bytes that a path needs at least to be ENAMETOOLONG: Linux's PATH_MAX, which counts a NUL that preview1 does not
/// pass. It bounds what a call copies, for wasmtime-wasi's functions too.
const PATH_MAX: u32 = 4096;

/// A guest's preview1: wasmtime-wasi's, and what the functions of this module add.
pub(crate) struct Preview1 {
    wasi: WasiP1Ctx,
    /// The entry of the resource table that each number of a file or directory stands for.
    entries: HashMap<u32, u32>,
    listings: Listings,
    may_block: bool,
    opened: Option<OpenedFiles>,
    disk: Option<Disk>,
    /// The limit of open files, and how many are granted beside it.
    files: Option<(CountLimit, usize)>,
    /// What is behind standard input, output and error, as far as they are this process's.
    standard_streams: StandardStreams,
}

/// By number: 0 is standard input.
pub(crate) type StandardStreams = [Option<OwnedFd>; 3];

/// Receives the guest's path of each file that it opens.
pub(crate) type OpenedFiles = Box<dyn Fn(PathBuf) + Send>;

impl Preview1 {
    /// Whether files are read on the guest's own thread.
    pub(crate) fn may_block(&self) -> bool {
        self.may_block
    }

    /// `may_block` says what the builder was told by `allow_blocking_current_thread`: whether files are read on the
    /// guest's own thread. A guest in a synchronous store wants it.
    ///
    /// The context must be new: no call of preview1 was made with it.
    pub(crate) fn new(wasi: WasiP1Ctx, may_block: bool) -> Self {
        let mut preview1 = Self {
            wasi,
            entries: HashMap::new(),
            listings: Listings::default(),
            may_block,
            opened: None,
            disk: None,
            files: None,
            standard_streams: StandardStreams::default(),
        };
        preview1.find_granted();
        preview1
    }

    /// wasmtime-wasi's own part, for `wasmtime_wasi::p1::add_to_linker_sync` and its like.
    pub(crate) fn wasi(&mut self) -> &mut WasiP1Ctx {
        &mut self.wasi
    }

    /// Sets what is behind its standard streams.
    pub(crate) fn set_standard_streams(&mut self, streams: StandardStreams) {
        self.standard_streams = streams;
    }

    /// Limits what its files grow by from now on.
    pub(crate) fn limit_disk(&mut self, quota: DiskQuota) {
        self.disk = Some(Disk::new(quota));
    }

    /// Limits how many files it has open beside those that it was given.
    pub(crate) fn limit_files(&mut self, limit: CountLimit) {
        self.files = Some((limit, self.entries.len()));
    }

    /// EMFILE if one more file is too many.
    pub(crate) fn room_for_file(&self) -> Result<(), types::Errno> {
        match &self.files {
            Some((limit, granted))
                if !limit.allows(self.entries.len().saturating_sub(*granted)) =>
            {
                Err(types::Errno::Mfile)
            }
            _ => Ok(()),
        }
    }

    /// Sets what receives the files that are opened from now on.
    pub(crate) fn on_opened(&mut self, opened: OpenedFiles) {
        self.opened = Some(opened);
    }

    /// How many files and folders are open.
    pub(crate) fn open_files(&self) -> usize {
        self.entries.len()
    }

    /// Does something in a directory.
    async fn in_directory<R: Send + 'static>(
        &mut self,
        number: i32,
        work: impl FnOnce(&Dir) -> Result<R, Failure> + Send + 'static,
    ) -> Result<R, Failure> {
        let folder = self.directory(number as u32)?;
        blocking(self.may_block, move || work(&folder)).await
    }
}

/// Runs what may wait for a disk, on a thread where that is allowed.
async fn blocking<R: Send + 'static>(
    may_block: bool,
    work: impl FnOnce() -> R + Send + 'static,
) -> R {
    match may_block {
        true => work(),
        false => runtime::spawn_blocking(work).await,
    }
}

/// Why a call fails: an error number, or a trap.
type Failure = types::Error;

/// The error number of an error of the host's system: as wasmtime-wasi translates it.
fn failure(error: io::Error) -> Failure {
    ErrorCode::from(error).into()
}

/// What a call answers: 0 or an error number.
pub(crate) fn errno(done: Result<(), Failure>) -> Result<i32> {
    match done.map_err(|failure| failure.downcast()) {
        Ok(()) => Ok(0),
        Err(Ok(errno)) => Ok(errno as i32),
        Err(Err(trap)) => Err(trap),
    }
}

fn is_too_long(paths: &[i32]) -> bool {
    paths.iter().any(|length| *length as u32 >= PATH_MAX)
}

fn bytes_at(place: i32, length: i32) -> GuestPtr<[u8]> {
    GuestPtr::new((place as u32, length as u32))
}

/// The paths of a call if one of them is not UTF-8; `None` is wasmtime-wasi's to read.
fn raw_paths<const N: usize>(
    memory: &GuestMemory<'_>,
    places: [(i32, i32); N],
) -> Option<[PathBuf; N]> {
    let paths = places.map(|(place, length)| memory.as_cow(bytes_at(place, length)).ok());
    let are_there = paths.iter().all(Option::is_some);
    let mut readable = paths.iter().flatten();
    let is_raw = are_there && readable.any(|path| str::from_utf8(path).is_err());
    is_raw.then(|| paths.map(|path| paths::from_bytes(&path.unwrap_or_default())))
}

/// A link's target and its path, if the target is absolute: wasmtime-wasi refuses it.
fn absolute_link(
    memory: &GuestMemory<'_>,
    target: (i32, i32),
    path: (i32, i32),
) -> Option<[PathBuf; 2]> {
    if is_too_long(&[target.1, path.1]) {
        return None;
    }
    let read = |(place, length)| memory.as_cow(bytes_at(place, length)).ok();
    let target = read(target).filter(|target| target.starts_with(b"/"))?;
    Some([paths::from_bytes(&target), paths::from_bytes(&read(path)?)])
}

impl Preview1 {
    async fn fd_readdir(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: i32,
        buffer: i32,
        size: i32,
        cookie: i64,
        used: i32,
    ) -> Result<i32> {
        let listed = self.list(memory, number as u32, bytes_at(buffer, size), cookie as u64);
        let length = listed.await;
        errno(length.and_then(|length| Ok(memory.write(GuestPtr::new(used as u32), length)?)))
    }

    async fn fd_close(&mut self, memory: &mut GuestMemory<'_>, number: i32) -> Result<i32> {
        let removed = self.removed_by_close(number as u32);
        let error = upstream::fd_close(&mut self.wasi, memory, number).await?;
        if error == 0 {
            self.forget(number as u32);
            self.gone(removed);
        }
        Ok(error)
    }

    async fn fd_filestat_get(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: i32,
        stat: i32,
    ) -> Result<i32> {
        let error = upstream::fd_filestat_get(&mut self.wasi, memory, number, stat).await?;
        let is_file = self.entries.contains_key(&(number as u32));
        match self.standard_streams.get(number as u32 as usize) {
            Some(stream) if error == 0 && !is_file => {
                let answer = paths::stat_of_stream(stream.as_ref());
                errno(
                    answer.and_then(|answer| Ok(memory.write(GuestPtr::new(stat as u32), answer)?)),
                )
            }
            _ => Ok(error),
        }
    }

    async fn fd_sync(&mut self, memory: &mut GuestMemory<'_>, number: i32) -> Result<i32> {
        match self.directory(number as u32) {
            Ok(_) => errno(self.in_directory(number, paths::sync).await),
            Err(_) => upstream::fd_sync(&mut self.wasi, memory, number).await,
        }
    }

    async fn fd_datasync(&mut self, memory: &mut GuestMemory<'_>, number: i32) -> Result<i32> {
        match self.directory(number as u32) {
            Ok(_) => errno(self.in_directory(number, paths::sync).await),
            Err(_) => upstream::fd_datasync(&mut self.wasi, memory, number).await,
        }
    }

    async fn fd_renumber(
        &mut self,
        memory: &mut GuestMemory<'_>,
        from: i32,
        to: i32,
    ) -> Result<i32> {
        let removed = self.removed_by_close(to as u32).filter(|_| from != to);
        let error = upstream::fd_renumber(&mut self.wasi, memory, from, to).await?;
        if error == 0 && from != to {
            self.renumber(from as u32, to as u32);
            self.gone(removed);
        }
        Ok(error)
    }

    #[expect(clippy::too_many_arguments, reason = "as preview1 has them")]
    async fn path_open_unlimited(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        lookup: i32,
        path: i32,
        length: i32,
        open: i32,
        rights: i64,
        inheriting: i64,
        flags: i32,
        opened: i32,
    ) -> Result<i32> {
        let Some([name]) = raw_paths(memory, [(path, length)]) else {
            if let Ok(name) = memory.as_cow(bytes_at(path, length)) {
                let name = paths::from_bytes(&name);
                let check = move |folder: &Dir| Ok(paths::check_kind(folder, &name, lookup));
                // What is no folder is wasmtime-wasi's to refuse.
                if let Ok(refused @ Err(_)) = self.in_directory(folder, check).await {
                    return errno(refused);
                }
            }
            let entry = self.next_entry();
            let wasi = &mut self.wasi;
            let error = upstream::path_open(
                wasi, memory, folder, lookup, path, length, open, rights, inheriting, flags, opened,
            );
            let error = error.await?;
            if error == 0 {
                let number = memory.read(GuestPtr::new(opened as u32))?;
                self.remember(number, entry);
                let is_folder = open & i32::from(types::Oflags::DIRECTORY.bits()) != 0;
                // Only a guest that becomes an image is watched: others need no copy of the name.
                if self.opened.is_some()
                    && !is_folder
                    && let Ok(name) = memory.as_cow(bytes_at(path, length))
                {
                    self.report_opened(folder as u32, &paths::from_bytes(&name));
                }
            }
            return Ok(error);
        };
        self.report_opened(folder as u32, &name);
        let flags = paths::OpenFlags::new(lookup, open, rights, flags);
        let number = self.open(folder as u32, name, flags).await;
        errno(number.and_then(|number| Ok(memory.write(GuestPtr::new(opened as u32), number)?)))
    }

    #[expect(clippy::too_many_arguments, reason = "as preview1 has them")]
    async fn path_readlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        path: i32,
        length: i32,
        buffer: i32,
        size: i32,
        used: i32,
    ) -> Result<i32> {
        // Always: the target may not be UTF-8, and wasmtime-wasi refuses absolute ones.
        let Ok(name) = memory.as_cow(bytes_at(path, length)) else {
            let wasi = &mut self.wasi;
            return upstream::path_readlink(wasi, memory, folder, path, length, buffer, size, used)
                .await;
        };
        let name = paths::from_bytes(&name);
        let target = self.in_directory(folder, move |folder| paths::read_link(folder, &name));
        errno(target.await.and_then(|mut target| {
            target.truncate(size as u32 as usize);
            let length = target.len() as u32;
            memory.copy_from_slice(&target, bytes_at(buffer, length as i32))?;
            Ok(memory.write(GuestPtr::new(used as u32), length)?)
        }))
    }
}

/// The guest's memory, and the data of its store, for one call.
pub(crate) fn enter<'a, T: 'static>(
    caller: &'a mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut Preview1,
) -> Result<(GuestMemory<'a>, &'a mut T)> {
    let fuel = caller.as_context_mut().hostcall_fuel();
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        bail!("the guest exports no memory");
    };
    let (memory, data) = memory.data_and_store_mut(caller);
    // A limit of wasmtime's for what one call copies.
    get(data).wasi.set_hostcall_fuel(fuel);
    Ok((GuestMemory::Unshared(memory), data))
}

/// Waits for a call of a guest that has the thread for itself, or for a call into it.
pub(crate) fn wait<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    // Where blocking is allowed, nothing is left to wait for.
    match runtime::poll_noop(call.as_mut()) {
        Some(done) => done,
        None => runtime::in_tokio(call),
    }
}

/// wasmtime-wasi's functions, and those of `paths` for paths that are not UTF-8, without limits.
enum Unlimited {}

/// The imports of this module. In brackets: each path and its length.
///
/// `own` are methods of [`Preview1`]. `raw` are wasmtime-wasi's unless a path is not UTF-8; the expression is what is done
/// then. `limited` are the same, as functions of [`Unlimited`] that methods of [`Preview1`] call (`disk`).
macro_rules! imports {
    (
        own {
            $($name:ident[$($path:ident $length:ident),*]($($argument:ident: $type:ty),*);)*
        }
        raw {
            $($raw_name:ident[$($raw_path:ident $raw_length:ident),*]($($raw_argument:ident: $raw_type:ty),*)
                $raw_act:tt;)*
        }
        limited {
            $($limited_name:ident[$($limited_path:ident $limited_length:ident),*]
                ($($limited_argument:ident: $limited_type:ty),*) $limited_act:tt;)*
        }
    ) => {
        impl Preview1 {
            $(#[allow(clippy::too_many_arguments, reason = "as preview1 has them")]
            async fn $raw_name(
                &mut self,
                memory: &mut GuestMemory<'_>,
                $($raw_argument: $raw_type),*
            ) -> Result<i32> {
                Unlimited::$raw_name(self, memory, $($raw_argument),*).await
            })*
        }

        impl Unlimited {
            $(any_path!($raw_name[$($raw_path $raw_length),*]($($raw_argument: $raw_type),*) $raw_act);)*
            $(any_path!(
                $limited_name[$($limited_path $limited_length),*]($($limited_argument: $limited_type),*) $limited_act
            );)*
        }

        define! {
            $($name[$($length),*]($($argument: $type),*);)*
            $($raw_name[$($raw_length),*]($($raw_argument: $raw_type),*);)*
            $($limited_name[$($limited_length),*]($($limited_argument: $limited_type),*);)*
        }
    };
}

macro_rules! any_path {
    ($name:ident[$($path:ident $length:ident),*]($($argument:ident: $type:ty),*)
        {|$preview1:ident, $memory:ident, [$($path_name:ident),*]| $act:expr}) => {
        #[allow(clippy::too_many_arguments, reason = "as preview1 has them")]
        async fn $name(
            $preview1: &mut Preview1,
            $memory: &mut GuestMemory<'_>,
            $($argument: $type),*
        ) -> Result<i32> {
            let paths = raw_paths($memory, [$(($path, $length)),*]);
            let Some([$($path_name),*]) = paths else {
                return upstream::$name(&mut $preview1.wasi, $memory, $($argument),*).await;
            };
            errno(async { $act }.await)
        }
    };
}

/// In brackets: the lengths of paths.
macro_rules! define {
    ($($name:ident[$($length:ident),*]($($argument:ident: $type:ty),*);)*) => {
        /// Defines the imports of this module in a linker for synchronous stores, in the place of wasmtime-wasi's.
        ///
        /// # Errors
        /// The linker does not allow shadowing, and has them.
        pub(crate) fn add_to_linker<T: 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut Preview1 + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $(linker.func_wrap(
                MODULE,
                stringify!($name),
                move |mut caller: Caller<'_, T>, $($argument: $type),*| -> Result<i32> {
                    if is_too_long(&[$($length),*]) {
                        return Ok(types::Errno::Nametoolong as i32);
                    }
                    let (mut memory, data) = enter(&mut caller, get)?;
                    wait(get(data).$name(&mut memory, $($argument),*))
                },
            )?;)*
            Ok(())
        }

        /// The same for asynchronous stores.
        ///
        /// # Errors
        /// As [`add_to_linker`].
        pub(crate) fn add_to_linker_async<T: Send + 'static>(
            linker: &mut Linker<T>,
            get: impl Fn(&mut T) -> &mut Preview1 + Copy + Send + Sync + 'static,
        ) -> Result<()> {
            $(linker.func_wrap_async(
                MODULE,
                stringify!($name),
                move |mut caller: Caller<'_, T>, ($($argument,)*): ($($type,)*)| {
                    Box::new(async move {
                        if is_too_long(&[$($length),*]) {
                            return Ok(types::Errno::Nametoolong as i32);
                        }
                        let (mut memory, data) = enter(&mut caller, get)?;
                        get(data).$name(&mut memory, $($argument),*).await
                    })
                },
            )?;)*
            Ok(())
        }
    };
}

imports! {
    own {
        fd_readdir[](number: i32, buffer: i32, size: i32, cookie: i64, used: i32);
        fd_close[](number: i32);
        fd_renumber[](from: i32, to: i32);
        fd_filestat_get[](number: i32, stat: i32);
        fd_sync[](number: i32);
        fd_datasync[](number: i32);
        fd_write[](number: i32, pieces: i32, count: i32, written: i32);
        fd_pwrite[](number: i32, pieces: i32, count: i32, offset: i64, written: i32);
        fd_filestat_set_size[](number: i32, size: i64);
        path_open[path length](folder: i32, lookup: i32, path: i32, length: i32, open: i32, rights: i64, inheriting: i64, flags: i32, opened: i32);
        path_readlink[path length](folder: i32, path: i32, length: i32, buffer: i32, size: i32, used: i32);
    }
    raw {
        path_filestat_get[path length](folder: i32, lookup: i32, path: i32, length: i32, stat: i32) {
            |preview1, memory, [name]| {
                let found = preview1.in_directory(folder, move |folder| paths::stat(folder, &name, lookup));
                let found = found.await?;
                Ok(memory.write(GuestPtr::new(stat as u32), found)?)
            }
        };
        path_filestat_set_times[path length](folder: i32, lookup: i32, path: i32, length: i32, accessed: i64, modified: i64, which: i32) {
            |preview1, memory, [name]| {
                let times = paths::Times::new(accessed, modified, which);
                let set = move |folder: &Dir| paths::set_times(folder, &name, lookup, times?);
                preview1.in_directory(folder, set).await
            }
        };
    }
    limited {
        path_create_directory[path length](folder: i32, path: i32, length: i32) {
            |preview1, memory, [name]| {
                preview1.in_directory(folder, move |folder| paths::create_directory(folder, &name)).await
            }
        };
        path_remove_directory[path length](folder: i32, path: i32, length: i32) {
            |preview1, memory, [name]| {
                preview1.in_directory(folder, move |folder| paths::remove_directory(folder, &name)).await
            }
        };
        path_unlink_file[path length](folder: i32, path: i32, length: i32) {
            |preview1, memory, [name]| {
                preview1.in_directory(folder, move |folder| paths::unlink_file(folder, &name)).await
            }
        };
        path_symlink[target target_length, path length](target: i32, target_length: i32, folder: i32, path: i32, length: i32) {
            |preview1, memory, [to, name]| {
                preview1.in_directory(folder, move |folder| paths::symlink(&to, folder, &name)).await
            }
        };
        path_link[path length, new_path new_length](folder: i32, lookup: i32, path: i32, length: i32, new_folder: i32, new_path: i32, new_length: i32) {
            |preview1, memory, [old, new]| {
                let new_folder = preview1.directory(new_folder as u32);
                let link = move |folder: &Dir| paths::link(folder, &old, lookup, &new_folder?, &new);
                preview1.in_directory(folder, link).await
            }
        };
        path_rename[path length, new_path new_length](folder: i32, path: i32, length: i32, new_folder: i32, new_path: i32, new_length: i32) {
            |preview1, memory, [old, new]| {
                let new_folder = preview1.directory(new_folder as u32);
                let rename = move |folder: &Dir| paths::rename(folder, &old, &new_folder?, &new);
                preview1.in_directory(folder, rename).await
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{PATH_MAX, Preview1, add_to_linker, types};
    use wasmtime::{Engine, Linker, Module, Store};
    use wasmtime_wasi::p1;
    use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

    /// Each function passes a path of that many bytes, which begins at the start of the memory.
    const GUEST: &str = r#"(module
        (import "wasi_snapshot_preview1" "path_unlink_file"
            (func $unlink (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_rename"
            (func $rename (param i32 i32 i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_readlink"
            (func $readlink (param i32 i32 i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 2)
        (func (export "fill") (param i32)
            (memory.fill (i32.const 0) (local.get 0) (i32.const 65536)))
        (func (export "unlink") (param i32) (result i32)
            (call $unlink (i32.const 3) (i32.const 0) (local.get 0)))
        (func (export "rename") (param i32) (result i32)
            (call $rename (i32.const 3) (i32.const 0) (i32.const 1)
                (i32.const 3) (i32.const 0) (local.get 0)))
        (func (export "readlink") (param i32) (result i32)
            (call $readlink (i32.const 3) (i32.const 0) (local.get 0)
                (i32.const 65536) (i32.const 16) (i32.const 131000))))"#;

    #[test]
    fn longest_path_is_that_of_linux_whatever_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        wasi.preopened_dir(folder.path(), "/", FsPerms::ReadWrite)
            .unwrap();
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        p1::add_to_linker_sync(&mut linker, Preview1::wasi).unwrap();
        linker.allow_shadowing(true);
        add_to_linker(&mut linker, |preview1: &mut Preview1| preview1).unwrap();
        let mut store = Store::new(&engine, Preview1::new(wasi.build_p1(), true));
        let module = Module::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
        let guest = linker.instantiate(&mut store, &module).unwrap();

        let fill = guest.get_typed_func::<i32, ()>(&mut store, "fill").unwrap();
        let too_long = types::Errno::Nametoolong as i32;
        // Slashes are the root, which is no name to remove and no link.
        for byte in [b'/', 0xff] {
            fill.call(&mut store, byte.into()).unwrap();
            for name in ["unlink", "rename", "readlink"] {
                let call = guest.get_typed_func::<i32, i32>(&mut store, name).unwrap();
                for length in [PATH_MAX as i32, 65536, i32::MAX, -1] {
                    assert_eq!(call.call(&mut store, length).unwrap(), too_long, "{name}");
                }
                let answer = call.call(&mut store, 4).unwrap();
                assert!(answer != 0 && answer != too_long, "{name} {answer}");
            }
        }
    }
}
