//! What pip's guests get of this machine: copies of files, and folders.

use std::collections::VecDeque;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;
use wasisocket_python::Folder;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use super::lock::Lock;
use super::reach::Reach;

/// The guest's `/tmp` in the temporary folder.
pub(super) const TEMPORARY: &str = "tmp";

/// The guest's `/` in the temporary folder. Read-only to the guest, as all of it but `/tmp`.
const ROOT: &str = "root";

/// Where the guest sees what it may read. Below it are the paths of this machine: pip's messages contain them, and
/// files name each other by relative paths.
pub(super) const GIVEN: &str = "/given";

/// Where the guest sees the lock files, which are requirements there. Below it are the paths of this machine.
const LOCKED: &str = "/locked";

/// Where the guest sees the folder that it may write to.
pub(super) const TARGET: &str = "/target";

/// Where the guest writes a lock file: a folder in which there is nothing else.
const OUTPUT: &str = "/output";

/// What pip takes for its standard output.
const STDOUT: &str = "-";

/// The lock file that pip writes if no other is named.
pub(super) const LOCK_FILE: &str = "pylock.toml";

/// Where a lock is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Output {
    Stdout,
    File(PathBuf),
}

/// All that the guest gets besides its own distribution. Dropping it removes the copies and what pip left in `/tmp`.
#[derive(Debug)]
pub(super) struct Inputs {
    scratch: TempDir,
    folders: Vec<Folder>,
    target: Option<PathBuf>,
    output: Option<(Output, PathBuf)>,
    /// The lock files to install from.
    locks: Vec<Lock>,
    /// There are other requirements files.
    pub(super) has_requirements: bool,
    pub(super) bundle: Option<PathBuf>,
    pub(super) reach: Reach,
}

impl Inputs {
    pub(super) fn new() -> Result<Self> {
        let scratch = tempfile::Builder::new()
            .prefix("wasisocket-pip-")
            .tempdir()
            .context("no place for pip's temporary files")?;
        for folder in [ROOT, TEMPORARY] {
            fs::create_dir(scratch.path().join(folder))?;
        }
        Ok(Self {
            scratch,
            folders: Vec::new(),
            target: None,
            output: None,
            locks: Vec::new(),
            has_requirements: false,
            bundle: None,
            reach: Reach::default(),
        })
    }

    /// Copies a file, because its folder may hold files that pip must not see. Returns its path in the guest.
    pub(super) fn file(&mut self, file: &Path) -> Result<String> {
        let file = real(file)?;
        self.copy(&file)?;
        in_guest(GIVEN, &file)
    }

    /// Copies a requirements file, and those that it names (`-r other.txt`) in its own folder or below.
    pub(super) fn requirements(&mut self, file: &Path) -> Result<String> {
        let first = real(file)?;
        let top = first.parent().unwrap_or(Path::new("/")).to_owned();
        let mut files = VecDeque::from([first.clone()]);
        while let Some(file) = files.pop_front() {
            if !self.copy(&file)? {
                continue;
            }
            let text = String::from_utf8_lossy(&fs::read(&file)?).into_owned();
            let folder = file.parent().unwrap_or(&top);
            // pip reports files that do not exist. The user named the first file only, so no link may lead out of
            // its folder.
            files.extend(
                includes(&text)
                    .filter_map(|name| folder.join(name).canonicalize().ok())
                    .filter(|file| file.is_file() && file.starts_with(&top)),
            );
        }
        in_guest(GIVEN, &first)
    }

    /// Reads a lock file, and has the guest see it as a requirements file, whose path it returns.
    pub(super) fn lock(&mut self, file: &Path) -> Result<String> {
        let file = match file.to_str() {
            Some(url) if url.contains("://") => bail!("{url}: fetch the lock file, and name that"),
            _ => real(file)?,
        };
        let lock = fs::read_to_string(&file).map_err(Into::into);
        let lock = lock.and_then(|text| Lock::parse(&text));
        let lock = lock.with_context(|| file.display().to_string())?;
        let guest = self.locked(&lock, &file)?;
        self.locks.push(lock);
        Ok(guest)
    }

    /// Has the guest see a lock as a requirements file with this name below [`LOCKED`].
    pub(super) fn locked(&self, lock: &Lock, name: &Path) -> Result<String> {
        let place = self.place(LOCKED, name);
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(place, lock.requirements())?;
        in_guest(LOCKED, name)
    }

    pub(super) fn locks(&self) -> &[Lock] {
        &self.locks
    }

