//! What `wasisocket run` runs, and what of the host the guest sees for it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use wasisocket_python::{Folder, Program};
use wasmtime::error::Context as _;
use wasmtime::{Error, Result, ensure, format_err};

/// The most bytes of a program that is read from a pipe.
const STREAM_MAX: u64 = 16 << 20;

/// Where a guest sees such a program. `<(...)` of a shell is a file there.
const STREAMS: &str = "/dev/fd";

/// A folder has no program: in the words of Python's own main program, which ends with status 1 then.
#[derive(Debug)]
pub(crate) struct NoMain(PathBuf);

impl std::error::Error for NoMain {}

impl fmt::Display for NoMain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't find '__main__' module in '{}'", self.0.display())
    }
}

/// The program in a file, a folder or a pipe, and a folder to be removed after the run.
///
/// # Errors
/// There is no such file, or it cannot be read; the folder has no program ([`NoMain`]); or a program from a pipe is too
/// long.
pub(crate) fn open(path: &Path) -> Result<(Program, Option<TempDir>)> {
    let found = fs::metadata(path).map_err(|error| cannot_open(path, &error))?;
    if found.is_dir() && !path.join("__main__.py").is_file() {
        return Err(NoMain(absolute(path)).into());
    }
    if found.is_dir() || found.is_file() && !is_descriptor(path) {
        return Ok((Program::script(path), None));
    }
    let code = read(path)?;
    let name = match path.file_name() {
        Some(name) if name != "stdin" => name,
        _ => "0".as_ref(),
    };
    let in_guest = Path::new(STREAMS).join(name);
    let in_guest = in_guest.to_str();
    let in_guest = in_guest.context("the path of the script is not UTF-8, as WASI wants it")?;
    let scratch = tempfile::tempdir()?;
    fs::write(scratch.path().join(name), code)?;
    let folder = Folder::read_only(scratch.path(), STREAMS);
    Ok((Program::new([in_guest]).folder(folder), Some(scratch)))
}

/// Is this a descriptor of this process (proc_pid_fd(5))? The folder of its file is not meant, then.
fn is_descriptor(path: &Path) -> bool {
    path == "/dev/stdin"
        || [STREAMS, "/proc/self/fd"]
            .iter()
            .any(|folder| path.starts_with(folder))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let mut code = Vec::new();
    File::open(path)
        .and_then(|file| file.take(STREAM_MAX + 1).read_to_end(&mut code))
        .map_err(|error| cannot_open(path, &error))?;
    ensure!(
        code.len() as u64 <= STREAM_MAX,
        "the program in {} is longer than {} MiB",
        path.display(),
        STREAM_MAX >> 20
    );
    Ok(code)
}

/// In the words of Python's own main program.
fn cannot_open(path: &Path, error: &io::Error) -> Error {
    let path = absolute(path);
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    match error.raw_os_error() {
        Some(number) => {
            format_err!(
                "can't open file '{}': [Errno {number}] {text}",
                path.display()
            )
        }
        None => format_err!("can't open file '{}': {text}", path.display()),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::env::current_dir().unwrap_or_default().join(path)
}

/// Is there a module of this name below a folder, where `python -m` would run it?
pub(crate) fn has_module(folder: &Path, name: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && !part.contains(['/', '\0']);
    if !name.split('.').all(is_name) {
        return false;
    }
    let path = folder.join(name.replace('.', "/"));
    let file = |end: &str| {
        let mut file = path.clone().into_os_string();
        file.push(end);
        Path::new(&file).is_file()
    };
    [".py", "/__init__.py", "/__main__.py"]
        .into_iter()
        .any(file)
}
