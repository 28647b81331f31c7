//! `wasisocket_v1` with arguments that no honest guest passes.

use std::net::SocketAddr;

use wasisocket_abi::v1::{
    CTL_ADD, EVENT_IN, IOVECS_MAX, MSG_MORE, MSG_OOB, MSG_PEEK, POLL_MAX, SocketOption,
};
use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::SocketsCtx;
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{
    ADDRESS, DATA, FOREVER, Guest, IOVECS, OUT, OUTSIDE, PAGE, PEER, SOON, allow_loopback,
};

const NAME: u32 = 1024;

/// A guest with one handle of each kind: a listener, a UDP socket, an interest set and a look-up.
fn one_of_each() -> (Guest, [u32; 4]) {
    let sockets = SocketsCtx::builder(allow_loopback().allow_listen("*").unwrap());
    let mut guest = Guest::with(sockets.max_sockets(4));
    let (listener, address) = guest.listener();
    let datagram = guest.open(SOCK_DGRAM);
    let set = guest.get("interest_create", &[]).unwrap();
    guest.write(NAME, b"127.0.0.1");
    let lookup = guest.get("lookup_name", &[NAME, 9, 0]).unwrap();
    guest.write_address(address);
    guest.write_iovecs(&[(DATA, 4)]);
    (guest, [listener, datagram, set, lookup])
}

#[test]
fn bad_pointers_are_faults_and_nothing_is_done() {
    let (mut guest, [listener, datagram, set, lookup]) = one_of_each();
    let client = std::net::TcpStream::connect(guest.name(listener)).unwrap();
    for bad in OUTSIDE {
        for (import, arguments) in [
            ("sock_open_protocol", &[AF_INET, SOCK_STREAM, 0, bad][..]),
            ("sock_pair", &[SOCK_STREAM, bad]),
            ("sock_dup", &[listener, bad]),
            ("sock_bind", &[datagram, bad]),
            ("sock_accept", &[listener, 0, bad, OUT]),
            ("sock_accept", &[listener, 0, PEER, bad]),
            ("sock_connect_to", &[datagram, bad, 0]),
            ("sock_getsockname", &[listener, bad]),
            ("sock_getpeername", &[listener, bad]),
            ("sock_sendmsg", &[datagram, bad, 1, ADDRESS, 0, 0, 0, OUT]),
            ("sock_sendmsg", &[datagram, IOVECS, 1, bad, 0, 0, 0, OUT]),
            (
                "sock_sendmsg",
                &[datagram, IOVECS, 1, ADDRESS, bad, 0, 0, OUT],
            ),
            (
                "sock_sendmsg",
                &[datagram, IOVECS, 1, ADDRESS, 0, 0, 0, bad],
            ),
            ("sock_recvmsg", &[datagram, bad, 1, PEER, 0, 0, 0, OUT]),
            ("sock_recvmsg", &[datagram, IOVECS, 1, bad, 0, 0, 0, OUT]),
            ("sock_recvmsg", &[datagram, IOVECS, 1, PEER, bad, 0, 0, OUT]),
            ("sock_recvmsg", &[datagram, IOVECS, 1, PEER, 0, 0, 0, bad]),
            ("sock_getsockopt", &[listener, 1, bad]),
            ("sock_membership", &[datagram, 1, bad, ADDRESS]),
            ("sock_membership", &[datagram, 1, ADDRESS, bad]),
            ("sock_poll", &[bad, 1, 0, OUT]),
            ("sock_poll", &[DATA, 1, 0, bad]),
            ("interest_create", &[bad]),
            ("interest_wait", &[set, bad, 1, 0, OUT]),
            ("interest_wait", &[set, DATA, 1, 0, bad]),
            ("lookup_name", &[bad, 9, 0, OUT]),
            ("lookup_name", &[NAME, 9, 0, bad]),
            ("lookup_addr", &[bad, OUT]),
            ("lookup_addr", &[ADDRESS, bad]),
            ("lookup_addrs", &[lookup, bad, 2, 0, OUT]),
            ("lookup_addrs", &[lookup, DATA, 2, 0, bad]),
            ("lookup_host", &[lookup, bad, 20, 0, OUT]),
            ("lookup_host", &[lookup, DATA, 20, 0, bad]),
            ("net_interfaces", &[bad, 2, OUT]),
            ("net_interfaces", &[DATA, 2, bad]),
        ] {
            let result = guest.call(import, arguments);
            // With no free handle some functions answer EMFILE first; it only matters that no handle is taken.
            let refused = matches!(result, Err(Errno::EFAULT));
            assert!(refused, "{import} {arguments:?}: {result:?}");
        }
    }
    // No connection was accepted.
    guest.call("sock_close", &[datagram]).unwrap();
    guest
        .call("sock_accept", &[listener, SOON, PEER, OUT])
        .unwrap();
    assert_eq!(guest.ip_at(PEER), client.local_addr().unwrap());
}

