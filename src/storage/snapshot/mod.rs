//! Snapshots: a whole tree in one file.
//!
//! ```text
//! file     = "ZKSN", i32 version 2, i64 dbid -1, body, seal,
//!            [i64 zxid, i32 version 2, i64 tree digest, seal], [i64 last zxid, seal]
//! body     = i32 count, (i64 session, i32 timeout ms)*, i32 count, (i64 acl id, vector<ACL>)*, znode*, string "/"
//! znode    = string path ("" is the root), buffer data, i64 acl id, StatPersisted
//! seal     = i64 Adler-32 of everything before it, string "/"
//! ```
//!
//! The sections in brackets depend on version and settings of the writer; by the bytes left behind the first seal they
//! can be told apart: 0 none, 33 the digest, 21 the last zxid, 54 both. The whole may be compressed, as the last
//! suffix of the name says: `.gz` (one gzip member) or `.snappy` (snappy-java's own container); checksums are over the
//! plain bytes.
//!
//! Hostile cases: a file cut short anywhere, flipped bits (the seal), a znode before its parent, an ACL id that is not
//! in the table (a fuzzy Java snapshot: replay repairs it), counts and lengths that lie (nothing is allocated for bytes
//! that are not there), sections of another version. Java's snapshots are fuzzy: they hold everything up to the zxid of
//! their name and some of what came later. Ours are exact.
//!
//! Source: `FileSnap`, `SnapStream`, `DataTree.serialize`.

mod compress;
mod parts;
mod reader;
pub mod stream;
mod writer;

pub use compress::Compression;
pub use parts::Parts;
pub use reader::{Loaded, Sections, SnapshotProblem, check, looks_complete, read, visit};
pub(in crate::storage) use writer::write_received;
pub use writer::{SnapshotOptions, SnapshotWriter, Written, write_tree};

/// Second field of the digest section, and of digests in the log.
const DIGEST_VERSION: i32 = 2;

/// What stands where a path would, behind the last znode and in every seal.
const TERMINATOR: &str = "/";
