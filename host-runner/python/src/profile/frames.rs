//! The Python functions that run, from a guest's memory.
//!
//! CPython publishes where in its structures a profiler of another process finds them: `_Py_DebugOffsets`, in
//! `Include/internal/pycore_runtime.h` of version 3.13. Nothing in this memory is trusted: the guest can write anything
//! there at any time. Every read is checked, every loop is bounded, and what makes no sense is left out.

use super::lines;

/// The most Python functions of a sample.
const FRAMES_MAX: usize = 2048;

/// The most characters of a name.
const NAME_MAX: usize = 200;

/// The most bytes of the table of a function's lines.
const LINES_MAX: usize = 1 << 16;

const COOKIE: &[u8] = b"xdebugpy";

/// The version of CPython whose table this is: its first two numbers.
const VERSION: u64 = 0x030d;

/// `FRAME_OWNED_BY_CSTACK`: the frame that a call of the interpreter puts before those of its functions.
const OWNED_BY_C: u8 = 3;

/// Where the fields of the table are, counted in numbers of 64 bits.
mod field {
    pub(super) const VERSION: u32 = 1;
    pub(super) const RUNTIME_INTERPRETERS: u32 = 5;
    pub(super) const INTERPRETER_THREADS: u32 = 9;
    pub(super) const THREAD_FRAME: u32 = 23;
    pub(super) const FRAME_PREVIOUS: u32 = 29;
    pub(super) const FRAME_EXECUTABLE: u32 = 30;
    pub(super) const FRAME_INSTRUCTION: u32 = 31;
    pub(super) const FRAME_OWNER: u32 = 33;
    pub(super) const CODE_FILENAME: u32 = 35;
    pub(super) const CODE_QUALNAME: u32 = 37;
    pub(super) const CODE_LINES: u32 = 38;
    pub(super) const CODE_FIRST_LINE: u32 = 39;
    pub(super) const CODE_INSTRUCTIONS: u32 = 43;
    pub(super) const BYTES_SIZE: u32 = 65;
    pub(super) const BYTES_DATA: u32 = 66;
    pub(super) const TEXT_STATE: u32 = 68;
    pub(super) const TEXT_LENGTH: u32 = 69;
    pub(super) const TEXT_ASCII_SIZE: u32 = 70;
}

/// Where a guest's CPython has its state.
pub(super) struct Runtime {
    address: u32,
}

/// A Python function that runs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PythonFrame {
    pub(super) function: Function,
    /// The line at which it is.
    pub(super) line: Option<u32>,
}

/// A Python function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) file: String,
    /// The line at which it begins.
    pub(super) line: u32,
}

impl Runtime {
    pub(super) fn new(address: u32) -> Self {
        Self { address }
    }

    /// The functions that run in each call of the interpreter, innermost first. `None` if Python has not started, or is
    /// of another version.
    pub(super) fn segments(&self, memory: &[u8]) -> Option<Vec<Vec<PythonFrame>>> {
        let guest = View {
            memory,
            table: self.address,
        };
        let is_known = guest.bytes(self.address, COOKIE.len())? == COOKIE
            && u64::from(guest.field(field::VERSION)?) >> 16 == VERSION;
        if !is_known {
            return None;
        }
        let interpreter = guest.pointer(self.address, field::RUNTIME_INTERPRETERS)?;
        let thread = guest.pointer(interpreter, field::INTERPRETER_THREADS)?;
        let mut frame = guest.pointer(thread, field::THREAD_FRAME)?;
        let mut segments = Vec::new();
        let mut segment = Vec::new();
        for _ in 0..FRAMES_MAX {
            if frame == 0 {
                break;
            }
            let Some(owner) = guest
                .at(frame, field::FRAME_OWNER)
                .and_then(|at| guest.u8(at))
            else {
                break;
            };
            if owner == OWNED_BY_C {
                segments.push(std::mem::take(&mut segment));
            } else {
                segment.extend(guest.frame(frame));
            }
            match guest.pointer(frame, field::FRAME_PREVIOUS) {
                Some(previous) => frame = previous,
                None => break,
            }
        }
        if !segment.is_empty() {
            segments.push(segment);
        }
        Some(segments)
    }
}

/// A guest's memory, and where the table is in it.
struct View<'a> {
    memory: &'a [u8],
    table: u32,
}

