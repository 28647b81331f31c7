//! A guest that exceeds a limit gets an errno, has to wait, or is ended; the host is never harmed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use wasisocket_abi::v1::MSG_PEEK;
use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{LimitReached, Limits, Policy, SocketsCtx};

use crate::guest::{ADDRESS, DATA, FOREVER, Guest, IOVECS, OUT, SOON, allow_loopback};

fn guest(policy: Policy, set: impl FnOnce(&mut Limits)) -> Guest {
    let mut limits = Limits::default();
    set(&mut limits);
    Guest::with(SocketsCtx::builder(policy).limits(limits))
}

/// A connection of the guest to a peer outside.
fn connection(guest: &mut Guest) -> (u32, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let handle = guest.connected(listener.local_addr().unwrap());
    (handle, listener.accept().unwrap().0)
}

/// A guest that may send and receive `max` bytes, its UDP socket, and a peer, whose address is at [`ADDRESS`].
fn datagrams(max: u64) -> (Guest, u32, SocketAddr, UdpSocket) {
    let mut guest = guest(allow_loopback(), |limits| {
        limits.max_bytes_in = Some(max);
        limits.max_bytes_out = Some(max);
    });
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (handle, address) = guest.bound_datagram();
    guest.write_address(peer.local_addr().unwrap());
    (guest, handle, address, peer)
}

#[test]
fn one_socket_too_many_is_emfile_and_reported_once() {
    let mut guest = guest(Policy::new(), |limits| limits.max_sockets = 2);
    for _ in 0..2 {
        guest.open(SOCK_STREAM);
    }
    for _ in 0..2 {
        let opened = guest.get("sock_open", &[AF_INET, SOCK_STREAM]);
        assert_eq!(opened, Err(Errno::EMFILE));
    }
    assert_eq!(guest.limits(), ["max-sockets"]);
}

#[test]
fn connections_made_and_accepted_count_and_asking_again_does_not() {
    let mut guest = guest(allow_loopback(), |limits| limits.max_connections = Some(3));
    let (_, peer) = connection(&mut guest);
    let (listening, address) = guest.listener();
    // The second connection is made by a non-blocking connect, which is repeated until it is done.
    let handle = guest.open(SOCK_STREAM);
    while guest
        .connect(handle, address, 0)
        .is_err_and(|errno| errno != Errno::EISCONN)
    {}
    let accept = |guest: &mut Guest| guest.call("sock_accept", &[listening, SOON, ADDRESS, OUT]);
    assert_eq!(accept(&mut guest), Ok(()));
    assert_eq!(guest.limits(), [""; 0]);

    let _waits = TcpStream::connect(address).unwrap();
    // With this error, asyncio's servers pause.
    assert_eq!(accept(&mut guest), Err(Errno::ENOBUFS));
    let further = guest.open(SOCK_STREAM);
    let outside = TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = guest.connect(further, outside.local_addr().unwrap(), SOON);
    assert_eq!(refused, Err(Errno::EDQUOT));
    assert_eq!(guest.limits(), ["max-connections"]);
    // Pairs and the peers of datagram sockets do not count as connections.
    guest.call("sock_pair", &[SOCK_STREAM, OUT]).unwrap();
    let datagrams = guest.open(SOCK_DGRAM);
    assert_eq!(guest.connect(datagrams, address, 0), Ok(()));
    drop(peer);
}

#[test]
fn bytes_are_counted_both_ways_and_no_more_are_moved() {
    let mut guest = guest(allow_loopback(), |limits| {
        limits.max_bytes_in = Some(5);
        limits.max_bytes_out = Some(7);
    });
    let (handle, mut peer) = connection(&mut guest);
    // A stream sends as much as is allowed, and `sock_send` of the core six reports how much.
    assert_eq!(guest.send(handle, b"12345", 0), Ok(5));
    guest.write(DATA, b"6789");
    assert_eq!(guest.get("sock_send", &[handle, DATA, 4]), Ok(2));
    assert_eq!(guest.send(handle, b"8", 0), Err(Errno::EDQUOT));
    let mut heard = [0; 7];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"1234567");

    peer.write_all(b"abcdefgh").unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"abcde");
    assert_eq!(guest.recv(handle, 0, SOON), Err(Errno::EDQUOT));
    assert_eq!(
        guest.get("sock_recv", &[handle, DATA, 4]),
        Err(Errno::EDQUOT)
    );
    assert_eq!(guest.limits(), ["max-bytes-out", "max-bytes-in"]);
    // Another connection gets no further allowance.
    let (other, _peer) = connection(&mut guest);
    assert_eq!(guest.send(other, b"8", 0), Err(Errno::EDQUOT));
}

