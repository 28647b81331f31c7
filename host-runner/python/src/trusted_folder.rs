//! A folder of the cache whose files only this user can have written: compiled modules are machine code, and images
//! of memory hold secrets.
//!
//! | file | content |
//! |---|---|
//! | `NAME` | what was added as `NAME` |
//! | `NAME.stamp` | the SHA-256 of `NAME`, and the identity that it had when its SHA-256 was that |
//! | `IDENTITY.hash` | the SHA-256 of a file elsewhere that has this identity |
//!
//! Identities are those of [`crate::identity`], in hexadecimal.

use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, open, openat};
use rustix::process::geteuid;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::identity::identity;

/// The most bytes that are kept: what was used longest ago is removed.
const BYTES_MAX: u64 = 512 << 20;

/// The most files elsewhere whose SHA-256 is kept.
const HASHES_MAX: usize = 64;

/// How long a file without a stamp stays: a process may be writing it.
const UNFINISHED: Duration = Duration::from_secs(3600);

/// How old the record of the last use may get.
const USED: Duration = Duration::from_secs(24 * 3600);

/// Kernels count ctimes in ticks of up to 10 ms, some file systems in seconds. A file that changed so long ago would
/// get another ctime if it changed again now.
const TICK: Duration = Duration::from_secs(3);

const STAMP: &str = "stamp";
const HASH: &str = "hash";

/// A folder that belongs to this user and that nobody else can look into.
#[derive(Debug)]
pub(crate) struct TrustedFolder {
    path: PathBuf,
    folder: OwnedFd,
    owner: u32,
}

impl TrustedFolder {
    /// Opens the folder, and makes it if it does not exist.
    ///
    /// # Errors
    /// It cannot be made or opened, it belongs to another user, or others have rights to it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Self::open_as(path, geteuid().as_raw())
    }

    fn open_as(path: &Path, owner: u32) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = match open(path, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {
                DirBuilder::new().recursive(true).mode(0o700).create(path)?;
                open(path, flags, Mode::empty())?
            }
            other => other?,
        };
        let stat = fstat(&folder)?;
        if let Some(fault) = fault(&stat, owner) {
            return Err(io::Error::other(format!(
                "{} {fault}; only its owner may use it (chmod 700)",
                path.display()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            folder,
            owner,
        })
    }

    /// Opens a file that was added, for reading, unless it has changed since.
    pub(crate) fn get(&self, name: &str) -> Option<File> {
        let file = self.open_file(name, OFlags::RDONLY)?;
        let identity = hex(&identity(&fstat(&file).ok()?));
        let stamp_name = format!("{name}.{STAMP}");
        let stamp = self.open_file(&stamp_name, OFlags::RDWR | OFlags::NONBLOCK);
        // In a read-only file system the record of the last use stays as it is.
        let stamp = stamp.or_else(|| self.open_file(&stamp_name, OFlags::RDONLY))?;
        let recorded = read(&stamp)?;
        let (hash, known) = recorded.trim_end().split_once(' ')?;
        if known != identity {
            // It may have been copied, or restored from a backup, as a whole.
            if sha256(&file).ok()? != hash {
                return None;
            }
            let _ = self.write(&stamp_name, format!("{hash} {identity}\n").as_bytes());
        } else if is_older(stamp.metadata().ok()?.modified().ok()?, USED) {
            let _ = stamp.set_modified(SystemTime::now());
        }
        Some(file)
    }

    /// Adds a file in place of an earlier one. Processes that have the earlier one open keep it. What was used longest
    /// ago is removed if there is too much.
    pub(crate) fn add(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let file = self.write(name, content)?;
        // Renaming changed its ctime.
        let identity = hex(&identity(&fstat(&file)?));
        let hash = hex(&Sha256::digest(content));
        self.write(
            &format!("{name}.{STAMP}"),
            format!("{hash} {identity}\n").as_bytes(),
        )?;
        self.remove_old(BYTES_MAX)
    }

    /// The SHA-256 of a file elsewhere, in hexadecimal. It is read only if it was not seen before.
    pub(crate) fn hash_of(&self, file: &File) -> io::Result<String> {
        let stat = fstat(file)?;
        let name = format!("{}.{HASH}", hex(&identity(&stat)));
        let known = self.open_file(&name, OFlags::RDONLY);
        if let Some(hash) = known.and_then(|known| read(&known)) {
            return Ok(hash);
        }
        let is_settled = is_settled(&stat);
        let hash = sha256(file)?;
        // Otherwise it may be written to now, without another ctime.
        if is_settled && identity(&fstat(file)?) == identity(&stat) {
            // A read-only cache is no reason not to run.
            let _ = self.write(&name, hash.as_bytes());
        }
        Ok(hash)
    }

    /// Opens one of this folder's files if it belongs to the owner, and nobody else may write to it.
    fn open_file(&self, name: &str, flags: OFlags) -> Option<File> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.folder, name, flags, Mode::empty()).ok()?;
        let stat = fstat(&file).ok()?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        (is_file && fault(&stat, self.owner).is_none()).then(|| file.into())
    }

    /// Writes a file at once: nobody sees half of it, also not after a loss of power.
    ///
    /// By its path, which may lead elsewhere by now: then what is written there is read by nobody.
    fn write(&self, name: &str, content: &[u8]) -> io::Result<File> {
        // It is made with mode 600.
        let mut file = NamedTempFile::with_prefix_in(".", &self.path)?;
        file.write_all(content)?;
        file.as_file().sync_data()?;
        Ok(file.persist(self.path.join(name))?)
    }

    /// Removes what was used longest ago, until the rest has `most` bytes at most.
    fn remove_old(&self, most: u64) -> io::Result<()> {
        let mut stamps = Vec::new();
        let mut hashes = Vec::new();
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.path)?.filter_map(Result::ok) {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            let file = (metadata.modified()?, path);
            match file.1.extension().and_then(|extension| extension.to_str()) {
                Some(STAMP) => stamps.push(file),
                Some(HASH) => hashes.push(file),
                _ => others.push(file),
            }
        }
        for newest_first in [&mut stamps, &mut hashes] {
            newest_first.sort_by(|one, other| other.cmp(one));
        }
        let remove = |path: &Path| {
            // Another process may have been faster.
            let _ = fs::remove_file(path);
        };
        let mut total = 0;
        for (_, stamp) in &stamps {
            let file = stamp.with_extension("");
            total += fs::metadata(&file).map_or(0, |metadata| metadata.len());
            if total > most {
                remove(&file);
                remove(stamp);
            }
        }
        for (_, hash) in hashes.iter().skip(HASHES_MAX) {
            remove(hash);
        }
        for (modified, path) in others {
            let has_stamp = stamps
                .iter()
                .any(|(_, stamp)| stamp.with_extension("") == path);
            if !has_stamp && is_older(modified, UNFINISHED) {
                remove(&path);
            }
        }
        Ok(())
    }
}

