//! What an operator does with the service: watches it and stops it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::process::{allows, connect, listener, receive, start, wait_for};
use rustix::process::Signal;

const HELLO: &str = "\
def app(environ, start_response):
    start_response('200 OK', [])
    return [b'hello']
";

const SLEEPS: &str = "\
import time
def app(environ, start_response):
    time.sleep(float(environ['QUERY_STRING']))
    start_response('200 OK', [])
    return [b'slept']
";

/// Its socket stays open: what it received is known when the guest has ended.
const CLIENT: &str = "\
import socket
sockets = []
def app(environ, start_response):
    try:
        sockets.append(socket.create_connection(('127.0.0.1', int(environ['QUERY_STRING']))))
    except OSError as error:
        start_response('403 Forbidden', [])
        return []
    sockets[0].sendall(b'abc')
    start_response('200 OK', [])
    return [sockets[0].recv(5)]
";

/// A server that sends this to each client. Returns its port, and counts clients.
fn serve(answer: impl Fn(usize) -> &'static [u8] + Send + 'static) -> (u16, Arc<AtomicUsize>) {
    let (server, port) = listener();
    let count = Arc::<AtomicUsize>::default();
    let clients = Arc::clone(&count);
    thread::spawn(move || {
        // Connections stay open.
        let mut streams = Vec::new();
        for stream in server.incoming() {
            let mut stream = stream?;
            stream.write_all(answer(clients.fetch_add(1, Ordering::SeqCst)))?;
            streams.push(stream);
        }
        std::io::Result::Ok(())
    });
    (port, count)
}

#[test]
fn metrics_tell_what_tenants_did() {
    let folder = tempfile::tempdir().unwrap();
    let (port, _) = serve(|_| b"hello");
    let may = allows(port);
    let tenants = [
        ("hello", HELLO, ""),
        ("granted", CLIENT, &*may),
        ("denied", CLIENT, ""),
        ("sleeps", SLEEPS, "timeout = '500ms'"),
        ("fails", "raise ValueError", ""),
    ];
    let service = start(folder.path(), &tenants, &["--guests", "16"]);
    // What did not happen yet is 0, and not missing.
    assert_eq!(
        service.metric("wasisocket_denials_total{tenant=\"denied\"}"),
        0.0
    );
    for (path, status) in [
        ("/hello", 200),
        ("/hello/again", 200),
        ("/granted", 200),
        ("/denied", 403),
        ("/sleeps", 504),
        ("/fails", 502),
        ("/nobody", 404),
        ("/", 404),
    ] {
        let query = if path == "/sleeps" { 1000 } else { port };
        let (answered, _) = service.request("GET", &format!("{path}?{query}"), "");
        assert_eq!(answered, status, "{path}");
    }
    for (name, value) in [
        ("requests_total{tenant=\"hello\",code=\"2xx\"}", 2.0),
        ("requests_total{tenant=\"granted\",code=\"2xx\"}", 1.0),
        ("requests_total{tenant=\"denied\",code=\"4xx\"}", 1.0),
        ("requests_total{tenant=\"sleeps\",code=\"504\"}", 1.0),
        ("requests_total{tenant=\"fails\",code=\"502\"}", 1.0),
        ("requests_total{tenant=\"\",code=\"404\"}", 2.0),
        ("request_duration_seconds_count{tenant=\"hello\"}", 2.0),
        (
            "handler_imports_total{tenant=\"hello\",result=\"success\"}",
            1.0,
        ),
        (
            "handler_imports_total{tenant=\"fails\",result=\"failure\"}",
            1.0,
        ),
        (
            "limits_reached_total{tenant=\"sleeps\",limit=\"timeout\"}",
            1.0,
        ),
        ("denials_total{tenant=\"denied\"}", 1.0),
        ("denials_total{tenant=\"granted\"}", 0.0),
        ("guest_sent_bytes_total{tenant=\"granted\"}", 3.0),
        ("guest_received_bytes_total{tenant=\"granted\"}", 5.0),
        ("guests_refused_total{tenant=\"hello\"}", 0.0),
        ("guests_running", 0.0),
        ("templates", 4.0),
        ("guests_max", 16.0),
    ] {
        assert_eq!(
            service.metric(&format!("wasisocket_{name}")),
            value,
            "{name}"
        );
    }
    let cpu = service.metric("wasisocket_guest_cpu_seconds_total{tenant=\"hello\"}");
    assert!((0.001..10.0).contains(&cpu), "{cpu}");
    let slept = service.metric("wasisocket_request_duration_seconds_sum{tenant=\"sleeps\"}");
    assert!((0.5..60.0).contains(&slept), "{slept}");
    service.wait_for_metric("wasisocket_clients_connected", 0.0);
    let idle = connect(&service.address);
    service.wait_for_metric("wasisocket_clients_connected", 1.0);
    drop(idle);
    service.wait_for_metric("wasisocket_clients_connected", 0.0);
}

