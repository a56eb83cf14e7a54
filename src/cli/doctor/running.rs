//! Whether a server is running on a folder: asked without leaving a trace.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::storage::Dirs;

/// Which server that is, for a person. Java takes no lock, so its pid file and open files are looked at; those of other
/// users are hidden from all but root.
pub(super) fn server_on(dirs: &Dirs, home: &Path) -> Option<String> {
    let locked = [&dirs.data, &dirs.log]
        .into_iter()
        .any(|dir| is_locked(dir));
    let by_lock = locked.then(|| "an oxkeeper server is running on it".to_owned());
    by_lock
        .or_else(|| by_pid_file(home))
        .or_else(|| by_open_files(dirs))
}

fn is_locked(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(LOCK)) else {
        return false;
    };
    // Given back when the file is closed, at once.
    flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

fn by_pid_file(home: &Path) -> Option<String> {
    let pid = fs::read_to_string(home.join("zookeeper_server.pid")).ok()?;
    let pid: u32 = pid.trim().parse().ok()?;
    let words = fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline")).ok()?;
    let words = String::from_utf8_lossy(&words);
    // The number may have gone to another process since.
    let server = ["zookeeper", "oxkeeper"]
        .iter()
        .any(|name| words.contains(name));
    server.then(|| format!("a server, process {pid}, is running on it"))
}

fn by_open_files(dirs: &Dirs) -> Option<String> {
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name();
        let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
        if let Some(pid) = pid.filter(|pid| *pid != std::process::id())
            && has_open(&process.path(), dirs) == Some(true)
        {
            return Some(format!("process {pid} has a log of it open for writing"));
        }
    }
    None
}

/// Whether a process has a file in the log folder open for writing; None if that may not be seen.
fn has_open(process: &Path, dirs: &Dirs) -> Option<bool> {
    let folder = fs::canonicalize(&dirs.log).ok()?;
    for handle in fs::read_dir(process.join("fd")).ok()?.flatten() {
        let Ok(target) = fs::read_link(handle.path()) else {
            continue;
        };
        if target.parent() == Some(&folder) {
            let number = handle.file_name();
            let info = fs::read_to_string(process.join("fdinfo").join(number)).unwrap_or_default();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
            let mode = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
            if mode.is_some_and(|mode| mode & WRITING != 0) {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// The file our servers lock. Source: `runtime::DataLock`.
const LOCK: &str = "oxkeeper.lock";

/// O_WRONLY | O_RDWR.
const WRITING: u32 = 3;
