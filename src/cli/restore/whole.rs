//! A whole database out of a backup: builds a data folder beside the old one and puts it in its place in one step.

use std::fs;
use std::path::{Path, PathBuf};

use crate::base::Zxid;
use crate::cli::backup::error::BackupError;
use crate::cli::backup::folder::{Output, Segments, list, replace, sync_dir, time_of};
use crate::cli::backup::manifest::{Chain, LogFile, Manifest, SnapshotFile};
use crate::cli::backup::{verify, when};
use crate::runtime::data_lock::DataLock;
use crate::runtime::restored::{Homes, holds_files};
use crate::storage::txnlog::{LogReader, Step};
use crate::storage::{self, Dirs, OsDisk, RecoverOptions, Rewound, VERSION_DIR};

/// Up to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything there is.
    Latest,
    /// This position and nothing behind it.
    Zxid(Zxid),
    /// The last transaction at or before this time, ms since 1970.
    Time(i64),
}

/// What is to be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The chain it is in.
    pub chain: Chain,
    /// The snapshot to begin with.
    pub snapshot: SnapshotFile,
    /// The last transaction.
    pub upto: Zxid,
}

/// Finds the chain and the snapshot for a target.
///
/// # Errors
/// If no chain goes through it; what the disk says.
pub fn plan(folder: &Path, manifest: &Manifest, target: Target) -> Result<Plan, BackupError> {
    match target {
        Target::Latest => match manifest.chains.last() {
            Some(chain) => to_zxid(manifest, chain.last()),
            None => Err(out_of_reach(manifest, "its end".into())),
        },
        Target::Zxid(zxid) => to_zxid(manifest, zxid),
        Target::Time(ms) => {
            for chain in manifest.chains.iter().rev() {
                if let Some(zxid) = last_before(folder, chain, ms)? {
                    return in_chain(chain, zxid)
                        .ok_or_else(|| out_of_reach(manifest, when::show(ms)));
                }
            }
            Err(out_of_reach(manifest, when::show(ms)))
        }
    }
}

fn to_zxid(manifest: &Manifest, zxid: Zxid) -> Result<Plan, BackupError> {
    let found = manifest
        .chains
        .iter()
        .rev()
        .find_map(|chain| in_chain(chain, zxid));
    found.ok_or_else(|| out_of_reach(manifest, zxid.to_string()))
}

/// The newest snapshot of the chain that leads to `upto`.
fn in_chain(chain: &Chain, upto: Zxid) -> Option<Plan> {
    if chain.last() < upto {
        return None;
    }
    // One that does not say how far it goes is good for the end only.
    let holds_upto = |snapshot: &SnapshotFile| snapshot.holds_upto.unwrap_or(chain.last());
    let usable = |snapshot: &&SnapshotFile| {
        snapshot.zxid <= upto && holds_upto(snapshot).max(snapshot.zxid) <= upto
    };
    let snapshot = chain.snapshots.iter().rev().find(usable)?;
    Some(Plan {
        chain: chain.clone(),
        snapshot: snapshot.clone(),
        upto,
    })
}

fn out_of_reach(manifest: &Manifest, wanted: String) -> BackupError {
    let range = |chain: &Chain| match chain.earliest() {
        Some(first) => format!("{first} to {}", chain.last()),
        None => format!("{} alone", chain.last()),
    };
    let ranges: Vec<_> = manifest.chains.iter().map(range).collect();
    BackupError::OutOfReach {
        wanted,
        what: format!(
            "it reaches from {} (`oxkeeper backup list` says from when to when)",
            ranges.join(" and from ")
        ),
    }
}