#[test]
fn iovecs_that_reach_outside_are_faults() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.connected(servers::echo(v4));
    for import in ["sock_sendmsg", "sock_recvmsg"] {
        for (pointer, length) in [(PAGE, 1), (PAGE - 1, 2), (u32::MAX, 1), (1, u32::MAX)] {
            for place in [0, 1] {
                let mut iovecs = [(DATA, 1), (DATA + 8, 1)];
                iovecs[place] = (pointer, length);
                guest.write_iovecs(&iovecs);
                let arguments = [handle, IOVECS, 2, 0, 0, 0, 0, OUT];
                assert_eq!(guest.call(import, &arguments), Err(Errno::EFAULT));
            }
        }
    }
    // None of it was sent.
    guest.send(handle, b"whole", 0).unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"whole");
}

#[test]
fn overlapping_iovecs_are_a_fault_and_lose_nothing() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.connected(servers::echo(v4));
    guest.send(handle, b"abcdefgh", 0).unwrap();
    let arguments = [handle, IOVECS, 2, 0, 0, 0, SOON, OUT];
    for iovecs in [
        [(DATA, 8), (DATA, 8)],
        [(DATA, 4), (DATA + 3, 4)],
        [(DATA + 3, 4), (DATA, 4)],
    ] {
        guest.write_iovecs(&iovecs);
        assert_eq!(guest.call("sock_recvmsg", &arguments), Err(Errno::EFAULT));
    }
    // Sending the same bytes twice is allowed, and so is receiving into buffers in any order.
    guest.write(DATA, &[0; 16]);
    guest.write_iovecs(&[(DATA + 8, 3), (DATA, 5)]);
    guest.call("sock_recvmsg", &arguments).unwrap();
    assert_eq!(guest.read_u32(OUT), 8);
    assert_eq!(guest.read(DATA, 11), b"defgh\0\0\0abc");
    guest.write_iovecs(&[(DATA, 5), (DATA, 5)]);
    guest.call("sock_sendmsg", &arguments).unwrap();
    let mut echoed = Vec::new();
    while echoed.len() < 10 {
        echoed.extend(guest.recv(handle, 0, SOON).unwrap());
    }
    assert_eq!(echoed, b"defghdefgh");
}

#[test]
fn handles_of_another_kind_are_bad_descriptors() {
    let (mut guest, [listener, datagram, set, lookup]) = one_of_each();
    let free = lookup + 1;
    for socket in [set, lookup, free, 0, 3, 999, u32::MAX] {
        for (import, arguments) in [
            ("sock_bind", &[socket, ADDRESS][..]),
            ("sock_listen", &[socket, 1]),
            ("sock_accept", &[socket, 0, PEER, OUT]),
            ("sock_connect_to", &[socket, ADDRESS, 0]),
            ("sock_shutdown", &[socket, 3]),
            ("sock_getsockname", &[socket, PEER]),
            ("sock_getpeername", &[socket, PEER]),
            ("sock_sendmsg", &[socket, IOVECS, 1, 0, 0, 0, 0, OUT]),
            ("sock_recvmsg", &[socket, IOVECS, 1, 0, 0, 0, 0, OUT]),
            ("sock_getsockopt", &[socket, 1, OUT]),
            ("sock_setsockopt", &[socket, 4, 1]),
            ("sock_membership", &[socket, 1, ADDRESS, ADDRESS]),
            ("sock_dup", &[socket, OUT]),
        ] {
            let result = guest.call(import, arguments);
            assert_eq!(result, Err(Errno::EBADF), "{import} {socket}");
        }
    }
    for other in [listener, datagram, lookup, free, 0, u32::MAX] {
        let (add, wait) = ([other, CTL_ADD, datagram, 1, 0], [other, DATA, 4, 0, OUT]);
        assert_eq!(guest.call("interest_ctl", &add), Err(Errno::EBADF));
        assert_eq!(guest.call("interest_wait", &wait), Err(Errno::EBADF));
    }
    let add_nothing = [set, CTL_ADD, free, 1, 0];
    assert_eq!(guest.call("interest_ctl", &add_nothing), Err(Errno::EBADF));
    for other in [listener, set, free, 0, u32::MAX] {
        for import in ["lookup_addrs", "lookup_host"] {
            let result = guest.call(import, &[other, DATA, 4, 0, OUT]);
            assert_eq!(result, Err(Errno::EBADF), "{import}");
        }
    }
}

