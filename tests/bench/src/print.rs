//! Tables on standard output.

use std::io::Write as _;
use std::time::Duration;

/// Prints a line. A reader that has gone away is no reason to stop.
pub(crate) fn line(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints a table: the first column to the left, the others to the right.
pub(crate) fn table(title: &str, head: &[&str], rows: &[Vec<String>]) {
    line(&format!("\n{title}\n"));
    for text in aligned(head, rows) {
        line(&text);
    }
}

/// A table whose rows take minutes to come: each is printed as soon as it is there, in columns of these widths.
#[derive(Debug)]
pub(crate) struct Growing(&'static [(&'static str, usize)]);

impl Growing {
    /// Prints the head.
    pub(crate) fn begin(title: &str, columns: &'static [(&'static str, usize)]) -> Self {
        line(&format!("\n{title}\n"));
        let table = Self(columns);
        table.row(&columns.iter().map(|(head, _)| (*head).to_owned()).collect::<Vec<_>>());
        table
    }

    /// Prints a row, with what does not fit into a column below it.
    pub(crate) fn row(&self, cells: &[String]) {
        let cell = |(n, (text, (_, width))): (usize, (&String, &(&str, usize)))| match n {
            0 => format!("{text:<width$}"),
            _ => format!("  {text:>width$}"),
        };
        line(cells.iter().zip(self.0).enumerate().map(cell).collect::<String>().trim_end());
        for below in cells.iter().skip(self.0.len()).filter(|text| !text.is_empty()) {
            line(&format!("    {below}"));
        }
    }
}

fn aligned(head: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let head: Vec<String> = head.iter().map(|&text| text.to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let cell = |(column, text): (usize, &String)| match column {
        0 => format!("{text:<w$}", w = width(0)),
        _ => format!("  {text:>w$}", w = width(column)),
    };
    all.iter().map(|row| row.iter().enumerate().map(cell).collect::<String>().trim_end().to_owned()).collect()
}

/// `1.23 s`, `45 ms`
pub(crate) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

/// `12.3 MB`, of a million bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a size that is read by people")]
    let megabytes = bytes as f64 / 1e6;
    format!("{megabytes:.1} MB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["long name".to_owned(), "7".to_owned()]];
        assert_eq!(aligned(&["what", "n"], &rows), ["what        n", "a          10", "long name   7"]);
    }
}
