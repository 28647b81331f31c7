//! Which of wasmtime-wasi's descriptors a number of preview1 stands for.
//!
//! wasmtime-wasi has a table of its own for that and shows it to nobody. It does show the resource table with the
//! descriptors. A new descriptor takes the entry that was freed last, or else the next one, and the only function
//! that makes one for a guest is `path_open`.

use std::fs::File;
use std::mem;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::Arc;

use wasmtime::component::Resource;
use wasmtime::format_err;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::p1::types::{self, Errno};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::{FsPerms, WasiView as _};
use wiggle::{GuestMemory, GuestPtr};

use super::{Failure, Preview1, failure};

/// The first number of a granted folder: those before it are standard input, output and error.
const FIRST_GRANTED: u32 = 3;

/// Entries of a new table that are searched for granted folders, beyond their own count: standard streams have some.
const OTHER_ENTRIES: u32 = 64;

/// A folder of the host's system with a file in it: both are opened to be replaced.
const PLACEHOLDER: (&str, &str) = ("/dev", "null");

/// For calls that read and write no memory.
pub(crate) fn no_memory() -> GuestMemory<'static> {
    GuestMemory::Unshared(&mut [])
}

impl Preview1 {
    /// Finds the granted folders, which a new context numbers in the order of their entries.
    pub(super) fn find_granted(&mut self) {
        let granted = (FIRST_GRANTED..).take_while(|number| {
            let prestat = self.wasi.fd_prestat_get(&mut no_memory(), (*number).into());
            prestat.is_ok()
        });
        let granted: Vec<_> = granted.collect();
        let most = OTHER_ENTRIES.saturating_add(granted.len() as u32);
        let mut folders = (0..most).filter(|entry| self.at(*entry).is_some());
        let entries: Vec<_> = folders.by_ref().take(granted.len()).collect();
        self.entries = granted.into_iter().zip(entries).collect();
    }

    /// A file is opened in a folder.
    pub(super) fn report_opened(&mut self, folder: u32, name: &Path) {
        let Some(opened) = &self.opened else {
            return;
        };
        // The name of a folder that was not granted, but opened, is not known.
        let mut path = [0; super::PATH_MAX as usize];
        let mut memory = GuestMemory::Unshared(&mut path);
        let wasi = &mut self.wasi;
        let length = wasi
            .fd_prestat_get(&mut no_memory(), folder.into())
            .map(|types::Prestat::Dir(folder)| folder.pr_name_len);
        let named = length.and_then(|length| {
            wasi.fd_prestat_dir_name(&mut memory, folder.into(), GuestPtr::new(0), length)?;
            Ok(length as usize)
        });
        let length = named.unwrap_or_default();
        opened(super::paths::from_bytes(&path[..length]).join(name));
    }

    fn at(&mut self, entry: u32) -> Option<&mut Descriptor> {
        let table = self.wasi.ctx().table;
        table.get_mut(&Resource::new_borrow(entry)).ok()
    }

    /// The entry that the next descriptor will have; `None` if the table is full.
    pub(super) fn next_entry(&mut self) -> Option<u32> {
        let table = self.wasi.ctx().table;
        let next = table.push(()).ok()?;
        let entry = next.rep();
        // It was just put there.
        let _ = table.delete(next);
        Some(entry)
    }

    /// A number was given to the descriptor of this entry.
    pub(super) fn remember(&mut self, number: u32, entry: Option<u32>) {
        match entry.filter(|entry| self.at(*entry).is_some()) {
            Some(entry) => self.entries.insert(number, entry),
            None => self.entries.remove(&number),
        };
    }

    /// A number was closed.
    pub(super) fn forget(&mut self, number: u32) {
        self.entries.remove(&number);
        self.listings.forget(number);
    }

    /// A descriptor has another number, in the place of the one that had it.
    pub(super) fn renumber(&mut self, from: u32, to: u32) {
        let entry = self.entries.get(&from).copied();
        self.forget(from);
        self.forget(to);
        self.remember(to, entry);
    }

