//! A name server with some names below `test`.

use std::io::{Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use crate::servers::serve_at;

/// RFC 1035, 4.1.1: a response to a question that wanted recursion, which is available.
const RESPONSE: u16 = 0x8180;
const TRUNCATED: u16 = 0x0200;
const NAME_ERROR: u16 = 3;

/// Answers over UDP and TCP: `one.test` has one address, `many.test` too many for a datagram. `silent.test` is
/// not answered, and others do not exist.
///
/// # Panics
/// Loopback has no free port.
#[must_use]
pub fn name_server() -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        // Somebody else may have this port of UDP's.
        if let Ok(socket) = UdpSocket::bind(address) {
            break (listener, socket);
        }
    };
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            if let Some(message) = answer(&buffer[..length], buffer.len()) {
                let _ = socket.send_to(&message, peer);
            }
        }
    });
    serve_at(listener, |stream| over_tcp(&stream))
}

/// RFC 1035, 4.2.2: the length goes before the message.
fn over_tcp(mut stream: &TcpStream) -> Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        if let Some(message) = answer(&query, usize::MAX) {
            let length = u16::try_from(message.len()).map_err(std::io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), message.as_slice()].concat())?;
        }
    }
}

fn answer(query: &[u8], room: usize) -> Option<Vec<u8>> {
    // One question: labels up to an empty one, type and class.
    let name_length = query.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    let question = query.get(12..12 + name_length + 4)?;
    let (count, error) = match question {
        name if name.starts_with(b"\x03one\x04test\0") => (1, 0),
        name if name.starts_with(b"\x04many\x04test\0") => (100, 0),
        name if name.starts_with(b"\x06silent\x04test\0") => return None,
        _ => (0, NAME_ERROR),
    };
    let records = (1..=count).map(|number| {
        // The question's name, A, IN, 60 seconds, four bytes: in TEST-NET-1 of RFC 5737.
        let head = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
        [head.as_slice(), &[192, 0, 2, number]].concat()
    });
    let records: Vec<u8> = records.flatten().collect();
    let fits = 12 + question.len() + records.len() <= room;
    let (flags, count, records) = match fits {
        true => (RESPONSE | error, count, records),
        false => (RESPONSE | TRUNCATED, 0, Vec::new()),
    };
    let mut message = query.get(..2)?.to_vec();
    for number in [flags, 1, u16::from(count), 0, 0] {
        message.extend(number.to_be_bytes());
    }
    message.extend(question);
    message.extend(records);
    Some(message)
}
