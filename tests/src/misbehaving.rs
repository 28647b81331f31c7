//! Servers that violate TLS or HTTP in a way that the test chooses.

use std::collections::BTreeMap;
use std::io::{Result, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::servers::{read_request, serve};
use crate::tls::accepted;

/// How a connection ends, after a response over TLS.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// With close_notify, as TLS requires.
    Notified,
    /// With only a FIN, as many servers do. TLS cannot tell that from truncation by an attacker.
    Cut,
    /// With a RST.
    Reset,
    /// In the middle of a record.
    HalfRecord,
    /// After a record that was modified on the way.
    FlippedBit,
    /// After bytes that are not a record.
    NoRecord,
}

/// How the server answers a ClientHello.
#[derive(Clone, Copy, Debug)]
pub enum Hello {
    /// These bytes, and a FIN.
    Bytes(&'static [u8]),
    /// Half of the server's first message, and a FIN.
    Half,
}

/// Answers HTTP requests over TLS; the path selects the response.
#[must_use]
pub fn broken_pages(
    at: SocketAddr,
    config: Arc<ServerConfig>,
    pages: BTreeMap<&'static str, (Vec<u8>, End)>,
) -> SocketAddr {
    serve(at, move |stream| {
        let connection = accepted(&config)?;
        let mut stream = StreamOwned::new(connection, stream);
        let path = read_request(&mut stream)?;
        let Some((response, end)) = pages.get(path.trim_start_matches('/')) else {
            return Ok(());
        };
        let StreamOwned { mut conn, sock } = stream;
        answer(&mut conn, sock, response, *end)
    })
}

fn answer(
    connection: &mut ServerConnection,
    mut stream: TcpStream,
    response: &[u8],
    end: End,
) -> Result<()> {
    connection.set_buffer_limit(None);
    connection.writer().write_all(response)?;
    let mut bytes = records(connection)?;
    match end {
        End::Notified => connection.send_close_notify(),
        End::Cut => {}
        End::Reset => set_socket_linger(&stream, Some(Duration::ZERO))?,
        End::HalfRecord | End::FlippedBit => connection.writer().write_all(b"one more record")?,
        End::NoRecord => bytes.extend(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    }
    let mut last = records(connection)?;
    let middle = last.len() / 2;
    match end {
        End::HalfRecord => last.truncate(middle),
        End::FlippedBit => last[middle] ^= 1,
        _ => {}
    }
    bytes.extend(last);
    // In one write: otherwise it would depend on timing what a client does before the end arrives.
    stream.write_all(&bytes)?;
    match end {
        End::Reset => Ok(()),
        _ => drain(stream),
    }
}

/// Serializes the response to be sent.
fn records(connection: &mut ServerConnection) -> Result<Vec<u8>> {
    let mut records = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut records)?;
    }
    Ok(records)
}

/// Drains the connection so that the peer gets what was written: closing with unread data would reset it.
fn drain(mut stream: TcpStream) -> Result<()> {
    stream.shutdown(Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
}

/// Answers the ClientHello and nothing after it.
#[must_use]
pub fn broken_handshake(at: SocketAddr, config: Arc<ServerConfig>, hello: Hello) -> SocketAddr {
    serve(at, move |mut stream| {
        let mut connection = accepted(&config)?;
        while !connection.wants_write() {
            connection.read_tls(&mut stream)?;
            let processed = connection.process_new_packets();
            processed.map_err(std::io::Error::other)?;
        }
        let flight = records(&mut connection)?;
        match hello {
            Hello::Bytes(bytes) => stream.write_all(bytes)?,
            Hello::Half => stream.write_all(&flight[..flight.len() / 2])?,
        }
        drain(stream)
    })
}
