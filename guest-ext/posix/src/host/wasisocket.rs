//! The wasisocket host: two of the core six, and `wasisocket_v1` (see `wasisocket_abi`).

use std::net::{self, IpAddr};

use wasisocket_abi::v1::{
    AeadNonce, AeadTag, Ancillary, Event, Interface, Pair, PollEntry, ReceivedRight, RecordLock,
    Right, SHA256_STATE_LEN, SocketAddr, SocketOption, Space, X25519Bytes,
};
use wasisocket_abi::{Errno, RESOLVE_MAX, v1};

use super::import::{self, Data};
use super::{
    Address, Buffers, Host, Message, Receiving, Result, Sending, after, attempt_until, until,
};
use crate::signals;
use crate::threads;
use crate::threads::in_use::{self, InUse};

pub(crate) enum Wasisocket {}

/// A call that may wait for these events of a handle, in `attempt` with a timeout. With several threads the others run
/// meanwhile: then it is attempted without waiting, again and again.
fn waiting<R>(
    handle: u32,
    events: u32,
    timeout: i64,
    mut attempt: impl FnMut(i64) -> Result<R>,
) -> Result<R> {
    if timeout == 0 {
        return attempt(0);
    }
    if threads::several() || signals::is_timed() {
        return attempt_until(handle, events, timeout, || attempt(0));
    }
    let end = after(timeout);
    match attempt(timeout) {
        Err(Errno::EINTR) if !signals::deliver() => {
            attempt_until(handle, events, until(end), || attempt(0))
        }
        result => result,
    }
}

/// An answer that a call waits for, with this handle, and that signals do not keep it from: their handlers run meanwhile.
fn awaited<R>(handle: u32, timeout: i64, mut attempt: impl FnMut(i64) -> Result<R>) -> Result<R> {
    loop {
        match waiting(handle, v1::EVENT_IN, timeout, &mut attempt) {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

/// What of `data` comes after so many bytes.
fn rest_of<'a>(data: &[&'a [u8]], mut done: usize) -> Vec<&'a [u8]> {
    let mut rest = Vec::with_capacity(data.len());
    for piece in data {
        let (_, left) = piece.split_at(done.min(piece.len()));
        done = done.saturating_sub(piece.len());
        if !left.is_empty() {
            rest.push(left);
        }
    }
    rest
}

impl Host for Wasisocket {
    const CAN_WAIT: bool = true;

    fn open(family: u32, ty: u32, protocol: u32) -> Result<u32> {
        match protocol {
            0 => import::sock_open(family, ty),
            protocol => import::sock_open_protocol(family, ty, protocol),
        }
    }

    fn close(handle: u32) -> Result<()> {
        match in_use::closes_later(handle) {
            true => Ok(()),
            false => import::sock_close(handle),
        }
    }

    fn pair(ty: u32) -> Result<[u32; 2]> {
        let Pair { first, second } = import::sock_pair(ty)?;
        Ok([first, second])
    }

    fn dup(handle: u32) -> Result<u32> {
        import::sock_dup(handle)
    }

    fn bind(handle: u32, address: &Address) -> Result<()> {
        import::sock_bind(handle, &address.into())
    }

    fn listen(handle: u32, backlog: u32) -> Result<()> {
        import::sock_listen(handle, backlog)
    }

    fn accept(handle: u32, timeout: i64) -> Result<(u32, Address)> {
        let accept = |timeout| import::sock_accept(handle, timeout);
        let (address, accepted) = waiting(handle, v1::EVENT_IN, timeout, accept)?;
        Ok((accepted, address.try_into()?))
    }

    fn connect(handle: u32, address: &Address, timeout: i64) -> Result<()> {
        let address = address.into();
        waiting(handle, v1::EVENT_OUT, timeout, |timeout| {
            import::sock_connect_to(handle, &address, timeout)
        })
    }

    fn shutdown(handle: u32, how: u32) -> Result<()> {
        import::sock_shutdown(handle, how)
    }

    fn getsockname(handle: u32) -> Result<Address> {
        import::sock_getsockname(handle)?.try_into()
    }

    fn getpeername(handle: u32) -> Result<Address> {
        import::sock_getpeername(handle)?.try_into()
    }

