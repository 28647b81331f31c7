//! Sockets in the guest beside native CPython of the same version, and on demand beside a component made by
//! componentize-py: the same program, the same peers, in turn. `cargo xtask bench` runs it. These are ratios
//! of medians: a single number says little on a machine that does other things too.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use wasisocket_tests::guest::{built, program, run};

/// What all of them run.
const PROGRAM: &str = "bench/sockets.py";
/// Names the component, if it is to be measured.
const COMPONENT: &str = "WASISOCKET_COMPONENT";
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

/// A column: where the program runs, and how, given its ports.
struct Column {
    title: &'static str,
    run: fn(&[String]) -> String,
    /// Rates by name, one a round.
    rates: BTreeMap<String, Vec<f64>>,
}

impl Column {
    fn new(title: &'static str, run: fn(&[String]) -> String) -> Self {
        let rates = BTreeMap::new();
        Self { title, run, rates }
    }

    /// `None` if it has no such rate.
    fn median(&self, name: &str) -> Option<f64> {
        self.rates.get(name).cloned().map(median)
    }
}

fn native(ports: &[String]) -> String {
    let mut python = Command::new(built("WASISOCKET_NATIVE_PYTHON"));
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
        // A look-up is what its C library makes of an address, too.
        .args(["-S", "inherit-network,allow-ip-name-lookup"])
        .arg(built(COMPONENT))
        .args(ports);
    printed(&mut wasmtime)
}

fn printed(command: &mut Command) -> String {
    let ended = command
        .stderr(Stdio::inherit())
        .output()
        .expect("it can be run");
    assert!(ended.status.success());
    String::from_utf8(ended.stdout).expect("text")
}

fn main() {
    let ports = [source, sink, echo].map(|answer| serve(answer).port().to_string());
    let mut native = Column::new("native", native);
    let mut others = vec![Column::new("guest", guest)];
    if std::env::var_os(COMPONENT).is_some() {
        others.push(Column::new("componentize-py", component));
    }
    for round in 0..ROUNDS {
        eprintln!("round {} of {ROUNDS}", round + 1);
        for column in std::iter::once(&mut native).chain(&mut others) {
            for (name, rate) in rates(&(column.run)(&ports)) {
                column.rates.entry(name).or_default().push(rate);
            }
        }
    }
    print!("| per second, medians of {ROUNDS} | native |");
    for Column { title, .. } in &others {
        print!(" {title} | {title} / native |");
    }
    println!("\n|---|---|{}", "---|---|".repeat(others.len()));
    for name in native.rates.keys() {
        let base = native.median(name).expect("a rate a round");
        print!("| {name} | {base:.3e} |");
        for column in &others {
            match column.median(name) {
                Some(rate) => print!(" {rate:.3e} | {:.2} |", rate / base),
                None => print!(" | |"),
            }
        }
        println!();
    }
}
