//! The file of an image: a header, the memory, and what it was made from.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use wasmtime::{Result, ensure};

use super::PAGE;
use super::origin::{ORIGIN_MAX, Origin};
use crate::sources;

const MAGIC: &[u8; 16] = b"wasisocket img 3";

/// Of the memory of a sandbox, in the same form.
pub(super) const MAGIC_OF_SANDBOX: &[u8; 16] = b"wasisocket box 1";

/// Where the memory begins in the file: at a page of every system.
pub(super) const DATA: usize = PAGE;

/// Where the ranges begin that guests write to: behind the numbers of the header. Each has its first page and how many
/// there are, with 32 bits each.
const WRITTEN: usize = HEADER + size_of::<u32>();

/// The length of magic and numbers.
const HEADER: usize = MAGIC.len() + 4 * size_of::<u64>();

/// The most ranges.
const WRITTEN_MAX: usize = (DATA - WRITTEN) / 8;

/// The unit of these ranges, in bytes: the smallest page of any system.
const UNIT: usize = 4096;

/// The most memory of an image, in bytes.
const MEMORY_MAX: usize = 1 << 30;

/// The end of memory and its beginning have pages of zeros, which are not in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of the memory in bytes: a number of pages of WebAssembly.
    pub(super) memory: usize,
    /// Where what is in the file begins in memory, and its length.
    pub(super) start: usize,
    pub(super) length: usize,
    /// The length of what is behind it: the origin, with a list of files.
    origin: usize,
}

impl Header {
    /// Reads and checks the header of a file.
    pub(super) fn read(file: &File) -> Option<Self> {
        Self::read_of(file, MAGIC)
    }

    /// The same of a file with this magic.
    pub(super) fn read_of(file: &File, magic_wanted: &[u8; 16]) -> Option<Self> {
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).ok()?;
        let (magic, numbers) = bytes.split_first_chunk()?;
        let mut numbers = numbers
            .as_chunks()
            .0
            .iter()
            .map(|number| usize::try_from(u64::from_le_bytes(*number)).unwrap_or(usize::MAX));
        let mut next = || numbers.next();
        let header = Self {
            memory: next()?,
            start: next()?,
            length: next()?,
            origin: next()?,
        };
        let end = header.start.checked_add(header.length)?;
        let file_length = DATA
            .checked_add(header.length)?
            .checked_add(header.origin)?;
        let fits = magic == magic_wanted
            && header.memory <= MEMORY_MAX
            && header.origin <= ORIGIN_MAX
            && end <= header.memory
            && header.length > 0
            && [header.memory, header.start, header.length]
                .iter()
                .all(|number| number % PAGE == 0)
            && file.metadata().ok()?.len() == file_length as u64;
        fits.then_some(header)
    }
}

/// Does a file begin as an image of some version does?
pub(super) fn is_image(file: &File) -> bool {
    has_magic(file, MAGIC)
}

/// Does a file begin as this does, but for the number of the version?
pub(super) fn has_magic(file: &File, wanted: &[u8; 16]) -> bool {
    let mut magic = [0; MAGIC.len() - 1];
    file.read_exact_at(&mut magic, 0).is_ok() && wanted.starts_with(&magic)
}

/// The file of an image with this memory, which was made from these files and folders.
///
/// # Errors
/// The memory or the list of files is too large.
pub(super) fn write(memory: &[u8], origin: &Origin, sources: &[PathBuf]) -> Result<Vec<u8>> {
    ensure!(
        memory.len() <= MEMORY_MAX,
        "modules need more memory than an image may have: 1 GiB"
    );
    let range = used(memory);
    let data = &memory[range.clone()];
    let mut list = origin.to_bytes();
    list.extend(sources::list(sources));
    ensure!(
        list.len() <= ORIGIN_MAX,
        "too many files are loaded for an image"
    );
    let mut file = Vec::with_capacity(DATA + data.len() + list.len());
    file.extend(header(MAGIC, memory, &range, &list));
    file.resize(DATA, 0);
    file.extend_from_slice(data);
    file.extend(list);
    Ok(file)
}

/// Writes such a file of a part of the memory of a sandbox, with this list, but for its pages of zeros: they are holes.
///
/// # Errors
/// The memory is too large, or the file cannot be written.
pub(super) fn write_sandbox(
    file: &File,
    memory: &[u8],
    part: Range<usize>,
    list: &[u8],
) -> Result<()> {
    ensure!(
        memory.len() <= MEMORY_MAX,
        "the guest has more memory than can be copied: 1 GiB"
    );
    file.write_all_at(&header(MAGIC_OF_SANDBOX, memory, &part, list), 0)?;
    let place = |at: usize| (DATA + at - part.start) as u64;
    let mut at = part.start;
    while at < part.end {
        let pages = memory[at..part.end].chunks(PAGE);
        let zeros = pages.clone().take_while(|page| is_zero(page)).count();
        at += zeros * PAGE;
        let length = pages.skip(zeros).take_while(|page| !is_zero(page)).count() * PAGE;
        file.write_all_at(&memory[at..at + length], place(at))?;
        at += length;
    }
    // Also if it ends with a hole.
    file.set_len(place(part.end))?;
    file.write_all_at(list, place(part.end))?;
    Ok(())
}

/// The list behind the memory.
pub(super) fn list(file: &File, header: &Header) -> Option<Vec<u8>> {
    let mut list = vec![0; header.origin];
    let start = (DATA + header.length) as u64;
    file.read_exact_at(&mut list, start).ok()?;
    Some(list)
}