    /// The file or directory of a number.
    pub(crate) fn descriptor(&mut self, number: u32) -> Option<&mut Descriptor> {
        let entry = *self.entries.get(&number)?;
        self.at(entry)
    }

    /// The number of any directory that is open.
    pub(crate) fn any_directory(&mut self) -> Option<u32> {
        let mut numbers: Vec<_> = self.entries.keys().copied().collect();
        numbers.sort_unstable();
        let mut numbers = numbers.into_iter();
        numbers.find(|number| self.directory(*number).is_ok())
    }

    /// The directory of a number.
    ///
    /// # Errors
    /// EBADF if it is none, as preview1 has it.
    pub(super) fn directory(&mut self, number: u32) -> Result<Dir, Errno> {
        match self.descriptor(number) {
            Some(Descriptor::Dir(folder)) => Ok(folder.clone()),
            _ => Err(Errno::Badf),
        }
    }

    /// Puts a file or directory under a new number: wasmtime-wasi opens another one, in this directory, and it
    /// takes the place of that.
    ///
    /// # Errors
    /// No number is left, or `directory` is none. A trap if wasmtime-wasi gave the number to another entry than it
    /// used to: the guest must not get at the placeholder, nor lose another descriptor.
    pub(crate) async fn put(
        &mut self,
        directory: u32,
        descriptor: Descriptor,
        flags: types::Fdflags,
    ) -> Result<u32, Failure> {
        let (folder, name) = PLACEHOLDER;
        let folder = Arc::new(File::open(folder).map_err(failure)?);
        let name = match &descriptor {
            Descriptor::Dir(_) => Path::new("."),
            Descriptor::File(_) => Path::new(name),
        };
        let mut path = name.as_os_str().as_encoded_bytes().to_vec();
        let length = path.len() as u32;
        self.wasi.set_hostcall_fuel(path.len());

        let Some(Descriptor::Dir(shown)) = self.descriptor(directory) else {
            return Err(Errno::Badf.into());
        };
        let hidden = mem::replace(&mut shown.dir, Arc::clone(&folder));
        let perms = mem::replace(&mut shown.perms, FsPerms::ReadOnly);
        let entry = self.next_entry();
        let mut memory = GuestMemory::Unshared(&mut path);
        let opened = self.wasi.path_open(
            &mut memory,
            directory.into(),
            types::Lookupflags::empty(),
            GuestPtr::new((0, length)),
            types::Oflags::empty(),
            types::Rights::FD_READ,
            types::Rights::empty(),
            flags,
        );
        let opened = opened.await;
        if let Some(Descriptor::Dir(shown)) = self.descriptor(directory) {
            shown.dir = hidden;
            shown.perms = perms;
        }

        let number = opened?.into();
        self.remember(number, entry);
        match self.descriptor(number) {
            Some(opened) if is_placeholder(opened, &folder) => {
                *opened = descriptor;
                Ok(number)
            }
            _ => {
                self.close(number).await;
                Err(Failure::trap(format_err!(
                    "this version of wasmtime-wasi numbers its descriptors in another order: this is a bug of \
                     wasisocket"
                )))
            }
        }
    }

    /// Closes a number that the guest was not told.
    pub(crate) async fn close(&mut self, number: u32) {
        // It was just opened.
        let _ = self.wasi.fd_close(&mut no_memory(), number.into()).await;
        self.forget(number);
    }
}

/// Is this what [`PLACEHOLDER`] was opened as?
fn is_placeholder(opened: &Descriptor, folder: &File) -> bool {
    match opened {
        Descriptor::Dir(opened) => is_same(&opened.dir, folder),
        Descriptor::File(opened) => {
            let (folder, name) = PLACEHOLDER;
            File::open(Path::new(folder).join(name)).is_ok_and(|file| is_same(&opened.file, &file))
        }
    }
}

