//! Packages that use threads. Their servers, or their clients, are other threads of the same program.

use wasisocket_tests::guest::{Run, program};
use wasisocket_tests::scripted::mqtt;
use wasisocket_tests::servers::loopback;

use crate::{Trust, with_packages};

/// The command for a guest that is its own peer.
fn guest() -> Run {
    with_packages()
        .args(["--allow-listen=127.0.0.1:0", "--allow-net=127.0.0.1"])
        .args(["--max-memory=256M", "--env=PYTHONWARNINGS=ignore"])
}

/// Runs a program in both, asserts that the output is the same, and returns it.
fn same_in_both(guest: Run, name: &str, arguments: &[&str]) -> String {
    let native = Trust::new().in_native(name, arguments);
    let guest = guest
        .arg(program("packages").join(name))
        .args(arguments)
        .succeeds();
    assert_eq!(guest, native);
    guest
}

#[test]
fn packages_that_start_threads_work() {
    let [v4, _] = loopback();
    let port = mqtt(v4).port().to_string();
    let printed = same_in_both(guest(), "with_threads.py", &[&port]);
    assert_eq!(printed.lines().count(), 8, "{printed}");
    assert!(!printed.contains("False"), "{printed}");
}

#[test]
fn pika_consumes_while_other_threads_work_and_publish() {
    assert_eq!(
        same_in_both(guest(), "pika_client.py", &[]),
        "messages (True, 51)
heartbeats three
wakes_from_another_thread (['called'], True)
lost StreamLostError
"
    );
}

#[test]
fn kafka_sends_and_beats_in_threads() {
    assert_eq!(
        same_in_both(guest(), "kafka_clients.py", &[]),
        "group (True, 400)
sends_again (False, True)
from_the_beginning (b'again', True)
"
    );
}

#[test]
fn pymongo_watches_its_server_in_threads() {
    let all = ["True"; 8].join(", ");
    assert_eq!(
        same_in_both(guest(), "pymongo_client.py", &[]),
        format!(
            "at_the_same_time ([{all}], {{'_id': 'counter', 'count': 160}})
in_bulk (1, 1, 2)
told_of_changes True
ends_cursors counter
goes_down_and_comes_back 1
ends_its_threads (['pymongo_kill_cursors_thread', 'pymongo_server_monitor_thread', 'pymongo_server_rtt_thread'], False)
"
        )
    );
}

#[test]
fn boto3_transfers_parts_in_threads() {
    assert_eq!(
        same_in_both(guest(), "boto3_transfers.py", &[]),
        "uploads (6, True, True)
downloads (True, 20983865, True)
small b'small'
missing 404
"
    );
}

#[test]
fn gunicorn_answers_in_threads() {
    let temporary = tempfile::tempdir().unwrap();
    let guest = guest().arg(format!("--dir={}::/tmp", temporary.path().display()));
    assert_eq!(
        same_in_both(guest, "gunicorn_threads.py", &[]),
        "at_the_same_time (True, True)
with_bodies ('1000000', '100000', True, True)
with_errors (500, b'HTTP/1.1 400 Bad Request')
many_slow_clients (200, {b'HTTP/1.1 200 OK'})
stops_after_its_answers slow 127.0.0.1
ended
"
    );
}

#[test]
fn trio_runs_tasks_threads_and_hypercorn() {
    assert_eq!(
        same_in_both(guest(), "trio_peers.py", &[]),
        "tasks ([1, 2, 3], True, 6)
sockets b'TEXT'
server (200, b'GET /path')
"
    );
}
