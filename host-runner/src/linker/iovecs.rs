//! A guest's vectors of memory: what is sent from there, and what is received into it.

use std::io::{IoSlice, IoSliceMut};

use smallvec::SmallVec;
use wasisocket_abi::Errno;
use wasisocket_abi::v1::{IOVECS_MAX, Iovec};

use crate::guest_memory::{GuestMemory, Slice};
use crate::sockets::{Buffers, Data};

/// Vectors up to this length need no allocation.
const USUAL: usize = 16;

/// A guest's vector, without its empty pieces.
pub(super) struct Iovecs(SmallVec<[Iovec; USUAL]>);

impl Iovecs {
    /// Reads a vector. EMSGSIZE for more than [`IOVECS_MAX`] pieces (sendmsg(2)); EFAULT for pieces that reach
    /// outside.
    pub(super) fn read(memory: &GuestMemory<'_>, vector: Slice<Iovec>) -> Result<Self, Errno> {
        if vector.count() > IOVECS_MAX {
            return Err(Errno::EMSGSIZE);
        }
        let mut iovecs = SmallVec::new();
        for iovec in memory.read_all(vector)? {
            memory.bytes(bytes(&iovec))?;
            if iovec.length > 0 {
                iovecs.push(iovec);
            }
        }
        Ok(Self(iovecs))
    }

    /// Calls with the bytes, to send them.
    pub(super) fn with_data<T, E: From<Errno>>(
        &self,
        memory: &GuestMemory<'_>,
        send: impl FnOnce(Data<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let piece = |iovec: &Iovec| memory.bytes(bytes(iovec));
        match self.0.as_slice() {
            [] => send(Data::One(&[])),
            [one] => send(Data::One(piece(one)?)),
            many => {
                let mut slices: SmallVec<[IoSlice<'_>; USUAL]> = SmallVec::new();
                for iovec in many {
                    slices.push(IoSlice::new(piece(iovec)?));
                }
                send(Data::Many(&slices))
            }
        }
    }

    /// Calls with the bytes, to receive into them. EFAULT if pieces overlap.
    pub(super) fn with_buffers<T, E: From<Errno>>(
        &self,
        memory: &mut GuestMemory<'_>,
        receive: impl FnOnce(&mut Buffers<'_, '_>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.0.as_slice() {
            [] => receive(&mut Buffers::One(&mut [])),
            [one] => receive(&mut Buffers::One(memory.bytes_mut(bytes(one))?)),
            many => {
                let mut slices: SmallVec<[IoSliceMut<'_>; USUAL]> = disjoint(memory, many)?
                    .into_iter()
                    .map(|(_, piece)| IoSliceMut::new(piece))
                    .collect();
                receive(&mut Buffers::Many(&mut slices))
            }
        }
    }
}

fn bytes(iovec: &Iovec) -> Slice<u8> {
    Slice::new(iovec.pointer, iovec.length)
}

/// Pieces of memory, each with its place in the vector.
type Pieces<'a> = SmallVec<[(usize, &'a mut [u8]); USUAL]>;

/// The pieces of memory, each with its place in the vector and in that order. EFAULT if any overlap.
fn disjoint<'a>(memory: &'a mut GuestMemory<'_>, iovecs: &[Iovec]) -> Result<Pieces<'a>, Errno> {
    let mut ascending: SmallVec<[(usize, Iovec); USUAL]> =
        iovecs.iter().copied().enumerate().collect();
    ascending.sort_unstable_by_key(|(_, iovec)| iovec.pointer);

    let mut rest = &mut *memory.0;
    let mut start = 0;
    let mut pieces = SmallVec::new();
    for (place, iovec) in ascending {
        // Below 0: it begins inside the piece before.
        let gap = (iovec.pointer as usize).checked_sub(start);
        let (piece, after) = gap
            .and_then(|gap| rest.split_at_mut_checked(gap))
            .and_then(|(_, rest)| rest.split_at_mut_checked(iovec.length as usize))
            .ok_or(Errno::EFAULT)?;
        pieces.push((place, piece));
        rest = after;
        start = iovec.pointer as usize + iovec.length as usize;
    }
    pieces.sort_unstable_by_key(|(place, _)| *place);
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::{Errno, GuestMemory, IOVECS_MAX, Iovec, Iovecs, Slice, disjoint};

    fn lengths(memory: &mut [u8], iovecs: &[(u32, u32)]) -> Result<Vec<usize>, Errno> {
        let iovecs: Vec<_> = iovecs
            .iter()
            .map(|&(pointer, length)| Iovec { pointer, length })
            .collect();
        let mut memory = GuestMemory(memory);
        let pieces = disjoint(&mut memory, &iovecs)?;
        Ok(pieces.iter().map(|(_, piece)| piece.len()).collect())
    }

    #[test]
    fn pieces_come_in_the_vectors_order() {
        let mut memory = [0; 16];
        for (iovecs, expected) in [
            (&[(8, 4), (0, 3)][..], &[4, 3][..]),
            (&[(0, 8), (8, 8)], &[8, 8]),
            (&[(12, 4), (4, 2), (0, 1), (6, 6)], &[4, 2, 1, 6]),
        ] {
            assert_eq!(lengths(&mut memory, iovecs).unwrap(), expected);
        }
    }

    #[test]
    fn pieces_that_overlap_or_reach_outside_are_a_fault() {
        let mut memory = [0; 16];
        for iovecs in [
            &[(0, 4), (3, 1)][..],
            &[(3, 1), (0, 4)],
            &[(0, 4), (0, 4)],
            &[(0, 16), (4, 2), (8, 2)],
            &[(0, 4), (15, 2)],
            &[(u32::MAX, u32::MAX), (0, 1)],
        ] {
            assert_eq!(
                lengths(&mut memory, iovecs),
                Err(Errno::EFAULT),
                "{iovecs:?}"
            );
        }
    }

    #[test]
    fn vectors_are_capped() {
        let mut bytes = vec![0; 1 << 16];
        let memory = GuestMemory(&mut bytes);
        let read = |start, count| Iovecs::read(&memory, Slice::new(start, count)).map(drop);
        assert_eq!(read(0, IOVECS_MAX as u32), Ok(()));
        for count in [IOVECS_MAX as u32 + 1, 1 << 29, u32::MAX] {
            assert_eq!(read(0, count), Err(Errno::EMSGSIZE));
        }
        assert_eq!(read((1 << 16) - 7, 1), Err(Errno::EFAULT));
        assert_eq!(read(u32::MAX, 1), Err(Errno::EFAULT));
    }
}
