//! Sockets: Python in the guest, native CPython, on request a component made by componentize-py, and a plain program in
//! Rust, which shows what the kernel allows. All do the same with the same peers.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Instant;

use rustix::event::epoll;
use rustix::net::{AddressFamily, SocketType};
use wasisocket_tests::bench::{
    Column, Place, Row, Run, Samples, interleave, printed, start_anywhere, start_at,
};
use wasisocket_tests::guest::{built, program, run};

use crate::{Options, native_python};

/// The program that all but the last of them run.
const PROGRAM: &str = "bench/sockets.py";
/// The environment variable with the path of the component, if one is to be measured.
const COMPONENT: &str = "WASISOCKET_COMPONENT";
/// How many times each is run.
const ROUNDS: usize = 15;
/// More sockets than the program opens: two for each wait, and ten thousand idle ones.
const MAX_SOCKETS: usize = 11_000;

/// Serves each connection in its own thread, with TCP_NODELAY.
fn serve(answer: fn(TcpStream) -> std::io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true)?;
                match answer(stream) {
                    // The program closes the connection when it has received enough.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
                    _ => Ok(()),
                }
            });
        }
    });
    address
}

/// Calls `with` with a page-aligned mebibyte that has been written to. Otherwise each connection would get a buffer at
/// another offset in its page, and the kernel copies at a speed that depends on the offset.
fn with_buffer<T>(with: impl FnOnce(&mut [u8]) -> T) -> T {
    const SIZE: usize = 1 << 20;
    const PAGE: usize = 4096;
    let mut memory = vec![7; SIZE + PAGE];
    let start = memory.as_ptr().align_offset(PAGE);
    with(&mut memory[start..start + SIZE])
}

/// Sends until the peer closes.
fn source(mut stream: TcpStream) -> std::io::Result<()> {
    with_buffer(|data| {
        loop {
            stream.write_all(data)?;
        }
    })
}

/// Receives to the end.
fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    with_buffer(|buffer| {
        while stream.read(buffer)? > 0 {}
        Ok(())
    })
}

/// Echoes a stream.
fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1 << 16];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

fn native(ports: &[String]) -> String {
    let mut python = Command::new(native_python());
    printed(python.arg(program(PROGRAM)).args(ports))
}

fn guest(ports: &[String]) -> String {
    run()
        .args(["--allow-net=127.0.0.1"])
        .arg(format!("--max-sockets={MAX_SOCKETS}"))
        .arg(program(PROGRAM))
        .args(ports)
        .succeeds()
}

/// The program as a component, in wasmtime's own command.
fn component(ports: &[String]) -> String {
    let mut wasmtime = Command::new(built("WASISOCKET_WASMTIME"));
    wasmtime
        .args(["run", "--allow-precompiled"])
        // Its C library makes a look-up even for a literal address.
        .args(["-S", "inherit-network,allow-ip-name-lookup"])
        .arg(built(COMPONENT))
        .args(ports);
    printed(&mut wasmtime)
}

/// Like `measure` of the programs.
fn timed(name: &str, unit: &str, count: f64, work: impl FnOnce() -> std::io::Result<()>) -> String {
    let begun = Instant::now();
    work().expect("loopback works");
    let rate = count / begun.elapsed().as_secs_f64();
    format!("{name}\t{unit}\t{rate}\n")
}

fn connected(to: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What the program does, in Rust and in this process.
fn plain([source, sink, echo]: [SocketAddr; 3]) -> String {
    const TOTAL: usize = 1 << 30;
    let mut lines = String::new();
    for size in [1_usize << 16, 1 << 20] {
        let (name, total) = (size >> 10, (TOTAL >> 20) as f64);
        lines += &timed(&format!("recv_into {name} KiB"), "MiB/s", total, || {
            with_buffer(|buffer| {
                let (mut stream, mut left) = (connected(source)?, TOTAL);
                while left > 0 {
                    left = left.saturating_sub(stream.read(&mut buffer[..size])?);
                }
                Ok(())
            })
        });
        lines += &timed(&format!("sendall {name} KiB"), "MiB/s", total, || {
            with_buffer(|data| {
                let mut stream = connected(sink)?;
                for _ in 0..TOTAL / size {
                    stream.write_all(&data[..size])?;
                }
                stream.shutdown(Shutdown::Write)?;
                stream.read(&mut [0]).map(drop)
            })
        });
    }
    const ROUND_TRIPS: u32 = 10_000;
    let count = f64::from(ROUND_TRIPS);
    lines += &timed("round trip of 64 bytes", "round trips/s", count, || {
        let mut stream = connected(echo)?;
        for _ in 0..ROUND_TRIPS {
            let mut message = [0; 64];
            stream.write_all(&message)?;
            stream.read_exact(&mut message)?;
        }
        Ok(())
    });
    const CONNECTIONS: u32 = 1_000;
    let count = f64::from(CONNECTIONS);
    lines += &timed("connect and close", "connections/s", count, || {
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(echo)?;
            stream.shutdown(Shutdown::Write)?;
            stream.read(&mut [0]).map(drop)?;
        }
        Ok(())
    });
    for idle in [10, 1_000, 10_000] {
        lines += &waits(idle).unwrap_or_default();
    }
    lines
}

/// An error if the machine's limit of open files is too low.
fn waits(idle: u64) -> std::io::Result<String> {
    const WAITS: u32 = 20_000;
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut sockets = Vec::new();
    for number in 0..idle {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
        let data = epoll::EventData::new_u64(number);
        epoll::add(&poll, &socket, data, epoll::EventFlags::IN)?;
        sockets.push(socket);
    }
    let (first, mut second) = UnixStream::pair()?;
    let data = epoll::EventData::new_u64(idle);
    epoll::add(&poll, &first, data, epoll::EventFlags::IN)?;
    second.write_all(b"x")?;
    let name = format!("epoll with {idle} idle");
    Ok(timed(&name, "waits/s", f64::from(WAITS), || {
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 16];
        for _ in 0..WAITS {
            epoll::wait(&poll, &mut events, None)?;
        }
        Ok(())
    }))
}

pub(crate) fn measure(options: &Options) -> Vec<Row> {
    start_at(Place::Peers);
    let peers = [source, sink, echo].map(serve);
    start_at(Place::Program);
    let ports = peers.map(|peer| peer.port().to_string());
    let mut runs = vec![
        Run::new(Column::Native, || native(&ports)),
        Run::new(Column::Ours, || guest(&ports)),
        Run::new(Column::Limit, || plain(peers)),
    ];
    if std::env::var_os(COMPONENT).is_some() {
        runs.push(Run::new(Column::Peer, || component(&ports)));
    }
    let mut samples = Samples::new("sockets");
    interleave(&mut samples, options.rounds(ROUNDS), &mut runs);
    start_anywhere();
    samples.rows()
}