#[test]
fn peeked_bytes_count_once() {
    let mut guest = guest(allow_loopback(), |limits| limits.max_bytes_in = Some(10));
    let (handle, mut peer) = connection(&mut guest);
    peer.write_all(b"0123456789abcdef").unwrap();
    let peek = |guest: &mut Guest| guest.recv(handle, MSG_PEEK, SOON).unwrap();
    while peek(&mut guest).len() < 10 {}
    assert_eq!(peek(&mut guest), b"0123456789");
    guest.write_iovecs(&[(DATA, 4)]);
    let four = [handle, IOVECS, 1, 0, 0, 0, SOON];
    assert_eq!(guest.get("sock_recvmsg", &four), Ok(4));
    assert_eq!(peek(&mut guest), b"456789");
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"456789");
    for flags in [MSG_PEEK, 0] {
        assert_eq!(guest.recv(handle, flags, SOON), Err(Errno::EDQUOT));
    }
}

#[test]
fn peeked_and_discarded_datagram_is_not_credited_to_another() {
    let (mut guest, handle, address, peer) = datagrams(150);
    peer.send_to(&[0; 100], address).unwrap();
    assert_eq!(guest.recv(handle, MSG_PEEK, SOON).unwrap().len(), 100);
    // Without its port the socket loses the datagrams that it had received.
    guest.disconnect(handle);
    guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
    let address = guest.name(handle);
    for received in [Ok(vec![1; 100]), Err(Errno::EDQUOT)] {
        peer.send_to(&[1; 100], address).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON), received);
    }
}

#[test]
fn peeked_datagram_of_a_stranger_is_not_credited_to_another() {
    let [peer, stranger] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let peer_at = peer.local_addr().unwrap();
    let policy = Policy::new().allow(&peer_at.to_string()).unwrap();
    let mut guest = guest(policy.allow_listen("127.0.0.1").unwrap(), |limits| {
        limits.max_bytes_in = Some(150);
    });
    let (handle, address) = guest.bound_datagram();
    stranger.send_to(&[0; 100], address).unwrap();
    assert_eq!(guest.recv(handle, MSG_PEEK, SOON).unwrap().len(), 100);
    // From now on the socket receives only from those that it may send to.
    guest.disconnect(handle);
    guest.write_address(peer_at);
    guest.send(handle, b"x", ADDRESS).unwrap();
    let (_, address) = peer.recv_from(&mut [0; 10]).unwrap();
    for received in [Ok(vec![1; 100]), Err(Errno::EDQUOT)] {
        peer.send_to(&[1; 100], address).unwrap();
        assert_eq!(guest.recv(handle, 0, SOON), received);
    }
}

#[test]
fn peeked_bytes_of_one_connection_are_not_credited_to_another() {
    let mut guest = guest(allow_loopback(), |limits| limits.max_bytes_in = Some(150));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = guest.open(SOCK_STREAM);
    let mut looked_at = 0;
    for _ in 0..4 {
        // The loop waits for the connection without calling connect again.
        let connecting = guest.connect(handle, address, 0);
        assert_eq!(connecting, Err(Errno::EINPROGRESS));
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(&[1; 100]).unwrap();
        match guest.recv(handle, MSG_PEEK, SOON) {
            Ok(bytes) => looked_at += bytes.len(),
            Err(errno) => assert_eq!(errno, Errno::EDQUOT),
        }
        rustix::net::sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).unwrap();
        drop(peer);
        // The next connect reports that the previous connection was reset.
        while guest.connect(handle, address, 0) != Err(Errno::ECONNRESET) {}
    }
    assert!(looked_at <= 150, "{looked_at}");
}

#[test]
fn empty_datagrams_count() {
    let (mut guest, handle, address, peer) = datagrams(50);
    for sent in [Ok(0), Ok(0), Err(Errno::EDQUOT)] {
        assert_eq!(guest.send(handle, b"", ADDRESS), sent);
        peer.send_to(b"", address).unwrap();
    }
    for received in [Ok(vec![]), Ok(vec![]), Err(Errno::EDQUOT)] {
        assert_eq!(guest.recv(handle, 0, SOON), received);
    }
}

#[test]
fn incoming_connections_do_not_use_up_the_connect_rate() {
    let mut guest = guest(allow_loopback(), |limits| limits.connect_rate = Some(1));
    let (listening, address) = guest.listener();
    for _ in 0..8 {
        let _peer = TcpStream::connect(address).unwrap();
        guest
            .call("sock_accept", &[listening, SOON, ADDRESS, OUT])
            .unwrap();
    }
    connection(&mut guest);
    assert_eq!(guest.limits(), [""; 0]);
}

#[test]
fn datagram_is_moved_whole_or_not_at_all() {
    let (mut guest, handle, address, peer) = datagrams(5);
    assert_eq!(guest.send(handle, b"123456", ADDRESS), Err(Errno::EDQUOT));
    assert_eq!(guest.send(handle, b"12345", ADDRESS), Ok(5));
    assert_eq!(guest.send(handle, b"", ADDRESS), Err(Errno::EDQUOT));
    for data in [b"abcdefgh", b"ijklmnop"] {
        peer.send_to(data, address).unwrap();
    }
    // The length of the next datagram is unknown until it has been received.
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"abcdefgh");
    assert_eq!(guest.recv(handle, 0, SOON), Err(Errno::EDQUOT));
}

