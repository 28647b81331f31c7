//! Name look-up that is started and collected.

use wasisocket_abi::v1::EVENT_IN;
use wasisocket_abi::{AF_INET, AF_INET6, Errno};
use wasisocket_host::{Policy, SocketsCtx};

use crate::guest::{ADDRESS, DATA, Guest, OUT, SOON, allow_loopback};

const NAME: u32 = 1024;

fn start(guest: &mut Guest, name: &str, family: u32) -> Result<u32, Errno> {
    guest.write(NAME, name.as_bytes());
    guest.get("lookup_name", &[NAME, name.len() as u32, family])
}

fn addresses(guest: &mut Guest, lookup: u32) -> Result<Vec<String>, Errno> {
    let count = guest.get("lookup_addrs", &[lookup, DATA, 8, SOON])?;
    let at = (0..count).map(|at| DATA + at * 28);
    Ok(at.map(|at| guest.ip_at(at).to_string()).collect())
}

fn host(guest: &mut Guest, lookup: u32) -> Result<String, Errno> {
    let length = guest.get("lookup_host", &[lookup, DATA, 255, SOON])?;
    let bytes = guest.read(DATA, length as usize);
    Ok(String::from_utf8(bytes).unwrap())
}

#[test]
fn localhost_is_looked_up_while_waiting_for_all_else() {
    let mut guest = Guest::new(allow_loopback());
    let lookup = start(&mut guest, "LocalHost.", AF_INET).unwrap();
    assert_eq!(
        guest.poll(&[(lookup, EVENT_IN)], SOON),
        Ok((1, vec![EVENT_IN]))
    );
    // The answer can be collected any number of times, without waiting.
    for _ in 0..2 {
        let found = addresses(&mut guest, lookup).unwrap();
        assert_eq!(found, ["127.0.0.1:0"]);
    }
    assert!(!host(&mut guest, lookup).unwrap().is_empty());
    guest
        .call("lookup_addrs", &[lookup, DATA, 0, 0, OUT])
        .unwrap();
    assert_eq!(guest.read_u32(OUT), 0);
}

#[test]
fn lookup_wakes_an_interest_set() {
    let mut guest = Guest::new(allow_loopback());
    let set = guest.get("interest_create", &[]).unwrap();
    let lookup = start(&mut guest, "localhost", 0).unwrap();
    guest
        .call("interest_ctl", &[set, 1, lookup, EVENT_IN, 5])
        .unwrap();
    assert_eq!(guest.wait(set, SOON), Ok(vec![(5, EVENT_IN)]));
}

#[test]
fn literal_address_asks_nobody_and_needs_no_grant() {
    let mut guest = Guest::with(SocketsCtx::builder(Policy::new()).max_sockets(8));
    for (name, family, found) in [
        ("192.0.2.1", 0, "192.0.2.1:0"),
        ("192.0.2.1", AF_INET, "192.0.2.1:0"),
        ("2001:db8::1", AF_INET6, "[2001:db8::1]:0"),
    ] {
        let lookup = start(&mut guest, name, family).unwrap();
        assert_eq!(
            guest.poll(&[(lookup, EVENT_IN)], 0),
            Ok((1, vec![EVENT_IN]))
        );
        assert_eq!(addresses(&mut guest, lookup).unwrap(), [found]);
        assert_eq!(host(&mut guest, lookup).unwrap(), name);
    }
    let lookup = start(&mut guest, "192.0.2.1", AF_INET6).unwrap();
    assert_eq!(addresses(&mut guest, lookup), Err(Errno::ENOENT));
    for name in ["127.1", "a b", "", "\u{ff}"] {
        assert_eq!(start(&mut guest, name, 0), Err(Errno::ENOENT));
    }
}

#[test]
fn name_that_no_rule_covers_is_never_sent_to_a_resolver() {
    let mut guest = Guest::new(allow_loopback());
    assert_eq!(start(&mut guest, "example.com", 0), Err(Errno::EACCES));
    assert_eq!(
        guest.denials(),
        ["look-up of example.com denied: needs --allow-net=example.com"]
    );
}

#[test]
fn address_has_a_name_under_a_grant() {
    let mut guest = Guest::new(Policy::new().allow("127.0.0.0/8:1").unwrap());
    guest.write_address("127.0.0.1:0".parse().unwrap());
    let lookup = guest.get("lookup_addr", &[ADDRESS]).unwrap();
    // The name depends on the machine.
    match host(&mut guest, lookup) {
        Ok(name) => assert!(!name.is_empty()),
        Err(errno) => assert_eq!(errno, Errno::ENOENT),
    }
    assert_eq!(addresses(&mut guest, lookup), Err(Errno::EINVAL));
    guest.write_address("192.0.2.1:0".parse().unwrap());
    let other = guest.get("lookup_addr", &[ADDRESS]);
    assert_eq!(other, Err(Errno::EACCES));
    assert_eq!(
        guest.denials(),
        ["look-up of address 192.0.2.1 denied: needs --allow-lookup=192.0.2.1"]
    );
}

#[test]
fn closed_lookups_leave_nothing_behind() {
    let mut guest = Guest::new(allow_loopback());
    for _ in 0..50 {
        let lookup = start(&mut guest, "localhost", 0).unwrap();
        guest.call("sock_close", &[lookup]).unwrap();
        let result = guest.call("lookup_addrs", &[lookup, DATA, 8, SOON, OUT]);
        assert_eq!(result, Err(Errno::EBADF));
    }
}
