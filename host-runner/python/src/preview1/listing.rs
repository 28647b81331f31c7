//! `fd_readdir`: a stream over getdents64(2), as readdir(3) has it.
//!
//! A cookie is the number of entries before the next one. A stream goes on where it stopped, so an entry that is
//! neither added nor removed meanwhile is listed exactly once, whatever happens to the others; cookie 0 starts
//! afresh. For a guest that goes back (seekdir(3)), the host's own offset is known at the start of each block that
//! was read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, RawDir, SeekFrom, fcntl_getfl, fstat, openat, seek};
use wasmtime_wasi::p1::types::{Errno, Filetype};
use wiggle::{GuestMemory, GuestPtr};

use super::{Failure, Preview1, blocking, failure, paths};

/// Bytes of entries that are read from the system at a time.
const BLOCK: usize = 32 << 10;

/// Blocks that are held for all open directories of a guest. One more, and the directory that was listed least
/// recently reads its block again when its turn comes.
const BLOCKS_MAX: usize = 64;

/// The open directories that a guest has listed, by their numbers.
#[derive(Default)]
pub(super) struct Listings {
    open: HashMap<u32, Listing>,
    /// Those with a block, the most recent one last.
    recent: Vec<u32>,
}

impl Listings {
    pub(super) fn forget(&mut self, number: u32) {
        self.open.remove(&number);
        self.recent.retain(|recent| *recent != number);
    }

    fn put(&mut self, number: u32, listing: Listing) {
        self.open.insert(number, listing);
        self.recent.retain(|recent| *recent != number);
        self.recent.push(number);
        if self.recent.len() > BLOCKS_MAX {
            let oldest = self.recent.remove(0);
            if let Some(listing) = self.open.get_mut(&oldest) {
                listing.block = None;
            }
        }
    }
}

/// One open directory.
struct Listing {
    folder: Arc<File>,
    device: u64,
    inode: u64,
    block: Option<Block>,
    /// For the start of each block that was read: the entries before it, and the host's offset.
    starts: Vec<(u64, u64)>,
}

/// Entries that follow each other, in preview1's form.
struct Block {
    /// How many entries come before them.
    first: u64,
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Block {
    /// The first entry after this block.
    fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// The bytes from an entry on; `None` if it is in another block.
    fn from(&self, entry: u64) -> Option<&[u8]> {
        let place = usize::try_from(entry.checked_sub(self.first)?).ok()?;
        let start = match place.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.bytes.get(start..)
    }
}

impl Listing {
    fn new(folder: Arc<File>) -> io::Result<Self> {
        // Granted folders are opened without the right to read.
        let folder = match fcntl_getfl(&folder)?.contains(OFlags::PATH) {
            false => folder,
            true => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                Arc::new(openat(&folder, ".", flags, Mode::empty())?.into())
            }
        };
        let stat = fstat(&folder)?;
        Ok(Self {
            folder,
            device: stat.st_dev,
            inode: stat.st_ino,
            block: None,
            starts: vec![(0, 0)],
        })
    }

    /// Bytes from this entry on, and the entry after them; none at the end. At least [`BLOCK`] bytes or as many as
    /// there are, or else `size` bytes, of which the last entry may be cut off.
    fn read(&mut self, entry: u64, size: usize) -> io::Result<(Vec<u8>, u64)> {
        let mut bytes = Vec::new();
        let mut entry = entry;
        let known = self.block.as_ref().and_then(|block| block.from(entry));
        if entry == 0 || known.is_none() {
            self.seek(entry)?;
        }
        loop {
            let Some(block) = &self.block else {
                return Ok((bytes, entry));
            };
            let found = block.from(entry).unwrap_or_default();
            let room = size.saturating_sub(bytes.len());
            bytes.extend_from_slice(found.get(..room).unwrap_or(found));
            if found.len() >= room || bytes.len() >= BLOCK {
                return Ok((bytes, entry.max(block.next())));
            }
            entry = entry.max(block.next());
            if !self.advance()? {
                return Ok((bytes, entry));
            }
        }
    }

