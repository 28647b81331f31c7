//! Unix sockets in the folders of a guest.

use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::Duration;

use tempfile::TempDir;
use wasisocket_abi::v1::{AF_UNIX, MSG_OOB, MSG_PEEK, UnixAddr};
use wasisocket_abi::{Errno, Plain as _, SOCK_DGRAM, SOCK_STREAM};
use wasisocket_host::{Policy, SocketsCtx};

use crate::guest::{ADDRESS, DATA, FOREVER, Guest, IOVECS, OUT, PEER, SOON, allow_all};

/// A guest that sees one folder as /run, and the same folder read-only as /ro.
fn guest() -> (Guest, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sockets = SocketsCtx::builder(Policy::new())
        .max_sockets(16)
        .unix_folder(folder.path(), "/run", false)
        .and_then(|sockets| sockets.unix_folder(folder.path(), "/ro", true))
        .unwrap();
    (Guest::with(sockets), folder)
}

fn open(guest: &mut Guest, kind: u32) -> u32 {
    guest.get("sock_open", &[AF_UNIX, kind]).unwrap()
}

fn bind(guest: &mut Guest, handle: u32, path: &str) -> Result<(), Errno> {
    guest.write_unix(path);
    guest.call("sock_bind", &[handle, ADDRESS])
}

fn connect(guest: &mut Guest, handle: u32, path: &str) -> Result<(), Errno> {
    guest.write_unix(path);
    guest.call("sock_connect_to", &[handle, ADDRESS, SOON])
}

#[test]
fn server_of_the_guest_is_reached_from_the_host() {
    let (mut guest, folder) = guest();
    let listener = open(&mut guest, SOCK_STREAM);
    bind(&mut guest, listener, "/run/./server.sock").unwrap();
    guest.call("sock_listen", &[listener, 4]).unwrap();
    let mut client = UnixStream::connect(folder.path().join("server.sock")).unwrap();
    client.write_all(b"hello").unwrap();
    let accepted = guest.get("sock_accept", &[listener, SOON, PEER]).unwrap();
    // There is either no address, or one without a path.
    assert_eq!(guest.unix_at(PEER).unwrap_or_default(), "");
    assert_eq!(guest.recv(accepted, 0, SOON).unwrap(), b"hello");
    guest.send(accepted, b"hi", 0).unwrap();
    let mut answer = [0; 2];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"hi");
    for handle in [listener, accepted] {
        guest.call("sock_getsockname", &[handle, PEER]).unwrap();
        let name = guest.unix_at(PEER);
        assert_eq!(name.as_deref(), Some("/run/./server.sock"));
    }
}

#[test]
fn server_of_the_host_is_reached_and_has_the_guests_name() {
    let (mut guest, folder) = guest();
    let real = folder.path().canonicalize().unwrap();
    let listener = UnixListener::bind(real.join("server.sock")).unwrap();
    let handle = open(&mut guest, SOCK_STREAM);
    connect(&mut guest, handle, "/run/server.sock").unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"x").unwrap();
    assert_eq!(guest.recv(handle, 0, SOON).unwrap(), b"x");
    guest.call("sock_getpeername", &[handle, PEER]).unwrap();
    assert_eq!(guest.unix_at(PEER).as_deref(), Some("/run/server.sock"));
    guest.call("sock_getsockname", &[handle, PEER]).unwrap();
    assert_eq!(guest.unix_at(PEER).as_deref(), Some(""));
    // Linux refuses an address here too.
    guest.write_unix("/run/server.sock");
    let with_address = guest.send(handle, b"x", ADDRESS);
    assert_eq!(with_address, Err(Errno::EISCONN));
    let missing = open(&mut guest, SOCK_STREAM);
    let nobody = connect(&mut guest, missing, "/run/nobody.sock");
    assert_eq!(nobody, Err(Errno::ENOENT));
}

#[test]
fn datagrams_have_the_senders_name_as_the_guest_knows_it() {
    let (mut guest, folder) = guest();
    let (one, other) = (open(&mut guest, SOCK_DGRAM), open(&mut guest, SOCK_DGRAM));
    bind(&mut guest, one, "/run/one").unwrap();
    bind(&mut guest, other, "/run/other").unwrap();
    guest.write_unix("/run/other");
    guest.send(one, b"to other", ADDRESS).unwrap();
    assert_eq!(guest.recv(other, 0, SOON).unwrap(), b"to other");
    assert_eq!(guest.unix_at(PEER).as_deref(), Some("/run/one"));

    // The path of a socket outside the granted folders is not revealed.
    let outside = tempfile::tempdir().unwrap();
    let stranger = UnixDatagram::bind(outside.path().join("secret")).unwrap();
    stranger.send_to(b"x", folder.path().join("other")).unwrap();
    guest.recv(other, 0, SOON).unwrap();
    assert_eq!(guest.unix_at(PEER).as_deref(), Some(""));
    connect(&mut guest, one, "/run/other").unwrap();
    guest.send(one, b"connected", 0).unwrap();
    assert_eq!(guest.recv(other, 0, SOON).unwrap(), b"connected");
}

