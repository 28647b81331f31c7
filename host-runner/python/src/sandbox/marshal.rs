//! The format in which values cross between a guest and its host: that of Python's module `marshal`, version 2 (CPython's
//! Python/marshal.c), of which code objects and everything else that could do something are no part. The guest's side is
//! `_wasisocket_values.py`. What a guest sends is anyone's bytes.

use std::str;

use super::value::{Value, magnitude, negate};

/// Most values that one answer has. Each takes more memory here than it may have there.
const VALUES_MAX: usize = 1 << 20;

/// How deep values may be in each other.
const DEPTH_MAX: usize = 400;

/// The digits of an `int` have so many bits.
const DIGIT: u32 = 15;

impl Value {
    /// Writes it as marshal.dumps() does.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => out.push(b'N'),
            Self::Bool(true) => out.push(b'T'),
            Self::Bool(false) => out.push(b'F'),
            Self::Int(number) => write_int(&number.to_le_bytes(), out),
            Self::BigInt(bytes) => write_int(bytes, out),
            Self::Float(number) => {
                out.push(b'g');
                out.extend(number.to_le_bytes());
            }
            Self::Complex(real, imaginary) => {
                out.push(b'y');
                out.extend(real.to_le_bytes());
                out.extend(imaginary.to_le_bytes());
            }
            Self::Str(text) => write_bytes(b'u', text.as_bytes(), out),
            Self::Bytes(bytes) => write_bytes(b's', bytes, out),
            Self::List(items) => write_items(b'[', items, out),
            Self::Tuple(items) => write_items(b'(', items, out),
            Self::Set(items) => write_items(b'<', items, out),
            Self::FrozenSet(items) => write_items(b'>', items, out),
            Self::Dict(entries) => {
                out.push(b'{');
                for (key, value) in entries {
                    key.write(out);
                    value.write(out);
                }
                out.push(b'0');
            }
            Self::Date(text) => write_tagged("date", &[text.as_str().into()], out),
            Self::Time(text) => write_tagged("time", &[text.as_str().into()], out),
            Self::DateTime(text) => write_tagged("datetime", &[text.as_str().into()], out),
            Self::TimeDelta {
                days,
                seconds,
                microseconds,
            } => {
                let parts = [*days, *seconds, *microseconds].map(Self::Int);
                write_tagged("timedelta", &parts, out);
            }
            // Its representation is all that there is of it here.
            Self::Other { repr, .. } => write_bytes(b'u', repr.as_bytes(), out),
        }
    }

    /// Reads a whole answer. `None` if it is no value, or has too many.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            rest: bytes,
            left: VALUES_MAX,
        };
        let value = reader.value(DEPTH_MAX)?;
        reader.rest.is_empty().then_some(value)
    }
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    // Arguments have less than 2^31 bytes: the guest's memory has no more.
    out.extend((len as u32).to_le_bytes());
}

fn write_bytes(kind: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    write_len(bytes.len(), out);
    out.extend(bytes);
}

fn write_items(kind: u8, items: &[Value], out: &mut Vec<u8>) {
    out.push(kind);
    write_len(items.len(), out);
    for item in items {
        item.write(out);
    }
}

fn write_tagged(tag: &str, parts: &[Value], out: &mut Vec<u8>) {
    out.push(b'(');
    write_len(parts.len() + 2, out);
    out.push(b'S');
    write_bytes(b'u', tag.as_bytes(), out);
    for part in parts {
        part.write(out);
    }
}

/// An `int` in two's complement, least significant byte first.
fn write_int(bytes: &[u8], out: &mut Vec<u8>) {
    let (is_negative, magnitude) = magnitude(bytes);
    let mut digits: Vec<u16> = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in magnitude {
        bits |= u32::from(byte) << count;
        count += 8;
        if count >= DIGIT {
            digits.push((bits & 0x7fff) as u16);
            bits >>= DIGIT;
            count -= DIGIT;
        }
    }
    digits.push(bits as u16);
    while digits.last() == Some(&0) {
        digits.pop();
    }
    let count = digits.len() as i32;
    out.push(b'l');
    out.extend(if is_negative { -count } else { count }.to_le_bytes());
    for digit in digits {
        out.extend(digit.to_le_bytes());
    }
}

