//! `cargo xtask clean`: removes parts of the cache.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::Build;
use crate::cache::{COMPLETE, Cache};
use crate::progress::human_bytes;
use crate::steps;
use crate::tasks::doctor;
use crate::tree;

/// Folders that are not results of a step. They are made again when needed; the first four are those of the
/// command `wasisocket`. `openssl` is left by older versions of this driver.
const OTHERS: &[&str] = &[
    "modules",
    "certificates",
    "empty",
    "etc",
    "target",
    "logs",
    "apt",
    "bench",
    "openssl",
];

pub(crate) fn clean(build: &Build, old: bool, downloads: bool) -> Result<()> {
    let root = build.cache.root();
    let in_use = if old {
        doctor::in_use(build)
    } else {
        Vec::new()
    };
    let mut freed = 0;
    for step in steps::ALL {
        let step = step.name;
        let folder = root.join(step);
        // If no result of today's inputs is known, it is unknown which of the results are old.
        let known = in_use.iter().any(|path| path.starts_with(&folder));
        if old && !known {
            continue;
        }
        for entry in entries(&folder) {
            if !in_use.contains(&entry) {
                freed += remove_entry(build, step, &entry)?;
            }
        }
    }
    let mut folders = if old { Vec::new() } else { OTHERS.to_vec() };
    if downloads {
        folders.push("downloads");
    }
    for folder in folders {
        freed += remove(&root.join(folder))?;
    }
    println!("freed {} in {}", human_bytes(freed), root.display());
    Ok(())
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn remove(path: &Path) -> Result<u64> {
    let size = tree::size(path);
    tree::remove(path)?;
    Ok(size)
}

/// Removes one result, unless a build is at work on it.
fn remove_entry(build: &Build, step: &str, entry: &Path) -> Result<u64> {
    let key = entry.file_stem().unwrap_or_default().to_string_lossy();
    let Some(_lock) = build.cache.try_lock(&Cache::lock_name(step, &key))? else {
        println!("kept {}: a build is using it", entry.display());
        return Ok(0);
    };
    // The stamp first, so that an interruption leaves nothing that looks finished.
    tree::remove(&entry.join(COMPLETE))?;
    let gone = entry.with_extension("tmp");
    if gone != entry {
        tree::remove(&gone)?;
        fs::rename(entry, &gone)?;
    }
    remove(&gone)
}
