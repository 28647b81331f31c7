//! `wasisocket run`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tracing::debug;
use wasisocket_host::{Policy, SocketsCtx};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::denials::DenialLines;
use crate::folders::Folder;
use crate::guest::{self, Guest};
use crate::python::{PYTHON_VARIABLE, Python};
use crate::{engine, limits};

pub(crate) const AFTER_HELP: &str = "\
A rule is HOST[:PORT], where HOST is a name, *.name, an address, a network such as 10.0.0.0/8, or * for
all, and IPv6 goes into brackets: [::1]:8000. A name covers the public addresses that it is looked up
to; loopback and private addresses need a rule that names them. Deny beats allow.

The guest sees the folder of its script as /, to read only. What comes after SCRIPT, CODE or MODULE is
the guest's sys.argv.

Examples:
  wasisocket run --allow-net=example.com:443 fetch.py
  wasisocket run --allow-net=127.0.0.1:8000,[::1]:8000 --dir data --env TOKEN client.py --verbose
  wasisocket run --timeout 10 --max-memory 256M -c 'print(2 ** 100)'";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Let the guest reach these hosts; without rules, every host
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    allow_net: Vec<String>,
    /// Keep the guest from these hosts, whatever else is allowed; without rules, from every host
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    deny_net: Vec<String>,
    /// Let the guest read and write a folder, or only read it (:ro)
    #[arg(long, value_name = "HOST[::GUEST][:ro]")]
    dir: Vec<Folder>,
    /// Set an environment variable of the guest, or pass on the host's
    #[arg(long, value_name = "K[=V]")]
    env: Vec<String>,
    /// The python.wasm to run, or its folder
    #[arg(long, value_name = "PATH", env = PYTHON_VARIABLE)]
    python: Option<PathBuf>,
    /// End the guest after this time, with status 124; 10, 0.5, 10s, 5m, 2h
    #[arg(long, value_name = "TIME", value_parser = limits::parse_duration)]
    timeout: Option<Duration>,
    /// The most memory that the guest may have; 256M, 1G
    #[arg(long, value_name = "SIZE", value_parser = limits::parse_size)]
    max_memory: Option<usize>,
    /// Say what happens on the host's side
    #[arg(short, long)]
    verbose: bool,
    /// A line of Python to run, and its arguments
    #[arg(short, value_names = ["CODE", "ARGS"], num_args = 1.., allow_hyphen_values = true, conflicts_with_all = ["module", "script"])]
    code: Option<Vec<OsString>>,
    /// A module to run, and its arguments
    #[arg(short, value_names = ["MODULE", "ARGS"], num_args = 1.., allow_hyphen_values = true, conflicts_with = "script")]
    module: Option<Vec<OsString>>,
    /// The script to run, and its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_names = ["SCRIPT", "ARGS"], required_unless_present_any = ["code", "module"])]
    script: Vec<OsString>,
}

pub(crate) fn run(args: RunArgs) -> Result<u8> {
    if args.verbose {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::stderr)
            .init();
    }
    ctrlc::set_handler(|| std::process::exit(130)).context("cannot handle Ctrl-C")?;

    let python = Python::find(args.python.as_deref())?;
    let policy = policy(&args.allow_net, &args.deny_net)?;
    debug!(?policy, ?python, "starting");

    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().allow_blocking_current_thread(true);
    let root = args.dir.iter().find(|folder| folder.is_root());
    let (script_folder, arguments) = guest_arguments(&args, root)?;
    if let Some(folder) = script_folder.filter(|_| root.is_none()) {
        wasi.preopened_dir(&folder, "/", FsPerms::ReadOnly)
            .with_context(|| format!("cannot open the folder {}", folder.display()))?;
    }
    for folder in &args.dir {
        folder.open(&mut wasi)?;
    }
    for variable in &args.env {
        let (name, value) = environment(variable)?;
        wasi.env(name, value);
    }
    python.mount(&mut wasi)?;
    wasi.arg("python").args(&arguments);

    let denials = DenialLines::default();
    let sockets = SocketsCtx::builder(policy)
        .on_denial(move |denial| denials.print(denial))
        .build();
    let module = engine::load(python.wasm())?;
    if let Some(limit) = args.timeout {
        limits::end_process_after(limit);
    }
    guest::run(
        module,
        Guest::new(wasi.build_p1(), sockets, args.max_memory),
    )
}

fn policy(allow: &[String], deny: &[String]) -> Result<Policy> {
    let mut policy = Policy::new();
    for rule in allow {
        policy = policy.allow(rule).context("--allow-net")?;
    }
    for rule in deny {
        policy = policy.deny(rule).context("--deny-net")?;
    }
    Ok(policy)
}

/// The script's folder, and what Python gets after its own name.
///
/// The script is in the folder that the guest sees as `/`: its own, or one that was granted as that.
fn guest_arguments(
    args: &RunArgs,
    root: Option<&Folder>,
) -> Result<(Option<PathBuf>, Vec<String>)> {
    let (folder, head, rest) = match (&args.code, &args.module) {
        (Some(code), _) => (None, vec!["-c".to_owned()], code.as_slice()),
        (None, Some(module)) => (None, vec!["-m".to_owned()], module.as_slice()),
        (None, None) => {
            let (script, rest) = args.script.split_first().context("no script")?;
            let (folder, name) = script_folder(Path::new(script))?;
            let place = root.map_or(Ok(PathBuf::new()), |root| root.place_of(&folder))?;
            let path = Path::new("/").join(place).join(name);
            let Some(path) = path.to_str() else {
                bail!("the folder of {name} is not UTF-8, as WASI wants it");
            };
            (Some(folder), vec![path.to_owned()], rest)
        }
    };
    let mut arguments = head;
    for argument in rest {
        let Some(text) = argument.to_str() else {
            bail!("argument {argument:?} is not UTF-8, as WASI wants it");
        };
        arguments.push(text.to_owned());
    }
    Ok((folder, arguments))
}

fn script_folder(script: &Path) -> Result<(PathBuf, &str)> {
    if !script.is_file() {
        let name = script.display().to_string();
        if name.starts_with('-') {
            bail!(
                "{name} is neither an option nor a script; `wasisocket run --help` lists the options"
            );
        }
        bail!("no such script: {name}");
    }
    let name = script.file_name().and_then(|name| name.to_str());
    let Some(name) = name else {
        bail!(
            "the name of {} is not UTF-8, as WASI wants it",
            script.display()
        );
    };
    let folder = script
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")).to_owned(), name))
}

/// `K=V`, or `K` for the host's own value.
fn environment(variable: &str) -> Result<(String, String)> {
    if let Some((name, value)) = variable.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(variable)
        .with_context(|| format!("--env {variable}: not set here; write {variable}=VALUE"))?;
    Ok((variable.to_owned(), value))
}