/// What is wrong with the owner or the rights of a file or folder, if something is.
fn fault(stat: &Stat, owner: u32) -> Option<String> {
    if stat.st_uid != owner {
        return Some(format!("belongs to user {}", stat.st_uid));
    }
    let mode = stat.st_mode & 0o777;
    (mode & 0o077 != 0).then(|| format!("has mode {mode:o}"))
}

/// Whether a file has not changed since then.
fn is_settled(stat: &Stat) -> bool {
    let changed = stat.st_ctime.max(stat.st_mtime);
    let since = Duration::from_secs(changed.try_into().unwrap_or(0));
    is_older(SystemTime::UNIX_EPOCH + since, TICK)
}

/// Times to come are not old.
fn is_older(time: SystemTime, than: Duration) -> bool {
    time.elapsed().is_ok_and(|age| age > than)
}

/// The SHA-256 of a file's content.
fn sha256(mut file: &File) -> io::Result<String> {
    file.rewind()?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A short text, such as a stamp.
fn read(file: &File) -> Option<String> {
    let mut text = String::new();
    file.take(1024).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::TrustedFolder;
    use std::fs::{self, File, Permissions};
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::PathBuf;
    use std::thread;
    use std::time::{Duration, SystemTime};

    fn folder() -> (tempfile::TempDir, PathBuf, TrustedFolder) {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("new/trusted");
        let folder = TrustedFolder::open(&path).unwrap();
        (temporary, path, folder)
    }

    fn content(file: Option<File>) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        file?.read_to_end(&mut content).unwrap();
        Some(content)
    }

    fn chmod(path: &std::path::Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn file_that_was_added_is_found_with_owner_only_rights() {
        let (_temporary, path, folder) = folder();
        assert!(folder.get("a").is_none());
        folder.add("a", b"one").unwrap();
        folder.add("a", b"two").unwrap();
        assert_eq!(content(folder.get("a")).unwrap(), b"two");
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path.clone()), 0o700);
        assert_eq!(mode(path.join("a")), 0o600);
        assert_eq!(mode(path.join("a.stamp")), 0o600);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 2);
    }

    #[test]
    fn file_that_was_changed_is_not_found() {
        let (_temporary, path, folder) = folder();
        let file = path.join("a");
        // With the same size, and the mtime that it had; shorter; empty; gone.
        let changes: [fn(&PathBuf); 4] = [
            |file| {
                let before = fs::metadata(file).unwrap().modified().unwrap();
                fs::write(file, "onE").unwrap();
                let file = File::options().write(true).open(file).unwrap();
                file.set_modified(before).unwrap();
            },
            |file| fs::write(file, "on").unwrap(),
            |file| fs::write(file, "").unwrap(),
            |file| fs::remove_file(file).unwrap(),
        ];
        for change in changes {
            folder.add("a", b"one").unwrap();
            assert!(folder.get("a").is_some());
            thread::sleep(Duration::from_millis(30));
            change(&file);
            assert!(folder.get("a").is_none());
        }
        folder.add("a", b"one").unwrap();
        fs::write(path.join("a.stamp"), "no stamp").unwrap();
        assert!(folder.get("a").is_none());
    }

    #[test]
    fn copy_with_the_same_content_is_found() {
        let (_temporary, path, folder) = folder();
        folder.add("a", b"one").unwrap();
        fs::rename(path.join("a"), path.join("b")).unwrap();
        fs::copy(path.join("b"), path.join("a")).unwrap();
        let before = fs::read(path.join("a.stamp")).unwrap();
        assert_eq!(content(folder.get("a")).map(|_| ()), Some(()));
        // The next look-up need not read it.
        assert_ne!(fs::read(path.join("a.stamp")).unwrap(), before);
    }

    #[test]
    fn folder_that_others_can_use_is_refused() {
        let (_temporary, path, folder) = folder();
        folder.add("a", b"one").unwrap();
        for mode in [0o755, 0o770, 0o720, 0o702, 0o701] {
            chmod(&path, mode);
            let error = TrustedFolder::open(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("has mode {mode:o}")), "{error}");
        }
        chmod(&path, 0o700);
        let link = path.with_file_name("link");
        symlink(&path, &link).unwrap();
        TrustedFolder::open(&link).unwrap_err();
        TrustedFolder::open(&path.join("a")).unwrap_err();
        // As another user has it.
        let error = TrustedFolder::open_as(&path, folder.owner + 1).unwrap_err();
        assert!(error.to_string().contains("belongs to user"), "{error}");
    }

    #[test]
    fn file_that_others_can_use_or_that_is_a_link_is_not_found() {
        let (_temporary, path, mut folder) = folder();
        folder.add("a", b"one").unwrap();
        for mode in [0o620, 0o602, 0o644] {
            chmod(&path.join("a"), mode);
            assert!(folder.get("a").is_none(), "{mode:o}");
        }
        folder.add("a", b"one").unwrap();
        fs::rename(path.join("a"), path.join("b")).unwrap();
        symlink("b", path.join("a")).unwrap();
        assert!(folder.get("a").is_none());
        folder.add("a", b"one").unwrap();
        folder.owner += 1;
        assert!(folder.get("a").is_none());
    }

    #[test]
    fn what_was_used_longest_ago_is_removed() {
        let (_temporary, path, folder) = folder();
        let old = SystemTime::now() - Duration::from_secs(7 * 24 * 3600);
        for name in ["a", "b", "c"] {
            folder.add(name, &[0; 1000]).unwrap();
            let stamp = File::open(path.join(format!("{name}.stamp"))).unwrap();
            stamp.set_modified(old).unwrap();
        }
        for (name, modified) in [(".part", old), (".new", SystemTime::now())] {
            let file = File::create(path.join(name)).unwrap();
            file.set_modified(modified).unwrap();
        }
        folder.get("b").unwrap();
        folder.remove_old(1500).unwrap();
        let mut left: Vec<_> = fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [".new", "b", "b.stamp"]);
    }

    #[test]
    fn hash_of_a_file_is_computed_again_when_it_changes() {
        let (_temporary, path, folder) = folder();
        let other = path.with_file_name("other");
        let hash = |content: &str| {
            fs::write(&other, content).unwrap();
            folder.hash_of(&File::open(&other).unwrap()).unwrap()
        };
        let (one, two) = (hash("one"), hash("two"));
        assert_ne!(one, two);
        assert_eq!(one, hash("one"));
        // It is too new to be remembered.
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        thread::sleep(super::TICK + Duration::from_secs(1));
        let other = File::open(&other).unwrap();
        assert_eq!(folder.hash_of(&other).unwrap(), one);
        let kept = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
        fs::write(kept, "remembered").unwrap();
        assert_eq!(folder.hash_of(&other).unwrap(), "remembered");
    }
}
