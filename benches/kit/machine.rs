//! The machine the measurements share with everything else that runs on it.

use std::time::{Duration, Instant};
use std::{fs, thread};

/// Share of all cores that must be idle for the machine to count as idle.
const IDLE: f64 = 0.9;

/// Waits until the machine is idle for half a second, at most `patience`; returns the share of the
/// cores that was idle in the end, and whether that is enough.
pub fn wait_until_idle(patience: Duration) -> (f64, bool) {
    let started = Instant::now();
    loop {
        let before = idle_and_all();
        thread::sleep(Duration::from_millis(500));
        let after = idle_and_all();
        let share = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        if share >= IDLE || started.elapsed() >= patience {
            return (share, share >= IDLE);
        }
    }
}

/// Time the cores were idle, and all their time, since the machine started.
fn idle_and_all() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let numbers = line.split_ascii_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = numbers.filter_map(|word| word.parse().ok()).collect();
    // Waiting for a disk is idleness, too.
    (ticks.iter().skip(3).take(2).sum(), ticks.iter().sum())
}