/// The last record of a chain whose time is not after `ms`.
fn last_before(folder: &Path, chain: &Chain, ms: i64) -> Result<Option<Zxid>, BackupError> {
    for log in chain.logs.iter().rev() {
        if log.last_time_ms <= ms {
            return Ok(Some(log.last_zxid));
        }
        let mut reader = LogReader::open(&OsDisk, &chain.dir(folder).join(&log.file))?;
        let mut found = None;
        while let Step::Record(record) = reader.step()? {
            if time_of(&record.payload) <= ms {
                found = found.max(Some(record.zxid));
            }
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// How to restore.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to.
    pub homes: Homes,
    /// Whether files that are there are kept under another name, instead of refusing.
    pub force: bool,
    /// What to write into `myid`, if anything.
    pub myid: Option<u8>,
}

/// What was restored.
pub struct Restored {
    /// The last transaction.
    pub upto: Zxid,
    /// Znodes.
    pub znodes: usize,
    /// Digest of the tree there.
    pub digest: u64,
    /// Digests in the files that are not those of the tree.
    pub digest_mismatches: u64,
    /// The promise in `acceptedEpoch`.
    pub accepted_epoch: i64,
    /// Where the files are that were there before.
    pub kept: Vec<PathBuf>,
}

/// Makes a data folder of what `plan` says. Until all of it is made and was read again, nothing else is touched.
///
/// # Errors
/// What is in the way; the old files are then where they were.
pub fn restore(
    folder: &Path,
    manifest: &Manifest,
    plan: &Plan,
    options: &Options,
) -> Result<Restored, BackupError> {
    let homes = &options.homes;
    for home in homes.each() {
        fs::create_dir_all(home).map_err(|error| BackupError::io("create", home, error))?;
    }
    let homes = &Homes {
        data: canonical(&homes.data)?,
        log: canonical(&homes.log)?,
    };
    let at = |error| BackupError::io("restore into", &homes.data, error);
    crate::runtime::restored::complete(&homes.data).map_err(at)?;
    let locks = refuse_used(homes, options.force)?;
    homes.begin().map_err(at)?;
    let built = build(folder, manifest, plan, homes);
    let (rewound, accepted_epoch) = match built {
        Ok(built) => built,
        Err(error) => {
            homes.give_up();
            return Err(error);
        }
    };
    if let Some(myid) = options.myid {
        replace(&homes.data, "myid", format!("{myid}\n").as_bytes())?;
    }
    let kept = homes.put_in_place().map_err(at)?;
    drop(locks);
    Ok(Restored {
        upto: rewound.last_zxid,
        znodes: rewound.tree.znode_count(),
        digest: rewound.tree.digest(),
        digest_mismatches: rewound.digests.mismatched,
        accepted_epoch,
        kept,
    })
}

fn canonical(path: &Path) -> Result<PathBuf, BackupError> {
    path.canonicalize()
        .map_err(|error| BackupError::io("find", path, error))
}

/// Refuses folders of a running server, and those that hold something.
fn refuse_used(homes: &Homes, force: bool) -> Result<Vec<DataLock>, BackupError> {
    let mut locks = Vec::new();
    for home in homes.each() {
        let dir = home.join(VERSION_DIR);
        if !dir.exists() {
            continue;
        }
        locks.push(DataLock::take(&dir)?);
        if let Some(pid) = user_of(&dir) {
            return Err(BackupError::InUse { path: dir, pid });
        }
        let holds = holds_files(&dir).map_err(|error| BackupError::io("list", &dir, error))?;
        if holds && !force {
            let files = list(&dir)?;
            return Err(BackupError::NotEmpty {
                what: format!("it holds {} files, {} among them", files.len(), files[0]),
                path: dir,
            });
        }
    }
    Ok(locks)
}

/// Another process that has a file of `dir` open: a Java server takes no lock. What the system does not show is not
/// seen.
fn user_of(dir: &Path) -> Option<u32> {
    let own = std::process::id();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let is_inside = |link: PathBuf| link.starts_with(dir);
        let mut links = files
            .flatten()
            .filter_map(|file| fs::read_link(file.path()).ok());
        if pid != own && links.any(is_inside) {
            return Some(pid);
        }
    }
    None
}

/// Makes the new files and reads them as a server would.
fn build(
    folder: &Path,
    manifest: &Manifest,
    plan: &Plan,
    homes: &Homes,
) -> Result<(Rewound, i64), BackupError> {
    let dirs = Dirs {
        data: Homes::building(&homes.data),
        log: Homes::building(&homes.log),
    };
    let from = plan.chain.dir(folder);
    let SnapshotFile {
        file,
        bytes,
        sha256,
        ..
    } = &plan.snapshot;
    copy(&from, file, *bytes, sha256, &dirs.data)?;
    for log in &plan.chain.logs {
        if log.last_zxid <= plan.snapshot.zxid || log.first_zxid > plan.upto {
            continue;
        }
        match log.last_zxid <= plan.upto {
            true => copy(&from, &log.file, log.bytes, &log.sha256, &dirs.log)?,
            false => cut(&from, log, plan.upto, &dirs.log)?,
        }
    }
    // Whatever clients have seen was in an epoch no later than that: the next leader takes a later one.
    let current = plan.upto.epoch().0.max(0);
    let accepted = current.max(manifest.accepted_epoch);
    replace(&dirs.data, "acceptedEpoch", accepted.to_string().as_bytes())?;
    replace(&dirs.data, "currentEpoch", current.to_string().as_bytes())?;
    for home in homes.each() {
        sync_dir(&Homes::building(home))?;
    }
    Ok((read_again(&dirs, plan)?, accepted))
}

/// The tree that `plan` leads to, built from the backup's own files.
///
/// # Errors
/// If it does not lead there.
pub fn read(folder: &Path, plan: &Plan) -> Result<Rewound, BackupError> {
    let dir = plan.chain.dir(folder);
    let dirs = Dirs {
        data: dir.clone(),
        log: dir,
    };
    read_again(&dirs, plan)
}

/// Builds the tree from the new files.
fn read_again(dirs: &Dirs, plan: &Plan) -> Result<Rewound, BackupError> {
    let is_certain = plan.snapshot.holds_upto.is_some();
    let to = if is_certain {
        plan.upto
    } else {
        Zxid(i64::MAX)
    };
    let rewound = storage::rewind(&OsDisk, dirs, &RecoverOptions::default(), to)?;
    let last_is_before = rewound.last_zxid < plan.upto && plan.chain.last() != plan.upto;
    // Between two epochs there is nothing: the last one before it is what was asked for.
    match rewound.last_zxid == plan.upto || last_is_before {
        true => Ok(rewound),
        false => Err(BackupError::WrongEnd {
            wanted: plan.upto,
            found: rewound.last_zxid,
        }),
    }
}

fn copy(from: &Path, name: &str, bytes: u64, sha256: &str, to: &Path) -> Result<(), BackupError> {
    let path = from.join(name);
    let io = |error| BackupError::io("read", &path, error);
    let mut file = fs::File::open(&path).map_err(io)?;
    let mut output = Output::create(to, name)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer).map_err(io)?;
        if count == 0 {
            break;
        }
        output.write(&buffer[..count])?;
    }
    let (found, sum) = output.finish()?;
    if found != bytes || sum != sha256 {
        return Err(BackupError::Damaged {
            path,
            what: "its size or checksum is another one".into(),
        });
    }
    Ok(())
}

/// Copies the records of a log up to `upto`.
fn cut(from: &Path, log: &LogFile, upto: Zxid, to: &Path) -> Result<(), BackupError> {
    let path = from.join(&log.file);
    verify::check_sum(&path, log.bytes, &log.sha256)?;
    let mut reader = LogReader::open(&OsDisk, &path)?;
    let mut segments = Segments::new(to.to_path_buf());
    while let Step::Record(record) = reader.step()? {
        if record.zxid > upto {
            break;
        }
        segments.append(record.zxid, &record.payload)?;
    }
    segments.finish().map(|_| ())
}