#[test]
fn paths_cannot_leave_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let inside = outside.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let _secret = UnixListener::bind(outside.path().join("secret.sock")).unwrap();
    symlink("../secret.sock", inside.join("link")).unwrap();
    symlink(outside.path(), inside.join("absolute")).unwrap();
    let sockets = SocketsCtx::builder(allow_all())
        .unix_folder(&inside, "/run", false)
        .unwrap();
    let mut guest = Guest::with(sockets);
    let handle = open(&mut guest, SOCK_STREAM);
    for path in [
        "/run/../secret.sock",
        "/run/link",
        "/run/absolute/secret.sock",
        "/run/../inside/../secret.sock",
    ] {
        assert_eq!(connect(&mut guest, handle, path), Err(Errno::EACCES));
        assert_eq!(
            guest.denials(),
            [format!(
                "connect to Unix socket {path} denied: it leads out of the folder /run"
            )]
        );
    }
    for path in ["/run/../new.sock", "/run/absolute/new.sock"] {
        assert_eq!(bind(&mut guest, handle, path), Err(Errno::EACCES));
    }
    assert!(!outside.path().join("new.sock").exists());
    assert_eq!(
        bind(&mut guest, handle, "/run/link"),
        Err(Errno::EADDRINUSE)
    );
    assert_eq!(bind(&mut guest, handle, "/run"), Err(Errno::EADDRINUSE));
    assert_eq!(bind(&mut guest, handle, "/run/.."), Err(Errno::EADDRINUSE));
}

#[test]
fn folder_that_is_not_granted_or_read_only_is_refused() {
    let (mut guest, folder) = guest();
    let _listener = UnixListener::bind(folder.path().join("server.sock")).unwrap();
    let handle = open(&mut guest, SOCK_STREAM);
    for path in ["/tmp/x", "/runner/x", "/", "/x"] {
        assert_eq!(connect(&mut guest, handle, path), Err(Errno::EACCES));
        assert_eq!(bind(&mut guest, handle, path), Err(Errno::EACCES));
    }
    assert_eq!(
        guest.denials()[0],
        "connect to Unix socket /tmp/x denied: needs --dir HOST::/tmp"
    );
    assert_eq!(bind(&mut guest, handle, "/ro/x"), Err(Errno::EACCES));
    let there = connect(&mut guest, handle, "/ro/server.sock");
    assert_eq!(there, Err(Errno::EACCES));
    assert_eq!(
        guest.denials()[1],
        "connect to Unix socket /ro/server.sock denied: /ro is granted to read only; \
         needs --dir HOST::/ro"
    );
    // A denial is one line, whatever the guest passes.
    assert_eq!(connect(&mut guest, handle, "/x\n/y"), Err(Errno::EACCES));
    assert!(!guest.denials()[0].contains('\n'));
}

