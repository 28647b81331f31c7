//! What an image was made from. An image in a file that the user names is used only where that is still the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use wasmtime::error::Context as _;
use wasmtime::{Result, bail, ensure};

use crate::distribution::PREFIX;
use crate::engine::Shared;
use crate::folders::Folder;
use crate::sources;

/// The most bytes of an origin, with its list of files.
pub(super) const ORIGIN_MAX: usize = sources::LIST_MAX + (1 << 20);

/// The most modules, folders and variables of an image together.
const ENTRIES_MAX: usize = 10_000;

/// What an image has beside the standard library's usual modules: modules of your own, and the folders with the
/// packages that they are from.
///
/// Guests that begin with the image see these folders, for reading, and find packages in them as if `PYTHONPATH` named
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preload {
    modules: Vec<String>,
    sites: Vec<PathBuf>,
}

impl Preload {
    /// Nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            modules: Vec::new(),
            sites: Vec::new(),
        }
    }

    /// Adds a module, such as `requests` or `http.client`. Later ones are imported after earlier ones.
    #[must_use]
    pub fn module(mut self, name: impl Into<String>) -> Self {
        self.modules.push(name.into());
        self
    }

    /// Adds a folder of the host with packages, as `wasisocket pip install --target` fills it.
    #[must_use]
    pub fn site(mut self, folder: impl Into<PathBuf>) -> Self {
        self.sites.push(folder.into());
        self
    }

    /// The folders as guests see them.
    pub(crate) fn folders(&self) -> impl Iterator<Item = Folder> {
        self.sites.iter().enumerate().map(|(index, site)| {
            let number = match index {
                0 => String::new(),
                _ => format!("-{}", index + 1),
            };
            Folder::read_only(site, format!("{PREFIX}/lib/site{number}"))
        })
    }

    /// The modules, for messages.
    pub(super) fn names(&self) -> String {
        self.modules.join(", ")
    }

    /// The folders on the host.
    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.sites.iter().cloned()
    }

    /// The value of PYTHONPATH for a guest that starts cold, if there are folders.
    pub(crate) fn search_path(&self) -> Option<String> {
        let folders: Vec<_> = self
            .folders()
            .map(|folder| folder.guest().to_owned())
            .collect();
        (!folders.is_empty()).then(|| folders.join(":"))
    }

    /// The arguments of Python's part: folders and names.
    pub(super) fn arguments(&self) -> impl Iterator<Item = String> {
        let folders = self.folders().map(|folder| folder.guest().to_owned());
        folders.chain(self.modules.iter().cloned())
    }

    /// The same with absolute paths of folders that are there.
    pub(crate) fn resolve(&self) -> Result<Self> {
        for name in &self.modules {
            let is_name = |part: &str| !part.is_empty() && !part.contains(is_no_letter);
            ensure!(
                name.split('.').all(is_name),
                "{name:?} is not the name of a module"
            );
        }
        let resolve = |site: &PathBuf| {
            let real = site
                .canonicalize()
                .with_context(|| format!("cannot open the folder {}", site.display()))?;
            for name in STARTUP {
                let file = real.join(name);
                if file.exists() {
                    bail!(
                        "{} would run once, when the image is made, and not in each guest: leave it out",
                        file.display()
                    );
                }
            }
            Ok(real)
        };
        Ok(Self {
            modules: self.modules.clone(),
            sites: self.sites.iter().map(resolve).collect::<Result<_>>()?,
        })
    }

    /// The command that makes an image of it.
    fn command(&self, file: &Path) -> String {
        let mut command = String::from("wasisocket snapshot");
        if !self.modules.is_empty() {
            command.push_str(&format!(" --preload {}", self.modules.join(" ")));
        }
        for site in &self.sites {
            command.push_str(&format!(" --site {}", site.display()));
        }
        format!("{command} --out {}", file.display())
    }
}

/// Files in a folder of packages that Python imports when it starts.
const STARTUP: [&str; 4] = [
    "sitecustomize.py",
    "usercustomize.py",
    "sitecustomize",
    "usercustomize",
];

fn is_no_letter(letter: char) -> bool {
    !letter.is_alphanumeric() && letter != '_'
}

/// What an image was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The SHA-256 of python.wasm, in hexadecimal.
    pub(crate) wasm_hash: String,
    /// The folders of the standard library, on the host.
    pub(crate) library: Vec<PathBuf>,
    pub(crate) preload: Preload,
    /// The environment variables that modules looked for; an empty name stands for all. A guest that has one of them
    /// starts cold.
    pub(crate) variables: Vec<String>,
}