impl<'a> View<'a> {
    fn bytes(&self, address: u32, length: usize) -> Option<&'a [u8]> {
        self.memory.get(address as usize..)?.get(..length)
    }

    fn u8(&self, address: u32) -> Option<u8> {
        self.memory.get(address as usize).copied()
    }

    fn u32(&self, address: u32) -> Option<u32> {
        let bytes = self.bytes(address, 4)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    /// A number of the table. All of them are small.
    fn field(&self, field: u32) -> Option<u32> {
        self.u32(self.table.checked_add(field * 8)?)
    }

    /// The address of a field of this structure.
    fn at(&self, address: u32, field: u32) -> Option<u32> {
        address.checked_add(self.field(field)?)
    }

    /// A pointer, or a number of 32 bits, in a structure.
    fn pointer(&self, address: u32, field: u32) -> Option<u32> {
        self.u32(self.at(address, field)?)
    }

    fn frame(&self, frame: u32) -> Option<PythonFrame> {
        let code = self.pointer(frame, field::FRAME_EXECUTABLE)?;
        let line = self.pointer(code, field::CODE_FIRST_LINE)?;
        Some(PythonFrame {
            function: Function {
                name: self.text(self.pointer(code, field::CODE_QUALNAME)?)?,
                file: self.text(self.pointer(code, field::CODE_FILENAME)?)?,
                line,
            },
            line: self.line(frame, code, line),
        })
    }

    /// The line at which a frame is.
    fn line(&self, frame: u32, code: u32, first: u32) -> Option<u32> {
        let instruction = self.pointer(frame, field::FRAME_INSTRUCTION)?;
        let offset = instruction.checked_sub(self.at(code, field::CODE_INSTRUCTIONS)?)?;
        let table = self.pointer(code, field::CODE_LINES)?;
        let length = self.pointer(table, field::BYTES_SIZE)? as usize;
        let bytes = self.bytes(self.at(table, field::BYTES_DATA)?, length.min(LINES_MAX))?;
        lines::line_at(bytes, first, offset / 2)
    }

    /// A `str`, or its beginning. Its layout is that of `Include/cpython/unicodeobject.h`.
    fn text(&self, object: u32) -> Option<String> {
        let state = self.pointer(object, field::TEXT_STATE)?;
        let length = self.pointer(object, field::TEXT_LENGTH)? as usize;
        let (kind, is_compact, is_ascii) =
            (state >> 2 & 7, state >> 5 & 1 == 1, state >> 6 & 1 == 1);
        if !is_compact || !matches!(kind, 1 | 2 | 4) {
            return None;
        }
        let mut data = self.at(object, field::TEXT_ASCII_SIZE)?;
        if !is_ascii {
            // `utf8_length` and `utf8`, each of 32 bits.
            data = data.checked_add(8)?;
        }
        let kind = kind as usize;
        let bytes = self.bytes(data, length.min(NAME_MAX) * kind)?;
        let letter = |unit: &[u8]| {
            let number = unit
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u32::from(*byte));
            // Also surrogates of file names that are not UTF-8, and what would change the viewer's lines.
            char::from_u32(number)
                .filter(|letter| !letter.is_control())
                .unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        Some(bytes.chunks_exact(kind).map(letter).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::Runtime;

    #[test]
    fn memory_that_makes_no_sense_has_no_functions() {
        let runtime = Runtime::new(8);
        for length in [0, 8, 12, 16, 600, 4096] {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut memory = vec![byte; length];
                assert_eq!(runtime.segments(&memory), None);
                if let Some(place) = memory.get_mut(8..24) {
                    place.copy_from_slice(b"xdebugpy\xf0\x05\x0d\x03\0\0\0\0");
                    // It must end, and not panic.
                    let _ = runtime.segments(&memory);
                }
            }
        }
        assert_eq!(Runtime::new(u32::MAX).segments(&[0; 64]), None);
    }

    #[test]
    fn chain_without_an_end_is_cut() {
        // All offsets are 0: each pointer is the first one, which points to itself.
        let mut memory = vec![0; 4096];
        memory[1024..1028].copy_from_slice(&1024_u32.to_le_bytes());
        memory[..16].copy_from_slice(b"xdebugpy\xf0\x05\x0d\x03\0\0\0\0");
        let table = Runtime::new(0);
        memory[5 * 8..5 * 8 + 4].copy_from_slice(&1024_u32.to_le_bytes());
        assert!(table.segments(&memory).is_some());
    }
}
