//! What the guest sees of a system's settings: the certificates that it trusts, OpenSSL's, and the name servers.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};
use tracing::debug;
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

use crate::folders;
use crate::kept::Kept;

/// The port of name servers (RFC 1035, 4.2).
pub(crate) const DNS_PORT: u16 = 53;

/// Where the guest sees it.
pub(crate) const FOLDER: &str = "/etc";

/// OPENSSLDIR of the guest's OpenSSL: `cert.pem` and `openssl.cnf` are what it reads there unasked.
pub(crate) const TLS_FOLDER: &str = "/etc/ssl";

const TLS_SETTINGS: &str = include_str!("openssl.cnf");

/// How much of it a guest sees, which may have another /etc.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    All,
    Tls,
}

/// A folder of the host with those files.
#[derive(Debug)]
pub(crate) struct Etc {
    place: Place,
    folder: PathBuf,
    /// Where nothing can be kept: the folder lives as long as this.
    _temporary: Option<TempDir>,
}

impl Etc {
    /// Certificates are those of a PEM file, or else the ones that this system trusts. If it has none,
    /// neither has the guest: OpenSSL then says that it cannot verify, as it would outside.
    pub(crate) fn find(
        place: Place,
        bundle: Option<&Path>,
        name_servers: &[IpAddr],
    ) -> Result<Self> {
        let bundle = match bundle {
            Some(file) => of_file(file).context("--ca-bundle")?,
            None => of_system(),
        };
        let name_servers = resolv_conf(name_servers);
        let mut files = vec![("ssl/openssl.cnf", TLS_SETTINGS)];
        for (name, text) in [("ssl/cert.pem", &bundle), ("resolv.conf", &name_servers)] {
            if !text.is_empty() {
                files.push((name, text));
            }
        }
        match kept(&files) {
            Ok(folder) => Ok(Self {
                place,
                folder,
                _temporary: None,
            }),
            // A read-only home is no reason not to run.
            Err(error) => {
                debug!("/etc is not kept: {error:#}");
                let folder = tempfile::tempdir().context("no place for the guest's /etc")?;
                write(folder.path(), &files)?;
                Ok(Self {
                    place,
                    folder: folder.path().to_owned(),
                    _temporary: Some(folder),
                })
            }
        }
    }

    /// Shows it to the guest, to read only.
    pub(crate) fn mount(&self, wasi: &mut WasiCtxBuilder) -> Result<()> {
        let (folder, guest) = match self.place {
            Place::All => (&self.folder, FOLDER),
            Place::Tls => (&self.folder.join("ssl"), TLS_FOLDER),
        };
        folders::preopen(wasi, folder, guest, FsPerms::ReadOnly)
    }
}

/// The name servers of this system: resolv.conf(5). None if they cannot be told.
pub(crate) fn name_servers() -> Vec<IpAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let server = (words.next() == Some("nameserver")).then(|| words.next())??;
        // The scope of a link-local address is not the guest's.
        server.parse().ok()
    });
    servers.collect()
}

fn resolv_conf(name_servers: &[IpAddr]) -> String {
    let lines = name_servers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    lines.collect()
}

fn of_file(file: &Path) -> Result<String> {
    let found = load_certs_from_paths(Some(file), None);
    if let Some(error) = found.errors.into_iter().next() {
        return Err(error.into());
    }
    if found.certs.is_empty() {
        bail!(
            "no certificate in {}: it takes PEM, which has lines -----BEGIN CERTIFICATE-----",
            file.display()
        );
    }
    Ok(encode(found.certs))
}

/// Those that the host's own programs trust; its `SSL_CERT_FILE` and `SSL_CERT_DIR` choose others.
fn of_system() -> String {
    let CertificateResult { certs, errors, .. } = load_native_certs();
    for error in errors {
        debug!("certificates: {error}");
    }
    debug!("certificates: {} of this system", certs.len());
    encode(certs)
}

/// As a new file: one that was found may hold private keys beside the certificates.
fn encode(certificates: Vec<impl AsRef<[u8]>>) -> String {
    let pems: Vec<_> = certificates
        .iter()
        .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
        .collect();
    pem::encode_many_config(&pems, EncodeConfig::new().set_line_ending(LineEnding::LF))
}

/// The folder of the cache that has these files, named after what is in them: guests that run may go on
/// to read another.
fn kept(files: &[(&str, &str)]) -> Result<PathBuf> {
    let mut hash = Sha256::new();
    for (name, text) in files {
        hash.update(format!("{name} {}\n", text.len()));
        hash.update(text);
    }
    let name: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let folder = Kept::Etc.folder()?.join(name);
    write(&folder, files)?;
    Ok(folder)
}

/// Each file is there whole or not at all, also where several runs write it at once.
fn write(folder: &Path, files: &[(&str, &str)]) -> Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        let folder = path.parent().unwrap_or(folder);
        fs::create_dir_all(folder)?;
        if fs::read(&path).is_ok_and(|present| present == text.as_bytes()) {
            continue;
        }
        let mut file = NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{of_file, write};
    use std::fs;

    #[test]
    fn file_without_certificates_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bundle.pem");
        fs::write(&file, "no certificate\n").unwrap();
        let error = of_file(&file).unwrap_err().to_string();
        assert!(error.starts_with("no certificate in "), "{error}");
        let error = of_file(&folder.path().join("nowhere.pem")).unwrap_err();
        assert!(error.to_string().contains("nowhere.pem"), "{error}");
    }

    #[test]
    fn private_keys_beside_certificates_stay_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bundle.pem");
        let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        fs::write(&file, format!("comment\n{key}{certificate}")).unwrap();
        assert_eq!(of_file(&file).unwrap(), certificate);
    }

    #[test]
    fn file_that_was_changed_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cert.pem");
        for _ in 0..2 {
            write(folder.path(), &[("cert.pem", "text")]).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), "text");
            fs::write(&file, "te").unwrap();
        }
    }
}
