//! How limits are written.

use std::fmt;
use std::time::Duration;

use super::similar;
use crate::Limits;

/// A limit that does not follow the grammar: what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitError(String);

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LimitError {}

impl Limits {
    /// The names of all limits: the flags of the command, and the keys of a policy file.
    pub const NAMES: [&str; 11] = [
        "max-sockets",
        "max-connections",
        "connect-rate",
        "max-bytes-in",
        "max-bytes-out",
        "rate-in",
        "rate-out",
        "max-lookups",
        "timeout",
        "max-cpu",
        "max-memory",
    ];

    /// Sets a limit by its name in [`Limits::NAMES`], as the command line has it.
    ///
    /// Sizes are bytes, or a number with K, M or G in steps of 1024 (`256M`); times are seconds, or a number
    /// with ms, s, m or h (`0.5`, `10s`, `5m`); rates are sizes or numbers a second, and not 0; all else are
    /// numbers.
    ///
    /// ```
    /// let mut limits = wasisocket_host::Limits::default();
    /// limits.set("max-bytes-in", "16M")?;
    /// assert_eq!(limits.max_bytes_in, Some(16 << 20));
    /// # Ok::<_, wasisocket_host::LimitError>(())
    /// ```
    ///
    /// # Errors
    /// There is no such limit, or it cannot have this value; the error says what to write.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), LimitError> {
        let told = |message: String| LimitError(format!("{value:?}: {message}"));
        let number = || parse_number(value).map_err(told);
        let size = || parse_size(value).map_err(told);
        let time = || parse_duration(value).map_err(told);
        let rate = |number: u64| match number {
            0 => Err(told("nothing would ever move: write 1 or more".into())),
            number => Ok(Some(number)),
        };
        let too_large = |_| told("this is more than there can be here".into());
        match name {
            "max-sockets" => self.max_sockets = usize::try_from(number()?).map_err(too_large)?,
            "max-connections" => self.max_connections = Some(number()?),
            "connect-rate" => self.connect_rate = rate(number()?)?,
            "max-bytes-in" => self.max_bytes_in = Some(size()?),
            "max-bytes-out" => self.max_bytes_out = Some(size()?),
            "rate-in" => self.rate_in = rate(size()?)?,
            "rate-out" => self.rate_out = rate(size()?)?,
            "max-lookups" => self.max_lookups = Some(number()?),
            "timeout" => self.timeout = Some(time()?),
            "max-cpu" => self.max_cpu = Some(time()?),
            "max-memory" => {
                self.max_memory = Some(usize::try_from(size()?).map_err(too_large)?);
            }
            _ => {
                return Err(LimitError(match similar(name, &Self::NAMES) {
                    Some(meant) => format!("there is no limit {name}; is it {meant}?"),
                    None => format!("there is no limit {name}: {}", Self::NAMES.join(", ")),
                }));
            }
        }
        Ok(())
    }
}

/// Digits only.
fn parse_number(text: &str) -> Result<u64, String> {
    match text.parse() {
        // parse would also take a sign.
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err("write a number such as 16".into()),
    }
}

/// Seconds, or a number with the unit ms, s, m or h.
fn parse_duration(text: &str) -> Result<Duration, String> {
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

/// Bytes, or a number with the unit K, M or G, in steps of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
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

fn split_unit(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::{Limits, parse_duration, parse_size};
    use std::time::Duration;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("10"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        for text in [
            "",
            "s",
            "-1",
            "1d",
            "1.2.3",
            "1e3",
            "999999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("256M"), Ok(256 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        for text in [
            "",
            "M",
            "-1",
            "1T",
            "1.5G",
            "99999999999999999999",
            "99999999999999G",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn every_limit_is_set_by_its_name() {
        let mut limits = Limits::default();
        for name in Limits::NAMES {
            limits.set(name, "7").unwrap();
        }
        let seven = Duration::from_secs(7);
        let Limits {
            max_sockets,
            max_connections,
            connect_rate,
            max_bytes_in,
            max_bytes_out,
            rate_in,
            rate_out,
            max_lookups,
            timeout,
            max_cpu,
            max_memory,
        } = limits;
        assert_eq!((max_sockets, max_memory), (7, Some(7)));
        for number in [
            max_connections,
            connect_rate,
            max_bytes_in,
            max_bytes_out,
            rate_in,
            rate_out,
            max_lookups,
        ] {
            assert_eq!(number, Some(7));
        }
        assert_eq!((timeout, max_cpu), (Some(seven), Some(seven)));
    }

    #[test]
    fn limits_that_are_wrong_say_what_to_write() {
        for (name, value, mend) in [
            ("max-sockets", "-1", "write a number"),
            ("max-sockets", "+1", "write a number"),
            ("connect-rate", "0", "write 1 or more"),
            ("rate-in", "0K", "write 1 or more"),
            ("rate-out", "1T", "write K, M or G"),
            ("timeout", "1d", "write ms, s, m or h"),
            ("max-memory", "all", "write K, M or G"),
            ("max_memory", "1", "is it max-memory?"),
            ("wrong", "1", "max-sockets, max-connections"),
        ] {
            let error = Limits::default().set(name, value).unwrap_err().to_string();
            assert!(error.contains(mend), "{error}");
        }
    }
}
