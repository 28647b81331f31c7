//! `--dir HOST[::GUEST][:ro]`.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use wasisocket_host::SocketsCtxBuilder;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::kept::Kept;
use crate::python::Python;

/// A folder that the guest may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    host: PathBuf,
    guest: String,
    read_only: bool,
}

impl Folder {
    /// `host` is a folder of the host, and `guest` what the guest sees it as.
    pub(crate) fn new(host: PathBuf, guest: String, read_only: bool) -> Self {
        Self {
            host,
            guest,
            read_only,
        }
    }

    /// Does the guest see it as `/`, which is also where its relative paths begin?
    pub(crate) fn is_root(&self) -> bool {
        self.is_at("/")
    }

    /// Its path on the host.
    pub(crate) fn host(&self) -> &Path {
        &self.host
    }

    /// Does the guest see it as this folder?
    pub(crate) fn is_at(&self, folder: &str) -> bool {
        names(&self.guest).eq(names(folder))
    }

    /// Where a folder of the host is in this one.
    pub(crate) fn place_of(&self, folder: &Path) -> Result<PathBuf> {
        let real = |path: &Path| path.canonicalize().with_context(|| cannot_open(path));
        let (inner, outer) = (real(folder)?, real(&self.host)?);
        match inner.strip_prefix(&outer) {
            Ok(place) => Ok(place.to_owned()),
            Err(_) => bail!(
                "--dir: the guest sees {} as /, and the script is not below it",
                self.host.display()
            ),
        }
    }

    /// Refuses a folder in which the guest could change what later runs trust: what they keep, and Python.
    pub(crate) fn keep_out_of(&self, python: &Python) -> Result<()> {
        if self.read_only {
            return Ok(());
        }
        // What is not there cannot be written to; opening it says so.
        let Ok(own) = self.host.canonicalize() else {
            return Ok(());
        };
        let kept = Kept::ALL.into_iter().filter_map(|kept| kept.folder().ok());
        for trusted in kept.chain(python.paths().map(Path::to_owned)) {
            let (on_the_way, place) = way(&trusted)?;
            if on_the_way.iter().any(|folder| folder.starts_with(&own)) || own.starts_with(&place) {
                bail!(
                    "--dir {}: the guest could change what later runs trust in {}; grant another folder, or this \
                     one to read only (:ro), or have that elsewhere (WASISOCKET_CACHE, WASISOCKET_PYTHON)",
                    self.host.display(),
                    trusted.display()
                );
            }
        }
        Ok(())
    }

    /// Shows it to the guest, with the Unix sockets in it.
    pub(crate) fn open(
        &self,
        wasi: &mut WasiCtxBuilder,
        sockets: SocketsCtxBuilder,
    ) -> Result<SocketsCtxBuilder> {
        let perms = if self.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        preopen(wasi, &self.host, &self.guest, perms)?;
        sockets
            .unix_folder(&self.host, &self.guest, self.read_only)
            .with_context(|| cannot_open(&self.host))
    }
}

/// The folders in which what a path leads along could be replaced: its links, what `..` leaves, and its end; and where
/// that is (path_resolution(7)).
fn way(path: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
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

/// As many as Linux follows.
const LINKS_MAX: usize = 40;

/// Shows a folder of the host to the guest, as `guest`.
pub(crate) fn preopen(
    wasi: &mut WasiCtxBuilder,
    host: &Path,
    guest: &str,
    perms: FsPerms,
) -> Result<()> {
    wasi.preopened_dir(host, guest, perms)
        .with_context(|| cannot_open(host))?;
    Ok(())
}

fn cannot_open(folder: &Path) -> String {
    format!("cannot open the folder {}", folder.display())
}

/// What a guest without a script sees as `/`. A path of its has to begin somewhere, also that of a folder
/// which was granted: `os.makedirs` looks for its parents.
pub(crate) fn empty() -> Result<PathBuf> {
    let folder = Kept::Empty.folder()?;
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// The names in a path of the guest, whose relative paths begin at `/`.
fn names(path: &str) -> impl Iterator<Item = Component<'_>> {
    Path::new(path)
        .components()
        .filter(|part| !matches!(part, Component::RootDir | Component::CurDir))
}

impl FromStr for Folder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (paths, read_only) = match text.strip_suffix(":ro") {
            Some(paths) => (paths, true),
            None => (text, false),
        };
        let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
        if host.is_empty() || guest.is_empty() {
            return Err("write HOST, HOST::GUEST or HOST::GUEST:ro".into());
        }
        Ok(Self {
            host: host.into(),
            guest: guest.into(),
            read_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    fn parse(text: &str) -> (String, String, bool) {
        let folder: Folder = text.parse().unwrap();
        (
            folder.host.display().to_string(),
            folder.guest,
            folder.read_only,
        )
    }

    #[test]
    fn way_leads_along_links_and_what_is_left_again() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        for name in ["own/sub", "py"] {
            std::fs::create_dir_all(real.join(name)).unwrap();
        }
        symlink("../py", real.join("own/link")).unwrap();
        symlink(real.join("own/link"), real.join("outer")).unwrap();
        let leads = |path: &str| {
            let (folders, place) = super::way(&real.join(path)).unwrap();
            assert_eq!(place, real.join("py"), "{path}");
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
        super::way(&real.join("loop")).unwrap();
    }

    #[test]
    fn guest_path_is_the_hosts_unless_given() {
        assert_eq!(parse("data"), ("data".into(), "data".into(), false));
        assert_eq!(parse("data:ro"), ("data".into(), "data".into(), true));
        assert_eq!(
            parse("/srv/data::/data"),
            ("/srv/data".into(), "/data".into(), false)
        );
        assert_eq!(parse(".::/data:ro"), (".".into(), "/data".into(), true));
    }

    #[test]
    fn missing_paths_are_errors() {
        for text in ["", ":ro", "::", "::/data", "data::"] {
            assert!(text.parse::<Folder>().is_err(), "{text}");
        }
    }

    #[test]
    fn root_is_known_by_its_spellings() {
        for (text, root) in [
            (".", true),
            ("./", true),
            ("x::///", true),
            ("x::/.", true),
            ("x::/", true),
            ("x", false),
            ("x::/x", false),
        ] {
            assert_eq!(text.parse::<Folder>().unwrap().is_root(), root, "{text}");
        }
    }

    #[test]
    fn folder_is_known_by_its_spellings() {
        for (text, there) in [
            ("x::/etc/ssl", true),
            ("x::/etc/ssl/", true),
            ("x::etc/./ssl", true),
            ("x::/etc", false),
            ("x::/etc/ssl/certs", false),
        ] {
            let folder: Folder = text.parse().unwrap();
            assert_eq!(folder.is_at("/etc/ssl"), there, "{text}");
        }
    }
}
