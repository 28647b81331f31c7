//! Where python.wasm and its standard library are.

use std::fs;
use std::path::{Path, PathBuf};

use wasmtime::{Result, bail};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::folders;

pub(crate) const PYTHON_VARIABLE: &str = "WASISOCKET_PYTHON";

/// The prefix that CPython is built with.
const PREFIX: &str = "/usr/local";

/// A python.wasm with its standard library.
#[derive(Debug)]
pub(crate) struct Python {
    wasm: PathBuf,
    /// Host folders, and the guest's name for each.
    library: Vec<(PathBuf, String)>,
}

impl Python {
    /// From a python.wasm or its folder.
    pub(crate) fn find(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            bail!(
                "no python.wasm: pass --python PATH or set {PYTHON_VARIABLE}; `cargo xtask python` builds one"
            );
        };
        let wasm = if path.is_dir() {
            path.join("python.wasm")
        } else {
            path.to_owned()
        };
        if !wasm.is_file() {
            bail!("no such file: {}", wasm.display());
        }
        let folder = fs::canonicalize(&wasm)
            .ok()
            .and_then(|wasm| wasm.parent().map(Path::to_owned))
            .unwrap_or_default();
        let library = installed(&folder)
            .or_else(|| build_folder(&folder))
            .unwrap_or_default();
        Ok(Self { wasm, library })
    }

    pub(crate) fn wasm(&self) -> &Path {
        &self.wasm
    }

    /// Its file, and the folders of its standard library.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let library = self.library.iter().map(|(host, _)| host.as_path());
        std::iter::once(self.wasm()).chain(library)
    }

    /// A file of the standard library.
    pub(crate) fn library_file(&self, name: &str) -> Option<PathBuf> {
        // The other folder, if there is one, is below it.
        let (library, _) = self.library.last()?;
        Some(library.join(name)).filter(|file| file.is_file())
    }

    /// Shows the standard library to the guest, to read only. Where none lies beside python.wasm, the
    /// guest's own folders have to hold it.
    pub(crate) fn mount(&self, wasi: &mut WasiCtxBuilder) -> Result<()> {
        for (host, guest) in &self.library {
            folders::preopen(wasi, host, guest, FsPerms::ReadOnly)?;
        }
        Ok(())
    }
}

/// `lib/python3.N` beside python.wasm.
fn installed(folder: &Path) -> Option<Vec<(PathBuf, String)>> {
    fs::read_dir(folder.join("lib"))
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("os.py").is_file())
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            name.starts_with("python3.")
                .then(|| vec![(entry.path(), format!("{PREFIX}/lib/{name}"))])
        })
}

/// A folder that CPython was cross-built in, below its source: `cross-build/wasm32-wasip1`.
///
/// `pybuilddir.txt` names the folder of the build's own modules and ends in the version.
fn build_folder(folder: &Path) -> Option<Vec<(PathBuf, String)>> {
    let source_library = folder.join("../../Lib");
    let build_library = fs::read_to_string(folder.join("pybuilddir.txt")).ok()?;
    let version = build_library.trim().rsplit('-').next()?;
    source_library.join("os.py").is_file().then(|| {
        let library = format!("{PREFIX}/lib/python{version}");
        vec![
            // The folder of extension modules: Python warns if it is not there.
            (
                folder.join(build_library.trim()),
                format!("{library}/lib-dynload"),
            ),
            (source_library, library),
        ]
    })
}
