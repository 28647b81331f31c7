//! `cargo xtask install`: puts the command `wasisocket` and its Python into a prefix, where `wasisocket run`
//! finds them from any folder and without environment variables.
//!
//! The layout is that of other Unix programs: `bin/wasisocket`, and `lib/wasisocket/` with python.wasm, the
//! standard library and the licences. The command looks for `../lib/wasisocket` relative to itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use etcetera::BaseStrategy;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::build::Build;
use crate::progress::human_bytes;
use crate::steps::{self, host};
use crate::tree;

/// In `lib/wasisocket`: marks a folder that this task made and may therefore replace and remove.
const MARKER: &str = ".installed-by-cargo-xtask";

/// In `lib/wasisocket`: the licences of the command. Those of python.wasm are beside it.
const HOST_LICENCES: &str = "command";

/// Not installed: python-core.wasm is for other hosts.
pub(super) const LEFT_OUT: &str = "python-core.wasm";

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// Install into DIR/bin and DIR/lib/wasisocket [default: ~/.local]
    #[arg(long, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// Remove what this command installed there
    #[arg(long)]
    pub(crate) uninstall: bool,
}

/// The paths of one installation.
pub(super) struct Installation {
    prefix: PathBuf,
    command: PathBuf,
    pub(super) library: PathBuf,
}

/// Installs, replaces or removes.
pub(crate) fn install(build: &Build, args: &InstallArgs) -> Result<()> {
    let prefix = match &args.prefix {
        Some(prefix) => std::path::absolute(prefix)?,
        None => etcetera::choose_base_strategy()
            .context("no home directory: choose a folder with --prefix DIR")?
            .home_dir()
            .join(".local"),
    };
    let installation = Installation::in_prefix(prefix);
    if args.uninstall {
        installation.remove()?;
        println!(
            "removed {} and {}",
            installation.command.display(),
            installation.library.display()
        );
        return Ok(());
    }
    let (python, host) = steps::product(build)?;
    installation.make(&host.folder, &python.folder)?;
    installation.describe();
    Ok(())
}

impl Installation {
    pub(super) fn in_prefix(prefix: PathBuf) -> Self {
        Self {
            command: prefix.join("bin").join(host::COMMAND),
            library: prefix.join("lib/wasisocket"),
            prefix,
        }
    }

    fn describe(&self) {
        let (command, library) = (self.command.display(), self.library.display());
        let size = tree::size(&self.library) + tree::size(&self.command);
        println!("installed, {}:", human_bytes(size));
        println!("  {command}   the command");
        println!("  {library}/  python.wasm, its standard library, and the licences");
        println!("To try it, in any folder: wasisocket run -c 'print(\"hello\")'");
        let bin = self.command.parent();
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| Some(folder.as_path()) == bin) {
            println!(
                "PATH does not contain its folder: run `export PATH=\"{}/bin:$PATH\"`",
                self.prefix.display()
            );
        }
        println!("To undo it: rm -r {command} {library}");
        println!(
            "  or: cargo xtask install --uninstall --prefix {}",
            self.prefix.display()
        );
    }

    /// Whether both paths are free or belong to an earlier installation.
    fn check(&self) -> Result<bool> {
        if self.library.join(MARKER).is_file() {
            return Ok(true);
        }
        for path in [&self.library, &self.command] {
            if path.symlink_metadata().is_ok() {
                bail!(
                    "{} exists, and `cargo xtask install` did not make it: remove it, or choose another \
                     folder with --prefix DIR",
                    path.display()
                );
            }
        }
        Ok(false)
    }

    /// Installs the command of the folder `host` and the distribution `python`. An earlier installation is
    /// replaced only when the new one is complete.
    pub(super) fn make(&self, host: &Path, python: &Path) -> Result<()> {
        let replace = self.check()?;
        let library = temporary(&self.library);
        let command = temporary(&self.command);
        let stage = || {
            copy_python(python, &library)?;
            let is_command = |path: &Path| path == Path::new(host::COMMAND);
            tree::copy(host, &library.join(HOST_LICENCES), &|path| {
                !is_command(path)
            })?;
            tree::stamp(&library.join(MARKER))?;
            tree::copy_file(&host.join(host::COMMAND), &command)?;
            if replace {
                exchange(&library, &self.library)?;
            } else {
                rename(&library, &self.library)?;
            }
            rename(&command, &self.command)
        };
        let result = stage();
        // After a failure the new files, after a success the old ones.
        tree::remove(&command)?;
        tree::remove(&library)?;
        result.with_context(|| format!("cannot install into {}", self.prefix.display()))
    }

    fn remove(&self) -> Result<()> {
        if !self.check()? {
            bail!("nothing is installed in {}", self.prefix.display());
        }
        tree::remove(&self.command)?;
        // Renamed first: an interruption leaves no half of an installation under its name.
        let library = temporary(&self.library);
        rename(&self.library, &library)?;
        tree::remove(&library)
    }
}

