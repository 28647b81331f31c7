//! Path resolution over the granted folders as if they were mounted in one tree (path_resolution(7)).
//!
//! A preview1 host resolves a path below one granted folder and refuses whatever leaves it. On Linux, `..` of a
//! mount's root is its parent directory, and a symbolic link may lead into another mount. A path that could do
//! either is resolved here first, component by component, so that the host is asked only for what lies in the
//! granted folder itself. The host checks every path again: nothing here grants access.

use std::collections::BTreeSet;

use crate::{Errno, Result};

/// Symbolic links that are followed in one path: Linux's MAXSYMLINKS.
const LINKS_MAX: usize = 40;

/// Longest path, in bytes: Linux's PATH_MAX.
const PATH_MAX: usize = 4096;

/// What a directory entry is, as far as resolution goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    Link,
    Other,
}

/// How paths in the granted folders are looked up. All paths are absolute and resolved, without `.`, `..` or a
/// trailing slash; the root is the empty path.
pub(crate) trait Tree {
    /// What is at `path`, without following a symbolic link.
    fn kind(&self, path: &[u8]) -> Result<Kind>;
    /// The target of the symbolic link at `path`.
    fn link(&self, path: &[u8]) -> Result<Vec<u8>>;
}

/// The names under which folders are granted.
#[derive(Debug, Default)]
pub(crate) struct Mounts {
    /// Each begins with a slash and does not end with one; the root is empty.
    paths: Vec<Vec<u8>>,
}

impl Mounts {
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        Self {
            paths: names.map(|name| normalize(b"", name)).collect(),
        }
    }

    fn is_mount(&self, path: &[u8]) -> bool {
        self.paths.iter().any(|mount| mount == path)
    }

    /// The mount that `path` is in: the innermost one. `path` is resolved.
    pub(crate) fn of(&self, path: &[u8]) -> Option<&[u8]> {
        let mounts = self.paths.iter().filter(|mount| is_below(path, mount));
        mounts.max_by_key(|mount| mount.len()).map(Vec::as_slice)
    }

    /// The names in a directory, each once, that mounts have or that lead to some. `path` is resolved.
    pub(crate) fn names_in<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + 'a {
        let below = self.paths.iter().filter_map(move |mount| {
            let rest = mount.strip_prefix(path)?.strip_prefix(b"/")?;
            rest.split(|byte| *byte == b'/').next()
        });
        let names: BTreeSet<_> = below.collect();
        names.into_iter().map(<[u8]>::to_vec)
    }

    /// Is `path` a directory because a folder is mounted there or below it, whatever the host says of it?
    pub(crate) fn is_directory(&self, path: &[u8]) -> bool {
        path.is_empty() || self.paths.iter().any(|mount| is_below(mount, path))
    }

    /// Must this path be resolved before wasi-libc looks for its granted folder? `path` is absolute. wasi-libc
    /// compares it with the names of the folders byte by byte, and the host refuses to leave a folder by `..`.
    pub(crate) fn need_resolution(&self, path: &[u8]) -> bool {
        if !components(path).any(|name| matches!(name, b"" | b"." | b"..")) {
            return false;
        }
        let text = strip_root(path);
        let found = self
            .paths
            .iter()
            .filter(|mount| is_below(text, strip_root(mount)));
        let Some(mount) = found.max_by_key(|mount| mount.len()) else {
            return true;
        };
        let mut at = mount.clone();
        for name in components(text.get(strip_root(mount).len()..).unwrap_or_default()) {
            match name {
                b"" | b"." => {}
                b".." if at.len() <= mount.len() => return true,
                b".." => leave(&mut at),
                name => {
                    enter(&mut at, name);
                    if self.is_mount(&at) {
                        return true;
                    }
                }
            }
        }
        false
    }

    /// Resolves an absolute path to one without links, `.` or `..` in its directories; the last component is
    /// resolved too if `follow` is set. A trailing slash, which wants a directory, stays.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ELOOP and ENAMETOOLONG, as path_resolution(7) says; what `tree` answers.
    pub(crate) fn resolve(&self, tree: &impl Tree, path: &[u8], follow: bool) -> Result<Vec<u8>> {
        let mut wants_directory = ends_as_directory(path);
        let mut at = Vec::new();
        let mut rest = Vec::new();
        let mut links = 0_usize;
        push_reversed(&mut rest, path);
        while let Some(name) = rest.pop() {
            if name == b".." {
                leave(&mut at);
                continue;
            }
            let mut next = at.clone();
            enter(&mut next, &name);
            if next.len() > PATH_MAX {
                return Err(Errno(libc::ENAMETOOLONG));
            }
            let is_last = rest.is_empty();
            if self.is_directory(&next) || (is_last && !follow && !wants_directory) {
                at = next;
                continue;
            }
            match tree.kind(&next) {
                Ok(Kind::Link) => {
                    links = links.saturating_add(1);
                    if links > LINKS_MAX {
                        return Err(Errno(libc::ELOOP));
                    }
                    let target = tree.link(&next)?;
                    if target.is_empty() {
                        return Err(Errno(libc::ENOENT));
                    }
                    wants_directory |= is_last && ends_as_directory(&target);
                    if target.starts_with(b"/") {
                        at.clear();
                    }
                    push_reversed(&mut rest, &target);
                }
                Ok(Kind::Directory) => at = next,
                Ok(Kind::Other) if is_last => at = next,
                Ok(Kind::Other) => return Err(Errno(libc::ENOTDIR)),
                // It may be about to be created.
                Err(Errno(libc::ENOENT)) if is_last => at = next,
                Err(error) => return Err(error),
            }
        }
        if wants_directory || at.is_empty() {
            at.push(b'/');
        }
        Ok(at)
    }
}

