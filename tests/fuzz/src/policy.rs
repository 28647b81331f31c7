//! Rules, limits and policy files, whatever they say: a grant, or an error that names a place in them.

use wasisocket_host::{Grants, Limit, Limits, List};

/// Reads it in all ways.
///
/// # Panics
/// An error does not say where it is.
pub fn read(text: &str) {
    for list in List::ALL {
        if let Err(error) = Grants::default().add(*list, text) {
            assert!(error.column() <= text.chars().count() + 1, "{error}");
        }
    }
    for limit in Limit::ALL {
        let _ = Limits::default().set(*limit, text);
    }
    let _ = Grants::from_toml(&format!("{text} = 1"));
    if let Err(error) = Grants::from_toml(text) {
        assert!(error.line() <= text.lines().count() + 1, "{error}");
    }
}
