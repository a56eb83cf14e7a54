//! A progress bar for tools that read large files: drawn where stderr is a terminal, and only once the work takes a
//! while.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::storage::{Disk, DiskFile, OsDisk};

/// How much of the work is done, in bytes read.
pub struct Progress {
    bar: ProgressBar,
    /// Whether there is a terminal to draw it on.
    shown: bool,
}

impl Progress {
    /// For `total` bytes to read; 0 where nobody knows.
    pub fn new(total: u64, what: &str) -> Progress {
        Progress::on_terminal(total, what, io::stderr().is_terminal())
    }

    /// The same for a tool that prints while it reads: it would print across the bar on one terminal.
    pub fn while_printing(total: u64, what: &str) -> Progress {
        let apart = io::stderr().is_terminal() && !io::stdout().is_terminal();
        Progress::on_terminal(total, what, apart)
    }

    fn on_terminal(total: u64, what: &str, shown: bool) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let template = match total {
            0 => "{spinner} {msg}  {binary_bytes} read, {binary_bytes_per_sec}",
            _ => "{msg}  [{wide_bar}] {binary_bytes}/{binary_total_bytes}, {eta} left",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Progress { bar, shown }
    }

    /// The files of the system; what is read from them moves the bar.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(WatchedDisk {
            bar: self.bar.clone(),
            shown: self.shown,
        })
    }

    /// Takes the bar off the screen; to be called before anything else is printed on stderr.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The sum of the lengths of some files; those that cannot be looked at count as empty.
pub fn total_size<'a>(paths: impl IntoIterator<Item = &'a Path>) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    paths.into_iter().map(length).sum()
}

struct WatchedDisk {
    bar: ProgressBar,
    shown: bool,
}

struct WatchedFile {
    file: Box<dyn DiskFile>,
    bar: ProgressBar,
    shown: bool,
}

impl WatchedDisk {
    fn watched(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        let (bar, shown) = (self.bar.clone(), self.shown);
        file.map(|file| Box::new(WatchedFile { file, bar, shown }) as Box<dyn DiskFile>)
    }
}

impl Disk for WatchedDisk {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.watched(OsDisk.open(path))
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.watched(OsDisk.edit(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.watched(OsDisk.create(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsDisk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        OsDisk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        OsDisk.sync_dir(dir)
    }
}

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(offset, buf);
        if let Ok(count) = &read {
            self.bar.inc(*count as u64);
            if self.shown && self.bar.is_hidden() && self.bar.elapsed() > SHOWN_AFTER {
                self.bar
                    .set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
            }
        }
        read
    }

    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
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
}

/// What is done sooner needs no bar.
const SHOWN_AFTER: Duration = Duration::from_millis(500);
