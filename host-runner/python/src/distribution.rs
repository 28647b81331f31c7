//! Where python.wasm and its standard library are.

use std::fs;
use std::path::{Path, PathBuf};

use wasmtime::{Result, bail};

use crate::folders::Folder;

/// The environment variable that names python.wasm or its folder.
pub const PYTHON_VARIABLE: &str = "WASISOCKET_PYTHON";

/// The prefix that CPython is built with.
pub(crate) const PREFIX: &str = "/usr/local";

/// The file with the interpreter.
const WASM: &str = "python.wasm";

/// From the folder of the executable to that of python.wasm, as `cargo xtask install` lays them out.
const BESIDE_EXECUTABLE: &str = "../lib/wasisocket";

/// A python.wasm with its standard library.
#[derive(Clone, Debug)]
pub struct Distribution {
    wasm: PathBuf,
    library: Vec<Folder>,
}

impl Distribution {
    /// Finds a distribution: the one of `path` (a python.wasm, or the folder that it is in) if there is one,
    /// or else that of `WASISOCKET_PYTHON`, or else `../lib/wasisocket` beside the folder of this process's
    /// executable.
    ///
    /// # Errors
    /// The path or the variable names no such file, or none of the three is there.
    pub fn find(path: Option<&Path>) -> Result<Self> {
        if let Some(path) = path {
            return Self::open(path);
        }
        let variable = std::env::var_os(PYTHON_VARIABLE).filter(|path| !path.is_empty());
        if let Some(path) = variable {
            return Self::open(Path::new(&path));
        }
        let beside = std::env::current_exe()
            .ok()
            .and_then(|executable| Some(executable.parent()?.join(BESIDE_EXECUTABLE)));
        match beside {
            Some(folder) if folder.join(WASM).is_file() => Self::open(&folder),
            _ => bail!(
                "no python.wasm: pass --python PATH, set {PYTHON_VARIABLE}, or install one beside this program \
                 (`cargo xtask install`); `cargo xtask python` builds one"
            ),
        }
    }

    /// The distribution of a python.wasm, or of the folder that it is in.
    ///
    /// The standard library is `lib/python3.N` beside python.wasm, or that of the source tree if python.wasm is in
    /// the folder that CPython was built in. Without either, folders that the guest is granted have to hold it.
    ///
    /// # Errors
    /// There is no such file.
    pub fn open(path: &Path) -> Result<Self> {
        let wasm = match path.is_dir() {
            true => path.join(WASM),
            false => path.to_owned(),
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

    /// The path of python.wasm.
    #[must_use]
    pub fn wasm(&self) -> &Path {
        &self.wasm
    }

    /// The host's path of a file of the standard library, such as `json/tool.py`.
    #[must_use]
    pub fn library_file(&self, name: &str) -> Option<PathBuf> {
        // The other folder, if there is one, is mounted below this one.
        let library = self.library.last()?;
        Some(library.host().join(name)).filter(|file| file.is_file())
    }

    /// The folders of the standard library.
    pub(crate) fn library(&self) -> &[Folder] {
        &self.library
    }

    /// python.wasm and the folders of its standard library, on the host.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        let library = self.library.iter().map(Folder::host);
        std::iter::once(self.wasm()).chain(library)
    }
}

/// `lib/python3.N` beside python.wasm.
fn installed(folder: &Path) -> Option<Vec<Folder>> {
    fs::read_dir(folder.join("lib"))
        .ok()?
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("os.py").is_file())
        .find_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let guest = format!("{PREFIX}/lib/{name}");
            name.starts_with("python3.")
                .then(|| vec![Folder::read_only(entry.path(), guest)])
        })
}

/// A folder that CPython was cross-built in, below its source: `cross-build/wasm32-wasip1`.
///
/// `pybuilddir.txt` names the folder of the build's own modules and ends in the version.
fn build_folder(folder: &Path) -> Option<Vec<Folder>> {
    let source_library = folder.join("../../Lib");
    let build_library = fs::read_to_string(folder.join("pybuilddir.txt")).ok()?;
    let version = build_library.trim().rsplit('-').next()?;
    source_library.join("os.py").is_file().then(|| {
        let library = format!("{PREFIX}/lib/python{version}");
        vec![
            // The folder of extension modules: Python warns if it does not exist.
            Folder::read_only(
                folder.join(build_library.trim()),
                format!("{library}/lib-dynload"),
            ),
            Folder::read_only(source_library, library),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::Distribution;
    use std::fs;

    #[test]
    fn distribution_is_found_by_its_folder_and_by_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("lib/python3.13");
        fs::create_dir_all(library.join("json")).unwrap();
        for file in ["os.py", "json/tool.py"] {
            fs::write(library.join(file), "").unwrap();
        }
        let wasm = folder.path().join("python.wasm");
        fs::write(&wasm, "").unwrap();
        for path in [folder.path(), &wasm] {
            let found = Distribution::find(Some(path)).unwrap();
            assert_eq!(found.wasm(), wasm);
            assert!(found.library_file("json/tool.py").is_some());
            assert!(found.library_file("json/none.py").is_none());
            let [library] = found.library() else {
                panic!("{found:?}")
            };
            assert!(library.is_at("/usr/local/lib/python3.13"));
        }
        let nowhere = folder.path().join("nowhere");
        let error = Distribution::find(Some(&nowhere)).unwrap_err().to_string();
        assert!(error.starts_with("no such file: "), "{error}");
    }
}
