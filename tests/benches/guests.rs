//! Measures many guests in one process, each with a connection: memory and time for each, and whether a guest that
//! sends without end delays another. `cargo xtask bench -- --bench guests [COUNT]` runs it, with COUNT guests.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wasisocket_host::{Grants, List};
use wasisocket_python::{Cache, Distribution, End, Folder, Program, Python};
use wasisocket_service::{Ended, Guests};
use wasisocket_tests::guest::built;

const GUESTS: u32 = 1000;
const MEMORY: usize = 256 << 20;
/// How many times round trips are measured in each of the [`CASES`], in turn.
const ROUNDS: usize = 9;
/// What the measured guest runs beside, and the guests that are started before it to get there: a guest starts on
/// that one of two threads that has fewer guests.
const CASES: [(&str, &[&str]); 3] = [
    ("amid idle ones", &[]),
    ("beside one that floods", &["flood"]),
    ("on the thread of one that floods", &["flood", "idle"]),
];
/// The longest to wait for a guest to connect.
const PATIENCE: Duration = Duration::from_secs(600);

/// The peers of the guests. The first byte that a guest sends says whether its peer holds, drains or echoes the
/// connection.
fn serve() -> (SocketAddr, Receiver<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    let (held, idle) = channel();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let held = held.clone();
            // The thread ends with the connection, or hands it over at once.
            thread::spawn(move || peer(stream, &held));
        }
    });
    (address, idle)
}

fn peer(mut stream: TcpStream, held: &Sender<TcpStream>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut what = [0];
    stream.read_exact(&mut what)?;
    let mut buffer = vec![0; 1 << 16];
    match what {
        [b'i'] => drop(held.send(stream)),
        [b'f'] => while stream.read(&mut buffer)? > 0 {},
        _ => loop {
            match stream.read(&mut buffer)? {
                0 => break,
                count => stream.write_all(&buffer[..count])?,
            }
        },
    }
    Ok(())
}

/// Resident bytes of this process, without those shared with other processes (proc_pid_status(5)).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|number| number.parse::<u64>().ok());
    kilobytes.expect("the kernel tells it") << 10
}

/// Runs a guest that does this with its peer.
async fn run(guests: &Guests, what: &str, address: SocketAddr) -> Ended {
    let mut grants = Grants::default();
    grants.add(List::AllowNet, "127.0.0.1").expect("a rule");
    grants.limits.timeout = Some(PATIENCE);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/bench");
    let program = Program::new(["/bench/guest.py", what])
        .args([address.port().to_string()])
        .folder(Folder::read_only(folder, "/bench"))
        .grants(grants);
    let ended = guests.run(program, 1 << 16, None).await;
    ended.expect("there is a place")
}

/// Runs a guest that measures its round trips, and returns the median and the 99th percentile in seconds.
async fn round_trips(guests: &Guests, address: SocketAddr) -> [f64; 2] {
    let ended = run(guests, "ping", address).await;
    assert_eq!(
        ended.end,
        End::Exit(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let printed = String::from_utf8(ended.stdout).expect("text");
    let mut times = printed
        .lines()
        .map(|line| line.rsplit('\t').next().and_then(|time| time.parse().ok()));
    [(); 2].map(|()| times.next().flatten().expect("a time"))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let count = std::env::args()
        .skip(1)
        .find_map(|argument| argument.parse().ok())
        .unwrap_or(GUESTS);
    let cache = Cache::new(std::env::temp_dir().join("wasisocket-bench")).expect("a cache");
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON"));
    let python = Python::builder()
        .distribution(distribution.expect("it was built"))
        .cache(cache)
        .pool(count + 8, MEMORY)
        .load();
    let guests = Arc::new(Guests::new(python.expect("it compiles")));
    let (address, idle) = serve();

    // The first guest loads the memory that all guests share.
    let warm = round_trips(&guests, address).await;
    println!("one guest alone: round trip {:.1} us", warm[0] * 1e6);

    let (before, begun) = (resident(), Instant::now());
    let mut running = JoinSet::new();
    for _ in 0..count {
        let guests = Arc::clone(&guests);
        running.spawn(async move { run(&guests, "idle", address).await });
    }
    let wait = tokio::task::spawn_blocking(move || {
        let held = (0..count).map(|_| idle.recv_timeout(PATIENCE).expect("a guest that connects"));
        (held.collect::<Vec<_>>(), idle)
    });
    // The idle guests stay idle as long as their peers hold these connections.
    let (held, _idle) = wait.await.expect("no panic");
    let took = begun.elapsed();
    let each = (resident() - before) as f64 / f64::from(count);
    println!("{} guests, each with a connection", held.len());
    println!("memory for each: {:.1} MiB", each / f64::from(1 << 20));
    println!(
        "start to connection for each: {:.1} ms on two threads",
        took.as_secs_f64() * 1e3 / f64::from(count)
    );

    let mut times = CASES.map(|_| [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        for ((_, beside), times) in CASES.into_iter().zip(&mut times) {
            let mut neighbours = JoinSet::new();
            for what in beside {
                let guests = Arc::clone(&guests);
                neighbours.spawn(async move { run(&guests, what, address).await });
                // Leaves it time to connect and to begin.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let measured = round_trips(&guests, address).await;
            for (times, time) in times.iter_mut().zip(measured) {
                times.push(time);
            }
            // This drops the guests wherever they wait.
            neighbours.shutdown().await;
        }
    }
    let times = times.map(|times| times.map(median));
    for ((case, _), [middle, late]) in CASES.into_iter().zip(times) {
        println!(
            "round trip {case}: {:.1} us, {:.2} times; 99th percentile {:.1} us, {:.2} times",
            middle * 1e6,
            middle / times[0][0],
            late * 1e6,
            late / times[0][1]
        );
    }

    drop(held);
    while let Some(ended) = running.join_next().await {
        let ended = ended.expect("no panic");
        assert_eq!(
            ended.end,
            End::Exit(0),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}
