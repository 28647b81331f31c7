//! `--dir HOST[::GUEST][:ro]`.

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
    fn missing_paths_are_errors() {
        for text in ["", ":ro", "::", "::/data", "data::"] {
            assert!(parse_folder(text).is_err(), "{text}");
        }
    }
}
