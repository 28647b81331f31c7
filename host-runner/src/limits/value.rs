//! How the values of limits are written, on the command line and in a policy file.

use std::fmt;
use std::time::Duration;

use super::Limit;

/// A value that a limit cannot have. `Display` says what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError {
    limit: Limit,
    text: String,
    message: String,
}

impl LimitError {
    pub(super) fn new(limit: Limit, text: &str, message: String) -> Self {
        Self {
            limit,
            text: text.to_owned(),
            message,
        }
    }

    /// The limit that was to be set.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }
}

/// `"1d": "d" is no unit of time: write ms, s, m or h`, without the name of the limit.
impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.text, self.message)
    }
}

impl std::error::Error for LimitError {}

/// One way to write a value.
pub(super) trait Grammar {
    /// What is written.
    type Value;
    /// What stands for a value in a usage line.
    const PLACEHOLDER: &str;
    /// An example, as TOML has it.
    const EXAMPLE: &str;
    /// Reads a value; the error says what to write.
    fn parse(text: &str) -> Result<Self::Value, String>;
}

/// A number in digits.
pub(super) struct Number;

impl Grammar for Number {
    type Value = u64;
    const PLACEHOLDER: &str = "N";
    const EXAMPLE: &str = "16";

    fn parse(text: &str) -> Result<u64, String> {
        match text.parse() {
            // parse would also take a sign.
            Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err("write a number such as 16".into()),
        }
    }
}

/// Bytes, or a number with the unit K, M or G, in steps of 1024.
pub(super) struct Size;

impl Grammar for Size {
    type Value = u64;
    const PLACEHOLDER: &str = "SIZE";
    const EXAMPLE: &str = "\"1M\"";

    fn parse(text: &str) -> Result<u64, String> {
        let (number, unit) = split_unit(text);
        let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
            "" => 0,
            "K" | "k" => 10,
            "M" | "m" => 20,
            "G" | "g" => 30,
            _ => return Err(format!("{unit:?} is no unit of size: write K, M or G")),
        };
        let number: u64 = number.parse().map_err(|_| "write a size such as 256M")?;
        number
            .checked_mul(1 << shift)
            .ok_or_else(|| "the size is too large".into())
    }
}

/// So much a second, and not 0.
pub(super) struct PerSecond<G>(std::marker::PhantomData<G>);

impl<G: Grammar<Value = u64>> Grammar for PerSecond<G> {
    type Value = u64;
    const PLACEHOLDER: &str = G::PLACEHOLDER;
    const EXAMPLE: &str = G::EXAMPLE;

    fn parse(text: &str) -> Result<u64, String> {
        match G::parse(text)? {
            0 => Err("nothing would ever move: write 1 or more".into()),
            number => Ok(number),
        }
    }
}

/// Seconds, or a number with the unit ms, s, m or h.
pub(super) struct Time;

impl Grammar for Time {
    type Value = Duration;
    const PLACEHOLDER: &str = "TIME";
    const EXAMPLE: &str = "\"10s\"";

    fn parse(text: &str) -> Result<Duration, String> {
        let (number, unit) = split_unit(text);
        let seconds = match unit {
            "ms" => 0.001,
            "" | "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(format!("{unit:?} is no unit of time: write ms, s, m or h")),
        };
        let number: f64 = number
            .parse()
            .map_err(|_| "write a time such as 10, 0.5s or 5m")?;
        Duration::try_from_secs_f64(number * seconds).map_err(|error| error.to_string())
    }
}

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{Grammar as _, Limit, Size, Time};
    use crate::Limits;
    use std::time::Duration;

    #[test]
    fn times_have_units() {
        assert_eq!(Time::parse("10"), Ok(Duration::from_secs(10)));
        assert_eq!(Time::parse("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(Time::parse("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(Time::parse("5m"), Ok(Duration::from_secs(300)));
        for text in [
            "",
            "s",
            "-1",
            "1d",
            "1.2.3",
            "1e3",
            "999999999999999999999h",
        ] {
            assert!(Time::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(Size::parse("4096"), Ok(4096));
        assert_eq!(Size::parse("256M"), Ok(256 << 20));
        assert_eq!(Size::parse("1GiB"), Ok(1 << 30));
        for text in [
            "",
            "M",
            "-1",
            "1T",
            "1.5G",
            "99999999999999999999",
            "99999999999999G",
        ] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_that_are_wrong_say_what_to_write() {
        for (name, value, fix) in [
            ("max-sockets", "-1", "write a number"),
            ("max-sockets", "+1", "write a number"),
            ("connect-rate", "0", "write 1 or more"),
            ("rate-in", "0K", "write 1 or more"),
            ("rate-out", "1T", "write K, M or G"),
            ("timeout", "1d", "write ms, s, m or h"),
            ("max-memory", "all", "write K, M or G"),
        ] {
            let limit = Limit::named(name).unwrap();
            let error = Limits::default().set(limit, value).unwrap_err();
            assert_eq!(error.limit(), limit);
            assert!(error.to_string().contains(fix), "{error}");
        }
    }
}