#[test]
fn names_that_are_no_paths_are_invalid() {
    let (mut guest, _folder) = guest();
    let handle = open(&mut guest, SOCK_DGRAM);
    // An abstract name, a relative path, a path with a zero byte, and an empty path.
    for path in ["\0abstract", "run/x", "/run/x\0y", ""] {
        assert_eq!(bind(&mut guest, handle, path), Err(Errno::EINVAL));
        assert_eq!(connect(&mut guest, handle, path), Err(Errno::EINVAL));
        assert_eq!(guest.send(handle, b"x", ADDRESS), Err(Errno::EINVAL));
    }
    let mut bytes = UnixAddr::new(b"/run/x").unwrap().to_bytes();
    bytes[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
    guest.write(ADDRESS, &bytes);
    let too_long = guest.call("sock_bind", &[handle, ADDRESS]);
    assert_eq!(too_long, Err(Errno::EINVAL));
    // The longest path that is allowed.
    let long = format!("/run/{}", "x".repeat(102));
    assert_eq!(bind(&mut guest, handle, &long), Ok(()));
    // An address of another family.
    let ip = guest.open(SOCK_STREAM);
    assert_eq!(bind(&mut guest, ip, "/run/y"), Err(Errno::EAFNOSUPPORT));
    assert_eq!(
        guest.bind(handle, ([127, 0, 0, 1], 0).into()),
        Err(Errno::EINVAL)
    );
}

#[test]
fn full_backlog_does_not_hold_a_call_beyond_its_time() {
    let (mut guest, _folder) = guest();
    let listener = open(&mut guest, SOCK_STREAM);
    bind(&mut guest, listener, "/run/x").unwrap();
    guest.call("sock_listen", &[listener, 0]).unwrap();
    let first = open(&mut guest, SOCK_STREAM);
    connect(&mut guest, first, "/run/x").unwrap();
    let second = open(&mut guest, SOCK_STREAM);
    let waiting = [second, ADDRESS, 20_000_000];
    assert_eq!(guest.call("sock_connect_to", &waiting), Err(Errno::EAGAIN));
    guest.get("sock_accept", &[listener, 0, PEER]).unwrap();
    assert_eq!(guest.call("sock_connect_to", &waiting), Ok(()));
}

#[test]
fn guest_without_a_folder_has_pairs_only() {
    let mut guest = Guest::new(allow_all().allow_listen("*").unwrap());
    let handle = open(&mut guest, SOCK_STREAM);
    assert_eq!(bind(&mut guest, handle, "/tmp/x"), Err(Errno::EACCES));
    assert_eq!(connect(&mut guest, handle, "/tmp/x"), Err(Errno::EACCES));
    assert!(guest.call("sock_listen", &[handle, 1]).is_err());
}

#[test]
fn connected_socket_does_not_wait_for_a_full_backlog() {
    let (mut guest, _folder) = guest();
    let listener = open(&mut guest, SOCK_STREAM);
    bind(&mut guest, listener, "/run/full.sock").unwrap();
    guest.call("sock_listen", &[listener, 0]).unwrap();
    guest.write_unix("/run/full.sock");
    let at = |handle| [handle, ADDRESS, 0];
    let connected = open(&mut guest, SOCK_STREAM);
    guest.call("sock_connect_to", &at(connected)).unwrap();
    loop {
        let handle = open(&mut guest, SOCK_STREAM);
        match guest.call("sock_connect_to", &at(handle)) {
            Ok(()) => {}
            Err(errno) => break assert_eq!(errno, Errno::EAGAIN),
        }
    }
    guest.call("sock_pair", &[SOCK_STREAM, OUT]).unwrap();
    let (one, other) = (guest.read_u32(OUT), guest.read_u32(OUT + 4));
    let (tell, told) = std::sync::mpsc::channel();
    // In a thread: a call that blocks in the kernel would not end with the test.
    std::thread::spawn(move || {
        let answers = [one, connected].map(|handle| guest.call("sock_connect_to", &at(handle)));
        tell.send((guest, answers)).unwrap();
    });
    let in_time = told.recv_timeout(Duration::from_secs(5));
    let (mut guest, answers) = in_time.expect("it waits");
    let refused = |answer| matches!(answer, Err(Errno::EAGAIN | Errno::EISCONN));
    assert!(answers.into_iter().all(refused), "{answers:?}");
    // The socket is still the same one.
    guest.send(one, b"x", 0).unwrap();
    assert_eq!(guest.recv(other, 0, FOREVER).unwrap(), b"x");
    assert_eq!(guest.recv(one, 0, 0), Err(Errno::EAGAIN));
}

#[test]
fn there_is_no_out_of_band_data() {
    let (mut guest, _folder) = guest();
    for kind in [SOCK_STREAM, SOCK_DGRAM] {
        guest.call("sock_pair", &[kind, OUT]).unwrap();
        let (one, other) = (guest.read_u32(OUT), guest.read_u32(OUT + 4));
        guest.write_iovecs(&[(DATA, 1)]);
        let send = [one, IOVECS, 1, 0, 0, MSG_OOB, 0, OUT];
        let refused = Err(Errno::EOPNOTSUPP);
        assert_eq!(guest.call("sock_sendmsg", &send), refused);
        for flags in [MSG_OOB, MSG_OOB | MSG_PEEK] {
            assert_eq!(guest.recv(other, flags, 0), Err(Errno::EOPNOTSUPP));
        }
        assert_eq!(guest.recv(other, 0, 0), Err(Errno::EAGAIN));
    }
}
