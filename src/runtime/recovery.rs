//! From the files of the data folder to a tree, and how far that is, for whoever asks meanwhile.

use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::Clock;
use super::memory;
use crate::base::Mono;
use crate::metrics::Metrics;

use crate::storage::{self, Dirs, Disk, DiskFile, RecoverOptions, Recovered, StorageError};

/// Source: `ZKDatabase.loadDataBase`, `FileTxnSnapLog.restore`.
pub(super) fn recover(
    disk: &Arc<dyn Disk>,
    dirs: &Dirs,
    options: &RecoverOptions,
    metrics: &Metrics,
    progress: &Arc<Progress>,
) -> Result<Recovered, StorageError> {
    let (clock, began) = (Clock, Clock.stamp());
    let mut loaded = began;
    let disk: Arc<dyn Disk> = Arc::new(Watched {
        disk: disk.clone(),
        progress: progress.clone(),
    });
    let mut snapshot_loaded = || loaded = clock.stamp();
    let recovered = storage::recover_telling(&disk, dirs, options, &mut snapshot_loaded)?;
    let end = clock.stamp();
    metrics.startup_snap_load_time.record_ms(loaded - began);
    metrics.startup_txns_loaded.record(recovered.replayed);
    metrics.startup_txns_load_time.record_ms(end - loaded);
    metrics.dbinittime.record_ms(end - began);
    for note in &recovered.notes {
        tracing::warn!("{note}");
    }
    memory::give_back();
    Ok(recovered)
}

/// How far a recovery is.
#[derive(Debug)]
pub struct Progress {
    file: Mutex<Option<File>>,
    /// Bytes of the file that are done.
    done: AtomicU64,
    /// When something was last done.
    moved: AtomicI64,
}

/// A file that a recovery is at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Without its folder.
    pub name: String,
    /// Its length in bytes. Unknown until it is open, and while it is written.
    pub size: Option<u64>,
}

impl Default for Progress {
    fn default() -> Self {
        Progress {
            file: Mutex::new(None),
            done: AtomicU64::new(0),
            moved: AtomicI64::new(Clock.mono().0),
        }
    }
}

impl Progress {
    /// What it is at.
    pub fn text(&self) -> String {
        const MEGABYTE: u64 = 1_000_000;
        let Some((File { name, size }, done)) = self.file() else {
            return "recovering: it looks for files".to_owned();
        };
        let Some(size) = size else {
            return format!("recovering: {name}");
        };
        format!(
            "recovering: {name}, {} of {} MB",
            done.div_ceil(MEGABYTE),
            size.div_ceil(MEGABYTE)
        )
    }

    /// The file it is at, once it has found one, and how many bytes of it are done.
    pub fn file(&self) -> Option<(File, u64)> {
        let file = self.file.lock().clone()?;
        Some((file, self.done.load(Ordering::Relaxed)))
    }

    /// For how long nothing was done.
    pub fn idle(&self) -> Duration {
        Clock.mono() - Mono(self.moved.load(Ordering::Relaxed))
    }

    fn turn_to(&self, path: &Path, size: Option<u64>) {
        let name = path.file_name().unwrap_or(path.as_os_str());
        let name = name.to_string_lossy().into_owned();
        *self.file.lock() = Some(File { name, size });
        self.move_to(0);
    }

    fn move_to(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
        self.moved.store(Clock.mono().0, Ordering::Relaxed);
    }
}

/// A disk that tells what is done with it.
struct Watched {
    disk: Arc<dyn Disk>,
    progress: Arc<Progress>,
}

impl Watched {
    /// Opening alone may take for ever where a network is between.
    fn watch(
        &self,
        path: &Path,
        open: impl FnOnce() -> io::Result<Box<dyn DiskFile>>,
    ) -> io::Result<Box<dyn DiskFile>> {
        self.progress.turn_to(path, None);
        let file = open()?;
        Ok(Box::new(WatchedFile {
            file,
            progress: self.progress.clone(),
        }))
    }
}

impl Disk for Watched {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let opened = self.watch(path, || self.disk.open(path))?;
        self.progress.turn_to(path, opened.size().ok());
        Ok(opened)
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.watch(path, || self.disk.edit(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.watch(path, || self.disk.create(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    progress: Arc<Progress>,
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(offset, buf)?;
        self.progress.move_to(offset + read as u64);
        Ok(read)
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)?;
        self.progress.move_to(offset + bytes.len() as u64);
        Ok(())
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        self.file.preallocate(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn sync_all(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn forget(&self, offset: u64, len: NonZeroU64) {
        self.file.forget(offset, len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::OsDisk;

    #[test]
    fn it_is_told_which_file_is_read_and_how_far() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("snapshot.5");
        let progress = Arc::new(Progress::default());
        assert_eq!(progress.text(), "recovering: it looks for files");
        let disk = Watched {
            disk: Arc::new(OsDisk),
            progress: progress.clone(),
        };
        let mut file = disk.create(&path).unwrap();
        file.write_at(0, &vec![7; 2_500_000]).unwrap();
        assert_eq!(progress.text(), "recovering: snapshot.5");
        let file = disk.open(&path).unwrap();
        assert_eq!(progress.text(), "recovering: snapshot.5, 0 of 3 MB");
        file.read_at(1_000_000, &mut [0; 1000]).unwrap();
        assert_eq!(progress.text(), "recovering: snapshot.5, 2 of 3 MB");
        let at = File {
            name: "snapshot.5".into(),
            size: Some(2_500_000),
        };
        assert_eq!(progress.file(), Some((at, 1_001_000)));
        assert!(disk.open(&dir.path().join("log.6")).is_err());
        assert_eq!(progress.text(), "recovering: log.6");
    }
}
