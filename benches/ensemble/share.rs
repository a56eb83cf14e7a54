//! A fixed share of a core for each server, through the kernel's control groups.

use crate::kit::process::Server;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Length of the periods in which a share is used up.
const PERIOD_US: u64 = 10_000;

/// Limits that end when this is dropped.
pub struct Share {
    groups: Vec<PathBuf>,
    root: PathBuf,
}

impl Share {
    /// Lets each server use `share` of one core from now on.
    ///
    /// # Errors
    /// The machine has no such groups, or does not let this process make one.
    pub fn limit(servers: &[Server], share: f64) -> io::Result<Self> {
        let old = Path::new("/sys/fs/cgroup/cpu");
        let (root, is_old) = match old.is_dir() {
            true => (old.to_path_buf(), true),
            false => (PathBuf::from("/sys/fs/cgroup"), false),
        };
        let mut limited = Share {
            groups: Vec::new(),
            root,
        };
        let quota = (PERIOD_US as f64 * share) as u64;
        for server in servers {
            let pid = server.pid();
            let group = limited.root.join(format!("oxkeeper-bench-{pid}"));
            fs::create_dir(&group)?;
            limited.groups.push(group.clone());
            if is_old {
                fs::write(group.join("cpu.cfs_period_us"), PERIOD_US.to_string())?;
                fs::write(group.join("cpu.cfs_quota_us"), quota.to_string())?;
            } else {
                fs::write(group.join("cpu.max"), format!("{quota} {PERIOD_US}"))?;
            }
            fs::write(group.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(limited)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        for group in &self.groups {
            let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            for pid in members.lines() {
                fs::write(self.root.join("cgroup.procs"), pid).ok();
            }
            fs::remove_dir(group).ok();
        }
    }
}
