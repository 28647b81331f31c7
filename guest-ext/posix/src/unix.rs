//! Paths of Unix sockets. Programs may use relative paths; the host gets absolute ones.

use std::cell::RefCell;
use std::collections::VecDeque;

use wasisocket_abi::v1::UnixAddr;

use crate::host::{self, Address};
use crate::{Errno, Result};

/// Most spellings that are remembered; the oldest are dropped first.
const SPELLINGS_MAX: usize = 256;

/// A path that this guest used: absolute, and as the program spelled it.
type Spelling = (UnixAddr, UnixAddr);

thread_local! {
    static SPELLINGS: RefCell<VecDeque<Spelling>> = const { RefCell::new(VecDeque::new()) };
}

/// The address with an absolute path: a relative one is resolved against the working directory.
///
/// # Errors
/// ENAMETOOLONG if the absolute path is too long; ENOENT without a working directory.
pub(crate) fn absolute(address: &Address) -> Result<Address> {
    let Address::Unix(given) = address else {
        return Ok(*address);
    };
    let path = given.path()?;
    if path.first() == Some(&b'/') {
        return Ok(*address);
    }
    let mut whole = host::working_folder().ok_or(Errno(libc::ENOENT))?;
    if whole.last() != Some(&b'/') {
        whole.push(b'/');
    }
    whole.extend_from_slice(path);
    let absolute = UnixAddr::new(&whole)?;
    remember(absolute, *given);
    Ok(Address::Unix(absolute))
}

fn remember(absolute: UnixAddr, given: UnixAddr) {
    // It cannot fail: there is one thread, and no call in here uses the list again.
    let _ = SPELLINGS.try_with(|spellings| {
        if let Ok(mut spellings) = spellings.try_borrow_mut() {
            spellings.retain(|(known, _)| *known != absolute);
            if spellings.len() == SPELLINGS_MAX {
                spellings.pop_front();
            }
            spellings.push_back((absolute, given));
        }
    });
}

/// The host's address with the path as the program spelled it: the kernel returns the path that was bound unchanged
/// (unix(7)).
pub(crate) fn as_spelled(address: Address) -> Address {
    let Address::Unix(absolute) = address else {
        return address;
    };
    let spelled = SPELLINGS.try_with(|spellings| {
        let spellings = spellings.try_borrow().ok()?;
        let mut known = spellings.iter();
        known
            .find(|(known, _)| *known == absolute)
            .map(|(_, given)| Address::Unix(*given))
    });
    spelled.ok().flatten().unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::{Address, UnixAddr, absolute, as_spelled};

    fn unix(path: &str) -> Address {
        Address::Unix(UnixAddr::new(path.as_bytes()).unwrap())
    }

    #[test]
    fn relative_paths_become_absolute_and_come_back_as_they_were() {
        assert_eq!(absolute(&unix("a/../b")), Ok(unix("/folder/a/../b")));
        assert_eq!(as_spelled(unix("/folder/a/../b")), unix("a/../b"));
        assert_eq!(as_spelled(unix("/folder/other")), unix("/folder/other"));
        assert_eq!(absolute(&unix("/c")), Ok(unix("/c")));
        assert!(absolute(&unix(&"x".repeat(105))).is_err());
    }
}
