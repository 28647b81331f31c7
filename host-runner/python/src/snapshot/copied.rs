//! The memory of a sandbox at rest: copied for another sandbox, or saved in a file.
//!
//! It is guest memory and nothing else: an instance that begins with it can do no more than any other one, whatever is in
//! it. The host reads the guest's time beside it.

use std::fs::{self, File};
use std::io;
use std::iter;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use wasmtime::error::Context as _;
use wasmtime::{AsContextMut, Instance, Result, ensure};

use super::format::{self, Header, MAGIC_OF_SANDBOX};
use super::{PAGE, apply, memory_file, seal};
use crate::engine::Shared;
use crate::whole_file::{open_file, replace_file};

/// Who may read the file: it has whatever the guest knows.
const MODE: u32 = 0o600;

/// The longest file that is read, in bytes: that of the largest memory.
const FILE_MAX: u64 = (1 << 30) + (1 << 20);

/// Most threads that copy a memory, and the least that is worth one, in bytes.
const THREADS_MAX: usize = 4;
const PART_MIN: usize = 4 << 20;

/// A memory that sandboxes begin with, in files that nobody changes, each with a part of it.
#[derive(Debug)]
pub(crate) struct Copied {
    parts: Vec<(File, Header)>,
    at_rest: AtRest,
}

/// What belongs to the memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AtRest {
    /// The guest's monotonic clock, in nanoseconds.
    pub(crate) clock: u64,
}

impl Copied {
    /// Copies a memory.
    ///
    /// # Errors
    /// It has more than 1 GiB, or there is no memory for the copy.
    pub(crate) fn of(memory: &[u8], at_rest: &AtRest) -> Result<Self> {
        let used = format::used(memory);
        let threads =
            thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX));
        let most = used.len().div_ceil(threads).max(PART_MIN);
        let most = most.next_multiple_of(PAGE);
        let copy = |start: usize| -> Result<(File, Header)> {
            let file = memory_file()?;
            let part = start..used.end.min(start + most);
            format::write_sandbox(&file, memory, part, &[])?;
            seal(&file)?;
            let header = Header::read_of(&file, MAGIC_OF_SANDBOX).context("the copy is damaged")?;
            Ok((file, header))
        };
        // A file for each thread: a file has a lock that its writers take.
        let parts = thread::scope(|scope| {
            let starts = used.clone().step_by(most);
            let others: Vec<_> = starts
                .skip(1)
                .map(|start| scope.spawn(move || copy(start)))
                .collect();
            let others = others.into_iter().map(|other| match other.join() {
                Ok(copied) => copied,
                Err(panic) => resume_unwind(panic),
            });
            iter::once(copy(used.start))
                .chain(others)
                .collect::<Result<_>>()
        })?;
        Ok(Self {
            parts,
            at_rest: at_rest.clone(),
        })
    }

    /// Writes a memory to a file, at once and in place of an earlier one. What is there must be such a file.
    pub(crate) fn save(
        path: &Path,
        memory: &[u8],
        at_rest: &AtRest,
        shared: &Shared,
    ) -> Result<()> {
        let earlier = fs::symlink_metadata(path);
        ensure!(
            earlier.is_err() || File::open(path).is_ok_and(|file| is_saved(&file)),
            "{} exists, and is no sandbox",
            path.display()
        );
        let list = at_rest.to_bytes(&shared.wasm_hash()?);
        replace_file(path, MODE, |file| {
            format::write_sandbox(file, memory, format::used(memory), &list)
        })
    }

    /// Reads what [`Copied::save`] wrote with this Python. The file may be from anybody.
    ///
    /// # Errors
    /// It is no such file, or of another Python.
    pub(crate) fn load(path: &Path, shared: &Shared) -> Result<Self> {
        let read = || -> Result<Self> {
            let (file, stat) = open_file(path)?;
            ensure!(is_saved(&file), "it is no sandbox that was saved");
            let length = stat.st_size as u64;
            ensure!(length <= FILE_MAX, "it is too long");
            // Others may change it while it is read, but not the copy.
            let mut copy = memory_file()?;
            io::copy(&mut io::Read::take(file, length), &mut copy)?;
            seal(&copy)?;
            let (copied, hash) = Self::parse(copy)
                .context("it is damaged, or was saved by another version of wasisocket")?;
            let own = shared.wasm_hash()?;
            ensure!(
                hash == own,
                "it was saved with another python.wasm (SHA-256 {hash}, here {own}), and only that one can go on with it"
            );
            Ok(copied)
        };
        read().with_context(|| format!("cannot load {}", path.display()))
    }

    /// With the SHA-256 of its python.wasm.
    fn parse(file: File) -> Option<(Self, String)> {
        let header = Header::read_of(&file, MAGIC_OF_SANDBOX)?;
        let list = format::list(&file, &header)?;
        let (at_rest, hash) = AtRest::parse(&list)?;
        let copied = Self {
            parts: vec![(file, header)],
            at_rest,
        };
        Some((copied, hash))
    }

    pub(crate) fn at_rest(&self) -> &AtRest {
        &self.at_rest
    }

    /// Gives an instance that has not run yet this memory.
    ///
    /// # Errors
    /// It may not have so much.
    pub(crate) fn apply(&self, instance: &Instance, mut store: impl AsContextMut) -> Result<()> {
        for (file, header) in &self.parts {
            let memory = apply(file, header, instance, &mut store)?;
            memory.with_context(|| {
                let size = header.memory >> 20;
                format!(
                    "the guest may not have as much memory as the copy has: {size} MiB (max-memory)"
                )
            })?;
        }
        Ok(())
    }
}

