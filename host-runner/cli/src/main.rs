//! The command `wasisocket`: runs Python for WASI with sockets, under grants.

#![forbid(unsafe_code)]
#![deny(clippy::print_stderr)]

mod denials;
mod doctor;
mod engine;
mod etc;
mod files;
mod folders;
mod grants;
mod guest;
mod kept;
mod limits;
mod pip;
mod python;
mod run;
mod signals;
mod stdin;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Python in WebAssembly with sockets. It reaches nothing that you do not grant.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a script, a module or a line of Python; the exit status is the guest's
    #[command(after_help = run::AFTER_HELP)]
    Run(Box<run::RunArgs>),
    /// Run pip in the guest, to install packages into a folder; the exit status is pip's
    #[command(after_help = pip::AFTER_HELP)]
    Pip(Box<pip::PipArgs>),
    /// Tell whether a python.wasm will run here, and what to do if not
    Doctor(DoctorArgs),
}

#[derive(Debug, clap::Args)]
struct DoctorArgs {
    /// A python.wasm or its folder [default: WASISOCKET_PYTHON]
    #[arg(value_name = "PYTHON_WASM", env = python::PYTHON_VARIABLE)]
    python: Option<PathBuf>,
}

/// One line on standard error. One that cannot be written is lost: eprintln would panic, and a guest
/// could bring that about.
fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "wasisocket: {line}");
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => run::run(*args),
        Command::Pip(args) => pip::pip(*args),
        Command::Doctor(args) => doctor::doctor(args.python.as_deref()),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            say(format_args!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
