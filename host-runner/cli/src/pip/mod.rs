//! `wasisocket pip`: a run of pip in a guest, with the grants that its task needs and no others.

mod arguments;
mod configuration;
mod imports;
mod inputs;
mod notes;
mod reach;
mod task;

use std::ffi::OsString;
use std::fs;

use clap::Args;
use tracing::debug;
use wasisocket_host::{List, MAX_DISK_DEFAULT};
use wasisocket_python::{Distribution, TLS_FOLDER};
use wasmtime::{Result, bail};

use crate::run::GuestArgs;
use crate::say;
use arguments::Word;
use inputs::Inputs;
use reach::DefaultIndex;
use task::Task;

/// What is installed may take so many bytes.
const DISK: u64 = 4 << 30;

pub(crate) const SHORT_HELP: &str = "\
Example: wasisocket pip install --target site requests
`wasisocket pip --help` says what pip may reach, and what works without compiled parts.";

pub(crate) const LONG_HELP: &str = "\
PIP_ARGS are pip's own, as in `install --target DIR PACKAGE`. pip runs in a guest, and may only

  reach   its index, --extra-index-url, --find-links and --proxy, as given on the command line, by PIP_
          variables or by pip.conf of this machine; otherwise pip's default index
  write   the folder of --target or --dest, and a /tmp that is removed afterwards
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

What is installed may take 4 GiB, or what --max-disk says.

Examples:
  wasisocket pip install --target site requests
  wasisocket pip install --target site --platform manylinux2014_x86_64 markupsafe pyyaml
  wasisocket pip --strict install --target site -r requirements.txt
  wasisocket pip --allow-net=files.example.com:443 install --target site -r requirements.txt
  wasisocket run --dir site::/site:ro --env PYTHONPATH=/site --allow-net=example.com:443 fetch.py";

/// The file of pip that knows its index.
const INDEXES: &str = "site-packages/pip/_internal/models/index.py";

/// Settings for every run. Options on the command line override variables.
const SETTINGS: [(&str, &str); 5] = [
    // A source archive runs code of its own to become a wheel, in processes that a guest does not have.
    ("PIP_ONLY_BINARY", ":all:"),
    // A thread draws it.
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    // A run could poison a cache that outlasts it.
    ("PIP_NO_CACHE_DIR", "1"),
];

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

/// The exit status is pip's, or 1 if `--strict` says so.
pub(crate) fn pip(args: PipArgs) -> Result<u8> {
    let mut guest = args.guest;
    guest.log();
    let words = arguments::parse(args.pip_args)?;
    let command_at = words
        .iter()
        .position(|word| matches!(word, Word::Positional(_)));
    let command = command_at.and_then(|place| match &words[place] {
        Word::Positional(command) => Some(command.as_str()),
        _ => None,
    });
    let mut inputs = Inputs::new()?;
    inputs.reach.default_index = Distribution::find(guest.python.as_deref())?
        .library_file(INDEXES)
        .and_then(|file| DefaultIndex::from_source(&fs::read_to_string(file).ok()?));

    let mut env: Vec<_> = SETTINGS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    // Before the command line, which has the last word.
    for (name, value) in configuration::load(command)? {
        match arguments::configured(&name, &value, &mut inputs)? {
            Some(value) => env.push((
                format!("PIP_{}", name.to_uppercase().replace('-', "_")),
                value,
            )),
            None => debug!("pip's {name} is not passed on"),
        }
    }
    let translated: Result<Vec<_>> = words
        .iter()
        .map(|word| arguments::translate(word, &mut inputs))
        .collect();
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
    let proxies = configuration::in_both_cases(configuration::PROXIES);
    let values = proxies.iter().map(|(_, value)| value.clone());
    inputs.reach.proxies.extend(values);
    let no_proxy = configuration::in_both_cases(configuration::NO_PROXY);
    env.extend(proxies.into_iter().chain(no_proxy));
    if guest.ca_bundle.is_none() {
        guest.ca_bundle = inputs.bundle.take().or_else(configuration::bundle);
    }
    if guest.ca_bundle.is_some() {
        env.push(("PIP_CERT".into(), format!("{TLS_FOLDER}/cert.pem")));
    }
    let mut grants = guest.grants.read()?;
    if grants.limits.max_disk == Some(MAX_DISK_DEFAULT) {
        grants.limits.max_disk = Some(DISK);
    }
    let rules = inputs.reach.rules(&grants.resolver);
    debug!(?rules, "granted to pip");
    for rule in &rules {
        grants.add(List::AllowNet, rule)?;
    }

    let (scratch, folders, target) = inputs.into_folders()?;
    let task = Task {
        guest,
        grants,
        words: translated?,
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
    // A guest that took too long may still write there. What was installed is.
    let folder = scratch.path().to_owned();
    if let Err(error) = scratch.close() {
        say(format_args!("cannot remove {}: {error}", folder.display()));
    }
    Ok(status)
}
