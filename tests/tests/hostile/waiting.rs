//! `sock_poll` and interest sets.

use std::io::Write;
use std::time::{Duration, Instant};

use wasisocket_abi::v1::{
    CTL_ADD, CTL_DEL, CTL_MOD, EVENT_EDGE, EVENT_HUP, EVENT_IN, EVENT_NVAL, EVENT_ONESHOT,
    EVENT_OUT, EVENT_RDHUP, EVENTS_MAX, STDIN,
};
use wasisocket_abi::{Errno, SOCK_STREAM};
use wasisocket_host::{Policy, SocketsCtx};

use crate::guest::{DATA, Guest, OUT, SOON};

const BRIEFLY: u32 = 20_000_000;

/// A guest with a pair of connected sockets.
fn with_pair() -> (Guest, u32, u32) {
    let mut guest = Guest::with(SocketsCtx::builder(Policy::new()).max_sockets(16));
    guest.call("sock_pair", &[SOCK_STREAM, OUT]).unwrap();
    let (one, other) = (guest.read_u32(OUT), guest.read_u32(OUT + 4));
    (guest, one, other)
}

#[test]
fn poll_tells_what_is_ready_and_waits_no_less_than_asked() {
    let (mut guest, one, other) = with_pair();
    let begun = Instant::now();
    assert_eq!(guest.poll(&[(one, EVENT_IN)], BRIEFLY), Ok((0, vec![0])));
    assert!(begun.elapsed() >= Duration::from_nanos(BRIEFLY.into()));
    guest.send(other, b"x", 0).unwrap();
    let both = EVENT_IN | EVENT_OUT;
    assert_eq!(
        guest.poll(&[(one, both), (other, both), (one, 0)], SOON),
        Ok((2, vec![both, EVENT_OUT, 0]))
    );
    guest.call("sock_close", &[other]).unwrap();
    let asked = EVENT_IN | EVENT_RDHUP;
    let (_, events) = guest.poll(&[(one, asked)], SOON).unwrap();
    assert_eq!(events, [asked | EVENT_HUP]);
    assert_eq!(guest.poll(&[], 1), Ok((0, vec![])));
}

#[test]
fn poll_of_what_is_no_handle_does_not_wait() {
    let (mut guest, one, _) = with_pair();
    let nothing = [1, 2, 3, 999, one + 2, u32::MAX];
    let entries: Vec<_> = nothing.iter().map(|handle| (*handle, EVENT_IN)).collect();
    let (ready, events) = guest.poll(&entries, SOON).unwrap();
    assert_eq!(ready as usize, nothing.len());
    assert!(events.iter().all(|events| *events == EVENT_NVAL));
    let mixed = [(9, 0), (one, EVENT_IN), (9, 0), (one, EVENT_OUT)];
    assert_eq!(
        guest.poll(&mixed, SOON),
        Ok((3, vec![EVENT_NVAL, 0, EVENT_NVAL, EVENT_OUT]))
    );
}

#[test]
fn standard_input_is_a_file_unless_the_host_knows_better() {
    let watch = |guest: &mut Guest, set: u32, op| {
        let arguments = [set.into(), i64::from(op), STDIN.into(), EVENT_IN.into(), 7];
        guest.call_wide("interest_ctl", &arguments)
    };
    let (mut guest, one, _) = with_pair();
    assert_eq!(
        guest.poll(&[(STDIN, EVENT_IN), (one, EVENT_IN)], SOON),
        Ok((1, vec![EVENT_IN, 0]))
    );
    let set = guest.get("interest_create", &[]).unwrap();
    assert_eq!(watch(&mut guest, set, CTL_ADD), Err(Errno::EPERM));

    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut guest = Guest::with(SocketsCtx::builder(Policy::new()).stdin(reader));
    assert_eq!(guest.poll(&[(STDIN, EVENT_IN)], BRIEFLY), Ok((0, vec![0])));
    let set = guest.get("interest_create", &[]).unwrap();
    assert_eq!(watch(&mut guest, set, CTL_ADD), Ok(()));
    assert_eq!(watch(&mut guest, set, CTL_ADD), Err(Errno::EEXIST));
    assert_eq!(guest.wait(set, BRIEFLY), Ok(vec![]));
    writer.write_all(b"x").unwrap();
    assert_eq!(
        guest.poll(&[(STDIN, EVENT_IN)], SOON),
        Ok((1, vec![EVENT_IN]))
    );
    assert_eq!(guest.wait(set, SOON), Ok(vec![(7, EVENT_IN)]));
    assert_eq!(watch(&mut guest, set, CTL_DEL), Ok(()));
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    // It is no socket.
    assert_eq!(guest.recv(STDIN, 0, 0), Err(Errno::EBADF));
}

