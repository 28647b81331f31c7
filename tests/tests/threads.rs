//! Threads of guests under stress: 64 in each, with locks, queues and sockets, in both kinds of stores, and guests that
//! are ended in the middle. WASISOCKET_SOAK multiplies the duration.

use std::time::Duration;

use wasisocket_host::Grants;
use wasisocket_python::{Capture, Distribution, End, Folder, Program, Python};
use wasisocket_tests::guest::{built, program, run, runtime};

/// Seconds that a guest works.
const SECONDS: u64 = 2;
/// Guests that share a thread of the host.
const GUESTS: u32 = 3;
/// Guests that are ended, one after the other.
const ENDED: u64 = 12;

const PROGRAM: &str = "stress/threads.py";

fn seconds() -> u64 {
    let times = std::env::var("WASISOCKET_SOAK").map_or(1, |times| times.parse().unwrap());
    SECONDS * times
}

#[test]
fn no_byte_is_lost_in_a_guest_that_has_its_thread_for_itself() {
    for limits in [&[][..], &["--timeout=600s"]] {
        run()
            .args(["--allow-listen=127.0.0.1:0", "--allow-net=127.0.0.1"])
            .args(limits)
            .arg(program(PROGRAM))
            .arg(seconds().to_string())
            .succeeds();
    }
}

#[test]
fn recursion_is_an_error_before_a_small_stack_is_used_up() {
    let code = "\
import functools, json, threading
def nested():
    last = []
    for _ in range(100_000):
        last = [last]
    return last
def again(number):
    return again_too(number)
again_too = functools.partial(again)
def tries():
    for call in (json.loads, '[' * 100_000), (repr, nested()), (json.dumps, nested()), (again, 1):
        try:
            call[0](call[1])
        except RecursionError:
            print(call[0].__name__)
for size in (256 << 10, 1 << 20, 0):
    threading.stack_size(size)
    thread = threading.Thread(target=tries)
    thread.start()
    thread.join()
";
    let printed = run().args(["-c", code]).succeeds();
    assert_eq!(printed, "loads\nrepr\ndumps\nagain\n".repeat(3));
}

fn stress(seconds: u64) -> (Program, Capture) {
    let policy =
        "allow-listen = [\"127.0.0.1:0\"]\nallow-net = [\"127.0.0.1\"]\ntimeout = \"600s\"";
    let output = Capture::new(1 << 16);
    let program = Program::new([format!("/programs/{PROGRAM}"), seconds.to_string()])
        .folder(Folder::read_only(program(""), "/programs"))
        .stdout(&output)
        .stderr(&output)
        .grants(Grants::from_toml(policy).unwrap());
    (program, output)
}

#[test]
fn guests_that_share_a_thread_lose_nothing_and_can_be_ended_at_any_moment() {
    let python = Python::builder()
        .distribution(Distribution::open(&built("WASISOCKET_PYTHON")).unwrap())
        .pool(GUESTS + 1, 512 << 20)
        .load()
        .unwrap();
    let runtime = runtime();
    runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        local
            .run_until(async {
                let mut running = tokio::task::JoinSet::new();
                for _ in 0..GUESTS {
                    let python = python.clone();
                    running.spawn_local(async move {
                        let (program, output) = stress(seconds());
                        let end = python.run_async(program).await.unwrap();
                        (end, output)
                    });
                }
                // From the first call of the guest on to the middle of its work.
                for number in 0..ENDED {
                    let (program, _output) = stress(60);
                    let time = Duration::from_millis(7 * number * number);
                    let ended = tokio::time::timeout(time, python.run_async(program)).await;
                    assert!(ended.is_err(), "{ended:?}");
                }
                while let Some(ended) = running.join_next().await {
                    let (end, output) = ended.unwrap();
                    assert!(
                        matches!(end, End::Exit(0)),
                        "{end:?}: {}",
                        String::from_utf8_lossy(&output.bytes())
                    );
                }
            })
            .await;
    });
}
