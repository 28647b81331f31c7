//! Many guests at once with peers that misbehave, for a bounded time: no byte is lost or comes twice, who
//! does nothing wrong goes on, and at the end every descriptor is released. WASISOCKET_SOAK is how many times
//! as long it is to take.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::JoinSet;
use wasisocket_host::Grants;
use wasisocket_service::{End, Ended, Python, Run};
use wasisocket_tests::guest::built;

/// Guests of each kind.
const EACH: u32 = 3;
const MEMORY: usize = 256 << 20;
const MAX_MEMORY: usize = 128 << 20;

/// Serves every connection in a thread of its own.
fn serve(answer: fn(TcpStream) -> io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

/// Sends each message back, in pieces.
fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut message)?;
        for piece in message.chunks(10_007) {
            stream.write_all(piece)?;
        }
    }
}

/// Reads a little and resets the connection: what it has not read makes Linux do so.
fn reset(mut stream: TcpStream) -> io::Result<()> {
    stream.read_exact(&mut [0; 1000])?;
    thread::sleep(Duration::from_millis(5));
    Ok(())
}

fn silent(mut stream: TcpStream) -> io::Result<()> {
    stream.read(&mut [0]).map(drop)
}

fn slow(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 20_000];
    let mut total = 0_u32;
    loop {
        match stream.read(&mut buffer)? {
            0 => return stream.write_all(&total.to_be_bytes()),
            count => total += count as u32,
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn sink(mut stream: TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Descriptors that this process has open.
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

struct Soak {
    python: Arc<Python>,
    running: JoinSet<(&'static str, Ended)>,
}

impl Soak {
    fn start(&mut self, what: &'static str, port: u16, count: usize, set: impl FnOnce(&mut Run)) {
        let mut grants = Grants::default();
        for rule in ["127.0.0.1", "never.test"] {
            grants.add("allow-net", rule).unwrap();
        }
        grants.limits.max_memory = Some(MAX_MEMORY);
        let mut run = Run {
            arguments: vec![
                "/soak/soak.py".into(),
                what.into(),
                port.to_string(),
                count.to_string(),
            ],
            folders: vec![(
                concat!(env!("CARGO_MANIFEST_DIR"), "/programs/soak").into(),
                "/soak".into(),
            )],
            grants,
            output: 1 << 20,
            ..Run::default()
        };
        set(&mut run);
        let python = Arc::clone(&self.python);
        self.running
            .spawn(async move { (what, python.run(run).await.unwrap()) });
    }

    /// Waits for all, which must have ended well, and returns what they printed.
    async fn succeed(&mut self) -> Vec<String> {
        let mut printed = Vec::new();
        while let Some(ended) = self.running.join_next().await {
            let (what, ended) = ended.unwrap();
            let stderr = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.end, End::Exit(0), "{what}: {stderr}");
            printed.push(String::from_utf8(ended.stdout).unwrap());
        }
        printed
    }
}

#[test]
fn guests_go_on_whatever_peers_and_other_guests_do() {
    let times: usize = std::env::var("WASISOCKET_SOAK").map_or(1, |times| times.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let python = Python::load(&built("WASISOCKET_PYTHON"), EACH * 10, MEMORY, None).unwrap();
    let mut soak = Soak {
        python: Arc::new(python),
        running: JoinSet::new(),
    };
    let [echo, reset, silent, slow, sink] =
        [echo, reset, silent, slow, sink].map(|answer| serve(answer).port());
    let name_server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let name_server_at = name_server.local_addr().unwrap().to_string();

    runtime.block_on(async {
        // What is opened once and stays.
        soak.start("transfer", echo, 1, |_| ());
        soak.succeed().await;
        let before = descriptors();

        for guest in 0..EACH as usize {
            soak.start("transfer", echo, 50 * times + guest, |_| ());
            soak.start("reset", reset, 50 * times, |_| ());
            soak.start("silent", silent, 20 * times, |_| ());
            soak.start("slow", slow, 5 * times, |_| ());
            soak.start("memory", 0, 5 * times, |_| ());
            soak.start("lookup", 0, times, |run| {
                run.grants.add("dns", &name_server_at).unwrap()
            });
        }
        // Guests that are ended amid what they send: their calls are dropped.
        let mut ended = JoinSet::new();
        for _ in 0..EACH {
            let mut one = Soak {
                python: Arc::clone(&soak.python),
                running: JoinSet::new(),
            };
            ended.spawn(async move {
                one.start("endless", sink, 0, |_| ());
                tokio::time::sleep(Duration::from_millis(1500)).await;
                one.running.shutdown().await;
            });
        }
        ended.join_all().await;
        soak.succeed().await;

        // One guest takes all descriptors of the process: another, which has its connection, goes on.
        soak.start("transfer", echo, 300 * times, |_| ());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let limit = getrlimit(Resource::Nofile);
        let few = Rlimit {
            current: Some(descriptors() as u64 + 50),
            maximum: limit.maximum,
        };
        soak.start("descriptors", 0, 20 * times, |run| {
            run.grants.limits.max_sockets = 100_000
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        setrlimit(Resource::Nofile, few).unwrap();
        let printed = soak.succeed().await;
        setrlimit(Resource::Nofile, limit).unwrap();
        assert!(
            printed
                .iter()
                .any(|lines| lines.lines().count() == 20 * times)
        );

        // Peers close theirs when they come to it.
        let begun = Instant::now();
        while descriptors() > before && begun.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(descriptors() <= before, "{} of {before}", descriptors());
    });
}
