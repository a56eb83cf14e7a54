//! Puts folders that were restored in the place of a server's, so that after `kill -9` at any moment there are the old
//! ones or the new ones.
//!
//! ```text
//! <dataDir>/restore.tmp/version-2     the new files, while they are made and until they are in place
//! <dataDir>/restore.tmp/building      they are not complete: whoever comes next removes them
//! <dataDir>/restore.intent            they are complete and being put in place: whoever comes next goes on
//! <dataDir>/version-2.replaced-<n>    what was there before, kept
//! ```
//!
//! One folder for everything is exchanged with the new one in one step. Two of them (dataLogDir), or a file system that
//! cannot exchange, need several steps: the intent is noted first, and completed by the next restore or the next start
//! of the server. A Java server that is started in between finds logs without a snapshot and refuses.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::storage::VERSION_DIR;

/// The folders of one server: dataDir and dataLogDir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Homes {
    /// dataDir.
    pub data: PathBuf,
    /// dataLogDir, the same one unless it is set.
    pub log: PathBuf,
}

impl Homes {
    /// Where new files for `home` are made.
    pub fn building(home: &Path) -> PathBuf {
        home.join(TMP).join(VERSION_DIR)
    }

    /// The different ones.
    pub fn each(&self) -> Vec<&Path> {
        match self.data == self.log {
            true => vec![&self.data],
            false => vec![&self.data, &self.log],
        }
    }

    /// Makes room for new files: completes what was interrupted, removes what was never complete.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin(&self) -> io::Result<()> {
        complete(&self.data)?;
        for home in self.each() {
            let tmp = home.join(TMP);
            if tmp.exists() {
                let old = tmp.join(VERSION_DIR);
                if !tmp.join(BUILDING).exists() && old.exists() {
                    // It was in place once, or was about to be.
                    set_aside(home, &old)?;
                }
                fs::remove_dir_all(&tmp)?;
            }
            fs::create_dir_all(&tmp)?;
            File::create(tmp.join(BUILDING))?.sync_all()?;
            sync(&tmp)?;
            sync(home)?;
            fs::create_dir(Homes::building(home))?;
            sync(&tmp)?;
        }
        Ok(())
    }

    /// Removes new files that are not to be put in place.
    pub fn give_up(&self) {
        for home in self.each() {
            // The next restore would remove them.
            let _ = fs::remove_dir_all(home.join(TMP));
        }
    }

    /// Puts the new files in place; all of them are durable. Returns where the old ones are kept now.
    ///
    /// # Errors
    /// What the disk says: the old files or the new ones are in place then, or will be after [`complete`].
    pub fn put_in_place(&self) -> io::Result<Vec<PathBuf>> {
        for home in self.each() {
            fs::remove_file(home.join(TMP).join(BUILDING))?;
            sync(&home.join(TMP))?;
        }
        if self.data == self.log && exchange(&self.data)? {
            return clear(&self.data);
        }
        let mut intent = File::create(self.data.join(NOTING))?;
        intent.write_all(self.log.as_os_str().as_encoded_bytes())?;
        intent.sync_all()?;
        fs::rename(self.data.join(NOTING), self.data.join(INTENT))?;
        sync(&self.data)?;
        complete(&self.data)
    }
}

