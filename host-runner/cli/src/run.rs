//! `wasisocket run`.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clap::Args;
use tempfile::TempDir;
use tracing::debug;
use wasisocket_host::{Event, Grants, GuestSignals, Limit, LimitError, Limits};
use wasisocket_python::{
    Certificates, Distribution, End, Folder, Program, Python, PythonBuilder, TimeZones,
};
use wasmtime::Result;
use wasmtime::error::Context as _;

use crate::denials::{DenialLines, FileRefusals};
use crate::folders::parse_folder;
use crate::grants::{GrantArgs, ListenArgs};
use crate::limits::{self, TimeIsOver};
use crate::profile::ProfileFile;
use crate::python_line::{self, Runs};
use crate::say;
use crate::script::{self, has_module};
use crate::signals::PassedOn;

pub(crate) const USAGE: &str = "\
wasisocket run [OPTIONS] [PYTHON OPTIONS] SCRIPT [ARGS]...
       wasisocket run [OPTIONS] [PYTHON OPTIONS] -m MODULE|-c CODE|- [ARGS]...";

pub(crate) const SHORT_HELP: &str = "\
Example: wasisocket run --allow-net=example.com:443 fetch.py
`wasisocket run --help` lists limits and all other options, and explains rules.";

pub(crate) const LONG_HELP: &str = "\
Rules (--allow-net, --deny-net):
  A rule is HOST[:PORT[-PORT]][/PROTOCOL]. HOST is a name, *.name, an address, a network such as
  10.0.0.0/8, or * for every host. IPv6 addresses are written in brackets ([::1]:8000). PROTOCOL is
  tcp or udp. A rule without a port covers all ports; one without a protocol covers both.
  A name covers the public addresses that the guest's own look-up of it returned, as long as the
  answer is valid, and at least five minutes. Loopback and private addresses need a rule that names
  them. Deny rules take precedence over allow rules, also for peers that connect or send to the
  guest.

Rules for listening (--allow-listen, --deny-listen):
  HOST is an address, a network, localhost, or *. Port 0 is a port that the system picks. 0.0.0.0
  and [::] stand for all addresses of this machine. A UDP server may answer whoever sent to it.

Names (--allow-lookup, --deny-lookup, --resolve, --dns):
  Names that no rule covers are never sent to a resolver. --resolve gives a name its addresses; the
  guest reaches those that are not public only by rules for the addresses. With --resolve, other
  names are looked up by the servers of --dns, and are unknown without it. --dns=system is the
  system's resolver.

