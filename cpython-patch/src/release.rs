//! A project's source: the user's tree or archive, or the pinned release from Debian or the project.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::{self, OtherSuite};
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::fetch;
use crate::pins::Release;
use crate::progress::{Step, human_bytes};
use crate::tree;

/// Where a source comes from, with the content that makes its key.
pub(crate) enum Input<'a> {
    Tree { folder: PathBuf, content: Key },
    Archive { file: PathBuf, sha256: String },
    Pinned(&'a Release),
}

/// What is asked for of a project.
pub(crate) struct Project<'a> {
    pub(crate) pin: &'a Release,
    /// The option that names the user's own, such as `--cpython`, and what was given to it.
    pub(crate) option: &'static str,
    pub(crate) given: Option<&'a Path>,
    /// Tells source files from what a build left in the user's tree.
    pub(crate) is_source: fn(&Path) -> bool,
}

impl<'a> Project<'a> {
    pub(crate) fn input(&self) -> Result<Input<'a>> {
        let Some(path) = self.given else {
            return Ok(Input::Pinned(self.pin));
        };
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find {} {}", self.option, path.display()))?;
        if path.is_dir() {
            let content = KeyBuilder::new("tree")
                .tree(&path, self.is_source)?
                .finish();
            return Ok(Input::Tree {
                folder: path,
                content,
            });
        }
        let sha256 = fetch::sha256(&path)?;
        Ok(Input::Archive { file: path, sha256 })
    }

    /// Unpacks or copies the source into `folder`.
    pub(crate) fn unpack(
        &self,
        build: &Build,
        step: &Step,
        input: &Input<'_>,
        folder: &Path,
    ) -> Result<()> {
        let archive = match input {
            Input::Tree { folder: from, .. } => {
                step.note(&format!("copying {}", from.display()));
                return tree::copy(from, folder, &self.is_source);
            }
            Input::Archive { file, .. } => {
                step.note(&format!("unpacking {}", file.display()));
                file.clone()
            }
            Input::Pinned(_) => self.fetch(build, step)?,
        };
        let mut commands = vec!["tar"];
        if archive.extension() == Some("xz".as_ref()) {
            commands.push("xz");
        }
        apt::require(build, step, &commands)?;
        fs::create_dir_all(folder)?;
        fetch::unpack(step, &archive, folder)
    }

    /// The pinned release archive.
    fn fetch(&self, build: &Build, step: &Step) -> Result<PathBuf> {
        let pin = self.pin;
        let _lock = build.cache.lock("downloads", step)?;
        let downloads = build.cache.folder("downloads")?;
        if let Some(path) = fetch::present(&downloads, &pin.debian_file, &pin.sha256)? {
            return Ok(path);
        }
        let target = downloads.join(&pin.debian_file);
        let size = human_bytes(pin.size);
        step.note(&format!("fetching {pin} ({size})"));
        let debian = || {
            let suite = OtherSuite::open(build, step)?;
            let scratch = build.cache.folder("apt/packages")?;
            suite.source(step, &pin.debian_source, &scratch)?;
            fetch::accept(&scratch.join(&pin.debian_file), &target, &pin.sha256)
        };
        let Err(debian) = debian() else {
            return Ok(target);
        };
        step.note("not from Debian's source package: trying the project's own archive");
        fetch::download(step, &pin.url, &target, &pin.sha256).with_context(|| {
            format!(
                "no source of {pin}: give a source tree or archive of it with {} DIR|TARBALL, or make \
                 one of these possible.\nDebian's source package: {debian:#}\nThe release archive",
                self.option
            )
        })?;
        Ok(target)
    }
}

impl Input<'_> {
    pub(crate) fn key(&self, recipe: &str) -> Key {
        let key = KeyBuilder::new(recipe);
        match self {
            Self::Tree { content, .. } => key.key("tree", content),
            Self::Archive { sha256, .. } => key.text("archive", sha256),
            Self::Pinned(pin) => key.text("archive", &pin.sha256),
        }
        .finish()
    }
}
