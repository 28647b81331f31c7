//! The file of `wasisocket run --profile`.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use wasisocket_python::Profiler;
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::say;

/// A file for a profile, which is written once: at the guest's end, or when a signal or a limit ends this process.
#[derive(Clone)]
pub(crate) struct ProfileFile {
    path: PathBuf,
    profiler: Profiler,
    file: Arc<Mutex<Option<File>>>,
}

impl ProfileFile {
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("--profile {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            profiler: Profiler::new(),
            file: Arc::new(Mutex::new(Some(file))),
        })
    }

    pub(crate) fn profiler(&self) -> Profiler {
        self.profiler.clone()
    }

    /// Writes it, unless that was done.
    pub(crate) fn write(&self) {
        // Who comes second waits until it is written: it may end this process then.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = file.take() else {
            return;
        };
        let write = || -> io::Result<()> {
            let mut output = BufWriter::new(file);
            self.profiler.write(&mut output)?;
            output.flush()
        };
        if let Err(error) = write() {
            say(format_args!("--profile {}: {error}", self.path.display()));
        }
    }
}
