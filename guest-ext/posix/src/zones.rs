//! Local time: the zone that the variable TZ names (tzset(3)), and the search for the time of a date (mktime(3)).
//!
//! Names, files and rules are read as glibc reads them.

use jiff_core::Timestamp;
use jiff_core::tz::{Abbreviation, Offset, OffsetInfo, posix, tzif};

/// The folder of the database, unless TZDIR names another one.
const FOLDER: &[u8] = b"/usr/share/zoneinfo";

/// When daylight saving time begins and ends if TZ does not say it: glibc's choice, the rules of the USA.
const DEFAULT_RULES: &[u8] = b",M3.2.0,M11.1.0";

/// 400 years in seconds: the calendar repeats, and its weekdays too.
const CYCLE: i64 = 146_097 * 86_400;

/// A time zone.
#[derive(Debug)]
pub(crate) enum Zone {
    /// From a file: tzfile(5).
    File(Box<tzif::TimeZone>),
    /// From a rule, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    Rule(Box<posix::TimeZone>),
    /// UTC under some name.
    Utc(Vec<u8>),
}

/// What holds in a zone at some time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LocalTime<'a> {
    /// Seconds east of UTC.
    pub(crate) offset: i32,
    pub(crate) is_dst: bool,
    pub(crate) name: Name<'a>,
}

/// The abbreviation of a zone's name: that of a rule or file is short, and copied without an allocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Name<'a> {
    Short(Abbreviation),
    Given(&'a [u8]),
}

impl Name<'_> {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(name) => name.as_str().as_bytes(),
            Self::Given(name) => name,
        }
    }
}

impl Zone {
    /// The zone that a value of TZ stands for. `read` returns a file's content, and `folder` is the value of TZDIR.
    pub(crate) fn new(
        value: Option<&[u8]>,
        folder: Option<&[u8]>,
        read: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
    ) -> Self {
        let value = value.unwrap_or_default();
        let value = value.strip_prefix(b":").unwrap_or(value);
        if value.is_empty() {
            return Self::Utc(b"UTC".to_vec());
        }
        let path = match value.starts_with(b"/") {
            true => value.to_vec(),
            false => [folder.unwrap_or(FOLDER), value].join(&b'/'),
        };
        let file = read(&path).and_then(|file| tzif::TimeZone::parse(&file).ok());
        if let Some(zone) = file {
            return Self::File(Box::new(zone));
        }
        let rule = posix::TimeZone::parse(value).or_else(|error| {
            match error.is_missing_dst_transition_rule() {
                true => posix::TimeZone::parse([value, DEFAULT_RULES].concat()),
                false => Err(error),
            }
        });
        match rule {
            Ok(rule) => Self::Rule(Box::new(rule)),
            Err(_) => Self::Utc(leading_name(value).to_vec()),
        }
    }

    /// What holds at a time, in seconds since 1970.
    pub(crate) fn at(&self, time: i64) -> LocalTime<'_> {
        let time = within_years(time);
        match self {
            Self::File(zone) => zone.to_offset_info(time).into(),
            Self::Rule(rule) => rule.to_offset_info(time).into(),
            Self::Utc(name) => LocalTime {
                offset: 0,
                is_dst: false,
                name: Name::Given(name),
            },
        }
    }

    /// Standard time, and daylight saving time if the zone's rule has it, as the variables of tzset(3) describe them.
    pub(crate) fn standard_and_daylight(&self) -> (LocalTime<'_>, Option<LocalTime<'_>>) {
        let rule = match self {
            Self::File(zone) => zone.posix_tz.as_ref(),
            Self::Rule(rule) => Some(&**rule),
            Self::Utc(_) => None,
        };
        let Some(rule) = rule else {
            return (self.at(i64::MAX), None);
        };
        let part = |offset: Offset, is_dst, name: &Abbreviation| LocalTime {
            offset: offset.seconds(),
            is_dst,
            name: Name::Short(name.clone()),
        };
        let daylight = rule.dst.as_ref();
        (
            part(rule.std_offset, false, &rule.std_abbrev),
            daylight.map(|dst| part(dst.offset, true, &dst.abbrev)),
        )
    }
}

impl From<OffsetInfo> for LocalTime<'_> {
    fn from(info: OffsetInfo) -> Self {
        Self {
            offset: info.offset().seconds(),
            is_dst: info.dst().is_dst(),
            name: Name::Short(info.into_abbreviation()),
        }
    }
}

/// The name at the beginning of a value without a meaning: glibc takes it for the name of UTC.
fn leading_name(value: &[u8]) -> &[u8] {
    let length = value
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    value
        .get(..length)
        .filter(|name| name.len() >= 3)
        .unwrap_or_default()
}