#[test]
fn interest_set_tells_states_changes_and_once() {
    let (mut guest, one, other) = with_pair();
    let set = guest.get("interest_create", &[]).unwrap();
    let ctl = |guest: &mut Guest, op, events| {
        let arguments = [set.into(), i64::from(op), one.into(), i64::from(events), -2];
        guest.call_wide("interest_ctl", &arguments)
    };
    ctl(&mut guest, CTL_ADD, EVENT_IN).unwrap();
    let begun = Instant::now();
    assert_eq!(guest.wait(set, BRIEFLY), Ok(vec![]));
    assert!(begun.elapsed() >= Duration::from_nanos(BRIEFLY.into()));

    guest.send(other, b"x", 0).unwrap();
    for _ in 0..2 {
        assert_eq!(guest.wait(set, SOON), Ok(vec![(-2, EVENT_IN)]));
    }
    ctl(&mut guest, CTL_MOD, EVENT_IN | EVENT_EDGE).unwrap();
    assert_eq!(guest.wait(set, SOON), Ok(vec![(-2, EVENT_IN)]));
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    guest.send(other, b"x", 0).unwrap();
    assert_eq!(guest.wait(set, SOON), Ok(vec![(-2, EVENT_IN)]));

    for _ in 0..2 {
        ctl(&mut guest, CTL_MOD, EVENT_IN | EVENT_ONESHOT).unwrap();
        assert_eq!(guest.wait(set, SOON), Ok(vec![(-2, EVENT_IN)]));
        assert_eq!(guest.wait(set, 0), Ok(vec![]));
    }
    ctl(&mut guest, CTL_DEL, 0).unwrap();
    assert_eq!(ctl(&mut guest, CTL_MOD, EVENT_IN), Err(Errno::ENOENT));
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
}

#[test]
fn what_is_closed_leaves_its_interest_sets() {
    let (mut guest, one, other) = with_pair();
    let set = guest.get("interest_create", &[]).unwrap();
    guest.send(other, b"x", 0).unwrap();
    guest
        .call("interest_ctl", &[set, CTL_ADD, one, EVENT_IN, 7])
        .unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![(7, EVENT_IN)]));
    guest.call("sock_close", &[one]).unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    // The handle's next owner is not in it.
    guest.call("sock_pair", &[SOCK_STREAM, OUT]).unwrap();
    assert_eq!(guest.read_u32(OUT), one);
    let change = [set, CTL_MOD, one, EVENT_IN, 7];
    assert_eq!(guest.call("interest_ctl", &change), Err(Errno::ENOENT));
    guest.call("sock_close", &[set]).unwrap();
    assert_eq!(guest.wait(set, 0), Err(Errno::EBADF));
}

#[test]
fn more_events_than_room_come_with_the_next_wait() {
    let (mut guest, one, other) = with_pair();
    let set = guest.get("interest_create", &[]).unwrap();
    for handle in [one, other] {
        let events = EVENT_OUT | EVENT_ONESHOT;
        guest
            .call("interest_ctl", &[set, CTL_ADD, handle, events, handle])
            .unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        let count = guest.get("interest_wait", &[set, DATA, 1, 0]).unwrap();
        assert_eq!(count, 1);
        told.push(guest.read_u32(DATA));
    }
    told.sort_unstable();
    assert_eq!(told, [one, other]);
    // As much room as there can be is not too much: the whole memory.
    let arguments = [set, 0, EVENTS_MAX as u32, 0, OUT];
    assert_eq!(guest.call("interest_wait", &arguments), Ok(()));
}

