//! Compares sockets in the guest with native CPython of the same version, and on request with a component made by
//! componentize-py. All run the same program against the same peers. `cargo xtask bench` runs it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use wasisocket_tests::bench::{Column, Place, compare, printed, start_at};
use wasisocket_tests::guest::{built, program, run};

/// The program that all of them run.
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
        // Its C library makes a look-up even for a literal address.
        .args(["-S", "inherit-network,allow-ip-name-lookup"])
        .arg(built(COMPONENT))
        .args(ports);
    printed(&mut wasmtime)
}

fn main() {
    start_at(Place::Peers);
    let ports = [source, sink, echo].map(|answer| serve(answer).port().to_string());
    start_at(Place::Program);
    let with_ports = |run: fn(&[String]) -> String| {
        let ports = ports.clone();
        move || run(&ports)
    };
    let mut others = vec![Column::new("guest", with_ports(guest))];
    if std::env::var_os(COMPONENT).is_some() {
        others.push(Column::new("componentize-py", with_ports(component)));
    }
    compare(ROUNDS, Column::new("native", with_ports(native)), others);
}
