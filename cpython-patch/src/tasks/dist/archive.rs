//! The archive of the command: a prefix such as `~/.local`, as `cargo xtask install` lays it out, with manual pages and
//! completions.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Dist, sbom};
use crate::process;
use crate::steps::{host, licences};
use crate::tasks::install::Installation;
use crate::tree;

/// The program that writes manual pages and completions, and the feature that it needs.
const PAGES: &str = "pages";

/// Of the checkout, for `share/doc`.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"];

/// Makes the archive, unpacks it elsewhere, and runs something.
pub(super) fn make(dist: &Dist<'_>) -> Result<Vec<PathBuf>> {
    let name = dist.name(host::COMMAND);
    let folder = dist.folder("archive")?;
    let prefix = folder.join(&name);
    let installation = Installation::in_prefix(prefix.clone());
    let command = dist.folder("command")?;
    tree::copy_file(&dist.command, &command.join(host::COMMAND))?;
    licences::beside_host(dist.build, host::PACKAGE, &dist.target, &command)?;
    installation.make(&command, &dist.python.folder)?;
    // For runs without limits of time, and for those with them.
    dist.precompile(&[], &installation.library)?;
    dist.precompile(&["--time-limits"], &installation.library)?;
    pages(dist, &prefix.join("share"))?;
    let documents = prefix.join("share/doc").join(host::COMMAND);
    for document in DOCUMENTS {
        tree::copy_file(&dist.build.checkout(document), &documents.join(document))?;
    }
    let archive = dist.out.join(format!("{name}.tar.zst"));
    dist.tar(
        &folder,
        &["--use-compress-program=zstd -19 -T0 -q"],
        &archive,
    )?;
    try_it(dist, &archive, &name)?;
    Ok(vec![
        archive,
        sbom::make(dist, host::PACKAGE, host::COMMAND)?,
    ])
}

/// Manual pages and completions, where programs for them look.
fn pages(dist: &Dist<'_>, share: &Path) -> Result<()> {
    let (program, _lock) = dist.program(host::PACKAGE, &[PAGES], PAGES)?;
    process::visible(dist.run(&program).arg(share))
}

fn try_it(dist: &Dist<'_>, archive: &Path, name: &str) -> Result<()> {
    let folder = dist.folder("try-archive")?;
    let mut tar = Command::new("tar");
    tar.arg("--zstd")
        .arg("--extract")
        .arg("--file")
        .arg(archive);
    process::visible(tar.arg("--directory").arg(&folder))?;
    let mut command = dist.run(&folder.join(name).join("bin").join(host::COMMAND));
    command
        .env_remove("WASISOCKET_PYTHON")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .current_dir(&folder);
    process::visible(command.args(["run", "--timeout=60s", "-c", "import ssl, sqlite3"]))
        .context("the command in the archive does not work")
}
