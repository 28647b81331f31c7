//! Guest programs against real servers. Each program in `tests/programs` is run by one test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wasisocket_tests::dns::scripted_name_server;
use wasisocket_tests::guest::{program, run};
use wasisocket_tests::servers::{self, loopback};

fn ports<const N: usize>(addresses: [SocketAddr; N]) -> [String; N] {
    addresses.map(|address| address.port().to_string())
}

#[test]
fn demo_fetches_a_page_at_both_levels() {
    let [v4, _] = loopback();
    let server = servers::http(v4, "a page\n");
    let printed = run()
        .arg(format!("--allow-net=localhost:{}", server.port()))
        .arg(program("demo.py"))
        .args(ports([server]))
        .succeeds();
    assert!(
        printed.contains("low_level answer: HTTP/1.1 200 OK a page"),
        "{printed}"
    );
    assert!(
        printed.contains("high_level answer: HTTP/1.1 200 OK a page"),
        "{printed}"
    );
}

#[test]
fn tcp_and_udp_echo_over_ipv4_and_ipv6() {
    let [v4, v6] = loopback();
    let servers = [
        servers::echo(v4),
        servers::echo(v6),
        servers::udp_echo(v4),
        servers::udp_echo(v6),
    ];
    run()
        .args(servers.map(|server| format!("--allow-net={server}")))
        .arg(program("echo.py"))
        .args(ports(servers))
        .succeeds();
}

#[test]
fn hundred_mebibytes_arrive_whole_both_ways() {
    let [v4, _] = loopback();
    let (source, sent) = servers::source(v4, 100 << 20);
    let (sink, received) = servers::sink(v4);
    let printed = run()
        .arg("--allow-net=127.0.0.1")
        .arg(program("bulk.py"))
        .args(ports([source, sink]))
        .succeeds();
    let received = received
        .recv_timeout(Duration::from_secs(60))
        .expect("the sink saw the end");
    assert_eq!(printed.lines().collect::<Vec<_>>(), [sent, received]);
}

#[test]
fn errors_are_the_guests_own() {
    let [v4, v6] = loopback();
    let servers = [
        servers::echo(v4),
        servers::reset(v4),
        servers::closed(v4),
        servers::closed(v6),
    ];
    run()
        .args(servers.map(|server| format!("--allow-net={server}")))
        .arg(program("errors.py"))
        .args(ports(servers))
        .succeeds();
}

#[test]
fn wrong_arguments_raise_before_the_host_is_asked() {
    let ended = run().arg(program("arguments.py")).end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr, "", "the host was asked");
}

#[test]
fn module_is_documented_and_accepts_attributes() {
    run().arg(program("module.py")).succeeds();
}

#[test]
fn names_are_looked_up_under_grants() {
    let ended = run()
        .arg("--allow-net=localhost,*.invalid")
        .arg(program("names.py"))
        .end();
    assert_eq!(ended.status, Some(0), "{}", ended.stderr);
    for name in [
        "example.com",
        "xn--bcher-kva.example",
        "localhost.example.com",
    ] {
        let line = format!("wasisocket: look-up of {name} denied: needs --allow-net={name}\n");
        assert!(ended.stderr.contains(&line), "{}", ended.stderr);
    }
}

#[test]
fn wrapper_is_compatible_with_the_c_extension() {
    let [v4, _] = loopback();
    let servers = [servers::echo(v4), servers::closed(v4)];
    run()
        .args(["--allow-net=localhost", "--allow-listen=127.0.0.1:0"])
        .arg(program("wrapper.py"))
        .args(ports(servers))
        .succeeds();
}

#[test]
fn connections_race_as_in_happy_eyeballs() {
    let mut late = 0;
    // 127.255.255.254 and 2001:db8::ffff mean that the question gets no answer.
    let server = scripted_name_server(move |name| {
        let addresses = match name {
            "closed.test" => "127.0.0.5 127.0.0.6",
            "four.test" => "127.0.0.4 2001:db8::ffff",
            "six.test" => "127.255.255.254 ::1",
            // Of the first two questions, one for each family, the one for IPv6 gets no answer and is repeated.
            "late.test" => {
                late += 1;
                if late <= 2 {
                    "127.0.0.5 2001:db8::ffff"
                } else {
                    "127.0.0.5 ::1"
                }
            }
            "lost.test" => "127.0.0.2 127.0.0.3",
            "mute.test" => "127.0.0.2 127.0.0.3 127.0.0.4",
            "many.test" => {
                "127.0.0.5 127.0.0.6 127.0.0.7 127.0.0.8 127.0.0.9 127.0.0.10 127.0.0.11 127.0.0.12 \
                 127.0.0.13 127.0.0.14 127.0.0.15 127.0.0.16 2001:db8::1 ::1"
            }
            _ => return None,
        };
        let addresses = addresses
            .split(' ')
            .map(|ip| ip.parse().expect("an address"));
        Some((addresses.collect(), 60))
    });
    run()
        .arg(format!("--dns={server}"))
        .args(["--allow-lookup=*.test", "--allow-listen=127.0.0.0/8,[::1]"])
        .args(["--allow-net=127.0.0.0/8,[::1]", "--deny-net=127.0.0.3"])
        .arg(program("eyeballs.py"))
        .succeeds();
}