/// Is it a file of some version?
fn is_saved(file: &File) -> bool {
    format::has_magic(file, MAGIC_OF_SANDBOX)
}

impl AtRest {
    fn to_bytes(&self, hash: &str) -> Vec<u8> {
        let mut bytes = self.clock.to_le_bytes().to_vec();
        bytes.extend((hash.len() as u32).to_le_bytes());
        bytes.extend(hash.bytes());
        bytes
    }

    fn parse(bytes: &[u8]) -> Option<(Self, String)> {
        let (clock, bytes) = bytes.split_first_chunk()?;
        let (length, bytes) = bytes.split_first_chunk()?;
        let (hash, rest) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        let is_hash = hash.len() == 64 && hash.iter().all(u8::is_ascii_hexdigit);
        if !rest.is_empty() || !is_hash {
            return None;
        }
        let at_rest = Self {
            clock: u64::from_le_bytes(*clock),
        };
        Some((at_rest, str::from_utf8(hash).ok()?.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::{AtRest, Copied, File, format, memory_file, seal};
    use std::io::{Read as _, Seek as _, Write as _};

    fn saved() -> Vec<u8> {
        let mut memory = vec![0; 5 << 16];
        memory[(1 << 16) + 7] = 1;
        memory[(3 << 16) + 9] = 2;
        let at_rest = AtRest { clock: 12345 };
        let mut file = tempfile::tempfile().unwrap();
        let list = at_rest.to_bytes(&"ab".repeat(32));
        format::write_sandbox(&file, &memory, format::used(&memory), &list).unwrap();
        file.rewind().unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = memory_file().unwrap();
        file.write_all(bytes).unwrap();
        seal(&file).unwrap();
        file
    }

    #[test]
    fn what_was_written_is_read() {
        let (copied, hash) = Copied::parse(file(&saved())).unwrap();
        assert_eq!(hash, "ab".repeat(32));
        assert_eq!(copied.at_rest.clock, 12345);
        let (_, header) = copied.parts[0];
        assert_eq!((header.start, header.length), (1 << 16, 3 << 16));
        assert_eq!(header.memory, 5 << 16);
    }

    #[test]
    fn other_bytes_are_refused_or_read_within_their_bounds() {
        let bytes = saved();
        for length in (0..200).chain(bytes.len() - 200..bytes.len()) {
            assert!(Copied::parse(file(&bytes[..length])).is_none(), "{length}");
        }
        let end = bytes.len() - 120;
        for at in (0..64).chain(end..bytes.len()) {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Some((copied, _)) = Copied::parse(file(&changed)) {
                    let (_, header) = copied.parts[0];
                    assert!(header.start + header.length <= header.memory);
                    assert!(header.memory <= 1 << 30);
                }
            }
        }
    }
}
