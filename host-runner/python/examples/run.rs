//! Runs Python code in a guest that may reach nothing, and may compute for one second:
//!
//! ```console
//! $ WASISOCKET_PYTHON=... cargo run --release --package wasisocket-python --example run -- 'print(2 ** 100)'
//! ```

use std::process::ExitCode;
use std::time::Duration;

use wasisocket_host::Grants;
use wasisocket_python::{End, Program, Python};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let code = std::env::args().nth(1).ok_or("say which code to run")?;
    let python = Python::builder().load()?;
    let mut grants = Grants::default();
    grants.limits.max_cpu = Some(Duration::from_secs(1));
    let program = Program::code(code)
        .grants(grants)
        .inherit_stdout()
        .inherit_stderr();
    let end = python.run(program)?;
    match &end {
        End::Limit(limit) => eprintln!("the guest reached its limit {limit}"),
        End::Trap(text) => eprintln!("the guest trapped: {text}"),
        _ => {}
    }
    Ok(end.status().into())
}