/// Takes values from bytes of a guest.
struct Reader<'a> {
    rest: &'a [u8],
    /// How many more values there may be.
    left: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn len(&mut self) -> Option<usize> {
        Some(u32::from_le_bytes(self.array()?) as usize)
    }

    fn float(&mut self) -> Option<f64> {
        self.array().map(f64::from_le_bytes)
    }

    /// A length, and so many bytes.
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.len()?;
        self.take(len)
    }

    fn items(&mut self, depth: usize) -> Option<Vec<Value>> {
        let len = self.len()?;
        // Each has a byte at least.
        let mut items = Vec::with_capacity(len.min(self.rest.len()).min(self.left));
        for _ in 0..len {
            items.push(self.value(depth)?);
        }
        Some(items)
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        Some(match *self.take(1)?.first()? {
            b'N' => Value::None,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            b'.' => Value::Other {
                type_name: "ellipsis".into(),
                repr: "Ellipsis".into(),
            },
            b'S' => Value::Other {
                type_name: "type".into(),
                repr: "<class 'StopIteration'>".into(),
            },
            b'i' => Value::Int(i32::from_le_bytes(self.array()?).into()),
            b'l' => self.int()?,
            b'g' => Value::Float(self.float()?),
            b'y' => Value::Complex(self.float()?, self.float()?),
            b's' => Value::Bytes(self.bytes()?.into()),
            b'u' => Value::Str(text(self.bytes()?)),
            b'[' => Value::List(self.items(depth)?),
            b'<' => Value::Set(self.items(depth)?),
            b'>' => Value::FrozenSet(self.items(depth)?),
            b'(' => self.tuple(depth)?,
            b'{' => {
                let mut entries = Vec::new();
                while self.rest.first() != Some(&b'0') {
                    entries.push((self.value(depth)?, self.value(depth)?));
                }
                self.take(1)?;
                Value::Dict(entries)
            }
            _ => return None,
        })
    }

    /// A tuple, or what one stands for.
    fn tuple(&mut self, depth: usize) -> Option<Value> {
        let Some(rest) = self
            .rest
            .get(4..)
            .filter(|rest| rest.first() == Some(&b'S'))
        else {
            return self.items(depth).map(Value::Tuple);
        };
        let parts = self.len()?;
        self.rest = rest.get(1..)?;
        let tag = self.value(depth)?;
        let mut texts = |count: usize| -> Option<[String; 2]> {
            let mut texts = [String::new(), String::new()];
            if parts != count + 2 {
                return None;
            }
            for place in texts.iter_mut().take(count) {
                let Value::Str(text) = self.value(depth)? else {
                    return None;
                };
                *place = text;
            }
            Some(texts)
        };
        Some(match tag.as_str()? {
            "date" => texts(1).map(|[text, _]| Value::Date(text))?,
            "time" => texts(1).map(|[text, _]| Value::Time(text))?,
            "datetime" => texts(1).map(|[text, _]| Value::DateTime(text))?,
            "other" => texts(2).map(|[type_name, repr]| Value::Other { type_name, repr })?,
            "timedelta" if parts == 5 => {
                let mut number = || match self.value(depth)? {
                    Value::Int(number) => Some(number),
                    _ => None,
                };
                Value::TimeDelta {
                    days: number()?,
                    seconds: number()?,
                    microseconds: number()?,
                }
            }
            _ => return None,
        })
    }

    /// An `int` in digits.
    fn int(&mut self) -> Option<Value> {
        let count = i32::from_le_bytes(self.array()?);
        let digits = self.take((count.unsigned_abs() as usize).checked_mul(2)?)?;
        let mut bytes = Vec::with_capacity(digits.len() + 1);
        let (mut bits, mut filled) = (0_u32, 0);
        for digit in digits.as_chunks().0 {
            bits |= u32::from(u16::from_le_bytes(*digit) & 0x7fff) << filled;
            filled += DIGIT;
            while filled >= 8 {
                bytes.push(bits as u8);
                bits >>= 8;
                filled -= 8;
            }
        }
        bytes.extend([bits as u8, 0]);
        if count < 0 {
            negate(&mut bytes);
        }
        // The shortest form: the last byte only says what the sign is if the one before it does not.
        while let [.., before, last] = bytes[..]
            && ((last == 0 && before < 0x80) || (last == 0xff && before >= 0x80))
        {
            bytes.pop();
        }
        if bytes.len() > 8 {
            return Some(Value::BigInt(bytes));
        }
        let fill = if count < 0 { 0xff } else { 0 };
        bytes.resize(8, fill);
        Some(Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)))
    }
}

