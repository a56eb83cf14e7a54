//! A table as lines of text, for a terminal of any width.

use ratatui::text::Span;

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// Numbers stand to the right.
    pub right: bool,
    /// What it gives way to where there is little room: the column with the largest number goes first.
    pub rank: u8,
}

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Titles.
    Title,
    /// All is well.
    Plain,
    /// Not answering or not serving.
    Bad,
}

/// A row: its cells, or the first of them and why there are no others.
#[derive(Clone, Debug)]
pub enum Row {
    /// As many as there are columns.
    Cells(Vec<String>),
    /// The first ones, and the rest of the line.
    Problem(Vec<String>, String),
}

/// A table. Its first column is what the rows are about, and is cut only where no other is left to go.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// Between two columns.
const GAP: usize = 2;

/// The first column is not narrower than this, as long as another can go.
const LEAST: usize = 12;

impl Sheet {
    /// The titles and the rows, none wider than `width`.
    pub fn lines(&self, width: usize) -> Vec<(String, Tone)> {
        let wanted = self.wanted();
        let (shown, widths) = self.fit(&wanted, width);
        let titles = self.columns.iter().map(|column| column.title.to_owned());
        let titles: Vec<String> = titles.collect();
        let mut lines = vec![(self.line(&titles, &shown, &widths), Tone::Title)];
        for row in &self.rows {
            lines.push(match row {
                Row::Cells(cells) => (self.line(cells, &shown, &widths), Tone::Plain),
                Row::Problem(cells, why) => {
                    let mut line = self.line(cells, &shown, &widths);
                    if !line.is_empty() {
                        line.push_str("  ");
                    }
                    line.push_str(&clean(why));
                    (line, Tone::Bad)
                }
            });
        }
        for (line, _) in &mut lines {
            *line = cut_end(line, width);
        }
        lines
    }

    /// How wide each column would like to be.
    fn wanted(&self) -> Vec<usize> {
        let widths = self.columns.iter().enumerate().map(|(at, column)| {
            let cells = self.rows.iter().filter_map(|row| match row {
                Row::Cells(cells) | Row::Problem(cells, _) => cells.get(at),
            });
            let widest = cells.map(|cell| measure(&clean(cell))).max();
            widest.unwrap_or(0).max(measure(column.title))
        });
        widths.collect()
    }

    /// The columns that are shown, and how wide.
    fn fit(&self, wanted: &[usize], width: usize) -> (Vec<usize>, Vec<usize>) {
        // A column without anything in it is none.
        let numbers = 0..self.columns.len();
        let mut shown: Vec<usize> = numbers.filter(|at| *at == 0 || wanted[*at] > 0).collect();
        loop {
            let others: usize = shown.iter().skip(1).map(|at| wanted[*at] + GAP).sum();
            let first = wanted.first().copied().unwrap_or_default();
            let left = width.saturating_sub(others);
            let victim = shown
                .iter()
                .skip(1)
                .max_by_key(|at| self.columns[**at].rank);
            match victim.copied() {
                Some(victim) if left < first.min(LEAST) => shown.retain(|at| *at != victim),
                _ => {
                    let widths = shown.iter().map(|at| wanted[*at]);
                    let mut widths: Vec<usize> = widths.collect();
                    if let Some(width) = widths.first_mut() {
                        *width = (*width).min(left);
                    }
                    return (shown, widths);
                }
            }
        }
    }

    fn line(&self, cells: &[String], shown: &[usize], widths: &[usize]) -> String {
        let mut line = String::new();
        for (place, (at, width)) in shown.iter().zip(widths).enumerate() {
            let Some(cell) = cells.get(*at) else { break };
            let cell = match place {
                0 => cut_begin(&clean(cell), *width),
                _ => clean(cell),
            };
            let room = " ".repeat(width.saturating_sub(measure(&cell)));
            if place > 0 {
                line.push_str("  ");
            }
            match self.columns[*at].right {
                true => line.extend([room, cell]),
                false => line.extend([cell, room]),
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Columns of a terminal that `text` takes.
fn measure(text: &str) -> usize {
    Span::raw(text).width()
}

/// Without what a terminal would take for an order, or would turn the line around.
pub fn clean(text: &str) -> String {
    let is_order = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_order(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    out
}

/// The end of `text`, no wider than `width`: the end of a path says more.
fn cut_begin(text: &str, width: usize) -> String {
    if measure(text) <= width {
        return text.to_owned();
    }
    let mut kept = text;
    while !kept.is_empty() && measure(kept) + 1 > width {
        let mut rest = kept.chars();
        rest.next();
        kept = rest.as_str();
    }
    match width {
        0 => String::new(),
        _ => format!("\u{2026}{kept}"),
    }
}

/// The beginning of `text`, no wider than `width`.
fn cut_end(text: &str, width: usize) -> String {
    let mut kept = text;
    while measure(kept) > width {
        let mut rest = kept.chars();
        rest.next_back();
        kept = rest.as_str();
    }
    kept.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet() -> Sheet {
        let column = |title, right, rank| Column { title, right, rank };
        Sheet {
            columns: vec![
                column("path", false, 0),
                column("reads/s", true, 1),
                column("server", false, 2),
            ],
            rows: vec![
                Row::Cells(vec![
                    "/a/rather/long/path".into(),
                    "1.5k".into(),
                    "zk1".into(),
                ]),
                Row::Problem(vec!["/b".into()], "is\tgone".into()),
            ],
        }
    }

    fn lines(width: usize) -> Vec<String> {
        sheet()
            .lines(width)
            .into_iter()
            .map(|(line, _)| line)
            .collect()
    }

    #[test]
    fn columns_go_before_the_first_gets_too_narrow() {
        let problem = "/b  is\\u{9}gone";
        let all = "path                 reads/s  server";
        let row = "/a/rather/long/path     1.5k  zk1";
        assert_eq!(lines(80), [all, row, problem]);
        assert_eq!(lines(28), [&all[..28], &row[..28], problem]);
        let cut = [
            "path           reads/s",
            "\u{2026}er/long/path     1.5k",
            problem,
        ];
        assert_eq!(lines(22), cut);
        assert_eq!(lines(9), ["path", "\u{2026}ong/path", "/b  is\\u{"]);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut wide = sheet();
        wide.rows.push(Row::Cells(vec![
            "/\u{6f22}\u{5b57}\u{1f980}".repeat(9),
            "\u{1b}[2J".into(),
            "\u{202e}".into(),
        ]));
        for width in 0..60 {
            for (line, _) in wide.lines(width) {
                assert!(measure(&line) <= width, "{line:?} in {width}");
                assert!(!line.contains(['\u{1b}', '\u{202e}']));
            }
        }
    }
}
