//! Folders of the host that a guest sees.

use std::fs;
use std::path::{Component, Path, PathBuf};

use wasisocket_host::SocketsCtxBuilder;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::cache::CACHE_VARIABLE;
use crate::distribution::PYTHON_VARIABLE;

/// A folder of the host that a guest sees, with the files, folders and Unix sockets in it.
///
/// Paths of the guest cannot lead out of it, also not by symbolic links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    host: PathBuf,
    guest: String,
    read_only: bool,
    /// It was made for this guest.
    is_private: bool,
}

impl Folder {
    /// The folder `host`, which the guest sees as `guest`, for reading. In it the guest can neither have Unix
    /// sockets nor connect to any, as connecting needs the right to write (unix(7)).
    #[must_use]
    pub fn read_only(host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            guest: guest.into(),
            read_only: true,
            is_private: false,
        }
    }

    /// The folder `host`, which the guest sees as `guest`, for reading and writing.
    ///
    /// A guest that could change the cache or the distribution through it is not started.
    #[must_use]
    pub fn read_write(host: impl Into<PathBuf>, guest: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            guest: guest.into(),
            read_only: false,
            is_private: false,
        }
    }

    /// A folder that was made for the guest, which is its `/`.
    pub(crate) fn private(host: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            guest: "/".into(),
            read_only: false,
            is_private: true,
        }
    }

    /// Its path on the host.
    #[must_use]
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// Its path as the guest sees it, as it was given.
    #[must_use]
    pub fn guest(&self) -> &str {
        &self.guest
    }

    /// Does the guest see it as `/`, which is also where its relative paths begin?
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.is_at("/")
    }

    /// Does the guest see it as this folder?
    pub(crate) fn is_at(&self, folder: &str) -> bool {
        names(&self.guest).eq(names(folder))
    }

    /// The path of a folder of the guest below this one, if it is this one or below it.
    pub(crate) fn rest_of(&self, folder: &str) -> Option<PathBuf> {
        let mut rest = names(folder);
        names(&self.guest)
            .all(|name| rest.next() == Some(name))
            .then(|| rest.collect())
    }

    /// The path of a folder of the host relative to this one.
    pub(crate) fn relative(&self, folder: &Path) -> Result<PathBuf> {
        let real = |path: &Path| path.canonicalize().with_context(|| cannot_open(path));
        let (inner, outer) = (real(folder)?, real(&self.host)?);
        match inner.strip_prefix(&outer) {
            Ok(relative) => Ok(relative.to_owned()),
            Err(_) => bail!(
                "the guest sees {} as /, and the script is not below it",
                self.host.display()
            ),
        }
    }

    /// Refuses a folder through which the guest could change one of `trusted`, which later runs rely on.
    pub(crate) fn check_trusted(&self, trusted: impl IntoIterator<Item = PathBuf>) -> Result<()> {
        if self.read_only || self.is_private {
            return Ok(());
        }
        // A folder that does not exist cannot be written to; opening it says so.
        let Ok(granted) = self.host.canonicalize() else {
            return Ok(());
        };
        for trusted in trusted {
            let (on_the_way, target) = resolve(&trusted)?;
            if on_the_way.iter().any(|folder| folder.starts_with(&granted))
                || granted.starts_with(&target)
            {
                bail!(
                    "{}: the guest could change what later runs trust in {}; grant another folder, or this one \
                     for reading only (:ro), or move that elsewhere ({CACHE_VARIABLE}, {PYTHON_VARIABLE})",
                    self.host.display(),
                    trusted.display()
                );
            }
        }
        Ok(())
    }

    /// Shows its files and folders to the guest.
    pub(crate) fn open_files(&self, wasi: &mut WasiCtxBuilder) -> Result<()> {
        let perms = match self.read_only {
            true => FsPerms::ReadOnly,
            false => FsPerms::ReadWrite,
        };
        wasi.preopened_dir(&self.host, &self.guest, perms)
            .with_context(|| cannot_open(&self.host))?;
        Ok(())
    }

    /// Shows it to the guest, with the Unix sockets in it.
    pub(crate) fn open(
        &self,
        wasi: &mut WasiCtxBuilder,
        sockets: SocketsCtxBuilder,
    ) -> Result<SocketsCtxBuilder> {
        self.open_files(wasi)?;
        sockets
            .unix_folder(&self.host, &self.guest, self.read_only)
            .with_context(|| cannot_open(&self.host))
    }
}

/// Resolves a path as the system does (path_resolution(7)). Returns the folders in which a link, a parent (`..`)
/// or the target itself could be replaced, and the target.
fn resolve(path: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
    let names = |path: &Path| {
        let names = path.components().rev();
        let names = names.map(|name| PathBuf::from(name.as_os_str()));
        names.collect::<Vec<_>>()
    };
    let mut links = 0;
    let mut folders = Vec::new();
    let mut at = PathBuf::new();
    let mut rest = names(&std::path::absolute(path)?);
    while let Some(name) = rest.pop() {
        if name.as_os_str() == ".." {
            at.pop();
            folders.push(at.clone());
            continue;
        }
        // The root takes the place of all before it.
        let next = at.join(name);
        match fs::read_link(&next) {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                rest.extend(names(&target));
                folders.push(at.clone());
            }
            _ => at = next,
        }
    }
    folders.extend(at.parent().map(Path::to_owned));
    Ok((folders, at))
}

/// As many symbolic links as Linux follows.
const LINKS_MAX: usize = 40;

fn cannot_open(folder: &Path) -> String {
    format!("cannot open the folder {}", folder.display())
}

/// The names in a path of the guest, whose relative paths begin at `/`.
fn names(path: &str) -> impl Iterator<Item = Component<'_>> {
    Path::new(path)
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn path_is_resolved_along_links_and_parents() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        for name in ["own/sub", "py"] {
            std::fs::create_dir_all(real.join(name)).unwrap();
        }
        symlink("../py", real.join("own/link")).unwrap();
        symlink(real.join("own/link"), real.join("outer")).unwrap();
        let leads = |path: &str| {
            let (folders, target) = super::resolve(&real.join(path)).unwrap();
            assert_eq!(target, real.join("py"), "{path}");
            let own = real.join("own");
            folders.iter().any(|folder| folder.starts_with(&own))
        };
        for path in ["own/link", "outer", "own/sub/../../py", "py/../own/link/."] {
            assert!(leads(path), "{path}");
        }
        for path in ["py", "own/../py", "./py/"] {
            assert!(!leads(path), "{path}");
        }
        symlink("loop", real.join("loop")).unwrap();
        super::resolve(&real.join("loop")).unwrap();
    }

    #[test]
    fn folder_is_recognized_by_all_spellings_of_its_path() {
        for (guest, folder, same) in [
            (".", "/", true),
            ("./", "/", true),
            ("///", "/", true),
            ("/.", "/", true),
            ("x", "/", false),
            ("/x", "/", false),
            ("/etc/ssl", "/etc/ssl", true),
            ("/etc/ssl/", "/etc/ssl", true),
            ("etc/./ssl", "/etc/ssl", true),
            ("/etc", "/etc/ssl", false),
            ("/etc/ssl/certs", "/etc/ssl", false),
        ] {
            let granted = Folder::read_only("host", guest);
            assert_eq!(granted.is_at(folder), same, "{guest}");
        }
    }
}
