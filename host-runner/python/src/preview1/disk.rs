//! How much of the host's disk a guest's files take: the limit `max-disk`.
//!
//! What counts is what the guest adds: bytes that a file is longer than before, and [`DiskQuota::NAME`] for each name that
//! it makes. For each file it is remembered how much of that there is, so that a file that is cut or removed gives back
//! what it took, and no more. A file that has no name any more counts until it is closed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use cap_primitives::fs as sandbox;
use cap_primitives::fs::{FileTypeExt as _, FollowSymlinks, MetadataExt as _};
use wasisocket_host::DiskQuota;
use wasmtime::Result;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p1::types::{Errno, Fdflags, Lookupflags, Oflags};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as upstream, WasiSnapshotPreview1 as _};
use wiggle::{GuestMemory, GuestPtr};

use super::{Preview1, Unlimited, absolute_link, blocking, bytes_at, errno, no_memory, paths};

/// What the files of one guest took.
pub(super) struct Disk {
    quota: DiskQuota,
    /// By device and inode.
    taken: HashMap<Id, u64>,
}

type Id = (u64, u64);

/// A file, folder or link that is there.
#[derive(Clone, Copy)]
pub(super) struct Found {
    id: Id,
    size: u64,
    links: u64,
    is_folder: bool,
    is_socket: bool,
}

impl Disk {
    pub(super) fn new(quota: DiskQuota) -> Self {
        Self {
            quota,
            taken: HashMap::new(),
        }
    }

    fn take(&mut self, id: Id, bytes: u64) {
        let taken = self.quota.take(bytes);
        if taken > 0 {
            *self.taken.entry(id).or_default() += taken;
        }
    }

    fn give(&mut self, id: Id, bytes: u64) {
        if let Some(taken) = self.taken.get_mut(&id) {
            let bytes = bytes.min(*taken);
            *taken -= bytes;
            if *taken == 0 {
                self.taken.remove(&id);
            }
            self.quota.give(bytes);
        }
    }

    /// A file has another size than before.
    fn resized(&mut self, before: Found, now: u64) {
        self.take(before.id, now.saturating_sub(before.size));
        self.give(before.id, before.size.saturating_sub(now));
    }
}

impl From<&Metadata> for Found {
    fn from(file: &Metadata) -> Self {
        Self {
            id: (file.dev(), file.ino()),
            size: file.len(),
            links: file.nlink(),
            is_folder: file.is_dir(),
            is_socket: file.file_type().is_socket(),
        }
    }
}

impl Preview1 {
    fn quota(&self) -> Option<&DiskQuota> {
        self.disk.as_ref().map(|disk| &disk.quota)
    }

    /// The file of a number, if what it takes is limited.
    fn limited_file(&mut self, number: u32) -> Option<Found> {
        self.disk.as_ref()?;
        let Descriptor::File(file) = self.descriptor(number)? else {
            return None;
        };
        Some((&file.file.metadata().ok()?).into())
    }

    /// What a path leads to, if what it takes is limited.
    async fn limited_path(
        &mut self,
        memory: &GuestMemory<'_>,
        folder: i32,
        (path, length): (i32, i32),
        follow: FollowSymlinks,
    ) -> Option<Found> {
        self.disk.as_ref()?;
        let path = paths::from_bytes(&memory.as_cow(bytes_at(path, length)).ok()?);
        let folder = self.directory(folder as u32).ok()?;
        let stat = move || sandbox::stat(&folder.dir, &path, follow).ok();
        let found = blocking(self.may_block, stat).await?;
        Some(Found {
            id: (found.dev(), found.ino()),
            size: found.len(),
            links: found.nlink(),
            is_folder: found.is_dir(),
            is_socket: found.file_type().is_socket(),
        })
    }

    /// ENOSPC unless there is room for another name.
    fn room_for_name(&self) -> std::result::Result<(), Errno> {
        match self.quota() {
            Some(quota) if !quota.has(DiskQuota::NAME) => Err(Errno::Nospc),
            _ => Ok(()),
        }
    }

    /// What has a name, if what it takes is limited: a link, not what that leads to.
    async fn named(
        &mut self,
        memory: &GuestMemory<'_>,
        folder: i32,
        path: (i32, i32),
    ) -> Option<Found> {
        self.limited_path(memory, folder, path, FollowSymlinks::No)
            .await
    }

    /// A call that makes a name answered this. Returns it.
    async fn made(
        &mut self,
        answer: i32,
        memory: &GuestMemory<'_>,
        folder: i32,
        path: (i32, i32),
    ) -> Result<i32> {
        if answer == 0
            && let Some(found) = self.named(memory, folder, path).await
            && let Some(disk) = &mut self.disk
        {
            disk.take(found.id, DiskQuota::NAME);
        }
        Ok(answer)
    }

    /// A call that removes a name, which was that of this, answered so. Returns that.
    fn removed(&mut self, answer: i32, found: Option<Found>) -> Result<i32> {
        if answer == 0
            && let Some(found) = found
        {
            self.unlinked(found);
        }
        Ok(answer)
    }

