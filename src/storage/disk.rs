//! The one door to the disk: everything that storage does to files goes through [`Disk`].

use std::io;
use std::num::NonZeroU64;
use std::path::Path;

/// Files and folders as storage uses them.
///
/// Promises of an implementation, in the order storage relies on them:
/// 1. What [`DiskFile::sync_data`] or [`DiskFile::sync_all`] returned for is on disk, with the length that makes it
///    readable.
/// 2. A file's name survives a crash only after [`Disk::sync_dir`] on its folder; so does a rename, or a removal.
/// 3. A rename replaces an existing file of the new name in one step.
/// 4. After a failed sync nothing is known about what was written before it; storage then stops writing for good.
pub trait Disk: Send + Sync {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// As the system says; `NotFound` if there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for writing, its content unchanged.
    ///
    /// # Errors
    /// As the system says; `NotFound` if there is none.
    fn edit(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for writing; an existing one is emptied.
    ///
    /// # Errors
    /// As the system says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same folder.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the system says; `NotFound` if there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a folder, sorted as bytes. Names that are not UTF-8 are left out: none of ours.
    ///
    /// # Errors
    /// As the system says; `NotFound` if there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Makes a folder and those above it, durably.
    ///
    /// # Errors
    /// As the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes names, renames and removals in a folder durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// An open file. Positions and lengths are in bytes.
pub trait DiskFile: Send {
    /// Reads at `offset` until `buf` is full or the file ends; returns how much was read.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Current length.
    ///
    /// # Errors
    /// As the system says.
    fn size(&self) -> io::Result<u64>;

    /// Writes all of `bytes` at `offset`, making the file longer where needed.
    ///
    /// # Errors
    /// As the system says; some of the bytes may have been written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&mut self, len: u64) -> io::Result<()>;

    /// Extends the file with zeros up to `len`, with blocks reserved where the file system can.
    ///
    /// # Errors
    /// As the system says.
    fn preallocate(&mut self, len: u64) -> io::Result<()>;

    /// Makes written bytes durable, and the length they need.
    ///
    /// # Errors
    /// As the system says.
    fn sync_data(&mut self) -> io::Result<()>;

    /// As [`DiskFile::sync_data`], and all of the file's metadata.
    ///
    /// # Errors
    /// As the system says.
    fn sync_all(&mut self) -> io::Result<()>;

    /// Says that nobody is likely to read `len` bytes at `offset` soon. A hint: it changes no byte, and may do nothing.
    fn forget(&self, offset: u64, len: NonZeroU64) {
        let _ = (offset, len);
    }
}

/// Bytes in memory, read as a file: for fuzzing and for files that came over the wire.
#[derive(Debug)]
pub struct MemoryFile(pub bytes::Bytes);

impl MemoryFile {
    fn read_only() -> io::Error {
        io::Error::new(
            io::ErrorKind::PermissionDenied,
            "bytes in memory are read only",
        )
    }
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(self.0.len());
        let count = buf.len().min(self.0.len() - start);
        buf[..count].copy_from_slice(&self.0[start..start + count]);
        Ok(count)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn write_at(&mut self, _: u64, _: &[u8]) -> io::Result<()> {
        Err(Self::read_only())
    }

    fn set_len(&mut self, _: u64) -> io::Result<()> {
        Err(Self::read_only())
    }

    fn preallocate(&mut self, _: u64) -> io::Result<()> {
        Err(Self::read_only())
    }

    fn sync_data(&mut self) -> io::Result<()> {
        Err(Self::read_only())
    }

    fn sync_all(&mut self) -> io::Result<()> {
        Err(Self::read_only())
    }
}
