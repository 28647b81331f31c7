//! The licences that must accompany a built python.wasm and a built `wasisocket`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::build::Build;
use crate::metadata::Metadata;
use crate::process;
use crate::steps::guest::{self, Guest};
use crate::steps::libraries::Libraries;
use crate::steps::sdk::Sdk;
use crate::steps::source::Source;
use crate::tree;

const FOLDER: &str = "LICENSES";
const NOTICE: &str = "NOTICE.txt";

/// Copies the licence files of every package that is linked into `root`, and returns a list of the packages.
fn crates(build: &Build, root: &str, rustc: &Path, target: &str, folder: &Path) -> Result<String> {
    let metadata = Metadata::read(build, rustc, target)?;
    let mut list = String::new();
    for package in metadata.linked(root)? {
        let from = package.folder()?;
        // This workspace's packages have their licence files at its root.
        let from = if package.is_ours() {
            &build.workspace
        } else {
            from
        };
        let name = format!("{}-{}", package.name, package.version);
        copy_licences(from, &folder.join(FOLDER).join("crates").join(&name))?;
        let licence = package.license.as_deref().unwrap_or("see its files");
        list.push_str(&format!("  {name}: {licence}\n"));
    }
    Ok(list)
}

fn is_licence(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "LICENSE",
        "LICENCE",
        "COPYING",
        "COPYRIGHT",
        "NOTICE",
        "UNLICENSE",
    ];
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.starts_with(word))
}

fn copy_licences(from: &Path, to: &Path) -> Result<()> {
    let keep = |path: &Path| {
        let top = path.iter().next().unwrap_or_default();
        is_licence(&top.to_string_lossy())
    };
    tree::copy(from, to, &keep)
}

/// Copies licence files. Of a header, whose first comment has the terms, only that is kept.
fn copy_notices(from: &Path, to: &Path) -> Result<()> {
    for file in tree::files(from, &|_| true)? {
        let target = to.join(&file);
        let copy = || {
            let text = fs::read(from.join(&file))?;
            fs::create_dir_all(target.parent().unwrap_or(to))?;
            fs::write(&target, notice(&text))
        };
        copy().with_context(|| format!("cannot copy the licence {}", file.display()))?;
    }
    Ok(())
}

/// The first comment of a C file, or all of another one.
fn notice(text: &[u8]) -> &[u8] {
    let end = text.windows(2).position(|bytes| bytes == b"*/");
    match end.filter(|_| text.starts_with(b"/*")) {
        Some(end) => &text[..end + 2],
        None => text,
    }
}

/// Copies the notices of the Rust standard library, from rustup's folder or else Debian's packages. False if
/// neither has them.
fn rust_std(sysroot: &Path, folder: &Path) -> Result<bool> {
    let doc = sysroot.join("share/doc/rust");
    let target = folder.join(FOLDER).join("rust-std");
    let mut found = false;
    for name in [
        "COPYRIGHT-library.html",
        "licenses/Apache-2.0.txt",
        "licenses/BSD-2-Clause.txt",
        "licenses/LLVM-exception.txt",
        "licenses/MIT.txt",
    ] {
        let text = doc.join(name);
        found |= copy_if_there(&text, &target.join(text.file_name().unwrap_or_default()))?;
    }
    for package in ["rust-web-src", "libstd-rust-dev-wasm32", "rust-src"] {
        let copyright = Path::new("/usr/share/doc").join(package).join("copyright");
        found = found || copy_if_there(&copyright, &target.join("copyright"))?;
    }
    Ok(found)
}

/// Where a text is: copied to `place`, or else at `address`.
fn place(copied: bool, place: &str, address: &str) -> String {
    if copied {
        format!("text in {FOLDER}/{place}")
    } else {
        format!("text at {address}")
    }
}

const RUST_COPYRIGHT: &str = "https://github.com/rust-lang/rust/blob/main/COPYRIGHT";

fn copy_if_there(from: &Path, to: &Path) -> Result<bool> {
    let there = from.is_file();
    if there {
        tree::copy_file(from, to)?;
    }
    Ok(there)
}