/// Completes what [`Homes::put_in_place`] began before it was interrupted, if anything: to be called before the files
/// of `data_dir` are used. Returns where old files are kept now.
///
/// # Errors
/// What the disk says; nothing may be read from the folder then.
pub fn complete(data_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let intent = data_dir.join(INTENT);
    let log_dir = match fs::read(&intent) {
        Ok(bytes) => path_of(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut kept = Vec::new();
    let is_new = |home: &Path| Homes::building(home).exists();
    let current = data_dir.join(VERSION_DIR);
    // Without its snapshots nobody takes the logs for a whole database.
    if is_new(data_dir) && current.exists() {
        kept.extend(set_aside(data_dir, &current)?);
    }
    if log_dir != data_dir && is_new(&log_dir) {
        let current = log_dir.join(VERSION_DIR);
        if current.exists() {
            kept.extend(set_aside(&log_dir, &current)?);
        }
        fs::rename(Homes::building(&log_dir), current)?;
        sync(&log_dir)?;
    }
    if is_new(data_dir) {
        fs::rename(Homes::building(data_dir), current)?;
        sync(data_dir)?;
    }
    for home in [data_dir, &log_dir] {
        match fs::remove_dir_all(home.join(TMP)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_file(&intent)?;
    sync(data_dir)?;
    Ok(kept)
}

/// Exchanges old and new in one step; false if the file system cannot.
fn exchange(home: &Path) -> io::Result<bool> {
    let (new, current) = (Homes::building(home), home.join(VERSION_DIR));
    if !current.exists() {
        fs::rename(&new, &current)?;
        sync(home)?;
        return Ok(true);
    }
    match renameat_with(CWD, &new, CWD, &current, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::NOTSUP) => {
            return Ok(false);
        }
        Err(error) => return Err(error.into()),
    }
    sync(&home.join(TMP))?;
    sync(home)?;
    Ok(true)
}

/// Keeps what was exchanged.
fn clear(home: &Path) -> io::Result<Vec<PathBuf>> {
    let old = Homes::building(home);
    let kept = match old.exists() {
        true => set_aside(home, &old)?,
        false => None,
    };
    fs::remove_dir_all(home.join(TMP))?;
    sync(home)?;
    Ok(kept.into_iter().collect())
}

/// Gives a folder of old files a name under which nobody looks for it; one without files just goes.
fn set_aside(home: &Path, old: &Path) -> io::Result<Option<PathBuf>> {
    if !holds_files(old)? {
        fs::remove_dir_all(old)?;
        return Ok(None);
    }
    let mut n = 1;
    let mut to = home.join(format!("{VERSION_DIR}.replaced-{n}"));
    while to.exists() {
        n += 1;
        to = home.join(format!("{VERSION_DIR}.replaced-{n}"));
    }
    fs::rename(old, &to)?;
    sync(home)?;
    Ok(Some(to))
}

/// Whether there is anything in a folder of a server besides the lock.
///
/// # Errors
/// What the disk says.
pub fn holds_files(dir: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    for entry in entries {
        if entry?.file_name() != super::data_lock::NAME {
            return Ok(true);
        }
    }
    Ok(false)
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

const TMP: &str = "restore.tmp";
const BUILDING: &str = "building";
const INTENT: &str = "restore.intent";
const NOTING: &str = "restore.intent.tmp";

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(dir: &Path, text: &str) {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("snapshot.0"), text).unwrap();
    }

    fn text(home: &Path) -> String {
        fs::read_to_string(home.join(VERSION_DIR).join("snapshot.0")).unwrap()
    }

    #[test]
    fn one_folder_is_exchanged_and_the_old_one_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_path_buf();
        let homes = Homes {
            data: home.clone(),
            log: home.clone(),
        };
        for n in 0..3 {
            homes.begin().unwrap();
            fill(&Homes::building(&home), &n.to_string());
            let kept = homes.put_in_place().unwrap();
            assert_eq!(kept.len(), usize::from(n > 0));
            assert_eq!(text(&home), n.to_string());
        }
        let kept = home.join("version-2.replaced-1/snapshot.0");
        assert_eq!(fs::read_to_string(kept).unwrap(), "0");
        assert!(!home.join(TMP).exists());
    }

    #[test]
    fn what_was_not_complete_is_removed_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_path_buf();
        fill(&home.join(VERSION_DIR), "old");
        let homes = Homes {
            data: home.clone(),
            log: home.clone(),
        };
        homes.begin().unwrap();
        fill(&Homes::building(&home), "half");
        complete(&home).unwrap();
        homes.begin().unwrap();
        assert_eq!(text(&home), "old");
        assert!(!holds_files(&Homes::building(&home)).unwrap());
    }

    #[test]
    fn two_folders_are_completed_from_every_step() {
        for steps in 0..4 {
            let dir = tempfile::tempdir().unwrap();
            let homes = Homes {
                data: dir.path().join("data"),
                log: dir.path().join("log"),
            };
            for home in homes.each() {
                fill(&home.join(VERSION_DIR), "old");
            }
            homes.begin().unwrap();
            for home in homes.each() {
                fill(&Homes::building(home), "new");
            }
            // What a killed process did: the intent, and some of the steps.
            fs::write(
                homes.data.join(INTENT),
                homes.log.as_os_str().as_encoded_bytes(),
            )
            .unwrap();
            let new = |home: &Path| (Homes::building(home), home.join(VERSION_DIR));
            if steps > 0 {
                set_aside(&homes.data, &new(&homes.data).1).unwrap();
            }
            if steps > 1 {
                set_aside(&homes.log, &new(&homes.log).1).unwrap();
            }
            if steps > 2 {
                let (from, to) = new(&homes.log);
                fs::rename(from, to).unwrap();
            }
            complete(&homes.data).unwrap();
            for home in homes.each() {
                assert_eq!(text(home), "new", "{steps}");
                assert!(home.join("version-2.replaced-1").exists());
                assert!(!home.join(TMP).exists());
            }
            assert!(complete(&homes.data).unwrap().is_empty());
        }
    }
}