Policy file (--policy):
  The keys of the file are the names of these options: allow-net = [\"example.com:443\"],
  timeout = \"10s\", max-sockets = 16. Lists from the file and the options are combined; for limits,
  the option overrides the file.

Python's command line:
  What follows these options is as python3 takes it: its options (-u, -X dev, -Im pip), then a
  script, a folder or zip file with a __main__.py, -m, -c, or - for standard input. Without any of
  them Python reads standard input, too. A script may be a pipe of up to 16 MiB, such as <(...) of a
  shell. -h and -v are the options above if they come first; after -- they are Python's.

Folders and environment (--dir, --env):
  The guest sees the folder of its script as /, for reading; if the script is a symbolic link, the
  folder of its target; if it is a folder, that one, as /NAME. With -m it sees the current folder as
  /, for reading, if the module is in it. Otherwise / is empty. A --dir for / takes their place.
  In a folder of --dir it may also create Unix sockets and connect to others', unless the folder is
  :ro. If a variable is set twice, the last value counts.

TLS (--ca-bundle):
  The guest trusts the certificates that this system trusts, or those that SSL_CERT_FILE and
  SSL_CERT_DIR name on the host. It finds them in /etc/ssl, for reading. The same variables of the
  guest (--env) and a folder granted as /etc/ssl take precedence. With --allow-net, /etc/resolv.conf
  lists the name servers that are asked for the guest.

Time zones (--tzdata):
  The guest finds the host's time zones in /usr/share/zoneinfo, for reading; those that TZDIR
  names on the host, or the system's. A granted folder that has them there takes precedence.
  Its local time is UTC unless a variable says otherwise: --env TZ=Europe/Paris.

Signals:
  SIGINT (Ctrl-C), SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH are the guest's if it
  handles them, as Python does with SIGINT; otherwise they end it. A second Ctrl-C within a second
  ends it in any case, and --grace what goes on for longer after a signal. With --grace, a
  guest that handles SIGTERM gets it when --timeout or --max-cpu is over, and that time to end.

Exit status:
  The guest's own; 124 after --timeout or --max-cpu; 134 after a trap; 2 if it was not started.

Examples:
  wasisocket run --allow-net=example.com:443 fetch.py
  wasisocket run --allow-net=127.0.0.1:8000,[::1]:8000 --dir data --env TOKEN client.py --verbose
  wasisocket run --allow-listen=127.0.0.1:8080 server.py
  wasisocket run --allow-listen=localhost:0 --allow-net=localhost --max-sockets 5000 many.py
  wasisocket run --dir site::/site:ro --env PYTHONPATH=/site uses_packages.py   (see wasisocket pip)
  wasisocket run --allow-net=*.example.com:443/tcp --deny-net=10.0.0.0/8 --dns=192.0.2.53 fetch.py
  wasisocket run --policy policy.toml --max-bytes-in 1G fetch.py
  wasisocket run --timeout 10 --max-memory 256M -c 'print(2 ** 100)'";

/// The options of each command that starts a guest.
#[derive(Debug, Args)]
pub(crate) struct GuestArgs {
    #[command(flatten)]
    pub(crate) grants: GrantArgs,
    /// Trust the certificates in this file (PEM) instead of the system's
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// Show the time zones in this folder instead of the system's, or none
    #[arg(long, value_name = "DIR|none", hide_short_help = true)]
    pub(crate) tzdata: Option<PathBuf>,
    /// The python.wasm to run, or its folder [env: WASISOCKET_PYTHON]
    #[arg(long, value_name = "PATH", hide_short_help = true)]
    pub(crate) python: Option<PathBuf>,
    /// Start Python anew, not from the image of a Python that has started
    #[arg(long, hide_short_help = true)]
    pub(crate) cold: bool,
    /// Log what the host does
    #[arg(short, long)]
    verbose: bool,
}

impl GuestArgs {
    /// The time zones, if other than the system's.
    pub(crate) fn time_zones(&self) -> Result<Option<TimeZones>> {
        let Some(folder) = &self.tzdata else {
            return Ok(None);
        };
        if folder.as_os_str() == "none" {
            return Ok(Some(TimeZones::none()));
        }
        TimeZones::from_folder(folder).map(Some).context("--tzdata")
    }

    /// Starts the log if it was asked for.
    pub(crate) fn log(&self) {
        if self.verbose {
            tracing_subscriber::fmt()
                .with_max_level(tracing::Level::DEBUG)
                .with_ansi(std::io::stderr().is_terminal())
                .with_writer(std::io::stderr)
                .init();
        }
    }
}

/// Options of `wasisocket run` about how the guest is started.
#[derive(Debug, Default, Args)]
pub(crate) struct StartArgs {
    /// Start from the image in this file, with its packages (see `wasisocket snapshot`)
    #[arg(
        long,
        value_name = "FILE",
        hide_short_help = true,
        conflicts_with = "cold"
    )]
    image: Option<PathBuf>,
    /// Write what the guest computes to this file, for the Firefox Profiler
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    profile: Option<PathBuf>,
    /// After a signal, or SIGTERM at --timeout and --max-cpu, give the guest this time to end
    #[arg(long, value_name = "DURATION", hide_short_help = true, value_parser = parse_grace)]
    grace: Option<Duration>,
}

const FILES: &str = "Folders and environment";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    guest: GuestArgs,
    #[command(flatten)]
    start: StartArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// Grant a folder, or grant it for reading (:ro)
    #[arg(long, help_heading = FILES, value_name = "HOST[::GUEST][:ro]", value_parser = parse_folder)]
    dir: Vec<Folder>,
    /// Set a variable, or pass on the host's
    #[arg(long, help_heading = FILES, value_name = "K[=V]")]
    env: Vec<String>,
    /// Python's options, then SCRIPT, -m MODULE, -c CODE or -, and ARGS
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PYTHON"
    )]
    words: Vec<OsString>,
}

pub(crate) fn run(args: RunArgs) -> Result<u8> {
    args.guest.log();
    let grants = grants(&args)?;
    let (program, scratch) = program(&args)?;
    let scratch = scratch.as_ref().map(TempDir::path);
    start(&args.guest, &args.start, program, grants, scratch)
}