/// UTF-8 as Python's error handler `surrogatepass` writes it.
fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => {
            // Each lone surrogate has three bytes, the first of them 0xED and the second one from 0xA0 on.
            let mut bytes = bytes.to_vec();
            for at in 0..bytes.len().saturating_sub(2) {
                if bytes[at] == 0xed && bytes[at + 1] >= 0xa0 {
                    bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
                }
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, VALUES_MAX, Value};

    fn written(value: &Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        value.write(&mut bytes);
        bytes
    }

    /// As marshal.dumps(value, 2) of CPython 3.13 has them.
    #[test]
    fn python_s_own_bytes_are_read() {
        for (bytes, value) in [
            (&b"N"[..], Value::None),
            (b"i\xff\xff\xff\xff", Value::Int(-1)),
            (b"l\x03\0\0\0\0\0\0\0\x04\0", Value::Int(1 << 32)),
            (
                b"l\xfb\xff\xff\xff\0\0\0\0\0\0\0\0\x08\0",
                Value::Int(i64::MIN),
            ),
            (
                b"l\x05\0\0\0\0\0\0\0\0\0\0\0\x10\0",
                Value::BigInt(vec![0, 0, 0, 0, 0, 0, 0, 0, 1]),
            ),
            (b"u\x02\0\0\0\xc3\xa4", "ä".into()),
            (b"u\x04\0\0\0a\xed\xb0\x80", "a\u{fffd}".into()),
            (b"u\x02\0\0\0\xed\xb0", "\u{fffd}\u{fffd}".into()),
            (
                b"(\x02\0\0\0TF",
                Value::Tuple(vec![true.into(), false.into()]),
            ),
            (
                b"{u\x01\0\0\0aN0",
                Value::Dict(vec![("a".into(), Value::None)]),
            ),
        ] {
            assert_eq!(Value::read(bytes).as_ref(), Some(&value), "{bytes:?}");
        }
    }

    #[test]
    fn values_are_read_as_they_were_written() {
        let mut values = vec![
            Value::None,
            Value::Float(-0.5),
            Value::Complex(1.0, -2.0),
            "text\u{10ffff}\0".into(),
            vec![0_u8, 255].into(),
            Value::Date("2026-11-30".into()),
            Value::Time("01:02:03".into()),
            Value::DateTime("2026-11-30T01:02:03+00:00".into()),
            Value::TimeDelta {
                days: -1,
                seconds: 2,
                microseconds: 3,
            },
        ];
        for shift in 0..64 {
            for number in [
                1_i64 << shift,
                !(1_i64 << shift),
                (1_i64 << shift).wrapping_sub(1),
            ] {
                values.push(number.into());
            }
        }
        for length in 9..40 {
            values.push(Value::BigInt([vec![0x80; length - 1], vec![1]].concat()));
            values.push(Value::BigInt([vec![0x7f; length - 1], vec![0xfe]].concat()));
        }
        let all = Value::List(vec![
            Value::Tuple(values.clone()),
            Value::FrozenSet(values.clone()),
            Value::Set(values.clone()),
            Value::Dict(values.iter().cloned().zip(values.clone()).collect()),
        ]);
        assert_eq!(Value::read(&written(&all)), Some(all));
    }

    #[test]
    fn other_bytes_are_no_value() {
        let value = Value::List(vec![
            Value::Dict(vec![("a".into(), 1.into())]),
            Value::Tuple(vec!["b".into()]),
            Value::Date("2026-11-30".into()),
        ]);
        let bytes = written(&value);
        for length in 0..bytes.len() {
            assert_eq!(Value::read(&bytes[..length]), None, "{length}");
        }
        assert_eq!(Value::read(&[&bytes[..], b"N"].concat()), None);
        // No byte of it makes the reader panic, whatever it is.
        for at in 0..bytes.len() {
            for byte in 0..=255 {
                let mut changed = bytes.clone();
                changed[at] = byte;
                let _ = Value::read(&changed);
            }
        }
        for bytes in [
            &b"c"[..],
            b"0",
            b"[\xff\xff\xff\xff",
            b"s\xff\xff\xff\x7f",
            b"l\0\0\0\x80",
            b"(\x02\0\0\0Su\x01\0\0\0?",
            b"(\x01\0\0\0S",
            b"(\x02\0\0\0Su\x04\0\0\0date",
        ] {
            assert_eq!(Value::read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn many_values_and_deep_ones_are_refused() {
        let list = |count: usize| {
            let mut bytes = vec![b'['];
            bytes.extend((count as u32).to_le_bytes());
            bytes.resize(bytes.len() + count, b'N');
            bytes
        };
        assert!(Value::read(&list(VALUES_MAX - 1)).is_some());
        assert_eq!(Value::read(&list(VALUES_MAX)), None);
        let nested = |depth: usize| [b"[\x01\0\0\0".repeat(depth), vec![b'N']].concat();
        assert!(Value::read(&nested(DEPTH_MAX - 1)).is_some());
        assert_eq!(Value::read(&nested(DEPTH_MAX)), None);
        assert_eq!(Value::read(&nested(1 << 20)), None);
    }
}
