//! `--dir HOST[::GUEST][:ro]`.

use std::path::Path;

use wasisocket_python::Folder;

/// The folder that an option's value stands for.
pub(crate) fn parse_folder(text: &str) -> Result<Folder, String> {
    let (paths, read_only) = match text.strip_suffix(":ro") {
        Some(paths) => (paths, true),
        None => (text, false),
    };
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    if host.is_empty() || guest.is_empty() {
        return Err("write HOST, HOST::GUEST or HOST::GUEST:ro".into());
    }
    // As docker(1) takes it. A folder with a colon in its name is there.
    let plain = paths.strip_suffix(":rw").unwrap_or(paths);
    let meant = match plain.split_once(':') {
        Some((host, guest)) if !plain.contains("::") => format!("{host}::{guest}"),
        _ => plain.to_owned(),
    };
    if meant != paths && !Path::new(paths).exists() {
        let suffix = if read_only { ":ro" } else { "" };
        return Err(format!(
            "there is no folder {paths}. HOST and GUEST have two colons between them, and the guest may write unless \
             it is :ro: write {meant}{suffix}"
        ));
    }
    Ok(match read_only {
        true => Folder::read_only(host, guest),
        false => Folder::read_write(host, guest),
    })
}

#[cfg(test)]
mod tests {
    use super::parse_folder;
    use wasisocket_python::Folder;

    #[test]
    fn guest_path_is_the_hosts_unless_given() {
        for (text, folder) in [
            ("data", Folder::read_write("data", "data")),
            ("data:ro", Folder::read_only("data", "data")),
            ("/srv/data::/data", Folder::read_write("/srv/data", "/data")),
            (".::/data:ro", Folder::read_only(".", "/data")),
        ] {
            assert_eq!(parse_folder(text), Ok(folder));
        }
    }

    #[test]
    fn forms_of_other_tools_are_told_apart() {
        for (text, hint) in [
            ("a:/b", "write a::/b"),
            ("/srv/a:/b:ro", "write /srv/a::/b:ro"),
            ("a:/b:rw", "write a::/b"),
            ("a::/b:rw", "write a::/b"),
        ] {
            let error = parse_folder(text).unwrap_err();
            assert!(error.ends_with(hint), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let with_colon = folder.path().join("a:b");
        std::fs::create_dir(&with_colon).unwrap();
        assert!(parse_folder(with_colon.to_str().unwrap()).is_ok());
    }

    #[test]
    fn missing_paths_are_errors() {
        for text in ["", ":ro", "::", "::/data", "data::"] {
            assert!(parse_folder(text).is_err(), "{text}");
        }
    }
}
