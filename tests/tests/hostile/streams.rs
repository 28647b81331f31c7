//! TCP: connecting, listening and accepting, under grants.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use wasisocket_abi::v1::{EVENT_OUT, SHUT_READ, SHUT_WRITE, SocketOption};
use wasisocket_abi::{Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{Policy, SocketsCtx};
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{
    ADDRESS, DATA, FOREVER, Guest, IOVECS, OUT, PEER, SOON, allow_all, allow_loopback,
};

/// A socket outside the guest.
fn outside() -> OwnedFd {
    let (family, kind) = (
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::STREAM,
    );
    rustix::net::socket(family, kind, None).unwrap()
}

fn set(guest: &mut Guest, handle: u32, option: SocketOption, value: u32) {
    guest
        .call("sock_setsockopt", &[handle, option.0, value])
        .unwrap();
}

#[test]
fn server_accepts_and_echoes() {
    let mut guest = Guest::new(Policy::new().allow_listen("127.0.0.1:0").unwrap());
    let (listener, address) = guest.listener();
    assert_eq!(guest.option(listener, SocketOption::ACCEPTING), Ok(1));
    assert_eq!(
        guest.get("sock_accept", &[listener, 0, PEER]),
        Err(Errno::EAGAIN)
    );
    let client = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut echoed = String::new();
        stream.read_to_string(&mut echoed).unwrap();
        (stream.local_addr().unwrap(), echoed)
    });
    let accepted = guest.get("sock_accept", &[listener, SOON, PEER]).unwrap();
    let peer = guest.ip_at(PEER);
    loop {
        let data = guest.recv(accepted, 0, SOON).unwrap();
        if data.is_empty() {
            break;
        }
        guest.send(accepted, &data, 0).unwrap();
    }
    guest
        .call("sock_shutdown", &[accepted, SHUT_WRITE])
        .unwrap();
    assert_eq!(guest.send(accepted, b"x", 0), Err(Errno::EPIPE));
    let (client, echoed) = client.join().unwrap();
    assert_eq!((peer, echoed.as_str()), (client, "hello"));
    assert_eq!(guest.name(accepted), address);
}

#[test]
fn connect_without_waiting_is_in_progress_and_then_done() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.open(SOCK_STREAM);
    let server = servers::echo(v4);
    assert_eq!(guest.connect(handle, server, 0), Err(Errno::EINPROGRESS));
    let (ready, events) = guest.poll(&[(handle, EVENT_OUT)], SOON).unwrap();
    assert_eq!((ready, events[0]), (1, EVENT_OUT));
    assert_eq!(guest.option(handle, SocketOption::ERROR), Ok(0));
    guest.call("sock_getpeername", &[handle, PEER]).unwrap();
    assert_eq!(guest.ip_at(PEER), server);
    // Linux reports the completed connect once.
    assert_eq!(guest.connect(handle, server, 0), Ok(()));
    assert_eq!(guest.connect(handle, server, 0), Err(Errno::EISCONN));
    guest.send(handle, b"x", 0).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"x");
}

#[test]
fn connect_that_waits_is_done_or_refused() {
    let [v4, v6] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let (v4_handle, v6_handle) = (guest.open(SOCK_STREAM), guest.open_v6(SOCK_STREAM));
    for (handle, at) in [(v4_handle, v4), (v6_handle, v6)] {
        let refused = guest.connect(handle, servers::closed(at), FOREVER);
        assert_eq!(refused, Err(Errno::ECONNREFUSED));
        // The same socket can connect again.
        assert_eq!(guest.connect(handle, servers::echo(at), FOREVER), Ok(()));
    }
}

#[test]
fn connect_to_a_full_backlog_ends_in_time() {
    // A backlog of 0 holds one connection; further ones get no answer.
    let listener = outside();
    rustix::net::bind(&listener, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address: SocketAddr = rustix::net::getsockname(&listener)
        .unwrap()
        .try_into()
        .unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.open(SOCK_STREAM);
    let begun = Instant::now();
    let in_time = guest.connect(handle, address, 50_000_000);
    assert_eq!(in_time, Err(Errno::EINPROGRESS));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!(guest.connect(handle, address, 0), Err(Errno::EALREADY));
    let again = guest.connect(handle, address, 1_000_000);
    assert_eq!(again, Err(Errno::EINPROGRESS));
}

#[test]
fn pending_error_has_the_abis_number() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.open(SOCK_STREAM);
    let closed = servers::closed(v4);
    if guest.connect(handle, closed, 0) == Err(Errno::EINPROGRESS) {
        guest.poll(&[(handle, EVENT_OUT)], SOON).unwrap();
        let refused = i64::from(Errno::ECONNREFUSED.0);
        assert_eq!(guest.option(handle, SocketOption::ERROR), Ok(refused));
        assert_eq!(guest.option(handle, SocketOption::ERROR), Ok(0));
    }
}