fn is_same(one: &File, other: &File) -> bool {
    let place = |file: &File| file.metadata().map(|file| (file.dev(), file.ino())).ok();
    place(one).is_some() && place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use super::{Descriptor, Preview1, no_memory};
    use crate::preview1::{paths, wait};
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
    use wasmtime_wasi::{FsPerms, WasiCtxBuilder};
    use wiggle::GuestMemory;

    const RIGHTS_READ: i64 = 1 << 1;

    fn open(preview1: &mut Preview1, folder: u32, name: &[u8]) -> u32 {
        let mut memory = vec![0; 8];
        memory.extend_from_slice(name);
        let length = name.len() as i32;
        let mut memory = GuestMemory::Unshared(&mut memory);
        preview1.wasi.set_hostcall_fuel(1 << 10);
        let call = preview1.path_open(
            &mut memory,
            folder as i32,
            0,
            8,
            length,
            0,
            RIGHTS_READ,
            0,
            0,
            0,
        );
        assert_eq!(wait(call).unwrap(), 0);
        memory.read(wiggle::GuestPtr::new(0)).unwrap()
    }

    /// The descriptor found for each number has the inode that wasmtime-wasi reports for the number.
    fn assert_right(preview1: &mut Preview1, numbers: &[u32]) {
        for number in numbers {
            let (mut memory, number) = (no_memory(), *number);
            let reported = wait(preview1.wasi.fd_filestat_get(&mut memory, number.into()));
            let found = match preview1.descriptor(number).unwrap() {
                Descriptor::Dir(folder) => folder.dir.metadata().unwrap(),
                Descriptor::File(file) => file.file.metadata().unwrap(),
            };
            let found = paths::inode(found.dev(), found.ino());
            assert_eq!(reported.unwrap().ino, found, "{number}");
        }
    }

    #[test]
    fn numbers_are_those_of_wasmtime_wasi() {
        let folder = tempfile::tempdir().unwrap();
        let names: Vec<_> = (0..20).map(|number| format!("name-{number}")).collect();
        for (number, name) in names.iter().enumerate() {
            let path = folder.path().join(name);
            match number % 2 {
                0 => fs::write(path, "").unwrap(),
                _ => fs::create_dir(path).unwrap(),
            }
        }
        let raw: &[u8] = b"caf\xe9";
        fs::write(folder.path().join(paths::from_bytes(raw)), "").unwrap();
        let mut wasi = WasiCtxBuilder::new();
        wasi.allow_blocking_current_thread(true);
        for (host, guest) in [(folder.path(), "/a"), (&folder.path().join("name-1"), "/b")] {
            wasi.preopened_dir(host, guest, FsPerms::ReadOnly).unwrap();
        }
        let mut preview1 = Preview1::new(wasi.build_p1(), true);
        assert_right(&mut preview1, &[3, 4]);

        // Numbers and entries are used again in an order of their own each.
        let mut numbers = vec![3, 4];
        for round in 0..200_usize {
            let name = match round % 5 {
                0 => raw,
                _ => names[round * 7 % names.len()].as_bytes(),
            };
            numbers.push(open(&mut preview1, 3, name));
            if round % 3 == 2 {
                let closed = numbers.remove(2 + round * 5 % (numbers.len() - 2));
                let mut memory = no_memory();
                let close = preview1.fd_close(&mut memory, closed as i32);
                assert_eq!(wait(close).unwrap(), 0);
                assert!(preview1.descriptor(closed).is_none());
            }
            if round % 10 == 9 {
                let from = numbers.pop().unwrap();
                let to = numbers[2 + round % (numbers.len() - 2)];
                let mut memory = no_memory();
                let renumber = preview1.fd_renumber(&mut memory, from as i32, to as i32);
                assert_eq!(wait(renumber).unwrap(), 0);
                assert!(preview1.descriptor(from).is_none());
            }
            assert_right(&mut preview1, &numbers);
        }
    }
}
