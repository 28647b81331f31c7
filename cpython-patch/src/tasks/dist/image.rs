//! The example service as a container image: an OCI image layout (image-spec 1.1) in an archive, made without a daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Dist, sbom};
use crate::apt;
use crate::fetch;
use crate::process;
use crate::steps::licences;
use crate::tasks::install::copy_python;
use crate::tree;

const SERVICE: &str = "wasisocket-service";

/// Debian's packages in the image, of the version that this machine has: the service is linked against it.
const PACKAGES: [&str; 4] = ["libc6", "libgcc-s1", "ca-certificates", "tzdata"];

/// The user of the service: the number that images without root commonly have.
const USER: u32 = 65532;

/// The folder for tenants, which is mounted.
const TENANTS: &str = "/tenants";

/// Makes the image's file system, and the image of it.
pub(super) fn make(dist: &Dist<'_>) -> Result<Vec<PathBuf>> {
    let root = dist.folder("image-root")?;
    system(dist, &root)?;
    let library = root.join("usr/lib/wasisocket");
    copy_python(&dist.python.folder, &library)?;
    dist.precompile(&["--time-limits"], &library)?;
    let (service, lock) = dist.program(SERVICE, &[], SERVICE)?;
    tree::copy_file(&service, &root.join("usr/bin").join(SERVICE))?;
    drop(lock);
    licences::beside_host(
        dist.build,
        SERVICE,
        &dist.target,
        &root.join("usr/share/doc").join(SERVICE),
    )?;
    let image = layout(dist, &root)?;
    let archive = dist.out.join(format!("{}.oci.tar", dist.name(SERVICE)));
    dist.tar(&image, &[], &archive)?;
    Ok(vec![archive, sbom::make(dist, SERVICE, SERVICE)?])
}

/// What the service needs of a system.
fn system(dist: &Dist<'_>, root: &Path) -> Result<()> {
    anyhow::ensure!(
        apt::available(),
        "the image is made of Debian packages, and this machine has no apt: leave it out with --only wheel,archive"
    );
    let packages = dist.folder("image-packages")?;
    for package in PACKAGES {
        apt::download(&dist.running, package, &packages)?;
    }
    for package in fs::read_dir(&packages)? {
        apt::unpack(&dist.running, &package?.path(), root)?;
    }
    let certificates = root.join("usr/share/ca-certificates");
    let mut bundle = Vec::new();
    for file in tree::files(&certificates, &|_| true)? {
        bundle.extend(fs::read(certificates.join(file))?);
    }
    let user = format!("service:x:{USER}:{USER}::/:/sbin/nologin\n");
    for (path, content) in [
        ("etc/ssl/certs/ca-certificates.crt", bundle),
        ("etc/passwd", user.into_bytes()),
        ("etc/group", format!("service:x:{USER}:\n").into_bytes()),
    ] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        fs::write(path, content)?;
    }
    for (folder, mode) in [("tmp", 0o1777), (TENANTS.trim_start_matches('/'), 0o755)] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The layout of an image with one layer.
fn layout(dist: &Dist<'_>, root: &Path) -> Result<PathBuf> {
    let image = dist.folder("image")?;
    let blobs = image.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let layer = dist.work.join("layer.tar");
    dist.tar(root, &[], &layer)?;
    let uncompressed = fetch::sha256(&layer)?;
    process::run(
        &dist.running,
        Command::new("gzip")
            .args(["--force", "--no-name", "-6"])
            .arg(&layer),
    )?;
    let layer = layer.with_added_extension("gz");

    let layer = blob(&blobs, &fs::read(&layer)?, "image.layer.v1.tar+gzip")?;
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": format!("{USER}:{USER}"),
            "Entrypoint": [format!("/usr/bin/{SERVICE}")],
            // On a root for reading only: where a temporary file system is commonly mounted.
            "Env": ["WASISOCKET_CACHE=/tmp/wasisocket"],
            "Cmd": ["--listen", "0.0.0.0:8080", "--admin", "0.0.0.0:9090", TENANTS],
            "ExposedPorts": { "8080/tcp": {}, "9090/tcp": {} },
            "Volumes": { TENANTS: {} },
            "StopSignal": "SIGTERM",
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": SERVICE,
                "org.opencontainers.image.version": Dist::VERSION,
                "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{uncompressed}")] },
    });
    let config = document(&blobs, &config, "image.config.v1+json")?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    });
    let mut manifest = document(&blobs, &manifest, "image.manifest.v1+json")?;
    // Where loaded images get their names from: podman and skopeo, and containerd and Docker.
    let name = format!("{SERVICE}:{}", Dist::VERSION);
    manifest["annotations"] = json!({
        "io.containerd.image.name": format!("localhost/{name}"),
        "org.opencontainers.image.ref.name": name,
    });
    let index = json!({ "schemaVersion": 2, "manifests": [manifest] });
    fs::write(image.join("index.json"), serde_json::to_vec(&index)?)?;
    fs::write(
        image.join("oci-layout"),
        serde_json::to_vec(&json!({ "imageLayoutVersion": "1.0.0" }))?,
    )?;
    Ok(image)
}

fn document(blobs: &Path, document: &Value, media_type: &str) -> Result<Value> {
    blob(blobs, &serde_json::to_vec(document)?, media_type)
}

/// Adds a blob under the name of its content. Returns its descriptor.
fn blob(blobs: &Path, content: &[u8], media_type: &str) -> Result<Value> {
    let sha256 = fetch::sha256_of(content);
    fs::write(blobs.join(&sha256), content).context("cannot write a blob")?;
    Ok(json!({
        "mediaType": format!("application/vnd.oci.{media_type}"),
        "digest": format!("sha256:{sha256}"),
        "size": content.len(),
    }))
}
