//! The four tables, and the orders they can be in.

use std::cmp::Ordering;

use super::picture::{HotLines, PathLine, Picture, ServerLine, SessionLine, StageLine};
use super::sheet::{Column, Row, Sheet};

/// One of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pane {
    /// The servers.
    Servers,
    /// Connections of clients.
    Sessions,
    /// Where they read and write.
    HotPaths,
    /// Where the time goes.
    Stages,
}

impl Pane {
    /// In the order of their keys.
    pub const ALL: [Pane; 4] = [Pane::Servers, Pane::Sessions, Pane::HotPaths, Pane::Stages];

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Pane::Servers => "servers",
            Pane::Sessions => "sessions",
            Pane::HotPaths => "hot paths",
            Pane::Stages => "stages",
        }
    }

    /// What its rows can be sorted by, the usual first.
    pub fn orders(self) -> &'static [&'static str] {
        match self {
            Pane::Servers => &["as given", "requests", "p99"],
            Pane::Sessions => &["requests", "longest latency", "mean latency", "outstanding"],
            Pane::HotPaths => &["all", "reads", "writes", "children"],
            Pane::Stages => &["p99", "mean", "longest", "how often"],
        }
    }

    /// Sorts its rows in `picture` by the order of this number.
    pub fn sort(self, picture: &mut Picture, order: usize) {
        match self {
            Pane::Servers => sort_by(&mut picture.servers, order, server_keys),
            Pane::Sessions => sort_by(&mut picture.sessions, order, session_keys),
            Pane::HotPaths => sort_by(&mut picture.hot.paths, order, path_keys),
            Pane::Stages => sort_by(&mut picture.stages, order, stage_keys),
        }
    }

    /// What is shown of `picture`.
    pub fn sheet(self, picture: &Picture) -> Sheet {
        match self {
            Pane::Servers => servers(&picture.servers),
            Pane::Sessions => sessions(&picture.sessions),
            Pane::HotPaths => hot_paths(&picture.hot),
            Pane::Stages => stages(&picture.stages),
        }
    }

    /// What is to be said where there are no rows.
    pub fn nothing(self, picture: &Picture) -> &'static str {
        if (picture.servers.iter()).all(|server| server.state.is_empty()) {
            return "asking";
        }
        match self {
            Pane::Servers => "",
            Pane::Sessions => "no connections are known",
            Pane::HotPaths if picture.hot.window_seconds.is_none() => {
                "no server that answers tells of hot paths; Java's do not"
            }
            Pane::HotPaths => "no requests",
            Pane::Stages => {
                "no requests since the last look, or a server that does not tell of stages; Java's do not"
            }
        }
    }
}

/// Largest first; what is equal stays in its order.
fn sort_by<T, const N: usize>(rows: &mut [T], order: usize, keys: fn(&T) -> [f64; N]) {
    let key = |row: &T| keys(row).get(order).copied().unwrap_or_default();
    let largest_first = |a: &T, b: &T| -> Ordering { key(b).total_cmp(&key(a)) };
    rows.sort_by(largest_first);
}

fn server_keys(line: &ServerLine) -> [f64; 3] {
    let unknown = f64::NEG_INFINITY;
    let requests = line.requests_per_second.unwrap_or(unknown);
    [0.0, requests, line.p99_seconds.unwrap_or(unknown)]
}

fn session_keys(line: &SessionLine) -> [f64; 4] {
    [
        line.requests_per_second.unwrap_or_default(),
        line.max_latency_ms,
        line.avg_latency_ms,
        line.outstanding as f64,
    ]
}

fn path_keys(line: &PathLine) -> [f64; 4] {
    let PathLine {
        reads,
        writes,
        children,
        ..
    } = *line;
    // What changes children is a write of the child already.
    [reads + writes, reads, writes, children]
}

fn stage_keys(line: &StageLine) -> [f64; 4] {
    [
        line.p99_seconds,
        line.mean_seconds,
        line.max_seconds,
        line.per_second,
    ]
}

fn left(title: &'static str, rank: u8) -> Column {
    Column {
        title,
        right: false,
        rank,
    }
}

fn right(title: &'static str, rank: u8) -> Column {
    Column {
        title,
        right: true,
        rank,
    }
}

fn servers(lines: &[ServerLine]) -> Sheet {
    let columns = vec![
        left("server", 0),
        left("state", 1),
        left("zxid", 7),
        right("clients", 4),
        right("req/s", 2),
        right("p50", 6),
        right("p99", 3),
        right("waiting", 5),
        right("memory", 8),
        right("fsync p99", 9),
    ];
    let rows = lines.iter().map(|line| {
        let head = vec![line.address.clone(), line.state.clone()];
        if let Some(problem) = &line.problem {
            return Row::Problem(head, problem.clone());
        }
        let whole = |number: Option<u64>| number.map_or(UNKNOWN.into(), |it| it.to_string());
        let time = |seconds: Option<f64>| seconds.map_or(UNKNOWN.into(), time);
        let rest = [
            line.zxid.clone().unwrap_or_else(|| UNKNOWN.into()),
            whole(line.connections),
            line.requests_per_second.map_or(UNKNOWN.into(), rate),
            time(line.p50_seconds),
            time(line.p99_seconds),
            whole(line.outstanding),
            line.memory_bytes.map_or(UNKNOWN.into(), bytes),
            time(line.fsync_p99_seconds),
        ];
        Row::Cells(head.into_iter().chain(rest).collect())
    });
    let rows = rows.collect();
    Sheet { columns, rows }
}

