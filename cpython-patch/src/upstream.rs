//! The source of another project: the user's tree or archive, or the pinned release from Debian or the
//! project.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::{self, OtherSuite};
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::fetch;
use crate::pins::Release;
use crate::progress::{Running, human_bytes};
use crate::tree;

/// Where a source comes from, with the hash of its content.
pub(crate) enum Input<'a> {
    Tree { folder: PathBuf, content: Key },
    Archive { file: PathBuf, sha256: String },
    Pinned(&'a Release),
}

/// A project whose source is needed.
pub(crate) struct Upstream<'a> {
    pub(crate) pin: &'a Release,
    /// The option that names the user's own source, such as `--cpython`, and its value.
    pub(crate) option: &'a str,
    pub(crate) given: Option<&'a Path>,
    /// False for files that a build left in the user's tree.
    pub(crate) is_source: &'a dyn Fn(&Path) -> bool,
}

impl<'a> Upstream<'a> {
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
        running: &Running,
        input: &Input<'_>,
        folder: &Path,
    ) -> Result<()> {
        let archive = match input {
            Input::Tree { folder: from, .. } => {
                running.note(&format!("copying {}", from.display()));
                return tree::copy(from, folder, self.is_source);
            }
            Input::Archive { file, .. } => {
                running.note(&format!("unpacking {}", file.display()));
                file.clone()
            }
            Input::Pinned(_) => self.fetch(build, running)?,
        };
        let mut commands = vec!["tar"];
        if archive.extension() == Some("xz".as_ref()) {
            commands.push("xz");
        }
        apt::require(build, running, &commands)?;
        fs::create_dir_all(folder)?;
        fetch::unpack(running, &archive, folder)
    }

    /// The pinned release archive.
    fn fetch(&self, build: &Build, running: &Running) -> Result<PathBuf> {
        let pin = self.pin;
        fetch::cached(build, running, &pin.debian_file, &pin.sha256, |target| {
            let size = human_bytes(pin.size);
            running.note(&format!("fetching {pin} ({size})"));
            let debian = || {
                let suite = OtherSuite::open(build, running)?;
                let scratch = build.cache.folder("apt/packages")?;
                suite.source(running, &pin.debian_source, &scratch)?;
                fetch::accept(&scratch.join(&pin.debian_file), target, &pin.sha256)
            };
            let Err(debian) = debian() else {
                return Ok(());
            };
            running.note("not from Debian's source package: trying the project's own archive");
            fetch::download(running, &pin.url, target, &pin.sha256).with_context(|| {
                format!(
                    "no source of {pin}: give a source tree or archive of it with {} DIR|TARBALL, or make \
                     one of these possible.\nDebian's source package: {debian:#}\nThe release archive",
                    self.option
                )
            })
        })
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
