//! Files of the host that something was made from: it is made again when one of them has changed.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::stat;

use crate::identity::{Identity, identity};

/// The most bytes of a list of files.
pub(crate) const LIST_MAX: usize = 8 << 20;

/// A list of files and folders, as they are now. They need not exist: then the list is not current any more when they
/// do.
pub(crate) fn list(sources: &[PathBuf]) -> Vec<u8> {
    let mut list = Vec::new();
    for source in sources {
        let path = source.as_os_str();
        list.extend((path.len() as u32).to_le_bytes());
        list.extend(path.as_bytes());
        list.extend(current(path));
    }
    list
}

/// The first file of a list that has changed, if one has. It has no name if the list is damaged.
pub(crate) fn changed(mut list: &[u8]) -> Option<PathBuf> {
    while !list.is_empty() {
        let Some((path, known)) = take(&mut list) else {
            return Some(PathBuf::new());
        };
        let path = OsStr::from_bytes(path);
        if current(path) != known {
            return Some(path.into());
        }
    }
    None
}

/// The first path of a list, and its identity.
fn take<'a>(list: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (length, rest) = list.split_first_chunk()?;
    let (path, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (identity, rest) = rest.split_at_checked(size_of::<Identity>())?;
    *list = rest;
    Some((path, identity))
}

/// The identity of a file as it is now. Zeros if there is no file.
fn current(path: &OsStr) -> Identity {
    stat(path).map_or([0; size_of::<Identity>()], |stat| identity(&stat))
}

#[cfg(test)]
mod tests {
    use super::{changed, list};
    use std::fs;

    fn are_current(list: &[u8]) -> bool {
        changed(list).is_none()
    }

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
