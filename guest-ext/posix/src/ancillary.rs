//! Ancillary data in C's form: a sequence of `struct cmsghdr`, each followed by its data (cmsg(3)).

// On other targets only the tests use it, because the C ABI is built for WASI only.
#![cfg_attr(not(target_os = "wasi"), allow(dead_code))]

use wasisocket_abi::v1::{ANCILLARY_HOP_LIMIT, ANCILLARY_TRAFFIC_CLASS, Ancillary, RIGHTS_MAX};

use crate::sys::{IPPROTO_IPV6, IPV6_HOPLIMIT, IPV6_TCLASS, SCM_RIGHTS, SOL_SOCKET, cmsghdr};
use crate::{Errno, RawFd, Result};

const HEADER: usize = size_of::<cmsghdr>();
/// Header and data are aligned like `size_t`, which has the size of an `int` here, so a header with an int needs no
/// padding.
const WITH_INT: usize = HEADER + INT;
const INT: usize = size_of::<i32>();
const ALIGN: usize = 4;

/// Ancillary data to send with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Control {
    /// Hop limit and traffic class, if there are any.
    pub(crate) ancillary: Option<Ancillary>,
    /// The descriptors of all SCM_RIGHTS messages.
    pub(crate) rights: Vec<RawFd>,
}

/// Reads the ancillary data of sendmsg(2).
///
/// # Errors
/// EINVAL for an invalid header, for more descriptors than Linux accepts, and for anything but descriptors, a hop limit
/// and a traffic class.
pub(crate) fn read(mut control: &[u8]) -> Result<Control> {
    let invalid = Errno(libc::EINVAL);
    let mut ancillary = Ancillary::default();
    let mut rights = Vec::new();
    while let Some((header, _)) = control.split_first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, v0, v1, v2, v3, t0, t1, t2, t3] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let level = i32::from_ne_bytes([v0, v1, v2, v3]);
        let kind = i32::from_ne_bytes([t0, t1, t2, t3]);
        let data = control.get(HEADER..length).ok_or(invalid)?;
        let value = || <[u8; INT]>::try_from(data).map_err(|_| invalid);
        match (level, kind) {
            (IPPROTO_IPV6, IPV6_HOPLIMIT) => {
                ancillary.present |= ANCILLARY_HOP_LIMIT;
                ancillary.hop_limit = i32::from_ne_bytes(value()?);
            }
            (IPPROTO_IPV6, IPV6_TCLASS) => {
                ancillary.present |= ANCILLARY_TRAFFIC_CLASS;
                ancillary.traffic_class = i32::from_ne_bytes(value()?);
            }
            // Bytes beyond the last whole number are ignored: net/core/scm.c, scm_fp_copy.
            (SOL_SOCKET, SCM_RIGHTS) => {
                let fds = data.chunks_exact(INT);
                rights.extend(fds.filter_map(|fd| Some(i32::from_ne_bytes(fd.try_into().ok()?))));
                if rights.len() > RIGHTS_MAX {
                    return Err(invalid);
                }
            }
            _ => return Err(invalid),
        }
        control = control
            .get(length.next_multiple_of(ALIGN)..)
            .unwrap_or_default();
    }
    Ok(Control {
        ancillary: (ancillary.present != 0).then_some(ancillary),
        rights,
    })
}

/// How many descriptors fit into a message of `room` bytes: net/core/scm.c, scm_max_fds.
pub(crate) fn rights_room(room: usize) -> usize {
    room.saturating_sub(HEADER)
        .checked_div(INT)
        .unwrap_or_default()
}

/// The SCM_RIGHTS message for these descriptors; empty without descriptors.
pub(crate) fn write_rights(fds: &[RawFd]) -> Vec<u8> {
    let mut control = Vec::new();
    if !fds.is_empty() {
        let length = HEADER.saturating_add(fds.len().saturating_mul(INT));
        for number in [length as i32, SOL_SOCKET, SCM_RIGHTS].iter().chain(fds) {
            control.extend(number.to_ne_bytes());
        }
    }
    control
}

