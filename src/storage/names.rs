//! File names of a data folder, as Java gives and reads them.

use super::snapshot::Compression;
use super::{Disk, StorageError};
use crate::base::Zxid;
use std::path::{Path, PathBuf};

/// The two folders of a server's files; the same one unless `dataLogDir` is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// Snapshots and epochs: `<dataDir>/version-2`.
    pub data: PathBuf,
    /// Logs: `<dataLogDir>/version-2`.
    pub log: PathBuf,
}

/// Folder inside dataDir and dataLogDir; 2 is the version of the formats.
pub const VERSION_DIR: &str = "version-2";

/// File beside the log folder that allows an empty database, once.
pub const INITIALIZE: &str = "initialize";

const LOG: &str = "log";
const SNAPSHOT: &str = "snapshot";
const TMP: &str = ".tmp";
const ASIDE: &str = "aside.";
const RECEIVED: &str = "received.";

impl Dirs {
    /// The folders below `dataDir` and `dataLogDir`.
    pub fn new(data_dir: &Path, data_log_dir: &Path) -> Dirs {
        Dirs {
            data: data_dir.join(VERSION_DIR),
            log: data_log_dir.join(VERSION_DIR),
        }
    }

    /// Makes the folders that are missing, unless `create` is false, and refuses files that stand in the wrong one.
    ///
    /// # Errors
    /// [`StorageError::MissingDir`], [`StorageError::Misplaced`], [`StorageError::Io`].
    /// Source: `FileTxnSnapLog.FileTxnSnapLog`, `checkLogDir`, `checkSnapDir`.
    pub fn prepare(&self, disk: &dyn Disk, create: bool) -> Result<(), StorageError> {
        for dir in [&self.data, &self.log] {
            match disk.list(dir) {
                Ok(_) => {}
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StorageError::io("list", dir, error));
                }
                Err(_) if !create => return Err(StorageError::MissingDir { path: dir.clone() }),
                Err(_) => {
                    disk.create_dir(dir)
                        .map_err(|error| StorageError::io("create", dir, error))?;
                }
            }
        }
        if self.data != self.log {
            refuse_misplaced(disk, &self.log, SNAPSHOT, &self.data)?;
            refuse_misplaced(disk, &self.data, LOG, &self.log)?;
        }
        Ok(())
    }

    /// Where a marker that allows an empty database would be: beside the log folder, not the data folder.
    /// Source: `FileTxnSnapLog.restore`.
    pub fn initialize_marker(&self) -> PathBuf {
        self.log.parent().unwrap_or(Path::new("")).join(INITIALIZE)
    }
}

fn refuse_misplaced(
    disk: &dyn Disk,
    dir: &Path,
    prefix: &str,
    home: &Path,
) -> Result<(), StorageError> {
    let names = disk
        .list(dir)
        .map_err(|error| StorageError::io("list", dir, error))?;
    let stray = names.into_iter().find(|name| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('.'))
    });
    match stray {
        Some(name) => Err(StorageError::Misplaced {
            path: dir.join(name),
            home: home.to_path_buf(),
        }),
        None => Ok(()),
    }
}

/// Name of the log file whose first record is `first`. Source: `Util.makeLogName`.
pub fn log_name(first: Zxid) -> String {
    format!("{LOG}.{:x}", first.0)
}

/// Name of a snapshot that holds everything up to `zxid`. Source: `Util.makeSnapshotName`.
pub fn snapshot_name(zxid: Zxid, compression: Compression) -> String {
    format!("{SNAPSHOT}.{:x}{}", zxid.0, compression.suffix())
}

/// Name under which a file is written before it gets its own. Source: `AtomicFileOutputStream`.
pub fn unfinished_name(name: &str) -> String {
    format!("{name}{TMP}")
}

/// The `n`th name for a file that is kept and not used any more. It begins in another way, because Java reads
/// `snapshot.5.aside` as a snapshot.
pub fn aside_name(name: &str, n: u32) -> String {
    match n {
        0 => format!("{ASIDE}{name}"),
        n => format!("{ASIDE}{name}.{n}"),
    }
}

