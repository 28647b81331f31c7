//! The certificates that the host trusts. Reading and decoding the system's takes milliseconds, so the trusted folder
//! remembers them: an entry has the length of a list of files, that list, and the certificates in PEM.

use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};

use crate::etc::Certificates;
use crate::sources;
use crate::trusted_folder::{TrustedFolder, hex};

/// As [`Certificates::of_system`].
pub(crate) fn load(folder: Option<&TrustedFolder>) -> Certificates {
    let Some(folder) = folder else {
        return Certificates::of_system();
    };
    let places = Places::find();
    let name = places.name();
    if let Some(known) = known(folder, &name) {
        return known;
    }
    let list = sources::list(&places.files());
    let certificates = Certificates::of_system();
    let mut entry = (list.len() as u32).to_le_bytes().to_vec();
    entry.extend(list);
    entry.extend(certificates.pem().as_bytes());
    // A read-only home is no reason not to run.
    let _ = folder.add(&name, &entry);
    certificates
}

fn known(folder: &TrustedFolder, name: &str) -> Option<Certificates> {
    let mut entry = Vec::new();
    folder.get(name)?.read_to_end(&mut entry).ok()?;
    let (length, rest) = entry.split_first_chunk()?;
    let (list, pem) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    sources::changed(list)
        .is_none()
        .then(|| str::from_utf8(pem).ok().map(Certificates::from_system_pem))
        .flatten()
}

/// Where the certificates are, as `rustls_native_certs` decides it.
struct Places {
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Places {
    fn find() -> Self {
        let [file, folders] = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(std::env::var_os);
        if file.is_none() && folders.is_none() {
            let found = openssl_probe::probe();
            return Self {
                file: found.cert_file,
                folders: found.cert_dir,
            };
        }
        let folders = folders.iter().flat_map(std::env::split_paths);
        Self {
            file: file.map(PathBuf::from),
            folders: folders
                .filter(|folder| !folder.as_os_str().is_empty())
                .collect(),
        }
    }

    /// The name of the entry for these places.
    fn name(&self) -> String {
        let mut hash = Sha256::new();
        for place in self.file.iter().chain(&self.folders) {
            hash.update(place.as_os_str().as_bytes());
            hash.update([0]);
        }
        hash.update([u8::from(self.file.is_some())]);
        format!("{}.certificates", hex(&hash.finalize()))
    }

    /// What is read: the file, and all files of the folders.
    fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = self.file.iter().chain(&self.folders).cloned().collect();
        for folder in &self.folders {
            let entries = fs::read_dir(folder).into_iter().flatten();
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        files
    }
}

#[cfg(test)]
mod tests {
    use super::{Places, known, load};
    use crate::etc::Certificates;
    use crate::sources;
    use crate::trusted_folder::TrustedFolder;
    use std::fs;

    #[test]
    fn certificates_are_remembered() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = TrustedFolder::open(&temporary.path().join("compiled")).unwrap();
        let read = load(Some(&folder));
        assert_eq!(read, Certificates::of_system());
        let name = Places::find().name();
        assert_eq!(known(&folder, &name), Some(read.clone()));
        assert_eq!(load(Some(&folder)), read);
        folder.add(&name, b"damaged").unwrap();
        assert_eq!(load(Some(&folder)), read);
    }

    #[test]
    fn certificate_that_comes_or_goes_is_noticed() {
        let temporary = tempfile::tempdir().unwrap();
        let places = Places {
            file: Some(temporary.path().join("bundle.pem")),
            folders: vec![temporary.path().join("certs")],
        };
        fs::create_dir(&places.folders[0]).unwrap();
        fs::write(places.folders[0].join("a.0"), "one").unwrap();
        let current = |change: &dyn Fn()| {
            let list = sources::list(&places.files());
            assert!(sources::changed(&list).is_none());
            std::thread::sleep(std::time::Duration::from_millis(30));
            change();
            sources::changed(&list).is_none()
        };
        assert!(!current(&|| fs::write(
            places.folders[0].join("b.0"),
            "two"
        )
        .unwrap()));
        assert!(!current(&|| fs::write(
            places.folders[0].join("a.0"),
            "two"
        )
        .unwrap()));
        assert!(!current(&|| fs::write(
            temporary.path().join("bundle.pem"),
            ""
        )
        .unwrap()));
        assert!(!current(
            &|| fs::remove_file(places.folders[0].join("a.0")).unwrap()
        ));
    }
}