/// A time in the years of [`Timestamp`], -9999 to 9999, at which the same rules hold as at this one.
fn within_years(time: i64) -> Timestamp {
    Timestamp::from_second(time).unwrap_or_else(|_| {
        let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
        // The first or the last 400 years.
        let folded = match time < 0 {
            true => time
                .wrapping_sub(first)
                .rem_euclid(CYCLE)
                .saturating_add(first),
            false => last.saturating_sub(last.wrapping_sub(time).rem_euclid(CYCLE)),
        };
        Timestamp::from_second(folded).unwrap_or(Timestamp::UNIX_EPOCH)
    })
}

/// How often a guess is corrected, and how far away, in seconds and steps, daylight saving time is looked for: as in
/// glibc's time/mktime.c.
const PROBES: usize = 6;
const STEP: i64 = 601_200;
const DISTANCE: i64 = 457_243_209 / 2 + STEP;

/// What daylight saving time is taken for, in seconds, where there is none.
const USUAL_DST: i64 = 3600;

/// The time at which clocks show `local`, which is in seconds since 1970 as if they showed UTC: glibc's mktime(3).
/// Between two times that show the same, `guess` decides, the difference of the last result to UTC in seconds west. For
/// what clocks skip, it is the time that would be shown without the change. `at` says for a time what holds then:
/// seconds east, and whether it is daylight saving time.
///
/// `None` if there is no such time.
pub(crate) fn time_of(
    local: i64,
    is_dst: Option<bool>,
    guess: i64,
    at: impl Fn(i64) -> (i64, bool),
) -> Option<i64> {
    let differs = |found: bool| is_dst.is_some_and(|wanted| wanted != found);
    // How much later than shown at `time` it shall be.
    let error = |time: i64, offset: i64| local.checked_sub(time.checked_add(offset)?);

    let mut time = local.checked_add(guess)?;
    let (mut last_but_one, mut last, mut last_was_dst) = (time, time, false);
    for _ in 0..PROBES {
        let (offset, found_dst) = at(time);
        let error = error(time, offset)?;
        if error == 0 {
            return match differs(found_dst) {
                false => Some(time),
                true => with_other_dst(time, &differs, local, &at),
            };
        }
        // It oscillates between two times around what clocks skip.
        let is_best = match is_dst {
            None => !last_was_dst || found_dst,
            Some(wanted) => wanted != found_dst,
        };
        if time == last_but_one && time != last && is_best {
            return Some(time);
        }
        (last_but_one, last, last_was_dst) = (last, time, found_dst);
        time = time.checked_add(error)?;
    }
    None
}

/// The time at which clocks would show `local`, did then hold what held last before `time`, or holds next, where
/// `differs` is false.
fn with_other_dst(
    time: i64,
    differs: &impl Fn(bool) -> bool,
    local: i64,
    at: &impl Fn(i64) -> (i64, bool),
) -> Option<i64> {
    let mut distance = STEP;
    while distance < DISTANCE {
        for distance in [distance.saturating_neg(), distance] {
            let (offset, is_dst) = at(time.checked_add(distance)?);
            if !differs(is_dst) {
                return local.checked_sub(offset);
            }
        }
        distance = distance.saturating_add(STEP);
    }
    match differs(false) {
        true => time.checked_sub(USUAL_DST),
        false => time.checked_add(USUAL_DST),
    }
}

#[cfg(test)]
mod tests {
    use super::{Zone, time_of};

    const CENTRAL_EUROPE: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// A file of version 2 with local mean time and a rule: tzfile(5).
    fn file(rule: &str) -> Vec<u8> {
        let mut file = Vec::new();
        for _ in 0..2 {
            file.extend(b"TZif2");
            file.extend([0; 15]);
            for count in [0_u32, 0, 0, 0, 1, 4] {
                file.extend(count.to_be_bytes());
            }
            file.extend(561_i32.to_be_bytes());
            file.extend([0, 0]);
            file.extend(b"LMT\0");
        }
        file.extend(format!("\n{rule}\n").bytes());
        file
    }

    fn zone(value: &str) -> Zone {
        Zone::new(Some(value.as_bytes()), None, |_| None)
    }

    fn at(zone: &Zone, time: i64) -> (i32, bool, String) {
        let time = zone.at(time);
        let name = String::from_utf8(time.name.as_bytes().to_vec()).unwrap();
        (time.offset, time.is_dst, name)
    }

    #[test]
    fn value_without_a_zone_is_utc_with_its_name() {
        for (value, name) in [
            ("", "UTC"),
            (":", "UTC"),
            ("Nowhere/City", "Nowhere"),
            ("XX", ""),
            ("/no/file", ""),
            ("CET-1CEST,M13.5.0,M10.5.0", "CET"),
        ] {
            assert_eq!(at(&zone(value), 0), (0, false, name.into()), "{value:?}");
        }
        let unset = Zone::new(None, None, |path| {
            assert_eq!(path, b"", "no file is read");
            None
        });
        assert_eq!(at(&unset, 0), (0, false, "UTC".into()));
    }