impl Origin {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let paths = |paths: &[PathBuf]| {
            let paths = paths.iter();
            paths
                .map(|path| path.as_os_str().as_bytes().to_vec())
                .collect::<Vec<_>>()
        };
        let texts = |texts: &[String]| {
            let texts = texts.iter();
            texts.map(|text| text.clone().into_bytes()).collect()
        };
        let mut bytes = Vec::new();
        for entries in [
            texts(std::slice::from_ref(&self.wasm_hash)),
            paths(&self.library),
            texts(&self.preload.modules),
            paths(&self.preload.sites),
            texts(&self.variables),
        ] {
            bytes.extend((entries.len() as u32).to_le_bytes());
            for entry in entries {
                bytes.extend((entry.len() as u32).to_le_bytes());
                bytes.extend(entry);
            }
        }
        bytes
    }

    /// Reads an origin, and leaves what is behind it.
    pub(super) fn take(bytes: &mut &[u8]) -> Option<Self> {
        let path = |entry: Vec<u8>| PathBuf::from(OsStr::from_bytes(&entry));
        let text = |entry| String::from_utf8(entry).ok();
        let wasm_hash = text(entries(bytes)?.pop()?)?;
        let library = entries(bytes)?.into_iter().map(path).collect();
        let modules = entries(bytes)?
            .into_iter()
            .map(text)
            .collect::<Option<_>>()?;
        let sites = entries(bytes)?.into_iter().map(path).collect();
        let variables = entries(bytes)?
            .into_iter()
            .map(text)
            .collect::<Option<_>>()?;
        Some(Self {
            wasm_hash,
            library,
            preload: Preload { modules, sites },
            variables,
        })
    }

    /// That of an image that is made now.
    pub(super) fn of(shared: &Shared, preload: Preload) -> Result<Self> {
        let library = shared.distribution.library().iter();
        Ok(Self {
            wasm_hash: shared.wasm_hash()?,
            library: library.map(|folder| folder.host().to_owned()).collect(),
            preload,
            variables: Vec::new(),
        })
    }

    /// Checks that the image in this file was made from the same Python as another one.
    pub(super) fn check(&self, file: &Path, other: &Self) -> Result<()> {
        if (&self.wasm_hash, &self.library) != (&other.wasm_hash, &other.library) {
            bail!("it was made for another Python; {}", self.remedy(file));
        }
        Ok(())
    }

    /// What to do about an image that cannot be used.
    pub(super) fn remedy(&self, file: &Path) -> String {
        format!("make it again: {}", self.preload.command(file))
    }

    /// Does a variable decide what is in the image?
    pub(super) fn depends_on(&self, variable: &str) -> bool {
        let mut names = self.variables.iter();
        names.any(|name| name.is_empty() || name == variable)
    }
}

fn entries(bytes: &mut &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = length(bytes)?;
    if count > ENTRIES_MAX {
        return None;
    }
    let entry = |_| {
        let length = length(bytes)?;
        let (entry, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        Some(entry.to_vec())
    };
    (0..count).map(entry).collect()
}

fn length(bytes: &mut &[u8]) -> Option<usize> {
    let (length, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*length)).ok()
}

#[cfg(test)]
mod tests {
    use super::{Origin, Preload};

    #[test]
    fn origin_is_read_as_it_was_written() {
        let origin = Origin {
            wasm_hash: "ab".into(),
            library: vec!["/lib".into(), "/other".into()],
            preload: Preload::new().module("a.b").site("/site").site("/more"),
            variables: vec![String::new(), "HOME".into()],
        };
        let bytes = origin.to_bytes();
        let mut rest = &*[&bytes[..], b"rest"].concat();
        assert_eq!(Origin::take(&mut rest), Some(origin));
        assert_eq!(rest, b"rest");
        for length in 0..bytes.len() {
            assert_eq!(Origin::take(&mut &bytes[..length]), None);
        }
        assert_eq!(Origin::take(&mut &[0xff; 64][..]), None);
    }

    #[test]
    fn names_of_modules_are_checked() {
        for name in ["a", "a.b_1.ö"] {
            Preload::new().module(name).resolve().unwrap();
        }
        for name in ["", "a.", ".a", "a/b", "-c", "a b", "a\0"] {
            Preload::new().module(name).resolve().unwrap_err();
        }
    }
}
