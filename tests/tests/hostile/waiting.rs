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
fn poll_reports_readiness_and_waits_no_less_than_asked() {
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
    let nothing = [3, 4, 999, one + 2, u32::MAX];
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
    // Standard input is not a socket.
    assert_eq!(guest.recv(STDIN, 0, 0), Err(Errno::EBADF));
}

#[test]
fn interest_set_supports_level_edge_and_one_shot() {
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
fn closed_handle_leaves_its_interest_sets() {
    let (mut guest, one, other) = with_pair();
    let set = guest.get("interest_create", &[]).unwrap();
    guest.send(other, b"x", 0).unwrap();
    guest
        .call("interest_ctl", &[set, CTL_ADD, one, EVENT_IN, 7])
        .unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![(7, EVENT_IN)]));
    guest.call("sock_close", &[one]).unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    // The next socket with this handle is not in the set.
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
    // The largest possible buffer, the whole memory, is accepted.
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

/// One set more than a socket may be in.
fn sets(guest: &mut Guest) -> Vec<u32> {
    let create = |_| guest.get("interest_create", &[]).unwrap();
    (0..17).map(create).collect()
}

fn ctl(guest: &mut Guest, op: u32, set: u32, handle: u32) -> Result<(), Errno> {
    guest.call("interest_ctl", &[set, op, handle, EVENT_IN, handle])
}

#[test]
fn socket_is_in_a_limited_number_of_sets() {
    let sockets = SocketsCtx::builder(Policy::new()).max_sockets(24);
    let mut guest = Guest::with(sockets);
    let sets = sets(&mut guest);
    let (last, others) = sets.split_last().unwrap();
    let handle = guest.open(SOCK_STREAM);
    let duplicate = guest.get("sock_dup", &[handle]).unwrap();
    for (at, set) in others.iter().enumerate() {
        let either = if at % 2 == 0 { handle } else { duplicate };
        ctl(&mut guest, CTL_ADD, *set, either).unwrap();
    }
    for handle in [handle, duplicate] {
        let more = ctl(&mut guest, CTL_ADD, *last, handle);
        assert_eq!(more, Err(Errno::ENOSPC));
    }
    assert_eq!(
        ctl(&mut guest, CTL_ADD, others[0], handle),
        Err(Errno::EEXIST)
    );
    let ends: [fn(&mut Guest, u32, u32, u32); 3] = [
        |guest, set, handle, _| ctl(guest, CTL_DEL, set, handle).unwrap(),
        |guest, set, _, _| guest.call("sock_close", &[set]).unwrap(),
        |guest, _, _, duplicate| guest.call("sock_close", &[duplicate]).unwrap(),
    ];
    for (end, set) in ends.into_iter().zip(others.iter().step_by(2)) {
        end(&mut guest, *set, handle, duplicate);
        ctl(&mut guest, CTL_ADD, *last, handle).unwrap();
        ctl(&mut guest, CTL_DEL, *last, handle).unwrap();
        // The removed entry makes room for another set.
        let another = guest.get("interest_create", &[]).unwrap();
        ctl(&mut guest, CTL_ADD, another, handle).unwrap();
    }
}

#[test]
fn set_is_in_a_limited_number_of_sets() {
    let sockets = SocketsCtx::builder(Policy::new()).max_sockets(24);
    let mut guest = Guest::with(sockets);
    let inner = guest.get("interest_create", &[]).unwrap();
    let sets = sets(&mut guest);
    let (last, others) = sets.split_last().unwrap();
    for set in others {
        ctl(&mut guest, CTL_ADD, *set, inner).unwrap();
    }
    let more = ctl(&mut guest, CTL_ADD, *last, inner);
    assert_eq!(more, Err(Errno::ENOSPC));
}

#[test]
fn entry_ends_with_its_handle_also_where_the_socket_goes_on() {
    let (mut guest, one, other) = with_pair();
    let set = guest.get("interest_create", &[]).unwrap();
    let duplicate = guest.get("sock_dup", &[one]).unwrap();
    ctl(&mut guest, CTL_ADD, set, duplicate).unwrap();
    guest.send(other, b"x", 0).unwrap();
    let told = vec![(duplicate.into(), EVENT_IN)];
    assert_eq!(guest.wait(set, SOON), Ok(told));
    guest.call("sock_close", &[duplicate]).unwrap();
    assert_eq!(guest.wait(set, 0), Ok(vec![]));
    assert_eq!(guest.recv(one, 0, SOON).unwrap(), b"x");
}