#[test]
fn sets_in_sets_are_one_deep_and_wake() {
    let (mut guest, one, other) = with_pair();
    let [outer, inner, third] = [(); 3].map(|()| guest.get("interest_create", &[]).unwrap());
    let add = |guest: &mut Guest, set, handle| {
        guest.call("interest_ctl", &[set, CTL_ADD, handle, EVENT_IN, handle])
    };
    add(&mut guest, inner, one).unwrap();
    add(&mut guest, outer, inner).unwrap();
    assert_eq!(add(&mut guest, inner, outer), Err(Errno::ELOOP));
    assert_eq!(add(&mut guest, inner, third), Err(Errno::ELOOP));
    assert_eq!(add(&mut guest, third, outer), Err(Errno::ELOOP));
    assert_eq!(add(&mut guest, third, inner), Ok(()));
    assert_eq!(guest.wait(outer, 0), Ok(vec![]));
    guest.send(other, b"x", 0).unwrap();
    assert_eq!(guest.wait(outer, SOON), Ok(vec![(inner.into(), EVENT_IN)]));
    let entries = [(inner, EVENT_IN), (third, EVENT_IN)];
    assert_eq!(guest.poll(&entries, SOON), Ok((2, vec![EVENT_IN; 2])));
}

#[test]
fn entries_of_what_is_deleted_or_closed_count_no_more() {
    const HANDLES: u32 = 130;
    let sockets = SocketsCtx::builder(Policy::new()).max_sockets(HANDLES as usize);
    let mut guest = Guest::with(sockets);
    let half = HANDLES / 2;
    let sets: Vec<_> = (0..half)
        .map(|_| guest.get("interest_create", &[]).unwrap())
        .collect();
    let handles: Vec<_> = (0..half).map(|_| guest.open(SOCK_STREAM)).collect();
    let ctl = |guest: &mut Guest, op, set, handle| {
        guest.call("interest_ctl", &[set, op, handle, EVENT_IN, 0])
    };
    let all = |guest: &mut Guest, op| {
        for set in &sets {
            for handle in &handles {
                ctl(guest, op, *set, *handle).unwrap();
            }
        }
    };
    // 4225 of 8320 that there can be.
    all(&mut guest, CTL_ADD);
    all(&mut guest, CTL_DEL);
    all(&mut guest, CTL_ADD);
    for handle in &handles {
        guest.call("sock_close", &[*handle]).unwrap();
        assert_eq!(guest.open(SOCK_STREAM), *handle);
    }
    // What was closed counts no more: else these were too many.
    all(&mut guest, CTL_ADD);
    assert_eq!(
        ctl(&mut guest, CTL_ADD, sets[0], handles[0]),
        Err(Errno::EEXIST)
    );
}

#[test]
fn entries_that_duplicates_leave_behind_count() {
    let sockets = SocketsCtx::builder(Policy::new()).max_sockets(4);
    let mut guest = Guest::with(sockets);
    let set = guest.get("interest_create", &[]).unwrap();
    let other = guest.get("interest_create", &[]).unwrap();
    let handle = guest.open(SOCK_STREAM);
    let mut held = Vec::new();
    let mut added = 0;
    let refused = loop {
        // Another descriptor each time: the entry of the one before stays, as the socket is open.
        held.push(std::fs::File::open("/dev/null").unwrap());
        let duplicate = guest.get("sock_dup", &[handle]).unwrap();
        let add = [set, CTL_ADD, duplicate, EVENT_IN, 0];
        let result = guest.call("interest_ctl", &add);
        guest.call("sock_close", &[duplicate]).unwrap();
        match result {
            Ok(()) => added += 1,
            Err(Errno::EEXIST) => {}
            Err(errno) => break errno,
        }
        assert!(added <= 256);
    };
    assert_eq!((refused, added), (Errno::ENOSPC, 256));
    // They count for all sets, and go with the set.
    let add = [other, CTL_ADD, handle, EVENT_IN, 0];
    assert_eq!(guest.call("interest_ctl", &add), Err(Errno::ENOSPC));
    guest.call("sock_close", &[set]).unwrap();
    assert_eq!(guest.call("interest_ctl", &add), Ok(()));
}
