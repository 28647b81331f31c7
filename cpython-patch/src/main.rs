//! `cargo xtask`: builds CPython for wasm32-wasip1 with wasisocket in it, runs and tests it.

mod apt;
mod bench;
mod build;
mod cache;
mod clean;
mod cpython;
mod cpython_tests;
mod distribution;
mod doctor;
mod fetch;
mod guest;
mod host;
mod libraries;
mod licences;
mod lint;
mod nginx;
mod openssl;
mod packages;
mod pins;
mod pipeline;
mod process;
mod progress;
mod release;
mod run;
mod rust_target;
mod sdk;
mod site_packages;
mod source;
mod test;
mod tree;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::build::{Build, Options};
use crate::process::Failure;
use crate::progress::{Detail, Stage};

/// Builds CPython for wasm32-wasip1 with wasisocket in it, runs and tests it
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Task,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Task {
    /// Build what is missing and run a program in the guest; without arguments, a demo
    Run {
        /// Arguments of `wasisocket run`; after `--` those that `cargo xtask` has too, such as -v
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and install packages, with pip in the guest
    Pip {
        /// Arguments of `wasisocket pip`, such as `install --target site requests`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and run the tests
    Test {
        /// Arguments of `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and run the benchmarks, beside native CPython
    Bench(bench::BenchArgs),
    /// Build what is missing and run CPython's own network tests in the guest
    #[command(after_help = cpython_tests::AFTER_HELP)]
    CpythonTests(cpython_tests::TestsArgs),
    /// Check formatting, lints, licences and advisories
    Lint,
    /// Show what a build would use, what is missing, and what to do about it
    Doctor,
    /// Find or make the C toolchain, and print its folder
    Sdk,
    /// Fetch CPython's source, and print its folder
    Source,
    /// Build libwasisocket.a for both profiles, and print their paths
    Guest,
    /// Build OpenSSL, zlib, bzip2, xz and SQLite for the guest, and print the two folders
    Libraries,
    /// Build python.wasm and its library, and print their folder
    Python,
    /// Build the command `wasisocket`, and print its path
    Host,
    /// Remove what was built
    Clean {
        /// Only what today's inputs do not use
        #[arg(long)]
        old: bool,
        /// Downloaded files too
        #[arg(long)]
        downloads: bool,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli.command, cli.options) {
        Ok(code) => code,
        Err(error) => {
            if let Some(failure) = error.chain().find_map(|e| e.downcast_ref::<Failure>()) {
                eprintln!("\n{}\n", failure.details());
            }
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(task: Task, options: Options) -> Result<ExitCode> {
    let build = |stages, detail| Build::new(options, stages, detail);
    let print = |path: &Path| println!("{}", path.display());
    match task {
        Task::Run { args } if args.is_empty() => {
            return run::demo(&build(Stage::ALL, Detail::Steps)?);
        }
        Task::Run { args } => {
            return run::with_args(&build(Stage::ALL, Detail::Work)?, "run", &args);
        }
        Task::Pip { args } => {
            return run::with_args(&build(Stage::ALL, Detail::Work)?, "pip", &args);
        }
        Task::Test { args } => test::test(&build(Stage::TEST, Detail::Steps)?, &args)?,
        Task::Bench(args) => bench::bench(&build(Stage::ALL, Detail::Steps)?, &args)?,
        Task::CpythonTests(args) => {
            return cpython_tests::run(&build(Stage::ALL, Detail::Steps)?, &args);
        }
        Task::Lint => lint::lint(&build(&[], Detail::Steps)?)?,
        Task::Doctor => {
            if !doctor::doctor(&build(&[], Detail::Steps)?)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Task::Sdk => print(&sdk::ensure(&build(&[Stage::Sdk], Detail::Steps)?)?.folder),
        Task::Source => print(&source::ensure(&build(&[Stage::Source], Detail::Steps)?)?.folder),
        Task::Guest => {
            let guest = guest::ensure(&build(&[Stage::Guest], Detail::Steps)?)?;
            print(&guest.default);
            print(&guest.core);
        }
        Task::Libraries => {
            let stages = &[Stage::Sdk, Stage::OpenSsl, Stage::Libraries];
            let build = build(stages, Detail::Steps)?;
            let sdk = sdk::ensure(&build)?;
            print(&openssl::ensure(&build, &sdk)?.folder);
            print(&libraries::ensure(&build, &sdk)?.folder);
        }
        Task::Python => {
            print(&pipeline::python(&build(pipeline::PYTHON, Detail::Steps)?)?.folder);
        }
        Task::Host => print(&host::ensure(&build(&[Stage::Host], Detail::Steps)?)?),
        Task::Clean { old, downloads } => {
            clean::clean(&build(&[], Detail::Steps)?, old, downloads)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_args(command_line: &[&str]) -> Vec<OsString> {
        match Cli::try_parse_from(command_line).unwrap().command {
            Task::Run { args } => args,
            _ => panic!("not run"),
        }
    }

    #[test]
    fn run_passes_arguments_with_and_without_a_separator() {
        let wanted = ["--allow-net=127.0.0.1:80", "my.py", "-v", "--", "x"];
        let mut line = vec!["xtask", "run"];
        line.extend(wanted);
        assert_eq!(run_args(&line), wanted);
        line.insert(2, "--");
        assert_eq!(run_args(&line), wanted);
        assert_eq!(run_args(&["xtask", "run", "-c", "pass"]), ["-c", "pass"]);
        assert!(run_args(&["xtask", "run"]).is_empty());
    }
}
