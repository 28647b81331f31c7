//! Many guests in one process, each with a connection: memory and time for each, and whether a guest that sends without
//! end delays another. Native CPython has a process for each instead.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use wasisocket_host::{Grants, List};
use wasisocket_python::{Distribution, End, Folder, Program, Python};
use wasisocket_service::{Ended, Guests};
use wasisocket_tests::bench::{Column, Place, Row, Samples, printed, start_at};
use wasisocket_tests::guest::{built, program};

use crate::{Options, native_python};

/// What guests and processes run.
const PROGRAM: &str = "bench/guest.py";
/// The most processes of native CPython that are started. What each takes does not depend on their number.
const PROCESSES_MAX: u32 = 200;
/// Round trips of each measurement.
const ROUND_TRIPS: usize = 10_000;
const MEMORY: usize = 256 << 20;
/// How many times round trips are measured in each of the [`CASES`], in turn.
const ROUNDS: usize = 9;
/// What the measured guest runs beside, and the guests that are started before it to get there: a guest starts on
/// that one of two threads that has fewer guests. Processes are on one CPU in the last case.
const CASES: [(&str, &[&str]); 3] = [
    ("all others idle", &[]),
    ("one on another thread floods", &["flood"]),
    ("one on the same thread floods", &["flood", "idle"]),
];
/// Leaves a neighbour time to connect and to begin.
const BEGINNING: Duration = Duration::from_millis(500);
/// The longest that a guest may take.
const PATIENCE: Duration = Duration::from_secs(3600);

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

