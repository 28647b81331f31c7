//! Ancillary data of datagrams over IPv6 (RFC 3542). With nix, as rustix has no such control messages.

use std::io::IoSliceMut;
use std::net::{SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd as _, AsRawFd as _};

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
};
use rustix::io::Result;
use rustix::net::{RecvFlags, SendFlags};
use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{ANCILLARY_HOP_LIMIT, ANCILLARY_TRAFFIC_CLASS, Ancillary};

use super::message::{Buffers, Data, Destination, Incoming};
use super::socket::{Family, Kind, Socket};
use crate::errno::from_nix;

/// Room for control messages, aligned as their headers are. The two that a guest can ask for take 48 bytes.
#[repr(C, align(8))]
struct ControlRoom([u8; 128]);

impl Socket {
    /// Do its datagrams have a hop limit and a traffic class?
    pub(super) fn has_ancillary(&self) -> bool {
        (self.family(), self.kind()) == (Family::V6, Kind::Datagram)
    }

    /// EINVAL for what this socket cannot send.
    pub(crate) fn check_ancillary(&self, ancillary: &Ancillary) -> std::result::Result<(), Errno> {
        if ancillary.present & !(ANCILLARY_HOP_LIMIT | ANCILLARY_TRAFFIC_CLASS) != 0 {
            return Err(Errno::EINVAL);
        }
        let values = [hop_limit(ancillary), traffic_class(ancillary)];
        let all_fit = values
            .into_iter()
            .flatten()
            .all(|value| (-1..=255).contains(value));
        match ancillary.present {
            0 => Ok(()),
            _ if self.has_ancillary() && all_fit => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    /// sendmsg(2) with ancillary data that passed [`Socket::check_ancillary`].
    pub(super) fn send_with_ancillary(
        &self,
        data: Data<'_>,
        to: &Destination,
        ancillary: &Ancillary,
        flags: SendFlags,
    ) -> Result<usize> {
        // -1 is the default, so no message is sent. Linux takes a traffic class of -1 for 255.
        let hop_limit = hop_limit(ancillary).filter(|value| **value >= 0);
        let traffic_class = traffic_class(ancillary).filter(|value| **value >= 0);
        let mut control: SmallVec<[ControlMessage<'_>; 2]> = SmallVec::new();
        control.extend(hop_limit.map(ControlMessage::Ipv6HopLimit));
        control.extend(traffic_class.map(ControlMessage::Ipv6TClass));
        let to = match to {
            Destination::Ip(SocketAddr::V4(to)) => Some(SockaddrStorage::from(*to)),
            Destination::Ip(SocketAddr::V6(to)) => {
                Some(SockaddrStorage::from(with_flowinfo_swapped(*to)))
            }
            Destination::Peer | Destination::Unix(_) => None,
        };
        let flags = MsgFlags::from_bits_retain(flags.bits().cast_signed());
        let fd = self.as_fd().as_raw_fd();
        data.with_vector(|data| sendmsg(fd, data, &control, flags, to.as_ref()))
            .map_err(from_nix)
    }

    /// recvmsg(2) with the sender and the ancillary data that socket options ask for.
    pub(super) fn recv_with_ancillary(
        &self,
        buffers: &mut Buffers<'_, '_>,
        flags: RecvFlags,
    ) -> Result<Incoming> {
        let room = buffers.room();
        let incoming = buffers.with_vector(|buffers| self.recv_vector(buffers, flags))?;
        Ok(Incoming {
            truncated: incoming.length > room,
            ..incoming
        })
    }

    fn recv_vector(&self, buffers: &mut [IoSliceMut<'_>], flags: RecvFlags) -> Result<Incoming> {
        let mut room = ControlRoom([0; 128]);
        let flags = MsgFlags::from_bits_retain(flags.bits().cast_signed());
        let fd = self.as_fd().as_raw_fd();
        let message =
            recvmsg::<SockaddrIn6>(fd, buffers, Some(&mut room.0), flags).map_err(from_nix)?;
        let mut ancillary = Ancillary::default();
        // Messages are cut off only if there are others, which no option asked for.
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::Ipv6HopLimit(value) => {
                    ancillary.present |= ANCILLARY_HOP_LIMIT;
                    ancillary.hop_limit = value;
                }
                ControlMessageOwned::Ipv6TClass(value) => {
                    ancillary.present |= ANCILLARY_TRAFFIC_CLASS;
                    ancillary.traffic_class = value;
                }
                _ => {}
            }
        }
        let from = message.address.map(SocketAddrV6::from);
        Ok(Incoming {
            length: message.bytes,
            truncated: false,
            out_of_band: false,
            from: from.map(|from| SocketAddr::V6(with_flowinfo_swapped(from)).into()),
            ancillary,
        })
    }
}

fn hop_limit(ancillary: &Ancillary) -> Option<&i32> {
    (ancillary.present & ANCILLARY_HOP_LIMIT != 0).then_some(&ancillary.hop_limit)
}

fn traffic_class(ancillary: &Ancillary) -> Option<&i32> {
    (ancillary.present & ANCILLARY_TRAFFIC_CLASS != 0).then_some(&ancillary.traffic_class)
}

/// nix has flow info as the kernel has it, in network order; rustix has it as a number.
fn with_flowinfo_swapped(address: SocketAddrV6) -> SocketAddrV6 {
    SocketAddrV6::new(
        *address.ip(),
        address.port(),
        address.flowinfo().to_be(),
        address.scope_id(),
    )
}
