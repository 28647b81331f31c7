//! `/etc` of a guest: the certificates that it trusts, OpenSSL's settings, its name servers, and its user.

use std::fs;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pem::{EncodeConfig, LineEnding, Pem};
use rustls_native_certs::{CertificateResult, load_certs_from_paths, load_native_certs};
use sha2::{Digest as _, Sha256};
use tempfile::{NamedTempFile, TempDir};
use tracing::debug;
use wasisocket_host::{Grants, List, prefers_aes};
use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::cache::{Cache, Part};
use crate::folders::Folder;

/// The port of name servers (RFC 1035, 4.2).
const DNS_PORT: u16 = 53;

const ETC_FOLDER: &str = "/etc";

/// Where a guest finds `cert.pem`, the certificates that it trusts: OPENSSLDIR of its OpenSSL, which reads
/// `openssl.cnf` there too.
pub const TLS_FOLDER: &str = "/etc/ssl";

const TLS_SETTINGS: &str = include_str!("openssl.cnf");

/// The users and groups of a guest: passwd(5), group(5). It runs as the second one. A guest with an `/etc` of its own has
/// the same ones from its library: guest-ext/posix/src/c_abi/users.rs.
const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/tmp/home:/bin/sh\n";
const GROUP: &str = "root:x:0:\nuser:x:1000:\n";

/// The suites of TLS 1.3, the fastest first, where AES has instructions and where it has none.
const AES_FIRST: &str =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
const CHACHA20_FIRST: &str =
    "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";

/// The certificates that a guest trusts: those of the authorities that may vouch for a server. Clones share them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificates {
    pem: Arc<str>,
    /// Packages that bring certificates of their own (certifi) then use these instead.
    from_file: bool,
}

impl Certificates {
    /// The certificates in a file in PEM. Private keys and comments beside them are not shown to the guest.
    ///
    /// # Errors
    /// The file cannot be read, or there is no certificate in it.
    pub fn from_file(file: impl AsRef<Path>) -> Result<Self> {
        let file = file.as_ref();
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
        Ok(Self {
            from_file: true,
            ..Self::encode(found.certs)
        })
    }

    /// The certificates that the host's own programs trust. `SSL_CERT_FILE` and `SSL_CERT_DIR` in this process's
    /// environment choose others. There may be none: then the guest cannot verify any server.
    #[must_use]
    pub fn of_system() -> Self {
        let CertificateResult { certs, errors, .. } = load_native_certs();
        for error in errors {
            debug!("certificates: {error}");
        }
        debug!("certificates: {} of this system", certs.len());
        Self::encode(certs)
    }

    /// The system's, as [`Certificates::pem`] returned them.
    pub(crate) fn from_system_pem(pem: &str) -> Self {
        Self {
            pem: pem.into(),
            from_file: false,
        }
    }

    /// The certificates in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// As a new file: the one that they were found in may hold private keys too.
    fn encode(certificates: Vec<impl AsRef<[u8]>>) -> Self {
        let pems: Vec<_> = certificates
            .iter()
            .map(|certificate| Pem::new("CERTIFICATE", certificate.as_ref()))
            .collect();
        let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
        Self {
            pem: pem::encode_many_config(&pems, config).into(),
            from_file: false,
        }
    }
}

/// A folder of the host with the files of `/etc`.
#[derive(Debug)]
pub(crate) struct Etc {
    folder: PathBuf,
    /// Where there is no cache: the folder lives as long as this.
    _temporary: Option<TempDir>,
}

impl Etc {
    /// Writes the files, unless the cache has them.
    pub(crate) fn write(
        certificates: &Certificates,
        name_servers: &[IpAddr],
        cache: Option<&Cache>,
    ) -> Result<Self> {
        let resolv_conf = resolv_conf(name_servers);
        let tls_settings = tls_settings(prefers_aes());
        let mut files = vec![
            ("ssl/openssl.cnf", &*tls_settings),
            ("passwd", PASSWD),
            ("group", GROUP),
        ];
        for (name, text) in [
            ("ssl/cert.pem", &*certificates.pem),
            ("resolv.conf", &resolv_conf),
        ] {
            if !text.is_empty() {
                files.push((name, text));
            }
        }
        if certificates.from_file {
            // For cpython-patch/Lib/_wasisocket_certifi.py.
            files.push(("ssl/ca-bundle.pem", &*certificates.pem));
        }
        if let Some(cache) = cache {
            match write_to_cache(cache, &files) {
                Ok(folder) => {
                    return Ok(Self {
                        folder,
                        _temporary: None,
                    });
                }
                // A read-only home is no reason not to run.
                Err(error) => debug!("/etc cannot be written to the cache: {error:#}"),
            }
        }
        let folder = tempfile::tempdir().context("no place for the guest's /etc")?;
        write(folder.path(), &files)?;
        Ok(Self {
            folder: folder.path().to_owned(),
            _temporary: Some(folder),
        })
    }

