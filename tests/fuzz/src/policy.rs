//! Parses any text as a rule, a limit and a policy file. The result is a grant, or an error that names a place in the
//! text.

use wasisocket_host::{Grants, Limit, Limits, List};

/// Parses the text in each of these ways.
///
/// # Panics
/// An error does not name a place in the text.
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
