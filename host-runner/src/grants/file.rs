//! The policy file: TOML with the names of the command's flags as keys.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Grants;
use crate::limits::Limit;
use crate::list::List;

/// A policy file that cannot be read: where, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantsError {
    line: usize,
    column: usize,
    message: String,
}

impl GrantsError {
    /// `at` counts bytes of `text`.
    fn new(text: &str, at: usize, message: String) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: in_line.chars().count() + 1,
            message,
        }
    }

    /// The line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column of the error in the line, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

/// One line: `line 2, column 14: allow-net: rule "example.com:http", column 13: ...`.
impl fmt::Display for GrantsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for GrantsError {}

impl Grants {
    /// Reads a policy file: TOML, whose keys are the names of [`List::ALL`] and [`Limit::ALL`].
    ///
    /// ```
    /// let grants = wasisocket_host::Grants::from_toml(r#"
    ///     allow-net = ["example.com:443", "10.0.0.5:5432/tcp"]
    ///     deny-listen = ["*"]
    ///     resolve = ["db.test:10.0.0.5"]
    ///     dns = ["192.0.2.53"]
    ///     max-sockets = 16
    ///     timeout = "10s"
    ///     rate-in = "1M"
    /// "#)?;
    /// assert_eq!(grants.limits.max_sockets, 16);
    /// # Ok::<_, wasisocket_host::GrantsError>(())
    /// ```
    ///
    /// # Errors
    /// The text is not TOML, or has an unknown key or a value that its key cannot have. The error names the line,
    /// the column and the rule, and suggests a fix.
    pub fn from_toml(text: &str) -> Result<Self, GrantsError> {
        let mut grants = Self::default();
        grants.add_toml(text)?;
        Ok(grants)
    }

    /// The same over these: rules are added, and a limit of the file replaces the one that is there.
    ///
    /// # Errors
    /// As for [`Grants::from_toml`]. What comes before the mistake was added.
    pub fn add_toml(&mut self, text: &str) -> Result<(), GrantsError> {
        let error = |at: usize, message: String| GrantsError::new(text, at, message);
        let table = DeTable::parse(text).map_err(|wrong| {
            let at = wrong.span().map_or(0, |span| span.start);
            error(at, wrong.message().replace('\n', "; "))
        })?;
        // In the order of the file, so that the first mistake is reported and lists keep their order.
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let name = key.get_ref().as_ref();
            let result = if let Some(list) = List::named(name) {
                self.add_all(list, value)
            } else if let Some(limit) = Limit::named(name) {
                scalar(limit, value).and_then(|text| {
                    let set = self.limits.set(limit, &text);
                    set.map_err(|wrong| (value.span().start, wrong.to_string()))
                })
            } else {
                return Err(error(key.span().start, unknown(name)));
            };
            result.map_err(|(at, message)| error(at, format!("{name}: {message}")))?;
        }
        Ok(())
    }

    fn add_all(&mut self, list: List, value: &Spanned<DeValue<'_>>) -> Result<(), (usize, String)> {
        let fix = || format!("write a list of texts: {list} = [\"...\"]");
        let values = value
            .get_ref()
            .as_array()
            .ok_or_else(|| (value.span().start, fix()))?;
        for value in values {
            let at = value.span().start;
            let text = value.get_ref().as_str().ok_or_else(|| (at, fix()))?;
            self.add(list, text)
                .map_err(|wrong| (at, wrong.to_string()))?;
        }
        Ok(())
    }
}

/// The value of a limit as the command line would have it.
fn scalar(limit: Limit, value: &Spanned<DeValue<'_>>) -> Result<String, (usize, String)> {
    let at = value.span().start;
    match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| (at, "the number is too large".into())),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        _ => {
            let example = limit.example();
            Err((at, format!("write one value: {limit} = {example}")))
        }
    }
}

fn unknown(key: &str) -> String {
    let lists = List::ALL.iter().map(|list| list.name());
    let names: Vec<_> = lists
        .chain(Limit::ALL.iter().map(|limit| limit.name()))
        .collect();
    match similar(key, &names) {
        Some(meant) => format!("there is no key {key:?}; is it {meant}?"),
        None => format!("there is no key {key:?}: write one of {}", names.join(", ")),
    }
}

