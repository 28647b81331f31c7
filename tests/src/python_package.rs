//! The Python package `wasisocket`, for native CPython.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use crate::guest::built;

/// The package, from its sources and the module that was built, in a temporary folder.
#[derive(Debug)]
pub struct PythonPackage(TempDir);

impl PythonPackage {
    /// Puts it together.
    ///
    /// # Panics
    /// It was not built.
    #[must_use]
    pub fn assemble() -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let package = folder.path().join("wasisocket");
        fs::create_dir(&package).expect("it is new");
        let sources = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../host-runner/python-package/wasisocket"
        );
        for file in fs::read_dir(sources).expect("they are in the checkout") {
            let file = file.expect("it can be read");
            symlink(file.path(), package.join(file.file_name())).expect("it is new");
        }
        let module = built("WASISOCKET_NATIVE_MODULE");
        symlink(module, package.join("_native.abi3.so")).expect("it is new");
        symlink(built("WASISOCKET_PYTHON"), package.join("guest")).expect("it is new");
        Self(folder)
    }

    /// The folder for `PYTHONPATH`.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}