/// A path relative to `folder`, without `.` and empty components; `..` leaves the directory before it, which is
/// right where no link is.
pub(crate) fn normalize(folder: &[u8], path: &[u8]) -> Vec<u8> {
    let mut at = Vec::new();
    for name in components(folder).chain(components(path)) {
        match name {
            b"" | b"." => {}
            b".." => leave(&mut at),
            name => enter(&mut at, name),
        }
    }
    at
}

fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    strip_root(path).split(|byte| *byte == b'/')
}

fn strip_root(path: &[u8]) -> &[u8] {
    let start = path.iter().position(|byte| *byte != b'/');
    path.get(start.unwrap_or(path.len())..).unwrap_or_default()
}

/// Is `path` the directory `folder` or below it? Both begin alike: with a slash, or both without.
fn is_below(path: &[u8], folder: &[u8]) -> bool {
    match path.strip_prefix(folder) {
        Some(rest) => folder.is_empty() || rest.is_empty() || rest.starts_with(b"/"),
        None => false,
    }
}

fn enter(at: &mut Vec<u8>, name: &[u8]) {
    at.push(b'/');
    at.extend_from_slice(name);
}

/// The root's parent is the root.
fn leave(at: &mut Vec<u8>) {
    let end = at.iter().rposition(|byte| *byte == b'/');
    at.truncate(end.unwrap_or(0));
}

/// Does a path say by its end that it names a directory?
fn ends_as_directory(path: &[u8]) -> bool {
    matches!(
        path.rsplit(|byte| *byte == b'/').next(),
        Some(b"" | b"." | b"..")
    )
}

