//! Servers in the guest, and clients outside.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustls::{CipherSuite, ClientConnection, StreamOwned};
use wasisocket_host::prefers_aes;
use wasisocket_tests::guest::{Started, program};

use crate::{GIVEN, Trust, with_packages};

/// The longest that a server may take to start or to answer. The first run includes compiling python.wasm.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts a program that listens at a port that the system picks, and returns the port that it prints.
fn start(trust: &Trust, native: bool, name: &str, arguments: &[&str]) -> (Started, u16) {
    let program = program("packages").join(name);
    let mut started = if native {
        let mut python = trust.native();
        python.arg(program).args(trust.natively(arguments));
        python.stdin(Stdio::null()).stdout(Stdio::piped());
        let child = python.stderr(Stdio::piped()).spawn().unwrap();
        Started { child }
    } else {
        with_packages()
            .arg("--allow-listen=127.0.0.1:0")
            .arg(trust.grant())
            .arg(program)
            .args(arguments)
            .start()
    };
    let (sender, ports) = channel();
    let stdout = started.child.stdout.take().unwrap();
    let stderr = started.child.stderr.take().unwrap();
    look_for_port(stdout, sender.clone());
    look_for_port(stderr, sender);
    let port = ports.recv_timeout(LIMIT).expect("it listens");
    (started, port)
}

/// Reads to the end, because a server would block on a full pipe, and prints the output if the test fails.
fn look_for_port(output: impl Read + Send + 'static, found: Sender<u16>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            eprintln!("{line}");
            let url = line.split_once("://127.0.0.1:").map(|(_, rest)| rest);
            let digits = url.map_or(line.as_str(), |rest| {
                rest.split(|c: char| !c.is_ascii_digit())
                    .next()
                    .unwrap_or_default()
            });
            if let Ok(port) = digits.parse() {
                let _ = found.send(port);
            }
        }
    });
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Reads one response, without the parts that differ from run to run, and with its body in one piece.
fn response(stream: &mut impl BufRead) -> String {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let mut head = vec![];
    loop {
        match line() {
            end if end.is_empty() => break,
            header => head.push(header),
        }
    }
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let mut body = Vec::new();
    if header("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            stream.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).unwrap();
            if size == 0 {
                break;
            }
            body.extend(&chunk[..size]);
        }
    } else if let Some(length) = header("content-length") {
        body.resize(length.parse().unwrap(), 0);
        stream.read_exact(&mut body).unwrap();
    } else {
        stream.read_to_end(&mut body).unwrap();
    }
    // A session cookie contains the time.
    let differ = ["date", "server", "set-cookie"];
    head.retain(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !differ.contains(&name.to_lowercase().as_str())
    });
    format!(
        "{}\n\n{}\n",
        head.join("\n"),
        String::from_utf8_lossy(&body)
    )
}

/// Sends each request after the previous one was answered, and returns the responses.
fn exchange(mut connect: impl FnMut() -> Box<dyn ReadWrite>, requests: &[&[u8]]) -> String {
    let mut responses = String::new();
    let mut stream = BufReader::new(connect());
    for request in requests {
        stream.get_mut().write_all(request).unwrap();
        stream.get_mut().flush().unwrap();
        let response = response(&mut stream);
        if response.to_lowercase().contains("\nconnection: close")
            || response.starts_with("HTTP/1.0")
        {
            stream = BufReader::new(connect());
        }
        responses += &response;
    }
    responses
}

trait ReadWrite: Read + Write {}

impl<T: Read + Write> ReadWrite for T {}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The requests that all of these servers get.
fn requests() -> Vec<Vec<u8>> {
    let chunks = "POST /length HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\n12345\r\n3\r\n678\r\n0\r\n\r\n";
    vec![
        get("/greet/World?a=1&b=2"),
        post("/length", "", &vec![b'x'; 1_000_000]),
        chunks.into(),
        get("/stream"),
        get("/fail"),
        get("/missing"),
        get("/greet/again"),
        b"no request\r\n\r\n".into(),
    ]
}

