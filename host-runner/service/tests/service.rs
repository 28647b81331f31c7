//! The example service, with a real client and tenants that must not disturb each other.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

struct Service {
    child: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the service with tenants: the name, the handler and the policy of each.
fn start(folder: &Path, tenants: &[(&str, &str, &str)]) -> Service {
    for (name, handler, policy) in tenants {
        let tenant = folder.join(name);
        fs::create_dir(&tenant).unwrap();
        fs::write(tenant.join("handler.py"), handler).unwrap();
        fs::write(tenant.with_extension("toml"), policy).unwrap();
    }
    let python =
        std::env::var_os("WASISOCKET_PYTHON").expect("run the tests with `cargo xtask test`");
    let mut child = Command::new(env!("CARGO_BIN_EXE_wasisocket-service"))
        .args(["--listen", "127.0.0.1:0", "--guests", "16"])
        .args(["--tenant-guests", "3", "--python"])
        .arg(python)
        .arg(folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let address = line
        .trim()
        .trim_start_matches("http://")
        .trim_end_matches('/');
    Service {
        address: address.to_owned(),
        child,
    }
}

impl Service {
    /// The status and the body of the response to a request.
    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }
}

const ECHO: &str = "\
def app(environ, start_response):
    start_response('201 Created', [('Content-Type', 'text/plain')])
    body = environ['wsgi.input'].read(int(environ['CONTENT_LENGTH']))
    return [environ['PATH_INFO'].encode(), b' ', body]
";

const CLIENT: &str = "\
import socket
def app(environ, start_response):
    start_response('200 OK', [])
    port = int(environ['QUERY_STRING'])
    try:
        with socket.create_connection(('127.0.0.1', port)) as peer:
            return [peer.recv(100)]
    except PermissionError as error:
        return [str(error).encode()]
";

const SPINS: &str = "\
def app(environ, start_response):
    while True:
        pass
";

const WAITS: &str = "\
import time
def app(environ, start_response):
    time.sleep(1000)
";

/// SQLite's nanosleep(2) is another call of WASI than time.sleep.
const SLEEPS: &str = "\
import sqlite3
def app(environ, start_response):
    one = sqlite3.connect(':memory:')
    one.execute('create table t(a)')
    one.execute('insert into t values(1)')
    one.backup(sqlite3.connect(':memory:'), sleep=1000)
";

const OPENS: &str = "\
files = []
def app(environ, start_response):
    for _ in range(1000):
        files.append(open('/app/handler.py'))
    start_response('200 OK', [])
    return [b'there is no end']
";

#[test]
fn tenants_are_answered_within_their_grants_and_limits() {
    let folder = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in server.incoming() {
            stream?.write_all(b"hello")?;
        }
        std::io::Result::Ok(())
    });
    let may = format!("allow-net = ['127.0.0.1:{port}']\nmax-connections = 1\n");
    let service = start(
        folder.path(),
        &[
            ("echo", ECHO, ""),
            ("granted", CLIENT, &may),
            ("denied", CLIENT, "max-sockets = 4"),
            ("spins", SPINS, "max-cpu = '1s'"),
            ("waits", WAITS, "timeout = '1s'"),
            ("sleeps", SLEEPS, "timeout = '1s'"),
            ("opens", OPENS, ""),
            ("fails", "raise ValueError", ""),
        ],
    );
    let endless: Vec<_> = thread::scope(|scope| {
        let service = &service;
        let endless = ["/spins", "/spins", "/waits", "/sleeps", "/sleeps"]
            .map(|path| scope.spawn(move || service.request("GET", path, "")));
        // Meanwhile others are answered.
        for round in 0..3 {
            let body = format!("body {round}");
            let (status, answer) = service.request("POST", "/echo/a/b?c", &body);
            assert_eq!((status, answer), (201, format!("/a/b {body}")));
        }
        let query = |tenant| service.request("GET", &format!("/{tenant}/?{port}"), "");
        // Each request has a guest of its own: the limit is for one.
        for _ in 0..2 {
            assert_eq!(query("granted"), (200, "hello".into()));
        }
        assert_eq!(query("denied"), (200, "[Errno 2] Permission denied".into()));
        assert_eq!(service.request("GET", "/fails", "").0, 502);
        // Not all the files of the process.
        assert_eq!(service.request("GET", "/opens", "").0, 502);
        assert_eq!(service.request("GET", "/nobody", "").0, 404);
        endless.map(|request| request.join().unwrap()).into()
    });
    let limits = ["max-cpu", "max-cpu", "timeout", "timeout", "timeout"];
    for (answer, limit) in endless.into_iter().zip(limits) {
        assert_eq!(
            answer,
            (504, format!("the handler reached its limit {limit}\n"))
        );
    }
}

const GREEDY: &str = "\
def app(environ, start_response):
    start_response('200 OK', [])
    try:
        bytearray(1 << 28)
    except MemoryError:
        return [b'no more']
    return [b'more']
";

#[test]
fn tenant_has_its_memory_and_its_places_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let may = format!("allow-net = ['127.0.0.1:{port}']");
    let service = start(
        folder.path(),
        &[
            ("greedy", GREEDY, "max-memory = '128M'"),
            ("held", CLIENT, &may),
        ],
    );
    let greedy = || service.request("GET", "/greedy", "");
    assert_eq!(greedy(), (200, "no more".into()));
    thread::scope(|scope| {
        let held = || service.request("GET", &format!("/held/?{port}"), "");
        let running = [(); 3].map(|()| scope.spawn(held));
        let mut peers = [(); 3].map(|()| server.accept().unwrap().0);
        assert_eq!(held(), (503, "too many requests at a time\n".into()));
        assert_eq!(greedy().0, 200);
        for peer in &mut peers {
            peer.write_all(b"hello").unwrap();
        }
        for request in running {
            assert_eq!(request.join().unwrap(), (200, "hello".into()));
        }
    });
}
