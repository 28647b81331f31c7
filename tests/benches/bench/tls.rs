//! TLS: Python in the guest, native CPython with the guest's OpenSSL and with the machine's, on request a component made
//! by componentize-py, and a plain program in Rust, which shows what the processor allows.
//!
//! componentize-py has no `ssl` and reaches HTTPS through wasi:http: its TLS is the host's native code.
//! `tests/componentize-host` is that host.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Error, Read, Result, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use std::{fs, thread};

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConfig, StreamOwned,
};
use sha2::{Digest, Sha256};
use wasisocket_tests::bench::{Column, Row, Run, Samples, interleave, printed};
use wasisocket_tests::guest::{built, program, run};
use wasisocket_tests::tls::{Authority, Identity, accepted};

use crate::{Options, native_python};

const PROGRAM: &str = "bench/tls.py";
/// The environment variable with the path of the component, if one is to be measured.
const COMPONENT: &str = "WASISOCKET_HTTPS_COMPONENT";
/// The environment variable with the folder of native OpenSSL of the guest's version, if it was built.
const OPENSSL: &str = "WASISOCKET_NATIVE_OPENSSL";
/// How many times each is run.
const ROUNDS: usize = 5;
/// The numbers of tls.py.
const TOTAL: u64 = 256 << 20;
const REQUESTS: u32 = 200;

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
    // The measurements with requests are named full handshakes: a client that resumes a session gets no answer.
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
        // Records of full size.
        let piece = [7; 1 << 16];
        for start in (0..total).step_by(piece.len()) {
            let size = piece.len().min((total - start) as usize);
            stream.write_all(&piece[..size])?;
        }
    }
    stream.flush()
}

/// Gives each connection to `handle`, in a thread of its own.
fn serve(handle: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            // The program closes the connection when it has received enough.
            thread::spawn(move || handle(stream));
        }
    });
    port
}

/// A server that resumes sessions as often as a client wants, and prefers the key exchange that OpenSSL 3.5 prefers:
/// X25519 with ML-KEM-768.
fn server(identity: &Identity) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.expect("PEM")], key.expect("PEM"))
        .expect("the key is the certificate's");
    config.ticketer = Ticketer::new().expect("random numbers");
    Arc::new(config)
}

