//! Runs many guests at once with misbehaving peers, for a bounded time. No byte is lost or duplicated, guests that do
//! nothing wrong make progress, and at the end every descriptor is released. WASISOCKET_SOAK multiplies the duration.

use std::collections::HashSet;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use wasisocket_host::{Grants, List};
use wasisocket_python::{Distribution, End, Folder, Program, Python};
use wasisocket_service::{Ended, Guests};
use wasisocket_tests::guest::{self, built, program};

/// Guests of each kind.
const EACH: u32 = 3;
const MEMORY: usize = 256 << 20;
const MAX_MEMORY: usize = 128 << 20;

/// The longest that a guest may take: far more than a loaded machine needs.
const GUEST_MAX: Duration = Duration::from_secs(5 * 60);
const ALL_MAX: Duration = Duration::from_secs(12 * 60);

/// The first word of the streams that peers send.
const FIRST: u64 = 7;
const HALF_OPEN_BYTES: u64 = 300_000;

/// Data that peers received although no guest sent it.
static FAULTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// Messages that were echoed to guests completely.
static ECHOED: AtomicU32 = AtomicU32::new(0);
/// Whether the echo server asks for no more messages.
static ENOUGH: AtomicBool = AtomicBool::new(false);
/// Connections over which many bytes were received.
static BUSY: AtomicU32 = AtomicU32::new(0);
/// Connections whose peers vanished.
static VANISHED: Mutex<Vec<TcpStream>> = Mutex::new(Vec::new());

/// Serves each connection in its own thread.
fn serve(answer: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || match answer(stream) {
                Err(error) if error.kind() == ErrorKind::InvalidData => fault(error.to_string()),
                _ => {}
            });
        }
    });
    address
}

fn fault(what: String) {
    FAULTS.lock().unwrap().push(what);
}

/// Little-endian words of eight bytes, each one more than its predecessor, so that bytes that are lost, duplicated or
/// of another stream are detected.
fn numbered(first: u64, bytes: u64) -> Vec<u8> {
    let words = first..first + bytes.div_ceil(8);
    let mut bytes_of_words: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes_of_words.truncate(bytes as usize);
    bytes_of_words
}

/// The state of receiving such a stream.
#[derive(Default)]
struct Numbered {
    first: [u8; 8],
    count: u64,
}

impl Numbered {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        for byte in bytes {
            let at = (self.count % 8) as usize;
            if self.count < 8 {
                self.first[at] = *byte;
            }
            let word = u64::from_le_bytes(self.first).wrapping_add(self.count / 8);
            if word.to_le_bytes()[at] != *byte {
                return Err(wrong(format!("byte {} of a stream is wrong", self.count)));
            }
            self.count += 1;
        }
        Ok(())
    }
}

fn wrong(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// Echoes each message in pieces, and then sends whether it wants another.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut received = Numbered::default();
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut message)?;
        received.take(&message)?;
        for piece in message.chunks(10_007) {
            stream.write_all(piece)?;
        }
        ECHOED.fetch_add(1, SeqCst);
        stream.write_all(&[u8::from(!ENOUGH.load(SeqCst))])?;
    }
}

/// Reads a little and closes: because of the unread data, Linux resets the connection.
fn reset(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = [0; 1000];
    stream.read_exact(&mut bytes)?;
    thread::sleep(Duration::from_millis(5));
    Numbered::default().take(&bytes)
}

fn silent(mut stream: TcpStream) -> io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

/// Reads to the end, and sends the number of bytes.
fn read(stream: &mut TcpStream, pause: Duration) -> io::Result<u64> {
    let mut buffer = [0; 20_000];
    let mut received = Numbered::default();
    loop {
        let before = received.count;
        match stream.read(&mut buffer)? {
            0 => return Ok(before),
            count => received.take(&buffer[..count])?,
        }
        if before < 1 << 20 && received.count >= 1 << 20 {
            BUSY.fetch_add(1, SeqCst);
        }
        thread::sleep(pause);
    }
}