#[test]
fn guest_that_waits_for_ever_is_ended_by_its_time_limit() {
    let [v4, _] = loopback();
    let server = servers::silent(v4);
    let ended = run()
        .arg(format!("--allow-net={server}"))
        .args(["--timeout", "8s"])
        .arg(program("silent.py"))
        .args(ports([server]))
        .end();
    assert_eq!(ended.status, Some(124), "{}", ended.stderr);
    assert_eq!(ended.stdout, "waiting\n");
    assert!(ended.stderr.contains("--timeout"), "{}", ended.stderr);
}

#[test]
fn threads_are_bounded() {
    let program = program("threads.py");
    let none = run().args(["--max-threads=0"]);
    none.arg(&program).arg("none").succeeds();
    let few = run().args(["--max-threads=10", "--max-memory=300M"]);
    let few = few.args(["--allow-listen=127.0.0.1:0", "--allow-net=127.0.0.1"]);
    few.arg(&program).arg("few").succeeds();
}

#[test]
fn threads_of_a_guest_without_an_image_end_with_it() {
    // Python's own end, with daemons that wait, compute and have a lock.
    let cold = run().arg("--cold");
    cold.arg(program("posix").join("threads.py")).succeeds();
}

#[test]
fn threads_that_wait_for_each_other_are_told_of_and_end_by_the_time_limit() {
    let code = "
import threading
locks = threading.Lock(), threading.Lock()
met = threading.Barrier(2)
def take(one, other):
    with one:
        met.wait()
        with other: pass
threads = [threading.Thread(target=take, args=args) for args in (locks, locks[::-1])]
for thread in threads: thread.start()
for thread in threads: thread.join()";
    let ended = run().args(["-v", "--timeout=3s", "-c", code]).end();
    assert_eq!(ended.status, Some(124), "{}", ended.stderr);
    let told = "they wait for each other";
    assert_eq!(ended.stderr.matches(told).count(), 1, "{}", ended.stderr);
}

#[test]
fn guest_connects_to_itself_over_loopback_and_strangers_are_refused() {
    let program = program("itself.py");
    run().arg(&program).arg("nothing").succeeds();
    let [v4, _] = loopback();
    let mut guest = run()
        .arg("--allow-net=192.0.2.1")
        .arg(&program)
        .args(["itself", &servers::silent(v4).port().to_string()])
        .start();
    let mut port = String::new();
    BufReader::new(guest.child.stdout.as_mut().expect("a pipe"))
        .read_line(&mut port)
        .expect("a line");
    let port: u16 = port.trim().parse().expect("a port");
    let mut stranger = TcpStream::connect((v4.ip(), port)).expect("the kernel answers");
    guest.end().assert_success();
    let heard = stranger.read(&mut [0]);
    assert!(!matches!(heard, Ok(1..)), "{heard:?}");
}

#[test]
fn resolv_conf_names_the_hosts_servers_only_to_guests_that_may_connect() {
    let code = "import os; print(open('/etc/resolv.conf').read() if os.path.exists('/etc/resolv.conf') else 'none')";
    let told = run().args(["--allow-net=192.0.2.1", "-c", code]).succeeds();
    let configured = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<_> = configured
        .lines()
        .filter(|line| line.starts_with("nameserver"))
        .collect();
    match servers.as_slice() {
        [] => assert_eq!(told, "none\n"),
        servers => assert_eq!(told.trim(), servers.join("\n")),
    }
    assert_eq!(run().args(["-c", code]).succeeds(), "none\n");
}

#[test]
fn standard_input_is_waited_for_beside_sockets() {
    run().arg(program("stdin.py")).input(b"ab").succeeds();
}

#[test]
fn sockets_past_linuxs_fd_setsize_are_waited_for() {
    let program = program("many.py");
    run().arg("--max-sockets=3000").arg(program).succeeds();
}

#[test]
fn every_program_is_run_by_one_test() {
    let tests = include_str!("guests.rs");
    for entry in std::fs::read_dir(program("")).expect("the folder is there") {
        let name = entry
            .expect("it can be read")
            .file_name()
            .into_string()
            .expect("a plain name");
        if name.ends_with(".py") {
            let uses = tests.matches(&format!("program(\"{name}\")")).count();
            assert_eq!(uses, 1, "{name}");
        }
    }
}

#[test]
fn limits_of_the_command_hold_in_python() {
    let [v4, _] = loopback();
    let port = servers::silent(v4).port();
    let code = format!(
        "import errno, socket\n\
         peer = socket.create_connection(('127.0.0.1', {port}))\n\
         assert peer.send(bytes(10)) == 7\n\
         for call in peer.send, peer.sendall:\n\
         \x20   try:\n\
         \x20       call(b'x')\n\
         \x20       raise AssertionError\n\
         \x20   except OSError as error:\n\
         \x20       assert error.errno == errno.EDQUOT, error\n"
    );
    let limits = ["--allow-net=127.0.0.1", "--max-bytes-out=7"];
    let ended = run().args(limits).args(["-c", &code]).end();
    ended.assert_success();
    assert_eq!(
        ended.stderr,
        "wasisocket: the guest reached its --max-bytes-out\n"
    );
}

#[test]
fn guest_that_computes_without_end_is_ended_by_its_processor_time() {
    let ended = run().args(["--max-cpu=2s", "-c", "while True: pass"]).end();
    assert_eq!(ended.status, Some(124));
    let line = "wasisocket: the guest was ended after 2s of processor time, its --max-cpu\n";
    assert_eq!(ended.stderr, line);
}
