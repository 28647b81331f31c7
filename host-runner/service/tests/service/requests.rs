//! How requests are answered.

use std::io::Write as _;
use std::path::Path;
use std::thread;

use crate::process::{self, Service, Tenant, allows, listener};

/// Starts the service with tenants, each of which may have three requests at a time.
fn start(folder: &Path, tenants: &[Tenant<'_>]) -> Service {
    let options = ["--guests", "16", "--tenant-guests", "3"];
    process::start(folder, tenants, &options)
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
    let (server, port) = listener();
    thread::spawn(move || {
        for stream in server.incoming() {
            stream?.write_all(b"hello")?;
        }
        std::io::Result::Ok(())
    });
    let may = allows(port) + "max-connections = 1\n";
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
    let (server, port) = listener();
    let may = allows(port);
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

/// WSGI's less usual ways, by path.
const GATEWAY: &str = "\
class Text(str):
    pass

class Body:
    def __iter__(self):
        yield b'a'
        yield b'b'
    def close(self):
        print('the body was closed')

def app(environ, start_response):
    path = environ['PATH_INFO'].encode('latin-1').decode()
    if path == '/iterates':
        start_response(Text('200 OK'), [(Text('X-One'), Text('1'))])
        return Body()
    if path == '/writes':
        start_response('200 OK', [])(b'a')
        return [b'b']
    if path == '/begins-again':
        start_response('200 OK', [])
        try:
            raise ValueError
        except ValueError:
            start_response('418 I am a teapot', [], __import__('sys').exc_info())
        return []
    if path == '/raises':
        raise ValueError
    if path == '/begins-twice':
        start_response('200 OK', [])
    if path == '/is-endless':
        start_response('200 OK', [])
        return iter(lambda: bytes(1 << 20), None)
    if path == '/does-not-begin':
        return []
    if path == '/is-text':
        start_response('200 OK', [])
        return ['text']
    if path == '/exits':
        __import__('os')._exit(7)
    start_response('200 OK', [])
    return [path.encode()]
";

#[test]
fn handler_is_a_wsgi_application() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &[("gateway", GATEWAY, "")]);
    let failed = |what: &str| (502, format!("the handler {what}\n"));
    let raised = || failed("raised an exception");
    for (path, response) in [
        ("iterates", (200, "ab".into())),
        ("writes", (200, "ab".into())),
        ("begins-again", (418, String::new())),
        ("%C3%A9", (200, "/\u{e9}".into())),
        ("raises", raised()),
        ("begins-twice", raised()),
        ("is-endless", raised()),
        ("does-not-begin", raised()),
        ("is-text", raised()),
        ("exits", failed("ended with status 7")),
    ] {
        let answer = service.request("GET", &format!("/gateway/{path}"), "");
        assert_eq!(answer, response, "{path}");
    }
}

const STATE: &str = "\
import random
counted = []
own = random.Random()
file = open('/app/handler.py')
def app(environ, start_response):
    counted.append(1)
    start_response('200 OK', [])
    try:
        file.read()
        is_open = True
    except OSError:
        is_open = False
    return [repr((len(counted), random.random(), own.random(), is_open)).encode()]
";

#[test]
fn requests_share_what_the_import_left_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &[("state", STATE, "")]);
    let [first, second] = [(); 2].map(|()| {
        let (status, text) = service.request("GET", "/state", "");
        assert_eq!(status, 200);
        let parts = text.trim_matches(['(', ')']).split(", ");
        <[String; 4]>::try_from(parts.map(String::from).collect::<Vec<_>>()).unwrap()
    });
    let [counted, shared_random, own_random, is_open] = first;
    assert_eq!([&*counted, &*second[0]], ["1", "1"]);
    assert_ne!(shared_random, second[1]);
    assert_eq!(own_random, second[2]);
    assert_eq!([&*is_open, &*second[3]], ["False", "False"]);
}

/// What a copy of the guest does first.
const SEEDS: &str = "\
import random
def seed():
    while True:
        pass
random.seed = seed
def app(environ, start_response):
    start_response('200 OK', [])
    return []
";

#[test]
fn handler_cannot_hold_up_its_copies_for_longer_than_its_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &[("seeds", SEEDS, "timeout = '1s'")]);
    thread::scope(|scope| {
        let request = || service.request("GET", "/seeds", "").0;
        for request in [(); 3].map(|()| scope.spawn(request)) {
            assert!(matches!(request.join().unwrap(), 502 | 504));
        }
    });
}

const HASHES: &str = "\
def app(environ, start_response):
    start_response('200 OK', [])
    return [str(hash('text')).encode()]
";

#[test]
fn tenants_do_not_know_the_secret_for_hashes_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = [("one", HASHES, ""), ("two", HASHES, "")];
    let service = start(folder.path(), &tenants);
    let [one, again, two] = ["/one", "/one", "/two"].map(|path| service.request("GET", path, "").1);
    assert_eq!(one, again);
    assert_ne!(one, two);
}
