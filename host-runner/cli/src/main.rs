//! The command `wasisocket`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(wasisocket_cli::run(std::env::args_os()))
}