/// Writes LICENSES/ and NOTICE.txt into a distribution.
pub(crate) fn beside_python(
    build: &Build,
    (sdk, source, guest, libraries): (&Sdk, &Source, &Guest, &Libraries),
    folder: &Path,
) -> Result<()> {
    let texts = folder.join(FOLDER);
    let tree = &source.folder;
    tree::copy_file(&tree.join("LICENSE"), &texts.join("cpython/LICENSE"))?;
    // The terms of expat, HACL*, libmpdec, mimalloc and others that CPython contains.
    let incorporated = tree.join("Doc/license.rst");
    copy_if_there(&incorporated, &texts.join("cpython/license.rst"))?;

    let libc = sdk.folder.join("sysroot/usr/share/doc/wasi-libc/copyright");
    let has_libc = copy_if_there(&libc, &texts.join("wasi-libc/copyright"))?;
    let runtime = Path::new(&build.pins.llvm.copyright);
    let has_runtime = copy_if_there(runtime, &texts.join("compiler-rt/copyright"))?;
    let mut c_libraries = String::new();
    for library in &libraries.0 {
        let licences = library.folder.join("licences");
        copy_notices(&licences, &texts.join("libraries"))?;
        c_libraries.push_str(&format!("  {}", library.name));
        if let Some(version) = &library.version {
            c_libraries.push_str(&format!(" {version}"));
        }
        c_libraries.push_str(&format!(": {}\n", library.licence));
    }
    let rust = &guest.rust;
    let has_std = rust_std(&rust.sysroot()?, folder)?;
    let target = &build.pins.rust.target;
    let crates = crates(build, guest::PACKAGE, &rust.rustc, target, folder)?;
    let notice = format!(
        "python.wasm and python-core.wasm are made of the works below. Keep this file and the \
folder\n{FOLDER}/ with them when you pass them on.\n\n\
CPython {version} and its standard library, lib/: PSF-2.0 and the licences of the works it\n\
incorporates; texts in {FOLDER}/cpython/. Changed: built with the module _wasisocket linked in;\n\
wasisocket.py and modules named _wasisocket_*.py added to the library.\n\n\
C libraries; texts in {FOLDER}/libraries/:\n{c_libraries}\n\
wasi-libc, with parts of musl and others: MIT and Apache-2.0 WITH LLVM-exception;\n  {libc}\n\n\
LLVM compiler-rt: Apache-2.0 WITH LLVM-exception;\n  {runtime}\n\n\
The Rust standard library: MIT OR Apache-2.0, and the licences of what it contains;\n  {std}\n\n\
wasisocket and the Rust crates linked with it; texts in {FOLDER}/crates/:\n{crates}",
        version = source.version,
        libc = place(
            has_libc,
            "wasi-libc/",
            "https://github.com/WebAssembly/wasi-libc/blob/main/LICENSE"
        ),
        runtime = place(
            has_runtime,
            "compiler-rt/",
            "https://github.com/llvm/llvm-project/blob/main/compiler-rt/LICENSE.TXT"
        ),
        std = place(has_std, "rust-std/", RUST_COPYRIGHT),
    );
    fs::write(folder.join(NOTICE), notice).context("cannot write the notice")
}

/// Writes LICENSES/ and NOTICE.txt beside the `wasisocket` command, or another program, for a platform.
pub(crate) fn beside_host(build: &Build, package: &str, target: &str, folder: &Path) -> Result<()> {
    let mut sysroot = std::process::Command::new("rustc");
    let sysroot = process::output(sysroot.args(["--print", "sysroot"]))?;
    let has_std = rust_std(Path::new(&sysroot), folder)?;
    let crates = crates(build, package, Path::new("rustc"), target, folder)?;
    let notice = format!(
        "wasisocket is made of the works below. Keep this file and the folder {FOLDER}/ with it \
when you\npass it on.\n\nWasmtime and the other Rust crates linked into it; texts in \
{FOLDER}/crates/:\n{crates}\nThe Rust standard library: MIT OR Apache-2.0, and the licences of \
what it contains;\n  {std}\n",
        std = place(has_std, "rust-std/", RUST_COPYRIGHT),
    );
    fs::write(folder.join(NOTICE), notice).context("cannot write the notice")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_of_a_header_are_its_first_comment() {
        for (text, kept) in [
            ("/*\n** terms\n*/\nint x; /* y */", "/*\n** terms\n*/"),
            ("terms /* all */", "terms /* all */"),
            ("/* without an end", "/* without an end"),
        ] {
            assert_eq!(notice(text.as_bytes()), kept.as_bytes());
        }
    }

    #[test]
    fn licence_files_are_known_by_name() {
        for name in [
            "LICENSE",
            "license-mit",
            "COPYING.txt",
            "Unlicense",
            "NOTICE",
        ] {
            assert!(is_licence(name), "{name}");
        }
        assert!(!is_licence("README.md"));
    }
}
