//! What runs keep for later ones, in `$WASISOCKET_CACHE`.

use std::path::PathBuf;

use etcetera::BaseStrategy as _;
use wasmtime::Result;
use wasmtime::error::Context as _;

/// A folder of the cache. Later runs trust what is in it, so no guest may write there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept {
    /// Compiled modules: machine code.
    Modules,
    /// What guests see as `/etc`, with the certificates that they trust.
    Etc,
    /// Nothing: what a guest without a script sees as `/`.
    Empty,
}

impl Kept {
    pub(crate) const ALL: [Self; 3] = [Self::Modules, Self::Etc, Self::Empty];

    /// Its path, whether it is there or not.
    pub(crate) fn folder(self) -> Result<PathBuf> {
        Ok(cache_folder()?.join(match self {
            Self::Modules => "modules",
            Self::Etc => "etc",
            Self::Empty => "empty",
        }))
    }
}

/// `$WASISOCKET_CACHE`, or `wasisocket` in the user's cache folder.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("WASISOCKET_CACHE").filter(|folder| !folder.is_empty()) {
        return std::path::absolute(&folder).context("WASISOCKET_CACHE");
    }
    let folders =
        etcetera::choose_base_strategy().context("no home folder: set WASISOCKET_CACHE")?;
    Ok(folders.cache_dir().join("wasisocket"))
}
