//! A copy of a data folder that is on disk before anything is changed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::doctor::Folder;
use crate::storage::VERSION_DIR;
use jiff::Timestamp;

/// Copies everything of a server, and syncs it. Returns where to.
///
/// # Errors
/// Why there is no copy; what was made of it is removed.
pub(super) fn keep(folder: &Folder, to: Option<&Path>) -> Result<PathBuf, String> {
    let target = match to {
        Some(to) => to.to_path_buf(),
        None => beside(&folder.home),
    };
    let refuse = |error: io::Error| format!("no copy at {}: {error}", target.display());
    fs::create_dir(&target).map_err(refuse)?;
    let same = folder.dirs.data == folder.dirs.log;
    let copied = match same {
        true => copy_home(&folder.home, &target),
        false => copy_both(folder, &target),
    };
    let parent = target.parent().unwrap_or(Path::new("."));
    let done = copied.and_then(|()| match parent.as_os_str().is_empty() {
        true => sync_dir(Path::new(".")),
        false => sync_dir(parent),
    });
    done.map_err(|error| {
        let _ = fs::remove_dir_all(&target);
        refuse(error)
    })?;
    Ok(target)
}

fn beside(home: &Path) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut name = home.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-doctor-{now}"));
    home.with_file_name(name)
}

fn copy_both(folder: &Folder, target: &Path) -> io::Result<()> {
    let logs = folder.dirs.log.parent().unwrap_or(&folder.dirs.log);
    for (from, name) in [(folder.home.as_path(), "dataDir"), (logs, "dataLogDir")] {
        let to = target.join(name);
        fs::create_dir(&to)?;
        copy_home(from, &to)?;
    }
    sync_dir(target)
}

/// version-2 and the files beside it.
fn copy_home(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == VERSION_DIR {
            fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            copy_file(&entry.path(), &target)?;
        }
    }
    sync_dir(to)
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            copy_file(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    sync_dir(to)
}

fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
