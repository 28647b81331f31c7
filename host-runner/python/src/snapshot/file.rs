//! An image in a file that the user names.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use rustix::process::geteuid;
use wasmtime::{Result, bail, ensure};

use super::format;
use super::{Image, Origin, Preload};
use crate::engine::Shared;
use crate::whole_file::{open_file, replace_file};

/// The rights of the file: nobody may write to it, as guests have its pages in their memory.
const MODE: u32 = 0o400;

impl Image {
    /// Opens an image that [`Image::write_file`] wrote for this Python.
    ///
    /// # Errors
    /// Another user could have written it, it is no image, it was made for another Python, or one of the files that
    /// were loaded into it has changed.
    pub(crate) fn open_file(path: &Path, shared: &Shared) -> Result<Self> {
        let (file, stat) = open_file(path)?;
        ensure!(
            format::is_image(&file),
            "it is no image: `wasisocket snapshot` makes one"
        );
        ensure!(
            stat.st_uid == geteuid().as_raw(),
            "it belongs to user {}: make an image of your own",
            stat.st_uid
        );
        let mode = stat.st_mode & 0o777;
        ensure!(
            mode == MODE,
            "it has mode {mode:o}: only its owner may read it, and nobody write to it (chmod 400)"
        );
        let Some((image, changed)) = Self::read(file) else {
            bail!("it is damaged, or of another version of wasisocket: make it again");
        };
        let origin = &image.origin;
        origin.check(path, &Origin::of(shared, Preload::new())?)?;
        if let Some(changed) = changed {
            bail!(
                "{} has changed since it was made; {}",
                changed.display(),
                origin.remedy(path)
            );
        }
        Ok(image)
    }

    /// Makes an image and writes it to a file, at once and in place of an earlier image.
    pub(crate) fn write_file(path: &Path, shared: &Shared, preload: &Preload) -> Result<()> {
        ensure!(
            Self::is_possible(shared),
            "{} cannot make images: build it again",
            shared.distribution.wasm().display()
        );
        if let Ok(file) = File::open(path) {
            ensure!(
                format::is_image(&file),
                "{} exists, and is no image",
                path.display()
            );
        }
        let content = shared.in_guest_thread(|shared| Self::make(shared, preload))?;
        replace_file(path, MODE, |file| Ok(file.write_all(&content)?))
    }
}
