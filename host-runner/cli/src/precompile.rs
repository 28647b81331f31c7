//! `wasisocket precompile`.

use std::path::PathBuf;

use clap::Args;
use wasisocket_python::{Distribution, Python};
use wasmtime::Result;

pub(crate) const HELP: &str = "\
For those who ship wasisocket: the file is used in place of compiling where it lies beside its
python.wasm, on every processor of this architecture. Whoever may write the file decides what runs
outside of the sandbox, as with the program itself.";

#[derive(Debug, Args)]
pub(crate) struct PrecompileArgs {
    /// The folder to write the file to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// For programs that limit time within the process, as the Python package does. This command uses it where the
    /// other one is missing
    #[arg(long)]
    time_limits: bool,
    /// The python.wasm to use, or its folder [env: WASISOCKET_PYTHON]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Compiles python.wasm into a file.
pub(crate) fn precompile(args: &PrecompileArgs) -> Result<u8> {
    let python = Python::builder()
        .distribution(Distribution::find(args.python.as_deref())?)
        .time_limits(args.time_limits);
    println!("{}", python.precompile(&args.out)?.display());
    Ok(0)
}