#[test]
fn tenants_neither_have_the_operator_s_paths_nor_shadow_them() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &[("metrics", HELLO, "")], &[]);
    assert_eq!(
        service.request("GET", "/metrics", ""),
        (200, "hello".into())
    );
    assert_eq!(service.request("GET", "/healthz", "").0, 404);
    assert_eq!(service.admin("/healthz"), (200, "ok\n".into()));
    assert!(service.admin("/metrics").1.contains("# TYPE"));
    assert_eq!(service.admin("/metrics/").0, 404);
}

#[test]
fn guest_whose_client_goes_away_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &[("sleeps", SLEEPS, "")], &[]);
    let client = service.send("GET", "/sleeps?1000", "");
    service.wait_for_metric("wasisocket_guests_running", 1.0);
    drop(client);
    service.wait_for_metric("wasisocket_guests_running", 0.0);
    service.wait_for_metric(
        "wasisocket_requests_total{tenant=\"sleeps\",code=\"gone\"}",
        1.0,
    );
}

#[test]
fn handler_is_imported_once_and_anew_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let (port, count) = serve(|before| if before == 0 { b"no" } else { b"yes" });
    let may = allows(port);
    let handler = format!(
        "import socket, time
with socket.create_connection(('127.0.0.1', {port})) as peer:
    assert peer.recv(3) == b'yes'
time.sleep(1)
{HELLO}"
    );
    let service = start(folder.path(), &[("slow", &handler, &may)], &[]);
    let request = || service.request("GET", "/slow", "");
    let failed = (502, "the handler cannot be imported\n".to_owned());
    assert_eq!(request(), failed);
    // Those that come while it is imported wait for it.
    thread::scope(|scope| {
        for request in [(); 5].map(|()| scope.spawn(request)) {
            assert_eq!(request.join().unwrap(), (200, "hello".into()));
        }
    });
    for _ in 0..5 {
        assert_eq!(request(), (200, "hello".into()));
    }
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn idle_template_gives_its_place_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let tenants = [("one", HELLO, ""), ("two", HELLO, ""), ("held", SLEEPS, "")];
    let service = start(folder.path(), &tenants, &["--guests", "2"]);
    for path in ["/one", "/two", "/one"] {
        // The place of an earlier request is free a moment after its response.
        let answer = wait_for("place", || {
            let answer = service.request("GET", path, "");
            (answer.0 != 503).then_some(answer)
        });
        assert_eq!(answer, (200, "hello".into()));
    }
    let imports = "wasisocket_handler_imports_total{tenant=\"one\",result=\"success\"}";
    assert_eq!(service.metric(imports), 2.0);
    assert_eq!(service.metric("wasisocket_templates"), 1.0);
}

#[test]
fn stopping_service_answers_what_it_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let (server, port) = listener();
    let may = allows(port);
    let service = start(
        folder.path(),
        &[("client", CLIENT, &may)],
        &["--grace", "60"],
    );
    // A connection without a request, and one that has had its response.
    let mut idle = [connect(&service.address), connect(&service.address)];
    idle[1]
        .write_all(b"GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert!(idle[1].read(&mut [0; 1024]).unwrap() > 0);
    let slow = service.send("GET", &format!("/client?{port}"), "");
    let (mut peer, _) = server.accept().unwrap();
    service.signal(Signal::TERM);
    wait_for("unhealthy service", || {
        (service.admin("/healthz").0 == 503).then_some(())
    });
    for mut idle in idle {
        idle.read_to_end(&mut Vec::new()).unwrap();
    }
    let refused = wait_for("refusal", || TcpStream::connect(&service.address).err());
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    peer.write_all(b"hello").unwrap();
    assert_eq!(receive(slow), (200, "hello".into()));
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn request_that_outlasts_the_grace_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--grace", "500ms"];
    let service = start(folder.path(), &[("sleeps", SLEEPS, "")], &options);
    let slow = service.send("GET", "/sleeps?1000", "");
    service.wait_for_metric("wasisocket_guests_running", 1.0);
    service.signal(Signal::INT);
    assert_eq!(receive(slow), (503, "the service stops\n".into()));
    assert_eq!(service.end().code(), Some(0));
}

#[test]
fn second_signal_ends_the_service_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = ["--grace", "1h"];
    let service = start(folder.path(), &[("sleeps", SLEEPS, "")], &options);
    let slow = service.send("GET", "/sleeps?1000", "");
    service.wait_for_metric("wasisocket_guests_running", 1.0);
    service.signal(Signal::TERM);
    wait_for("unhealthy service", || {
        (service.admin("/healthz").0 == 503).then_some(())
    });
    service.signal(Signal::INT);
    assert_eq!(service.end().code(), Some(130));
    drop(slow);
}