/// A client that trusts the authority and resumes no session.
fn client(authority: &Authority) -> Arc<ClientConfig> {
    let certificate = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("PEM");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

type ClientStream = StreamOwned<ClientConnection, TcpStream>;

fn client_of(config: &Arc<ClientConfig>, stream: TcpStream) -> Result<ClientStream> {
    stream.set_nodelay(true)?;
    let name = "localhost".try_into().map_err(Error::other)?;
    let connection = ClientConnection::new(config.clone(), name).map_err(Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Receives to the end, as a client of whoever connected.
fn receive(stream: TcpStream, config: &Arc<ClientConfig>) -> Result<()> {
    let mut stream = client_of(config, stream)?;
    std::io::copy(&mut stream, &mut std::io::sink())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// A part of what tls.py does, in Rust and in this process.
fn plain(config: &Arc<ClientConfig>, port: u16, rsa_port: u16) -> String {
    let connected = |port| client_of(config, TcpStream::connect((Ipv4Addr::LOCALHOST, port))?);
    let request = |head: &str, sent: u64, received: u64| {
        let mut stream = BufReader::with_capacity(1 << 16, connected(port)?);
        write!(
            stream.get_mut(),
            "{head} HTTP/1.1\r\nContent-Length: {sent}\r\n\r\n"
        )?;
        let body = vec![7; 1 << 20];
        for _ in 0..sent / body.len() as u64 {
            stream.get_mut().write_all(&body)?;
        }
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line)?;
        }
        std::io::copy(&mut stream.take(received), &mut std::io::sink())
    };
    let handshake = |port| {
        let mut stream = connected(port)?;
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(())
    };
    let mut lines = String::new();
    let mut measure = |name: &str, unit: &str, count: f64, work: &dyn Fn() -> Result<()>| {
        let begun = Instant::now();
        work().expect("loopback works");
        let rate = count / begun.elapsed().as_secs_f64();
        lines += &format!("{name}\t{unit}\t{rate}\n");
    };
    let (bytes, count) = ((TOTAL >> 20) as f64, f64::from(REQUESTS));
    let download = || request(&format!("GET /{TOTAL}"), 0, TOTAL).map(drop);
    measure("HTTPS download", "MiB/s", bytes, &download);
    let upload = || request("PUT /", TOTAL, TOTAL.to_string().len() as u64).map(drop);
    measure("HTTPS upload", "MiB/s", bytes, &upload);
    let fetch = || (0..REQUESTS).try_for_each(|_| request("GET /1", 0, 1).map(drop));
    let name = "connect, full handshake, GET of one byte";
    measure(name, "requests/s", count, &fetch);
    for (kind, port) in [("ECDSA P-256", port), ("RSA-2048", rsa_port)] {
        let name = format!("full handshake, {kind}");
        let shake = || (0..REQUESTS).try_for_each(|_| handshake(port));
        measure(&name, "handshakes/s", count, &shake);
    }
    let data = vec![0; 64 << 20];
    let hash = || {
        std::hint::black_box(Sha256::digest(&data));
        Ok(())
    };
    measure("hashlib.sha256", "MiB/s", 64.0, &hash);
    lines
}

/// Runs the program natively, with that OpenSSL if one is given. Its libraries have the names of those that Python's
/// modules were linked with, and the same interface.
fn native(arguments: &[String], openssl: Option<&Path>) -> String {
    printed(with_openssl(openssl).arg(program(PROGRAM)).args(arguments))
}

fn with_openssl(openssl: Option<&Path>) -> Command {
    let mut python = Command::new(native_python());
    python.env("PYTHONPATH", built("WASISOCKET_SITE"));
    if let Some(folder) = openssl {
        python.env("LD_LIBRARY_PATH", folder);
    }
    python
}

/// The version of OpenSSL that native Python then has.
fn openssl_version(openssl: Option<&Path>) -> String {
    let code = "import ssl; print(ssl.OPENSSL_VERSION)";
    let version = printed(with_openssl(openssl).args(["-c", code]));
    let words = version.split_whitespace().take(2);
    words.collect::<Vec<_>>().join(" ")
}

/// Runs the program in the guest.
fn guest(folder: &Path, ports: &[String]) -> String {
    let option =
        |name: &str, value: &Path, rest: &str| format!("--{name}={}{rest}", value.display());
    run()
        .arg("--allow-net=127.0.0.1,localhost")
        .arg(option("ca-bundle", &folder.join("ca.pem"), ""))
        .arg(option("dir", folder, "::/identity:ro"))
        .arg(option("dir", &built("WASISOCKET_SITE"), "::/site:ro"))
        .args(["--env", "PYTHONPATH=/site"])
        .arg(program(PROGRAM))
        .args(["/etc/ssl/cert.pem", "/identity/identity.pem"])
        .args(ports)
        .succeeds()
}

/// Runs the program as a component, in a host that trusts the server's authority.
fn component(cafile: &Path, port: &str) -> String {
    let mut host = Command::new(built("WASISOCKET_COMPONENTIZE_HOST"));
    printed(host.arg(cafile).arg(built(COMPONENT)).arg(port))
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let authority = Authority::new("benchmark");
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a key");
    let identity = authority.identity("localhost", |_| {});
    let [port, rsa_port] = [&identity, &authority.identity_of("localhost", &rsa)].map(|identity| {
        let config = server(identity);
        serve(move |stream| answer(stream, config.clone()))
    });
    let client = client(&authority);
    let client_port = {
        let client = client.clone();
        serve(move |stream| receive(stream, &client))
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("the folder can be written to");
        path
    };
    let cafile = write("ca.pem", &authority.pem());
    let identity = write(
        "identity.pem",
        &format!("{}{}", identity.certificate, identity.key),
    );
    let ports = [port, rsa_port, client_port].map(|port| port.to_string());
    let files = [&cafile, &identity].map(|path| path.display().to_string());
    let arguments = [&files[..], &ports].concat();

    // The guest is compared twice: with its own version of OpenSSL, and with the machine's.
    let same = std::env::var_os(OPENSSL);
    let same = same.as_deref().map(Path::new);
    let machines = RefCell::new(Samples::new("tls"));
    let native = || {
        let lines = native(&arguments, None);
        let Some(folder) = same else { return lines };
        machines.borrow_mut().read(Column::Native, &lines);
        self::native(&arguments, Some(folder))
    };
    let guest = || {
        let lines = guest(folder.path(), &ports);
        machines.borrow_mut().read(Column::Ours, &lines);
        lines
    };
    let mut runs = vec![
        Run::new(Column::Native, native),
        Run::new(Column::Ours, guest),
        Run::new(Column::Limit, || plain(&client, port, rsa_port)),
    ];
    if std::env::var_os(COMPONENT).is_some() {
        runs.push(Run::new(Column::Peer, || component(&cafile, &ports[0])));
    }
    let mut samples = Samples::new("tls");
    interleave(&mut samples, options.rounds(ROUNDS), &mut runs);
    drop(runs);
    let named = |mut row: Row, openssl: Option<&Path>| {
        row.case = format!("{} [native: {}]", row.case, openssl_version(openssl));
        row
    };
    let mut rows = samples.rows();
    if same.is_some() {
        let rows_of_machine = machines.into_inner().rows().into_iter();
        rows.extend(rows_of_machine.map(|row| named(row, None)));
    }
    rows
}
