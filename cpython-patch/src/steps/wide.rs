//! OpenSSL's arithmetic of large numbers, compiled for WebAssembly's wide arithmetic: `i64.mul_wide_u` and its like.
//!
//! The SDK's clang has no such instructions, the LLVM of Rust's compiler has. So clang compiles these files to LLVM
//! bitcode, with [`Libraries`], and the linker that comes with Rust makes one object of them. RSA, ECDSA and key
//! exchanges are up to ten times as fast with it. It is for the default profile: other hosts may not know the
//! instructions.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::process;
use crate::steps::guest::Guest;
use crate::steps::libraries::Libraries;
use crate::steps::recipe;
use crate::steps::{Entry, Job, Step};

const OBJECT: &str = "wide.o";

/// The object.
pub(crate) struct Wide {
    /// `None` where Rust's compiler came without its linker: then OpenSSL's other objects are used.
    pub(crate) object: Option<Entry>,
}

impl Wide {
    /// Where the object is.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let object = self.object.as_ref()?;
        Some(object.folder.join(OBJECT))
    }
}

/// The linker in the folder of Rust's compiler, of whatever machine it is for.
fn linker(guest: &Guest) -> Result<Option<PathBuf>> {
    let hosts = fs::read_dir(guest.rust.sysroot()?.join("lib/rustlib"));
    let linkers = hosts?.filter_map(|host| Some(host.ok()?.path().join("bin/rust-lld")));
    Ok(linkers.into_iter().find(|linker| linker.is_file()))
}

impl Step for Wide {
    const NAME: &'static str = "wide";
    const TITLE: &'static str = "wide arithmetic";
    type Inputs = (Arc<Guest>, Arc<Libraries>);

    fn keys(_: &Build, (guest, libraries): &Self::Inputs) -> Result<Option<Vec<Key>>> {
        let mut keys = Vec::new();
        if linker(guest)?.is_some() {
            let mut key = KeyBuilder::new("wide 1").text("rustc", &guest.rust.version);
            for library in &libraries.0 {
                key = key.key(&library.name, &library.key);
            }
            keys.push(key.finish());
        }
        Ok(Some(keys))
    }

    fn make(job: &Job<'_>, (guest, libraries): &Self::Inputs) -> Result<()> {
        let mut objects = Vec::new();
        for library in &libraries.0 {
            objects.extend(recipe::bitcode(&library.folder)?);
        }
        let linker = linker(guest)?.context("the linker vanished")?;
        let mut link = Command::new(linker);
        // All of LLVM's code for WebAssembly uses a feature if one function asks for it, as that of wide.ll does.
        link.args(["-flavor", "wasm", "-r", "--lto-O3"])
            .args(objects)
            .arg("-o")
            .arg(job.folder.join(OBJECT));
        process::run(job.running, &mut link)
    }

    fn open(_: &Build, _: &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        let object = entries.into_iter().next();
        Ok(Self { object })
    }

    fn describe(&self) -> String {
        match self.path() {
            Some(object) => object.display().to_string(),
            None => "none: Rust's compiler has no rust-lld".to_owned(),
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.path().into_iter().collect()
    }
}