fn slow(mut stream: TcpStream) -> io::Result<()> {
    let count = read(&mut stream, Duration::from_millis(2))?;
    stream.write_all(&count.to_be_bytes())
}

fn sink(mut stream: TcpStream) -> io::Result<()> {
    read(&mut stream, Duration::ZERO).map(drop)
}

/// Shuts down its own side, and continues to read.
fn half_open(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&numbered(FIRST, HALF_OPEN_BYTES))?;
    stream.shutdown(Shutdown::Write)?;
    match read(&mut stream, Duration::ZERO)? {
        HALF_OPEN_BYTES => Ok(()),
        count => Err(wrong(format!("{count} bytes after the end"))),
    }
}

/// Sends a little, and then neither sends nor reads.
fn vanishing(mut stream: TcpStream) -> io::Result<()> {
    let written = stream.write_all(&numbered(FIRST, 1000));
    VANISHED.lock().unwrap().push(stream);
    written
}

/// A listener that accepts nobody and whose backlog is full: Linux lets those who connect wait.
fn full() -> (TcpListener, Vec<TcpStream>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let waits = Duration::from_millis(200);
    let taken = std::iter::from_fn(|| TcpStream::connect_timeout(&address, waits).ok());
    let taken = taken.take(8).collect();
    (listener, taken)
}

/// Echoes datagrams.
fn serve_datagrams() -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut seen = HashSet::new();
        let mut buffer = [0; 2048];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let mut received = Numbered::default();
            if let Err(error) = received.take(&buffer[..length]) {
                fault(error.to_string());
            }
            if !seen.insert(received.first) {
                fault("a datagram came twice".into());
            }
            socket.send_to(&buffer[..length], peer).unwrap();
        }
    });
    address
}

/// The number of descriptors that this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < GUEST_MAX, "not {what} in {GUEST_MAX:?}");
        thread::sleep(Duration::from_millis(5));
    }
}

struct Soak {
    guests: Arc<Guests>,
    runtime: Handle,
    times: usize,
    running: JoinSet<(&'static str, Ended)>,
}

impl Soak {
    fn start(
        &mut self,
        what: &'static str,
        port: u16,
        count: usize,
        set: impl FnOnce(&mut Grants),
    ) {
        let mut grants = Grants::default();
        for rule in ["127.0.0.1", "never.test"] {
            grants.add(List::AllowNet, rule).unwrap();
        }
        grants.limits.max_memory = Some(MAX_MEMORY);
        grants.limits.timeout = Some(GUEST_MAX * self.times as u32);
        set(&mut grants);
        let program = Program::new(["/soak/soak.py", what])
            .args([port.to_string(), count.to_string()])
            .folder(Folder::read_only(program("soak"), "/soak"))
            .grants(grants);
        let guests = Arc::clone(&self.guests);
        let ends = async move { (what, guests.run(program, 1 << 20, None).await.unwrap()) };
        self.running.spawn_on(ends, &self.runtime);
    }

    /// Waits for all guests, which must have succeeded.
    fn succeed(&mut self) {
        while let Some(ended) = self.runtime.block_on(self.running.join_next()) {
            let (what, ended) = ended.unwrap();
            let stderr = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.end, End::Exit(0), "{what}: {stderr}");
        }
    }
}

/// Ends the process if the returned sender is not dropped within `max`.
fn bounded(max: Duration) -> mpsc::Sender<()> {
    let (running, ended) = mpsc::channel();
    thread::spawn(move || {
        if ended.recv_timeout(max) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("not over in {max:?}");
            process::exit(1);
        }
    });
    running
}