/// Name under which a snapshot that came from a leader is kept until it is decided that it counts.
pub fn received_name(name: &str) -> String {
    format!("{RECEIVED}{name}")
}

/// Whether a file is one that [`received_name`] names.
pub fn is_received(name: &str) -> bool {
    name.starts_with(RECEIVED)
}

/// The zxid in the name of a log file.
/// Source: `Util.getZxidFromName`.
pub fn parse_log(name: &str) -> Option<Zxid> {
    parse(name, LOG)
}

/// The zxid in the name of a snapshot.
///
/// Differs from Java: `snapshot.5.tmp`, which an interrupted write leaves behind, is not one.
/// Source: `Util.getZxidFromName`.
pub fn parse_snapshot(name: &str) -> Option<Zxid> {
    parse(name, SNAPSHOT)
}

/// The zxid in the name of a snapshot that was not finished.
pub fn parse_unfinished(name: &str) -> Option<Zxid> {
    parse(name.strip_suffix(TMP)?, SNAPSHOT)
}

fn parse(name: &str, prefix: &str) -> Option<Zxid> {
    let mut parts = name.split('.');
    if parts.next() != Some(prefix) || name.ends_with(TMP) {
        return None;
    }
    let zxid = i64::from_str_radix(parts.next()?, 16).ok()?;
    (zxid != -1).then_some(Zxid(zxid))
}

/// The name of a file of ours.
pub(super) fn of(path: &Path) -> &str {
    let name = path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

/// The log files of a folder with the zxids of their first records, in ascending order.
///
/// # Errors
/// What the disk says.
pub fn logs(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Zxid, PathBuf)>, StorageError> {
    sorted(disk, dir, parse_log)
}

/// The snapshots of a folder with the zxids in their names, in ascending order; finished or not.
///
/// # Errors
/// What the disk says.
pub fn snapshots(disk: &dyn Disk, dir: &Path) -> Result<Vec<(Zxid, PathBuf)>, StorageError> {
    sorted(disk, dir, parse_snapshot)
}

/// Files of a folder with the zxids `parse` finds in their names, in ascending order of the zxids.
///
/// # Errors
/// What the disk says.
pub fn sorted(
    disk: &dyn Disk,
    dir: &Path,
    parse: fn(&str) -> Option<Zxid>,
) -> Result<Vec<(Zxid, PathBuf)>, StorageError> {
    let names = disk
        .list(dir)
        .map_err(|error| StorageError::io("list", dir, error))?;
    let mut files: Vec<_> = names
        .into_iter()
        .filter_map(|name| parse(&name).map(|zxid| (zxid, dir.join(name))))
        .collect();
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_lower_case_hex_without_padding() {
        assert_eq!(log_name(Zxid(0x1_0000_000a)), "log.10000000a");
        assert_eq!(snapshot_name(Zxid(0), Compression::None), "snapshot.0");
        assert_eq!(
            snapshot_name(Zxid(0x23), Compression::Snappy),
            "snapshot.23.snappy"
        );
    }

    #[test]
    fn names_are_read_as_java_reads_them_except_unfinished_ones() {
        assert_eq!(parse_log("log.1F"), Some(Zxid(0x1f)));
        assert_eq!(parse_snapshot("snapshot.23.gz"), Some(Zxid(0x23)));
        assert_eq!(parse_snapshot("snapshot.100.bak"), Some(Zxid(0x100)));
        assert_eq!(parse_snapshot("snapshot.100.tmp"), None);
        assert_eq!(parse_snapshot("snapshot.100.gz.tmp"), None);
        for odd in [
            "snapshot",
            "snapshot.",
            "snapshot.xyz",
            "snapshots.1",
            "aside.snapshot.1",
            "received.snapshot.1",
            "log.1",
            "",
        ] {
            assert_eq!(parse_snapshot(odd), None, "{odd:?}");
        }
    }
}
