//! Rows as text: JSON, tables, and the sections of the README that have them.

use std::fmt::Write as _;

use crate::bench::{Row, Spread};

/// All rows, as a JSON list.
///
/// # Panics
/// A value is not finite.
#[must_use]
pub fn json(rows: &[Row]) -> String {
    let mut text = serde_json::to_string_pretty(rows).expect("rows have text and numbers");
    text.push('\n');
    text
}

/// A value with three significant digits.
fn digits(value: f64) -> String {
    let after_point = 2 - value.abs().max(1e-9).log10().floor() as i32;
    let unit = 10_f64.powi(-after_point.min(0));
    let rounded = (value / unit).round() * unit;
    let value = if after_point < 0 { rounded } else { value };
    format!("{value:.*}", usize::try_from(after_point).unwrap_or(0))
}

fn cell(spread: Option<Spread>) -> String {
    spread.map_or_else(String::new, |Spread { median, min, max }| {
        let [median, min, max] = [median, min, max].map(digits);
        match min == max {
            true => median,
            false => format!("{median} ({min} to {max})"),
        }
    })
}

/// The rows of a group as a table in Markdown. `peer` names its peer. Columns that no row has are left out.
#[must_use]
pub fn table(rows: &[Row], peer: &str) -> String {
    let has_peer = rows.iter().any(|row| row.peer.is_some());
    let has_limit = rows.iter().any(|row| row.limit.is_some());
    let mut lines = vec![vec![
        "case".to_owned(),
        "unit".to_owned(),
        "wasisocket".to_owned(),
        "native CPython".to_owned(),
        "ratio".to_owned(),
    ]];
    lines.push(vec!["---".to_owned(); lines[0].len()]);
    for row in rows {
        let ratio = row.ratio(row.ours);
        lines.push(vec![
            row.case.clone(),
            row.unit.clone(),
            cell(row.ours),
            cell(row.native),
            ratio.map_or_else(String::new, |ratio| format!("**{ratio:.2}**")),
        ]);
    }
    let mut add = |title: &str, column: fn(&Row) -> Option<Spread>| {
        let cells = rows.iter().map(|row| cell(column(row)));
        let cells = [title.to_owned(), "---".to_owned()]
            .into_iter()
            .chain(cells);
        for (line, cell) in lines.iter_mut().zip(cells) {
            line.push(cell);
        }
    };
    if has_peer {
        add(peer, |row| row.peer);
    }
    if has_limit {
        add("limit", |row| row.limit);
    }
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "| {} |", line.join(" | "));
        text
    })
}

/// Replaces what is between the two comments that mark a group's section.
///
/// # Errors
/// The text has no such comments, in this order.
pub fn replace_section(text: &str, group: &str, section: &str) -> Result<String, String> {
    let (begin, end) = (
        format!("<!-- begin {group} -->\n"),
        format!("<!-- end {group} -->\n"),
    );
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let (before, after) =
        parts.ok_or_else(|| format!("{:?} and {:?} are missing", begin.trim(), end.trim()))?;
    Ok(format!(
        "{before}{begin}\n{}\n\n{end}{after}",
        section.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{Column, Samples};

    fn rows() -> Vec<Row> {
        let mut samples = Samples::new("group");
        samples.read(Column::Native, "a\tMiB/s\t1234.5\nb\tms\t0.25\n");
        samples.read(Column::Ours, "a\tMiB/s\t2469\n");
        samples.read(Column::Limit, "b\tms\t0.1\n");
        samples.read(Column::Limit, "b\tms\t0.3\n");
        samples.rows()
    }

    #[test]
    fn json_is_a_list_of_rows_with_all_fields() {
        let parsed: serde_json::Value = serde_json::from_str(&json(&rows())).unwrap();
        let wanted = serde_json::json!([
            {"group": "group", "case": "a", "unit": "MiB/s", "better": "higher",
             "ours": {"median": 2469.0, "min": 2469.0, "max": 2469.0},
             "native": {"median": 1234.5, "min": 1234.5, "max": 1234.5},
             "peer": null, "limit": null},
            {"group": "group", "case": "b", "unit": "ms", "better": "lower", "ours": null,
             "native": {"median": 0.25, "min": 0.25, "max": 0.25},
             "peer": null, "limit": {"median": 0.3, "min": 0.1, "max": 0.3}},
        ]);
        assert_eq!(parsed, wanted);
    }

    #[test]
    fn table_leaves_out_columns_without_values() {
        let wanted = "\
            | case | unit | wasisocket | native CPython | ratio | limit |\n\
            | --- | --- | --- | --- | --- | --- |\n\
            | a | MiB/s | 2470 | 1230 | **2.00** |  |\n\
            | b | ms |  | 0.250 |  | 0.300 (0.100 to 0.300) |\n";
        assert_eq!(table(&rows(), "peer"), wanted);
    }

    #[test]
    fn section_is_replaced_between_its_marks_only() {
        let text =
            "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n<!-- begin y -->\n<!-- end y -->\n";
        let wanted =
            "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n<!-- begin y -->\n<!-- end y -->\n";
        assert_eq!(replace_section(text, "x", "new\n").unwrap(), wanted);
        assert_eq!(replace_section(wanted, "x", "new").unwrap(), wanted);
        assert!(replace_section(text, "z", "new").is_err());
    }
}
