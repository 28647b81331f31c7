//! CPython's source, and its version.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::build::{Build, path_of};
use crate::cache::Key;
use crate::steps::{Entry, Job, Step};
use crate::upstream::{Input, Upstream};

/// A pristine source tree in the cache.
pub(crate) struct Source {
    pub(crate) folder: PathBuf,
    pub(crate) key: Key,
    pub(crate) version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) micro: u32,
}

impl Version {
    /// `3.13`, which names the library's folder.
    pub(crate) fn short(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }

    /// Reads Include/patchlevel.h.
    fn of_tree(folder: &Path) -> Result<Self> {
        let header = folder.join("Include/patchlevel.h");
        let text = fs::read_to_string(&header).with_context(|| {
            format!(
                "{} is not a CPython source tree: cannot read {}",
                folder.display(),
                header.display()
            )
        })?;
        Self::of_header(&text).with_context(|| format!("no version in {}", header.display()))
    }

    fn of_header(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = text.lines().map(str::split_whitespace);
            lines.find_map(|mut words| {
                let found = words.next() == Some("#define") && words.next() == Some(name);
                found.then(|| words.next()?.parse().ok()).flatten()
            })
        };
        Some(Self {
            major: value("PY_MAJOR_VERSION")?,
            minor: value("PY_MINOR_VERSION")?,
            micro: value("PY_MICRO_VERSION")?,
        })
    }

    /// Refuses what is older than `minimum`, such as `3.13`.
    fn check(self, minimum: &str) -> Result<Self> {
        let numbers: Vec<u32> = minimum.split('.').flat_map(str::parse).collect();
        let old = match numbers[..] {
            [major, minor] => (self.major, self.minor) < (major, minor),
            _ => bail!("cpython.minimum in cpython-patch/pins.toml is not of the form 3.13"),
        };
        if old {
            bail!("CPython {self} is too old: {minimum} or later is needed");
        }
        Ok(self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

fn upstream(build: &Build) -> Upstream<'_> {
    Upstream {
        pin: &build.pins.cpython.release,
        option: "--cpython",
        given: path_of(&build.options.cpython),
        is_source: &is_source,
    }
}

/// False for version control and the products of an earlier build in a user's tree: CPython refuses an
/// out-of-tree build from a tree that was built in.
fn is_source(path: &Path) -> bool {
    const TOP: &[&str] = &[
        ".git",
        "Makefile",
        "Makefile.pre",
        "build",
        "config.log",
        "config.status",
        "cross-build",
        "platform",
        "pybuilddir.txt",
        "pyconfig.h",
        "Modules/Setup.bootstrap",
        "Modules/Setup.local",
        "Modules/Setup.stdlib",
        "Modules/config.c",
        "Modules/ld_so_aix",
    ];
    let product = path
        .extension()
        .is_some_and(|e| ["a", "o", "pyc", "so"].iter().any(|product| e == *product));
    let frozen =
        path.starts_with("Python/frozen_modules") && path.extension() == Some("h".as_ref());
    !(product
        || frozen
        || path.ends_with("__pycache__")
        || TOP.iter().any(|name| path == Path::new(name)))
}

impl Step for Source {
    const NAME: &'static str = "source";
    const TITLE: &'static str = "CPython source";
    const HELP: Option<&'static str> = Some("Fetch CPython's source, and print its folder");
    type Inputs = ();

    fn keys(build: &Build, (): &()) -> Result<Option<Vec<Key>>> {
        Ok(Some(vec![upstream(build).input()?.key("source 1")]))
    }

    fn make(job: &Job<'_>, (): &()) -> Result<()> {
        let upstream = upstream(job.build);
        let minimum = &job.build.pins.cpython.minimum;
        let input = upstream.input()?;
        if let Input::Tree { folder, .. } = &input {
            Version::of_tree(folder)?.check(minimum)?;
        }
        upstream.unpack(job.build, job.running, &input, job.folder)?;
        Version::of_tree(job.folder)?.check(minimum).map(drop)
    }

    fn open(_: &Build, (): &(), entries: Vec<Entry>) -> Result<Self> {
        let Entry { folder, key } = super::only(entries)?;
        Ok(Self {
            version: Version::of_tree(&folder)?,
            folder,
            key,
        })
    }

    fn describe(&self) -> String {
        format!("CPython {}", self.version)
    }

    fn paths(&self) -> Vec<PathBuf> {
        vec![self.folder.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "\
/* Version parsed out into numeric values */
#define PY_MAJOR_VERSION        3
#define PY_MINOR_VERSION        14
#define PY_MICRO_VERSION        2
#define PY_RELEASE_SERIAL       0
";

    #[test]
    fn version_is_read_from_patchlevel() {
        let version = Version::of_header(HEADER).unwrap();
        assert_eq!(version.to_string(), "3.14.2");
        assert_eq!(version.short(), "3.14");
        assert_eq!(Version::of_header("#define PY_MAJOR_VERSION 3"), None);
    }

    #[test]
    fn versions_before_the_minimum_are_refused() {
        let version = Version::of_header(HEADER).unwrap();
        assert!(version.check("3.13").is_ok());
        let text = version.check("3.15").unwrap_err().to_string();
        assert_eq!(text, "CPython 3.14.2 is too old: 3.15 or later is needed");
    }

    #[test]
    fn products_of_an_earlier_build_are_not_source() {
        for product in [
            ".git",
            "Makefile",
            "Modules/a.o",
            "Lib/__pycache__",
            "cross-build",
        ] {
            assert!(!is_source(Path::new(product)), "{product}");
        }
        for source in [
            "Doc/Makefile",
            "Lib/os.py",
            "Modules/Setup",
            "Lib/test/build",
        ] {
            assert!(is_source(Path::new(source)), "{source}");
        }
    }
}
