//! Files that a guest leaves for the user, as lines of text. The guest is not trusted: a file may be large, a link,
//! or full of escape sequences for the terminal.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The most of a file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The most lines that are read.
const LINES_MAX: usize = 50;

/// The most characters of a line that are shown.
const LINE_MAX: usize = 500;

/// The lines of a file, for a terminal. There are none if there is no such file.
pub(super) fn lines(file: &Path) -> Vec<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::open(file, flags, Mode::empty()) {
        Ok(file) => printable(File::from(file)),
        Err(_) => Vec::new(),
    }
}

/// Could this be the name or version of a package, or a platform? All are made of letters, digits and `._-+!`
/// (PEP 425, PEP 440, PEP 508), which mean nothing to a shell.
pub(super) fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+!".contains(&byte);
    !word.is_empty() && !word.starts_with('-') && word.bytes().all(plain)
}

fn printable(file: impl Read) -> Vec<String> {
    let lines = BufReader::new(file.take(FILE_MAX)).lines();
    lines
        .map_while(Result::ok)
        .take(LINES_MAX)
        .map(|line| {
            let mut text = String::new();
            for character in line.chars().take(LINE_MAX) {
                match character {
                    // Columns are separated by them.
                    '\t' | ' '..='~' => text.push(character),
                    _ => text.extend(character.escape_debug()),
                }
            }
            text
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{LINE_MAX, LINES_MAX, is_plain, lines, printable};
    use std::os::unix::fs::symlink;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let text = "it's 1.0\t\"é\"\n\x1b[2J\u{202e}\r\n";
        let shown = ["it's 1.0\t\"é\"", "\\u{1b}[2J\\u{202e}"];
        assert_eq!(printable(text.as_bytes()), shown);
    }

    #[test]
    fn words_that_a_shell_would_read_are_not_plain() {
        assert!(["PyYAML", "1!2.0+local.1", "manylinux2014_x86_64"].map(is_plain) == [true; 3]);
        assert!(["", "-r", "a;b", "$(a)", "a b", "a\u{e9}"].map(is_plain) == [false; 6]);
    }

    #[test]
    fn file_is_read_within_bounds() {
        let text = format!("{}\n", "x".repeat(LINE_MAX + 1)).repeat(LINES_MAX + 1);
        let shown = printable(text.as_bytes());
        assert_eq!(shown.len(), LINES_MAX);
        assert_eq!(shown[0].len(), LINE_MAX);
        assert!(printable(std::io::repeat(b'x')).len() == 1);
    }

    #[test]
    fn link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "secret\n").unwrap();
        assert_eq!(lines(&secret), ["secret"]);
        let link = folder.path().join("link");
        symlink(&secret, &link).unwrap();
        assert_eq!(lines(&link), [""; 0]);
    }
}
