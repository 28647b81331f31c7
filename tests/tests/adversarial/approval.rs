//! An operation that the host does not approve is refused. The host is not asked about what the rules refuse.

use std::sync::{Arc, Mutex};

use wasisocket_abi::v1::AF_UNIX;
use wasisocket_abi::{AF_INET, Errno, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{Operation, Policy, SocketsCtx, SocketsCtxBuilder};
use wasisocket_tests::servers::{self, loopback};

use crate::guest::{ADDRESS, Guest, PEER, SOON};
use crate::lookups::resolve;

type Asked = Arc<Mutex<Vec<String>>>;

/// A builder whose `approve` records each operation, and the list of them.
fn asked(policy: Policy, approves: bool) -> (SocketsCtxBuilder, Asked) {
    let asked: Asked = Arc::default();
    let list = Arc::clone(&asked);
    let builder = SocketsCtx::builder(policy).approve(move |operation| {
        let word = match operation {
            Operation::Resolve { name, .. } => format!("resolve {name}"),
            Operation::ReverseLookup { address, .. } => format!("reverse {address}"),
            Operation::Connect {
                address, protocol, ..
            } => format!("connect {}/{protocol}", address.ip()),
            Operation::Send { address, .. } => format!("send {}", address.ip()),
            Operation::Bind {
                address, protocol, ..
            } => format!("bind {}/{protocol}", address.ip()),
            Operation::Join { group, .. } => format!("join {group}"),
            Operation::ConnectUnix { path, .. } => format!("connect {path}"),
            Operation::BindUnix { path, .. } => format!("bind {path}"),
            _ => "another".into(),
        };
        list.lock().unwrap().push(word);
        approves
    });
    (builder.max_sockets(16), asked)
}

fn policy() -> Policy {
    Policy::new()
        .allow("localhost")
        .and_then(|policy| policy.allow_listen("*"))
        .unwrap()
}

/// Tries each kind of operation that is asked about, and returns the results.
fn attempts(guest: &mut Guest) -> Vec<Result<(), Errno>> {
    let server = servers::echo(loopback()[0]);
    let udp = servers::udp_echo(loopback()[0]);
    let stream = guest.open(SOCK_STREAM);
    let mut results = vec![guest.connect(stream, server, SOON)];
    let datagram = guest.open(SOCK_DGRAM);
    guest.write_address(udp);
    for _ in 0..2 {
        results.push(guest.send(datagram, b"x", ADDRESS).map(drop));
    }
    let bound = guest.open(SOCK_DGRAM);
    results.push(guest.bind(bound, ([0, 0, 0, 0], 0).into()));
    guest.write_address(([127, 0, 0, 1], 0).into());
    guest.write(PEER, &guest.read(ADDRESS, 28));
    guest.write_address(([239, 255, 7, 6], 0).into());
    results.push(guest.call("sock_membership", &[bound, 1, ADDRESS, PEER]));
    let listener = guest.open(SOCK_STREAM);
    results.push(guest.call("sock_listen", &[listener, 1]));
    results.push(resolve(guest, "localhost").map(drop));
    guest.write_address(([127, 0, 0, 1], 0).into());
    results.push(guest.get("lookup_addr", &[ADDRESS]).map(drop));
    let unix = |guest: &mut Guest| guest.get("sock_open", &[AF_UNIX, SOCK_STREAM]).unwrap();
    let (one, other) = (unix(guest), unix(guest));
    guest.write_unix("/socket");
    results.push(guest.call("sock_bind", &[one, ADDRESS]));
    guest.call("sock_listen", &[one, 1]).ok();
    guest.write_unix("/socket");
    results.push(guest.call("sock_connect_to", &[other, ADDRESS, SOON]));
    results
}

const OPERATIONS: [&str; 10] = [
    "connect 127.0.0.1/tcp",
    "send 127.0.0.1",
    "send 127.0.0.1",
    "bind 0.0.0.0/udp",
    "join 239.255.7.6",
    "bind 0.0.0.0/tcp",
    "resolve localhost",
    "reverse 127.0.0.1",
    "bind /socket",
    "connect /socket",
];

#[test]
fn every_operation_needs_approval() {
    for approves in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (builder, asked) = asked(policy(), approves);
        let mut guest = Guest::with(builder.unix_folder(folder.path(), "/", false).unwrap());
        let wanted = match approves {
            true => Ok(()),
            false => Err(Errno::EACCES),
        };
        assert_eq!(attempts(&mut guest), [wanted; OPERATIONS.len()]);
        assert_eq!(*asked.lock().unwrap(), OPERATIONS);
        let denials = guest.denials();
        match approves {
            true => assert_eq!(denials, [""; 0]),
            false => {
                assert_eq!(denials.len(), OPERATIONS.len());
                for denial in denials {
                    assert!(
                        denial.ends_with(" denied: the host does not approve it"),
                        "{denial}"
                    );
                }
            }
        }
    }
}

#[test]
fn approval_widens_nothing() {
    let (builder, asked) = asked(Policy::new(), true);
    let mut guest = Guest::with(builder);
    for result in attempts(&mut guest) {
        assert_eq!(result, Err(Errno::EACCES));
    }
    assert_eq!(*asked.lock().unwrap(), [""; 0]);
    let handle = guest.get("sock_open", &[AF_INET, SOCK_STREAM]).unwrap();
    assert_eq!(
        guest.connect(handle, ([127, 0, 0, 1], 9).into(), 0),
        Err(Errno::EACCES)
    );
}

#[test]
fn own_connection_needs_approval_too() {
    let (builder, asked) = asked(Policy::new().allow("192.0.2.1").unwrap(), true);
    let mut guest = Guest::with(builder);
    let (_listener, address) = guest.listener();
    let handle = guest.open(SOCK_STREAM);
    guest.connect(handle, address, SOON).unwrap();
    assert_eq!(
        *asked.lock().unwrap(),
        ["bind 127.0.0.1/tcp", "connect 127.0.0.1/tcp"]
    );
}
