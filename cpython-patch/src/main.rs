//! `cargo xtask`: builds CPython for wasm32-wasip1 with wasisocket in it, runs and tests it.

mod apt;
mod build;
mod cache;
mod fetch;
mod metadata;
mod pins;
mod process;
mod progress;
mod steps;
mod tasks;
mod tree;
mod upstream;
mod venv;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command, FromArgMatches, Parser, Subcommand};

use crate::build::{Build, Options};
use crate::process::Failure;
use crate::progress::Detail;
use crate::steps::AnyStep;
use crate::tasks::{bench, clean, cpython_tests, dist, doctor, install, lint, profile, run, test};

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
        /// Arguments of `wasisocket run`. Put `--` before options that `cargo xtask` has too, such as -v
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and install packages with pip, which runs in the guest
    Pip {
        /// Arguments of `wasisocket pip`, such as `install --target site requests`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and make an image of a Python that has imported your modules
    Snapshot {
        /// Arguments of `wasisocket snapshot`, such as `--preload requests --site site`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and run the tests
    Test {
        /// Arguments of `cargo test`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Build what is missing and run the benchmarks, in the guest and in native CPython
    Bench(bench::BenchArgs),
    /// Build what is missing and run CPython's own network tests in the guest
    #[command(after_help = cpython_tests::AFTER_HELP)]
    CpythonTests(cpython_tests::TestsArgs),
    /// Build what is missing and install it, so that `wasisocket run` works in any folder
    Install(install::InstallArgs),
    /// Build what is missing and make what is shipped: the wheel, the archive of the command, the container image
    Dist(dist::DistArgs),
    /// Count anew what CPython's C code does in common programs, for builds to be compiled by
    Profile,
    /// Check formatting, lints, documentation, licences and advisories
    Lint,
    /// Show what a build would use, what is missing, and what to do about it
    Doctor,
    #[command(flatten)]
    Step(StepCommand),
    /// Remove what was built
    Clean {
        /// Only results that today's inputs do not use
        #[arg(long)]
        old: bool,
        /// Downloaded files too
        #[arg(long)]
        downloads: bool,
    },
}

/// The subcommand of one step.
struct StepCommand(&'static AnyStep);

impl Subcommand for StepCommand {
    fn augment_subcommands(mut cli: Command) -> Command {
        for step in steps::ALL {
            if let Some(help) = step.help {
                cli = cli.subcommand(Command::new(step.name).about(help));
            }
        }
        cli
    }

    fn augment_subcommands_for_update(cli: Command) -> Command {
        Self::augment_subcommands(cli)
    }

    fn has_subcommand(name: &str) -> bool {
        let mut steps = steps::ALL.iter();
        steps.any(|step| step.help.is_some() && step.name == name)
    }
}

impl FromArgMatches for StepCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut steps = steps::ALL.iter();
        steps
            .find(|step| Some(step.name) == matches.subcommand_name())
            .map(|step| Self(step))
            .ok_or_else(|| clap::Error::new(ErrorKind::InvalidSubcommand))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
    let build = |targets, detail| Build::new(options, targets, detail);
    let product = steps::PRODUCT;
    match task {
        Task::Run { args } if args.is_empty() => {
            return run::demo(&build(product, Detail::Steps)?);
        }
        Task::Run { args } => {
            return run::with_args(&build(product, Detail::Work)?, "run", &args);
        }
        Task::Pip { args } => {
            return run::with_args(&build(product, Detail::Work)?, "pip", &args);
        }
        Task::Snapshot { args } => {
            return run::with_args(&build(product, Detail::Work)?, "snapshot", &args);
        }
        Task::Test { args } => test::test(&build(steps::TESTED, Detail::Steps)?, &args)?,
        Task::Bench(args) => bench::bench(&build(product, Detail::Steps)?, &args)?,
        Task::CpythonTests(args) => {
            return cpython_tests::run(&build(product, Detail::Steps)?, &args);
        }
        Task::Dist(args) => dist::dist(&build(product, Detail::Steps)?, &args)?,
        Task::Install(args) => install::install(&build(product, Detail::Steps)?, &args)?,
        Task::Profile => profile::profile(&build(product, Detail::Steps)?)?,
        Task::Lint => lint::lint(&build(&[], Detail::Steps)?)?,
        Task::Doctor => {
            if !doctor::doctor(&build(&[], Detail::Steps)?)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Task::Step(StepCommand(step)) => {
            for path in (step.ensure)(&build(&[step], Detail::Steps)?)? {
                println!("{}", path.display());
            }
        }
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

    #[test]
    fn steps_have_subcommands() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["xtask", "libraries", "-v"]).unwrap();
        assert!(matches!(cli.command, Task::Step(StepCommand(step)) if step.name == "libraries"));
        assert!(cli.options.verbose);
        assert!(Cli::try_parse_from(["xtask", "no-such-step"]).is_err());
    }
}
