//! Files that a guest leaves for the user, as lines of text. The guest is not trusted: a file may be large, a link,
//! or full of escape sequences for the terminal.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use wasmtime::error::Context as _;
use wasmtime::{Result, ensure};

/// The most of a file that is read, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The most lines that are read.
const LINES_MAX: usize = 50;

/// The most characters of a line that are shown.
const LINE_MAX: usize = 500;

/// The most of its last lines that are shown.
const LAST_MAX: usize = 20;

/// The most of a lock file that is read, in bytes: some ten thousand packages.
const LOCK_MAX: u64 = 16 << 20;

/// The lines of a file, for a terminal. There are none if there is no such file.
pub(super) fn lines(file: &Path) -> Vec<String> {
    open(file).map_or(Vec::new(), printable)
}

/// The whole of a lock file. `None` if there is no such file.
pub(super) fn lock(file: &Path) -> Result<Option<String>> {
    let Ok(file) = open(file) else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = file.take(LOCK_MAX + 1).read_to_string(&mut text);
    let read = read.context("cannot read the lock file")?;
    ensure!(
        read as u64 <= LOCK_MAX,
        "the lock file is larger than {} MB",
        LOCK_MAX >> 20
    );
    Ok(Some(text))
}

/// The last lines of an output, for a terminal.
pub(super) fn last_lines(output: &[u8]) -> Vec<String> {
    let output = String::from_utf8_lossy(output);
    let lines: Vec<_> = output.lines().collect();
    let last = lines.len().saturating_sub(LAST_MAX);
    lines[last..].iter().map(|line| shown(line)).collect()
}

fn open(file: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(file, flags, Mode::empty())?.into())
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
        .map_while(io::Result::ok)
        .take(LINES_MAX)
        .map(|line| shown(&line))
        .collect()
}

fn shown(line: &str) -> String {
    let mut text = String::new();
    for character in line.chars().take(LINE_MAX) {
        match character {
            // Columns are separated by them.
            '\t' | ' '..='~' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        LAST_MAX, LINE_MAX, LINES_MAX, LOCK_MAX, is_plain, last_lines, lines, lock, printable,
    };
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
        assert_eq!(lock(&secret).unwrap().unwrap(), "secret\n");
        assert_eq!(lock(&link).unwrap(), None);
    }

    #[test]
    fn lock_file_that_is_too_large_is_no_lock_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pylock.toml");
        let large = usize::try_from(LOCK_MAX).unwrap() + 1;
        std::fs::write(&file, vec![b'#'; large]).unwrap();
        lock(&file).unwrap_err();
    }

    #[test]
    fn last_lines_of_an_output_are_shown() {
        let output: String = (0..LAST_MAX + 5)
            .map(|number| format!("\x1b{number}\n"))
            .collect();
        let shown = last_lines(output.as_bytes());
        assert_eq!((shown.len(), &*shown[0]), (LAST_MAX, "\\u{1b}5"));
    }
}
