//! The imports of the ABI's table, as safe functions.
//!
//! | role in the table | the parameter |
//! |---|---|
//! | `u32`, `i64`, `Handle`, `Timeout` | the number |
//! | `&T`, `Option<&T>`, `Option<&mut T>` | the same |
//! | `&[T; n]` | `&[T]` |
//! | `&mut [T; n]` | `&mut [T]`, or `&mut [MaybeUninit<T>]` |
//! | `&[Ciovec; n]` | [`Data`] |
//! | `&[Iovec; n]` | [`Buffers`] |
//!
//! A function returns `()`, its result, or a tuple of its results.
//!
//! # Safety
//!
//! Each import reads or writes guest memory only inside the pointers and lengths that it is given, and keeps no
//! pointer past its return. That as many bytes were written as it says rests on the host's word: a guest trusts its
//! host with all of its memory.
#![allow(unsafe_code)]
// Which are called depends on the host.
#![allow(dead_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use wasisocket_abi::v1::{
    Addr, AeadNonce, AeadTag, Ancillary, Event, Interface, Iovec, Pair, PollEntry, Received,
    ReceivedRight, ReceivedRights, RecordLock, Right, SocketAddr, Space, X25519Bytes,
};
use wasisocket_abi::{CoreSocketAddr, Errno, Handle, Plain, Timeout, imports};

/// Pieces of memory to send from.
pub(super) struct Data<'a>(Pieces, PhantomData<&'a [u8]>);

/// Pieces of memory to receive into.
pub(super) struct Buffers<'a>(Pieces, PhantomData<&'a mut [u8]>);

/// A vector of pieces; most have one.
enum Pieces {
    One([Iovec; 1]),
    Many(Vec<Iovec>),
}

impl Pieces {
    fn as_slice(&self) -> &[Iovec] {
        match self {
            Self::One(one) => one,
            Self::Many(many) => many,
        }
    }
}

impl<'a> Data<'a> {
    pub(super) fn new(data: &'a [&[u8]]) -> Self {
        let piece = |data: &&[u8]| iovec(data.as_ptr().expose_provenance(), data.len());
        let pieces = match data {
            [one] => Pieces::One([piece(one)]),
            many => Pieces::Many(many.iter().map(piece).collect()),
        };
        Self(pieces, PhantomData)
    }
}

impl<'a> Buffers<'a> {
    pub(super) fn new(buffers: &'a mut [&mut [MaybeUninit<u8>]]) -> Self {
        let piece = |buffer: &mut &mut [MaybeUninit<u8>]| {
            iovec(buffer.as_mut_ptr().expose_provenance(), buffer.len())
        };
        let pieces = match buffers {
            [one] => Pieces::One([piece(one)]),
            many => Pieces::Many(many.iter_mut().map(piece).collect()),
        };
        Self(pieces, PhantomData)
    }
}

/// A piece as the host reads it. Pointers and lengths have 32 bits on wasm32.
///
/// It ends where the memory ends: some C callers pass SIZE_MAX for "as much as there is".
fn iovec(pointer: usize, length: usize) -> Iovec {
    const PAGE: usize = 1 << 16;
    let end = core::arch::wasm32::memory_size::<0>().saturating_mul(PAGE);
    Iovec {
        pointer: pointer as u32,
        length: length.min(end.saturating_sub(pointer)) as u32,
    }
}

/// What the host can write a `T` to.
///
/// # Safety
/// It has the layout of a `T`, and any bytes are valid for it.
pub(super) unsafe trait Place<T> {}

// SAFETY: a `T` of the table consists of integers.
unsafe impl<T: Plain> Place<T> for T {}
// SAFETY: it has the layout of a `T`, and anything is valid for it.
unsafe impl<T: Plain> Place<T> for MaybeUninit<T> {}

macro_rules! declarations {
    ($(
        module $list:ident $module:literal {
            $($(#[$doc:meta])* $kind:ident $name:ident($($parameters:tt)*) -> ($($result:ident: $ty:ty),*);)+
        }
    )+) => {
        $($(declare!(($module $name $({$result $ty})*) [] [] [] $($parameters)*);)+)+
    };
}

/// Declares one import: `($module $name {result type}...)`.
///
/// Takes one parameter after another to the parameters of the function, those of the import, and what the import gets
/// for them.
macro_rules! declare {
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*] , $($rest:tt)*) => {
        declare!($one [$($parameter)*] [$($raw)*] [$($argument)*] $($rest)*);
    };
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*]
     $name:ident: &[Ciovec; $count:ident] $($rest:tt)*) => {
        declare!(
            $one [$($parameter)* {$name (&Data<'_>)}] [$($raw)* {$name (*const Iovec)} {$count (usize)}]
            [$($argument)* ($name.0.as_slice().as_ptr()) ($name.0.as_slice().len())] $($rest)*
        );
    };
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*]
     $name:ident: &[Iovec; $count:ident] $($rest:tt)*) => {
        declare!(
            $one [$($parameter)* {$name (&Buffers<'_>)}] [$($raw)* {$name (*const Iovec)} {$count (usize)}]
            [$($argument)* ($name.0.as_slice().as_ptr()) ($name.0.as_slice().len())] $($rest)*
        );
    };
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*]
     $name:ident: &mut [$ty:ty; $count:ident] $($rest:tt)*) => {
        declare!(
            $one [$($parameter)* {$name (&mut [impl Place<$ty>])}] [$($raw)* {$name (*mut $ty)} {$count (usize)}]
            [$($argument)* ($name.as_mut_ptr().cast()) ($name.len())] $($rest)*
        );
    };
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*]
     $name:ident: &[$ty:ty; $count:ident] $($rest:tt)*) => {
        declare!(
            $one [$($parameter)* {$name (&[$ty])}] [$($raw)* {$name (*const $ty)} {$count (usize)}]
            [$($argument)* ($name.as_ptr()) ($name.len())] $($rest)*
        );
    };
    ($one:tt [$($parameter:tt)*] [$($raw:tt)*] [$($argument:tt)*]
     $name:ident: $ty:ty $(, $($rest:tt)*)?) => {
        declare!(
            $one [$($parameter)* {$name ($ty)}] [$($raw)* {$name ($ty)}] [$($argument)* ($name)] $($($rest)*)?
        );
    };
    (($module:literal $name:ident $({$result:ident $result_ty:ty})*)
     [$({$parameter:ident ($($ty:tt)*)})*] [$({$raw:ident ($($raw_ty:tt)*)})*] [$(($argument:expr))*]) => {
        // One result stands in parentheses too.
        #[allow(unused_parens)]
        pub(super) fn $name($($parameter: $($ty)*),*) -> Result<($($result_ty),*), Errno> {
            #[link(wasm_import_module = $module)]
            unsafe extern "C" {
                fn $name($($raw: $($raw_ty)*,)* $($result: *mut $result_ty),*) -> u32;
            }
            $(let mut $result = <$result_ty>::default();)*
            // SAFETY: each pointer is that of a reference, null, or that of a slice, which comes with the slice's
            // length. Pieces are slices that are borrowed as long as they are. Each may be written to if the
            // import writes to it.
            match unsafe { $name($($argument,)* $(&raw mut $result),*) } {
                0 => Ok(($($result),*)),
                errno => Err(Errno(errno)),
            }
        }
    };
}

imports!(declarations);