/// The name that was meant, if one is like it.
fn similar<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    /// Two letters in exchange are one mistake; three mistakes make another name.
    const MISTAKES_MAX: usize = 2;
    let name = name.to_lowercase().replace('_', "-");
    names
        .iter()
        .map(|known| (strsim::osa_distance(&name, known), *known))
        .filter(|(distance, _)| *distance <= MISTAKES_MAX)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::{Grants, Limit, List};
    use std::time::Duration;

    #[test]
    fn file_is_what_the_flags_are() {
        let grants = Grants::from_toml(
            "# What this one may do\n\
             allow-net = [\n  'example.com:443/tcp', # the site\n  \"[::1]:53/udp\",\n]\n\
             deny-net = ['10.0.0.0/8']\n\
             allow-listen = ['127.0.0.1:8000-8010']\n\
             deny-listen = ['*:22']\n\
             allow-lookup = ['*.test']\n\
             deny-lookup = ['evil.test']\n\
             resolve = ['db.test:10.0.0.5']\n\
             dns = ['192.0.2.53']\n\
             max-sockets = 16\n\
             max-lookups = 0x10\n\
             timeout = 0.5\n\
             max-cpu = '1m'\n\
             rate-in = '1M'\n\
             max-memory = 1_000_000\n",
        )
        .unwrap();
        let mut built = Grants::default();
        for (list, text) in [
            (List::AllowNet, "example.com:443/tcp"),
            (List::AllowNet, "[::1]:53/udp"),
            (List::DenyNet, "10.0.0.0/8"),
            (List::AllowListen, "127.0.0.1:8000-8010"),
            (List::DenyListen, "*:22"),
            (List::AllowLookup, "*.test"),
            (List::DenyLookup, "evil.test"),
            (List::Resolve, "db.test:10.0.0.5"),
            (List::Dns, "192.0.2.53"),
        ] {
            built.add(list, text).unwrap();
        }
        built.limits.max_sockets = 16;
        built.limits.max_lookups = Some(16);
        built.limits.timeout = Some(Duration::from_millis(500));
        built.limits.max_cpu = Some(Duration::from_secs(60));
        built.limits.rate_in = Some(1 << 20);
        built.limits.max_memory = Some(1_000_000);
        assert_eq!(grants, built);
        assert_eq!(Grants::from_toml("").unwrap(), Grants::default());
    }

    #[test]
    fn example_has_every_key() {
        let text = include_str!("../../policy.toml");
        Grants::from_toml(text).unwrap();
        let lists = List::ALL.iter().map(|list| list.name());
        for key in lists.chain(Limit::ALL.iter().map(|limit| limit.name())) {
            assert!(text.contains(&format!("\n{key} = ")), "{key}");
        }
    }

    #[test]
    fn errors_name_line_column_rule_and_fix() {
        for (text, wanted) in [
            (
                "max-sockets = 16\nallow-net = ['example.com:443', 'example.com:http']\n",
                "line 2, column 33: allow-net: rule \"example.com:http\", column 13: \"http\" is no port: \
                 write 1 to 65535, or a range such as 8000-8010",
            ),
            (
                "dns = ['192.0.2.53', 'system']",
                "line 1, column 22: dns: rule \"system\", column 1: system and a server are two answers to \
                 one question: leave one out",
            ),
            (
                "alow-net = ['*']",
                "line 1, column 1: there is no key \"alow-net\"; is it allow-net?",
            ),
            (
                "\n  max_bytes_in = 1",
                "line 2, column 3: there is no key \"max_bytes_in\"; is it max-bytes-in?",
            ),
            (
                "allow-net = '*'",
                "line 1, column 13: allow-net: write a list of texts: allow-net = [\"...\"]",
            ),
            (
                "allow-net = [443]",
                "line 1, column 14: allow-net: write a list of texts: allow-net = [\"...\"]",
            ),
            (
                "timeout = ['1s']",
                "line 1, column 11: timeout: write one value: timeout = \"10s\"",
            ),
            (
                "max-sockets = -1",
                "line 1, column 15: max-sockets: \"-1\": write a number such as 16",
            ),
            (
                "rate-in = true",
                "line 1, column 11: rate-in: write one value: rate-in = \"1M\"",
            ),
        ] {
            let error = Grants::from_toml(text).unwrap_err().to_string();
            assert_eq!(error, wanted);
        }
        for text in [
            "allow-net = [",
            "max-sockets = 1\nmax-sockets = 2",
            "timeout = nan",
            "timeout = 1e999",
            "max-sockets = 99999999999999999999",
            "[allow-net]",
        ] {
            let error = Grants::from_toml(text).unwrap_err().to_string();
            assert!(
                error.starts_with("line ") && !error.contains('\n'),
                "{error}"
            );
        }
        let error = Grants::from_toml("network = 1").unwrap_err().to_string();
        assert!(
            error.contains("write one of allow-net, deny-net"),
            "{error}"
        );
    }
}