    /// A name was removed, which was that of this.
    fn unlinked(&mut self, found: Found) {
        let is_open = found.links == 1 && self.has_open(found.id, None);
        let Some(disk) = &mut self.disk else {
            return;
        };
        if found.is_socket {
            // Binding took it.
            disk.quota.give(DiskQuota::NAME);
        } else if found.is_folder || (found.links == 1 && !is_open) {
            disk.give(found.id, u64::MAX);
        } else if found.links > 1 {
            disk.give(found.id, DiskQuota::NAME);
        }
    }

    /// Whether a file is open, under another number than this one.
    fn has_open(&mut self, id: Id, except: Option<u32>) -> bool {
        let numbers: Vec<_> = self.entries.keys().copied().collect();
        let mut others = numbers.into_iter().filter(|number| Some(*number) != except);
        others.any(|number| self.limited_file(number).is_some_and(|file| file.id == id))
    }

    /// The file that goes when a number is closed: it has no name any more, and is open once.
    pub(super) fn removed_by_close(&mut self, number: u32) -> Option<Id> {
        if self.disk.as_ref()?.taken.is_empty() {
            return None;
        }
        let Found { id, links, .. } = self.limited_file(number)?;
        (links == 0 && !self.has_open(id, Some(number))).then_some(id)
    }

    /// It was closed.
    pub(super) fn gone(&mut self, removed: Option<Id>) {
        if let (Some(id), Some(disk)) = (removed, &mut self.disk) {
            disk.give(id, u64::MAX);
        }
    }

    /// ENOSPC unless there is room for a write of `length` bytes at `offset`, or at the file's offset.
    async fn room_for_write(
        &mut self,
        number: i32,
        before: Found,
        offset: Option<u64>,
        length: u64,
    ) -> std::result::Result<(), Errno> {
        let Some(quota) = self.quota().cloned() else {
            return Ok(());
        };
        let offset = match offset {
            Some(offset) => offset,
            // It is a file, so it has one.
            None => self
                .wasi
                .fd_tell(&mut no_memory(), number.into())
                .unwrap_or(u64::MAX),
        };
        let end = offset.max(before.size).saturating_add(length);
        if end.saturating_sub(before.size) <= quota.left() {
            return Ok(());
        }
        // Not if it is within the file. To append, what the offset is does not matter.
        let mut memory = no_memory();
        let status = self.wasi.fd_fdstat_get(&mut memory, number.into()).await;
        let appends = status.is_ok_and(|status| status.fs_flags.contains(Fdflags::APPEND));
        let offset = if appends { before.size } else { offset };
        let end = offset.saturating_add(length);
        match quota.has(end.saturating_sub(before.size)) {
            true => Ok(()),
            false => Err(Errno::Nospc),
        }
    }

    /// A file was written to, or its size was set, if it was limited before.
    fn changed(&mut self, number: u32, before: Option<Found>) {
        if let Some(before) = before
            && let Some(now) = self.limited_file(number)
            && let Some(disk) = &mut self.disk
        {
            disk.resized(before, now.size);
        }
    }

    pub(super) async fn fd_write(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: i32,
        pieces: i32,
        count: i32,
        written: i32,
    ) -> Result<i32> {
        let before = self.limited_file(number as u32);
        if let Some(before) = before {
            let length = first_length(memory, pieces, count);
            if let Err(errno) = self.room_for_write(number, before, None, length).await {
                return Ok(errno as i32);
            }
        }
        let error =
            upstream::fd_write(&mut self.wasi, memory, number, pieces, count, written).await?;
        self.changed(number as u32, before);
        Ok(error)
    }

    pub(super) async fn fd_pwrite(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: i32,
        pieces: i32,
        count: i32,
        offset: i64,
        written: i32,
    ) -> Result<i32> {
        let before = self.limited_file(number as u32);
        if let Some(before) = before {
            let length = first_length(memory, pieces, count);
            let at = Some(offset as u64);
            if let Err(errno) = self.room_for_write(number, before, at, length).await {
                return Ok(errno as i32);
            }
        }
        let wasi = &mut self.wasi;
        let error = upstream::fd_pwrite(wasi, memory, number, pieces, count, offset, written);
        let error = error.await?;
        self.changed(number as u32, before);
        Ok(error)
    }

    pub(super) async fn fd_filestat_set_size(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: i32,
        size: i64,
    ) -> Result<i32> {
        let before = self.limited_file(number as u32);
        if let (Some(before), Some(quota)) = (before, self.quota())
            && !quota.has((size as u64).saturating_sub(before.size))
        {
            return Ok(Errno::Nospc as i32);
        }
        let error = upstream::fd_filestat_set_size(&mut self.wasi, memory, number, size).await?;
        self.changed(number as u32, before);
        Ok(error)
    }