    fn send(call: &Sending, data: &[&[u8]], ancillary: Option<&Ancillary>) -> Result<usize> {
        let Sending {
            handle,
            flags,
            timeout,
            ..
        } = *call;
        let to = call.to.as_ref().map(v1::Addr::from);
        let send = |data: &[&[u8]], timeout| {
            let data = Data::new(data);
            let sent = waiting(handle, v1::EVENT_OUT, timeout, |timeout| {
                import::sock_sendmsg(handle, &data, to.as_ref(), ancillary, flags, timeout)
            })?;
            Ok(sent as usize)
        };
        if timeout == 0 || !threads::several() {
            return send(data, timeout);
        }
        // An attempt that does not wait may send a part. The time is that of all together.
        let end = after(timeout);
        let _in_use = InUse::new([handle]);
        let mut sent = send(data, timeout)?;
        loop {
            let rest = rest_of(data, sent);
            if rest.is_empty() {
                return Ok(sent);
            }
            match send(&rest, until(end)) {
                Ok(0) | Err(_) => return Ok(sent),
                Ok(more) => sent = sent.saturating_add(more),
            }
        }
    }

    fn recv(call: &Receiving, buffers: &mut Buffers<'_>) -> Result<Message> {
        let mut from = call.want.address.then(v1::Addr::default);
        let mut ancillary = call.want.ancillary.then(Ancillary::default);
        let buffers = import::Buffers::new(buffers);
        let received = waiting(call.handle, v1::EVENT_IN, call.timeout, |timeout| {
            import::sock_recvmsg(
                call.handle,
                &buffers,
                from.as_mut(),
                ancillary.as_mut(),
                call.flags,
                timeout,
            )
        })?;
        Ok(Message {
            bytes: received.bytes as usize,
            flags: received.flags,
            from: from.unwrap_or_default().try_into()?,
            ancillary: ancillary.unwrap_or_default(),
        })
    }

    fn send_rights(call: &Sending, data: &[&[u8]], rights: &[Right]) -> Result<usize> {
        let to = call.to.as_ref().map(v1::Addr::from);
        let data = Data::new(data);
        let sent = import::sock_send_rights(call.handle, &data, to.as_ref(), rights, call.flags)?;
        Ok(sent as usize)
    }

    fn recv_rights(
        call: &Receiving,
        buffers: &mut Buffers<'_>,
        rights: &mut [ReceivedRight],
    ) -> Result<(Message, usize)> {
        let mut from = call.want.address.then(v1::Addr::default);
        let buffers = import::Buffers::new(buffers);
        let (handle, from_room) = (call.handle, from.as_mut());
        let received = import::sock_recv_rights(handle, &buffers, from_room, rights, call.flags)?;
        let message = Message {
            bytes: received.bytes as usize,
            flags: received.flags,
            from: from.unwrap_or_default().try_into()?,
            ancillary: Ancillary::default(),
        };
        Ok((message, received.count as usize))
    }

    fn file_lock(file: u32, kind: u32, start: i64, length: i64) -> Result<()> {
        import::file_lock(file, kind, start, length)
    }

    fn file_lock_get(file: u32, kind: u32, start: i64, length: i64) -> Result<RecordLock> {
        import::file_lock_get(file, kind, start, length)
    }

    fn file_flock(file: u32, kind: u32) -> Result<()> {
        import::file_flock(file, kind)
    }

    fn file_space(file: u32) -> Result<Space> {
        import::file_space(file)
    }

    fn file_refused(path: &[u8], writes: bool) -> Result<()> {
        import::file_refused(path, writes.into())
    }

    fn getsockopt(handle: u32, option: SocketOption) -> Result<i64> {
        import::sock_getsockopt(handle, option.0)
    }

    fn setsockopt(handle: u32, option: SocketOption, value: i64) -> Result<()> {
        import::sock_setsockopt(handle, option.0, value)
    }

    fn membership(handle: u32, join: bool, group_interface: [net::SocketAddr; 2]) -> Result<()> {
        let [group, interface] = group_interface.map(SocketAddr::from);
        import::sock_membership(handle, u32::from(join), &group, &interface)
    }

    fn poll(entries: &mut [PollEntry], timeout: i64) -> Result<usize> {
        if timeout == 0 {
            return Self::look(entries, 0);
        }
        if !threads::several() {
            return signals::poll(entries, timeout);
        }
        let end = after(timeout);
        let _in_use = InUse::new(entries.iter().map(|entry| entry.handle));
        loop {
            let ready = match entries.is_empty() {
                true => 0,
                false => Self::look(entries, 0)?,
            };
            // What has come may be gone again: another thread took it.
            if ready > 0 || !threads::wait_for(entries, end)? {
                return Ok(ready);
            }
        }
    }

