//! The environment of pip's guests: settings for every run, and what the user's configuration has.

use std::path::PathBuf;

use tracing::debug;
use wasisocket_python::TLS_FOLDER;
use wasmtime::Result;

use super::inputs::Inputs;
use super::{arguments, configuration};

/// Settings for every run. Options on the command line override variables.
const SETTINGS: [(&str, &str); 5] = [
    // A source archive runs code of its own to become a wheel, in processes that a guest does not have.
    ("PIP_ONLY_BINARY", ":all:"),
    // A thread draws it.
    ("PIP_PROGRESS_BAR", "off"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    // A run could poison a cache that outlasts it.
    ("PIP_NO_CACHE_DIR", "1"),
];

/// Names and values.
pub(super) type Variables = Vec<(String, String)>;

/// The options of the user's configuration that are `wanted`, as variables. What they name becomes an input. The command
/// line is read after it, and has the last word.
pub(super) fn configured(
    command: Option<&str>,
    wanted: impl Fn(&str) -> bool,
    inputs: &mut Inputs,
) -> Result<Variables> {
    let settings = SETTINGS.iter();
    let mut env: Variables = settings
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    for (name, value) in configuration::load(command)? {
        if !wanted(&name) {
            continue;
        }
        match arguments::configured(&name, &value, inputs)? {
            Some(value) => env.push((
                format!("PIP_{}", name.to_uppercase().replace('-', "_")),
                value,
            )),
            None => debug!("pip's {name} is not passed on"),
        }
    }
    Ok(env)
}

/// Adds the proxies, and the certificates that pip shall trust, which it returns: these ones, or else those that were
/// configured.
pub(super) fn add_network(
    env: &mut Variables,
    bundle: Option<PathBuf>,
    inputs: &mut Inputs,
) -> Option<PathBuf> {
    let proxies = configuration::in_both_cases(configuration::PROXIES);
    let values = proxies.iter().map(|(_, value)| value.clone());
    inputs.reach.proxies.extend(values);
    let no_proxy = configuration::in_both_cases(configuration::NO_PROXY);
    env.extend(proxies.into_iter().chain(no_proxy));
    let bundle = bundle
        .or_else(|| inputs.bundle.take())
        .or_else(configuration::bundle);
    if bundle.is_some() {
        env.push(("PIP_CERT".into(), format!("{TLS_FOLDER}/cert.pem")));
    }
    bundle
}
