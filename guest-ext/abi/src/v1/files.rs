//! What preview1 has not for files: locks, and the space of file systems.

use crate::Plain as _;
use crate::plain::{numbers, structs};

numbers! {
    /// The numbers of files, by name.
    pub const FILES_NUMBERS;

    /// The longest path, in bytes.
    pub const PATH_MAX: usize = 4096;

    /// A lock that others may have too: `F_RDLCK`, `LOCK_SH`.
    pub const LOCK_SHARED: u32 = 1;
    /// A lock that nobody else may have: `F_WRLCK`, `LOCK_EX`.
    pub const LOCK_EXCLUSIVE: u32 = 2;
    /// No lock: `F_UNLCK`, `LOCK_UN`.
    pub const LOCK_NONE: u32 = 3;
}

structs! {
    /// The structs of files.
    pub const FILES_STRUCTS;

    /// A record lock: 24 bytes.
    #[derive(Default)]
    pub struct RecordLock {
        /// The first byte of the file that is locked.
        pub start: u64,
        /// How many are; 0 are all from there on.
        pub len: u64,
        /// [`LOCK_SHARED`], [`LOCK_EXCLUSIVE`] or [`LOCK_NONE`].
        pub kind: u32,
        /// Zero.
        pub reserved: u32,
    }

    /// The space of a file system, as far as the guest may use it: 48 bytes. Blocks have `block_size` bytes.
    #[derive(Default)]
    pub struct Space {
        /// Bytes of a block.
        pub block_size: u64,
        /// Blocks that there are.
        pub blocks: u64,
        /// Blocks that are free for the guest.
        pub free_blocks: u64,
        /// Files that there may be.
        pub files: u64,
        /// Of these, those that are not there.
        pub free_files: u64,
        /// Most bytes of a name.
        pub name_max: u64,
    }
}

const _: () = {
    assert!(RecordLock::SIZE == 24);
    assert!(Space::SIZE == 48);
};
