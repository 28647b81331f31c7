//! The cache folder: what later runs read again.

use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::trusted_folder::TrustedFolder;

/// The environment variable that names the cache folder.
pub const CACHE_VARIABLE: &str = "WASISOCKET_CACHE";

/// A folder of the host where runs keep compiled modules and the guests' `/etc` for later runs.
///
/// Later runs trust what is in it: compiled modules are machine code. So they are written to a folder in it that only
/// this user may use, and are not read from one that belongs to another user or that others may use. A guest that is
/// granted a folder for writing from which it could change the cache is not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

/// A folder in the cache.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    /// Compiled modules: machine code.
    Modules,
    /// What guests see as `/etc`, with the certificates that they trust.
    Etc,
    /// An empty folder: what a guest sees as `/` if it is granted nothing else there.
    Empty,
    /// The folder of an empty file `python3`, which guests see as `sys.executable`.
    Executable,
    /// Packages of lock files, which the Python package installs.
    Packages,
}

impl Part {
    pub(crate) const ALL: [Self; 5] = [
        Self::Modules,
        Self::Etc,
        Self::Empty,
        Self::Executable,
        Self::Packages,
    ];
}

impl Cache {
    /// The cache in this folder, which need not exist yet.
    ///
    /// # Errors
    /// The path is relative and there is no current folder, or it is empty.
    pub fn new(root: impl AsRef<Path>) -> Result<Self> {
        let root = std::path::absolute(root).context("the cache folder")?;
        Ok(Self { root })
    }

    /// The folder that `WASISOCKET_CACHE` names, or else `wasisocket` in the user's cache folder
    /// (`$XDG_CACHE_HOME`, `~/.cache`).
    ///
    /// # Errors
    /// There is neither the variable nor a home folder.
    pub fn from_env() -> Result<Self> {
        if let Some(root) = std::env::var_os(CACHE_VARIABLE).filter(|root| !root.is_empty()) {
            return Self::new(root).context(CACHE_VARIABLE);
        }
        let folders = etcetera::choose_base_strategy()
            .with_context(|| format!("no home folder: set {CACHE_VARIABLE}"))?;
        Self::new(folders.cache_dir().join("wasisocket"))
    }

    /// Its path, whether it exists or not.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// A folder in it for the embedder, which is made if there is none. Nobody else can look into it.
    ///
    /// # Errors
    /// It cannot be made or opened, it belongs to another user, or others have rights to it.
    pub fn private_folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.root.join(name);
        TrustedFolder::open(&path)?;
        Ok(path)
    }

    /// The path of a part, whether it exists or not.
    pub(crate) fn folder(&self, part: Part) -> PathBuf {
        self.root.join(match part {
            Part::Modules => "compiled",
            Part::Etc => "etc",
            Part::Empty => "empty",
            Part::Executable => "bin",
            Part::Packages => "packages",
        })
    }
}
