//! What a backup folder holds: one JSON file, replaced as a whole after everything it speaks of is durable.
//!
//! ```text
//! FOLDER/manifest.json               this
//! FOLDER/oxkeeper.lock               one backup at a time
//! FOLDER/1/version-2/snapshot.<z>    a chain: its base, as the server wrote it,
//! FOLDER/1/version-2/log.<first>     and every record behind it, in files of whole records without padding
//! FOLDER/2/version-2/...             the next chain, where the first one could not be continued
//! ```
//!
//! Every chain is a data folder of its own: a copy of one can be opened by either server.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::BackupError;
use crate::base::Zxid;

/// Name of the file.
pub const MANIFEST: &str = "manifest.json";

/// Version of the file that this program writes, and the only one it reads.
const FORMAT: u32 = 1;

/// Runs that are remembered.
const RUNS_KEPT: usize = 200;

/// What a backup folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this file.
    pub format: u32,
    /// Program and version that wrote it.
    pub written_by: String,
    /// The highest epoch that a source had accepted.
    pub accepted_epoch: i64,
    /// What can be restored, oldest first.
    pub chains: Vec<Chain>,
    /// When something was added, oldest first; the last ones.
    pub runs: Vec<Run>,
}

/// A snapshot and the records behind it without a hole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Folder inside the backup folder.
    pub folder: String,
    /// Why it was begun.
    pub why: String,
    /// Where its files came from.
    pub source: String,
    /// The source's newest snapshot that took the place of its history, when the chain was begun.
    #[serde(with = "hex_or_null")]
    pub replaced_at: Option<Zxid>,
    /// Its snapshots, in ascending order; at least one.
    pub snapshots: Vec<SnapshotFile>,
    /// Its logs, in order.
    pub logs: Vec<LogFile>,
}

/// A copy of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// Name inside `version-2` of its chain.
    pub file: String,
    /// Everything up to there is in it.
    #[serde(with = "hex")]
    pub zxid: Zxid,
    /// Nothing behind there is in it; null if it does not say. A Java server goes on writing meanwhile.
    #[serde(with = "hex_or_null")]
    pub holds_upto: Option<Zxid>,
    /// Size.
    pub bytes: u64,
    /// Checksum, hex.
    pub sha256: String,
}

/// Records of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Name inside `version-2` of its chain.
    pub file: String,
    /// The first record.
    #[serde(with = "hex")]
    pub first_zxid: Zxid,
    /// The last record.
    #[serde(with = "hex")]
    pub last_zxid: Zxid,
    /// Time in the header of the first record, ms since 1970.
    pub first_time_ms: i64,
    /// The latest time in the header of any record, ms since 1970.
    pub last_time_ms: i64,
    /// How many records.
    pub records: u64,
    /// Adler-32 of the last record's payload, by which a source is known to be the same.
    pub last_checksum: u32,
    /// Size.
    pub bytes: u64,
    /// Checksum, hex.
    pub sha256: String,
}

/// One run of `oxkeeper backup` that added something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// When it ended, RFC 3339.
    pub at: String,
    /// The chain it added to.
    pub chain: String,
    /// Where it read.
    pub source: String,
    /// Where the backup ends since then.
    #[serde(with = "hex")]
    pub upto: Zxid,
    /// Records that were added.
    pub records: u64,
    /// Bytes that were added.
    pub bytes: u64,
}

impl Manifest {
    /// The manifest of `folder`; None if there is none.
    ///
    /// # Errors
    /// What the disk says, or that it cannot be understood.
    pub fn read(folder: &Path) -> Result<Option<Manifest>, BackupError> {
        let path = folder.join(MANIFEST);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(BackupError::io("read", &path, error)),
        };
        let bad = |what: String| BackupError::Manifest {
            path: path.clone(),
            what,
        };
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| bad(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(bad(format!(
                "format {}, and this version reads {FORMAT}",
                manifest.format
            )));
        }
        let names = manifest.chains.iter().flat_map(|chain| {
            let snapshots = chain.snapshots.iter().map(|snapshot| &snapshot.file);
            let logs = chain.logs.iter().map(|log| &log.file);
            snapshots.chain(logs).chain([&chain.folder])
        });
        for name in names {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
                return Err(bad(format!("{name:?} is no name of a file")));
            }
        }
        if let Some(chain) = manifest
            .chains
            .iter()
            .find(|chain| chain.snapshots.is_empty())
        {
            return Err(bad(format!("chain {} has no snapshot", chain.folder)));
        }
        Ok(Some(manifest))
    }

    /// The file's text.
    pub fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// A manifest that says nothing yet.
    pub fn new() -> Manifest {
        Manifest {
            format: FORMAT,
            written_by: format!("oxkeeper {}", env!("CARGO_PKG_VERSION")),
            ..Manifest::default()
        }
    }

    /// Remembers a run, and forgets the oldest where there are many.
    pub fn note(&mut self, run: Run) {
        self.runs.push(run);
        let more = self.runs.len().saturating_sub(RUNS_KEPT);
        self.runs.drain(..more);
        self.written_by = Manifest::new().written_by;
    }
}