#[test]
fn lookups_are_counted_and_literal_addresses_are_not() {
    let policy = Policy::new().allow("localhost").unwrap();
    let mut guest = guest(policy, |limits| limits.max_lookups = Some(2));
    guest.write(DATA, b"localhost");
    for _ in 0..2 {
        guest.get("lookup_name", &[DATA, 9, 0]).unwrap();
    }
    assert_eq!(guest.get("lookup_name", &[DATA, 9, 0]), Err(Errno::EDQUOT));
    guest.write_address(([127, 0, 0, 1], 0).into());
    assert_eq!(guest.get("lookup_addr", &[ADDRESS]), Err(Errno::EDQUOT));
    guest.write(DATA, b"127.0.0.1");
    guest.get("lookup_name", &[DATA, 9, 0]).unwrap();
    assert_eq!(guest.limits(), ["max-lookups"]);
}

#[test]
fn rates_make_a_guest_wait_and_nothing_fails() {
    const RATE: u64 = 200_000;
    let mut guest = guest(allow_loopback(), |limits| {
        limits.rate_in = Some(RATE);
        limits.rate_out = Some(RATE);
        limits.connect_rate = Some(10);
    });
    let (handle, mut peer) = connection(&mut guest);
    let sent = vec![7; 60_000];
    let begun = Instant::now();
    // One call sends all of it.
    guest.write(0, &sent[..50_000]);
    assert_eq!(guest.get("sock_send", &[handle, 0, 50_000]), Ok(50_000));
    let mut heard = vec![0; 50_000];
    peer.read_exact(&mut heard).unwrap();
    assert_eq!(heard, &sent[..50_000]);
    // The bucket holds the allowance of a tenth of a second, which may pass at once.
    assert!(begun.elapsed() >= Duration::from_millis(100));

    peer.write_all(&sent).unwrap();
    let begun = Instant::now();
    let mut received = 0;
    while received < sent.len() {
        // Even a non-blocking call waits for the rate.
        received += guest.recv(handle, 0, 0).map_or(0, |data| data.len());
    }
    assert!(begun.elapsed() >= Duration::from_millis(150));

    let begun = Instant::now();
    for _ in 0..3 {
        connection(&mut guest);
    }
    assert!(begun.elapsed() >= Duration::from_millis(150));
    assert_eq!(guest.limits(), ["rate-out", "rate-in", "connect-rate"]);
}

#[test]
fn guest_whose_time_is_over_is_ended_wherever_it_waits() {
    // Long enough for what goes before the wait, on a busy machine too.
    let timeout = Duration::from_millis(400);
    type Call = fn(&mut Guest) -> (&'static str, Vec<u32>);
    let calls: [Call; 6] = [
        |guest| {
            let (handle, peer) = connection(guest);
            std::mem::forget(peer);
            ("sock_recv", vec![handle, DATA, 4, OUT])
        },
        |guest| {
            let (handle, _) = guest.listener();
            ("sock_accept", vec![handle, FOREVER, ADDRESS, OUT])
        },
        |guest| {
            let handle = guest.open(SOCK_DGRAM);
            guest.write(DATA, &handle.to_le_bytes());
            guest.write(DATA + 4, &[1, 0, 0, 0]);
            ("sock_poll", vec![DATA, 1, FOREVER, OUT])
        },
        |guest| {
            let set = guest.get("interest_create", &[]).unwrap();
            ("interest_wait", vec![set, DATA, 16, FOREVER, OUT])
        },
        |guest| {
            guest.call("sock_pair", &[SOCK_STREAM, OUT]).unwrap();
            let handle = guest.read_u32(OUT);
            guest.write_iovecs(&[(DATA, 4)]);
            (
                "sock_recvmsg",
                vec![handle, IOVECS, 1, 0, 0, 0, FOREVER, OUT],
            )
        },
        |guest| {
            let (handle, peer) = connection(guest);
            std::mem::forget(peer);
            // The peer does not read, so the call waits for room.
            ("sock_send", vec![handle, 0, 60_000, OUT])
        },
    ];
    for call in calls {
        let begun = Instant::now();
        let mut guest = guest(allow_loopback(), |limits| limits.timeout = Some(timeout));
        let (import, arguments) = call(&mut guest);
        let arguments: Vec<_> = arguments
            .into_iter()
            .map(|number| i64::from(number.cast_signed()))
            .collect();
        let error = loop {
            match guest.try_call(import, &arguments) {
                Err(error) => break error,
                // There was still room in the send buffer.
                Ok(answer) => assert_eq!((import, answer), ("sock_send", Ok(()))),
            }
        };
        let reached = error.downcast_ref::<LimitReached>().unwrap();
        assert_eq!(reached.limit().name(), "timeout");
        assert_eq!(guest.limits(), ["timeout"]);
        assert!(begun.elapsed() >= timeout);
    }
}
