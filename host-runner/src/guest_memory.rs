//! A guest's pointers, and the memory behind them. Every pointer and length that a guest passes goes through here.

use std::marker::PhantomData;

use wasisocket_abi::v1::{AF_UNIX, Addr, SocketAddr, UnixAddr};
use wasisocket_abi::{Errno, Plain};

use crate::ctx::Address;

/// A guest's linear memory during one call.
pub(crate) struct GuestMemory<'a>(pub(crate) &'a mut [u8]);

/// A pointer of a guest to a `T`. It may lead anywhere.
#[derive(Debug)]
pub(crate) struct Pointer<T>(u32, PhantomData<T>);

/// A pointer of a guest to so many `T`. It may lead anywhere.
#[derive(Debug)]
pub(crate) struct Slice<T> {
    start: Pointer<T>,
    count: u32,
}

/// A place in the guest's memory that a `T` fits in. It needs no alignment.
#[derive(Debug)]
pub(crate) struct Out<T>(Pointer<T>);

impl<T> Pointer<T> {
    pub(crate) fn new(address: u32) -> Self {
        Self(address, PhantomData)
    }

    /// `None` for a null pointer.
    pub(crate) fn or_null(address: u32) -> Option<Self> {
        (address != 0).then(|| Self::new(address))
    }

    fn cast<U>(self) -> Pointer<U> {
        Pointer::new(self.0)
    }
}

impl<T> Slice<T> {
    pub(crate) fn new(start: u32, count: u32) -> Self {
        let start = Pointer::new(start);
        Self { start, count }
    }

    /// How many `T` there are.
    pub(crate) fn count(self) -> usize {
        self.count as usize
    }

    /// The first `most` of them.
    pub(crate) fn first(self, most: usize) -> Self {
        let count = self.count().min(most) as u32;
        Self { count, ..self }
    }
}

impl<T: Plain> Slice<T> {
    /// Its bytes, or EFAULT for more than an address can reach.
    fn bytes(self) -> Result<Slice<u8>, Errno> {
        let count = self.count.checked_mul(T::SIZE as u32);
        Ok(Slice {
            start: self.start.cast(),
            count: count.ok_or(Errno::EFAULT)?,
        })
    }
}

macro_rules! copy {
    ($($pointer:ident)*) => {
        $(
            impl<T> Clone for $pointer<T> {
                fn clone(&self) -> Self {
                    *self
                }
            }

            // Also where `T` is not.
            impl<T> Copy for $pointer<T> {}
        )*
    };
}

copy! { Pointer Slice Out }

