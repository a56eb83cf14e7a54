//! What the system says about this process.
//!
//! Source: `StandardExports` of Java's Prometheus client, `OSMXBean`.

use crate::metrics::Gauges;

/// Fills in what is known; on systems without `/proc` little is.
pub(super) fn look(gauges: &mut Gauges) {
    let (open, most) = open_files();
    gauges.open_file_descriptor_count = Some(open.into());
    gauges.max_file_descriptor_count = Some(most.into());
    gauges.process_open_fds = gauges.open_file_descriptor_count;
    gauges.process_max_fds = gauges.max_file_descriptor_count;
    let read = |file: &str| std::fs::read_to_string(file).ok();
    let Some(own) = read("/proc/self/stat").as_deref().and_then(Own::parse) else {
        return;
    };
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    gauges.process_cpu_seconds_total = Some((own.cpu_ticks as f64 / ticks).into());
    gauges.process_virtual_memory_bytes = Some((own.virtual_bytes as f64).into());
    let resident = own.resident_pages * rustix::param::page_size() as u64;
    gauges.process_resident_memory_bytes = Some((resident as f64).into());
    if let Some(boot) = read("/proc/stat").as_deref().and_then(boot_time) {
        gauges.process_start_time_seconds =
            Some((boot as f64 + own.start_ticks as f64 / ticks).into());
    }
}

/// Open files of this process, and how many it may have.
pub(super) fn open_files() -> (usize, u64) {
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (open, limit.current.unwrap_or(u64::MAX))
}

/// From `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Own {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Own {
    /// Behind the name in brackets, which may hold anything, the state is field 3.
    fn parse(text: &str) -> Option<Own> {
        let (_, behind) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = behind.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Own {
            cpu_ticks: field(14)? + field(15)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// Seconds since 1970, from `/proc/stat`.
fn boot_time(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_behind_an_odd_name_are_found() {
        let text = "7 (a) b) S 1 7 7 0 -1 4194304 1 0 0 0 120 30 0 0 20 0 5 0 8000 9000 250 1\n";
        let own = Own {
            cpu_ticks: 150,
            start_ticks: 8000,
            virtual_bytes: 9000,
            resident_pages: 250,
        };
        assert_eq!(Own::parse(text), Some(own));
        assert_eq!(Own::parse("7 (a"), None);
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1763000000\n"),
            Some(1_763_000_000)
        );
    }

    #[test]
    fn this_very_process_has_files_memory_and_a_start() {
        let mut gauges = Gauges::default();
        look(&mut gauges);
        for known in [
            gauges.open_file_descriptor_count,
            gauges.process_cpu_seconds_total,
            gauges.process_resident_memory_bytes,
        ] {
            assert!(known.is_some());
        }
        let started = gauges.process_start_time_seconds.unwrap().float();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let age = now.unwrap().as_secs_f64() - started;
        assert!((-2.0..3600.0).contains(&age), "{age}");
    }
}