    /// Adds a folder to read. Returns its path in the guest.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<String> {
        let host = folder
            .canonicalize()
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
        let guest = in_guest(GIVEN, &host)?;
        self.folders.push(Folder::read_only(host, guest.clone()));
        Ok(guest)
    }

    /// Sets the folder to write to, which is created if it does not exist. The last one counts, as for pip.
    pub(super) fn target(&mut self, folder: &Path) -> Result<String> {
        self.target = Some(folder.to_owned());
        Ok(TARGET.to_owned())
    }

    /// Sets where to write a lock. The last one counts. Returns its path in the guest.
    pub(super) fn output(&mut self, file: &Path) -> Result<String> {
        let (output, name) = if file == Path::new(STDOUT) {
            (Output::Stdout, LOCK_FILE.as_ref())
        } else {
            let name = file.file_name().filter(|_| !file.is_dir());
            let name = name.with_context(|| format!("{} is no name for a file", file.display()))?;
            let folder = file.parent().filter(|folder| *folder != Path::new(""));
            if folder.is_some_and(|folder| !folder.is_dir()) {
                bail!("{}: there is no such folder", file.display());
            }
            (Output::File(file.to_owned()), name)
        };
        let guest = in_guest(OUTPUT, &Path::new("/").join(name))?;
        let written = self.place(OUTPUT, Path::new(name));
        self.output = Some((output, written));
        Ok(guest)
    }

    /// What [`Inputs::output`] set.
    ///
    /// The guest writes a file first, and its path on the host is the other value.
    pub(super) fn lock_output(&self) -> Option<&(Output, PathBuf)> {
        self.output.as_ref()
    }

    pub(super) fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// The temporary folder, the folders that every guest gets, and the one that pip writes to, which now exists.
    pub(super) fn into_folders(self) -> Result<(TempDir, Vec<Folder>, Option<PathBuf>)> {
        let path = self.scratch.path();
        let mut folders = self.folders;
        folders.push(Folder::read_only(path.join(ROOT), "/"));
        folders.push(Folder::read_write(path.join(TEMPORARY), "/tmp"));
        if let Some(folder) = self
            .output
            .as_ref()
            .and_then(|(_, written)| written.parent())
        {
            fs::create_dir(folder)?;
            folders.push(Folder::read_write(folder, OUTPUT));
        }
        if let Some(target) = &self.target {
            fs::create_dir_all(target)
                .with_context(|| format!("cannot make the folder {}", target.display()))?;
        }
        Ok((self.scratch, folders, self.target))
    }

    /// Copies a file; false if it was copied before.
    fn copy(&self, file: &Path) -> Result<bool> {
        let copy = self.place(GIVEN, file);
        if copy.exists() {
            return Ok(false);
        }
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(file, &copy).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(true)
    }

    /// Where a file has to be for the guest to see it at its path of this machine below `top`. Folders that the guest can
    /// write to are mounted there.
    fn place(&self, top: &str, file: &Path) -> PathBuf {
        let mut place = self.scratch.path().join(ROOT);
        // Without the root directory, which would replace everything before it.
        place.extend(
            Path::new(top)
                .components()
                .chain(file.components())
                .filter(|part| matches!(part, Component::Normal(_))),
        );
        place
    }
}

/// The absolute path of a file. If the file itself is a link, the link is not followed: a wheel's name has a meaning.
fn real(file: &Path) -> Result<PathBuf> {
    let Some(name) = file.file_name().filter(|_| file.is_file()) else {
        bail!("no such file: {}", file.display());
    };
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    Ok(folder.unwrap_or(Path::new(".")).canonicalize()?.join(name))
}

fn in_guest(top: &str, path: &Path) -> Result<String> {
    match path.to_str() {
        Some(path) => Ok(format!("{top}{path}")),
        None => bail!("{} is not UTF-8, as WASI wants it", path.display()),
    }
}

/// The files that a requirements file names: pip/_internal/req/req_file.py.
fn includes(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.split(" #").next()?.trim();
        let name = ["-r", "-c", "--requirement", "--constraint"]
            .iter()
            .find_map(|option| line.strip_prefix(option))?;
        Some(name.trim_start().trim_start_matches('=').trim_start())
    })
}

#[cfg(test)]
mod tests {
    use super::{Inputs, includes};
    use std::fs;

    #[test]
    fn names_in_requirements_are_found() {
        let text = "requests\n-r a.txt\n-rb.txt # why\n--constraint=sub/c.txt\n  -c d.txt\n\
            --require-hashes\n# -r e.txt\n";
        let found: Vec<_> = includes(text).collect();
        assert_eq!(found, ["a.txt", "b.txt", "sub/c.txt", "d.txt"]);
    }

    #[test]
    fn requirements_bring_what_is_below_their_folder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("top");
        fs::create_dir_all(top.join("sub")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(top.join("unnamed"), "").unwrap();
        fs::write(
            top.join("a.txt"),
            "-r sub/b.txt\n-r ../secret\n-r nowhere\n",
        )
        .unwrap();
        fs::write(top.join("sub/b.txt"), "-r ../a.txt\n-c ../c.txt\n").unwrap();
        fs::write(top.join("c.txt"), "").unwrap();

        let mut inputs = Inputs::new().unwrap();
        let name = inputs.requirements(&top.join("sub/../a.txt")).unwrap();
        assert_eq!(name, format!("/given{}/a.txt", top.display()));
        let copies = inputs.scratch.path().join("root/given");
        let copies = copies.join(top.strip_prefix("/").unwrap());
        for (name, there) in [
            ("a.txt", true),
            ("sub/b.txt", true),
            ("c.txt", true),
            ("unnamed", false),
            ("../secret", false),
            ("link", false),
        ] {
            assert_eq!(copies.join(name).exists(), there, "{name}");
        }
    }
}
