//! Multicast groups, and the interfaces that they are joined on.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd as _;

use nix::net::if_::if_nameindex;
use rustix::io::Errno as SystemErrno;
use rustix::net::sockopt;
use socket2::SockRef;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{INTERFACES_MAX, Interface};

use super::socket::{Family, Socket};
use crate::errno::{from_nix, from_system};

impl Socket {
    /// Joins or leaves a group: IP_ADD_MEMBERSHIP and its three siblings. An IPv4 interface is given by one of its
    /// addresses, an IPv6 interface by its index, in the scope.
    pub(crate) fn membership(
        &self,
        join: bool,
        group: SocketAddr,
        interface: SocketAddr,
    ) -> Result<(), Errno> {
        let fd = self.as_fd();
        let done = match (group.ip(), interface) {
            (IpAddr::V4(group), SocketAddr::V4(interface)) => match join {
                true => sockopt::set_ip_add_membership(fd, &group, interface.ip()),
                false => sockopt::set_ip_drop_membership(fd, &group, interface.ip()),
            },
            (IpAddr::V6(group), SocketAddr::V6(interface)) => match join {
                true => sockopt::set_ipv6_add_membership(fd, &group, interface.scope_id()),
                false => sockopt::set_ipv6_drop_membership(fd, &group, interface.scope_id()),
            },
            _ => return Err(Errno::EINVAL),
        };
        done.map_err(from_system)
    }

    /// Lets a UDP socket receive only from groups that it joined itself. Linux's default is all groups that any
    /// socket of the machine joined (ip(7), IP_MULTICAST_ALL).
    pub(super) fn hear_own_groups_only(&self) -> Result<(), Errno> {
        let socket = SockRef::from(self);
        // An IPv6 socket receives from IPv4 groups too.
        let v4 = socket.set_multicast_all_v4(false);
        let v6 = match self.family() {
            Family::V6 => socket.set_multicast_all_v6(false),
            _ => Ok(()),
        };
        v4.and(v6).map_err(|error| {
            let system = SystemErrno::from_io_error(&error);
            system.map_or(Errno::EIO, from_system)
        })
    }
}

/// The host's network interfaces, at most [`INTERFACES_MAX`]: if_nameindex(3), which asks the kernel. /sys may be
/// missing, and lists only the interfaces of the network namespace that it was mounted in.
pub(crate) fn interfaces() -> Result<Vec<Interface>, Errno> {
    let interfaces = if_nameindex().map_err(|errno| from_system(from_nix(errno)))?;
    Ok(interfaces
        .iter()
        .take(INTERFACES_MAX)
        .map(|interface| {
            let mut name = [0; 16];
            // IFNAMSIZ counts the final zero.
            name.iter_mut()
                .take(15)
                .zip(interface.name().to_bytes())
                .for_each(|(place, byte)| *place = *byte);
            Interface {
                index: interface.index(),
                name,
            }
        })
        .collect())
}
