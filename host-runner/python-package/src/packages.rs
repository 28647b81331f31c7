//! Folders with the packages of lock files, in the cache: installed once, and mounted for reading from then on.

use std::fmt::Display;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use rustix::fs::syncfs;
use rustix::process::geteuid;
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
    let complete = own_folder(&cache.path().join(COMPLETE))?;
    let place = complete.join(name(engine, &text)?);
    if !place.is_dir() {
        // Who wants the same one waits for it.
        static INSTALLING: Mutex<()> = Mutex::new(());
        let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
        let incomplete = own_folder(&cache.path().join(INCOMPLETE))?;
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

/// Opens the folder, and makes it if there is none. What is in it is what guests run, so nobody else may write there.
fn own_folder(path: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let mode = metadata.mode() & 0o777;
    let is_own = metadata.is_dir() && metadata.uid() == geteuid().as_raw() && mode & 0o077 == 0;
    match is_own {
        true => Ok(path.to_owned()),
        false => Err(io::Error::other(format!(
            "{} belongs to user {} and has mode {mode:o}; only its owner may use it (chmod 700)",
            path.display(),
            metadata.uid()
        ))),
    }
}

fn name(engine: &Engine, lock: &str) -> PyResult<String> {
    static WASM: OnceLock<[u8; 32]> = OnceLock::new();
    let wasm = match WASM.get() {
        Some(wasm) => wasm,
        None => {
            let content = fs::read(engine.distribution().wasm())?;
            WASM.get_or_init(|| Sha256::digest(content).into())
        }
    };
    let hash = Sha256::new().chain_update(wasm).chain_update(lock);
    let hash = hash.finalize();
    Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
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