/// The components of a path, the first one last; those that stand for the directory itself are left out.
fn push_reversed(rest: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.rsplit(|byte| *byte == b'/');
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    rest.extend(names.map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use super::{Kind, Mounts, Tree};
    use crate::{Errno, Result};
    use std::collections::BTreeMap;

    /// Directories end with a slash; a link has a target.
    struct Entries(BTreeMap<&'static str, Option<&'static str>>);

    impl Tree for Entries {
        fn kind(&self, path: &[u8]) -> Result<Kind> {
            let path = std::str::from_utf8(path).unwrap();
            match self.0.get(path) {
                Some(Some(_)) => Ok(Kind::Link),
                Some(None) => Ok(Kind::Other),
                None if self.0.contains_key(format!("{path}/").as_str()) => Ok(Kind::Directory),
                None => Err(Errno(libc::ENOENT)),
            }
        }

        fn link(&self, path: &[u8]) -> Result<Vec<u8>> {
            let path = std::str::from_utf8(path).unwrap();
            Ok(self.0[path].unwrap().as_bytes().to_vec())
        }
    }

    fn mounts(names: &[&str]) -> Mounts {
        Mounts::new(names.iter().map(|name| name.as_bytes()))
    }

    fn entries() -> Entries {
        Entries(BTreeMap::from([
            ("/app/", None),
            ("/app/file", None),
            ("/app/sub/", None),
            ("/app/sub/deep/", None),
            ("/app/to-deep", Some("sub/deep")),
            ("/app/to-deep-directory", Some("sub/deep/")),
            ("/app/to-data", Some("../data")),
            ("/app/to-data-absolute", Some("/data/x")),
            ("/app/to-nothing", Some("/nothing/at/all")),
            ("/app/to-file", Some("file/")),
            ("/app/one", Some("other")),
            ("/app/other", Some("one")),
            ("/data/x", None),
            ("/data/y/", None),
        ]))
    }

    fn resolve(path: &str, follow: bool) -> Result<String> {
        let mounts = mounts(&["/", "/app", "/data", "/usr/local/lib/python3.13"]);
        let resolved = mounts.resolve(&entries(), path.as_bytes(), follow)?;
        Ok(String::from_utf8(resolved).unwrap())
    }

    #[test]
    fn parent_of_a_mount_is_its_parent_directory() {
        for (path, resolved) in [
            ("/app/..", "/"),
            ("/app/../data/x", "/data/x"),
            ("/app/sub/../../data/./x", "/data/x"),
            ("/../../app/file", "/app/file"),
            ("/app/to-deep/../file", "/app/sub/file"),
            ("/app/to-data/../app/file", "/app/file"),
            ("/usr/local/lib/python3.13/../../bin/x", "/usr/local/bin/x"),
            ("/usr/local/lib/../../../data/x", "/data/x"),
            ("/app/sub/../sub/", "/app/sub/"),
            ("/app/sub/.", "/app/sub/"),
            ("/", "/"),
            ("/app/sub/../new", "/app/new"),
            ("//app//file", "/app/file"),
        ] {
            // Of these the directory /usr/local/bin is not there.
            let expected = match path.contains("bin") {
                true => Err(Errno(libc::ENOENT)),
                false => Ok(resolved.to_owned()),
            };
            assert_eq!(resolve(path, true), expected, "{path}");
        }
    }

    #[test]
    fn missing_directories_and_files_as_directories_are_errors() {
        for (path, error) in [
            ("/app/missing/../file", libc::ENOENT),
            ("/app/file/../file", libc::ENOTDIR),
            ("/app/to-file/../file", libc::ENOTDIR),
            ("/app/to-nothing/..", libc::ENOENT),
            ("/app/one/..", libc::ELOOP),
            ("/app/one", libc::ELOOP),
        ] {
            assert_eq!(resolve(path, true), Err(Errno(error)), "{path}");
        }
        let long = format!("/app/{}", "x".repeat(5000));
        assert_eq!(resolve(&long, true), Err(Errno(libc::ENAMETOOLONG)));
    }

    #[test]
    fn last_link_is_followed_where_asked_or_where_a_directory_is_wanted() {
        for (path, follow, resolved) in [
            ("/app/to-data", true, "/data"),
            ("/app/to-data", false, "/app/to-data"),
            ("/app/to-data/", false, "/data/"),
            ("/app/to-deep-directory", true, "/app/sub/deep/"),
            ("/app/to-data-absolute", true, "/data/x"),
            ("/app/one", false, "/app/one"),
            ("/app/to-data/x", false, "/data/x"),
        ] {
            assert_eq!(resolve(path, follow).as_deref(), Ok(resolved), "{path}");
        }
    }

    #[test]
    fn ordinary_paths_need_no_resolution() {
        let mounts = mounts(&["/", "/app", "/data/", "/usr/local/lib/python3.13"]);
        for (path, needs) in [
            ("/app/file", false),
            ("/app/sub/../file", false),
            ("/file", false),
            ("/app/../data", true),
            ("/app/sub/../..", true),
            ("/..", true),
            ("/sub/../data/x", true),
            ("/./data", true),
            ("//data/x", false),
            ("/usr//local/lib/python3.13/os.py", true),
            ("/usr/local/lib/python3.13//os.py", false),
            ("/usr/local/lib/python3.13/", false),
            ("/app", false),
            ("/appendix/..", false),
        ] {
            assert_eq!(mounts.need_resolution(path.as_bytes()), needs, "{path}");
        }
    }

    #[test]
    fn directories_have_the_names_of_what_is_mounted_in_them() {
        let mounts = mounts(&["/", "/usr/lib/python", "/usr/share", "/usr/lib", "/w"]);
        for (path, names) in [
            ("", vec!["usr", "w"]),
            ("/usr", vec!["lib", "share"]),
            ("/usr/lib", vec!["python"]),
            ("/us", vec![]),
            ("/w", vec![]),
        ] {
            let found: Vec<_> = mounts.names_in(path.as_bytes()).collect();
            assert_eq!(
                found,
                names.iter().map(|name| name.as_bytes()).collect::<Vec<_>>()
            );
        }
        for (path, mount) in [("/usr/lib/x", "/usr/lib"), ("/usr/libx", ""), ("/w", "/w")] {
            assert_eq!(mounts.of(path.as_bytes()), Some(mount.as_bytes()), "{path}");
        }
    }

    #[test]
    fn parents_of_mounts_are_directories() {
        let mounts = mounts(&["/usr/local/lib/python3.13", "app"]);
        for (path, is_directory) in [
            ("", true),
            ("/usr", true),
            ("/usr/local/lib", true),
            ("/usr/local/lib/python3.13", true),
            ("/usr/local/lib/python3.13/os.py", false),
            ("/us", false),
            ("/app", true),
            ("/app/x", false),
        ] {
            assert_eq!(mounts.is_directory(path.as_bytes()), is_directory, "{path}");
        }
    }
}
