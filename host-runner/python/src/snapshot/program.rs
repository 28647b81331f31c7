//! Which programs can begin with an image. The others have settings that Python reads when it starts.

use std::path::{Component, Path, PathBuf};

use crate::distribution::PREFIX;
use crate::etc::TLS_FOLDER;
use crate::folders::Folder;
use crate::program::Program;

use super::Image;

/// Room for tables beside the memory of an image.
const TABLES: usize = 1 << 20;

/// The variable of Python's that is read when a guest goes on from an image.
pub(crate) const SEARCH_PATH: &str = "PYTHONPATH";

/// Whether a guest with this program can begin with the image.
pub(crate) fn may_resume(program: &Program, image: &Image) -> bool {
    let words = program.script.is_none().then_some(&program.arguments);
    program.options.is_empty()
        && words.is_none_or(|words| has_no_options(words))
        && may_hold(program, image)
}

/// Whether a guest that is given what the program is given can begin with the image, whatever it runs.
pub(crate) fn may_hold(program: &Program, image: &Image) -> bool {
    let scripts = program.script_folder();
    // A guest may still ask for a cold start, with its files in its search path: it then has both memories.
    let instances = match program.env.iter().any(|(name, _)| name == SEARCH_PATH) {
        true => 2,
        false => 1,
    };
    let memory = (image.memory() + TABLES) * instances;
    !program
        .env
        .iter()
        .any(|(name, _)| is_setting(name) || image.origin.depends_on(name))
        && !program.folders.iter().chain(&scripts).any(has_settings)
        && program
            .grants
            .limits
            .max_memory
            .is_none_or(|most| memory <= most)
}

/// `-c CODE`, `-m MODULE`, or a script.
fn has_no_options(words: &[String]) -> bool {
    match words.first().map(String::as_str) {
        Some("-c" | "-m") => words.len() > 1,
        Some(script) => !script.is_empty() && !script.starts_with('-'),
        None => false,
    }
}

/// Variables that Python, the C library or OpenSSL read once, when they start.
fn is_setting(name: &str) -> bool {
    (name.starts_with("PYTHON") && name != SEARCH_PATH)
        || name == "LANG"
        || name == "LANGUAGE"
        || name.starts_with("LC_")
        || name.starts_with("OPENSSL_")
}

/// Does the guest see files of this folder in Python's prefix, or OpenSSL's settings?
fn has_settings(folder: &Folder) -> bool {
    let Some(guest) = normalize(folder.guest()) else {
        return true;
    };
    if folder.is_at(TLS_FOLDER) || guest.starts_with(PREFIX) {
        return true;
    }
    match Path::new(PREFIX).strip_prefix(&guest) {
        Ok(rest) => folder.host().join(rest).symlink_metadata().is_ok(),
        Err(_) => false,
    }
}

/// The absolute path of a folder; `None` if it has `..`.
fn normalize(guest: &str) -> Option<PathBuf> {
    let mut path = PathBuf::from("/");
    for part in Path::new(guest).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => return None,
            _ => {}
        }
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::{has_no_options, has_settings, is_setting};
    use crate::folders::Folder;

    #[test]
    fn options_need_a_cold_start() {
        let resumes = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|word| (*word).to_owned()).collect();
            has_no_options(&words)
        };
        for words in [
            &["-c", "pass"][..],
            &["-c", "pass", "-O"],
            &["-m", "json.tool", "--help"],
            &["/script.py", "-X", "dev"],
            &["script.py"],
        ] {
            assert!(resumes(words), "{words:?}");
        }
        for words in [
            &[][..],
            &[""],
            &["-"],
            &["-c"],
            &["-m"],
            &["-cpass"],
            &["-O", "-c", "pass"],
            &["-X", "dev", "script.py"],
            &["--version"],
        ] {
            assert!(!resumes(words), "{words:?}");
        }
    }

    #[test]
    fn variables_that_are_read_at_the_start_need_a_cold_start() {
        for name in [
            "PYTHONHASHSEED",
            "PYTHONUTF8",
            "PYTHONWARNINGS",
            "LANG",
            "LC_ALL",
            "LC_CTYPE",
            "OPENSSL_CONF",
        ] {
            assert!(is_setting(name), "{name}");
        }
        for name in [
            "PYTHONPATH",
            "PATH",
            "HOME",
            "LANGUAGES",
            "SSL_CERT_FILE",
            "TZ",
        ] {
            assert!(!is_setting(name), "{name}");
        }
    }

    #[test]
    fn folders_in_the_prefix_need_a_cold_start() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |guest: &str| has_settings(&Folder::read_only(folder.path(), guest));
        for guest in [
            "/usr/local",
            "/usr/./local/",
            "usr/local/lib/python3.13",
            "/etc/ssl",
            "/a/../usr/local",
        ] {
            assert!(settings(guest), "{guest}");
        }
        for guest in ["/", ".", "/usr", "/data", "/etc", "/usr/locale"] {
            assert!(!settings(guest), "{guest}");
        }
        std::fs::create_dir_all(folder.path().join("usr/local")).unwrap();
        assert!(settings("/"));
        assert!(settings("."));
        assert!(!settings("/usr"));
        std::fs::create_dir_all(folder.path().join("local")).unwrap();
        assert!(settings("/usr"));
    }
}