    #[test]
    fn file_is_looked_for_in_the_database_or_where_the_value_says() {
        for (value, folder, path) in [
            ("Europe/Paris", None, "/usr/share/zoneinfo/Europe/Paris"),
            (":Europe/Paris", Some("/data"), "/data/Europe/Paris"),
            ("/etc/localtime", Some("/data"), "/etc/localtime"),
        ] {
            let folder = folder.map(str::as_bytes);
            let zone = Zone::new(Some(value.as_bytes()), folder, |found| {
                assert_eq!(found, path.as_bytes());
                Some(file(CENTRAL_EUROPE))
            });
            assert_eq!(at(&zone, 1_750_000_000), (7200, true, "CEST".into()));
        }
    }

    #[test]
    fn rules_hold_in_all_years() {
        let year_10_000 = 253_402_300_800;
        let january = |value, time| at(&zone(value), time);
        for time in [
            0,
            1_704_067_200,
            year_10_000,
            400 * year_10_000,
            i64::MAX,
            i64::MIN,
        ] {
            assert_eq!(
                january("<+0330>-3:30", time),
                (12_600, false, "+0330".into())
            );
        }
        for time in [1_704_067_200, year_10_000, year_10_000 + 146_097 * 86_400] {
            assert_eq!(january(CENTRAL_EUROPE, time), (3600, false, "CET".into()));
            assert!(january("EST5EDT", time + 180 * 86_400).1);
            let sydney = "AEST-10AEDT,M10.1.0,M4.1.0/3";
            assert_eq!(january(sydney, time), (39_600, true, "AEDT".into()));
            // Ireland's winter time is the exception.
            let dublin = "IST-1GMT0,M10.5.0,M3.5.0/1";
            assert_eq!(january(dublin, time), (0, true, "GMT".into()));
        }
    }

    #[test]
    fn damaged_file_is_no_zone() {
        let good = file(CENTRAL_EUROPE);
        let zone = |file: &[u8]| Zone::new(Some(b"Own"), None, |_| Some(file.to_vec()));
        assert!(matches!(zone(&good), Zone::File(_)));
        for length in 0..good.len() - 1 {
            assert!(matches!(zone(&good[..length]), Zone::Utc(_)), "{length}");
        }
        for position in 0..good.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut damaged = good.clone();
                damaged[position] = byte;
                // Whatever it is.
                zone(&damaged).at(1_750_000_000);
            }
        }
    }

    #[test]
    fn variables_describe_the_rule() {
        let file = Zone::new(Some(b"Own"), None, |_| Some(file(CENTRAL_EUROPE)));
        let (standard, daylight) = file.standard_and_daylight();
        assert_eq!(
            (standard.offset, standard.name.as_bytes()),
            (3600, &b"CET"[..])
        );
        assert_eq!(daylight.unwrap().name.as_bytes(), b"CEST");
        assert!(zone("UTC0").standard_and_daylight().1.is_none());
    }

    fn new_york(local: i64, is_dst: Option<bool>, guess: i64) -> Option<i64> {
        let zone = zone("EST5EDT,M3.2.0,M11.1.0");
        time_of(local, is_dst, guess, |time| {
            let time = zone.at(time);
            (time.offset.into(), time.is_dst)
        })
    }

    #[test]
    fn time_of_a_date_is_that_of_glibc() {
        const HOUR: i64 = 3600;
        let january = 1_704_067_200;
        let july = 1_719_792_000;
        // 1:30 on November 3, which is shown twice, and 2:30 on March 10, which is skipped.
        let fold = 1_730_597_400;
        let gap = 1_710_037_800;
        for (local, is_dst, hours) in [
            (january, None, 5),
            (january, Some(false), 5),
            (january, Some(true), 4),
            (july, None, 4),
            (july, Some(false), 5),
            (fold, Some(true), 4),
            (fold, Some(false), 5),
            (gap, Some(true), 4),
            (gap, Some(false), 5),
            (gap, None, 5),
        ] {
            let time = new_york(local, is_dst, 0);
            assert_eq!(time, Some(local + hours * HOUR), "{local} {is_dst:?}");
        }
        // What was found last decides.
        assert_eq!(new_york(fold, None, 4 * HOUR), Some(fold + 4 * HOUR));
        assert_eq!(new_york(fold, None, 5 * HOUR), Some(fold + 5 * HOUR));
        let utc = |_| (0, false);
        assert_eq!(time_of(july, Some(true), 0, utc), Some(july - HOUR));
        assert_eq!(time_of(i64::MAX, None, 1, utc), None);
    }
}
