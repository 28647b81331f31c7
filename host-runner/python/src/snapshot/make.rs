//! Making an image: a guest without grants starts Python, loads modules, and its memory is copied.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tracing::debug;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::engine::Shared;
use crate::guest::Guest;
use crate::program::Program;
use crate::stdio::Capture;
use crate::trusted_folder::hex;
use wasisocket_host::{SocketsView as _, limit_time};

use super::{INITIALIZE, Image, MEMORY, RESUME, format, state};

/// The most that Python writes while an image is made: the names of the files that it reads.
const OUTPUT_MAX: usize = 1 << 20;

/// The version of this format, and of what is loaded.
const VERSION: &str = "image 1";

impl Image {
    /// The name of an image in the cache.
    pub(crate) fn name(wasm_hash: &str, library: &[PathBuf]) -> String {
        let mut hash = Sha256::new();
        hash.update(format!("{VERSION}\n{wasm_hash}\n"));
        for folder in library {
            hash.update(format!("{}\n", folder.display()));
        }
        format!("{}.image", hex(&hash.finalize()))
    }

    /// Whether images can be made of this module: it has the functions for that.
    pub(crate) fn is_possible(shared: &Shared) -> bool {
        let has = |name| shared.module.get_export(name).is_some();
        has(INITIALIZE) && has(RESUME)
    }

    /// Makes an image, whose hash secret nobody else has. The calling thread needs a guest's stack.
    ///
    /// # Errors
    /// The module has state beside its memory, or Python did not start.
    pub(crate) fn make(shared: &Shared) -> Result<Vec<u8>> {
        let started = std::time::Instant::now();
        state::check(&fs::read(shared.distribution.wasm())?)?;
        let (stdout, stderr) = (Capture::new(OUTPUT_MAX), Capture::new(OUTPUT_MAX));
        let program = Program::default().stdout(&stdout).stderr(&stderr);
        let (mut store, clock) = shared.store(program, false)?;
        if shared.has_time_limits {
            limit_time(&mut store, Guest::sockets);
        }
        let instance = shared.blocking()?.instantiate(&mut store)?;
        let initialize = instance.get_typed_func::<(), ()>(&mut store, INITIALIZE)?;
        let done = clock.run(|| initialize.call(&mut store, ()));
        let written = String::from_utf8_lossy(&stderr.bytes()).into_owned();
        done.with_context(|| format!("Python could not be started for an image: {written}"))?;
        if !written.is_empty() {
            bail!("Python wrote while an image was made: {written}");
        }
        let memory = instance
            .get_memory(&mut store, MEMORY)
            .context("the guest exports no memory")?;
        let listed = String::from_utf8_lossy(&stdout.bytes()).into_owned();
        let sources: Vec<_> = listed
            .lines()
            .filter_map(|path| on_host(shared, path))
            .collect();
        let image = format::write(memory.data(&store), &sources);
        debug!(elapsed = ?started.elapsed(), files = sources.len(), bytes = image.len(), "image made");
        Ok(image)
    }
}

/// The host's path of a file of the standard library.
fn on_host(shared: &Shared, path: &str) -> Option<PathBuf> {
    let library = shared.distribution.library();
    // The first that fits: inner folders are mounted before outer ones.
    library.iter().find_map(|folder| {
        let relative = Path::new(path).strip_prefix(folder.guest()).ok()?;
        Some(folder.host().join(relative))
    })
}
