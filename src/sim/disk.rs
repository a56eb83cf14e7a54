//! A disk that forgets what was not synced.
//!
//! Names and contents are remembered twice: as the running program sees them, and as they are known to be on the
//! platters. A crash keeps the second and some of what leads from there to the first: of a file's unsynced writes any
//! front part, torn at a sector (or, if so set, any sectors at all), of a folder's unsynced changes any front part.

use crate::storage::{Disk, DiskFile};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a crash keeps of writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// All up to some sector, nothing behind it.
    InOrder,
    /// Any sectors.
    OutOfOrder,
}

/// The disk; clones share it.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    rng: SmallRng,
    tear: Tear,
    dirs: BTreeMap<PathBuf, Folder>,
    files: Vec<Content>,
    /// Crashes so far; a file opened for writing before the last one can be written no more.
    boots: u64,
    /// Changes so far, failed ones included.
    changes: u64,
    /// The change at which the power fails.
    crash_at: Option<u64>,
    /// Syncs that succeed before one fails.
    good_syncs: Option<u64>,
    capacity: Option<u64>,
}

#[derive(Clone, Default)]
struct Folder {
    now: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    unsynced: Vec<NameChange>,
}

#[derive(Clone)]
enum NameChange {
    Set(String, usize),
    Unset(String),
    Move(String, String),
}

#[derive(Clone, Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Edit>,
    /// Where what nobody is likely to read ends.
    forgotten: u64,
}

#[derive(Clone)]
enum Edit {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

impl SimDisk {
    /// How much of the beginning of a file nobody is likely to read, as far as the disk was told.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    pub fn forgotten(&self, path: &Path) -> io::Result<u64> {
        let state = self.state();
        let id = state.find(path)?;
        Ok(state.files[id].forgotten)
    }

    /// An empty disk whose faults follow from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(State {
            rng: SmallRng::seed_from_u64(seed),
            tear: Tear::InOrder,
            dirs: BTreeMap::new(),
            files: Vec::new(),
            boots: 0,
            changes: 0,
            crash_at: None,
            good_syncs: None,
            capacity: None,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, path: &Path, writable: bool) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        let (id, boot) = (state.find(path)?, state.boots);
        let disk = self.clone();
        Ok(Box::new(SimFile {
            disk,
            id,
            boot,
            writable,
        }))
    }

    /// Chooses what a crash does to unsynced writes.
    pub fn set_tear(&self, tear: Tear) {
        self.state().tear = tear;
    }

    /// Lets the power fail at the change with that number, counted from now on: it and everything after it fails.
    pub fn crash_at(&self, change: u64) {
        let mut state = self.state();
        state.crash_at = Some(state.changes + change);
    }

    /// Lets every sync fail after so many good ones.
    pub fn fail_syncs_after(&self, good: u64) {
        self.state().good_syncs = Some(good);
    }

    /// Lets writes fail that would make all files together larger than `bytes`.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = Some(bytes);
    }

    /// Changes made so far.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Turns the machine off and on: what was not synced is lost, or torn; faults are over.
    pub fn reboot(&self) {
        self.state().reboot();
    }

    /// Puts a durable file there, and its folder.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let (dir, name) = split(path);
        state.files.push(Content {
            now: bytes.to_vec(),
            durable: bytes.to_vec(),
            unsynced: Vec::new(),
            forgotten: 0,
        });
        let id = state.files.len() - 1;
        let folder = state.dirs.entry(dir).or_default();
        folder.now.insert(name.clone(), id);
        folder.durable.insert(name, id);
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// Whether syncs or writes may fail.
    pub fn is_faulty(&self) -> bool {
        let state = self.state();
        state.good_syncs.is_some() || state.capacity.is_some()
    }

    /// Ends all faults; what was not synced stays so.
    pub fn repair(&self) {
        let mut state = self.state();
        (state.crash_at, state.good_syncs, state.capacity) = (None, None, None);
    }

    /// A file as the program sees it.
    pub fn get(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        let id = state.find(path).ok()?;
        Some(state.files[id].now.clone())
    }

    /// A disk of its own with the same content and no faults.
    pub fn fork(&self, seed: u64) -> SimDisk {
        let state = self.state();
        let fork = SimDisk::new(seed);
        let mut other = fork.state();
        other.dirs = state.dirs.clone();
        other.files = state.files.clone();
        other.tear = state.tear;
        drop(other);
        fork
    }
}

