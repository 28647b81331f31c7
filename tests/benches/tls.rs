//! Compares TLS in the guest with native CPython: HTTPS to a server on loopback. `cargo xtask bench` runs it.
//!
//! On request also with a component made by componentize-py, which has no `ssl` and reaches HTTPS through wasi:http:
//! its TLS is the host's native code. `tests/componentize-host` is that host.

use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{fs, thread};

use rustls::{HandshakeKind, ServerConfig, StreamOwned};
use wasisocket_tests::bench::{Column, compare, printed};
use wasisocket_tests::guest::{built, program, run};
use wasisocket_tests::tls::{Authority, accepted};

const PROGRAM: &str = "bench/tls.py";
/// The environment variable with the path of the component, if one is to be measured.
const COMPONENT: &str = "WASISOCKET_HTTPS_COMPONENT";
/// How many times each is run.
const ROUNDS: usize = 5;

/// Answers a GET with as many bytes as its path says, and counts the bytes of a PUT.
fn answer(stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_nodelay(true)?;
    let connection = accepted(&config)?;
    let mut stream = BufReader::with_capacity(1 << 16, StreamOwned::new(connection, stream));
    let (mut path, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        // hyper sends field names in lower case.
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(rest) = line.strip_prefix("get /") {
            path = rest.split(' ').next().unwrap_or_default().to_owned();
        } else if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().map_err(Error::other)?;
        } else if line.is_empty() {
            break;
        }
    }
    let received = std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink())?;
    let stream = stream.get_mut();
    // The measurement is named a full handshake: a client that resumes a session gets no answer.
    assert_ne!(stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    if path.is_empty() {
        let body = received.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
    } else {
        let total: u64 = path.parse().map_err(Error::other)?;
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")?;
        std::io::copy(&mut std::io::repeat(7).take(total), stream)?;
    }
    stream.flush()
}

fn serve(config: Arc<ServerConfig>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            // The client closes the connection when it has received enough.
            thread::spawn(move || answer(stream, config));
        }
    });
    port
}

/// The build-python, or the system's Python where the build-python has no ssl because the machine had no OpenSSL
/// headers when it was built.
fn native() -> String {
    let candidates = [built("WASISOCKET_NATIVE_PYTHON"), "python3".into()];
    let mut candidates = candidates.iter().map(|python| python.to_string_lossy());
    let has_ssl = |python: &str| {
        let mut import = Command::new(python);
        import.args(["-c", "import ssl"]).stderr(Stdio::null());
        import.status().is_ok_and(|status| status.success())
    };
    let found = candidates.find(|python| has_ssl(python));
    found.expect("a native Python with ssl").into_owned()
}

/// Runs the program as a component, in a host that trusts the server's authority.
fn component(cafile: &Path, port: &str) -> String {
    let mut host = Command::new(built("WASISOCKET_COMPONENTIZE_HOST"));
    printed(host.arg(cafile).arg(built(COMPONENT)).arg(port))
}

fn main() {
    let authority = Authority::new("benchmark");
    let port = serve(authority.server("localhost")).to_string();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let cafile = folder.path().join("ca.pem");
    fs::write(&cafile, authority.pem()).expect("the folder can be written to");

    let python = native();
    let told = "import ssl, sys; print(sys.version.split()[0], ssl.OPENSSL_VERSION)";
    eprint!(
        "native: {}",
        printed(Command::new(&python).args(["-c", told]))
    );
    let arguments = [port.clone(), cafile.to_string_lossy().into_owned()];
    let native = Column::new("native", move || {
        printed(Command::new(&python).arg(program(PROGRAM)).args(&arguments))
    });
    let guest = {
        let (port, cafile) = (port.clone(), cafile.clone());
        Column::new("guest", move || {
            run()
                .args(["--allow-net=127.0.0.1,localhost"])
                .arg(format!("--ca-bundle={}", cafile.display()))
                .arg(program(PROGRAM))
                .args([&port, "/etc/ssl/cert.pem"])
                .succeeds()
        })
    };
    let mut others = vec![guest];
    if std::env::var_os(COMPONENT).is_some() {
        let run = move || component(&cafile, &port);
        others.push(Column::new("componentize-py", run));
    }
    compare(ROUNDS, native, others);
}
