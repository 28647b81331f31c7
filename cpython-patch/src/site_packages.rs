//! The packages of `tests/packages/requirements.txt`, which guests of the tests import, and a native Python that
//! imports them, too, to compare with.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::build::Build;
use crate::cache::{Key, KeyBuilder};
use crate::pipeline::Python;
use crate::process;
use crate::progress::{Stage, Step};
use crate::tree;

pub(crate) const NAME: &str = "site";
const REQUIREMENTS: &str = "tests/packages/requirements.txt";

/// Some of the packages come for one platform each. Whichever is taken: what is compiled of it is left out.
const WHEELS: &[&str] = &[
    "--platform=manylinux2014_x86_64",
    "--implementation=cp",
    "--python-version=3.13",
];

/// What the packages need.
const SUITABLE: &str = "import ssl, sys; sys.exit(sys.version_info < (3, 11))";

pub(crate) struct SitePackages {
    pub(crate) folder: PathBuf,
    pub(crate) python: PathBuf,
}

fn key(build: &Build) -> Result<Key> {
    Ok(KeyBuilder::new("site 1")
        .file(&build.checkout(REQUIREMENTS))?
        .finish())
}

/// The packages, if they were installed.
pub(crate) fn existing(build: &Build) -> Result<Option<PathBuf>> {
    Ok(build.cache.published(NAME, &key(build)?))
}

/// The build-python, which has the guest's version, or the first `python3` in `path` that suits.
fn suitable(build_python: &Path, path: &OsStr, suits: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let others = std::env::split_paths(path).map(|folder| folder.join("python3"));
    std::iter::once(build_python.to_owned())
        .chain(others)
        .find(|python| python.is_file() && suits(python))
}

fn native_python(build: &Build, product: &Python) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where the machine had no headers of OpenSSL, the build-python has no ssl.
    suitable(&product.native.python, &path, |python| {
        process::output(build.tool(python).args(["-c", SUITABLE])).is_ok()
    })
}

/// Installs what is missing: the packages by pip in the guest, from the index that pip is configured for.
pub(crate) fn ensure(build: &Build, product: &Python, host: &Path) -> Result<SitePackages> {
    if let (Some(folder), Some(python)) = (existing(build)?, native_python(build, product)) {
        let what = folder.display().to_string();
        build.progress.up_to_date(Stage::SitePackages, &what);
        return Ok(SitePackages { folder, python });
    }
    let key = key(build)?;
    let step = build
        .progress
        .begin(Stage::SitePackages, NAME, &key, &build.cache)?;
    let python = match native_python(build, product) {
        Some(python) => python,
        None => {
            let why = "no python3 in PATH is 3.11 or later and has ssl";
            apt::install(build, &step, &["python3".to_owned()], why)?;
            native_python(build, product).context(why)?
        }
    };
    let folder = build.cache.publish(NAME, &key, &step, |folder| {
        let mut pip = Command::new(host);
        pip.arg("pip").arg("--python").arg(&product.folder);
        install(&step, &mut pip, &build.checkout(REQUIREMENTS), folder)
    })?;
    step.done();
    Ok(SitePackages { folder, python })
}

fn install(step: &Step, pip: &mut Command, requirements: &Path, folder: &Path) -> Result<()> {
    pip.args(["install", "--require-hashes"])
        // The file has all that these need.
        .arg("--no-deps")
        .args(WHEELS)
        .arg("--target")
        .arg(folder)
        .arg("--requirement")
        .arg(requirements);
    process::run(step, pip).with_context(|| format!("cannot install what {REQUIREMENTS} names"))?;
    // The guest cannot load them. Without them native Python takes the same way as the guest.
    for file in tree::files(folder, &|_| true)? {
        if file.extension().is_some_and(|extension| extension == "so") {
            tree::remove(&folder.join(file))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn python_that_does_not_suit_is_passed_over() {
        let build_python = Path::new("/nowhere/python");
        let root = std::env::temp_dir().join(format!("xtask-python-{}", std::process::id()));
        let folders = ["without", "old", "good", "better"].map(|name| root.join(name));
        for folder in &folders {
            fs::create_dir_all(folder).unwrap();
            if !folder.ends_with("without") {
                fs::write(folder.join("python3"), "").unwrap();
            }
        }
        let path = std::env::join_paths(&folders).unwrap();
        let found = suitable(build_python, &path, |python| {
            !python.starts_with(&folders[1])
        });
        assert_eq!(found, Some(folders[2].join("python3")));
        assert_eq!(suitable(build_python, &path, |_| false), None);
        fs::remove_dir_all(root).unwrap();
    }
}
