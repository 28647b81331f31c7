//! Servers on loopback, each on its own port. They end with the test's process.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use rustls::{ServerConfig, StreamOwned};
use sha2::{Digest, Sha256};

use crate::tls::accepted;

/// The loopback addresses of both families, with port 0.
#[must_use]
pub fn loopback() -> [SocketAddr; 2] {
    [
        (Ipv4Addr::LOCALHOST, 0).into(),
        (Ipv6Addr::LOCALHOST, 0).into(),
    ]
}

/// Serves each connection in its own thread.
pub(crate) fn serve(
    at: SocketAddr,
    answer: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static,
) -> SocketAddr {
    serve_at(
        TcpListener::bind(at).expect("loopback has a free port"),
        answer,
    )
}

pub(crate) fn serve_at(
    listener: TcpListener,
    answer: impl Fn(TcpStream) -> Result<()> + Clone + Send + 'static,
) -> SocketAddr {
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            // Some tests close the connection early: an error here is no failure.
            thread::spawn(move || answer(stream).ok());
        }
    });
    address
}

/// Echoes a stream.
#[must_use]
pub fn echo(at: SocketAddr) -> SocketAddr {
    serve(at, |stream| {
        std::io::copy(&mut &stream, &mut &stream).map(drop)
    })
}

/// Echoes datagrams.
#[must_use]
pub fn udp_echo(at: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind(at).expect("loopback has a free port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], peer);
        }
    });
    address
}

/// Answers any HTTP request with 200 and this body.
#[must_use]
pub fn http(at: SocketAddr, body: &'static str) -> SocketAddr {
    pages(at, move |_| Some(body.into()))
}

/// Answers an HTTP request with the body for its path, or with 404.
#[must_use]
pub fn pages(
    at: SocketAddr,
    page: impl Fn(&str) -> Option<Vec<u8>> + Clone + Send + 'static,
) -> SocketAddr {
    serve(at, move |stream| answer_http(stream, &page))
}

/// The same over TLS.
#[must_use]
pub fn tls_pages(
    at: SocketAddr,
    config: Arc<ServerConfig>,
    page: impl Fn(&str) -> Option<Vec<u8>> + Clone + Send + 'static,
) -> SocketAddr {
    serve(at, move |stream| {
        let mut stream = StreamOwned::new(accepted(&config)?, stream);
        answer_http(&mut stream, &page)?;
        stream.conn.send_close_notify();
        stream.flush()
    })
}

/// Reads a request without a body, and returns its target.
pub(crate) fn read_request(stream: &mut impl Read) -> Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut buffer)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&buffer[..length]);
    }
    let request = String::from_utf8_lossy(&request);
    Ok(request.split(' ').nth(1).unwrap_or_default().to_owned())
}

fn answer_http(
    mut stream: impl Read + Write,
    page: impl Fn(&str) -> Option<Vec<u8>>,
) -> Result<()> {
    let path = read_request(&mut stream)?;
    let (status, body) = match page(&path) {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let kind = match path.ends_with('/') {
        true => "text/html",
        false => "application/octet-stream",
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(&body)
}

/// Reads to the end and reports the SHA-256 of the data, in hexadecimal.
#[must_use]
pub fn sink(at: SocketAddr) -> (SocketAddr, Receiver<String>) {
    let (sender, receiver) = channel();
    let address = serve(at, move |mut stream| {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match stream.read(&mut buffer)? {
                0 => break,
                length => hash.update(&buffer[..length]),
            }
        }
        let _ = sender.send(hexadecimal(&hash.finalize()));
        Ok(())
    });
    (address, receiver)
}

/// Sends `length` pseudorandom bytes and closes. Also returns their SHA-256 in hexadecimal.
#[must_use]
pub fn source(at: SocketAddr, length: usize) -> (SocketAddr, String) {
    let mut hash = Sha256::new();
    blocks(length).for_each(|block| hash.update(block));
    let address = serve(at, move |mut stream| {
        blocks(length).try_for_each(|block| stream.write_all(&block))
    });
    (address, hexadecimal(&hash.finalize()))
}

/// Accepts, waits for a byte, and resets the connection.
#[must_use]
pub fn reset(at: SocketAddr) -> SocketAddr {
    serve(at, |mut stream| {
        stream.write_all(b"x")?;
        // Closing with unread data sends a RST (RFC 1122, 4.2.2.13).
        stream.peek(&mut [0]).map(drop)
    })
}

/// Accepts, and never answers.
#[must_use]
pub fn silent(at: SocketAddr) -> SocketAddr {
    serve(at, |stream| {
        loop {
            thread::park();
            let _ = &stream;
        }
    })
}

/// Answers an HTTP request with the first bytes of a body, and then sends nothing more.
#[must_use]
pub fn stalling(at: SocketAddr) -> SocketAddr {
    serve(at, |mut stream| {
        read_request(&mut stream)?;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nfirst")?;
        loop {
            thread::park();
            let _ = &stream;
        }
    })
}

/// A loopback address at which nothing listens.
#[must_use]
pub fn closed(at: SocketAddr) -> SocketAddr {
    TcpListener::bind(at)
        .and_then(|listener| listener.local_addr())
        .expect("loopback has a free port")
}

/// `length` pseudorandom bytes by xorshift64, in blocks of 64 KiB: cheap, and no two blocks are equal.
pub fn blocks(length: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut left = length;
    std::iter::from_fn(move || {
        let size = left.min(1 << 16);
        left -= size;
        let mut block = Vec::with_capacity(size + 8);
        while block.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            block.extend_from_slice(&state.to_le_bytes());
        }
        block.truncate(size);
        (size > 0).then_some(block)
    })
}

/// Hexadecimal, two digits for each byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
