//! pip's options: what their values name on this machine, and the guest's names for that.

use std::ffi::OsString;
use std::path::Path;

use lexopt::{Arg, Parser};
use wasisocket_python::TLS_FOLDER;
use wasmtime::{Result, format_err};

use super::inputs::Inputs;
use super::lock::is_lock;

/// What the value of an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It names nothing on this machine.
    Value,
    /// The URL of the index.
    Index,
    /// The URL of an additional index.
    ExtraIndex,
    /// A URL, a folder of wheels, or a page with links.
    Links,
    /// The URL of a proxy.
    Proxy,
    /// A file of certificates.
    Bundle,
    /// A file to read.
    File,
    /// A file to read, which may name others, or a lock file.
    Requirements,
    /// A file to read, which may name others.
    Constraints,
    /// A folder to read.
    Folder,
    /// The folder to write to.
    Target,
    /// The lock file to write.
    Output,
}

/// An option that takes a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    names: &'static [&'static str],
    letter: Option<char>,
    kind: Kind,
}

const fn setting(names: &'static [&'static str], letter: Option<char>, kind: Kind) -> Setting {
    Setting {
        names,
        letter,
        kind,
    }
}

/// The options whose values mean something here, and those that may precede pip's command, whose name comes after
/// their values. pip/_internal/cli/cmdoptions.py has the full list.
const SETTINGS: [Setting; 22] = [
    setting(&["index-url", "pypi-url"], Some('i'), Kind::Index),
    setting(&["extra-index-url"], None, Kind::ExtraIndex),
    setting(&["find-links"], Some('f'), Kind::Links),
    setting(&["proxy"], None, Kind::Proxy),
    setting(&["cert"], None, Kind::Bundle),
    setting(&["client-cert"], None, Kind::File),
    setting(&["requirement"], Some('r'), Kind::Requirements),
    setting(&["constraint"], Some('c'), Kind::Constraints),
    setting(&["path"], None, Kind::Folder),
    setting(&["target"], Some('t'), Kind::Target),
    setting(
        &["dest", "destination-dir", "destination-directory"],
        Some('d'),
        Kind::Target,
    ),
    setting(&["output"], Some('o'), Kind::Output),
    setting(&["trusted-host"], None, Kind::Value),
    setting(&["timeout", "default-timeout"], None, Kind::Value),
    setting(&["retries"], None, Kind::Value),
    setting(&["resume-retries"], None, Kind::Value),
    setting(&["upgrade-strategy"], None, Kind::Value),
    setting(&["exists-action"], None, Kind::Value),
    setting(&["log", "log-file", "local-log"], None, Kind::Value),
    setting(&["use-feature"], None, Kind::Value),
    setting(&["use-deprecated"], None, Kind::Value),
    setting(&["progress-bar"], None, Kind::Value),
];

/// Options of pip.conf and the environment that are passed to the guest unchanged. Other options are dropped: they run
/// processes, keep files, or name places that the guest does not have.
const PASSED_ON: [&str; 13] = [
    "default-timeout",
    "no-color",
    "no-dependencies",
    "no-deps",
    "pre",
    "prefer-binary",
    "quiet",
    "require-hashes",
    "retries",
    "timeout",
    "trusted-host",
    "upgrade-strategy",
    "verbose",
];

/// pip's command that writes a lock file.
pub(super) const LOCK: &str = "lock";

/// Letters of options without a value, which can be combined.
const FLAGS: [char; 6] = ['I', 'U', 'V', 'h', 'q', 'v'];

/// A part of pip's command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// pip's command, or a package.
    Positional(String),
    /// An option with its value.
    Setting(&'static Setting, String),
    /// Any other option.
    Other(String),
}

/// Parses pip's command line. Abbreviated names of options are not recognised, so the guest does not get what their
/// values name.
pub(super) fn parse(args: Vec<OsString>) -> Result<Vec<Word>> {
    let mut parser = Parser::from_args(args);
    // In -i=URL, optparse takes the = as part of the value.
    parser.set_short_equals(false);
    let mut words = Vec::new();
    let mut command = None;
    while let Some(arg) = parser.next()? {
        // `pip list -o` has no value.
        let locks = command.as_deref() == Some(LOCK);
        let mut known = SETTINGS
            .iter()
            .filter(|known| known.kind != Kind::Output || locks);
        let (option, setting) = match arg {
            Arg::Value(value) => {
                let value = utf8(value)?;
                command.get_or_insert_with(|| value.clone());
                words.push(Word::Positional(value));
                continue;
            }
            Arg::Short(letter) => (
                format!("-{letter}"),
                known.find(|known| known.letter == Some(letter)),
            ),
            Arg::Long(name) => (
                format!("--{name}"),
                known.find(|known| known.names.contains(&name)),
            ),
        };
        words.push(match setting {
            Some(setting) => Word::Setting(setting, utf8(parser.value()?)?),
            None if FLAGS.iter().any(|flag| option == format!("-{flag}")) => Word::Other(option),
            None => match parser.optional_value() {
                Some(value) if option.starts_with("--") => {
                    Word::Other(format!("{option}={}", utf8(value)?))
                }
                Some(value) => Word::Other(format!("{option}{}", utf8(value)?)),
                None => Word::Other(option),
            },
        });
    }
    Ok(words)
}

fn utf8(argument: OsString) -> Result<String> {
    argument
        .into_string()
        .map_err(|argument| format_err!("argument {argument:?} is not UTF-8, as WASI wants it"))
}