/// Asserts that the native server and the one in the guest give the same responses, and returns them.
fn same_answers(name: &str, arguments: &[&str], more: &[Vec<u8>]) -> String {
    let trust = Trust::new();
    let requests = [more, &requests()].concat();
    let requests: Vec<&[u8]> = requests.iter().map(Vec::as_slice).collect();
    let [native, guest] = [true, false].map(|native| {
        let (_server, port) = start(&trust, native, name, arguments);
        exchange(|| Box::new(connect(port)), &requests)
    });
    assert_eq!(guest, native);
    guest
}

/// A request is answered while an earlier one still waits.
fn answers_while_one_waits(name: &str) {
    let (_server, port) = start(&Trust::new(), false, name, &[]);
    let mut waiting = connect(port);
    waiting.write_all(&get("/wait")).unwrap();
    let woken = exchange(|| Box::new(connect(port)), &[&get("/wake")]);
    assert!(woken.ends_with("\nwoken\n"), "{woken}");
    let waited = response(&mut BufReader::new(waiting));
    assert!(waited.ends_with("\nwaited\n"), "{waited}");
}

#[test]
fn aiohttp_answers() {
    let answers = same_answers("aiohttp_server.py", &[], &[]);
    assert!(answers.contains("{\"name\": \"World\", \"query\": {\"a\": \"1\", \"b\": \"2\"}}"));
    assert!(answers.contains("\n1000000\n"), "{answers}");
    answers_while_one_waits("aiohttp_server.py");
}

#[test]
fn aiohttp_answers_over_tls_and_websockets() {
    let trust = Trust::new();
    let (_server, port) = start(&trust, false, "aiohttp_server.py", &[GIVEN]);
    let secure = || {
        let name = "localhost".try_into().unwrap();
        let connection = ClientConnection::new(trust.authority.client(), name).unwrap();
        StreamOwned::new(connection, connect(port))
    };
    let answers = exchange(
        || Box::new(secure()),
        &[&get("/greet/TLS"), &get("/stream")],
    );
    assert!(answers.contains("{\"name\": \"TLS\""), "{answers}");

    // The example of RFC 6455, 1.3; then "hello" and a close frame, both masked with zeros.
    let mut stream = BufReader::new(secure());
    let upgrade = "GET /talk HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.get_mut().write_all(upgrade.as_bytes()).unwrap();
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        stream.read_line(&mut head).unwrap();
    }
    assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // The client prefers AES. The guest prefers what is faster on this machine.
    let suite = stream.get_ref().conn.negotiated_cipher_suite().unwrap();
    assert_eq!(
        suite.suite() == CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        !prefers_aes()
    );
    stream
        .get_mut()
        .write_all(b"\x81\x85\0\0\0\0hello\x88\x80\0\0\0\0")
        .unwrap();
    let mut frames = [0; 9];
    stream.read_exact(&mut frames).unwrap();
    assert_eq!(&frames[..8], b"\x81\x05HELLO\x88");
}

#[test]
fn uvicorn_answers() {
    let answers = same_answers("uvicorn_server.py", &[], &[]);
    let greeting =
        "{\"name\": \"World\", \"query\": {\"a\": \"1\", \"b\": \"2\"}, \"started\": true}";
    assert!(answers.contains(greeting), "{answers}");
    answers_while_one_waits("uvicorn_server.py");
}

#[test]
fn flask_answers() {
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let more = [
        get("/template?text=%3Cb%3E"),
        post("/form", form, b"name=World"),
    ];
    // A thread for each request, or one for all.
    for threads in ["threaded", "one"] {
        let answers = same_answers("flask_server.py", &[threads], &more);
        assert!(answers.contains("<p>&lt;b&gt;</p>"), "{answers}");
    }
}

#[test]
fn websockets_talk_either_way() {
    let trust = Trust::new();
    for native in [true, false] {
        let (mut server, port) = start(&trust, native, "websockets_peers.py", &["serve"]);
        let arguments = ["talk", &port.to_string()];
        let printed = match native {
            true => trust.in_guest("websockets_peers.py", &[port], &arguments),
            false => trust.in_native("websockets_peers.py", &arguments),
        };
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[1..], ["nothing more", "4000 as asked"], "{printed}");
        let asked = Instant::now();
        let status = loop {
            if let Some(status) = server.child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < LIMIT, "the server does not end");
            thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success());
    }
}