#[test]
fn numbers_out_of_their_range_are_refused() {
    let (mut guest, [listener, datagram, set, lookup]) = one_of_each();
    let name_too_long = Errno::ENAMETOOLONG;
    guest.write(ADDRESS + 28, &[3, 0]);
    for (import, arguments, errno) in [
        ("sock_shutdown", &[listener, 0][..], Errno::EINVAL),
        ("sock_shutdown", &[listener, 4], Errno::EINVAL),
        (
            "sock_membership",
            &[datagram, 2, ADDRESS, ADDRESS],
            Errno::EINVAL,
        ),
        ("sock_bind", &[datagram, ADDRESS + 28], Errno::EAFNOSUPPORT),
        (
            "sock_connect_to",
            &[datagram, ADDRESS + 28, 0],
            Errno::EAFNOSUPPORT,
        ),
        ("lookup_addr", &[ADDRESS + 28, OUT], Errno::EAFNOSUPPORT),
        ("interest_ctl", &[set, 0, datagram, 1, 0], Errno::EINVAL),
        ("interest_ctl", &[set, 4, datagram, 1, 0], Errno::EINVAL),
        // EPOLLEXCLUSIVE and EPOLLWAKEUP.
        (
            "interest_ctl",
            &[set, CTL_ADD, datagram, 1 << 28 | 1, 0],
            Errno::EINVAL,
        ),
        (
            "interest_ctl",
            &[set, CTL_ADD, datagram, 1 << 29 | 1, 0],
            Errno::EINVAL,
        ),
        ("interest_ctl", &[set, CTL_ADD, set, 1, 0], Errno::EINVAL),
        ("interest_wait", &[set, DATA, 0, 0, OUT], Errno::EINVAL),
        (
            "interest_wait",
            &[set, DATA, u32::MAX, 0, OUT],
            Errno::EFAULT,
        ),
        (
            "sock_poll",
            &[DATA, POLL_MAX as u32 + 1, 0, OUT],
            Errno::EINVAL,
        ),
        ("sock_poll", &[DATA, u32::MAX, 0, OUT], Errno::EINVAL),
        ("sock_poll", &[DATA, POLL_MAX as u32, 0, OUT], Errno::EFAULT),
        ("lookup_name", &[NAME, 255, 0, OUT], name_too_long),
        ("lookup_name", &[NAME, u32::MAX, 0, OUT], name_too_long),
        ("lookup_host", &[lookup, DATA, 8, 0, OUT], name_too_long),
        (
            "lookup_host",
            &[lookup, DATA, u32::MAX, 0, OUT],
            Errno::EFAULT,
        ),
        ("net_interfaces", &[PAGE - 40, u32::MAX, OUT], Errno::EFAULT),
        (
            "sock_getsockopt",
            &[listener, u32::MAX, OUT],
            Errno::ENOPROTOOPT,
        ),
        (
            "sock_setsockopt",
            &[listener, SocketOption::ERROR.0, 1],
            Errno::ENOPROTOOPT,
        ),
        (
            "sock_setsockopt",
            &[listener, SocketOption::LINGER.0, u32::MAX - 1],
            Errno::EINVAL,
        ),
    ] {
        let result = guest.call(import, arguments);
        assert_eq!(result, Err(errno), "{import} {arguments:?}");
    }
    guest.call("sock_close", &[set]).unwrap();
    guest.call("sock_close", &[lookup]).unwrap();
    assert_eq!(guest.call("sock_pair", &[3, OUT]), Err(Errno::EINVAL));
    let bad_family = [NAME, 9, 1, OUT];
    assert_eq!(
        guest.call("lookup_name", &bad_family),
        Err(Errno::EAFNOSUPPORT)
    );
    for count in [IOVECS_MAX as u32 + 1, 1 << 29, u32::MAX] {
        for import in ["sock_sendmsg", "sock_recvmsg"] {
            let result = guest.call(import, &[datagram, IOVECS, count, 0, 0, 0, 0, OUT]);
            assert_eq!(result, Err(Errno::EMSGSIZE), "{import} {count}");
        }
    }
    for flags in [MSG_PEEK, 0x40, 0x4000, u32::MAX] {
        let arguments = [datagram, IOVECS, 1, ADDRESS, 0, flags, 0, OUT];
        assert_eq!(guest.call("sock_sendmsg", &arguments), Err(Errno::EINVAL));
    }
    for flags in [MSG_MORE, 0x40, 0x2000, u32::MAX] {
        let arguments = [datagram, IOVECS, 1, 0, 0, flags | MSG_OOB, 0, OUT];
        assert_eq!(guest.call("sock_recvmsg", &arguments), Err(Errno::EINVAL));
    }
}

