//! The C libraries of CPython's modules, for wasm32-wasip1. Each is a recipe in libraries/.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::build::Build;
use crate::cache::Key;
use crate::metadata::Metadata;
use crate::steps::recipe::Recipe;
use crate::steps::sdk::Sdk;
use crate::steps::{Entry, Job, Step};

/// One built library.
pub(crate) struct Library {
    pub(crate) name: String,
    /// If its headers name one.
    pub(crate) version: Option<String>,
    pub(crate) licence: String,
    /// Contains include/, lib/ and licences/.
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
}

/// All of them, sorted by the names of their recipes.
pub(crate) struct Libraries(pub(crate) Vec<Library>);

impl Step for Libraries {
    const NAME: &'static str = "libraries";
    const TITLE: &'static str = "C libraries";
    const HELP: Option<&'static str> =
        Some("Build OpenSSL, zlib, bzip2, xz and SQLite for the guest, and print their folders");
    type Inputs = (Arc<Sdk>,);

    fn keys(build: &Build, (sdk,): &Self::Inputs) -> Result<Option<Vec<Key>>> {
        let lock = build.checkout("Cargo.lock");
        let locked: toml::Table = fs::read_to_string(&lock)?
            .parse()
            .with_context(|| lock.display().to_string())?;
        let keys = Recipe::all(build)?.into_iter().map(|recipe| {
            let key = recipe.key(build, sdk, &locked)?;
            Ok(key.prefixed(&recipe.name))
        });
        keys.collect::<Result<_>>().map(Some)
    }

    fn make(job: &Job<'_>, (sdk,): &Self::Inputs) -> Result<()> {
        let target = &job.build.pins.rust.target;
        let packages = Metadata::read(job.build, Path::new("rustc"), target)?;
        let recipes = Recipe::all(job.build)?;
        let recipe = recipes.get(job.index).context("a recipe vanished")?;
        recipe.make(job, sdk, &packages)
    }

    fn open(build: &Build, _: &Self::Inputs, entries: Vec<Entry>) -> Result<Self> {
        let libraries = Recipe::all(build)?.into_iter().zip(entries);
        let libraries = libraries.map(|(recipe, Entry { folder, key })| {
            Ok(Library {
                version: recipe.version_in(&folder)?,
                name: recipe.name,
                licence: recipe.licence,
                folder,
                key,
            })
        });
        libraries.collect::<Result<_>>().map(Self)
    }

    fn describe(&self) -> String {
        let names = self.0.iter().map(|library| match &library.version {
            Some(version) => format!("{} {version}", library.name),
            None => library.name.clone(),
        });
        names.collect::<Vec<_>>().join(", ")
    }

    fn paths(&self) -> Vec<PathBuf> {
        let folders = self.0.iter().map(|library| library.folder.clone());
        folders.collect()
    }
}