/// The part of memory without the pages of zeros at its beginning and its end.
pub(super) fn used(memory: &[u8]) -> Range<usize> {
    let pages = || memory.chunks(PAGE);
    let first = pages().position(|page| !is_zero(page)).unwrap_or(0);
    let last = pages().rposition(|page| !is_zero(page)).unwrap_or(0);
    first * PAGE..((last + 1) * PAGE).min(memory.len())
}

fn is_zero(page: &[u8]) -> bool {
    // Compared as a whole, which takes a tenth of the time.
    page == &[0; PAGE][..page.len()]
}

fn header(magic: &[u8; 16], memory: &[u8], used: &Range<usize>, list: &[u8]) -> Vec<u8> {
    let numbers = [memory.len(), used.start, used.len(), list.len()];
    let numbers = numbers.map(|number| (number as u64).to_le_bytes());
    [&magic[..], numbers.as_flattened()].concat()
}

/// Notes in an image which of its bytes each guest writes to.
pub(super) fn set_written(image: &mut [u8], ranges: &[Range<usize>]) {
    let ranges = &ranges[..ranges.len().min(WRITTEN_MAX)];
    let numbers = ranges
        .iter()
        .flat_map(|range| [range.start / UNIT, range.len() / UNIT]);
    let numbers = [ranges.len()].into_iter().chain(numbers);
    let places = image[HEADER..DATA].as_chunks_mut::<4>().0;
    for (place, number) in places.iter_mut().zip(numbers) {
        // Memory has less than 2^32 bytes.
        *place = (number as u32).to_le_bytes();
    }
}

/// The bytes that each guest writes to, as far as the image tells.
pub(super) fn written(file: &File, header: &Header) -> Option<Vec<Range<usize>>> {
    let mut count = [0; 4];
    file.read_exact_at(&mut count, HEADER as u64).ok()?;
    let count = u32::from_le_bytes(count) as usize;
    if count > WRITTEN_MAX {
        return None;
    }
    let mut bytes = vec![0; count * 8];
    file.read_exact_at(&mut bytes, WRITTEN as u64).ok()?;
    let image = header.start..header.start + header.length;
    let ranges = bytes.as_chunks::<8>().0.iter().map(|bytes| {
        let number = u64::from_le_bytes(*bytes);
        let [start, length] = [number & 0xffff_ffff, number >> 32].map(|number| number as usize);
        let start = start * UNIT;
        let range = start..start + length * UNIT;
        (image.start <= range.start && range.end <= image.end).then_some(range)
    });
    ranges.collect()
}

/// What it was made from, and the first of its files that has changed since, if one has.
pub(super) fn origin(file: &File, header: &Header) -> Option<(Origin, Option<PathBuf>)> {
    let list = list(file, header)?;
    let mut list = &list[..];
    let origin = Origin::take(&mut list)?;
    Some((origin, sources::changed(list)))
}

#[cfg(test)]
mod tests {
    use super::{DATA, HEADER, Header, Origin, PAGE, UNIT, WRITTEN, WRITTEN_MAX, set_written};
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    fn memory() -> Vec<u8> {
        let mut memory = vec![0; 6 * PAGE];
        memory[2 * PAGE + 5] = 1;
        memory[4 * PAGE - 1] = 2;
        memory
    }

    fn write(memory: &[u8]) -> Vec<u8> {
        super::write(memory, &Origin::default(), &[]).unwrap()
    }

    fn file(content: &[u8]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(content, 0).unwrap();
        file
    }

    #[test]
    fn pages_of_zeros_around_the_memory_are_left_out() {
        let content = write(&memory());
        let header = Header::read(&file(&content)).unwrap();
        assert_eq!(header.memory, 6 * PAGE);
        assert_eq!((header.start, header.length), (2 * PAGE, 2 * PAGE));
        assert_eq!(content[DATA + 5], 1);
    }

    #[test]
    fn ranges_that_guests_write_to_are_read_as_they_were_written() {
        let mut content = write(&memory());
        let written = |content: &[u8]| {
            let file = file(content);
            super::written(&file, &Header::read(&file).unwrap())
        };
        assert_eq!(written(&content), Some(vec![]));
        let ranges = [2 * PAGE..2 * PAGE + UNIT, 3 * PAGE..4 * PAGE];
        set_written(&mut content, &ranges);
        assert_eq!(written(&content), Some(ranges.to_vec()));
        for outside in [0..UNIT, PAGE..3 * PAGE, 3 * PAGE..4 * PAGE + UNIT] {
            set_written(&mut content, &[outside]);
            assert_eq!(written(&content), None);
        }
        content[HEADER..WRITTEN].fill(0xff);
        assert_eq!(written(&content), None);
        let many = vec![2 * PAGE..2 * PAGE + UNIT; WRITTEN_MAX + 1];
        set_written(&mut content, &many);
        assert_eq!(written(&content).unwrap().len(), WRITTEN_MAX);
    }

    #[test]
    fn file_that_is_no_image_is_refused() {
        let content = write(&memory());
        for (place, value) in [
            (0, 0),        // magic
            (16, 1),       // memory, which is no number of pages
            (16 + 3, 1),   // more memory
            (16 + 7, 1),   // far more memory
            (24 + 7, 255), // start and length overflow
            (24 + 2, 5),   // start, which is beyond the end
            (32 + 2, 9),   // length
            (40, 9),       // origin
        ] {
            let mut changed = content.clone();
            changed[place] = value;
            let header = Header::read(&file(&changed));
            let is_larger = place == 16 + 3;
            assert_eq!(header.is_some(), is_larger, "{place}: {header:?}");
        }
        for length in [0, 20, content.len() - 1] {
            assert!(Header::read(&file(&content[..length])).is_none());
        }
    }
}