#[test]
fn guests_make_progress_whatever_peers_and_other_guests_do() {
    let times: usize = std::env::var("WASISOCKET_SOAK").map_or(1, |times| times.parse().unwrap());
    let _running = bounded(ALL_MAX * times as u32);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let python = Python::builder()
        .distribution(Distribution::open(&built("WASISOCKET_PYTHON")).unwrap())
        .pool(EACH * 13, MEMORY)
        .load()
        .unwrap();
    let guests = Arc::new(Guests::new(python));
    let soak = || Soak {
        guests: Arc::clone(&guests),
        runtime: runtime.handle().clone(),
        times,
        running: JoinSet::new(),
    };
    let [echo, reset, silent, slow, sink, half_open, vanishing] =
        [echo, reset, silent, slow, sink, half_open, vanishing].map(|answer| serve(answer).port());
    let (listener, _taken) = full();
    let full = listener.local_addr().unwrap().port();
    let datagrams = serve_datagrams().port();
    let name_server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let name_server_at = name_server.local_addr().unwrap().to_string();

    // Opens what is opened once for the process and stays open.
    let mut many = soak();
    many.start("transfer", echo, 1, |_| ());
    many.succeed();
    let before = descriptors();

    for guest in 0..EACH as usize {
        many.start("transfer", echo, 50 * times + guest, |_| ());
        // The rate limits split their calls at any byte.
        many.start("transfer", echo, 30 * times + guest, |grants| {
            grants.limits.rate_in = Some(3_000_017);
            grants.limits.rate_out = Some(3_000_017);
        });
        many.start("datagrams", datagrams, 100 * times, |_| ());
        many.start("reset", reset, 50 * times, |_| ());
        many.start("silent", silent, 20 * times, |_| ());
        many.start("slow", slow, 5 * times, |_| ());
        many.start("half_open", half_open, 5 * times, |_| ());
        many.start("vanished", vanishing, 5 * times, |_| ());
        many.start("vanished", full, 5 * times, |_| ());
        many.start("memory", 0, 5 * times, |_| ());
        many.start("lookup", 0, times, |grants| {
            grants.add(List::Dns, &name_server_at).unwrap()
        });
    }
    // The command uses a synchronous store.
    let synchronous = thread::spawn(move || {
        guest::run()
            .args(["--allow-net=127.0.0.1", "--timeout=5m"])
            .arg(program("soak/soak.py"))
            .args(["transfer", &echo.to_string(), "50"])
            .succeeds()
    });
    // Guests that are ended while they send: their calls are dropped.
    let mut endless = soak();
    for _ in 0..EACH {
        endless.start("endless", sink, 0, |_| ());
    }
    wait_until("busy", || BUSY.load(SeqCst) >= EACH);
    runtime.block_on(endless.running.shutdown());
    many.succeed();
    synchronous.join().unwrap();
    VANISHED.lock().unwrap().clear();

    // One guest takes all descriptors of the process: another, which is connected already, makes progress.
    let echoed = ECHOED.load(SeqCst);
    many.start("transfer", echo, usize::MAX, |_| ());
    wait_until("connected", || ECHOED.load(SeqCst) > echoed);
    let controls = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = controls.local_addr().unwrap().port();
    many.start("descriptors", port, 20 * times, |grants| {
        grants.limits.max_sockets = 100_000
    });
    let (mut control, _) = controls.accept().unwrap();
    drop(controls);
    let limit = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(descriptors() as u64 + 50),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, few).unwrap();
    for _ in 0..20 * times {
        control.write_all(b"x").unwrap();
        // From this byte until the next round, that guest holds them all.
        control.read_exact(&mut [0]).unwrap();
        let echoed = ECHOED.load(SeqCst);
        // One message may have been on its way before.
        wait_until("going on", || ECHOED.load(SeqCst) >= echoed + 2);
    }
    ENOUGH.store(true, SeqCst);
    drop(control);
    many.succeed();
    setrlimit(Resource::Nofile, limit).unwrap();

    // The peers' threads close their connections some time later.
    wait_until("released", || descriptors() <= before);
    assert_eq!(*FAULTS.lock().unwrap(), [""; 0]);
}
