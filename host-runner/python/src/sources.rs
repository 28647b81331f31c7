//! Files of the host that something was made from: it is made again when one of them has changed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{Stat, stat};

/// The most bytes of a list of files.
pub(crate) const LIST_MAX: usize = 1 << 20;

const IDENTITY: usize = 7 * 8;

/// A list of files and folders, as they are now. They need not exist: then the list is not current any more when they
/// do.
pub(crate) fn list(sources: &[PathBuf]) -> Vec<u8> {
    let mut list = Vec::new();
    for source in sources {
        let path = source.as_os_str();
        list.extend((path.len() as u32).to_le_bytes());
        list.extend(path.as_bytes());
        list.extend(identity(path));
    }
    list
}

/// Are all files of a list still the same?
pub(crate) fn are_current(mut list: &[u8]) -> bool {
    while !list.is_empty() {
        let Some((path, known)) = take(&mut list) else {
            return false;
        };
        if identity(OsStr::from_bytes(path)) != known {
            return false;
        }
    }
    true
}

/// The first path of a list, and its identity.
fn take<'a>(list: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (length, rest) = list.split_first_chunk()?;
    let (path, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (identity, rest) = rest.split_at_checked(IDENTITY)?;
    *list = rest;
    Some((path, identity))
}

/// What changes with each change of a file: see [`crate::trusted_folder`]. Zeros if there is no file.
fn identity(path: &OsStr) -> [u8; IDENTITY] {
    let mut bytes = [0; IDENTITY];
    let Ok(stat) = stat(path) else {
        return bytes;
    };
    let places = bytes.as_chunks_mut().0.iter_mut();
    for (place, field) in places.zip(fields(&stat)) {
        *place = field.to_le_bytes();
    }
    bytes
}

fn fields(stat: &Stat) -> [u64; 7] {
    [
        stat.st_dev,
        stat.st_ino,
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
    ]
}

#[cfg(test)]
mod tests {
    use super::{are_current, list};
    use std::fs;

    #[test]
    fn list_is_not_current_when_a_file_changes_comes_or_goes() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        let current = |changes: &dyn Fn()| {
            fs::write(&a, "one").unwrap();
            let _ = fs::remove_file(&b);
            let list = list(&[a.clone(), b.clone()]);
            std::thread::sleep(std::time::Duration::from_millis(30));
            changes();
            are_current(&list)
        };
        assert!(current(&|| {}));
        assert!(!current(&|| fs::write(&a, "two").unwrap()));
        assert!(!current(&|| fs::remove_file(&a).unwrap()));
        assert!(!current(&|| fs::write(&b, "").unwrap()));
        assert!(!current(&|| fs::rename(&a, &b).unwrap()));
    }

    #[test]
    fn damaged_list_is_not_current() {
        let whole = list(&["/".into(), "/nowhere".into()]);
        assert!(are_current(&[]));
        for length in [1, 4, 5, whole.len() - 1] {
            assert!(!are_current(&whole[..length]), "{length}");
        }
        assert!(!are_current(&[0xff; 8]));
    }
}
