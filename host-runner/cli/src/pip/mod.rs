//! `wasisocket pip`: a run of pip in a guest, with the grants that its task needs and no others.

mod arguments;
mod configuration;
mod imports;
mod inputs;
mod lock;
mod locked;
mod notes;
mod reach;
mod task;
mod variables;

use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use clap::Args;
use tracing::debug;
use wasisocket_host::{Grants, List};
use wasisocket_python::Distribution;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::run::GuestArgs;
use crate::say;
use arguments::{LOCK, Word};
use inputs::{GIVEN, Inputs, LOCK_FILE, Output};
pub use lock::Lock;
use reach::DefaultIndex;
use task::Task;

pub(crate) const SHORT_HELP: &str = "\
Example: wasisocket pip install --target site requests
`wasisocket pip --help` says what pip may reach, and what works without compiled parts.";

pub(crate) const LONG_HELP: &str = "\
PIP_ARGS are pip's own, as in `install --target DIR PACKAGE`. pip runs in a guest, and may only

  reach   its index, --extra-index-url, --find-links and --proxy, as given on the command line, by PIP_
          variables or by pip.conf of this machine; otherwise pip's default index
  write   the folder of --target or --dest, the file of `lock -o`, and a /tmp that is removed afterwards
  read    the files of -r and -c, the folders of --find-links and --path, and wheels that are named

If an index has its files on another host, the denial names the grant that is missing. Options such as
--allow-net go before the first of PIP_ARGS. Without --ca-bundle, pip's --cert and REQUESTS_CA_BUNDLE apply.

Only wheels in pure Python can be installed: a guest has no compiler, and cannot load compiled parts. If
the newest version of a package has compiled parts or needs a package that has, pip goes back to an older
version that does not, which may be years old. What it passed over, and why, is reported at the end. With
--strict nothing is installed then, and the exit status is 1.

Some packages also work without their compiled parts. If that could help, pip installs the newest versions
into a temporary folder and imports them in a guest without network, and reports which work. That guest has
1 GiB of memory, or what --max-memory says. Wheels for Linux are installed with --platform, as in the second
example. Afterwards those with compiled parts are imported in the same way, and those that do not work are
reported; with --strict the exit status is then 1.

`pip lock` writes pylock.toml (PEP 751), with the version and the SHA-256 of each wheel that it would install,
and `install -r pylock.toml` installs these wheels and no others. The index has to have them still: the lock's
URLs are not used.

What is installed may take 4 GiB, or what --max-disk says.

Examples:
  wasisocket pip install --target site requests
  wasisocket pip install --target site --platform manylinux2014_x86_64 markupsafe pyyaml
  wasisocket pip --strict install --target site -r requirements.txt
  wasisocket pip lock -o pylock.toml requests
  wasisocket pip install --target site -r pylock.toml
  wasisocket pip --allow-net=files.example.com:443 install --target site -r requirements.txt
  wasisocket run --dir site::/site:ro --env PYTHONPATH=/site --allow-net=example.com:443 fetch.py";

/// What is installed may take so many bytes.
const DISK: u64 = 4 << 30;

#[derive(Debug, Args)]
pub(crate) struct PipArgs {
    #[command(flatten)]
    guest: GuestArgs,
    /// Fail and install nothing if a newest version needs compiled parts
    #[arg(long)]
    strict: bool,
    /// A command of pip's, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pip_args: Vec<OsString>,
}

/// What pip's guests are granted and limited to unless the user says otherwise.
fn usual() -> Grants {
    let mut grants = Grants::default();
    grants.limits.max_disk = Some(DISK);
    grants
}

impl PipArgs {
    /// What the user grants to pip, beside what its task needs.
    fn grants(&self) -> Result<Grants> {
        self.guest.grants.read_over(usual())
    }
}

