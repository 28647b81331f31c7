//! The user's configuration of pip: files and variables on this machine, read as pip reads them
//! (pip/_internal/configuration.py).

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use configparser::ini::{Ini, IniDefault};
use etcetera::BaseStrategy as _;
use wasmtime::{Result, format_err};

/// Options by their long names, with the values that apply to a command of pip.
type Options = BTreeMap<String, String>;

/// Variables that are not options.
const OTHER_VARIABLES: [&str; 3] = ["config-file", "help", "version"];

/// The variables in which requests and curl look for proxies.
pub(super) const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// The variable with the hosts that are reached without a proxy, if the guest may reach them at all.
pub(super) const NO_PROXY: &[&str] = &["NO_PROXY"];

/// The options that apply to a command of pip.
pub(super) fn load(command: Option<&str>) -> Result<Options> {
    let mut sections = BTreeMap::new();
    for file in files() {
        if file.is_file() {
            read(&file, &mut sections)?;
        }
    }
    // The section of the command overrides the global sections of all files.
    let mut options = sections.remove("global").unwrap_or_default();
    options.extend(
        command
            .and_then(|command| sections.remove(command))
            .unwrap_or_default(),
    );
    options.extend(variables());
    options.retain(|_, value| !value.is_empty());
    Ok(options)
}

/// The configuration files: later ones override earlier ones.
fn files() -> Vec<PathBuf> {
    let chosen = env::var_os("PIP_CONFIG_FILE").map(PathBuf::from);
    if chosen.as_deref() == Some(Path::new("/dev/null")) {
        return Vec::new();
    }
    let dirs = env::var_os("XDG_CONFIG_DIRS").filter(|dirs| !dirs.is_empty());
    let dirs = dirs.unwrap_or_else(|| "/etc/xdg".into());
    let mut files: Vec<_> = env::split_paths(&dirs)
        .map(|folder| folder.join("pip/pip.conf"))
        .collect();
    files.push("/etc/pip.conf".into());
    if !chosen.as_ref().is_some_and(|file| file.exists())
        && let Ok(folders) = etcetera::choose_base_strategy()
    {
        files.push(folders.home_dir().join(".pip/pip.conf"));
        files.push(folders.config_dir().join("pip/pip.conf"));
    }
    files.extend(env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("pip.conf")));
    files.extend(chosen);
    files
}

fn read(file: &Path, sections: &mut BTreeMap<String, Options>) -> Result<()> {
    // As Python's RawConfigParser does: a URL may contain what begins a comment elsewhere.
    let mut settings = IniDefault::default();
    settings.multiline = true;
    settings.enable_inline_comments = false;
    let mut ini = Ini::new_from_defaults(settings);
    let read = ini
        .load(file)
        .map_err(|error| format_err!("{}: {error}", file.display()))?;
    for (section, options) in read {
        let known = sections.entry(section).or_default();
        for (name, value) in options {
            known.insert(
                long_name(&name),
                value.unwrap_or_default().trim().to_owned(),
            );
        }
    }
    Ok(())
}

fn variables() -> Options {
    env::vars_os()
        .filter_map(|(name, value)| {
            let name = long_name(name.to_str()?.strip_prefix("PIP_")?);
            (!OTHER_VARIABLES.contains(&name.as_str())).then_some((name, value.into_string().ok()?))
        })
        .collect()
}

fn long_name(name: &str) -> String {
    let name = name.to_lowercase().replace('_', "-");
    name.strip_prefix("--").map(Into::into).unwrap_or(name)
}

/// The certificates that requests, which pip contains, would trust.
pub(super) fn bundle() -> Option<PathBuf> {
    ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"]
        .into_iter()
        .filter_map(env::var_os)
        .find(|file| !file.is_empty())
        .map(Into::into)
}

/// Those of these variables that are set, in upper and lower case.
pub(super) fn in_both_cases(names: &[&str]) -> Vec<(String, String)> {
    names
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_lowercase()])
        .filter_map(|name| env::var(&name).ok().map(|value| (name, value)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{long_name, read};
    use std::collections::BTreeMap;

    #[test]
    fn file_is_read_as_pip_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pip.conf");
        let text = "# comment\n\
            [global]\n\
            Index_URL = https://user:a;b#c%40@example.com/simple\n\
            extra-index-url =\n    https://one.example/\n    # comment\n    https://two.example/\n\
            no-color: yes\n\
            [install]\n\
            target=site\n";
        std::fs::write(&file, text).unwrap();
        let mut sections = BTreeMap::new();
        read(&file, &mut sections).unwrap();
        let global = &sections["global"];
        assert_eq!(
            global["index-url"],
            "https://user:a;b#c%40@example.com/simple"
        );
        let extra: Vec<_> = global["extra-index-url"].split_whitespace().collect();
        assert_eq!(extra, ["https://one.example/", "https://two.example/"]);
        assert_eq!(global["no-color"], "yes");
        assert_eq!(sections["install"]["target"], "site");
    }

    #[test]
    fn names_have_one_spelling() {
        for name in ["INDEX_URL", "index-url", "--index-url"] {
            assert_eq!(long_name(name), "index-url");
        }
    }
}
