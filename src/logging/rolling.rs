//! A file that is begun anew when it is long enough; older ones get numbers, the newest 1.
//!
//! Source: logback's `FixedWindowRollingPolicy` with `SizeBasedTriggeringPolicy`, as `conf/logback.xml` has them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file, and how far it got.
pub(super) struct RollingFile {
    path: PathBuf,
    file: File,
    length: u64,
    limit: u64,
    backups: u32,
}

impl RollingFile {
    /// Goes on at the end of what is there.
    pub fn open(path: &Path, limit: u64, backups: u32) -> io::Result<RollingFile> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(RollingFile {
            path: path.to_path_buf(),
            file,
            length,
            limit,
            backups,
        })
    }

    /// Appends one line, to a new file if the present one is long enough.
    pub fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.length > 0 && self.length >= self.limit {
            self.roll()?;
        }
        self.file.write_all(line)?;
        self.length += line.len() as u64;
        Ok(())
    }

    fn roll(&mut self) -> io::Result<()> {
        for nth in (1..self.backups).rev() {
            move_if_there(&self.numbered(nth), &self.numbered(nth + 1))?;
        }
        match self.backups {
            0 => fs::remove_file(&self.path)?,
            _ => move_if_there(&self.path, &self.numbered(1))?,
        }
        *self = RollingFile::open(&self.path, self.limit, self.backups)?;
        Ok(())
    }

    fn numbered(&self, nth: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{nth}"));
        name.into()
    }
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_long_enough_becomes_the_first_of_so_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let mut file = RollingFile::open(&path, 4, 2).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n"] {
            file.write(line.as_bytes()).unwrap();
        }
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
        assert_eq!(
            [text("audit.log"), text("audit.log.1"), text("audit.log.2")],
            ["four\n", "three\n", "two\n"]
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_file_that_is_there_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        for _ in 0..2 {
            let mut file = RollingFile::open(&path, 100, 1).unwrap();
            file.write(b"line\n").unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "line\nline\n");
    }
}
