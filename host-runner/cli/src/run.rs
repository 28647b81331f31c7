//! `wasisocket run`.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use tracing::debug;
use wasisocket_host::Grants;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};
use wasmtime_wasi::WasiCtxBuilder;

use crate::denials::DenialLines;
use crate::etc::{self, Etc, Place};
use crate::folders::{self, Folder};
use crate::grants::{GrantArgs, add};
use crate::guest::{self, Guest};
use crate::python::{PYTHON_VARIABLE, Python};
use crate::stdin::Stdin;
use crate::{engine, limits, say, signals};

pub(crate) const AFTER_HELP: &str = "\
A rule is HOST[:PORT[-PORT]][/PROTOCOL], where HOST is a name, *.name, an address, a network such as
10.0.0.0/8, or * for all, IPv6 goes into brackets ([::1]:8000), and PROTOCOL is tcp or udp. Without a port
it is for every port, without a protocol for both. A name covers the public addresses that the guest's own
look-up of it returned, for as long as the answer holds, five minutes at least; loopback and private
addresses need a rule that names them. Deny beats allow, also for who connects or sends to the guest.

A listen rule has an address for HOST, a network, localhost, or * for all, and port 0 is one that the
system picks. The addresses 0.0.0.0 and [::] stand for all of this machine's. A server over UDP may answer
whom it has heard.

A name that no rule covers is asked of nobody. Names of --resolve have the addresses that it says, and
only rules for those let the guest reach them where they are not public. What is not in there is asked of
the servers of --dns, or of nobody; --dns=system asks the system's resolver.

A file of --policy has the names of these flags as keys: allow-net = [\"example.com:443\", ...],
timeout = \"10s\", max-sockets = 16. Its lists are joined with the flags, and a limit's flag comes before it.

In a folder of --dir the guest may also have Unix sockets, and reach those of others, unless it is :ro.

For TLS the guest trusts the certificates that this system trusts, or the host's SSL_CERT_FILE and
SSL_CERT_DIR name. It sees them in /etc/ssl, to read only; its own such variables (--env) and a folder
that is granted as /etc/ssl come before them. With --allow-net, /etc/resolv.conf names the name servers
that are asked for it.

The guest sees the folder of its script as /, to read only; for CODE or MODULE that is an empty one. What
comes after SCRIPT, CODE or MODULE is the guest's sys.argv.

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
    /// Trust the certificates in this file (PEM), and not the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The python.wasm to run, or its folder
    #[arg(long, value_name = "PATH", env = PYTHON_VARIABLE)]
    pub(crate) python: Option<PathBuf>,
    /// Say what happens on the host's side
    #[arg(short, long)]
    verbose: bool,
}