    /// Reads the block that has an entry.
    fn seek(&mut self, entry: u64) -> io::Result<()> {
        let known = self.starts.partition_point(|(first, _)| *first <= entry);
        let (first, offset) = self.starts[known - 1];
        self.starts.truncate(known);
        seek(&self.folder, SeekFrom::Start(offset))?;
        self.block = Some(Block {
            first,
            bytes: Vec::new(),
            ends: Vec::new(),
        });
        while self.advance()?
            && self
                .block
                .as_ref()
                .is_some_and(|block| block.next() <= entry)
        {}
        Ok(())
    }

    /// Reads the next block; false at the end, where the last one stays.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(block) = &mut self.block else {
            return Ok(false);
        };
        let first = block.next();
        let mut room = Vec::with_capacity(BLOCK);
        let mut entries = RawDir::new(self.folder.as_fd(), room.spare_capacity_mut());
        let mut next = Block {
            first,
            bytes: Vec::with_capacity(BLOCK),
            ends: Vec::with_capacity(BLOCK / 32),
        };
        let mut offset = 0;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let inode = match name {
                // Of `..` the inode would be one outside of what was granted.
                b"." | b".." => self.inode,
                _ => entry.ino(),
            };
            let cookie = next.next() + 1;
            // preview1's dirent: d_next, d_ino, d_namlen, d_type, and three bytes that align the next one.
            next.bytes.extend_from_slice(&cookie.to_le_bytes());
            next.bytes
                .extend_from_slice(&paths::inode(self.device, inode).to_le_bytes());
            next.bytes
                .extend_from_slice(&(name.len() as u32).to_le_bytes());
            next.bytes.push(file_type(entry.file_type()) as u8);
            next.bytes.extend_from_slice(&[0; 3]);
            next.bytes.extend_from_slice(name);
            next.ends.push(next.bytes.len());
            offset = entry.next_entry_cookie();
            if entries.is_buffer_empty() {
                break;
            }
        }
        if next.ends.is_empty() {
            return Ok(false);
        }
        self.starts.push((next.next(), offset));
        self.block = Some(next);
        Ok(true)
    }
}

/// preview1's file types. Sockets and pipes have none, also in what stat(2) says of them there.
fn file_type(kind: FileType) -> Filetype {
    match kind {
        FileType::Directory => Filetype::Directory,
        FileType::RegularFile => Filetype::RegularFile,
        FileType::Symlink => Filetype::SymbolicLink,
        FileType::CharacterDevice => Filetype::CharacterDevice,
        FileType::BlockDevice => Filetype::BlockDevice,
        _ => Filetype::Unknown,
    }
}

impl Preview1 {
    /// Writes the entries of a directory to the guest's memory, from a cookie on: as many as there is room for,
    /// where the last one may be cut off. Returns how many bytes that are; less than the room is the end.
    pub(super) async fn list(
        &mut self,
        memory: &mut GuestMemory<'_>,
        number: u32,
        buffer: GuestPtr<[u8]>,
        cookie: u64,
    ) -> Result<u32, Failure> {
        let mut listing = match self.listings.open.remove(&number) {
            Some(listing) => listing,
            None => {
                let folder = self.directory(number)?.dir;
                let opened = blocking(self.may_block, move || Listing::new(folder));
                opened.await.map_err(failure)?
            }
        };
        let mut entry = cookie;
        let mut written = 0;
        loop {
            let room = (buffer.len() - written) as usize;
            let (read, bytes);
            (listing, read) = blocking(self.may_block, move || {
                let read = listing.read(entry, room);
                (listing, read)
            })
            .await;
            (bytes, entry) = read.map_err(failure)?;
            let length = bytes.len() as u32;
            let place = buffer.get_range(written..written + length);
            memory.copy_from_slice(&bytes, place.ok_or(Errno::Fault)?)?;
            written += length;
            // Less than a block is the end.
            if written == buffer.len() || bytes.len() < BLOCK {
                self.listings.put(number, listing);
                return Ok(written);
            }
        }
    }
}
