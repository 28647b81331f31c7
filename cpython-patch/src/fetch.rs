//! Downloads, and the checksums of all downloaded inputs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::build::Build;
use crate::cache::hex;
use crate::process;
use crate::progress::Running;
use crate::tree;

/// The SHA-256 of a file, in hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(sha256_of(&content))
}

/// The same of bytes.
pub(crate) fn sha256_of(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Accepts `path` only if it has the SHA-256 `wanted`, and deletes it otherwise.
pub(crate) fn verify(path: &Path, wanted: &str) -> Result<()> {
    let got = sha256(path)?;
    if got == wanted {
        return Ok(());
    }
    tree::remove(path)?;
    bail!(
        "checksum mismatch of {}\n  wanted sha256 {wanted}\n  got           {got}\n\
         The file was deleted. Run again to download it again. If the result is the same, the mirror's \
         file is not the pinned one, or it was changed in transit.",
        path.display()
    )
}

/// The file `name` of the downloads folder with the right checksum; `get` writes it if it is missing.
pub(crate) fn cached(
    build: &Build,
    running: &Running,
    name: &str,
    sha256: &str,
    get: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let _lock = build.cache.lock("downloads", running)?;
    let path = build.cache.folder("downloads")?.join(name);
    let exists = path.try_exists();
    if exists.with_context(|| format!("cannot read {}", path.display()))? {
        verify(&path, sha256)?;
    } else {
        get(&path)?;
    }
    Ok(path)
}

/// Renames a downloaded file to its final name if its checksum is right.
pub(crate) fn accept(fetched: &Path, target: &Path, sha256: &str) -> Result<()> {
    verify(fetched, sha256)?;
    fs::rename(fetched, target).with_context(|| format!("cannot write {}", target.display()))
}

/// Fetches `url` to `target`.
///
/// It runs curl or wget, one of which every machine with a network has: they use the machine's proxies and
/// certificates, and a TLS library would double the compile time of this driver.
pub(crate) fn download(running: &Running, url: &str, target: &Path, sha256: &str) -> Result<()> {
    let unfinished = target.with_added_extension("part");
    tree::remove(&unfinished)?;
    let mut command;
    if process::find("curl").is_some() {
        command = Command::new("curl");
        command
            .args(["--fail", "--location", "--silent", "--show-error"])
            .args(["--proto", "=https", "--connect-timeout", "20"])
            .args(["--retry", "2", "--output"]);
    } else if process::find("wget").is_some() {
        command = Command::new("wget");
        command
            .args(["--no-verbose", "--https-only", "--timeout=20", "--tries=3"])
            .arg("--output-document");
    } else {
        bail!("cannot download {url}: install curl or wget");
    }
    if let Err(error) = process::run(running, command.arg(&unfinished).arg(url)) {
        tree::remove(&unfinished)?;
        return Err(error.context(format!("cannot download {url}")));
    }
    accept(&unfinished, target, sha256)
}

/// Unpacks a tar archive without its only top folder into `folder`.
pub(crate) fn unpack(running: &Running, archive: &Path, folder: &Path) -> Result<()> {
    process::run(
        running,
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--no-same-owner"])
            .arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(folder),
    )
    .with_context(|| format!("cannot unpack {}", archive.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn wrong_checksum_deletes_the_file_and_names_both() {
        let path = std::env::temp_dir().join(format!("xtask-sum-{}", std::process::id()));
        fs::write(&path, "abc").unwrap();
        verify(&path, ABC).unwrap();
        fs::write(&path, "abd").unwrap();
        let text = verify(&path, ABC).unwrap_err().to_string();
        assert!(text.contains(ABC) && text.contains("got"), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
        assert!(!path.exists());
    }
}