#[test]
fn listening_unbound_needs_a_grant_for_the_wildcard() {
    let mut guest = Guest::new(allow_loopback());
    let (v4, v6) = (guest.open(SOCK_STREAM), guest.open_v6(SOCK_STREAM));
    for (handle, address, missing) in [
        (v4, "0.0.0.0:0", "0.0.0.0:0"),
        (v6, "[::]:0", "[::]:0,0.0.0.0:0"),
    ] {
        let listening = guest.call("sock_listen", &[handle, 1]);
        assert_eq!(listening, Err(Errno::EACCES));
        assert_eq!(
            guest.denials(),
            [format!(
                "bind to {address} denied: needs --allow-listen={missing}"
            )]
        );
    }
    let mut guest = Guest::new(Policy::new().allow_listen("0.0.0.0:0").unwrap());
    let handle = guest.open(SOCK_STREAM);
    assert_eq!(guest.call("sock_listen", &[handle, 1]), Ok(()));
    assert_ne!(guest.name(handle).port(), 0);
}

#[test]
fn bound_to_a_port_of_the_systems_choice_a_client_needs_no_grant_but_a_server_does() {
    // With a grant, a stream may listen at loopback for its own guest; another test covers that.
    let without = Policy::new;
    let with = || without().allow("localhost").unwrap();
    for (policy, any) in [
        (without(), "127.0.0.1:0"),
        (without(), "0.0.0.0:0"),
        (with(), "0.0.0.0:0"),
    ] {
        let mut guest = Guest::new(policy);
        let handle = guest.open(SOCK_STREAM);
        guest.bind(handle, any.parse().unwrap()).unwrap();
        let listening = guest.call("sock_listen", &[handle, 1]);
        assert_eq!(listening, Err(Errno::EACCES));
        assert_eq!(
            guest.denials(),
            [format!("bind to {any} denied: needs --allow-listen={any}")]
        );
    }
    let mut guest = Guest::new(with());
    // These need a grant: a port by its number, because that reserves it; another address, because it may choose the
    // route; and a datagram socket, because it receives at once.
    for (kind, address) in [
        (SOCK_STREAM, "127.0.0.1:1080"),
        (SOCK_STREAM, "192.0.2.1:0"),
        (SOCK_DGRAM, "127.0.0.1:0"),
    ] {
        let handle = guest.open(kind);
        let bound = guest.bind(handle, address.parse().unwrap());
        assert_eq!(bound, Err(Errno::EACCES), "{address}");
        assert_eq!(guest.denials().len(), 1);
    }
}