impl GuestArgs {
    /// Begins to say what happens, if that is wanted.
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

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    guest: GuestArgs,
    /// Let the guest listen at these addresses; without rules, at all
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    allow_listen: Vec<String>,
    /// Keep the guest from listening at these, whatever else is allowed; without rules, at all
    #[arg(long, value_name = "RULE,...", num_args = 0..=1, require_equals = true, default_missing_value = "*", value_delimiter = ',')]
    deny_listen: Vec<String>,
    /// Let the guest read and write a folder, or only read it (:ro)
    #[arg(long, value_name = "HOST[::GUEST][:ro]")]
    dir: Vec<Folder>,
    /// Set an environment variable of the guest, or pass on the host's
    #[arg(long, value_name = "K[=V]")]
    env: Vec<String>,
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

impl RunArgs {
    /// A module and its arguments, with folders and variables.
    pub(crate) fn of_module(
        guest: GuestArgs,
        module: Vec<OsString>,
        dir: Vec<Folder>,
        env: Vec<String>,
    ) -> Self {
        Self {
            guest,
            allow_listen: Vec::new(),
            deny_listen: Vec::new(),
            dir,
            env,
            code: None,
            module: Some(module),
            script: Vec::new(),
        }
    }
}

pub(crate) fn run(args: RunArgs) -> Result<u8> {
    args.guest.log();
    start(&args, grants(&args)?, None)
}

/// Runs it to its end with these grants, and returns the guest's exit status.
///
/// `scratch` is a folder that does not outlast the run if a signal or the time limit ends the process.
/// Otherwise it is the caller's to remove.
pub(crate) fn start(args: &RunArgs, mut grants: Grants, scratch: Option<&Path>) -> Result<u8> {
    let scratch = scratch.map(Path::to_owned);
    let clean = move || {
        if let Some(scratch) = &scratch {
            let _ = std::fs::remove_dir_all(scratch);
        }
    };
    signals::clean_up_at(clean.clone())?;
    let leave = move |status| {
        clean();
        std::process::exit(status)
    };

    let python = Python::find(args.guest.python.as_deref())?;
    debug!(?grants, ?python, "starting");

    let limits = grants.limits.clone();
    limits::allow_sockets(limits.max_sockets)?;
    // The process ends with these, wherever the guest is.
    grants.limits.timeout = None;
    grants.limits.max_cpu = None;
    let name_servers = name_servers(&grants);
    let denials = DenialLines::default();
    let mut sockets = grants
        .builder()
        .on_limit(|limit| say(format_args!("the guest reached its --{limit}")));
    // Or the library logs each.
    if !args.guest.verbose {
        sockets = sockets.on_denial(move |denial| denials.print(denial));
    }
    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().allow_blocking_current_thread(true);
    // It fails if there is none: then the guest has none either.
    if let Ok((stdin, fd)) = Stdin::open() {
        wasi.stdin(stdin);
        sockets = sockets.stdin(fd);
    }
    let root = args.dir.iter().find(|folder| folder.is_root());
    let (script_folder, arguments) = guest_arguments(args, root)?;
    let etc = etc(
        args,
        &name_servers,
        root.map(Folder::host).or(script_folder.as_deref()),
    )?;
    let seen = match (root, script_folder) {
        (Some(_), _) => None,
        (None, Some(folder)) => Some(folder),
        (None, None) => folders::empty()
            // A read-only home is no reason not to run.
            .inspect_err(|error| debug!("the guest has no /: {error:#}"))
            .ok(),
    };
    if let Some(folder) = seen {
        sockets = Folder::new(folder, "/".into(), true).open(&mut wasi, sockets)?;
    }
    let module = engine::load(python.wasm())?;
    if let Some(etc) = &etc {
        etc.mount(&mut wasi)?;
    }
    for folder in &args.dir {
        // After those were made: a folder that is not there is nowhere inside another.
        folder.keep_out_of(&python)?;
        sockets = folder.open(&mut wasi, sockets).context("--dir")?;
    }
    for variable in &args.env {
        let (name, value) = environment(variable)?;
        wasi.env(name, value);
    }
    python.mount(&mut wasi)?;
    wasi.arg("python").args(&arguments);

    if let Some(limit) = limits.timeout {
        limits::end_process_after(limit, leave.clone());
    }
    if let Some(limit) = limits.max_cpu {
        limits::end_process_after_cpu(limit, leave);
    }
    guest::run(module, Guest::new(wasi.build_p1(), sockets.build()))
}

/// The guest's settings, beside what its folders have of them; `root` is what it sees as `/`.
fn etc(args: &RunArgs, name_servers: &[IpAddr], root: Option<&Path>) -> Result<Option<Etc>> {
    let granted = |guest| args.dir.iter().any(|folder| folder.is_at(guest));
    let has_tls = granted(etc::TLS_FOLDER);
    if has_tls && args.guest.ca_bundle.is_some() {
        bail!(
            "--ca-bundle and a --dir at {} are two answers to one question: leave one out",
            etc::TLS_FOLDER
        );
    }
    let place = match granted(etc::FOLDER) || root.is_some_and(|root| root.join("etc").exists()) {
        false => Place::All,
        true if has_tls => return Ok(None),
        true => Place::Tls,
    };
    Etc::find(place, args.guest.ca_bundle.as_deref(), name_servers).map(Some)
}

/// The name servers that the guest is told, for who has a use for them: those that the host asks for it.
fn name_servers(grants: &Grants) -> Vec<IpAddr> {
    let reaches = grants.policy.rules().any(|(list, _)| list == "allow-net");
    match reaches {
        false => Vec::new(),
        true if grants.resolver.asks_system() => etc::name_servers(),
        // resolv.conf(5) has no place for another port.
        true => grants
            .resolver
            .servers()
            .iter()
            .filter(|server| server.port() == etc::DNS_PORT)
            .map(SocketAddr::ip)
            .collect(),
    }
}

fn grants(args: &RunArgs) -> Result<Grants> {
    let mut grants = args.guest.grants.read()?;
    add(&mut grants, "allow-listen", &args.allow_listen)?;
    add(&mut grants, "deny-listen", &args.deny_listen)?;
    Ok(grants)
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

#[cfg(test)]
mod tests {
    use super::{RunArgs, grants, name_servers};
    use clap::Parser;

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
        assert_eq!(args.allow_listen, ["*"]);
        let grants = grants(&args).unwrap();
        let rules: Vec<_> = grants.policy.rules().collect();
        let rules: Vec<_> = rules
            .iter()
            .map(|(list, rule)| (*list, rule.as_str()))
            .collect();
        assert_eq!(
            rules,
            [
                ("deny-net", "10.0.0.0/8"),
                ("deny-net", "[fd00::/8]"),
                ("allow-listen", "*"),
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

    #[test]
    fn guest_is_told_the_name_servers_that_are_asked_for_it() {
        let told = |options: &[&str]| name_servers(&grants(&parse(options)).unwrap());
        let server: std::net::IpAddr = [192, 0, 2, 53].into();
        assert_eq!(
            told(&["--allow-net=a.test", "--dns=192.0.2.53,192.0.2.54:5353"]),
            [server]
        );
        for options in [
            &["--dns=192.0.2.53"][..],
            &["--allow-net=a.test", "--resolve=a.test:192.0.2.1"],
        ] {
            assert!(told(options).is_empty(), "{options:?}");
        }
    }
}
