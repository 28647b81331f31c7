//! The cache folder: keys over a step's inputs, locks, and publishing by rename.
//!
//! A step's result is in `<cache>/<step>/<key>`. It is made in a sibling folder and renamed, unless it
//! contains its own path, as CPython's build trees do. Such a result is built in place, and counts only
//! when its [`COMPLETE`] stamp exists.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::progress::Running;
use crate::tree;

/// The last file that is written into a tree that is built in place.
pub(crate) const COMPLETE: &str = ".complete";

/// Names one result of a step: the first 16 hexadecimal digits of a SHA-256 over its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The key with a prefix, for one of several results of the same inputs.
    pub(crate) fn prefixed(&self, word: &str) -> Self {
        Self(format!("{word}-{}", self.0))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Collects a step's inputs. Each is hashed with its name and length, so that no two lists of
/// inputs look alike.
pub(crate) struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// `recipe` names the step and the form of its result; a change to what the step does with the
    /// same inputs needs another number there.
    pub(crate) fn new(recipe: &str) -> Self {
        let mut builder = Self(Sha256::new());
        builder.field(b"recipe", recipe.as_bytes());
        builder
    }

    fn field(&mut self, name: &[u8], content: &[u8]) {
        for part in [name, content] {
            self.0.update((part.len() as u64).to_le_bytes());
            self.0.update(part);
        }
    }

    pub(crate) fn text(mut self, name: &str, content: &str) -> Self {
        self.field(name.as_bytes(), content.as_bytes());
        self
    }

    pub(crate) fn key(self, name: &str, key: &Key) -> Self {
        self.text(name, key.as_str())
    }

    pub(crate) fn path(self, name: &str, path: &Path) -> Self {
        self.text(name, &path.to_string_lossy())
    }

    pub(crate) fn file(mut self, path: &Path) -> Result<Self> {
        let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default();
        self.field(name.as_encoded_bytes(), &content);
        Ok(self)
    }

    /// Every file below `folder` that `keep` accepts, by its relative path.
    pub(crate) fn tree(mut self, folder: &Path, keep: impl Fn(&Path) -> bool) -> Result<Self> {
        for file in tree::files(folder, &keep)? {
            let content = tree::content(&folder.join(&file))?;
            self.field(file.as_os_str().as_encoded_bytes(), &content);
        }
        Ok(self)
    }

    pub(crate) fn finish(self) -> Key {
        Key(hex(&self.0.finalize())[..16].to_owned())
    }
}

/// Whether a path is fit for CPython's configure and makefiles, which do not quote it.
pub(crate) fn is_plain(path: &Path) -> bool {
    let special = |c: char| c.is_whitespace() || "'\"$:#\\&;".contains(c);
    !path.to_string_lossy().contains(special)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) struct Cache {
    root: PathBuf,
}