#[test]
fn guest_cannot_connect_to_the_next_listener_at_its_former_port() {
    let stops: [fn(&mut Guest, u32); 2] = [
        |guest, listener| guest.call("sock_close", &[listener]).unwrap(),
        |guest, listener| guest.call("sock_shutdown", &[listener, SHUT_READ]).unwrap(),
    ];
    for stop in stops {
        // Any grant lets a guest listen for its own connections.
        let policy = Policy::new().allow("192.0.2.1:1").unwrap();
        let mut guest = Guest::with(SocketsCtx::builder(policy).max_sockets(16));
        let listener = guest.open(SOCK_STREAM);
        guest.bind(listener, ([127, 0, 0, 1], 0).into()).unwrap();
        guest.call("sock_listen", &[listener, 0]).unwrap();
        let address = guest.name(listener);
        // One connection fills the queue; for the others the kernel keeps retrying.
        let handles = [(); 4].map(|()| guest.open(SOCK_STREAM));
        let waiting = handles.map(|handle| guest.connect(handle, address, 0));
        let waiting = handles.into_iter().zip(waiting);
        let waiting: Vec<_> = waiting.filter(|(_, sent)| sent.is_err()).collect();
        assert!(!waiting.is_empty());
        // A shutdown that fails does not make the host forget them.
        for (handle, _) in &waiting {
            let nothing = guest.call("sock_shutdown", &[*handle, 0]);
            assert_eq!(nothing, Err(Errno::EINVAL));
        }
        stop(&mut guest, listener);

        let next = TcpListener::bind(address).unwrap();
        next.set_nonblocking(true).unwrap();
        // The kernel retries after one second.
        std::thread::sleep(Duration::from_millis(1500));
        let accepted = next.accept().map(|(_, peer)| peer);
        assert_eq!(accepted.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        for (handle, _) in waiting {
            let peer = guest.call("sock_getpeername", &[handle, PEER]);
            assert_eq!(peer, Err(Errno::ENOTCONN));
            assert_eq!(guest.connect(handle, address, 0), Err(Errno::EACCES));
        }
    }
}

/// A stream that listened for its own guest at a port that the system picked, and that has lost the port again.
fn without_its_port(guest: &mut Guest, options: &[SocketOption]) -> u32 {
    let handle = guest.open(SOCK_STREAM);
    for option in options {
        set(guest, handle, *option, 1);
    }
    guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
    guest.call("sock_listen", &[handle, 1]).unwrap();
    guest.call("sock_shutdown", &[handle, SHUT_READ]).unwrap();
    handle
}

#[test]
fn bind_that_fails_leaves_no_grant_for_any_address() {
    // After a failed bind Linux has forgotten the address, and would listen at all addresses.
    for policy in [
        Policy::new().allow_listen("127.0.0.1").unwrap(),
        allow_loopback().deny_listen("192.0.2.1").unwrap(),
        Policy::new().allow("192.0.2.1").unwrap(),
    ] {
        let mut guest = Guest::new(policy.allow_listen("127.0.0.1:1-65535").unwrap());
        let (_, taken) = guest.listener();
        let handle = without_its_port(&mut guest, &[]);
        assert_eq!(guest.bind(handle, taken), Err(Errno::EADDRINUSE));
        let listening = guest.call("sock_listen", &[handle, 1]);
        assert_eq!(listening, Err(Errno::EACCES));
        let denials = guest.denials().concat();
        assert!(
            denials.starts_with("bind to 0.0.0.0:0 denied: "),
            "{denials}"
        );
        // The socket can be bound again.
        guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
        guest.call("sock_listen", &[handle, 1]).unwrap();
        assert!(guest.name(handle).ip().is_loopback());
    }
    let mut guest = Guest::new(Policy::new().allow_listen("[::1]").unwrap());
    let any: SocketAddr = "[::1]:0".parse().unwrap();
    let [taken, handle] = [(); 2].map(|()| {
        let handle = guest.open_v6(SOCK_STREAM);
        guest.bind(handle, any).unwrap();
        guest.call("sock_listen", &[handle, 1]).unwrap();
        handle
    });
    guest.call("sock_shutdown", &[handle, SHUT_READ]).unwrap();
    let taken = guest.name(taken);
    assert_eq!(guest.bind(handle, taken), Err(Errno::EADDRINUSE));
    let listening = guest.call("sock_listen", &[handle, 1]);
    assert_eq!(listening, Err(Errno::EACCES));
    assert_eq!(
        guest.denials(),
        // Binding it to an IPv6 address restricted it to that family (inet6_bind), which still holds.
        ["bind to [::]:0 denied: needs --allow-listen=[::]:0"]
    );
}

#[test]
fn listener_under_a_grant_is_not_the_guests_own() {
    let reuse_port = rustix::net::sockopt::set_socket_reuseport;
    let other = outside();
    reuse_port(&other, true).unwrap();
    rustix::net::bind(&other, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&other, 1).unwrap();
    let address = TcpListener::from(other).local_addr().unwrap();

    let policy = Policy::new().allow_listen(&address.to_string()).unwrap();
    let mut guest = Guest::new(policy);
    let handle = without_its_port(&mut guest, &[SocketOption::REUSE_PORT]);
    guest.bind(handle, address).unwrap();
    guest.call("sock_listen", &[handle, 1]).unwrap();
    // Another process may listen at the same port.
    let client = guest.open(SOCK_STREAM);
    assert_eq!(guest.connect(client, address, SOON), Err(Errno::EACCES));
}

#[test]
fn port_that_the_system_picked_is_shared_with_nobody() {
    let mut guest = Guest::new(Policy::new().allow("192.0.2.1").unwrap());
    let handle = guest.open(SOCK_STREAM);
    for before in [true, false] {
        if before {
            set(&mut guest, handle, SocketOption::REUSE_PORT, 1);
            guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
            guest.call("sock_listen", &[handle, 1]).unwrap();
        } else {
            set(&mut guest, handle, SocketOption::REUSE_PORT, 0);
            set(&mut guest, handle, SocketOption::REUSE_PORT, 1);
        }
        assert_eq!(guest.option(handle, SocketOption::REUSE_PORT), Ok(1));
        let address = guest.name(handle);
        let other = outside();
        rustix::net::sockopt::set_socket_reuseport(&other, true).unwrap();
        let bound = rustix::net::bind(&other, &address);
        assert_eq!(bound, Err(rustix::io::Errno::ADDRINUSE));
    }
}

/// Connects until a connection has to wait, and returns the connections.
fn waiting(address: SocketAddr) -> Vec<TcpStream> {
    let briefly = Duration::from_millis(300);
    let connect = || TcpStream::connect_timeout(&address, briefly).ok();
    std::iter::from_fn(connect).take(100).collect()
}

#[test]
fn connections_that_wait_are_no_more_than_sockets() {
    const MAX: usize = 40;
    let sockets = SocketsCtx::builder(allow_loopback()).max_sockets(MAX);
    let mut guest = Guest::with(sockets);
    let mut listener = |backlog| {
        let handle = guest.open(SOCK_STREAM);
        guest.bind(handle, ([127, 0, 0, 1], 0).into()).unwrap();
        guest.call("sock_listen", &[handle, backlog]).unwrap();
        (handle, guest.name(handle))
    };
    let (first, address) = listener(u32::MAX);
    // Linux accepts one connection more than the backlog.
    assert_eq!(waiting(address).len(), MAX + 1);
    for _ in 0..3 {
        listener(u32::MAX);
    }
    let (_, small) = listener(1);
    assert_eq!(waiting(small).len(), 2);
    // The total is used up, except for the minimum that each listener has.
    let (last, address) = listener(u32::MAX);
    assert_eq!(waiting(address).len(), 5);
    // Waiting connections stay when the backlog is reduced.
    guest.call("sock_listen", &[first, 0]).unwrap();
    guest.call("sock_listen", &[last, u32::MAX]).unwrap();
    assert_eq!(waiting(address).len(), 0);
    guest.call("sock_close", &[first]).unwrap();
    guest.call("sock_listen", &[last, u32::MAX]).unwrap();
    assert_eq!(waiting(address).len(), MAX - 5);
}

#[test]
fn own_connection_is_accepted_also_where_a_rule_covers_it() {
    for rule in ["192.0.2.1", "127.0.0.1"] {
        let mut guest = Guest::new(Policy::new().allow(rule).unwrap());
        let (listener, address) = guest.listener();
        let client = guest.open(SOCK_STREAM);
        guest.connect(client, address, SOON).unwrap();
        guest
            .get("sock_accept", &[listener, SOON, PEER])
            .expect(rule);
        let peer = guest.ip_at(PEER);
        assert_eq!(peer, guest.name(client));
    }
}

#[test]
fn both_families_are_not_turned_on_where_one_was_granted() {
    let mut guest = Guest::new(Policy::new().allow_listen("[::]:0").unwrap());
    let handle = guest.open_v6(SOCK_STREAM);
    set(&mut guest, handle, SocketOption::IPV6_V6ONLY, 1);
    guest.bind(handle, "[::]:0".parse().unwrap()).unwrap();
    guest.call("sock_listen", &[handle, 4]).unwrap();
    // The kernel takes the port back, although getsockname(2) still reports it.
    guest.call("sock_shutdown", &[handle, SHUT_READ]).unwrap();
    let both = [handle, SocketOption::IPV6_V6ONLY.0, 0];
    let refused = guest.call("sock_setsockopt", &both);
    assert_eq!(refused, Err(Errno::EINVAL));
    // The grant covers whatever port the system picks.
    guest.call("sock_listen", &[handle, 4]).unwrap();
    let port = guest.name(handle).port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpStream::connect(("::1", port)).is_ok());
}