#[test]
fn extreme_timeouts_are_accepted() {
    let [v4, _] = loopback();
    let mut guest = Guest::new(allow_loopback());
    let handle = guest.connected(servers::echo(v4));
    guest.write(DATA, &handle.to_le_bytes());
    guest.write(DATA + 4, &[4, 0, 0, 0]);
    for timeout in [i64::MAX, i64::MIN, -1, 0, 1] {
        let arguments = [DATA.into(), 1, timeout, OUT.into()];
        guest.call_wide("sock_poll", &arguments).unwrap();
        assert_eq!(guest.read_u32(OUT), 1, "{timeout}");
    }
}

#[test]
fn no_handle_is_taken_where_none_is_left() {
    let (mut guest, [listener, _, set, lookup]) = one_of_each();
    let client = std::net::TcpStream::connect(guest.name(listener)).unwrap();
    for (import, arguments) in [
        ("sock_open_protocol", &[AF_INET, SOCK_STREAM, 0, OUT][..]),
        ("sock_pair", &[SOCK_STREAM, OUT]),
        ("sock_dup", &[listener, OUT]),
        ("sock_accept", &[listener, FOREVER, PEER, OUT]),
        ("interest_create", &[OUT]),
        ("lookup_name", &[NAME, 9, 0, OUT]),
        ("lookup_addr", &[ADDRESS, OUT]),
    ] {
        assert_eq!(
            guest.call(import, arguments),
            Err(Errno::EMFILE),
            "{import}"
        );
    }
    guest.call("sock_close", &[set]).unwrap();
    let pair = [SOCK_STREAM, OUT];
    assert_eq!(guest.call("sock_pair", &pair), Err(Errno::EMFILE));
    // The connection still waits to be accepted.
    let accept = [listener, SOON, PEER];
    assert_eq!(
        guest.get("sock_accept", &[accept[0], accept[1], PEER]),
        Ok(set)
    );
    assert_eq!(guest.ip_at(PEER), client.local_addr().unwrap());
    guest.call("sock_close", &[set]).unwrap();
    guest.call("sock_close", &[lookup]).unwrap();
    guest.call("sock_pair", &pair).unwrap();
    assert_eq!(
        [guest.read_u32(OUT), guest.read_u32(OUT + 4)],
        [set, lookup]
    );
}

#[test]
fn add_and_change_of_what_is_not_there_are_the_kernels_errors() {
    let (mut guest, [_, datagram, set, _]) = one_of_each();
    let ctl = |guest: &mut Guest, op| guest.call("interest_ctl", &[set, op, datagram, EVENT_IN, 0]);
    assert_eq!(ctl(&mut guest, 3), Err(Errno::ENOENT));
    assert_eq!(ctl(&mut guest, 2), Err(Errno::ENOENT));
    assert_eq!(ctl(&mut guest, 1), Ok(()));
    assert_eq!(ctl(&mut guest, 1), Err(Errno::EEXIST));
}

#[test]
fn nothing_is_reached_without_a_grant() {
    let [v4, _] = loopback();
    let server = servers::echo(v4);
    let mut guest = Guest::new(wasisocket_host::Policy::new());
    let (stream, datagram) = (guest.open(SOCK_STREAM), guest.open(SOCK_DGRAM));
    for address in [server, SocketAddr::from(([0, 0, 0, 0], server.port()))] {
        for handle in [stream, datagram] {
            assert_eq!(guest.connect(handle, address, 0), Err(Errno::EACCES));
            assert_eq!(guest.bind(handle, address), Err(Errno::EACCES));
        }
        guest.write_address(address);
        assert_eq!(guest.send(datagram, b"x", ADDRESS), Err(Errno::EACCES));
        let lookup = guest.call("lookup_addr", &[ADDRESS, OUT]);
        assert_eq!(lookup, Err(Errno::EACCES));
    }
    assert_eq!(guest.call("sock_listen", &[stream, 1]), Err(Errno::EACCES));
    guest.write_address("239.1.2.3:0".parse().unwrap());
    guest.write(PEER, &guest.read(ADDRESS, 28));
    let join = [datagram, 1, PEER, PEER];
    assert_eq!(guest.call("sock_membership", &join), Err(Errno::EACCES));
    guest.write(NAME, b"localhost");
    let lookup = [NAME, 9, 0, OUT];
    assert_eq!(guest.call("lookup_name", &lookup), Err(Errno::EACCES));
    assert_eq!(guest.get("net_interfaces", &[DATA, 16]), Ok(0));
    // A pair reaches nothing outside, so it needs no grant.
    let pair = guest.call("sock_pair", &[SOCK_STREAM, OUT]);
    assert_eq!(pair, Ok(()));
}
