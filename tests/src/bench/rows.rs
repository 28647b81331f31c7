//! Measured values, and the rows that are made of them.

use serde::Serialize;

/// Who was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Python in the guest.
    Ours = 0,
    /// Native CPython of the same version.
    Native = 1,
    /// Another way to run Python in a sandbox.
    Peer = 2,
    /// What the kernel or the processor allows: a plain native program that does the same.
    Limit = 3,
}

/// The number of columns.
const COLUMNS: usize = 4;

/// Which values are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Rates.
    Higher,
    /// Times and sizes.
    Lower,
}

impl Better {
    /// Units of rates end in `/s`.
    fn of_unit(unit: &str) -> Self {
        match unit.ends_with("/s") {
            true => Self::Higher,
            false => Self::Lower,
        }
    }
}

/// Median, minimum and maximum of one column's values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; of an even number the higher of the two in the middle.
    pub median: f64,
    /// The lowest one.
    pub min: f64,
    /// The highest one.
    pub max: f64,
}

impl Spread {
    /// `None` if there are no values.
    fn of(values: &[f64]) -> Option<Self> {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        Some(Self {
            median: *values.get(values.len() / 2)?,
            min: *values.first()?,
            max: *values.last()?,
        })
    }
}

/// One measured case. Columns that were not measured are `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The group of benchmarks.
    pub group: &'static str,
    /// What was measured.
    pub case: String,
    /// The unit of all values.
    pub unit: String,
    /// Which values are better.
    pub better: Better,
    /// Python in the guest.
    pub ours: Option<Spread>,
    /// Native CPython.
    pub native: Option<Spread>,
    /// The group's peer.
    pub peer: Option<Spread>,
    /// A plain native program.
    pub limit: Option<Spread>,
}

impl Row {
    /// How much better `spread` is than native CPython, by the medians: 2 is twice the rate, or half the time.
    #[must_use]
    pub fn ratio(&self, spread: Option<Spread>) -> Option<f64> {
        let (ours, native) = (spread?.median, self.native?.median);
        Some(match self.better {
            Better::Higher => ours / native,
            Better::Lower => native / ours,
        })
    }
}

/// The values of one group's cases, in the order in which the cases first came.
#[derive(Debug)]
pub struct Samples {
    group: &'static str,
    cases: Vec<Case>,
}

#[derive(Debug)]
struct Case {
    name: String,
    unit: String,
    columns: [Vec<f64>; COLUMNS],
}

impl Samples {
    /// No values yet.
    #[must_use]
    pub fn new(group: &'static str) -> Self {
        Self {
            group,
            cases: Vec::new(),
        }
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// Adds a value.
    ///
    /// # Panics
    /// The case has another unit already.
    pub fn push(&mut self, column: Column, name: &str, unit: &str, value: f64) {
        let known = self.cases.iter().position(|case| case.name == name);
        let index = known.unwrap_or_else(|| {
            self.cases.push(Case {
                name: name.to_owned(),
                unit: unit.to_owned(),
                columns: Default::default(),
            });
            self.cases.len() - 1
        });
        let case = &mut self.cases[index];
        assert_eq!(case.unit, unit, "the unit of {name}");
        case.columns[column as usize].push(value);
    }

    /// Adds a value from each line of a program's output: name, unit and value, with tabs between them.
    ///
    /// # Panics
    /// A line has another form.
    pub fn read(&mut self, column: Column, lines: &str) {
        for line in lines.lines() {
            let [name, unit, value] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{line:?} is not a name, a unit and a value");
            };
            self.push(column, name, unit, value.parse().expect("a number"));
        }
    }

    /// The values of one column, a list for each case that has any.
    #[must_use]
    pub fn values(&self, column: Column) -> Vec<&[f64]> {
        let values = self
            .cases
            .iter()
            .map(|case| &*case.columns[column as usize]);
        values.filter(|values| !values.is_empty()).collect()
    }

    /// A row for each case.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.cases.iter().map(|case| {
            let [ours, native, peer, limit] = case.columns.each_ref().map(|v| Spread::of(v));
            Row {
                group: self.group,
                case: case.name.clone(),
                unit: case.unit.clone(),
                better: Better::of_unit(&case.unit),
                ours,
                native,
                peer,
                limit,
            }
        });
        rows.collect()
    }
}

/// The geometric mean of positive values.
#[must_use]
pub fn geometric_mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values {
        sum += value.ln();
        count += 1;
    }
    (sum / f64::from(count)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_above_one_is_better_for_rates_and_for_times() {
        let mut samples = Samples::new("test");
        samples.read(Column::Native, "rate\tMiB/s\t100\ntime\tms\t30\n");
        samples.read(Column::Ours, "rate\tMiB/s\t50\ntime\tms\t10\n");
        let rows = samples.rows();
        let ratios = rows.iter().map(|row| row.ratio(row.ours).unwrap());
        assert_eq!(ratios.collect::<Vec<_>>(), [0.5, 3.0]);
        assert_eq!(rows[0].ratio(rows[0].peer), None);
    }

    #[test]
    fn spread_is_median_and_range() {
        let mut samples = Samples::new("test");
        for value in [3.0, 1.0, 2.0] {
            samples.push(Column::Limit, "case", "s", value);
        }
        let row = samples.rows().remove(0);
        let wanted = Spread {
            median: 2.0,
            min: 1.0,
            max: 3.0,
        };
        assert_eq!(row.limit, Some(wanted));
        assert_eq!(row.ours, None);
    }

    #[test]
    #[should_panic(expected = "is not a name, a unit and a value")]
    fn line_without_a_unit_is_refused() {
        Samples::new("test").read(Column::Ours, "name\t1.5\n");
    }

    #[test]
    fn geometric_mean_weighs_ratios_alike() {
        assert!((geometric_mean([0.5, 2.0]) - 1.0).abs() < 1e-12);
    }
}
