//! Directory entries of folders that are not preview1's.

/// preview1's `dirent`: cookie of the next entry, inode, length of the name, type; witx.
const HEADER: usize = 24;

/// A directory entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a [u8],
    /// Not 0: wasi-libc asks for those that are.
    pub(crate) inode: u64,
    /// preview1's `filetype`.
    pub(crate) kind: u8,
}

/// Writes the entries into `room` as `fd_readdir` does: the last one may be cut off. `next` is the cookie of the entry
/// behind the first one. Returns how many bytes are written, all if there are more.
pub(crate) fn write<'a>(
    entries: impl Iterator<Item = Entry<'a>>,
    mut next: u64,
    room: &mut [u8],
) -> usize {
    let mut used = 0_usize;
    for entry in entries {
        let mut bytes = Vec::with_capacity(HEADER.saturating_add(entry.name.len()));
        bytes.extend(next.to_le_bytes());
        bytes.extend(entry.inode.to_le_bytes());
        bytes.extend((entry.name.len() as u32).to_le_bytes());
        bytes.extend([entry.kind, 0, 0, 0]);
        bytes.extend(entry.name);
        let free = room.get_mut(used..).unwrap_or_default();
        let count = bytes.len().min(free.len());
        for (to, from) in free.iter_mut().zip(bytes) {
            *to = from;
        }
        used = used.saturating_add(count);
        if used == room.len() {
            break;
        }
        next = next.saturating_add(1);
    }
    used
}

#[cfg(test)]
mod tests {
    use super::{Entry, HEADER, write};

    #[test]
    fn entries_are_those_of_preview1_and_the_last_may_be_cut_off() {
        let entries = || {
            [b"a".as_slice(), b"bcd"].into_iter().map(|name| Entry {
                name,
                inode: 7,
                kind: 3,
            })
        };
        let mut room = [0xff; 100];
        let used = write(entries(), 5, &mut room);
        assert_eq!(used, 2 * HEADER + 4);
        assert_eq!(room[..8], 5_u64.to_le_bytes());
        assert_eq!(room[8..16], 7_u64.to_le_bytes());
        assert_eq!(room[16..20], 1_u32.to_le_bytes());
        assert_eq!(room[20], 3);
        assert_eq!(room[HEADER], b'a');
        assert_eq!(room[HEADER + 1..HEADER + 9], 6_u64.to_le_bytes());
        assert_eq!(&room[used - 3..used], b"bcd");
        assert_eq!(room[used], 0xff);
        for length in 0..used {
            assert_eq!(write(entries(), 5, &mut vec![0; length]), length);
        }
    }
}