impl State {
    fn is_off(&self) -> bool {
        self.crash_at.is_some_and(|at| self.changes >= at)
    }

    fn change(&mut self) -> io::Result<()> {
        self.changes += 1;
        match self.is_off() {
            true => Err(io::Error::other("the power failed")),
            false => Ok(()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        let (dir, name) = split(path);
        let folder = self.dirs.get(&dir).ok_or(io::ErrorKind::NotFound)?;
        let id = folder.now.get(&name).ok_or(io::ErrorKind::NotFound)?;
        Ok(*id)
    }

    fn folder(&mut self, dir: &Path) -> io::Result<&mut Folder> {
        self.dirs.get_mut(dir).ok_or(io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, dir: &Path, change: NameChange) -> io::Result<()> {
        let folder = self.folder(dir)?;
        change.clone().make(&mut folder.now);
        folder.unsynced.push(change);
        Ok(())
    }

    fn used(&self) -> u64 {
        let ids = self.dirs.values().flat_map(|folder| folder.now.values());
        ids.map(|id| self.files[*id].now.len() as u64).sum()
    }

    fn sync_fails(&mut self) -> io::Result<()> {
        match &mut self.good_syncs {
            Some(0) => return Err(io::Error::other("the sync failed")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    /// Frees what no name leads to any more; no file is open then.
    fn forget_the_unnamed(&mut self) {
        let named: BTreeSet<usize> = self
            .dirs
            .values()
            .flat_map(|folder| folder.now.values())
            .copied()
            .collect();
        for (id, content) in self.files.iter_mut().enumerate() {
            if !named.contains(&id) {
                *content = Content::default();
            }
        }
    }

    fn reboot(&mut self) {
        for folder in self.dirs.values_mut() {
            let kept = self.rng.random_range(0..=folder.unsynced.len());
            for change in folder.unsynced.drain(..).take(kept) {
                change.make(&mut folder.durable);
            }
            folder.now = folder.durable.clone();
        }
        for content in &mut self.files {
            let unsynced = std::mem::take(&mut content.unsynced);
            let pieces = unsynced.into_iter().flat_map(Edit::sectors);
            match self.tear {
                Tear::InOrder => {
                    let pieces: Vec<Edit> = pieces.collect();
                    let kept = self.rng.random_range(0..=pieces.len());
                    pieces[..kept]
                        .iter()
                        .for_each(|piece| piece.make(&mut content.durable));
                }
                Tear::OutOfOrder => pieces
                    .filter(|_| self.rng.random_bool(0.5))
                    .for_each(|piece| piece.make(&mut content.durable)),
            }
            content.now = content.durable.clone();
        }
        self.forget_the_unnamed();
        self.boots += 1;
        self.crash_at = None;
        self.good_syncs = None;
        self.capacity = None;
    }
}

impl NameChange {
    fn make(self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Set(name, id) => {
                names.insert(name, id);
            }
            NameChange::Unset(name) => {
                names.remove(&name);
            }
            NameChange::Move(from, to) => {
                if let Some(id) = names.remove(&from) {
                    names.insert(to, id);
                }
            }
        }
    }
}

impl Edit {
    fn make(&self, content: &mut Vec<u8>) {
        match self {
            Edit::Length(len) => content.resize(*len as usize, 0),
            Edit::Bytes(offset, bytes) => {
                let (start, end) = (*offset as usize, *offset as usize + bytes.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[start..end].copy_from_slice(bytes);
            }
        }
    }

    /// How long it makes a file that is shorter.
    fn end(&self) -> u64 {
        match self {
            Edit::Length(len) => *len,
            Edit::Bytes(offset, bytes) => offset + bytes.len() as u64,
        }
    }

    /// The edit in pieces that a disk makes whole or not at all.
    fn sectors(self) -> Vec<Edit> {
        let Edit::Bytes(offset, bytes) = self else {
            return vec![self];
        };
        let mut pieces = Vec::new();
        let (mut at, mut rest) = (offset, &bytes[..]);
        while !rest.is_empty() {
            let room = (SECTOR - at % SECTOR) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            pieces.push(Edit::Bytes(at, now.to_vec()));
            at += now.len() as u64;
            rest = later;
        }
        pieces
    }
}

fn split(path: &Path) -> (PathBuf, String) {
    let name = path.file_name().and_then(|name| name.to_str());
    let dir = path.parent().unwrap_or(Path::new(""));
    (dir.to_path_buf(), name.unwrap_or_default().to_owned())
}

impl Disk for SimDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(path, false)
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(path, true)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.change()?;
        let id = match state.find(path) {
            Ok(id) => {
                state.files[id].now.clear();
                state.files[id].unsynced.push(Edit::Length(0));
                id
            }
            Err(_) => {
                let id = state.files.len();
                let (dir, name) = split(path);
                state.change_names(&dir, NameChange::Set(name, id))?;
                state.files.push(Content::default());
                id
            }
        };
        let (disk, boot) = (self.clone(), state.boots);
        Ok(Box::new(SimFile {
            disk,
            id,
            boot,
            writable: true,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.find(from)?;
        let ((dir, from), (_, to)) = (split(from), split(to));
        state.change_names(&dir, NameChange::Move(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.find(path)?;
        let (dir, name) = split(path);
        state.change_names(&dir, NameChange::Unset(name))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        Ok(self.state().folder(dir)?.now.keys().cloned().collect())
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.dirs.entry(dir.to_path_buf()).or_default();
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.sync_fails()?;
        let folder = state.folder(dir)?;
        folder.unsynced.clear();
        folder.durable = folder.now.clone();
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    id: usize,
    boot: u64,
    writable: bool,
}

impl SimFile {
    fn make(&self, edit: Edit) -> io::Result<()> {
        let mut state = self.disk.state();
        if !self.writable || self.boot != state.boots {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let more = edit
            .end()
            .saturating_sub(state.files[self.id].now.len() as u64);
        if state
            .capacity
            .is_some_and(|capacity| more > 0 && state.used() + more > capacity)
        {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let was_off = state.is_off();
        let result = state.change();
        if was_off {
            return result;
        }
        // A write during which the power fails may reach the disk all the same.
        let content = &mut state.files[self.id];
        edit.make(&mut content.now);
        content.unsynced.push(edit);
        result
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        if self.boot != state.boots {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        state.change()?;
        state.sync_fails()?;
        let content = &mut state.files[self.id];
        for edit in content.unsynced.drain(..) {
            edit.make(&mut content.durable);
        }
        Ok(())
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let content = &state.files[self.id].now;
        let start = content.len().min(offset as usize);
        let count = buf.len().min(content.len() - start);
        buf[..count].copy_from_slice(&content[start..start + count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.id].now.len() as u64)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.make(Edit::Bytes(offset, bytes.to_vec()))
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.make(Edit::Length(len))
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        self.make(Edit::Length(len))
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.sync()
    }

    fn forget(&self, offset: u64, len: NonZeroU64) {
        let mut state = self.disk.state();
        let content = &mut state.files[self.id];
        if offset == content.forgotten {
            content.forgotten += len.get();
        }
    }
}

/// What the disk writes whole or not at all, in bytes.
const SECTOR: u64 = 512;