#[test]
fn peer_of_a_deny_rule_is_not_accepted() {
    let policy = Policy::new()
        .allow_listen("127.0.0.1:0")
        .and_then(|policy| policy.deny("127.0.0.2"))
        .unwrap();
    let mut guest = Guest::new(policy);
    let (listener, address) = guest.listener();
    let from = |ip: [u8; 4]| {
        let socket = outside();
        rustix::net::bind(&socket, &SocketAddr::from((ip, 0))).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        TcpStream::from(socket)
    };
    let mut denied = from([127, 0, 0, 2]);
    let accept = [listener, 0, PEER];
    assert_eq!(guest.get("sock_accept", &accept), Err(Errno::EAGAIN));
    // The denied connection is closed, not left waiting.
    denied
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(denied.read(&mut [0; 1]).unwrap(), 0);
    let (_denied, other) = (from([127, 0, 0, 2]), from([127, 0, 0, 3]));
    guest.get("sock_accept", &[listener, SOON, PEER]).unwrap();
    assert_eq!(guest.ip_at(PEER), other.local_addr().unwrap());
}

#[test]
fn duplicate_is_the_same_socket_until_both_are_closed() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.connected(servers::echo(v4));
    let duplicate = guest.get("sock_dup", &[handle]).unwrap();
    guest.send(handle, b"one", 0).unwrap();
    guest.call("sock_close", &[handle]).unwrap();
    assert_eq!(guest.send(handle, b"x", 0), Err(Errno::EBADF));
    assert_eq!(guest.recv(duplicate, 0, SOON).unwrap(), b"one");
    assert_eq!(guest.name(duplicate).ip(), v4.ip());
}

