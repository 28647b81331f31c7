//! TLS in the guest beside native CPython: HTTPS to a server on loopback. `cargo xtask bench` runs it.
//!
//! On demand beside a component made by componentize-py, which has no `ssl` and reaches HTTPS through
//! wasi:http: its TLS is native code, the host's. `tests/componentize-host` is that host.

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
/// Names the component, if it is to be measured.
const COMPONENT: &str = "WASISOCKET_HTTPS_COMPONENT";
/// How often each is run.
const ROUNDS: usize = 5;

/// Sends as many bytes as a GET's path says, or counts those of a PUT.
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
        // Names of fields are in lower case where hyper sends them.
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
    // What is measured is named a full handshake: a client that resumes gets no answer.
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
            // A client that has enough closes.
            thread::spawn(move || answer(stream, config));
        }
    });
    port
}

/// The build-python, or the system's Python: the first was built without ssl where the machine has no
/// OpenSSL to compile with.
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

/// The program as a component, in a host that trusts the server's authority.
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
