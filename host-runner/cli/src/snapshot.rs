//! `wasisocket snapshot`.

use std::path::PathBuf;

use clap::Args;
use wasisocket_python::{Distribution, Preload, Python};
use wasmtime::Result;

pub(crate) const HELP: &str = "\
Guests that begin with the image (`wasisocket run --image`) import these modules in no time. They see
the folders of --site, for reading, as if PYTHONPATH named them. The image has to be made again when
Python, or a file that was loaded, changes: `wasisocket run` says so.

Modules are imported once, without grants and variables. A module cannot be in an image if it prints,
takes random bytes, opens a file outside of the library and these folders, or leaves a file or a
socket open when it is imported. Guests with a variable that a module looked for (--env) start without
the image.

Example:
  wasisocket pip install --target site requests
  wasisocket snapshot --preload requests --site site --out requests.image
  wasisocket run --image requests.image --allow-net=example.com:443 fetch.py";

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// Modules to import, such as `requests` or `http.client`
    #[arg(long, value_name = "MODULE", num_args = 1.., required = true)]
    preload: Vec<String>,
    /// A folder with packages, as `wasisocket pip install --target` fills it
    #[arg(long, value_name = "DIR")]
    site: Vec<PathBuf>,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "python.image")]
    out: PathBuf,
    /// The python.wasm to use, or its folder [env: WASISOCKET_PYTHON]
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

/// Makes an image.
pub(crate) fn snapshot(args: SnapshotArgs) -> Result<u8> {
    let preload = Preload::new();
    let preload = args.preload.into_iter().fold(preload, Preload::module);
    let preload = args.site.into_iter().fold(preload, Preload::site);
    let python = Python::builder()
        .distribution(Distribution::find(args.python.as_deref())?)
        .time_limits(false)
        .cold_start()
        .load()?;
    python.write_image(&args.out, &preload)?;
    Ok(0)
}