impl GuestMemory<'_> {
    /// The bytes of a slice, or EFAULT.
    pub(crate) fn bytes<T: Plain>(&self, slice: Slice<T>) -> Result<&[u8], Errno> {
        let Slice { start, count } = slice.bytes()?;
        let start = start.0 as usize;
        let end = start.checked_add(count as usize).ok_or(Errno::EFAULT)?;
        self.0.get(start..end).ok_or(Errno::EFAULT)
    }

    /// The bytes of a slice, to be written to, or EFAULT.
    pub(crate) fn bytes_mut<T: Plain>(&mut self, slice: Slice<T>) -> Result<&mut [u8], Errno> {
        let Slice { start, count } = slice.bytes()?;
        let start = start.0 as usize;
        let end = start.checked_add(count as usize).ok_or(Errno::EFAULT)?;
        self.0.get_mut(start..end).ok_or(Errno::EFAULT)
    }

    /// Reads the value at `pointer`, or EFAULT.
    pub(crate) fn read<T: Plain>(&self, pointer: Pointer<T>) -> Result<T, Errno> {
        let bytes = self.bytes(Slice::<T>::new(pointer.0, 1))?;
        let bytes = T::Bytes::try_from(bytes).map_err(|_| Errno::EFAULT)?;
        Ok(T::from_bytes(bytes))
    }

    /// Reads all values of a slice, one after another, or EFAULT.
    pub(crate) fn read_all<T: Plain>(
        &self,
        slice: Slice<T>,
    ) -> Result<impl Iterator<Item = T>, Errno> {
        let chunks = self.bytes(slice)?.chunks_exact(T::SIZE);
        Ok(chunks.filter_map(|chunk| Some(T::from_bytes(chunk.try_into().ok()?))))
    }

    /// Checks that there is a place for a `T` at `pointer`, or EFAULT. Checked before the operation whose result
    /// goes there, so that no data is lost to a bad pointer.
    pub(crate) fn out<T: Plain>(&self, pointer: Pointer<T>) -> Result<Out<T>, Errno> {
        self.bytes(Slice::<T>::new(pointer.0, 1))?;
        Ok(Out(pointer))
    }

    /// Writes a result to its place.
    pub(crate) fn write<T: Plain>(&mut self, out: Out<T>, value: T) -> Result<(), Errno> {
        let place = self.bytes_mut(Slice::<T>::new(out.0.0, 1))?;
        place.copy_from_slice(value.to_bytes().as_ref());
        Ok(())
    }

    /// Writes values to a slice, as many as fit, and returns how many. EFAULT if the slice reaches outside.
    pub(crate) fn write_all<T: Plain>(
        &mut self,
        slice: Slice<T>,
        values: impl IntoIterator<Item = T>,
    ) -> Result<u32, Errno> {
        let places = self.bytes_mut(slice)?.chunks_exact_mut(T::SIZE);
        let mut count = 0;
        for (place, value) in places.zip(values) {
            place.copy_from_slice(value.to_bytes().as_ref());
            count += 1;
        }
        Ok(count)
    }

    /// Reads the address at `pointer`, as many bytes as its family has. EFAULT; EAFNOSUPPORT for any other family.
    pub(crate) fn address(&self, pointer: Pointer<Addr>) -> Result<Address, Errno> {
        Ok(match u32::from(self.read::<u16>(pointer.cast())?) {
            0 => Address::Unspecified,
            AF_UNIX => Address::Unix(self.read::<UnixAddr>(pointer.cast())?),
            _ => Address::Ip(self.read::<SocketAddr>(pointer.cast())?.try_into()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{GuestMemory, Pointer, Slice};
    use wasisocket_abi::Errno;
    use wasisocket_abi::v1::Iovec;

    #[test]
    fn nothing_outside_is_reached() {
        let mut bytes = [7_u8; 8];
        let memory = GuestMemory(&mut bytes);
        let length = |start, count| {
            memory
                .bytes(Slice::<u8>::new(start, count))
                .map(<[u8]>::len)
        };
        assert_eq!(length(0, 8), Ok(8));
        assert_eq!(length(8, 0), Ok(0));
        for (start, count) in [
            (0, 9),
            (8, 1),
            (9, 0),
            (u32::MAX, 1),
            (1, u32::MAX),
            (u32::MAX, u32::MAX),
        ] {
            assert_eq!(length(start, count), Err(Errno::EFAULT), "{start} {count}");
        }
        for count in [2, 1 << 29, (1 << 29) + 1, u32::MAX] {
            let slice = Slice::<Iovec>::new(0, count);
            assert_eq!(memory.bytes(slice), Err(Errno::EFAULT), "{count}");
        }
        assert!(memory.out::<u32>(Pointer::new(4)).is_ok());
        assert!(memory.out::<u32>(Pointer::new(5)).is_err());
        assert!(memory.out::<u32>(Pointer::new(u32::MAX)).is_err());
        assert_eq!(memory.read::<[u8; 2]>(Pointer::new(6)), Ok([7, 7]));
        for outside in [7, u32::MAX] {
            let read = memory.read::<[u8; 2]>(Pointer::new(outside));
            assert_eq!(read, Err(Errno::EFAULT));
        }
    }

    #[test]
    fn results_need_no_alignment() {
        let mut bytes = [0_u8; 6];
        let mut memory = GuestMemory(&mut bytes);
        let out = memory.out(Pointer::new(1)).unwrap();
        memory.write(out, 0x0102_0304_u32).unwrap();
        assert_eq!(bytes, [0, 4, 3, 2, 1, 0]);
    }

    #[test]
    fn values_are_written_as_long_as_they_fit() {
        let mut bytes = [0_u8; 6];
        let mut memory = GuestMemory(&mut bytes);
        let slice = Slice::<u16>::new(1, 2);
        assert_eq!(memory.write_all(slice, [1, 2, 3]), Ok(2));
        assert_eq!(memory.write_all(slice, [0x0101]), Ok(1));
        let read: Vec<u16> = memory.read_all(slice).unwrap().collect();
        assert_eq!(read, [0x0101, 2]);
        assert_eq!(bytes, [0, 1, 1, 2, 0, 0]);
    }
}