    fn wait(entries: &mut [PollEntry], timeout: i64) -> Result<usize> {
        match threads::several() {
            true => threads::wait_for(entries, after(timeout)).map(usize::from),
            false => signals::poll(entries, timeout),
        }
    }

    fn look(entries: &mut [PollEntry], timeout: i64) -> Result<usize> {
        Ok(import::sock_poll(entries, timeout)? as usize)
    }

    fn interest_create() -> Result<u32> {
        import::interest_create()
    }

    fn interest_ctl(set: u32, op: u32, handle: u32, events: u32, data: u64) -> Result<()> {
        import::interest_ctl(set, op, handle, events, data.cast_signed())
    }

    fn interest_wait(set: u32, events: &mut [Event], timeout: i64) -> Result<usize> {
        let count = waiting(
            set,
            v1::EVENT_IN,
            timeout,
            |timeout| match import::interest_wait(set, events, timeout)? {
                0 => Err(Errno::EAGAIN),
                count => Ok(count as usize),
            },
        );
        match count {
            Err(Errno::EAGAIN) => Ok(0),
            count => count,
        }
    }

    fn lookup_name(name: &[u8], family: u32) -> Result<u32> {
        import::lookup_name(name, family)
    }

    fn lookup_addr(address: IpAddr) -> Result<u32> {
        import::lookup_addr(&net::SocketAddr::new(address, 0).into())
    }

    fn lookup_addrs(lookup: u32, timeout: i64) -> Result<Vec<IpAddr>> {
        let mut addresses = [SocketAddr::default(); RESOLVE_MAX];
        let count = awaited(lookup, timeout, |timeout| {
            import::lookup_addrs(lookup, &mut addresses, timeout)
        })?;
        let found = addresses.iter().take(count as usize);
        found
            .map(|address| Ok(net::SocketAddr::try_from(*address)?.ip()))
            .collect()
    }

    fn lookup_host(lookup: u32, name: &mut [u8], timeout: i64) -> Result<usize> {
        let length = awaited(lookup, timeout, |timeout| {
            import::lookup_host(lookup, name, timeout)
        })?;
        Ok(length as usize)
    }

    fn call_start(request: &[u8]) -> Result<u32> {
        import::call_start(request)
    }

    fn call_answer(call: u32, answer: &mut [u8], timeout: i64) -> Result<usize> {
        let length = awaited(call, timeout, |timeout| {
            import::call_answer(call, answer, timeout)
        })?;
        Ok(length as usize)
    }

    fn net_interfaces(entries: &mut [Interface]) -> Result<usize> {
        Ok(import::net_interfaces(entries)? as usize)
    }

    fn aead_seal(
        algorithm: u32,
        key: &[u8],
        nonce: AeadNonce,
        aad: &[u8],
        message: &mut [u8],
    ) -> Result<AeadTag> {
        import::aead_seal(algorithm, key, &nonce, aad, message)
    }

    fn aead_open(
        algorithm: u32,
        key: &[u8],
        nonce: AeadNonce,
        aad: &[u8],
        message: &mut [u8],
        tag: AeadTag,
    ) -> Result<()> {
        import::aead_open(algorithm, key, &nonce, aad, message, &tag)
    }

    fn ecdsa_verify(group: u32, key: &[u8], digest: &[u8], signature: &[u8]) -> Result<()> {
        import::ecdsa_verify(group, key, digest, signature)
    }

    fn x25519(private: &X25519Bytes, public: &X25519Bytes) -> Result<X25519Bytes> {
        import::x25519(private, public)
    }

    fn sha256_blocks(state: &mut [u8; SHA256_STATE_LEN], data: &[u8]) -> Result<()> {
        import::sha256_blocks(state, data)
    }

    fn signals_take(handled: u64) -> Result<u64> {
        Ok(import::signals_take(handled.cast_signed())?.cast_unsigned())
    }

    fn thread_create(stack: u32) -> Result<u32> {
        import::thread_create(stack)
    }

    fn thread_switch(thread: u32) -> Result<()> {
        import::thread_switch(thread)
    }

    fn thread_drop(thread: u32) -> Result<()> {
        import::thread_drop(thread)
    }
}
