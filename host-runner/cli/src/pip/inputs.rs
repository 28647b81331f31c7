//! What pip's guests get of this machine: copies of files, and folders.

use std::collections::VecDeque;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;
use wasisocket_python::Folder;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use super::reach::Reach;

/// The guest's `/tmp` in the temporary folder.
pub(super) const TEMPORARY: &str = "tmp";

/// The guest's `/` in the temporary folder. Read-only to the guest, as all of it but `/tmp`.
const ROOT: &str = "root";

/// Where the guest sees what it may read. Below it are the paths of this machine: pip's messages contain them, and
/// files name each other by relative paths.
const GIVEN: &str = "/given";

/// Where the guest sees the folder that it may write to.
pub(super) const TARGET: &str = "/target";

/// All that the guest gets besides its own distribution. Dropping it removes the copies and what pip left in `/tmp`.
#[derive(Debug)]
pub(super) struct Inputs {
    scratch: TempDir,
    folders: Vec<Folder>,
    target: Option<PathBuf>,
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
            bundle: None,
            reach: Reach::default(),
        })
    }

    /// Copies a file, because its folder may hold files that pip must not see. Returns its path in the guest.
    pub(super) fn file(&mut self, file: &Path) -> Result<String> {
        let file = real(file)?;
        self.copy(&file)?;
        in_guest(&file)
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
        in_guest(&first)
    }

    /// Adds a folder to read. Returns its path in the guest.
    pub(super) fn folder(&mut self, folder: &Path) -> Result<String> {
        let host = folder
            .canonicalize()
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
        let guest = in_guest(&host)?;
        self.folders.push(Folder::read_only(host, guest.clone()));
        Ok(guest)
    }

    /// Sets the folder to write to, which is created if it does not exist. The last one counts, as for pip.
    pub(super) fn target(&mut self, folder: &Path) -> Result<String> {
        self.target = Some(folder.to_owned());
        Ok(TARGET.to_owned())
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
        if let Some(target) = &self.target {
            fs::create_dir_all(target)
                .with_context(|| format!("cannot make the folder {}", target.display()))?;
        }
        Ok((self.scratch, folders, self.target))
    }

    /// Copies a file; false if it was copied before.
    fn copy(&self, file: &Path) -> Result<bool> {
        let mut copy = self.scratch.path().join(ROOT);
        // Without the root directory, which would replace everything before it.
        copy.extend(
            Path::new(GIVEN)
                .components()
                .chain(file.components())
                .filter(|part| matches!(part, Component::Normal(_))),
        );
        if copy.exists() {
            return Ok(false);
        }
        if let Some(folder) = copy.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(file, &copy).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(true)
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

fn in_guest(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(path) => Ok(format!("{GIVEN}{path}")),
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
