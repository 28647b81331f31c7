//! Servers that implement just as much of their protocols as one client's conversation needs.

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};

use crate::servers::serve;

/// An MQTT 3.1.1 broker for one client: it sends back what the client publishes.
#[must_use]
pub fn mqtt(at: SocketAddr) -> SocketAddr {
    serve(at, |mut stream| {
        loop {
            let (first, packet) = mqtt_packet(&mut stream)?;
            // MQTT 3.1.1, 2.2.1: packet type.
            let answers = match first >> 4 {
                1 => vec![0x20, 2, 0, 0],
                3 => {
                    let topic_end = 2 + usize::from(u16::from_be_bytes([packet[0], packet[1]]));
                    let confirmed = first & 0b0110 != 0;
                    let body = topic_end + if confirmed { 2 } else { 0 };
                    let mut answers = Vec::new();
                    if confirmed {
                        answers.extend([0x40, 2, packet[topic_end], packet[topic_end + 1]]);
                    }
                    let published = [&packet[..topic_end], &packet[body..]].concat();
                    answers.push(0x30);
                    answers.extend(mqtt_length(published.len()));
                    answers.extend(published);
                    answers
                }
                8 => vec![0x90, 3, packet[0], packet[1], 0],
                12 => vec![0xd0, 0],
                _ => return Ok(()),
            };
            stream.write_all(&answers)?;
        }
    })
}

fn mqtt_packet(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    let mut byte = || {
        let mut byte = [0];
        stream.read_exact(&mut byte).map(|()| byte[0])
    };
    let first = byte()?;
    let mut length = 0;
    for place in 0..4 {
        let digit = byte()?;
        length |= usize::from(digit & 0x7f) << (7 * place);
        if digit < 0x80 {
            break;
        }
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet)?;
    Ok((first, packet))
}

/// Seven bits in each byte, least significant first.
fn mqtt_length(mut length: usize) -> Vec<u8> {
    let mut digits = Vec::new();
    loop {
        let digit = (length & 0x7f) as u8;
        length >>= 7;
        if length == 0 {
            digits.push(digit);
            return digits;
        }
        digits.push(digit | 0x80);
    }
}

/// A MySQL server that accepts any user. It answers a query that begins with SELECT with 10,000 rows, one that begins
/// with WRONG with an error, and any other with OK.
#[must_use]
pub fn mysql(at: SocketAddr) -> SocketAddr {
    const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];
    const EOF: &[u8] = &[0xfe, 0, 0, 2, 0];
    serve(at, |mut stream| {
        send(&mut stream, 0, &[greeting()])?;
        let (sequence, _) = mysql_packet(&mut stream)?;
        send(&mut stream, sequence + 1, &[OK.to_vec()])?;
        loop {
            let (sequence, command) = mysql_packet(&mut stream)?;
            // COM_QUERY; any other command, such as COM_QUIT, ends the connection.
            let [3, query @ ..] = command.as_slice() else {
                return Ok(());
            };
            let packets = if query.starts_with(b"SELECT") {
                let mut packets = vec![vec![1], column("text"), EOF.to_vec()];
                packets.extend((0..10_000).map(|row| string(&format!("row {row}"))));
                packets.push(EOF.to_vec());
                packets
            } else if query.starts_with(b"WRONG") {
                vec![b"\xff\x28\x04#42000You have an error in your SQL syntax".to_vec()]
            } else {
                vec![OK.to_vec()]
            };
            send(&mut stream, sequence + 1, &packets)?;
        }
    })
}

/// Protocol::HandshakeV10, for mysql_native_password.
fn greeting() -> Vec<u8> {
    let mut greeting = b"\x0a8.0.0\0\x01\0\0\0abcdefgh\0".to_vec();
    // Capabilities: long password, connect with database, 4.1 protocol, transactions, secure connection. Then utf8mb4,
    // autocommit, plugin authentication, 21 bytes of challenge.
    greeting.extend([0x09, 0xa2, 45, 2, 0, 0x08, 0, 21]);
    greeting.extend([0; 10]);
    greeting.extend(b"ijklmnopqrst\0mysql_native_password\0");
    greeting
}

/// A length-encoded string of fewer than 251 bytes.
fn string(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short string");
    [&[length], text.as_bytes()].concat()
}

/// Protocol::ColumnDefinition41 of a VAR_STRING.
fn column(name: &str) -> Vec<u8> {
    let names = ["def", "", "", "", name, ""].map(string);
    let rest = [12, 45, 0, 0, 1, 0, 0, 0xfd, 0, 0, 0, 0, 0];
    [names.concat(), rest.to_vec()].concat()
}

fn send(stream: &mut TcpStream, sequence: u8, packets: &[Vec<u8>]) -> Result<()> {
    let mut sequence = sequence;
    let mut bytes = Vec::new();
    for packet in packets {
        let length = u32::try_from(packet.len()).expect("a short packet");
        bytes.extend(&length.to_le_bytes()[..3]);
        bytes.push(sequence);
        bytes.extend(packet);
        sequence = sequence.wrapping_add(1);
    }
    stream.write_all(&bytes)
}

fn mysql_packet(stream: &mut TcpStream) -> Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head)?;
    let [a, b, c, sequence] = head;
    let mut packet = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    stream.read_exact(&mut packet)?;
    Ok((sequence, packet))
}
