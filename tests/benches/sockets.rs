//! Sockets in the guest beside native CPython of the same version: the same program, the same peers, in
//! turn. `cargo xtask bench` runs it. These are ratios of medians: a single number says little on a
//! machine that does other things too.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use wasisocket_tests::guest::{built, program, run};

/// How often each is run.
const ROUNDS: usize = 15;
/// More than the program opens: two for each wait, and ten thousand that are idle.
const MAX_SOCKETS: usize = 11_000;

/// Serves every connection in a thread of its own, without delay.
fn serve(answer: fn(TcpStream) -> std::io::Result<()>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true)?;
                match answer(stream) {
                    // A peer that has enough closes.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Err(error),
                    _ => Ok(()),
                }
            });
        }
    });
    address
}

/// Sends without end.
fn source(mut stream: TcpStream) -> std::io::Result<()> {
    let data = vec![7; 1 << 20];
    loop {
        stream.write_all(&data)?;
    }
}

/// Receives to the end.
fn sink(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    while stream.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Sends back what it gets.
fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1 << 16];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count])?,
        }
    }
}

/// What the program printed: rates by name.
fn rates(printed: &str) -> BTreeMap<String, f64> {
    let lines = printed.lines().map(|line| {
        let (name, rate) = line.split_once('\t').expect("name, tab, rate");
        (name.to_owned(), rate.parse().expect("a number"))
    });
    lines.collect()
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn native(script: &str, ports: &[String]) -> String {
    let ended = Command::new(built("WASISOCKET_NATIVE_PYTHON"))
        .arg(program("bench").join(script))
        .args(ports)
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run");
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).expect("text")
}

fn guest(script: &str, ports: &[String]) -> String {
    run()
        .args(["--allow-net=127.0.0.1"])
        .arg(format!("--max-sockets={MAX_SOCKETS}"))
        .arg(program("bench").join(script))
        .args(ports)
        .succeeds()
}

fn main() {
    let ports = [source, sink, echo].map(|answer| serve(answer).port().to_string());
    let mut all: BTreeMap<String, [Vec<f64>; 2]> = BTreeMap::new();
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for (index, run) in [native, guest].into_iter().enumerate() {
            for (name, rate) in rates(&run("sockets.py", &ports)) {
                all.entry(name).or_default()[index].push(rate);
            }
        }
    }
    println!("| per second, medians of {ROUNDS} | native | guest | guest / native |");
    println!("|---|---|---|---|");
    for (name, [native, guest]) in all {
        let (native, guest) = (median(native), median(guest));
        println!(
            "| {name} | {native:.3e} | {guest:.3e} | {:.2} |",
            guest / native
        );
    }
}
