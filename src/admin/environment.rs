//! What the process runs on, in the words of a Java machine.
//!
//! Source: `Environment.list`.

use std::path::PathBuf;

use super::version;

/// Where there is nothing to tell.
pub const NONE: &str = "<NA>";

/// Keys and values, in Java's order. What is about a Java machine is `<NA>`; memory is that of the process: free is
/// what the system could give it, total what it has, max both together.
pub fn list() -> Vec<(&'static str, String)> {
    let system = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let none = || NONE.to_owned();
    let var = |name| std::env::var(name).unwrap_or_else(|_| none());
    let path = |path: Option<PathBuf>| path.map_or_else(none, |path| path.display().to_string());
    let total = memory("/proc/self/status", "VmRSS:");
    let free = memory("/proc/meminfo", "MemAvailable:");
    vec![
        ("zookeeper.version", version()),
        ("host.name", text(system.nodename())),
        ("java.version", none()),
        ("java.vendor", none()),
        ("java.home", none()),
        ("java.class.path", none()),
        ("java.library.path", none()),
        ("java.io.tmpdir", path(Some(std::env::temp_dir()))),
        ("java.compiler", none()),
        ("os.name", text(system.sysname())),
        ("os.arch", java_arch().to_owned()),
        ("os.version", text(system.release())),
        ("user.name", user().unwrap_or_else(|| var("USER"))),
        ("user.home", var("HOME")),
        ("user.dir", path(std::env::current_dir().ok())),
        ("os.memory.free", format!("{free}MB")),
        ("os.memory.max", format!("{}MB", free + total)),
        ("os.memory.total", format!("{total}MB")),
    ]
}

/// Java's names of processors.
fn java_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        other => other,
    }
}

/// The name of who runs the process.
fn user() -> Option<String> {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

/// A line of `<name> <kilobytes> kB` in megabytes; 0 if there is none.
fn memory(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    kilobytes.unwrap_or(0_u64) / 1024
}
