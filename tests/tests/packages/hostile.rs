//! Clients in the guest, and servers that violate the protocol.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use wasisocket_tests::guest::built;
use wasisocket_tests::misbehaving::{End, Hello, broken_handshake, broken_pages};
use wasisocket_tests::servers::{loopback, tls_pages};
use wasisocket_tests::tls::{Authority, self_signed_server};

use crate::{GIVEN, Trust};

/// A gzip file of `size` zeros.
fn zeros(size: usize) -> Vec<u8> {
    let code =
        format!("import gzip, sys; sys.stdout.buffer.write(gzip.compress(bytes({size}), 1))");
    let python = Command::new(built("WASISOCKET_SITE_PYTHON"))
        .args(["-c", &code])
        .output()
        .unwrap();
    assert!(python.status.success());
    python.stdout
}

fn response(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

#[test]
fn broken_servers_raise_the_same() {
    let trust = Trust::new();
    let [v4, _] = loopback();
    let five = "Content-Length: 5\r\n";
    let ten = "Content-Length: 10\r\n";
    let gzip = "Content-Encoding: gzip\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let bomb = zeros(256 << 20);
    let pages = BTreeMap::from([
        ("whole", (response(five, b"12345"), End::Notified)),
        ("whole-cut", (response(five, b"12345"), End::Cut)),
        ("part", (response(ten, b"12345"), End::Notified)),
        ("part-cut", (response(ten, b"12345"), End::Cut)),
        ("part-half", (response(ten, b"12345"), End::HalfRecord)),
        ("part-flipped", (response(ten, b"12345"), End::FlippedBit)),
        ("part-none", (response(ten, b"12345"), End::NoRecord)),
        ("endless", (response("", b"12345"), End::Notified)),
        ("endless-cut", (response("", b"12345"), End::Cut)),
        ("endless-half", (response("", b"12345"), End::HalfRecord)),
        ("nothing", (vec![], End::Notified)),
        ("nothing-cut", (vec![], End::Cut)),
        // With more data it would depend on timing how much a client reads before the reset.
        ("nothing-reset", (vec![], End::Reset)),
        ("nothing-flipped", (vec![], End::FlippedBit)),
        (
            "head-cut",
            (b"HTTP/1.1 200 OK\r\nContent-".to_vec(), End::Cut),
        ),
        ("no-http", (b"SSH-2.0-server\r\n".to_vec(), End::Notified)),
        (
            "status",
            (b"HTTP/1.1 abc OK\r\n\r\n".to_vec(), End::Notified),
        ),
        (
            "long-header",
            (
                response(&format!("Long: {}\r\n", "x".repeat(200_000)), b""),
                End::Notified,
            ),
        ),
        (
            "many-headers",
            (
                response(&"Some: header\r\n".repeat(500), b""),
                End::Notified,
            ),
        ),
        ("chunk-size", (response(chunked, b"zz\r\n"), End::Notified)),
        (
            "chunk-huge",
            (
                response(chunked, b"fffffffffffffff0\r\n12345"),
                End::Notified,
            ),
        ),
        (
            "chunks-cut",
            (response(chunked, b"5\r\n12345\r\n"), End::Cut),
        ),
        ("gzip-none", (response(gzip, b"no gzip"), End::Notified)),
        ("gzip-part", (response(gzip, &bomb[..5000]), End::Notified)),
        ("gzip-bomb", (response(gzip, &bomb), End::Notified)),
    ]);
    let names: Vec<&str> = pages.keys().copied().collect();
    let config = trust.authority.server("localhost");
    let page = broken_pages(v4, config.clone(), pages).port();
    let hellos = [
        Hello::Half,
        Hello::Bytes(b""),
        Hello::Bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        // A fatal alert: handshake_failure.
        Hello::Bytes(b"\x15\x03\x03\x00\x02\x02\x28"),
        // A record longer than the maximum, and an empty one.
        Hello::Bytes(b"\x16\x03\x03\xff\xff\x02"),
        Hello::Bytes(b"\x16\x03\x03\x00\x00"),
        // An empty ServerHello.
        Hello::Bytes(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"),
    ]
    .map(|hello| broken_handshake(v4, config.clone(), hello).port());
    let ports: Vec<u16> = [page].into_iter().chain(hellos).collect();
    let arguments = [
        page.to_string(),
        names.join(","),
        hellos.map(|port| port.to_string()).join(","),
    ];
    let printed = trust.same_in_both(
        "hostile.py",
        &ports,
        &arguments.each_ref().map(String::as_str),
    );
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), 4 * (names.len() + hellos.len()));
    for line in [
        "whole by_urllib: 5",
        "whole-cut by_aiohttp: 5",
        "part-cut by_requests: ChunkedEncodingError",
        "part-flipped by_httpx: ReadError for TLS",
        "gzip-bomb by_requests: TooMuch",
        "hello 0 by_httpx: ConnectError for TLS",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
}

#[test]
fn broken_certificates_are_refused_alike() {
    let trust = Trust::new();
    let ca = trust.authority.pem();
    let begin = "-----BEGIN CERTIFICATE-----\n";
    let end = "-----END CERTIFICATE-----\n";
    let other = Authority::new("others");
    for (name, content) in [
        ("empty", String::new()),
        ("text", "no certificate\n".to_owned()),
        ("no-base64", format!("{begin}***\n{end}")),
        ("no-der", format!("{begin}AAAA\n{end}")),
        ("nothing-between", format!("{begin}{end}")),
        ("part", ca[..ca.len() / 2].to_owned()),
        ("good-and-bad", format!("{ca}{begin}AAAA\n{end}")),
        ("other.key", other.identity("other", |_| {}).key),
        ("zeros", "\0".repeat(1000)),
    ] {
        fs::write(trust.folder.path().join(name), content).unwrap();
    }
    let [v4, _] = loopback();
    let ports = [self_signed_server("localhost"), other.server("localhost")]
        .map(|config| tls_pages(v4, config, |_| Some("secret".into())).port());
    let [own, unknown] = ports.map(|port| port.to_string());
    let printed = trust.same_in_both("broken_certificates.py", &ports, &[GIVEN, &own, &unknown]);
    // The only files that load: certificates, none of which is the other server's authority, and the key of one of
    // them.
    let taken = printed.lines().filter(|line| line.ends_with(": taken"));
    assert_eq!(
        taken.collect::<Vec<_>>(),
        [
            "ca.pem as authorities: taken",
            "client.key as key: taken",
            "client.pem as authorities: taken",
            "server.pem as authorities: taken",
        ]
    );
}