fn sessions(lines: &[SessionLine]) -> Sheet {
    let columns = vec![
        left("client", 0),
        left("session", 6),
        right("req/s", 1),
        right("mean ms", 3),
        right("max ms", 2),
        right("waiting", 4),
        left("last", 5),
        left("server", 7),
    ];
    let rows = lines.iter().map(|line| {
        Row::Cells(vec![
            line.client.clone(),
            line.session.clone(),
            line.requests_per_second.map_or(UNKNOWN.into(), rate),
            format!("{}", line.avg_latency_ms),
            format!("{}", line.max_latency_ms),
            line.outstanding.to_string(),
            line.last_operation.clone(),
            line.server.clone(),
        ])
    });
    let rows = rows.collect();
    Sheet { columns, rows }
}

fn hot_paths(lines: &HotLines) -> Sheet {
    let columns = vec![
        left("path", 0),
        right("reads/s", 1),
        left("", 4),
        right("writes/s", 2),
        left("", 5),
        right("children/s", 3),
        left("", 6),
    ];
    let rows = lines.paths.iter().map(|line| {
        let mut cells = vec![line.path.clone()];
        for (number, error) in [
            (line.reads, line.reads_error),
            (line.writes, line.writes_error),
            (line.children, line.children_error),
        ] {
            match number + error > 0.0 {
                true => cells.push(rate(number)),
                false => cells.push(String::new()),
            }
            match error > 0.0 {
                true => cells.push(format!("\u{b1}{}", rate(error))),
                false => cells.push(String::new()),
            }
        }
        Row::Cells(cells)
    });
    let rows = rows.collect();
    Sheet { columns, rows }
}

fn stages(lines: &[StageLine]) -> Sheet {
    let columns = vec![
        left("stage", 0),
        left("server", 4),
        right("per s", 3),
        right("mean", 2),
        right("p50", 6),
        right("p99", 1),
        right("max", 5),
    ];
    let rows = lines.iter().map(|line| {
        Row::Cells(vec![
            line.stage.clone(),
            line.server.clone(),
            rate(line.per_second),
            time(line.mean_seconds),
            time(line.p50_seconds),
            time(line.p99_seconds),
            time(line.max_seconds),
        ])
    });
    let rows = rows.collect();
    Sheet { columns, rows }
}

const UNKNOWN: &str = "-";

/// Three digits and a unit.
fn rate(number: f64) -> String {
    scaled(number, 1000.0, &["", "k", "M", "G"])
}

fn bytes(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "K", "M", "G", "T"])
}

fn scaled(mut number: f64, step: f64, units: &[&str]) -> String {
    let mut units = units.iter().copied();
    let mut unit = units.next().unwrap_or_default();
    while number >= 999.5 {
        let Some(next) = units.next() else { break };
        number /= step;
        unit = next;
    }
    let is_whole = number >= 99.5 || number.fract() == 0.0;
    match is_whole {
        true => format!("{number:.0}{unit}"),
        false => format!("{number:.1}{unit}"),
    }
}

/// Seconds, in the unit that fits.
fn time(seconds: f64) -> String {
    match seconds {
        s if s < 0.000_999_5 => format!("{:.0}\u{b5}s", s * 1e6),
        s if s < 0.009_995 => format!("{:.2}ms", s * 1e3),
        s if s < 0.0995 => format!("{:.1}ms", s * 1e3),
        s if s < 0.9995 => format!("{:.0}ms", s * 1e3),
        s => format!("{s:.1}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_take_few_columns() {
        let rates = [0.0, 0.25, 42.0, 99.94, 999.4, 999.9, 12_345.0, 7.5e6];
        let shown = ["0", "0.2", "42", "100", "999", "1.0k", "12.3k", "7.5M"];
        assert_eq!(rates.map(rate), shown);
        let times = [0.000_025, 0.001_234, 0.0123, 0.123, 2.5];
        let shown = ["25\u{b5}s", "1.23ms", "12.3ms", "123ms", "2.5s"];
        assert_eq!(times.map(time), shown);
        assert_eq!(bytes(512 << 20), "512M");
    }

    #[test]
    fn every_order_of_a_pane_puts_its_largest_first() {
        let path = |path: &str, reads, writes, children| PathLine {
            path: path.into(),
            reads,
            writes,
            children,
            ..PathLine::default()
        };
        let mut picture = Picture::default();
        picture.hot.paths = vec![
            path("/a", 5.0, 5.0, 0.0),
            path("/b", 6.0, 0.0, 0.0),
            path("/c", 0.0, 7.0, 9.0),
        ];
        let mut first = |order| {
            Pane::HotPaths.sort(&mut picture, order);
            picture.hot.paths[0].path.clone()
        };
        let firsts: Vec<String> = (0..4).map(&mut first).collect();
        assert_eq!(firsts, ["/a", "/b", "/c", "/c"]);
        for pane in Pane::ALL {
            for order in 0..pane.orders().len() + 1 {
                pane.sort(&mut picture, order);
            }
            assert!(!pane.sheet(&picture).columns.is_empty());
        }
    }
}
