//! Calls of the embedder's function.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{CALL_MAX, EVENT_IN};
use wasisocket_host::{Policy, Reply, SocketsCtx};

use crate::guest::{DATA, Guest, OUT, OUTSIDE, PAGE, SOON};

const REQUEST: u32 = 1024;

/// A guest whose requests come back: those that begin with `l` later, those that begin with `n` never, and those that
/// begin with `k` are kept.
fn guest() -> (Guest, Arc<Mutex<Vec<Reply>>>) {
    let replies = Arc::<Mutex<Vec<Reply>>>::default();
    let kept = Arc::clone(&replies);
    let sockets = SocketsCtx::builder(Policy::new()).on_call(move |request, reply| {
        match request.first().copied() {
            Some(b'l') => drop(thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                reply.send(request);
            })),
            Some(b'n') => drop(reply),
            Some(b'k') => kept.lock().unwrap().push(reply),
            _ => reply.send(request),
        }
    });
    (Guest::with(sockets.max_sockets(4)), replies)
}

fn start(guest: &mut Guest, request: &[u8]) -> Result<u32, Errno> {
    guest.write(REQUEST, request);
    guest.get("call_start", &[REQUEST, request.len() as u32])
}

#[test]
fn answer_is_read_by_pieces_and_waited_for() {
    let (mut guest, _) = guest();
    for request in [&b"now"[1..], b"later", b""] {
        let call = start(&mut guest, request).unwrap();
        guest.write(DATA, b"......");
        let length = guest.get("call_answer", &[call, DATA, 6, SOON]);
        assert_eq!(length, Ok(request.len() as u32));
        assert_eq!(guest.read(DATA, request.len()), request);
        // No more is written than there is room for, and it is still there.
        guest.write(DATA, b"......");
        for room in [0, 1] {
            let length = guest.get("call_answer", &[call, DATA, room, 0]);
            assert_eq!(length, Ok(request.len() as u32));
            let written = request.len().min(room as usize);
            assert_eq!(guest.read(DATA + written as u32, 1), b".");
        }
        guest.call("sock_close", &[call]).unwrap();
    }
}

#[test]
fn event_loop_waits_for_an_answer() {
    let (mut guest, _) = guest();
    let set = guest.get("interest_create", &[]).unwrap();
    let call = start(&mut guest, b"later").unwrap();
    let early = guest.get("call_answer", &[call, DATA, 6, 0]);
    assert_eq!(early, Err(Errno::EAGAIN));
    let add = [set, 1, call, EVENT_IN, 5];
    guest.call("interest_ctl", &add).unwrap();
    assert_eq!(guest.wait(set, SOON), Ok(vec![(5, EVENT_IN)]));
    assert_eq!(guest.get("call_answer", &[call, DATA, 6, 0]), Ok(5));
    let ready = guest.poll(&[(call, EVENT_IN)], 0);
    assert_eq!(ready, Ok((1, vec![EVENT_IN])));
}

#[test]
fn function_that_does_not_answer_is_an_error() {
    let (mut guest, replies) = guest();
    let call = start(&mut guest, b"none").unwrap();
    let answer = guest.get("call_answer", &[call, DATA, 6, SOON]);
    assert_eq!(answer, Err(Errno::EIO));
    let call = start(&mut guest, b"keep").unwrap();
    let answer = guest.get("call_answer", &[call, DATA, 6, 1]);
    assert_eq!(answer, Err(Errno::EAGAIN));
    replies.lock().unwrap().clear();
    let answer = guest.get("call_answer", &[call, DATA, 6, SOON]);
    assert_eq!(answer, Err(Errno::EIO));
    let mut without = Guest::new(Policy::new());
    assert_eq!(start(&mut without, b"x"), Err(Errno::EOPNOTSUPP));
}

#[test]
fn bad_arguments_are_errors_and_the_function_is_not_called() {
    let (mut guest, replies) = guest();
    guest.write(REQUEST, b"keep");
    for bad in OUTSIDE {
        for arguments in [[bad, 4, OUT], [REQUEST, 4, bad]] {
            let result = guest.call("call_start", &arguments);
            assert_eq!(result, Err(Errno::EFAULT), "{arguments:?}");
        }
    }
    for length in [CALL_MAX as u32 + 1, u32::MAX] {
        let result = guest.call("call_start", &[REQUEST, length, OUT]);
        assert_eq!(result, Err(Errno::EMSGSIZE));
    }
    let beyond = [REQUEST, PAGE, OUT];
    assert_eq!(guest.call("call_start", &beyond), Err(Errno::EFAULT));
    assert!(replies.lock().unwrap().is_empty());
    let call = start(&mut guest, b"echo").unwrap();
    for bad in OUTSIDE {
        for arguments in [[call, bad, 4, 0, OUT], [call, DATA, 4, 0, bad]] {
            let result = guest.call("call_answer", &arguments);
            assert_eq!(result, Err(Errno::EFAULT), "{arguments:?}");
        }
    }
    let set = guest.get("interest_create", &[]).unwrap();
    for other in [0, set, call + 9, u32::MAX] {
        let result = guest.call("call_answer", &[other, DATA, 4, 0, OUT]);
        assert_eq!(result, Err(Errno::EBADF), "{other}");
    }
    for import in ["sock_getsockname", "lookup_host", "sock_dup"] {
        let arguments = match import {
            "lookup_host" => &[call, DATA, 4, 0, OUT][..],
            _ => &[call, DATA],
        };
        let result = guest.call(import, arguments);
        assert_eq!(result, Err(Errno::EBADF), "{import}");
    }
}

#[test]
fn calls_count_as_handles_and_closed_ones_are_given_up() {
    let (mut guest, replies) = guest();
    let calls: Vec<_> = (0..4)
        .map(|_| start(&mut guest, b"keep").unwrap())
        .collect();
    assert_eq!(start(&mut guest, b"keep"), Err(Errno::EMFILE));
    assert_eq!(replies.lock().unwrap().len(), 4);
    guest.call("sock_close", &[calls[0]]).unwrap();
    let closed = guest.get("call_answer", &[calls[0], DATA, 4, 0]);
    assert_eq!(closed, Err(Errno::EBADF));
    let mut given_up = 0;
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for reply in &*replies.lock().unwrap() {
        given_up += u32::from(reply.poll_given_up(&mut context).is_ready());
    }
    assert_eq!(given_up, 1);
    drop(guest);
    for reply in replies.lock().unwrap().drain(..) {
        assert!(reply.poll_given_up(&mut context).is_ready());
        reply.send(b"too late".into());
    }
}