#[test]
fn closing_never_waits_for_a_peer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(allow_all());
    let handle = guest.connected(listener.local_addr().unwrap());
    let (_peer, _) = listener.accept().unwrap();
    set(&mut guest, handle, SocketOption::LINGER, 60);
    // Fills the send buffer: the peer never reads.
    guest.write_iovecs(&[(0, 65536)]);
    let fill = [handle, IOVECS, 1, 0, 0, 0, 0, OUT];
    while guest.call("sock_sendmsg", &fill).is_ok() {}
    let begun = Instant::now();
    guest.call("sock_close", &[handle]).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn core_send_is_whole_and_v1_send_is_what_fits() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut guest = Guest::new(allow_all());
    let handle = guest.connected(listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    set(&mut guest, handle, SocketOption::SEND_BUFFER, 4096);
    let reader = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all.len()
    });
    let mut sent = 0;
    for _ in 0..64 {
        guest.call("sock_send", &[handle, 0, 65536, OUT]).unwrap();
        assert_eq!(guest.read_u32(OUT), 65536);
        sent += 65536;
    }
    guest.write_iovecs(&[(0, 30000), (32768, 32768)]);
    for _ in 0..8 {
        let arguments = [handle, IOVECS, 2, 0, 0, 0, SOON];
        sent += guest.get("sock_sendmsg", &arguments).unwrap() as usize;
    }
    guest.call("sock_close", &[handle]).unwrap();
    assert_eq!(reader.join().unwrap(), sent);
}

#[test]
fn stream_ignores_the_address_of_a_message() {
    // As on Linux, where tcp_sendmsg ignores it.
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.connected(servers::echo(v4));
    guest.write_address("192.0.2.1:9".parse().unwrap());
    guest.send(handle, b"x", ADDRESS).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"x");
    // No sender is reported either.
    assert_eq!(guest.read(PEER, 2), [0, 0]);
    assert_eq!(guest.denials(), [""; 0]);
}

#[test]
fn many_sockets_open_and_close() {
    let sockets = SocketsCtx::builder(Policy::new()).max_sockets(2000);
    let mut guest = Guest::with(sockets);
    let handles: Vec<_> = (0..500).map(|_| guest.open(SOCK_STREAM)).collect();
    assert_eq!(handles.last(), Some(&1499));
    for handle in [1400, 1003, 1200] {
        guest.call("sock_close", &[handle]).unwrap();
    }
    for handle in [1003, 1200, 1400, 1500] {
        assert_eq!(guest.open(SOCK_STREAM), handle);
    }
}

#[test]
fn interfaces_are_listed_only_with_a_grant() {
    let mut guest = Guest::new(allow_loopback());
    let count = guest.get("net_interfaces", &[DATA, 16]).unwrap();
    let names: Vec<_> = (0..count)
        .map(|at| guest.read(DATA + at * 20, 20))
        .collect();
    let is_loopback = |entry: &Vec<u8>| entry[4..8] == *b"lo\0\0" && entry[0] != 0;
    assert!(names.iter().any(is_loopback), "{names:?}");
    assert_eq!(guest.get("net_interfaces", &[DATA, 0]), Ok(0));
}
