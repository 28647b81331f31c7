//! `cargo xtask cpython-tests`: CPython's own network tests in the guest.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::build::Build;
use crate::steps;
use crate::steps::build_python::BuildPython;
use crate::steps::source::Source;

const SCOREBOARD: &str = "tests/cpython/scoreboard.py";

pub(crate) const AFTER_HELP: &str = "\
Fails if a result differs from tests/cpython/expected.toml. The last output is a table of the tests that
pass, and of those that pass over real sockets. See tests/cpython/README.md.

Examples:
  cargo xtask cpython-tests
  cargo xtask cpython-tests test_socket test_asyncio.test_streams
  cargo xtask cpython-tests --native     beside native CPython";

#[derive(Args, Debug)]
pub(crate) struct TestsArgs {
    /// Such as test_socket or test_asyncio [default: all modules of the scoreboard]
    modules: Vec<String>,
    /// Write the results into expected.toml
    #[arg(long)]
    bless: bool,
    /// Also run native Python
    #[arg(long)]
    native: bool,
    /// Store the output and the results of the tests in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<String>,
}

/// Builds what is missing, runs the tests, and returns their exit status.
pub(crate) fn run(build: &Build, args: &TestsArgs) -> Result<ExitCode> {
    let (python, host) = steps::product(build)?;
    let source = build.ensure::<Source>()?;
    let native = build.ensure::<BuildPython>()?;
    let mut scoreboard = Command::new(&native.python);
    scoreboard
        .arg(build.checkout(SCOREBOARD))
        .arg("--wasisocket")
        .arg(host.command())
        .arg("--python")
        .arg(&python.folder)
        .arg("--source")
        .arg(&source.folder)
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for (flag, given) in [("--bless", args.bless), ("--native", args.native)] {
        if given {
            scoreboard.arg(flag);
        }
    }
    if let Some(folder) = &args.keep {
        scoreboard.args(["--keep", folder]);
    }
    let status = scoreboard
        .args(&args.modules)
        .status()
        .with_context(|| format!("cannot run {}", native.python.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
