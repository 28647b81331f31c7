//! Guest pointers to slices. Every pointer and length that a guest passes goes through here.

use wasisocket_abi::Errno;

/// A guest's linear memory, as it is during one call.
pub(crate) struct GuestMemory<'a>(pub(crate) &'a mut [u8]);

impl GuestMemory<'_> {
    /// The bytes at `pointer`, or EFAULT.
    pub(crate) fn slice(&self, pointer: u32, length: u32) -> Result<&[u8], Errno> {
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::EFAULT)?;
        self.0.get(start..end).ok_or(Errno::EFAULT)
    }

    /// The bytes at `pointer`, to be written to, or EFAULT.
    pub(crate) fn slice_mut(&mut self, pointer: u32, length: u32) -> Result<&mut [u8], Errno> {
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::EFAULT)?;
        self.0.get_mut(start..end).ok_or(Errno::EFAULT)
    }

    /// The `N` bytes at `pointer`, or EFAULT.
    pub(crate) fn array<const N: usize>(&self, pointer: u32) -> Result<[u8; N], Errno> {
        let start = pointer as usize;
        let bytes = self.0.get(start..).and_then(|rest| rest.first_chunk::<N>());
        bytes.copied().ok_or(Errno::EFAULT)
    }

    /// A place for `N` bytes, or EFAULT. Asked for before the operation whose result it takes, so that
    /// no data is lost to a bad pointer.
    pub(crate) fn out<const N: usize>(&self, pointer: u32) -> Result<Out<N>, Errno> {
        self.slice(pointer, N as u32)?;
        Ok(Out(pointer))
    }

    /// Writes a result to its place. Numbers are little-endian, as wasm's memory is.
    pub(crate) fn put<const N: usize>(&mut self, out: Out<N>, bytes: [u8; N]) -> Result<(), Errno> {
        self.slice_mut(out.0, N as u32)?.copy_from_slice(&bytes);
        Ok(())
    }
}

/// A place in guest memory that `N` bytes fit in. It needs no alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out<const N: usize>(u32);

#[cfg(test)]
mod tests {
    use super::GuestMemory;
    use wasisocket_abi::Errno;

    #[test]
    fn nothing_outside_is_reached() {
        let mut bytes = [7_u8; 8];
        let memory = GuestMemory(&mut bytes);
        assert_eq!(memory.slice(0, 8).map(<[u8]>::len), Ok(8));
        assert_eq!(memory.slice(8, 0).map(<[u8]>::len), Ok(0));
        for (pointer, length) in [
            (0, 9),
            (8, 1),
            (9, 0),
            (u32::MAX, 1),
            (1, u32::MAX),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(
                memory.slice(pointer, length),
                Err(Errno::EFAULT),
                "{pointer} {length}"
            );
        }
        assert!(memory.out::<4>(4).is_ok());
        assert!(memory.out::<4>(5).is_err());
        assert!(memory.out::<4>(u32::MAX).is_err());
        assert_eq!(memory.array::<2>(6), Ok([7, 7]));
        assert_eq!(memory.array::<2>(7), Err(Errno::EFAULT));
        assert_eq!(memory.array::<2>(u32::MAX), Err(Errno::EFAULT));
    }

    #[test]
    fn results_need_no_alignment() {
        let mut bytes = [0_u8; 6];
        let mut memory = GuestMemory(&mut bytes);
        let out = memory.out(1).unwrap();
        memory.put(out, [4, 3, 2, 1]).unwrap();
        assert_eq!(bytes, [0, 4, 3, 2, 1, 0]);
    }
}