/// Copies what of a distribution is installed.
pub(super) fn copy_python(python: &Path, to: &Path) -> Result<()> {
    tree::copy(python, to, &|path| path != Path::new(LEFT_OUT))?;
    // Python warns at each start if lib-dynload, which is empty, does not exist.
    tree::copy_folders(python, to)
}

/// A name beside `path` for a file or folder that is about to be renamed or removed.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}-{}", std::process::id()))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename to {}", to.display()))
}

/// Exchanges two folders at once. File systems that cannot do so get two renames.
fn exchange(one: &Path, other: &Path) -> Result<()> {
    if renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).is_ok() {
        return Ok(());
    }
    let aside = one.with_added_extension("old");
    rename(other, &aside)?;
    if let Err(error) = rename(one, other) {
        let restored: io::Result<()> = fs::rename(&aside, other);
        restored.with_context(|| format!("the old installation is in {}", aside.display()))?;
        return Err(error);
    }
    rename(&aside, one)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prefix, and the folders to install from: `version` is the content of each file.
    fn scratch(name: &str, version: &str) -> (Installation, PathBuf, PathBuf) {
        let root =
            std::env::temp_dir().join(format!("xtask-install-{name}-{}", std::process::id()));
        let (host, python) = (root.join("host"), root.join("python"));
        for file in [
            host.join("wasisocket"),
            host.join("NOTICE.txt"),
            python.join("python.wasm"),
            python.join("python-core.wasm"),
            python.join("lib").join(version),
        ] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, version).unwrap();
        }
        (Installation::in_prefix(root.join("prefix")), host, python)
    }

    #[test]
    fn upgrade_replaces_everything_and_leaves_nothing_behind() {
        let (installation, host, python) = scratch("upgrade", "one");
        installation.make(&host, &python).unwrap();
        fs::remove_file(python.join("lib/one")).unwrap();
        let (_, host, python) = scratch("upgrade", "two");
        installation.make(&host, &python).unwrap();

        let prefix = &installation.prefix;
        let files = tree::files(prefix, &|_| true).unwrap();
        let wanted = [
            "bin/wasisocket",
            "lib/wasisocket/.installed-by-cargo-xtask",
            "lib/wasisocket/command/NOTICE.txt",
            "lib/wasisocket/lib/two",
            "lib/wasisocket/python.wasm",
        ];
        assert_eq!(files, wanted.map(PathBuf::from));
        assert_eq!(fs::read(&installation.command).unwrap(), b"two");

        installation.remove().unwrap();
        assert_eq!(
            tree::files(prefix, &|_| true).unwrap(),
            [""; 0].map(PathBuf::from)
        );
        assert!(installation.remove().is_err());
        fs::remove_dir_all(prefix.parent().unwrap()).unwrap();
    }

    #[test]
    fn files_of_others_are_neither_replaced_nor_removed() {
        let (installation, host, python) = scratch("others", "one");
        let prefix = &installation.prefix;
        fs::create_dir_all(prefix.join("bin")).unwrap();
        fs::write(&installation.command, "mine").unwrap();
        let text = installation.make(&host, &python).unwrap_err().to_string();
        assert!(text.contains("--prefix"), "{text}");
        assert!(installation.remove().is_err());
        assert_eq!(fs::read(&installation.command).unwrap(), b"mine");
        let left = tree::files(prefix, &|_| true).unwrap();
        assert_eq!(left, [PathBuf::from("bin/wasisocket")]);
        fs::remove_dir_all(prefix.parent().unwrap()).unwrap();
    }
}