    /// Is it still there? Somebody may have cleared the cache.
    pub(crate) fn exists(&self) -> bool {
        self.folder.is_dir()
    }

    /// What a guest with these folders sees of it, for reading; `root` is the folder of the host that it sees as
    /// `/`. A guest with an `/etc` of its own sees `/etc/ssl` only, unless it has that too.
    pub(crate) fn folder(&self, granted: &[Folder], root: Option<&Path>) -> Option<Folder> {
        // A link is not followed: the guest may have made it, and would learn what it leads to on the host.
        let has_etc = is_granted(granted, ETC_FOLDER)
            || root.is_some_and(|root| root.join("etc").symlink_metadata().is_ok());
        match (has_etc, is_granted(granted, TLS_FOLDER)) {
            (false, _) => Some(Folder::read_only(&self.folder, ETC_FOLDER)),
            (true, false) => Some(Folder::read_only(self.folder.join("ssl"), TLS_FOLDER)),
            (true, true) => None,
        }
    }
}

/// Is one of these folders at `guest`?
pub(crate) fn is_granted(granted: &[Folder], guest: &str) -> bool {
    granted.iter().any(|folder| folder.is_at(guest))
}

/// The name servers in the resolv.conf(5) of a guest with these grants: those that the host asks for it, if it may
/// reach anything.
pub(crate) fn name_servers(grants: &Grants) -> Vec<IpAddr> {
    let reaches = grants
        .policy
        .rules()
        .any(|(list, _)| list == List::AllowNet);
    match reaches {
        false => Vec::new(),
        true if grants.resolver.asks_system() => system_name_servers(),
        // resolv.conf(5) has no place for another port.
        true => grants
            .resolver
            .servers()
            .iter()
            .filter(|server| server.port() == DNS_PORT)
            .map(SocketAddr::ip)
            .collect(),
    }
}

/// The name servers in this system's resolv.conf(5).
fn system_name_servers() -> Vec<IpAddr> {
    let text = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let server = (words.next() == Some("nameserver")).then(|| words.next())??;
        // The scope of a link-local address is not the guest's.
        server.parse().ok()
    });
    servers.collect()
}

fn tls_settings(prefers_aes: bool) -> String {
    let suites = match prefers_aes {
        true => AES_FIRST,
        false => CHACHA20_FIRST,
    };
    TLS_SETTINGS.replace("CIPHERSUITES", suites)
}

fn resolv_conf(name_servers: &[IpAddr]) -> String {
    let lines = name_servers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    lines.collect()
}

/// Writes the files to a folder of the cache that is named after their content, since running guests may still
/// read others.
fn write_to_cache(cache: &Cache, files: &[(&str, &str)]) -> Result<PathBuf> {
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
    let folder = cache.folder(Part::Etc).join(name);
    write(&folder, files)?;
    Ok(folder)
}

/// Writes each file atomically, since several runs may write the same one at once.
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
    use super::{Certificates, name_servers, tls_settings, write};
    use std::fs;
    use std::net::IpAddr;
    use wasisocket_host::{Grants, List};

    #[test]
    fn file_without_certificates_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bundle.pem");
        fs::write(&file, "no certificate\n").unwrap();
        let error = Certificates::from_file(&file).unwrap_err().to_string();
        assert!(error.starts_with("no certificate in "), "{error}");
        let error = Certificates::from_file(folder.path().join("nowhere.pem")).unwrap_err();
        assert!(error.to_string().contains("nowhere.pem"), "{error}");
    }

    #[test]
    fn private_keys_beside_certificates_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bundle.pem");
        let certificate = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let key = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n";
        fs::write(&file, format!("comment\n{key}{certificate}")).unwrap();
        assert_eq!(&*Certificates::from_file(&file).unwrap().pem, certificate);
    }

    #[test]
    fn faster_cipher_comes_first() {
        for (prefers_aes, first) in [(true, "TLS_AES_128_"), (false, "TLS_CHACHA20_")] {
            let settings = tls_settings(prefers_aes);
            let line = format!("\nCiphersuites = {first}");
            assert!(settings.contains(&line), "{settings}");
        }
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

    #[test]
    fn guest_sees_the_name_servers_that_are_asked_for_it() {
        let seen = |entries: &[(List, &str)]| {
            let mut grants = Grants::default();
            for (list, entry) in entries {
                grants.add(*list, entry).unwrap();
            }
            name_servers(&grants)
        };
        let server: IpAddr = [192, 0, 2, 53].into();
        let asked = [
            (List::AllowNet, "a.test"),
            (List::Dns, "192.0.2.53"),
            (List::Dns, "192.0.2.54:5353"),
        ];
        assert_eq!(seen(&asked), [server]);
        for entries in [
            &[(List::Dns, "192.0.2.53")][..],
            &[
                (List::AllowNet, "a.test"),
                (List::Resolve, "a.test:192.0.2.1"),
            ],
        ] {
            assert!(seen(entries).is_empty(), "{entries:?}");
        }
    }
}
