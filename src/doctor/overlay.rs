//! A disk that remembers changes instead of making them: what a repair would lead to can be tried before anything is
//! touched, and a server's start can be rehearsed on a folder that nobody may change.

use crate::storage::{Disk, DiskFile};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files of another disk, with changes on top that are lost with this value.
///
/// Only what is written takes memory: cutting and renaming large files is free.
#[derive(Clone)]
pub struct Overlay {
    below: Arc<dyn Disk>,
    /// Every file that was touched; None for one that is gone.
    files: Arc<Mutex<BTreeMap<PathBuf, Option<Content>>>>,
}

type Content = Arc<Mutex<Layers>>;

/// The front of a file below, and bytes of our own behind it.
#[derive(Default)]
struct Layers {
    below: Option<Box<dyn DiskFile>>,
    below_len: u64,
    own: Vec<u8>,
}

struct OverlayFile(Content);

impl Overlay {
    /// Nothing changed yet.
    pub fn new(below: Arc<dyn Disk>) -> Overlay {
        Overlay {
            below,
            files: Arc::default(),
        }
    }

    fn content(&self, path: &Path) -> io::Result<Content> {
        let mut files = self.files.lock();
        if let Some(file) = files.get(path) {
            return file.clone().ok_or_else(|| io::ErrorKind::NotFound.into());
        }
        let below = self.below.open(path)?;
        let below_len = below.size()?;
        let content = Arc::new(Mutex::new(Layers {
            below: Some(below),
            below_len,
            own: Vec::new(),
        }));
        files.insert(path.to_path_buf(), Some(content.clone()));
        Ok(content)
    }
}

impl Disk for Overlay {
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let touched = self.files.lock().contains_key(path);
        match touched {
            false => self.below.open(path),
            true => Ok(Box::new(OverlayFile(self.content(path)?))),
        }
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(OverlayFile(self.content(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let content = Content::default();
        let mut files = self.files.lock();
        files.insert(path.to_path_buf(), Some(content.clone()));
        Ok(Box::new(OverlayFile(content)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let content = self.content(from)?;
        let mut files = self.files.lock();
        files.insert(from.to_path_buf(), None);
        files.insert(to.to_path_buf(), Some(content));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.content(path)?;
        self.files.lock().insert(path.to_path_buf(), None);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = self.below.list(dir)?;
        for (path, file) in self.files.lock().iter() {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.filter(|_| path.parent() == Some(dir)) else {
                continue;
            };
            names.retain(|known| known != name);
            if file.is_some() {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.below.list(dir).map(|_| ())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl Layers {
    fn len(&self) -> u64 {
        self.below_len + self.own.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(left);
        let below = usize::try_from(self.below_len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let below = below.min(wanted);
        if let Some(file) = self.below.as_ref().filter(|_| below > 0) {
            let count = file.read_at(offset, &mut buf[..below])?;
            if count < below {
                return Ok(count);
            }
        }
        let from = offset.saturating_sub(self.below_len) as usize;
        buf[below..wanted].copy_from_slice(&self.own[from..from + wanted - below]);
        Ok(wanted)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if offset < self.below_len {
            // What is behind `offset` becomes ours; writes to the front of large files do not happen.
            let mut moved = vec![0; (self.below_len - offset) as usize];
            let count = self.read_at(offset, &mut moved)?;
            moved.truncate(count);
            moved.append(&mut self.own);
            self.own = moved;
            self.below_len = offset;
        }
        let start = (offset - self.below_len) as usize;
        let end = start + bytes.len();
        if self.own.len() < end {
            self.own.resize(end, 0);
        }
        self.own[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&mut self, len: u64) {
        if len < self.below_len {
            self.below_len = len;
        }
        self.own.resize((len - self.below_len) as usize, 0);
    }
}

impl DiskFile for OverlayFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().read_at(offset, buf)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().len())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.lock().write_at(offset, bytes)
    }

    fn set_len(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().set_len(len);
        Ok(())
    }

    fn preallocate(&mut self, len: u64) -> io::Result<()> {
        let mut layers = self.0.lock();
        let len = len.max(layers.len());
        layers.set_len(len);
        Ok(())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::disk::SimDisk;

    #[test]
    fn changes_are_seen_through_the_overlay_and_nowhere_else() {
        let below = SimDisk::new(1);
        let dir = Path::new("/d");
        below.create_dir(dir).unwrap();
        below.put(&dir.join("a"), b"0123456789");
        below.put(&dir.join("b"), b"b");
        let overlay = Overlay::new(Arc::new(below.clone()));
        let mut file = overlay.edit(&dir.join("a")).unwrap();
        file.set_len(6).unwrap();
        file.write_at(8, b"xy").unwrap();
        file.write_at(2, b"--").unwrap();
        overlay.remove(&dir.join("b")).unwrap();
        overlay.rename(&dir.join("a"), &dir.join("c")).unwrap();
        overlay.create(&dir.join("d")).unwrap();
        assert_eq!(overlay.list(dir).unwrap(), ["c", "d"]);
        assert!(overlay.open(&dir.join("a")).is_err());
        let mut read = [0; 16];
        let file = overlay.open(&dir.join("c")).unwrap();
        let count = file.read_at(1, &mut read).unwrap();
        assert_eq!(&read[..count], b"1--45\0\0xy");
        assert_eq!(below.list(dir).unwrap(), ["a", "b"]);
        assert_eq!(below.get(&dir.join("a")).unwrap(), b"0123456789");
    }
}
