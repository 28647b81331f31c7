//! The command `wasisocket`: runs Python for WASI with sockets, under grants. A library, because the Python package has the
//! command too.

#![forbid(unsafe_code)]
#![deny(clippy::print_stderr)]

mod denials;
mod doctor;
mod folders;
mod grants;
mod limits;
mod mcp;
mod pip;
mod precompile;
mod profile;
mod python_line;
mod run;
mod script;
mod signals;
mod snapshot;

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use pip::Lock;

/// Python in WebAssembly with sockets. It reaches nothing that you do not grant.
#[derive(Debug, Parser)]
#[command(name = "wasisocket", bin_name = "wasisocket", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a script, a module or Python code; the exit status is the guest's
    #[command(override_usage = run::USAGE, after_help = run::SHORT_HELP, after_long_help = run::LONG_HELP)]
    Run(Box<run::RunArgs>),
    /// Run pip in the guest, to install packages into a folder; the exit status is pip's
    #[command(after_help = pip::SHORT_HELP, after_long_help = pip::LONG_HELP)]
    Pip(Box<pip::PipArgs>),
    /// Make an image of a Python that has imported your modules, for `run --image`
    #[command(after_help = snapshot::HELP)]
    Snapshot(snapshot::SnapshotArgs),
    /// Serve agents that run Python: the Model Context Protocol over standard input and output
    #[command(after_help = mcp::HELP)]
    Mcp(Box<mcp::McpArgs>),
    /// Compile python.wasm in advance, for a package of this program
    #[command(after_help = precompile::HELP)]
    Precompile(precompile::PrecompileArgs),
    /// Check whether a python.wasm runs here, and say what to do if not
    Doctor(DoctorArgs),
}

#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// A python.wasm or its folder [env: WASISOCKET_PYTHON]
    #[arg(value_name = "PYTHON_WASM")]
    python: Option<PathBuf>,
}

/// The command line, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Prints a line on standard error. A line that cannot be written is dropped: eprintln would panic, and a guest could
/// cause that.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "wasisocket: {line}");
}

/// Runs the command with these arguments, the first of which is its name. Returns the exit status.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(asked) => {
            // Help and the version go to standard output, and are no errors. There is nobody to tell if that fails.
            let _ = asked.print();
            return u8::try_from(asked.exit_code()).unwrap_or(2);
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(*args),
        Command::Pip(args) => pip::pip(*args),
        Command::Snapshot(args) => snapshot::snapshot(args),
        Command::Mcp(args) => mcp::mcp(*args),
        Command::Precompile(args) => precompile::precompile(&args),
        Command::Doctor(args) => doctor::doctor(args.python.as_deref()),
    };
    result.unwrap_or_else(|error| {
        say(format_args!("{error:#}"));
        if error.is::<script::NoMain>() { 1 } else { 2 }
    })
}
