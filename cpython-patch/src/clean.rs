//! `cargo xtask clean`: removing what the cache holds.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::build::Build;
use crate::cache::{COMPLETE, Cache};
use crate::doctor;
use crate::nginx;
use crate::progress::human_bytes;
use crate::site_packages;
use crate::tree;

/// Folders with one entry per key.
const STEPS: &[&str] = &[
    "sdk",
    "source",
    "native",
    "openssl",
    "libraries",
    "wasm",
    "guest",
    "python",
    "host",
    nginx::NAME,
    site_packages::NAME,
];

/// Folders that are made again without asking. The first three are the command `wasisocket`'s.
const OTHERS: &[&str] = &["modules", "certificates", "empty", "target", "logs", "apt"];

pub(crate) fn clean(build: &Build, old: bool, downloads: bool) -> Result<()> {
    let root = build.cache.root();
    let in_use = if old {
        doctor::in_use(build)?
    } else {
        Vec::new()
    };
    let mut freed = 0;
    for step in STEPS {
        let folder = root.join(step);
        // Without a result of today's inputs, nothing says which of the others is old.
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
    // First what makes it count, so that being stopped here leaves nothing that looks finished.
    tree::remove(&entry.join(COMPLETE))?;
    let gone = entry.with_extension("tmp");
    if gone != entry {
        tree::remove(&gone)?;
        fs::rename(entry, &gone)?;
    }
    remove(&gone)
}
