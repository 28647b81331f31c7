//! Name servers: one with fixed names below `test`, and one whose answers the test supplies.

use std::io::{Read, Result, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

use crate::servers::serve_at;

/// RFC 1035, 4.1.1: a response to a question with recursion desired, from a server that offers recursion.
const RESPONSE: u16 = 0x8180;
const TRUNCATED: u16 = 0x0200;
const NAME_ERROR: u16 = 3;

/// Type and class of an address (RFC 1035, 3.2; RFC 3596, 2.1).
const IPV4: &[u8] = &[0, 1, 0, 1];
const IPV6: &[u8] = &[0, 28, 0, 1];

/// Answers over UDP and TCP: `one.test` has one address, `many.test` has too many for a datagram. Questions for
/// `silent.test` get no answer, and other names do not exist.
///
/// # Panics
/// There is no free port on loopback.
#[must_use]
pub fn name_server() -> SocketAddr {
    let (listener, socket) = loop {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        // Another process may hold the UDP port with this number.
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

/// Addresses that mean: do not answer the question for this address family.
pub const SILENCE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(127, 255, 255, 254)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xffff)),
];

/// Answers over UDP with what `zone` returns for a name in lower case: its addresses, and their time to live in
/// seconds. `zone` is called once for each question about one address family; a name for which it returns `None`
/// does not exist. A question whose answer would be one of [`SILENCE`] gets no answer.
///
/// # Panics
/// There is no free port on loopback.
#[must_use]
pub fn scripted_name_server(
    mut zone: impl FnMut(&str) -> Option<(Vec<IpAddr>, u32)> + Send + 'static,
) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = socket.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            if let Some(message) = scripted(&buffer[..length], &mut zone) {
                let _ = socket.send_to(&message, peer);
            }
        }
    });
    address
}

fn scripted(
    query: &[u8],
    zone: &mut impl FnMut(&str) -> Option<(Vec<IpAddr>, u32)>,
) -> Option<Vec<u8>> {
    let question = question(query)?;
    let (name, kind) = question.split_at_checked(question.len().checked_sub(4)?)?;
    let mut labels = Vec::new();
    let mut rest = name;
    while let Some((length, after)) = rest.split_first()
        && *length > 0
    {
        let (label, after) = after.split_at_checked(usize::from(*length))?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        rest = after;
    }
    let Some((addresses, seconds)) = zone(&labels.join(".")) else {
        return message(query, question, RESPONSE | NAME_ERROR, 0, &[]);
    };
    let [silent_v4, silent_v6] = SILENCE;
    let silent = if kind == IPV4 { silent_v4 } else { silent_v6 };
    if addresses.contains(&silent) {
        return None;
    }
    let records = addresses.iter().filter_map(|ip| {
        let data = match ip {
            IpAddr::V4(ip) if kind == IPV4 => ip.octets().to_vec(),
            IpAddr::V6(ip) if kind == IPV6 => ip.octets().to_vec(),
            _ => return None,
        };
        let length = u16::try_from(data.len()).ok()?;
        // The name in the question.
        Some(
            [
                &[0xc0, 12][..],
                kind,
                &seconds.to_be_bytes(),
                &length.to_be_bytes(),
                &data,
            ]
            .concat(),
        )
    });
    let records: Vec<_> = records.collect();
    let count = u16::try_from(records.len()).ok()?;
    message(query, question, RESPONSE, count, &records.concat())
}

/// RFC 1035, 4.2.2: the length precedes the message.
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
    let question = question(query)?;
    let (count, error) = match question {
        name if name.starts_with(b"\x03one\x04test\0") => (1, 0),
        name if name.starts_with(b"\x04many\x04test\0") => (100, 0),
        name if name.starts_with(b"\x06silent\x04test\0") => return None,
        _ => (0, NAME_ERROR),
    };
    let records = (1..=count).map(|number| {
        // The question's name, A, IN, 60 seconds, four bytes: an address in TEST-NET-1 (RFC 5737).
        let head = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
        [head.as_slice(), &[192, 0, 2, number]].concat()
    });
    let records: Vec<u8> = records.flatten().collect();
    let fits = 12 + question.len() + records.len() <= room;
    let (flags, count, records) = match fits {
        true => (RESPONSE | error, count, records),
        false => (RESPONSE | TRUNCATED, 0, Vec::new()),
    };
    message(query, question, flags, count.into(), &records)
}

/// One question: labels up to an empty one, type and class.
fn question(query: &[u8]) -> Option<&[u8]> {
    let name_length = query.get(12..)?.iter().position(|byte| *byte == 0)? + 1;
    query.get(12..12 + name_length + 4)
}

fn message(
    query: &[u8],
    question: &[u8],
    flags: u16,
    count: u16,
    records: &[u8],
) -> Option<Vec<u8>> {
    let mut message = query.get(..2)?.to_vec();
    for number in [flags, 1, count, 0, 0] {
        message.extend(number.to_be_bytes());
    }
    message.extend(question);
    message.extend(records);
    Some(message)
}