/// Resident bytes of a process, without those shared with other processes (proc_pid_status(5)).
fn resident(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("Linux");
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
async fn guest_round_trips(guests: &Guests, address: SocketAddr) -> [f64; 2] {
    let ended = run(guests, "ping", address).await;
    assert_eq!(
        ended.end,
        End::Exit(0),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    times(&String::from_utf8(ended.stdout).expect("text"))
}

fn times(printed: &str) -> [f64; 2] {
    let mut times = printed
        .lines()
        .map(|line| line.rsplit('\t').next().and_then(|time| time.parse().ok()));
    [(); 2].map(|()| times.next().flatten().expect("a time"))
}

/// The program natively, with this action.
fn process(what: &str, address: SocketAddr) -> Command {
    let mut python = Command::new(native_python());
    python
        .args([program(PROGRAM).as_os_str(), what.as_ref()])
        .arg(address.port().to_string())
        .stdin(Stdio::null());
    python
}

/// Processes, which end with this.
struct Processes(Vec<Child>);

impl Processes {
    fn start(what: &[&str], address: SocketAddr) -> Self {
        let start = |what| process(what, address).spawn().expect("it can be run");
        Self(what.iter().copied().map(start).collect())
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for process in &mut self.0 {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// What [`guest_round_trips`] does, in a process beside others.
fn process_round_trips(beside: &[&str], address: SocketAddr) -> [f64; 2] {
    let work = || {
        if beside.len() > 1 {
            start_at(Place::Program);
        }
        let _neighbours = Processes::start(beside, address);
        if !beside.is_empty() {
            thread::sleep(BEGINNING);
        }
        times(&printed(&mut process("ping", address)))
    };
    // The thread's CPU is that of the processes that it starts.
    thread::scope(|scope| scope.spawn(work).join().expect("no panic"))
}

/// The same in Rust, in this process.
fn plain_round_trips(address: SocketAddr) -> std::io::Result<[f64; 2]> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.write_all(b"p")?;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let begun = Instant::now();
        let mut message = [0; 64];
        stream.write_all(&message)?;
        stream.read_exact(&mut message)?;
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok([times[ROUND_TRIPS / 2], times[ROUND_TRIPS * 99 / 100]])
}

/// Waits until so many have connected, and returns their connections: they stay idle as long as these are open.
fn connections(idle: &Mutex<Receiver<TcpStream>>, count: u32) -> Vec<TcpStream> {
    let idle = idle.lock().expect("no panic");
    let connected = (0..count).map(|_| idle.recv_timeout(PATIENCE).expect("it connects"));
    connected.collect()
}

/// What idle guests do, and how their rows begin and end.
const IDLE: [(&str, &str, &str); 2] = [
    (
        "idle with threads",
        "with a connection and 8 threads",
        "start to connection with 8 threads, each",
    ),
    ("idle", "with a connection", "start to connection, each"),
];

/// Guests and processes that hold a connection, and its other ends.
struct Idle {
    guests: JoinSet<Ended>,
    held: Vec<TcpStream>,
    _processes: Processes,
    held_of_processes: Vec<TcpStream>,
}

impl Idle {
    /// Starts them, and measures memory of each and time for each. `count` guests and processes are compared, even if
    /// there are fewer processes.
    async fn start(
        samples: &mut Samples,
        guests: &Arc<Guests>,
        (address, idle): (SocketAddr, &Arc<Mutex<Receiver<TcpStream>>>),
        count: u32,
        (what, with, start): (&'static str, &str, &str),
    ) -> Self {
        let mut push = |column, each: u32, bytes: u64, time: Duration| {
            let each = f64::from(each);
            let name = format!("memory of each of {count}, {with}");
            let mebibytes = bytes as f64 / f64::from(1 << 20) / each;
            samples.push(column, &name, "MiB", mebibytes);
            let name = format!("{start} of {count}");
            samples.push(column, &name, "ms", time.as_secs_f64() * 1e3 / each);
        };
        let (before, begun) = (resident("self"), Instant::now());
        let mut running = JoinSet::new();
        for _ in 0..count {
            let guests = Arc::clone(guests);
            running.spawn(async move { run(&guests, what, address).await });
        }
        let connected = Arc::clone(idle);
        let wait = tokio::task::spawn_blocking(move || connections(&connected, count));
        let held = wait.await.expect("no panic");
        let bytes = resident("self") - before;
        push(Column::Ours, count, bytes, begun.elapsed());

        let each = count.min(PROCESSES_MAX);
        let begun = Instant::now();
        let processes = Processes::start(&vec![what; each as usize], address);
        let held_of_processes = connections(idle, each);
        let time = begun.elapsed();
        let resident = |process: &Child| resident(&process.id().to_string());
        let bytes = processes.0.iter().map(resident).sum();
        push(Column::Native, each, bytes, time);
        Self {
            guests: running,
            held,
            _processes: processes,
            held_of_processes,
        }
    }

    /// Closes the connections, at which all of them end.
    async fn end(mut self) {
        drop((self.held, self.held_of_processes));
        while let Some(ended) = self.guests.join_next().await {
            let ended = ended.expect("no panic");
            assert_eq!(
                ended.end,
                End::Exit(0),
                "{}",
                String::from_utf8_lossy(&ended.stderr)
            );
        }
    }
}

async fn all(guests: Arc<Guests>, count: u32, rounds: usize) -> Vec<Row> {
    let mut samples = Samples::new("guests");
    let (address, idle) = serve();
    let idle = Arc::new(Mutex::new(idle));
    // The first guest loads the memory that all guests share.
    guest_round_trips(&guests, address).await;
    let [with_threads, alone] = IDLE;
    let idle_ones = Idle::start(&mut samples, &guests, (address, &idle), count, with_threads).await;
    idle_ones.end().await;
    let idle_ones = Idle::start(&mut samples, &guests, (address, &idle), count, alone).await;

    for round in 0..rounds {
        eprintln!("guests: round {} of {rounds}", round + 1);
        for (case, beside) in CASES {
            let mut push = |column, [middle, late]: [f64; 2]| {
                let name = format!("round trip of 64 bytes, {case}");
                samples.push(column, &name, "\u{b5}s", middle * 1e6);
                let name = format!("{name}, 99th percentile");
                samples.push(column, &name, "\u{b5}s", late * 1e6);
            };
            let mut neighbours = JoinSet::new();
            for what in beside {
                let guests = Arc::clone(&guests);
                neighbours.spawn(async move { run(&guests, what, address).await });
                tokio::time::sleep(BEGINNING).await;
            }
            push(Column::Ours, guest_round_trips(&guests, address).await);
            // This drops the guests wherever they wait.
            neighbours.shutdown().await;
            push(Column::Native, process_round_trips(beside, address));
            if beside.is_empty() {
                let plain = plain_round_trips(address).expect("loopback works");
                push(Column::Limit, plain);
            }
        }
    }

    idle_ones.end().await;
    samples.rows()
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    let count = options.guests;
    let distribution = Distribution::open(&built("WASISOCKET_PYTHON"));
    let python = Python::builder()
        .distribution(distribution.expect("it was built"))
        .pool(count + 8, MEMORY)
        .load();
    let guests = Arc::new(Guests::new(python.expect("it compiles")));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let rounds = options.rounds(ROUNDS);
    runtime
        .expect("threads")
        .block_on(all(guests, count, rounds))
}