/// An exclusive lock, held until dropped.
pub(crate) struct Lock(#[allow(dead_code, reason = "the open file is the lock")] File);

impl Cache {
    pub(crate) fn open(root: PathBuf) -> Result<Self> {
        fs::create_dir_all(&root).with_context(|| {
            format!(
                "cannot create the cache folder {}: choose another with --cache DIR",
                root.display()
            )
        })?;
        // Build trees record this path; a link changed later must not lead them elsewhere.
        let root = root
            .canonicalize()
            .with_context(|| format!("cannot resolve {}", root.display()))?;
        if !is_plain(&root) {
            bail!(
                "the cache folder's path {} has a character that CPython's build cannot handle: \
                 choose another with --cache DIR",
                root.display()
            );
        }
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A folder directly below the root, created if missing.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join(name);
        create(&folder)?;
        Ok(folder)
    }

    /// Where the result `key` of `step` is or will be.
    pub(crate) fn entry(&self, step: &str, key: &Key) -> PathBuf {
        self.root.join(step).join(key.as_str())
    }

    /// The finished result `key` of `step`, if it exists.
    pub(crate) fn result(&self, step: &str, key: &Key, in_place: bool) -> Option<PathBuf> {
        let entry = self.entry(step, key);
        let finished = if in_place {
            entry.join(COMPLETE).is_file()
        } else {
            entry.is_dir()
        };
        finished.then_some(entry)
    }

    /// The cache entry that `path` is in, if it is in the cache.
    pub(crate) fn entry_of(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.root).ok()?;
        let name: PathBuf = inside.iter().take(2).collect();
        Some(self.root.join(name))
    }

    /// The bytes in the cache entry that `path` is in, 0 if it is elsewhere.
    pub(crate) fn entry_size(&self, path: &Path) -> u64 {
        self.entry_of(path).map_or(0, |entry| tree::size(&entry))
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File)> {
        let path = self.folder("locks")?.join(format!("{name}.lock"));
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok((path, file))
    }

    /// Takes the lock `name`; prints a note if it must wait for another build.
    pub(crate) fn lock(&self, name: &str, running: &Running) -> Result<Lock> {
        self.lock_or_notify(name, |waiting| running.note(waiting))
    }

    /// Takes the lock `name`; calls `notify` if it must wait for another build.
    pub(crate) fn lock_or_notify(&self, name: &str, notify: impl FnOnce(&str)) -> Result<Lock> {
        if let Some(lock) = self.try_lock(name)? {
            return Ok(lock);
        }
        notify("waiting for another build");
        let (path, file) = self.lock_file(name)?;
        file.lock().map_err(|error| unlockable(&path, error))?;
        Ok(Lock(file))
    }

    /// Takes the lock `name` unless another build has it.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Option<Lock>> {
        let (path, file) = self.lock_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Lock(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(unlockable(&path, error)),
        }
    }

    pub(crate) fn lock_name(step: &str, key: &str) -> String {
        format!("{step}-{key}")
    }

    /// Calls `make` to fill the folder of a result, and publishes it: by renaming the folder, or by the
    /// [`COMPLETE`] stamp if it is built in place. An interrupted build in place is continued.
    ///
    /// Two builds of one key do the work once: the second one waits, and finds the result.
    pub(crate) fn publish(
        &self,
        step: &str,
        key: &Key,
        in_place: bool,
        running: &Running,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let _lock = self.lock(&Self::lock_name(step, key.as_str()), running)?;
        if let Some(entry) = self.result(step, key, in_place) {
            return Ok(entry);
        }
        let entry = self.entry(step, key);
        if in_place {
            create(&entry)?;
            make(&entry)?;
            tree::stamp(&entry.join(COMPLETE))?;
            return Ok(entry);
        }
        let unfinished = entry.with_extension("tmp");
        tree::remove(&unfinished)?;
        create(&unfinished)?;
        if let Err(error) = make(&unfinished) {
            tree::remove(&unfinished)?;
            return Err(error);
        }
        fs::rename(&unfinished, &entry)
            .with_context(|| format!("cannot publish {}", entry.display()))?;
        Ok(entry)
    }
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn unlockable(path: &Path, error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!(
        "cannot lock {}: choose a cache folder on a local disk with --cache DIR",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn key_of(folder: &Path) -> Key {
        KeyBuilder::new("test 1")
            .tree(folder, |_| true)
            .unwrap()
            .finish()
    }

    #[test]
    fn key_follows_every_byte_and_name() {
        let folder = scratch("key");
        fs::write(folder.join("a"), "one").unwrap();
        let first = key_of(&folder);
        assert_eq!(first.as_str().len(), 16);
        assert_eq!(first, key_of(&folder));

        fs::write(folder.join("a"), "onf").unwrap();
        assert_ne!(first, key_of(&folder));

        fs::write(folder.join("a"), "one").unwrap();
        fs::rename(folder.join("a"), folder.join("b")).unwrap();
        assert_ne!(first, key_of(&folder));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn key_keeps_fields_apart() {
        let left = KeyBuilder::new("r").text("ab", "c").finish();
        let right = KeyBuilder::new("r").text("a", "bc").finish();
        assert_ne!(left, right);
    }

    #[test]
    fn failed_step_publishes_nothing() {
        let cache = Cache::open(scratch("publish")).unwrap();
        let key = KeyBuilder::new("r").finish();
        let running = Running::silent();
        let failed = cache.publish("part", &key, false, &running, |folder| {
            fs::write(folder.join("half"), "made").unwrap();
            bail!("no")
        });
        assert!(failed.is_err());
        assert!(cache.result("part", &key, false).is_none());
        assert_eq!(fs::read_dir(cache.root().join("part")).unwrap().count(), 0);

        let entry = cache
            .publish("part", &key, false, &running, |folder| {
                Ok(fs::write(folder.join("whole"), "made")?)
            })
            .unwrap();
        assert_eq!(cache.result("part", &key, false), Some(entry));
        fs::remove_dir_all(cache.root()).unwrap();
    }

    #[test]
    fn interrupted_build_in_place_is_continued() {
        let cache = Cache::open(scratch("in-place")).unwrap();
        let key = KeyBuilder::new("r").finish();
        let running = Running::silent();
        let failed = cache.publish("part", &key, true, &running, |folder| {
            fs::write(folder.join("half"), "made").unwrap();
            bail!("no")
        });
        assert!(failed.is_err());
        assert!(cache.result("part", &key, true).is_none());
        let entry = cache
            .publish("part", &key, true, &running, |folder| {
                assert!(folder.join("half").is_file());
                Ok(())
            })
            .unwrap();
        assert_eq!(cache.result("part", &key, true), Some(entry.clone()));
        assert_eq!(cache.entry_of(&entry.join("half")), Some(entry));
        fs::remove_dir_all(cache.root()).unwrap();
    }

    #[test]
    fn cache_path_that_make_cannot_quote_is_refused() {
        let folder = scratch("path");
        assert!(Cache::open(folder.join("with space")).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
