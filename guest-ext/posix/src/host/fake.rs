//! A host in memory, for native unit tests: every peer echoes, port 1 refuses connections.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use wasisocket_abi::v1::{Ancillary, EVENT_IN, EVENT_NVAL, EVENT_OUT, PollEntry};
use wasisocket_abi::{AF_INET, Errno, FIRST_HANDLE, SOCK_DGRAM};

use super::{Address, Buffers, Host, Message, Receiving, Result, Sending};

pub(crate) enum Fake {}

/// The port that refuses a connection.
const REFUSING_PORT: u16 = 1;

/// What was sent and not yet received; `None` before `connect`.
type Echo = Option<VecDeque<u8>>;

thread_local! {
    static SOCKETS: RefCell<BTreeMap<u32, Echo>> = const { RefCell::new(BTreeMap::new()) };
}

fn with<T>(handle: u32, call: impl FnOnce(&mut Echo) -> Result<T>) -> Result<T> {
    SOCKETS.with_borrow_mut(|sockets| sockets.get_mut(&handle).ok_or(Errno::EBADF).and_then(call))
}

pub(crate) fn close_file(_number: u32) -> Result<()> {
    Ok(())
}

pub(crate) fn working_folder() -> Option<Vec<u8>> {
    Some(b"/folder".to_vec())
}

impl Host for Fake {
    const CAN_WAIT: bool = true;

    fn open(_af: u32, ty: u32, _protocol: u32) -> Result<u32> {
        if ty > SOCK_DGRAM {
            return Err(Errno::EINVAL);
        }
        SOCKETS.with_borrow_mut(|sockets| {
            let handle = (FIRST_HANDLE..)
                .find(|handle| !sockets.contains_key(handle))
                .ok_or(Errno::EMFILE)?;
            sockets.insert(handle, None);
            Ok(handle)
        })
    }

    fn close(handle: u32) -> Result<()> {
        SOCKETS.with_borrow_mut(|sockets| sockets.remove(&handle).map(drop).ok_or(Errno::EBADF))
    }

    fn pair(ty: u32) -> Result<[u32; 2]> {
        Ok([Self::open(AF_INET, ty, 0)?, Self::open(AF_INET, ty, 0)?])
    }

    fn connect(handle: u32, address: &Address, _timeout: i64) -> Result<()> {
        with(handle, |echo| match (echo.is_some(), address) {
            (true, _) => Err(Errno::EISCONN),
            (_, Address::Inet(address)) if address.port() == REFUSING_PORT => {
                Err(Errno::ECONNREFUSED)
            }
            _ => {
                *echo = Some(VecDeque::new());
                Ok(())
            }
        })
    }

    fn send(call: &Sending, data: &[&[u8]], _ancillary: Option<&Ancillary>) -> Result<usize> {
        with(call.handle, |echo| {
            let echo = echo.as_mut().ok_or(Errno::EPIPE)?;
            let before = echo.len();
            data.iter().for_each(|piece| echo.extend(*piece));
            Ok(echo.len().saturating_sub(before))
        })
    }

    fn recv(call: &Receiving, buffers: &mut Buffers<'_>) -> Result<Message> {
        with(call.handle, |echo| {
            let waiting = echo.as_mut().ok_or(Errno::ENOTCONN)?;
            if waiting.is_empty() && call.timeout >= 0 {
                return Err(Errno::EAGAIN);
            }
            let mut bytes: usize = 0;
            for to in buffers.iter_mut().flat_map(|buffer| buffer.iter_mut()) {
                let Some(from) = waiting.pop_front() else {
                    break;
                };
                to.write(from);
                bytes = bytes.saturating_add(1);
            }
            Ok(Message {
                bytes,
                ..Message::default()
            })
        })
    }

    fn resolve(name: &[u8], _family: u32) -> Result<Vec<IpAddr>> {
        match name {
            b"host.example" => Ok(vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()]),
            _ => Err(Errno::ENOENT),
        }
    }

    fn poll(entries: &mut [PollEntry], _timeout: i64) -> Result<usize> {
        let mut ready: usize = 0;
        for entry in entries {
            let there = with(entry.handle, |echo| {
                let data = echo.as_ref().is_some_and(|echo| !echo.is_empty());
                Ok(if data {
                    EVENT_IN | EVENT_OUT
                } else {
                    EVENT_OUT
                })
            });
            entry.revents = match there {
                Ok(events) => events as u16 & entry.events,
                Err(_) => EVENT_NVAL as u16,
            };
            ready = ready.saturating_add(usize::from(entry.revents != 0));
        }
        Ok(ready)
    }
}
