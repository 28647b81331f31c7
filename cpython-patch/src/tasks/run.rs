//! `cargo xtask run`, `cargo xtask pip` and `cargo xtask snapshot`: the command's subcommands, and the demo.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::build::Build;
use crate::steps;

const DEMO: &str = "tests/programs/demo.py";

/// What the demo prints at its end.
const NEXT: &str = r#"
What to try next:
  cargo xtask run --allow-net=HOST:PORT my.py   your own program, with a grant
  cargo xtask run -c 'import wasisocket as w; w.create_connection(("127.0.0.1", 80))'
                                                the same without one: denied
  cargo xtask pip install --target site NAME    a package, for --dir site::/site:ro --env PYTHONPATH=/site
  cargo xtask test                              all tests
  cargo xtask install                           puts the command wasisocket into ~/.local/bin: then
                                                `wasisocket run my.py` works in any folder
"#;

/// Builds what is missing. The result is a subcommand of `wasisocket` that uses the distribution, unless its
/// arguments name another one.
fn wasisocket(build: &Build, subcommand: &str) -> Result<Command> {
    let (python, host) = steps::product(build)?;
    let mut wasisocket = Command::new(host.command());
    wasisocket
        .arg(subcommand)
        .env("WASISOCKET_PYTHON", &python.folder);
    Ok(wasisocket)
}

/// Replaces this process by the command, so that signals and the exit status are the guest's.
pub(crate) fn with_args(build: &Build, subcommand: &str, args: &[OsString]) -> Result<ExitCode> {
    let mut wasisocket = wasisocket(build, subcommand)?;
    let error = wasisocket.args(args).exec();
    Err(error).with_context(|| format!("cannot run {:?}", wasisocket.get_program()))
}

/// Lets a guest fetch a page from an HTTP server in this process.
pub(crate) fn demo(build: &Build) -> Result<ExitCode> {
    let mut wasisocket = wasisocket(build, "run")?;
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    let port = listener.local_addr()?.port();
    // Ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = answer(stream);
        }
    });
    let grant = format!("--allow-net=localhost:{port}");
    eprintln!("$ wasisocket run {grant} {DEMO} {port}");
    let status = wasisocket
        .args([OsStr::new(&grant), build.checkout(DEMO).as_os_str()])
        .arg(port.to_string())
        .status()
        .with_context(|| format!("cannot run {:?}", wasisocket.get_program()))?;
    if status.success() {
        print!("{NEXT}");
        return Ok(ExitCode::SUCCESS);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// Reads one request and answers it.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let body = "Hello from a server outside the sandbox.\n";
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes())
}
