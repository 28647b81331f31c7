//! Locks of files, and the space of file systems.

use wasisocket_abi::Errno;
use wasisocket_abi::v1::{PATH_MAX, RecordLock, Space};

use super::Call;
use crate::ctx::{Files, Range, flock_file};
use crate::guest_memory::Slice;

impl<F: Files> Call<'_, F> {
    pub(super) fn file_lock(
        &mut self,
        file: u32,
        kind: u32,
        start: i64,
        len: i64,
    ) -> Result<(), Errno> {
        let range = Range { kind, start, len };
        self.sockets.lock(self.files.as_deref_mut(), file, range)
    }

    pub(super) fn file_lock_get(
        &mut self,
        file: u32,
        kind: u32,
        start: i64,
        len: i64,
    ) -> Result<RecordLock, Errno> {
        let range = Range { kind, start, len };
        self.sockets
            .conflicting_lock(self.files.as_deref_mut(), file, range)
    }

    pub(super) fn file_flock(&mut self, file: u32, kind: u32) -> Result<(), Errno> {
        flock_file(self.files.as_deref_mut(), file, kind)
    }

    pub(super) fn file_refused(&mut self, path: Slice<u8>, writes: u32) -> Result<(), Errno> {
        if path.count() > PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let writes = match writes {
            0 => false,
            1 => true,
            _ => return Err(Errno::EINVAL),
        };
        let path = self.memory.bytes(path)?;
        self.sockets.file_refused(path, writes);
        Ok(())
    }

    pub(super) fn file_space(&mut self, file: u32) -> Result<Space, Errno> {
        self.sockets.space(self.files.as_deref_mut(), file)
    }
}
