//! The files in `/dev` that every program may expect: null(4), full(4), random(4), fd(4).
//!
//! They belong to the guest and need no grant. Like a devtmpfs, `/dev` lies above whatever the host has there.

use crate::{Errno, RawFd, Result};

/// The folder of devices.
pub(crate) const FOLDER: &[u8] = b"/dev";

/// A device that can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Device {
    /// null(4).
    Null,
    /// zero(4).
    Zero,
    /// full(4).
    Full,
    /// random(4).
    Random,
}

/// What a path in `/dev` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Device(Device),
    /// What has this descriptor: fd(4). Opening it duplicates the descriptor, as on BSD: offset and flags are shared.
    Descriptor(RawFd),
    /// `/dev` itself.
    Devices,
    /// `/dev/fd`.
    Descriptors,
    /// tty(4): a guest has no controlling terminal.
    Terminal,
}

/// The names in `/dev`.
const ENTRIES: [(&str, Entry); 10] = [
    ("fd", Entry::Descriptors),
    ("full", Entry::Device(Device::Full)),
    ("null", Entry::Device(Device::Null)),
    ("random", Entry::Device(Device::Random)),
    ("stderr", Entry::Descriptor(2)),
    ("stdin", Entry::Descriptor(0)),
    ("stdout", Entry::Descriptor(1)),
    ("tty", Entry::Terminal),
    ("urandom", Entry::Device(Device::Random)),
    ("zero", Entry::Device(Device::Zero)),
];

/// The names in `/dev`.
pub(crate) fn names() -> impl Iterator<Item = &'static [u8]> {
    ENTRIES.iter().map(|(name, _)| name.as_bytes())
}

/// What a path names: absolute, without links, `.` and `..`. `None` outside of `/dev`.
///
/// # Errors
/// ENOENT for a name that is not in `/dev`; ENOTDIR for one below a device.
pub(crate) fn find(path: &[u8]) -> Option<Result<Entry>> {
    let mut names = path.strip_prefix(FOLDER)?.split(|byte| *byte == b'/');
    // What follows the folder's name is a slash or nothing.
    if names.next() != Some(b"") {
        return None;
    }
    let Some(name) = names.next().filter(|name| !name.is_empty()) else {
        return Some(Ok(Entry::Devices));
    };
    let found = ENTRIES.iter().find(|(other, _)| other.as_bytes() == name);
    let found = found.map(|(_, entry)| *entry);
    let inner = names.next().filter(|name| !name.is_empty());
    Some(match (found, inner, names.next()) {
        (None, ..) => Err(Errno(libc::ENOENT)),
        (Some(entry), None, None) => Ok(entry),
        (Some(Entry::Descriptors), Some(number), None) => number_of(number)
            .map(Entry::Descriptor)
            .ok_or(Errno(libc::ENOENT)),
        (Some(_), ..) => Err(Errno(libc::ENOTDIR)),
    })
}

/// A descriptor's number, as the kernel writes it.
fn number_of(name: &[u8]) -> Option<RawFd> {
    let text = str::from_utf8(name).ok()?;
    let number = text.parse().ok()?;
    (format!("{number}") == text).then_some(number)
}

impl Device {
    /// What a read of it does.
    pub(crate) fn read(self, room: usize) -> Read {
        match self {
            Self::Null => Read::End,
            Self::Zero | Self::Full => Read::Zeros(room),
            Self::Random => Read::Random(room),
        }
    }

    /// How many of these bytes a write takes.
    ///
    /// # Errors
    /// ENOSPC for full(4).
    pub(crate) fn write(self, bytes: usize) -> Result<usize> {
        match self {
            Self::Full if bytes > 0 => Err(Errno(libc::ENOSPC)),
            _ => Ok(bytes),
        }
    }
}

/// What a read of a device returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    End,
    Zeros(usize),
    Random(usize),
}

#[cfg(test)]
mod tests {
    use super::{Device, Entry, Read, find, names};
    use crate::Errno;

    #[test]
    fn paths_name_devices_and_descriptors() {
        for (path, entry) in [
            ("/dev", Entry::Devices),
            ("/dev/", Entry::Devices),
            ("/dev/null", Entry::Device(Device::Null)),
            ("/dev/urandom", Entry::Device(Device::Random)),
            ("/dev/stdout", Entry::Descriptor(1)),
            ("/dev/fd", Entry::Descriptors),
            ("/dev/fd/", Entry::Descriptors),
            ("/dev/fd/17", Entry::Descriptor(17)),
            ("/dev/tty", Entry::Terminal),
        ] {
            assert_eq!(find(path.as_bytes()), Some(Ok(entry)), "{path}");
        }
        for path in ["/de", "/device", "/devices/null", "/", "", "dev/null"] {
            assert_eq!(find(path.as_bytes()), None, "{path}");
        }
        for (path, errno) in [
            ("/dev/nothing", libc::ENOENT),
            ("/dev/nothing/x", libc::ENOENT),
            ("/dev/null/x", libc::ENOTDIR),
            ("/dev/fd/1/x", libc::ENOTDIR),
            ("/dev/fd/x", libc::ENOENT),
            ("/dev/fd/01", libc::ENOENT),
            ("/dev/fd/+1", libc::ENOENT),
            ("/dev/fd/99999999999", libc::ENOENT),
        ] {
            assert_eq!(find(path.as_bytes()), Some(Err(Errno(errno))), "{path}");
        }
        for name in names() {
            assert!(find(&[b"/dev/", name].concat()).is_some_and(|found| found.is_ok()));
        }
    }

    #[test]
    fn devices_do_what_their_man_pages_say() {
        assert_eq!(Device::Null.read(5), Read::End);
        assert_eq!(Device::Zero.read(5), Read::Zeros(5));
        assert_eq!(Device::Full.read(5), Read::Zeros(5));
        assert_eq!(Device::Full.write(5), Err(Errno(libc::ENOSPC)));
        assert_eq!(Device::Full.write(0), Ok(0));
        assert_eq!(Device::Null.write(5), Ok(5));
    }
}
