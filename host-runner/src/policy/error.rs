//! Errors in rules.

use std::fmt;

/// A rule that does not follow the grammar: which rule, where in it, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    rule: String,
    column: usize,
    message: String,
}

impl RuleError {
    /// `at` counts bytes.
    pub(crate) fn new(rule: &str, at: usize, message: String) -> Self {
        let before = rule.get(..at).unwrap_or(rule);
        Self {
            rule: rule.to_owned(),
            column: before.chars().count() + 1,
            message,
        }
    }

    /// The column of the error in the rule, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "rule {:?}, column {}: {}",
            self.rule, self.column, self.message
        )
    }
}

impl std::error::Error for RuleError {}
