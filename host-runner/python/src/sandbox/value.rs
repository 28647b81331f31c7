//! Values of Python that cross between a guest and its host. `marshal` has their format.

use std::fmt;

/// A value of Python: what code in a guest returned, or an argument for it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// `None`.
    None,
    /// A `bool`.
    Bool(bool),
    /// An `int` of up to 64 bits.
    Int(i64),
    /// A longer `int`: two's complement, the least significant byte first, as `int.to_bytes(n, "little", signed=True)`.
    BigInt(Vec<u8>),
    /// A `float`.
    Float(f64),
    /// A `complex`.
    Complex(f64, f64),
    /// A `str`. Lone surrogates, which Rust's strings cannot have, are U+FFFD.
    Str(String),
    /// A `bytes` or `bytearray`.
    Bytes(Vec<u8>),
    /// A `list`.
    List(Vec<Self>),
    /// A `tuple`.
    Tuple(Vec<Self>),
    /// A `set`.
    Set(Vec<Self>),
    /// A `frozenset`.
    FrozenSet(Vec<Self>),
    /// A `dict`, in its order.
    Dict(Vec<(Self, Self)>),
    /// A `datetime.date`, as `isoformat()` writes it.
    Date(String),
    /// A `datetime.time`, as `isoformat()` writes it.
    Time(String),
    /// A `datetime.datetime`, as `isoformat()` writes it.
    DateTime(String),
    /// A `datetime.timedelta`.
    TimeDelta {
        /// Days.
        days: i64,
        /// Seconds, less than a day.
        seconds: i64,
        /// Microseconds, less than a second.
        microseconds: i64,
    },
    /// Anything else; it stays in the guest.
    Other {
        /// The name of its type.
        type_name: String,
        /// Its `repr()`, cut where it is long.
        repr: String,
    },
}

macro_rules! from {
    ($($type:ty, $value:ident => $variant:expr;)+) => {
        $(
            impl From<$type> for Value {
                fn from($value: $type) -> Self {
                    $variant
                }
            }
        )+
    };
}

from! {
    bool, value => Self::Bool(value);
    i32, value => Self::Int(value.into());
    i64, value => Self::Int(value);
    u32, value => Self::Int(value.into());
    f64, value => Self::Float(value);
    &str, value => Self::Str(value.into());
    String, value => Self::Str(value);
    &[u8], value => Self::Bytes(value.into());
    Vec<u8>, value => Self::Bytes(value);
    Vec<Self>, value => Self::List(value);
    (), _value => Self::None;
}

impl Value {
    /// The type's name in Python.
    #[must_use]
    pub fn type_name(&self) -> &str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::BigInt(_) => "int",
            Self::Float(_) => "float",
            Self::Complex(..) => "complex",
            Self::Str(_) => "str",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Set(_) => "set",
            Self::FrozenSet(_) => "frozenset",
            Self::Dict(_) => "dict",
            Self::Date(_) => "datetime.date",
            Self::Time(_) => "datetime.time",
            Self::DateTime(_) => "datetime.datetime",
            Self::TimeDelta { .. } => "datetime.timedelta",
            Self::Other { type_name, .. } => type_name,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// As Python writes it, more or less: for people, and for models.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items = |f: &mut fmt::Formatter<'_>, begin: &str, items: &[Self], end: &str| {
            f.write_str(begin)?;
            for (at, item) in items.iter().enumerate() {
                let comma = if at > 0 { ", " } else { "" };
                write!(f, "{comma}{item}")?;
            }
            f.write_str(end)
        };
        match self {
            Self::None => f.write_str("None"),
            Self::Bool(true) => f.write_str("True"),
            Self::Bool(false) => f.write_str("False"),
            Self::Int(number) => write!(f, "{number}"),
            Self::BigInt(bytes) => {
                let (is_negative, magnitude) = magnitude(bytes);
                f.write_str(if is_negative { "-0x" } else { "0x" })?;
                let digits: String = magnitude
                    .iter()
                    .rev()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                f.write_str(digits.trim_start_matches('0'))
            }
            Self::Float(number) => match number.is_nan() {
                true => f.write_str("nan"),
                false => write!(f, "{number:?}"),
            },
            Self::Complex(real, imaginary) => write!(f, "({real:?}{imaginary:+?}j)"),
            Self::Str(text) => write!(f, "'{}'", text.escape_debug()),
            Self::Bytes(bytes) => write!(f, "b'{}'", bytes.escape_ascii()),
            Self::List(list) => items(f, "[", list, "]"),
            Self::Tuple(tuple) if tuple.len() == 1 => items(f, "(", tuple, ",)"),
            Self::Tuple(tuple) => items(f, "(", tuple, ")"),
            Self::Set(set) if set.is_empty() => f.write_str("set()"),
            Self::Set(set) => items(f, "{", set, "}"),
            Self::FrozenSet(set) if set.is_empty() => f.write_str("frozenset()"),
            Self::FrozenSet(set) => items(f, "frozenset({", set, "})"),
            Self::Dict(entries) => {
                f.write_str("{")?;
                for (at, (key, value)) in entries.iter().enumerate() {
                    let comma = if at > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}: {value}")?;
                }
                f.write_str("}")
            }
            Self::Date(text) | Self::Time(text) | Self::DateTime(text) => {
                write!(f, "{}.fromisoformat('{text}')", self.type_name())
            }
            Self::TimeDelta {
                days,
                seconds,
                microseconds,
            } => write!(f, "datetime.timedelta({days}, {seconds}, {microseconds})"),
            Self::Other { repr, .. } => f.write_str(repr),
        }
    }
}

/// Of an `int` in two's complement, least significant byte first: whether it is negative, and its magnitude.
pub(super) fn magnitude(bytes: &[u8]) -> (bool, Vec<u8>) {
    let is_negative = bytes.last().is_some_and(|byte| *byte >= 0x80);
    let mut magnitude = bytes.to_vec();
    if is_negative {
        negate(&mut magnitude);
    }
    (is_negative, magnitude)
}

/// Changes the sign of such an `int`, in as many bytes.
pub(super) fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        (*byte, carry) = (!*byte).overflowing_add(carry.into());
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn values_are_shown_as_python_writes_them() {
        for (value, text) in [
            (Value::None, "None"),
            (
                Value::List(vec![1.into(), true.into(), 1.5.into()]),
                "[1, True, 1.5]",
            ),
            (Value::Tuple(vec!["a\n'".into()]), "('a\\n\\'',)"),
            (Value::Tuple(vec![]), "()"),
            (Value::Set(vec![]), "set()"),
            (vec![0_u8, 65].into(), "b'\\x00A'"),
            (Value::Dict(vec![("a".into(), Value::None)]), "{'a': None}"),
            (
                Value::BigInt(vec![0, 0, 0, 0, 0, 0, 0, 0, 1]),
                "0x10000000000000000",
            ),
            (
                Value::BigInt(vec![0, 0, 0, 0, 0, 0, 0, 0, 0xff]),
                "-0x10000000000000000",
            ),
            (
                Value::Date("2026-01-02".into()),
                "datetime.date.fromisoformat('2026-01-02')",
            ),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }
}