/// Runs a program with these grants to its end, with the standard streams of this process, and returns its exit status.
///
/// If a signal or the time limit ends this process, `scratch` is removed. Otherwise the caller has to remove it.
pub(crate) fn start(
    args: &GuestArgs,
    start: &StartArgs,
    program: Program,
    mut grants: Grants,
    scratch: Option<&Path>,
) -> Result<u8> {
    let scratch = scratch.map(Path::to_owned);
    let profile = start.profile.as_deref().map(ProfileFile::create);
    let profile = profile.transpose()?;
    let profiler = profile.as_ref().map(ProfileFile::profiler);
    let written = profile.clone();
    let clean_up = move || {
        if let Some(profile) = &written {
            profile.write();
        }
        if let Some(scratch) = &scratch {
            let _ = std::fs::remove_dir_all(scratch);
        }
    };
    let guest_signals = GuestSignals::new().context("no descriptor is left")?;
    let passed_on = PassedOn::start(guest_signals.clone(), start.grace, clean_up.clone())?;
    let cleaned = clean_up.clone();
    let leave = move |status| {
        cleaned();
        std::process::exit(status)
    };

    debug!(?grants, ?program, "starting");
    let limits = grants.limits.clone();
    limits::allow_sockets(limits.max_sockets)?;
    // This process ends at these, wherever the guest is.
    grants.limits.timeout = None;
    grants.limits.max_cpu = None;
    let mut program = program
        .grants(grants)
        .inherit_stdin()
        .inherit_stdout()
        .inherit_stderr();
    if let Some(file) = &args.ca_bundle {
        program = program.certificates(Certificates::from_file(file).context("--ca-bundle")?);
    }
    if let Some(time_zones) = args.time_zones()? {
        program = program.time_zones(time_zones);
    }
    let time_is_over = TimeIsOver::new(guest_signals.clone(), start.grace, leave);
    let denials = DenialLines::default();
    let refusals = Arc::new(FileRefusals::default());
    let kept = Arc::clone(&refusals);
    let verbose = args.verbose;
    program = program.sockets(move |sockets| {
        sockets.signals(&guest_signals).on_event(move |event| {
            if verbose {
                event.log();
            }
            match event {
                Event::LimitReached(limit) => say(format_args!("the guest reached its --{limit}")),
                Event::Denied(denial) if !verbose => denials.print(denial),
                Event::FileRefused { .. } => kept.keep(event),
                _ => {}
            }
        })
    });
    let python = load(args.python.as_deref(), args.cold, start)?;
    if let Some(limit) = limits.timeout {
        limits::end_after(limit, time_is_over.clone());
    }
    if let Some(limit) = limits.max_cpu {
        limits::end_after_cpu(limit, time_is_over.clone());
    }
    let end = match &profiler {
        Some(profiler) => python.run_profiled(program, profiler)?,
        None => python.run(program)?,
    };
    if let Some(profile) = &profile {
        profile.write();
    }
    if let Some(status) = time_is_over.status() {
        return Ok(status);
    }
    if let End::Trap(text) = &end {
        say(format_args!("the guest trapped: {text}"));
    }
    if end.status() != 0 {
        refusals.print();
    }
    if let End::Exit(status) = end {
        passed_on.end_as_guest(status);
    }
    Ok(end.status())
}

/// CPython for one guest of this process, which ends the guest's time itself.
pub(crate) fn load(python: Option<&Path>, cold: bool, start: &StartArgs) -> Result<Python> {
    let mut builder = Python::builder()
        .distribution(Distribution::find(python)?)
        .time_limits(false);
    if cold {
        builder = builder.cold_start();
    }
    if start.profile.is_some() {
        builder = builder.profiling();
    }
    if let Some(file) = &start.image {
        builder = builder.image(file);
    }
    load_and_say(builder)
}

/// Loads it, and says what makes starts slow. Who waits at a terminal for it to be compiled learns that, too.
pub(crate) fn load_and_say(mut builder: PythonBuilder) -> Result<Python> {
    let compiling = Arc::new(OnceLock::new());
    if std::io::stderr().is_terminal() {
        let began = Arc::clone(&compiling);
        builder = builder.on_compile(move || {
            say(format_args!(
                "compiling Python for this machine; later starts take milliseconds ..."
            ));
            let _ = began.set(Instant::now());
        });
    }
    let python = builder.load()?;
    if let Some(began) = compiling.get() {
        let seconds = began.elapsed().as_secs_f32();
        say(format_args!("compiled in {seconds:.1} seconds"));
    }
    if let Some(error) = python.image_error() {
        say(format_args!("guests start cold: {error:#}"));
    }
    if let Some(error) = python.cache_error() {
        say(format_args!("compiled modules are not cached: {error:#}"));
    }
    Ok(python)
}