/// The argument for the guest, which gets what it names.
pub(super) fn translate(word: &Word, inputs: &mut Inputs) -> Result<String> {
    match word {
        Word::Positional(text) => {
            let (path, extras) = text.split_at(text.find('[').unwrap_or(text.len()));
            if path.ends_with(".whl") && Path::new(path).is_file() {
                return Ok(inputs.file(Path::new(path))? + extras);
            }
            Ok(text.clone())
        }
        Word::Setting(setting, value) => {
            let value = place(setting.kind, value, inputs)?;
            Ok(format!("--{}={value}", setting.names[0]))
        }
        Word::Other(option) => {
            if option == "--no-index" {
                inputs.reach.no_index = true;
            }
            Ok(option.clone())
        }
    }
}

/// A value of the user's configuration for the guest; `None` if it is not passed on.
pub(super) fn configured(name: &str, value: &str, inputs: &mut Inputs) -> Result<Option<String>> {
    if name == "no-index" {
        // The spellings of pip/_internal/utils/misc.py.
        inputs.reach.no_index =
            ["y", "yes", "t", "true", "on", "1"].contains(&value.to_lowercase().as_str());
        return Ok(Some(value.to_owned()));
    }
    if PASSED_ON.contains(&name) {
        return Ok(Some(value.to_owned()));
    }
    let Some(setting) = SETTINGS
        .iter()
        .find(|known| known.kind != Kind::Value && known.names.contains(&name))
    else {
        return Ok(None);
    };
    match setting.kind {
        // Several values are written with spaces or on several lines.
        Kind::ExtraIndex | Kind::Links | Kind::Requirements | Kind::Constraints | Kind::Folder => {
            let values: Result<Vec<_>> = value
                .split_whitespace()
                .map(|value| place(setting.kind, value, inputs))
                .collect();
            Ok(Some(values?.join(" ")))
        }
        kind => place(kind, value, inputs).map(Some),
    }
}

/// The value for the guest, which gets what it names.
fn place(kind: Kind, value: &str, inputs: &mut Inputs) -> Result<String> {
    let path = Path::new(value);
    match kind {
        Kind::Value => {}
        Kind::Index => inputs.reach.index = Some(value.to_owned()),
        Kind::ExtraIndex => inputs.reach.extra_indexes.push(value.to_owned()),
        Kind::Proxy => inputs.reach.proxies.push(value.to_owned()),
        Kind::Links if path.is_dir() => return inputs.folder(path),
        Kind::Links if path.is_file() => return inputs.file(path),
        Kind::Links => inputs.reach.links.push(value.to_owned()),
        Kind::Bundle => {
            inputs.bundle = Some(path.to_owned());
            return Ok(format!("{}/cert.pem", TLS_FOLDER));
        }
        Kind::File => return inputs.file(path),
        Kind::Requirements if is_lock(path) => return inputs.lock(path),
        Kind::Requirements | Kind::Constraints => {
            inputs.has_requirements |= kind == Kind::Requirements;
            // pip fetches it if that is granted.
            if !value.contains("://") {
                return inputs.requirements(path);
            }
        }
        Kind::Folder => return inputs.folder(path),
        Kind::Target => return inputs.target(path),
        Kind::Output => return inputs.output(path),
    }
    Ok(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Kind, Word, configured, parse, translate};
    use crate::pip::inputs::Inputs;

    fn words(line: &str) -> Vec<Word> {
        parse(line.split(' ').map(Into::into).collect()).unwrap()
    }

    #[test]
    fn option_is_found_in_each_of_its_spellings() {
        for line in [
            "install --target site",
            "install --target=site",
            "install -t site",
            "install -tsite",
            "install -Ut site",
            "install -qUtsite",
            "--retries 3 install -t site",
        ] {
            let found = words(line).into_iter().any(
                |word| matches!(word, Word::Setting(setting, value) if setting.kind == Kind::Target && value == "site"),
            );
            assert!(found, "{line}");
        }
    }

    #[test]
    fn output_is_an_option_of_lock_alone() {
        for (line, is) in [
            ("lock -o pylock.toml hello", true),
            ("-q lock hello -opylock.toml", true),
            ("lock --output=pylock.toml", true),
            ("list -o pylock.toml", false),
            ("download lock -o pylock.toml", false),
        ] {
            let found = words(line).into_iter().any(
                |word| matches!(word, Word::Setting(setting, value) if setting.kind == Kind::Output && value == "pylock.toml"),
            );
            assert_eq!(found, is, "{line}");
        }
    }

    #[test]
    fn other_arguments_are_passed_on() {
        let mut inputs = Inputs::new().unwrap();
        let line =
            "install -U --no-deps --platform=any -e. --hash sha256:0 requests>=2 --retries=3";
        let translated: Vec<_> = words(line)
            .iter()
            .map(|word| translate(word, &mut inputs).unwrap())
            .collect();
        assert_eq!(translated.join(" "), line);
    }

    #[test]
    fn configuration_has_lists_and_names_that_stay_here() {
        let mut inputs = Inputs::new().unwrap();
        let mut configured = |name, value| configured(name, value, &mut inputs).unwrap();
        assert_eq!(
            configured("extra-index-url", "\nhttps://a/\n  https://b/"),
            Some("https://a/ https://b/".into())
        );
        assert_eq!(configured("no-index", "off"), Some("off".into()));
        assert_eq!(configured("cache-dir", "/cache"), None);
        assert_eq!(configured("log", "/log"), None);
        assert_eq!(
            configured("cert", "/ca.pem"),
            Some("/etc/ssl/cert.pem".into())
        );
        assert!(!inputs.reach.no_index);
        assert_eq!(inputs.reach.extra_indexes, ["https://a/", "https://b/"]);
        assert_eq!(inputs.bundle, Some("/ca.pem".into()));
    }
}
