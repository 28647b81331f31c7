//! `cargo xtask cpython-tests`: CPython's own network tests in the guest.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::build::Build;
use crate::{pipeline, source};

const SCOREBOARD: &str = "tests/cpython/scoreboard.py";

pub(crate) const AFTER_HELP: &str = "\
Fails if a test does otherwise than tests/cpython/expected.toml says. A table of what passes, and of what
does so over real sockets, comes last. See tests/cpython/README.md.

Examples:
  cargo xtask cpython-tests
  cargo xtask cpython-tests test_socket test_asyncio.test_streams
  cargo xtask cpython-tests --native --native-threads     beside native CPython";

#[derive(Args, Debug)]
pub(crate) struct TestsArgs {
    /// Such as test_socket or test_asyncio [default: all that the scoreboard has]
    modules: Vec<String>,
    /// Write what happens into expected.toml
    #[arg(long)]
    bless: bool,
    /// Also run native Python with its threads taken away
    #[arg(long)]
    native: bool,
    /// Also run native Python as it is
    #[arg(long)]
    native_threads: bool,
    /// Keep what the tests print, and their results, in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<String>,
}

/// Builds what is missing, runs the tests, and returns their exit status.
pub(crate) fn run(build: &Build, args: &TestsArgs) -> Result<ExitCode> {
    let (python, wasisocket) = pipeline::everything(build)?;
    let source = source::ensure(build)?;
    // The native Python of the same version also plays the other half of tests that have two.
    let mut scoreboard = Command::new(&python.native.python);
    scoreboard
        .arg(build.checkout(SCOREBOARD))
        .arg("--wasisocket")
        .arg(&wasisocket)
        .arg("--python")
        .arg(&python.folder)
        .arg("--source")
        .arg(&source.folder)
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for (flag, given) in [
        ("--bless", args.bless),
        ("--native", args.native),
        ("--native-threads", args.native_threads),
    ] {
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
        .with_context(|| format!("cannot run {}", python.native.python.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
