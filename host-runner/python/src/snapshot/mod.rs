//! Images of memory: Python is started once, and guests go on from there.
//!
//! `cpython-patch/snapshot` is the guest's part. Guests with one image share its pages until they write to them.

mod copied;
mod file;
mod format;
mod make;
mod map;
mod origin;
mod program;
mod random;
mod state;

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use std::io::Write as _;
use wasmtime::error::Context as _;
use wasmtime::{AsContextMut, Instance, Result};

pub(crate) use copied::{AtRest, Copied};
use format::Header;
pub(crate) use origin::Origin;
pub use origin::Preload;
pub(crate) use program::{SEARCH_PATH, may_hold, may_resume};
pub(crate) use random::WatchedRandom;

/// The export that goes on from an image. It returns if the guest needs a cold start after all.
pub(crate) const RESUME: &str = "snapshot-resume";

const INITIALIZE: &str = "snapshot-initialize";
pub(crate) const MEMORY: &str = "memory";

/// A page of WebAssembly's memory, in bytes.
pub(crate) const PAGE: usize = 1 << 16;

/// The memory of a Python that has started.
#[derive(Debug)]
pub(crate) struct Image {
    file: File,
    header: Header,
    origin: Origin,
    /// The parts of its memory that each guest writes to.
    written: Vec<Range<usize>>,
}

impl Image {
    /// An image in a file that nobody changes. `None` if it is no image, or was made from files that have changed since.
    pub(crate) fn open(file: File) -> Option<Self> {
        let (image, changed) = Self::read(file)?;
        changed.is_none().then_some(image)
    }

    /// An image in a file, and the first of the files it was made from that has changed since. `None` if it is no image.
    fn read(file: File) -> Option<(Self, Option<PathBuf>)> {
        let header = Header::read(&file)?;
        let (origin, changed) = format::origin(&file, &header)?;
        let written = format::written(&file, &header)?;
        let image = Self {
            file,
            header,
            origin,
            written,
        };
        Some((image, changed))
    }

    /// An image that no other process has.
    pub(crate) fn private(content: &[u8]) -> Result<Self> {
        let mut file = memory_file()?;
        file.write_all(content)?;
        seal(&file)?;
        Self::open(file).context("files changed while they were loaded into an image")
    }

    /// What it has in it beside the usual modules.
    pub(crate) fn preload(&self) -> &Preload {
        &self.origin.preload
    }

    /// The size of a guest's memory when it begins, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.header.memory
    }

    /// Gives an instance that has not run yet this memory. Returns false if it may not have so much; then it is as
    /// before.
    pub(crate) fn apply(&self, instance: &Instance, mut store: impl AsContextMut) -> Result<bool> {
        let Some(memory) = apply(&self.file, &self.header, instance, &mut store)? else {
            return Ok(false);
        };
        map::populate(memory, &self.written);
        Ok(true)
    }
}

/// Gives an instance that has not run yet the memory of a file that nobody changes. Returns it, or `None` if the instance
/// may not have so much.
fn apply<'a>(
    file: &File,
    header: &Header,
    instance: &Instance,
    store: &'a mut impl AsContextMut,
) -> Result<Option<&'a mut [u8]>> {
    let memory = instance
        .get_memory(&mut *store, MEMORY)
        .context("the guest exports no memory")?;
    let size = memory.data_size(&*store);
    let Some(more) = header.memory.checked_sub(size) else {
        return Ok(None);
    };
    if memory.grow(&mut *store, (more / PAGE) as u64).is_err() {
        return Ok(None);
    }
    let memory = memory.data_mut(store);
    map::map(file, header, memory)?;
    Ok(Some(memory))
}

/// A file that is in memory.
fn memory_file() -> Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(File::from(memfd_create("wasisocket-image", flags)?))
}

/// Nobody can change it any more.
fn seal(file: &File) -> Result<()> {
    Ok(fcntl_add_seals(
        file.as_fd(),
        SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )?)
}
