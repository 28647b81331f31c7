//! The table of a code object's lines: `InternalDocs/code_objects.md` of CPython.

/// The line of an instruction, which is counted in units of code.
pub(super) fn line_at(table: &[u8], first: u32, instruction: u32) -> Option<u32> {
    let mut bytes = table.iter().copied();
    let mut line = i64::from(first);
    let mut end = 0_u32;
    loop {
        let head = bytes.next()?;
        // Each entry begins with a byte whose highest bit is set.
        if head & 0x80 == 0 {
            return None;
        }
        end += u32::from(head & 7) + 1;
        let mut has_line = true;
        match head >> 3 & 15 {
            // Short: one byte of columns.
            0..=9 => drop(bytes.next()),
            code @ 10..=12 => {
                line += i64::from(code - 10);
                bytes.nth(1);
            }
            13 => line += signed(&mut bytes)?,
            14 => {
                line += signed(&mut bytes)?;
                for _ in 0..3 {
                    number(&mut bytes)?;
                }
            }
            _ => has_line = false,
        }
        if instruction < end {
            return u32::try_from(line).ok().filter(|_| has_line);
        }
    }
}

/// A number in units of six bits, the lowest first.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(6) {
        let byte = bytes.next()?;
        number |= u32::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            return Some(number);
        }
    }
    None
}

fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let number = number(bytes)?;
    let magnitude = i64::from(number >> 1);
    Some(if number & 1 == 1 {
        -magnitude
    } else {
        magnitude
    })
}

#[cfg(test)]
mod tests {
    use super::line_at;

    #[test]
    fn lines_are_those_of_co_positions() {
        // co_linetable of a function with a loop and an expression on several lines, and the lines of co_lines().
        let table = [
            128, 0, 216, 8, 9, 136, 65, 137, 5, 128, 65, 221, 13, 18, 144, 49, 137, 88, 140, 88,
            240, 0, 1, 5, 15, 240, 0, 1, 5, 15, 136, 1, 216, 8, 9, 136, 81, 137, 6, 136, 1, 136, 1,
            224, 7, 8, 136, 49, 130, 117, 128, 117, 216, 8, 9, 216, 8, 9, 240, 5, 2, 22, 11, 240,
            0, 2, 15, 11, 240, 6, 0, 12, 13, 128, 72,
        ];
        let wanted = [
            1, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4,
            6, 6, 6, 6, 6, 6, 7, 8, 6, 6, 9, 9,
        ];
        for (unit, line) in wanted.into_iter().enumerate() {
            assert_eq!(line_at(&table, 1, unit as u32), Some(line), "{unit}");
        }
        assert_eq!(line_at(&table, 1, wanted.len() as u32), None);
    }

    #[test]
    fn damaged_table_has_no_line() {
        for table in [
            &[][..],
            &[0],
            &[0x80],
            &[0xf0, 0xff],
            &[0xe8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        ] {
            assert_eq!(line_at(table, 1, 100), None);
        }
    }
}
