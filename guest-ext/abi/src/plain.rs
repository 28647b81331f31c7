//! Values that cross between guest and host as bytes.

/// A value with a fixed size, no padding, and a meaning for every pattern of bytes. In the guest's memory its
/// numbers are little-endian, and it needs no alignment.
pub trait Plain: Copy {
    /// `[u8; SIZE]`.
    type Bytes: Copy + AsRef<[u8]> + AsMut<[u8]> + for<'a> TryFrom<&'a [u8]>;

    /// The size in the guest's memory, in bytes.
    const SIZE: usize = size_of::<Self::Bytes>();

    /// Returns the bytes as they are in the guest's memory.
    fn to_bytes(self) -> Self::Bytes;

    /// Reads the value from its bytes.
    fn from_bytes(bytes: Self::Bytes) -> Self;
}

macro_rules! plain_numbers {
    ($($number:ty)*) => {
        $(impl Plain for $number {
            type Bytes = [u8; size_of::<$number>()];

            fn to_bytes(self) -> Self::Bytes {
                self.to_le_bytes()
            }

            fn from_bytes(bytes: Self::Bytes) -> Self {
                Self::from_le_bytes(bytes)
            }
        })*
    };
}

plain_numbers! { u8 u16 u32 u64 i32 i64 }

impl<const N: usize> Plain for [u8; N] {
    type Bytes = Self;

    fn to_bytes(self) -> Self {
        self
    }

    fn from_bytes(bytes: Self) -> Self {
        bytes
    }
}

/// A struct of the ABI, described as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struct {
    /// Its name in Rust.
    pub name: &'static str,
    /// Its documentation.
    pub doc: &'static [&'static str],
    /// Its fields in the order in which they are in memory, without gaps.
    pub fields: &'static [Field],
}

/// One field of a [`Struct`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its documentation.
    pub doc: &'static [&'static str],
    /// Its type as Rust spells it: a number, `[u8; N]`, or another struct of the ABI.
    pub ty: &'static str,
}

/// Declares structs of the ABI: each is `repr(C)`, [`Plain`], and described as a [`Struct`] in the slice that
/// the first line names.
macro_rules! structs {
    (
        $(#[$list_doc:meta])* pub const $list:ident;
        $(
            $(#[doc = $doc:literal])*
            $(#[derive($derive:ident)])?
            pub struct $name:ident {
                $($(#[doc = $field_doc:literal])* pub $field:ident: $ty:ty,)+
            }
        )+
    ) => {
        $(
            $(#[doc = $doc])*
            #[repr(C)]
            #[derive(Clone, Copy, Debug, PartialEq, Eq $(, $derive)?)]
            pub struct $name {
                $($(#[doc = $field_doc])* pub $field: $ty,)+
            }

            impl $crate::Plain for $name {
                type Bytes = [u8; size_of::<$name>()];

                fn to_bytes(self) -> Self::Bytes {
                    let mut bytes = [0; size_of::<$name>()];
                    $({
                        const START: usize = core::mem::offset_of!($name, $field);
                        let place = &mut bytes[START..START + <$ty as $crate::Plain>::SIZE];
                        place.copy_from_slice(&<$ty as $crate::Plain>::to_bytes(self.$field));
                    })+
                    bytes
                }

                fn from_bytes(bytes: Self::Bytes) -> Self {
                    $(
                        const { assert!(<$ty as $crate::Plain>::SIZE == size_of::<$ty>()) };
                        let mut $field = [0; size_of::<$ty>()];
                        let start = core::mem::offset_of!($name, $field);
                        $field.copy_from_slice(&bytes[start..start + size_of::<$ty>()]);
                    )+
                    Self { $($field: <$ty as $crate::Plain>::from_bytes($field)),+ }
                }
            }

            const _: () = assert!(
                size_of::<$name>() == 0 $(+ <$ty as $crate::Plain>::SIZE)+,
                "a struct of the ABI has no padding",
            );
        )+

        $(#[$list_doc])*
        pub const $list: &[$crate::Struct] = &[$(
            $crate::Struct {
                name: stringify!($name),
                doc: &[$($doc),*],
                fields: &[$(
                    $crate::Field {
                        name: stringify!($field),
                        doc: &[$($field_doc),*],
                        ty: stringify!($ty),
                    },
                )+],
            },
        )+];
    };
}
pub(crate) use structs;

/// Declares constants of the ABI, and lists them, each with its name, in the slice that the first line names.
macro_rules! numbers {
    (
        $(#[$list_doc:meta])* pub const $list:ident;
        $($(#[$doc:meta])* pub const $name:ident: $ty:ty = $value:expr;)+
    ) => {
        $($(#[$doc])* pub const $name: $ty = $value;)+

        $(#[$list_doc])*
        pub const $list: &[(&str, u64)] = &[$((stringify!($name), $name as u64)),+];
    };
}
pub(crate) use numbers;

#[cfg(test)]
mod tests {
    use super::Plain as _;
    use crate::v1::{Event, ReceivedRight, Right};

    #[test]
    fn fields_are_little_endian_one_after_another() {
        let event = Event {
            data: 0x0807_0605_0403_0201,
            events: 0x0c0b_0a09,
            reserved: 0,
        };
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0, 0, 0];
        assert_eq!(event.to_bytes(), bytes);
        assert_eq!(Event::from_bytes(bytes), event);
    }

    #[test]
    fn structs_contain_structs() {
        let received = ReceivedRight {
            right: Right { kind: 1, number: 2 },
            family: 3,
            ty: 4,
            dup_of: 5,
        };
        let bytes = [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 4, 0, 5, 0, 0, 0];
        assert_eq!(received.to_bytes(), bytes);
        assert_eq!(ReceivedRight::from_bytes(bytes), received);
    }
}