/// The exit status is pip's, or 1 if `--strict` says so.
pub(crate) fn pip(args: PipArgs) -> Result<u8> {
    args.guest.log();
    let mut grants = args.grants()?;
    let mut guest = args.guest;
    let words = arguments::parse(args.pip_args)?;
    let command_at = words
        .iter()
        .position(|word| matches!(word, Word::Positional(_)));
    let command = command_at.and_then(|place| match &words[place] {
        Word::Positional(command) => Some(command.as_str()),
        _ => None,
    });
    let mut inputs = Inputs::new()?;
    inputs.reach.default_index = DefaultIndex::find(&Distribution::find(guest.python.as_deref())?);

    let is_wanted = |name: &str| command == Some(LOCK) || name != "output";
    let mut env = variables::configured(command, is_wanted, &mut inputs)?;
    let translated: Result<Vec<_>> = words
        .iter()
        .map(|word| arguments::translate(word, &mut inputs))
        .collect();
    let mut translated = translated?;
    let has_option = |wanted: &[&str]| {
        words.iter().any(|word| {
            matches!(word, Word::Other(option) if wanted.contains(&option.split('=').next().unwrap_or(option)))
        })
    };
    let installs = command == Some("install") && !has_option(&["--dry-run", "--help", "-h"]);
    if installs && !inputs.has_target() {
        bail!(
            "pip install: say where to with --target DIR; the guest's other files are removed afterwards"
        );
    }
    let mut options = Vec::new();
    if command == Some(LOCK) {
        if args.strict {
            bail!("pip lock: --strict is for install and download");
        }
        match inputs.lock_output() {
            None => options.push(format!("--output={}", inputs.output(Path::new(LOCK_FILE))?)),
            // Otherwise what pip reports would be among it.
            Some((Output::Stdout, _)) => options.push("--quiet".into()),
            Some((Output::File(_), _)) => {}
        }
    }
    let is_locked = !inputs.locks().is_empty();
    if is_locked {
        if inputs.has_requirements {
            bail!("a lock file is installed by itself: leave out the other requirements file");
        }
        if !has_option(&["--platform"]) {
            inputs.locks().iter().try_for_each(Lock::check_pure)?;
        }
        options.extend(["--no-deps".into(), "--require-hashes".into()]);
    }
    let after_command = command_at.map_or(0, |place| place + 1);
    translated.splice(after_command..after_command, options);
    guest.ca_bundle = variables::add_network(&mut env, guest.ca_bundle, &mut inputs);
    let rules = inputs.reach.rules(&grants.resolver);
    debug!(?rules, "granted to pip");
    for rule in &rules {
        grants.add(List::AllowNet, rule)?;
    }

    let lock = inputs.lock_output().cloned();
    let (scratch, folders, target) = inputs.into_folders()?;
    let task = Task {
        guest,
        grants,
        words: translated,
        is_locked,
        command_at: command_at.unwrap_or(words.len()),
        env,
        folders,
        target,
        scratch: scratch.path().to_owned(),
    };
    let mut status = task.run(args.strict)?;
    if installs {
        let tried = match task.platforms() {
            platforms if !platforms.is_empty() => task.try_newest(&platforms).map(|()| true),
            _ if status == 0 && has_option(&["--platform"]) => task.try_installed(),
            _ => Ok(true),
        };
        let works = tried.unwrap_or_else(|error| {
            say(format_args!("{error:#}"));
            false
        });
        if args.strict && !works {
            status = 1;
        }
    }
    if let (0, Some((output, written))) = (status, lock)
        && let Some(text) = notes::lock(&written)?
    {
        keep_lock(&text, &output)?;
    }
    // A guest that took too long may still write there. What was installed is.
    let folder = scratch.path().to_owned();
    if let Err(error) = scratch.close() {
        say(format_args!("cannot remove {}: {error}", folder.display()));
    }
    Ok(status)
}

/// Writes what pip has locked to where the user wants it.
fn keep_lock(text: &str, output: &Output) -> Result<()> {
    // Wheels of --find-links are at their paths of this machine.
    let text = text.replace(&format!("\"file://{GIVEN}/"), "\"file:///");
    match output {
        Output::Stdout => std::io::stdout().write_all(text.as_bytes())?,
        Output::File(file) => {
            let written = fs::write(file, &text);
            written.with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    if let Err(error) = Lock::parse(&text).and_then(|lock| lock.check_pure()) {
        say(format_args!(
            "nothing can be installed from this lock: {error:#}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{DISK, PipArgs};
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        pip: PipArgs,
    }

    fn max_disk(options: &[&str]) -> Option<u64> {
        let words = ["pip"].iter().chain(options).chain(&["list"]);
        let args = Line::try_parse_from(words).unwrap().pip;
        args.grants().unwrap().limits.max_disk
    }

    #[test]
    fn limit_of_disk_is_the_users_also_if_it_is_that_of_other_guests() {
        assert_eq!(max_disk(&[]), Some(DISK));
        for limit in ["256M", "1G"] {
            let set = max_disk(&["--max-disk", limit]);
            assert_eq!(set, max_disk(&[&format!("--max-disk={limit}")]));
            assert_ne!(set, Some(DISK));
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        for (text, limit) in [
            ("max-sockets = 5\n", DISK),
            ("max-disk = '256M'\n", 256 << 20),
        ] {
            std::fs::write(path, text).unwrap();
            assert_eq!(max_disk(&["--policy", path]), Some(limit), "{text}");
        }
    }
}