    #[expect(clippy::too_many_arguments, reason = "as preview1 has them")]
    pub(super) async fn path_open(
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
        if let Err(errno) = self.room_for_file() {
            return Ok(errno as i32);
        }
        let changes = Oflags::from_bits_truncate(open as u16);
        let changes = changes & (Oflags::CREAT | Oflags::TRUNC);
        let mut before = None;
        if self.disk.is_some() && !changes.is_empty() {
            let lookup = Lookupflags::from_bits_truncate(lookup as u32);
            let follow = match lookup.contains(Lookupflags::SYMLINK_FOLLOW) {
                true => FollowSymlinks::Yes,
                false => FollowSymlinks::No,
            };
            let found = self.limited_path(memory, folder, (path, length), follow);
            before = found.await;
            if changes.contains(Oflags::CREAT)
                && before.is_none()
                && let Err(errno) = self.room_for_name()
            {
                return Ok(errno as i32);
            }
        }
        let error = self.path_open_unlimited(
            memory, folder, lookup, path, length, open, rights, inheriting, flags, opened,
        );
        let error = error.await?;
        if error == 0 && !changes.is_empty() {
            let number = memory.read(GuestPtr::<u32>::new(opened as u32))?;
            match (before, self.limited_file(number)) {
                (Some(earlier), Some(now)) if earlier.id == now.id => self.changed(number, before),
                (_, Some(now)) => {
                    if let Some(disk) = &mut self.disk {
                        disk.take(now.id, DiskQuota::NAME);
                    }
                }
                (_, None) => {}
            }
        }
        Ok(error)
    }

    pub(super) async fn path_create_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        path: i32,
        length: i32,
    ) -> Result<i32> {
        if let Err(errno) = self.room_for_name() {
            return Ok(errno as i32);
        }
        let made = Unlimited::path_create_directory(self, memory, folder, path, length).await?;
        self.made(made, memory, folder, (path, length)).await
    }

    pub(super) async fn path_symlink(
        &mut self,
        memory: &mut GuestMemory<'_>,
        target: i32,
        target_length: i32,
        folder: i32,
        path: i32,
        length: i32,
    ) -> Result<i32> {
        if let Err(errno) = self.room_for_name() {
            return Ok(errno as i32);
        }
        let made = match absolute_link(memory, (target, target_length), (path, length)) {
            Some([to, name]) => {
                let link = move |folder: &_| paths::symlink(&to, folder, &name);
                errno(self.in_directory(folder, link).await)?
            }
            None => {
                let (to, length_of_to) = (target, target_length);
                Unlimited::path_symlink(self, memory, to, length_of_to, folder, path, length)
                    .await?
            }
        };
        self.made(made, memory, folder, (path, length)).await
    }

    #[expect(clippy::too_many_arguments, reason = "as preview1 has them")]
    pub(super) async fn path_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        lookup: i32,
        path: i32,
        length: i32,
        new_folder: i32,
        new_path: i32,
        new_length: i32,
    ) -> Result<i32> {
        if let Err(errno) = self.room_for_name() {
            return Ok(errno as i32);
        }
        let made = Unlimited::path_link(
            self, memory, folder, lookup, path, length, new_folder, new_path, new_length,
        );
        let made = made.await?;
        self.made(made, memory, new_folder, (new_path, new_length))
            .await
    }

    pub(super) async fn path_remove_directory(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        path: i32,
        length: i32,
    ) -> Result<i32> {
        let found = self.named(memory, folder, (path, length)).await;
        let removed = Unlimited::path_remove_directory(self, memory, folder, path, length).await?;
        self.removed(removed, found)
    }

    pub(super) async fn path_unlink_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        path: i32,
        length: i32,
    ) -> Result<i32> {
        let found = self.named(memory, folder, (path, length)).await;
        let removed = Unlimited::path_unlink_file(self, memory, folder, path, length).await?;
        self.removed(removed, found)
    }

    #[expect(clippy::too_many_arguments, reason = "as preview1 has them")]
    pub(super) async fn path_rename(
        &mut self,
        memory: &mut GuestMemory<'_>,
        folder: i32,
        path: i32,
        length: i32,
        new_folder: i32,
        new_path: i32,
        new_length: i32,
    ) -> Result<i32> {
        let replaced = self.named(memory, new_folder, (new_path, new_length)).await;
        let moved = match replaced {
            Some(_) => self.named(memory, folder, (path, length)).await,
            None => None,
        };
        let renamed = Unlimited::path_rename(
            self, memory, folder, path, length, new_folder, new_path, new_length,
        );
        let renamed = renamed.await?;
        // Two names of one file both stay: rename(2).
        let is_same = moved.map(|moved| moved.id) == replaced.map(|replaced| replaced.id);
        self.removed(renamed, replaced.filter(|_| !is_same))
    }
}

/// The length of the first piece that is not empty: wasmtime-wasi writes no other.
fn first_length(memory: &GuestMemory<'_>, pieces: i32, count: i32) -> u64 {
    let pieces = pieces as u32;
    let mut lengths = (0..count as u32).map_while(|at| {
        let place = pieces.checked_add(at.checked_mul(8)?)?.checked_add(4)?;
        memory.read(GuestPtr::<u32>::new(place)).ok()
    });
    lengths.find(|length| *length > 0).unwrap_or(0).into()
}
