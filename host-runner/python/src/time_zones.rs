//! The time zone database that guests read.

use std::env;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use wasmtime::error::Context as _;
use wasmtime::{Result, bail};

use crate::folders::Folder;

/// Where a guest finds the time zone database: the first folder of `zoneinfo.TZPATH`.
pub const TIME_ZONES_FOLDER: &str = "/usr/share/zoneinfo";

/// Where systems have it.
const FOLDERS: [&str; 5] = [
    TIME_ZONES_FOLDER,
    "/usr/lib/zoneinfo",
    "/usr/share/lib/zoneinfo",
    "/etc/zoneinfo",
    "/var/db/timezone/zoneinfo",
];

/// The zone that every database has, and how its file begins: tzfile(5).
const UTC: &str = "UTC";
const MAGIC: [u8; 4] = *b"TZif";

/// The time zone database that a guest sees as `/usr/share/zoneinfo`, for reading, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZones(Option<PathBuf>);

impl TimeZones {
    /// The database in a folder, in compiled form (tzfile(5)).
    ///
    /// # Errors
    /// The folder cannot be read, or has no zone `UTC`.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let resolved = folder
            .canonicalize()
            .with_context(|| folder.display().to_string())?;
        if !is_database(&resolved) {
            bail!(
                "no time zones in {}: it has no compiled file {UTC}, as /usr/share/zoneinfo has",
                folder.display()
            );
        }
        Ok(Self(Some(resolved)))
    }

    /// The database of the host's own programs: in the folder that `TZDIR` in this process's environment names, or else
    /// where systems have it. There may be none.
    #[must_use]
    pub fn of_system() -> Self {
        let named = env::var_os("TZDIR").filter(|folder| !folder.is_empty());
        let folders = match &named {
            Some(folder) => vec![Path::new(folder)],
            None => FOLDERS.map(Path::new).to_vec(),
        };
        let found = folders
            .into_iter()
            .find_map(|folder| Self::from_folder(folder).ok());
        found.unwrap_or_else(Self::none)
    }

    /// No database: a guest knows the zones that are written as rules, such as `CET-1CEST,M3.5.0,M10.5.0/3`, and those
    /// of the package tzdata.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// What a guest with these folders sees of it. `root` is the folder of the host that it sees as `/`. A database in
    /// one of them comes first.
    pub(crate) fn folder(&self, granted: &[Folder], root: Option<&Path>) -> Option<Folder> {
        let folder = self.0.as_deref()?;
        let places = granted.iter().filter_map(|granted| {
            let rest = granted.rest_of(TIME_ZONES_FOLDER)?;
            Some((rest, granted.host()))
        });
        let below_root = Path::new(TIME_ZONES_FOLDER).strip_prefix("/").ok()?;
        let root = root.map(|root| (below_root.to_owned(), root));
        // The innermost folder is the one that the guest sees there.
        let innermost = places
            .chain(root)
            .min_by_key(|(rest, _)| rest.components().count());
        // A link is not followed: the guest may have made it, and would learn what it leads to on the host.
        let is_there =
            innermost.is_some_and(|(rest, host)| host.join(rest).symlink_metadata().is_ok());
        // Somebody may have removed it since.
        (!is_there && folder.is_dir()).then(|| Folder::read_only(folder, TIME_ZONES_FOLDER))
    }
}

fn is_database(folder: &Path) -> bool {
    let mut magic = [0; MAGIC.len()];
    let read = File::open(folder.join(UTC)).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == MAGIC
}

#[cfg(test)]
mod tests {
    use super::{TIME_ZONES_FOLDER, TimeZones};
    use crate::Folder;
    use std::fs;

    #[test]
    fn folder_without_zones_is_an_error_that_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = TimeZones::from_folder(folder.path()).unwrap_err();
        assert!(
            error.to_string().starts_with("no time zones in "),
            "{error}"
        );
        fs::write(folder.path().join("UTC"), "TZif2").unwrap();
        TimeZones::from_folder(folder.path()).unwrap();
        let error = TimeZones::from_folder(folder.path().join("nowhere")).unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }

    #[test]
    fn database_in_a_granted_folder_comes_first() {
        let database = tempfile::tempdir().unwrap();
        fs::write(database.path().join("UTC"), "TZif2").unwrap();
        let zones = TimeZones::from_folder(database.path()).unwrap();
        let system = tempfile::tempdir().unwrap();
        let root = system.path();
        fs::create_dir_all(root.join("usr/share/zoneinfo")).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let sees = |folders: &[Folder], root| {
            let folder = zones.folder(folders, root)?;
            Some(folder.guest().to_owned())
        };
        let own = Some(TIME_ZONES_FOLDER.to_owned());
        assert_eq!(sees(&[], None), own);
        assert_eq!(sees(&[], Some(empty.path())), own);
        assert_eq!(sees(&[], Some(root)), None);
        for (host, guest, expected) in [
            (root.to_owned(), "/", None),
            (root.join("usr"), "/usr/", None),
            (empty.path().to_owned(), TIME_ZONES_FOLDER, None),
            (
                empty.path().to_owned(),
                "/usr/share/zoneinfo/Europe",
                own.clone(),
            ),
            (empty.path().to_owned(), "/usr", own.clone()),
            (root.to_owned(), "/app", own),
        ] {
            let folders = [Folder::read_only(host, guest)];
            assert_eq!(sees(&folders, Some(empty.path())), expected, "{guest}");
        }
        // What is behind another folder is not seen.
        let folders = [
            Folder::read_only(root, "/"),
            Folder::read_only(empty.path(), "/usr"),
        ];
        assert!(sees(&folders, Some(root)).is_some());
        assert_eq!(TimeZones::none().folder(&[], None), None);
    }
}