/// What the command line says, without grants, and a folder to be removed after the run.
fn program(args: &RunArgs) -> Result<(Program, Option<TempDir>)> {
    let words = &args.words;
    let (mut program, scratch) = match python_line::parse(words)? {
        Runs::Code => (Program::new(utf8(words)?), None),
        Runs::Module(name) => {
            let program = Program::new(utf8(words)?);
            match sees_current_folder(args, &name) {
                true => (program.folder(Folder::read_only(".", "/")), None),
                false => (program, None),
            }
        }
        Runs::Script(at) => {
            let (program, scratch) = script::open(Path::new(&words[at]))?;
            let program = program.options(utf8(&words[..at])?);
            (program.args(utf8(&words[at + 1..])?), scratch)
        }
    };
    for folder in &args.dir {
        program = program.folder(folder.clone());
    }
    for variable in &args.env {
        let (name, value) = environment(variable)?;
        program = program.env(name, value);
    }
    Ok((program, scratch))
}

/// Does Python find this module in the current folder? A folder that is granted as `/` takes its place.
fn sees_current_folder(args: &RunArgs, module: &str) -> bool {
    let leaves_it_out = |variable: &String| variable.starts_with("PYTHONSAFEPATH");
    !args.dir.iter().any(Folder::is_root)
        && !args.env.iter().any(leaves_it_out)
        && has_module(Path::new("."), module)
}

/// Arguments as WASI wants them.
fn utf8(arguments: &[OsString]) -> Result<Vec<&str>> {
    arguments
        .iter()
        .map(|argument| {
            let text = argument.to_str();
            text.with_context(|| format!("argument {argument:?} is not UTF-8, as WASI wants it"))
        })
        .collect()
}

fn grants(args: &RunArgs) -> Result<Grants> {
    let mut grants = args.guest.grants.read()?;
    args.listen.add_to(&mut grants)?;
    Ok(grants)
}

/// A time as of --timeout.
fn parse_grace(text: &str) -> Result<Duration, LimitError> {
    let mut limits = Limits::default();
    limits.set(Limit::Timeout, text)?;
    Ok(limits.timeout.unwrap_or_default())
}

/// `K=V`, or `K` for the host's own value.
pub(crate) fn environment(variable: &str) -> Result<(String, String)> {
    if let Some((name, value)) = variable.split_once('=') {
        return Ok((name.to_owned(), value.to_owned()));
    }
    let value = std::env::var(variable)
        .with_context(|| format!("--env {variable}: not set here; write {variable}=VALUE"))?;
    Ok((variable.to_owned(), value))
}

#[cfg(test)]
mod tests {
    use super::{RunArgs, grants};
    use clap::Parser;
    use wasisocket_host::List;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parse(options: &[&str]) -> RunArgs {
        let words = ["run"].iter().chain(options).chain(&["-c", "pass"]);
        Line::try_parse_from(words).unwrap().run
    }

    #[test]
    fn flag_without_rules_is_for_all() {
        let args = parse(&["--allow-listen", "--deny-net=10.0.0.0/8,[fd00::/8]"]);
        let grants = grants(&args).unwrap();
        let rules: Vec<_> = grants.policy.rules().collect();
        let rules: Vec<_> = rules
            .iter()
            .map(|(list, rule)| (*list, rule.as_str()))
            .collect();
        assert_eq!(
            rules,
            [
                (List::DenyNet, "10.0.0.0/8"),
                (List::DenyNet, "[fd00::/8]"),
                (List::AllowListen, "*"),
            ]
        );
    }

    #[test]
    fn wrong_rule_is_told_with_its_flag() {
        for (option, text) in [
            ("--allow-listen=example.com:80", "--allow-listen: rule"),
            ("--deny-listen=127.0.0.1:x", "--deny-listen: rule"),
            ("--allow-net=127.0.0.1:0", "--allow-net: rule"),
        ] {
            let error = format!("{:#}", grants(&parse(&[option])).unwrap_err());
            assert!(error.starts_with(text), "{error}");
        }
    }
}