impl Chain {
    /// Its folder of files, in the backup `folder`.
    pub fn dir(&self, folder: &Path) -> PathBuf {
        folder.join(&self.folder).join(crate::storage::VERSION_DIR)
    }

    /// Where it begins.
    pub fn base(&self) -> Zxid {
        let first = self.snapshots.first();
        first.map_or(Zxid::ZERO, |snapshot| snapshot.zxid)
    }

    /// Where it ends.
    pub fn last(&self) -> Zxid {
        let log = self.logs.last().map(|log| log.last_zxid);
        let snapshot = self.snapshots.last().map(|snapshot| snapshot.zxid);
        log.max(snapshot).unwrap_or(Zxid::ZERO)
    }

    /// The checksum of the record where it ends, if it ends with a record.
    pub fn last_checksum(&self) -> Option<u32> {
        let log = self.logs.last()?;
        (log.last_zxid == self.last()).then_some(log.last_checksum)
    }

    /// The earliest position that it can be restored to; None if even its end is not known to be one.
    pub fn earliest(&self) -> Option<Zxid> {
        let whole = |snapshot: &SnapshotFile| snapshot.zxid.max(snapshot.holds_upto?).into();
        let known = self.snapshots.iter().filter_map(whole).min();
        known.filter(|zxid| *zxid <= self.last())
    }

    /// Size of its files in bytes.
    pub fn bytes(&self) -> u64 {
        let snapshots = self.snapshots.iter().map(|snapshot| snapshot.bytes);
        snapshots.chain(self.logs.iter().map(|log| log.bytes)).sum()
    }

    /// How many records.
    pub fn records(&self) -> u64 {
        self.logs.iter().map(|log| log.records).sum()
    }
}

/// A zxid as text, `"0x100000001"`: as a number it would lose digits in many programs.
mod hex {
    use super::Zxid;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(zxid: &Zxid, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(zxid)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zxid, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_zxid(&text).ok_or_else(|| de::Error::custom(format!("{text:?} is no zxid")))
    }
}

mod hex_or_null {
    use super::Zxid;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub fn serialize<S: Serializer>(zxid: &Option<Zxid>, serializer: S) -> Result<S::Ok, S::Error> {
        zxid.map(|zxid| zxid.to_string()).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Zxid>, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let zxid = super::parse_zxid(&text);
        zxid.map(Some)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is no zxid")))
    }
}

/// A zxid as people write it: hex with `0x` before it.
pub fn parse_zxid(text: &str) -> Option<Zxid> {
    let digits = text.strip_prefix("0x").or(text.strip_prefix("0X"))?;
    // All 64 bits: a negative zxid shows as such.
    u64::from_str_radix(digits, 16)
        .ok()
        .map(|bits| Zxid(bits as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), None);
        let mut manifest = Manifest::new();
        manifest.chains.push(Chain {
            folder: "1".into(),
            snapshots: vec![SnapshotFile {
                file: "snapshot.0".into(),
                ..SnapshotFile::default()
            }],
            logs: vec![LogFile {
                file: "log.1".into(),
                last_zxid: Zxid(0x1_0000_0001),
                ..LogFile::default()
            }],
            ..Chain::default()
        });
        std::fs::write(dir.path().join(MANIFEST), manifest.text()).unwrap();
        assert_eq!(Manifest::read(dir.path()).unwrap(), Some(manifest));
    }

    #[test]
    fn a_manifest_that_points_elsewhere_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["..", "../x", "/etc/passwd", ""] {
            let mut manifest = Manifest::new();
            manifest.chains.push(Chain {
                folder: name.into(),
                snapshots: vec![SnapshotFile::default()],
                ..Chain::default()
            });
            std::fs::write(dir.path().join(MANIFEST), manifest.text()).unwrap();
            let read = Manifest::read(dir.path());
            assert!(matches!(read, Err(BackupError::Manifest { .. })), "{name}");
        }
        std::fs::write(dir.path().join(MANIFEST), "{\"format\": 7}").unwrap();
        assert!(Manifest::read(dir.path()).is_err());
    }
}