/// Writes received ancillary data into `room` bytes. Returns true if some of it did not fit and was cut off, as Linux
/// does it (net/core/scm.c, put_cmsg).
pub(crate) fn write(ancillary: &Ancillary, room: usize) -> (Vec<u8>, bool) {
    let mut control = Vec::new();
    let mut cut = false;
    for (present, kind, value) in [
        (ANCILLARY_HOP_LIMIT, IPV6_HOPLIMIT, ancillary.hop_limit),
        (
            ANCILLARY_TRAFFIC_CLASS,
            IPV6_TCLASS,
            ancillary.traffic_class,
        ),
    ] {
        if ancillary.present & present == 0 {
            continue;
        }
        let left = room.saturating_sub(control.len());
        if left < HEADER {
            cut = true;
            continue;
        }
        let length = WITH_INT.min(left);
        cut |= length < WITH_INT;
        let mut message = [0; WITH_INT];
        for (place, number) in
            message
                .chunks_exact_mut(4)
                .zip([length as i32, IPPROTO_IPV6, kind, value])
        {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        control.extend(message.iter().take(length));
    }
    (control, cut)
}

#[cfg(test)]
mod tests {
    use super::{Ancillary, Control, RIGHTS_MAX, read, rights_room, write, write_rights};
    use crate::Errno;

    fn only(ancillary: Ancillary) -> Control {
        Control {
            ancillary: Some(ancillary),
            rights: Vec::new(),
        }
    }

    const BOTH: Ancillary = Ancillary {
        present: 3,
        hop_limit: 7,
        traffic_class: 32,
    };

    #[test]
    fn what_is_written_can_be_read() {
        let (control, cut) = write(&BOTH, 1000);
        assert_eq!((control.len(), cut), (32, false));
        assert_eq!(read(&control), Ok(only(BOTH)));
        assert_eq!(read(&[]), Ok(Control::default()));
    }

    #[test]
    fn what_finds_no_room_is_cut() {
        for (room, length, cut) in [
            (0, 0, true),
            (11, 0, true),
            (12, 12, true),
            (15, 15, true),
            (16, 16, true),
            (27, 16, true),
            (28, 28, true),
            (32, 32, false),
        ] {
            let (control, was_cut) = write(&BOTH, room);
            assert_eq!((control.len(), was_cut), (length, cut), "{room}");
        }
    }

    #[test]
    fn headers_that_cannot_be_are_refused() {
        let (control, _) = write(&BOTH, 1000);
        for byte in 0..12 {
            let mut wrong = control.clone();
            wrong[byte] ^= 0x55;
            assert_eq!(read(&wrong), Err(Errno(libc::EINVAL)), "{byte}");
        }
        assert_eq!(read(&control[..31]), Err(Errno(libc::EINVAL)));
        // Less than a header is padding.
        let mut padded = control.clone();
        padded.extend([0xff; 11]);
        assert_eq!(read(&padded), Ok(only(BOTH)));
    }

    #[test]
    fn descriptors_of_all_messages_are_sent_together() {
        let mut control = [write_rights(&[3, -7]), write_rights(&[1023])].concat();
        assert_eq!(read(&control).unwrap().rights, [3, -7, 1023]);
        // The last message ends inside its number.
        let length = control.len() - 16;
        control[length] = 15;
        assert_eq!(read(&control).unwrap().rights, [3, -7]);
        assert_eq!(read(&control[..length + 15]).unwrap().rights, [3, -7]);
        assert_eq!(write_rights(&[]), []);
        let most = [0; RIGHTS_MAX];
        assert!(read(&write_rights(&most)).is_ok());
        let more = [write_rights(&most), write_rights(&[0])].concat();
        assert_eq!(read(&more), Err(Errno(libc::EINVAL)));
    }

    #[test]
    fn as_many_descriptors_are_taken_as_fit() {
        for (room, count) in [
            (0, 0),
            (12, 0),
            (15, 0),
            (16, 1),
            (19, 1),
            (20, 2),
            (1024, 253),
        ] {
            assert_eq!(rights_room(room), count, "{room}");
        }
    }
}
