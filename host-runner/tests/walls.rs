//! The folders of this crate know only what their place allows: who may use whom goes one way.
//!
//! ```text
//! linker -> ctx -> sockets, names, policy, limits, crypto -> event, list
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// A folder below `src`, and what its files must not name, with the reason.
const WALLS: &[(&str, &[&str], &str)] = &[
    (
        "sockets",
        &[
            "wasmtime",
            "crate::policy",
            "crate::ctx",
            "crate::linker",
            "crate::limits",
        ],
        "sockets are system calls: who may make them is decided in ctx",
    ),
    (
        "policy",
        &[
            "wasmtime",
            "crate::sockets",
            "crate::ctx",
            "crate::linker",
            "crate::names",
            "rustix",
        ],
        "a policy decides by addresses and names alone",
    ),
    (
        "names",
        &[
            "wasmtime",
            "crate::policy",
            "crate::sockets",
            "crate::ctx",
            "crate::linker",
        ],
        "a resolver answers whoever asks: what may be asked is decided in ctx",
    ),
    (
        "limits",
        &[
            "wasmtime",
            "crate::policy",
            "crate::sockets",
            "crate::ctx",
            "crate::linker",
        ],
        "limits count what they are told",
    ),
    (
        "crypto",
        &[
            "wasmtime",
            "crate::policy",
            "crate::sockets",
            "crate::names",
            "crate::ctx",
            "crate::linker",
            "crate::limits",
            "rustix",
        ],
        "ciphers are for whoever has the key",
    ),
    (
        "linker",
        &[
            "crate::policy",
            "crate::limits::Limit}",
            "Counted",
            "Usage",
            "Policy",
            "Denial",
            "room_for",
        ],
        "the imports only read guest memory, call ctx and write back",
    ),
    (
        "event.rs",
        &["wasmtime", "crate::sockets", "crate::ctx", "crate::linker"],
        "events are data",
    ),
];

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<_> = entries
        .flat_map(|entry| files_below(&entry.unwrap().path()))
        .collect();
    files.sort();
    files
}

fn files_below(path: &Path) -> Vec<PathBuf> {
    match path.is_dir() || path.extension().is_some_and(|extension| extension == "rs") {
        true => files(path),
        false => Vec::new(),
    }
}

/// The code of a file, without its comments and its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().take_while(|line| *line != "mod tests {");
    let code = lines.filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |code, line| code + line + "\n")
}

#[test]
fn folders_name_only_what_is_below_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for (folder, forbidden, reason) in WALLS {
        let files = files(&source.join(folder));
        assert!(!files.is_empty(), "{folder} has no files");
        for file in files {
            let code = code(&file);
            for name in *forbidden {
                if code.contains(name) {
                    found.push(format!("{} names {name}: {reason}", file.display()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn comments_and_tests_are_not_code() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/sockets/mod.rs");
    assert!(fs::read_to_string(&source).unwrap().contains("No wasmtime"));
    assert!(code(&source).contains("mod socket;"));
}
