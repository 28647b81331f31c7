//! Folders with the packages of lock files, in the cache: installed once, and mounted for reading from then on.

use std::fmt::Display;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use rustix::fs::syncfs;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use wasisocket_cli::Lock;
use wasisocket_python::{Cache, Python as Engine};

/// The folder in the cache. Each folder in it is named after the SHA-256 of the lock and of the python.wasm.
const COMPLETE: &str = "packages";

/// The folder in the cache with what is not complete yet. It is another one, because guests write to it.
const INCOMPLETE: &str = "packages-incomplete";

/// How long an incomplete one stays: a process may be filling it, which takes a quarter of an hour at most.
const INCOMPLETE_AGE: Duration = Duration::from_secs(3600);

/// How long a complete one stays that no sandbox was opened with.
const UNUSED_AGE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How old the record of the last use may get.
const USED: Duration = Duration::from_secs(24 * 3600);

/// The folders with the packages: in place of a lock file, that of the cache, which is filled if there is none.
pub(crate) fn folders(engine: &Engine, packages: Vec<PathBuf>) -> PyResult<Vec<PathBuf>> {
    let folder = |path: PathBuf| match path.is_file() {
        true => locked(engine, &path),
        false => Ok(path),
    };
    packages.into_iter().map(folder).collect()
}

fn locked(engine: &Engine, file: &Path) -> PyResult<PathBuf> {
    let named = |error: &dyn Display| format!("{}: {error:#}", file.display());
    let failed = |error: &dyn Display| PyOSError::new_err(named(error));
    let text = fs::read_to_string(file).map_err(|error| failed(&error))?;
    let lock = Lock::parse(&text).map_err(|error| PyValueError::new_err(named(&error)))?;
    let cache = Cache::from_env().map_err(|error| failed(&error))?;
    let complete = cache.private_folder(COMPLETE)?;
    let wasm = engine.wasm_hash().map_err(|error| failed(&error))?;
    let place = complete.join(name(&wasm, &text));
    if !place.is_dir() {
        // Who wants the same one waits for it.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let incomplete = cache.private_folder(INCOMPLETE)?;
        remove_old(&complete, &incomplete);
        if !place.is_dir() {
            install(engine, &lock, &incomplete, &place).map_err(|error| failed(&error))?;
        }
    }
    record_use(&place);
    Ok(place)
}

/// Installs the packages into a new folder that is then moved to its place, where it is complete, whatever ends this
/// process.
fn install(engine: &Engine, lock: &Lock, incomplete: &Path, place: &Path) -> Result<(), String> {
    let folder = TempDir::new_in(incomplete);
    let folder = folder.map_err(|error| format!("{}: {error}", incomplete.display()))?;
    lock.install(engine, folder.path())
        .map_err(|error| format!("{error:#}"))?;
    // Also after a loss of power.
    let synced = File::open(folder.path()).and_then(|folder| Ok(syncfs(&folder)?));
    match synced.and_then(|()| fs::rename(folder.path(), place)) {
        Ok(()) => {
            // Nothing is left to be removed.
            let _ = folder.keep();
            Ok(())
        }
        // Another process was faster.
        Err(_) if place.is_dir() => Ok(()),
        Err(error) => Err(format!("{}: {error}", place.display())),
    }
}

fn name(wasm: &str, lock: &str) -> String {
    let hash = Sha256::new().chain_update(wasm).chain_update(lock);
    let hash = hash.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As the time of its last change.
fn record_use(place: &Path) {
    // A read-only cache is no reason not to run.
    if is_older(place, USED)
        && let Ok(folder) = File::open(place)
    {
        let _ = folder.set_modified(SystemTime::now());
    }
}

/// Removes what was left incomplete, and what was not used for long.
fn remove_old(folder: &Path, incomplete: &Path) {
    for unused in older(folder, UNUSED_AGE) {
        // Nobody finds half of one.
        if let Some(name) = unused.file_name() {
            let _ = fs::rename(&unused, incomplete.join(name));
        }
    }
    for left in older(incomplete, INCOMPLETE_AGE) {
        // Another process may have been faster.
        let _ = fs::remove_dir_all(left);
    }
}

/// What is in a folder and has not changed for so long.
fn older(folder: &Path, than: Duration) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.filter(move |path| is_older(path, than))
}

fn is_older(path: &Path, than: Duration) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > than))
}
