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
        let kept = Kept::ALL.into_iter().filter_map(|kept| kept.folder().ok());
        for trusted in kept.chain(python.paths().map(Path::to_owned)) {
            // What is not there cannot be written to; opening it says so.
            let Ok(own) = self.host.canonicalize() else {
                continue;
            };
            let (links, place) = way(&trusted)?;
            let can_be_replaced = links
                .iter()
                .chain([&place])
                .any(|on_the_way| on_the_way.starts_with(&own));
            if can_be_replaced || own.starts_with(&place) {
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

/// The links that a path leads along, each where it is, and where it ends: path_resolution(7).
fn way(path: &Path) -> Result<(Vec<PathBuf>, PathBuf)> {
    let mut links = Vec::new();
    let mut at = PathBuf::new();
    let path = std::path::absolute(path)?;
    let names = |path: &Path| {
        path.components()
            .rev()
            .map(|name| PathBuf::from(name.as_os_str()))
            .collect::<Vec<_>>()
    };
    let mut rest = names(&path);
    while let Some(name) = rest.pop() {
        if name.as_os_str() == ".." {
            at.pop();
            continue;
        }
        // The root takes the place of all before it.
        let next = at.join(name);
        match fs::read_link(&next) {
            Ok(target) if links.len() < LINKS_MAX => {
                rest.extend(names(&target));
                links.push(next);
            }
            _ => at = next,
        }
    }
    Ok((links, at))
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
