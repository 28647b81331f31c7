//! `wasisocket pip`: a run of pip in the guest, with the grants that its task needs and no others.

mod arguments;
mod configuration;
mod given;
mod reach;
mod refusals;

use std::ffi::OsString;
use std::fs;

use clap::Args;
use tracing::debug;
use wasisocket_python::{Distribution, Program, TLS_FOLDER};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::grants::add;
use crate::run::{self, GuestArgs};
use arguments::Word;
use given::Given;
use reach::DefaultIndex;

pub(crate) const AFTER_HELP: &str = "\
PIP_ARGS are pip's own, as in `install --target DIR PACKAGE`. pip runs in the guest, and may only

  reach   its index, --extra-index-url, --find-links and --proxy, as the command line, PIP_ variables or
          pip.conf of this machine have them; else the index that pip has by default
  write   the folder of --target or --dest, and a /tmp that is removed afterwards
  read    the files of -r and -c, the folders of --find-links and --path, and wheels that are named

If an index has its files on another host, the refusal names the grant that is missing. Options such as
--allow-net go before the first of PIP_ARGS. Without --ca-bundle, pip's --cert and REQUESTS_CA_BUNDLE hold.

Only wheels in pure Python can be installed: there is no compiler in the guest, nor a way to start one.
Many packages with compiled parts have the same in Python, and use that where the parts cannot be loaded:
--platform manylinux2014_x86_64 installs them.

Examples:
  wasisocket pip install --target site requests
  wasisocket pip install --target site --platform manylinux2014_x86_64 flask aiohttp
  wasisocket pip --allow-net=files.example.com:443 install --target site -r requirements.txt
  wasisocket run --dir site::/site:ro --env PYTHONPATH=/site --allow-net=example.com:443 fetch.py";

/// The file of pip that knows its index.
const INDEXES: &str = "site-packages/pip/_internal/models/index.py";

/// The log that pip writes in its `/tmp`, beside what it prints.
const LOG: &str = "pip.log";

/// What holds for every run. Options on the command line come before variables.
const SETTINGS: [(&str, &str); 5] = [
    // A source archive runs code of its own to become a wheel, in processes that a guest has not.
    ("PIP_ONLY_BINARY", ":all:"),
    // It is drawn by a thread.
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    // A cache that outlasts the run could be poisoned by it.
    ("PIP_NO_CACHE_DIR", "1"),
];

#[derive(Debug, Args)]
pub(crate) struct PipArgs {
    #[command(flatten)]
    guest: GuestArgs,
    /// A command of pip's, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    pip_args: Vec<OsString>,
}

/// The exit status is pip's.
pub(crate) fn pip(args: PipArgs) -> Result<u8> {
    let mut guest = args.guest;
    guest.log();
    let words = arguments::parse(args.pip_args)?;
    let command = words.iter().find_map(|word| match word {
        Word::Positional(command) => Some(command.as_str()),
        _ => None,
    });
    let mut given = Given::new()?;
    given.reach.default_index = Distribution::find(guest.python.as_deref())?
        .library_file(INDEXES)
        .and_then(|file| DefaultIndex::from_source(&fs::read_to_string(file).ok()?));

    let mut env: Vec<_> = SETTINGS
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .chain([("PIP_LOG".to_owned(), format!("/tmp/{LOG}"))])
        .collect();
    // Before the command line, which has the last word.
    for (name, value) in configuration::load(command)? {
        match arguments::configured(&name, &value, &mut given)? {
            Some(value) => env.push((
                format!("PIP_{}", name.to_uppercase().replace('-', "_")),
                value,
            )),
            None => debug!("pip's {name} is not passed on"),
        }
    }
    let mut program = Program::module("pip");
    for word in &words {
        program = program.args([arguments::translate(word, &mut given)?]);
    }
    let installs = command == Some("install")
        && !words.iter().any(|word| {
            matches!(word, Word::Other(option) if ["--dry-run", "--help", "-h"].contains(&option.as_str()))
        });
    if installs && !given.has_target() {
        bail!("pip install: say where to with --target DIR; nothing else of the guest's is kept");
    }
    let proxies = configuration::in_both_cases(configuration::PROXIES);
    let values = proxies.iter().map(|(_, value)| value.clone());
    given.reach.proxies.extend(values);
    let no_proxy = configuration::in_both_cases(configuration::NO_PROXY);
    env.extend(proxies.into_iter().chain(no_proxy));
    if guest.ca_bundle.is_none() {
        guest.ca_bundle = given.bundle.take().or_else(configuration::bundle);
    }
    if guest.ca_bundle.is_some() {
        env.push(("PIP_CERT".into(), format!("{TLS_FOLDER}/cert.pem")));
    }
    let mut grants = guest.grants.read()?;
    let rules = given.reach.rules(&grants.resolver);
    debug!(?rules, "granted to pip");
    add(&mut grants, "allow-net", &rules)?;

    let (scratch, folders) = given.into_folders()?;
    for folder in folders {
        program = program.folder(folder);
    }
    for (name, value) in env {
        program = program.env(name, value);
    }
    let status = run::start(&guest, program, grants, Some(scratch.path()))?;
    if status != 0 {
        refusals::explain(&scratch.path().join(given::TEMPORARY).join(LOG));
    }
    scratch
        .close()
        .context("cannot remove pip's temporary folder")?;
    Ok(status)
}
