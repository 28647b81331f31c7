//! Rules and policy files, whatever they say: a policy, or an error that names a place in them.

use wasisocket_host::{Grants, Policy};

/// Reads it in all ways.
///
/// # Panics
/// An error does not say where it is.
pub fn read(text: &str) {
    for parse in [Policy::allow, Policy::deny, Policy::allow_listen] {
        if let Err(error) = parse(Policy::new(), text) {
            assert!(error.column() <= text.chars().count() + 1, "{error}");
        }
    }
    if let Err(error) = Grants::from_toml(text) {
        assert!(error.line() <= text.lines().count() + 1, "{error}");
    }
}
