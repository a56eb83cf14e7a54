//! Transaction logs: what is in them, and what a crash can leave of them.
//!
//! ```text
//! file    = header, record*, zero padding
//! header  = "ZKLG", i32 version 2, i64 dbid 0                          16 bytes
//! record  = i64 checksum, i32 length n, n bytes payload, 'B'           13 + n bytes
//! payload = TxnHeader, record of its type, maybe a TxnDigest           jute::txn::LoggedTxn
//! ```
//!
//! Numbers are big-endian, the checksum is the Adler-32 of the payload alone, in the low half of its i64. Records
//! follow each other without gaps; a length of zero, or the end of the file, ends them. Only the magic of the header
//! is checked, as in Java.
//!
//! Hostile cases (the reader tells them apart, recovery decides):
//! - *torn*: the last record lacks bytes, or its checksum fails and a whole 512-byte sector of it is still zero, and
//!   no whole record follows. An interrupted write leaves this; whoever wrote it has not acknowledged it.
//! - *damaged*: everything else that is not a record: flipped bits, zeros with records behind them, a payload that
//!   does not decode.
//! - a file that is empty, or whose header was not written in full: torn before its first record.
//! - lengths that lie: nothing is allocated for bytes that are not in the file.
//!
//! Source: `FileTxnLog`. Differs from Java: a bad checksum in a torn record does not stop the start, a missing end of
//! a record in the middle of the history does.

pub mod cursor;
mod entries;
mod reader;
mod truncate;
mod writer;

pub use entries::{Entries, Entry};
pub use reader::{End, LogReader, Record, Step, scan};
pub use truncate::{TruncateReport, cut_file, holds, truncate};
pub use writer::{LogOptions, LogWriter, SyncReport, Waiting};

/// Bytes of a record around its payload.
const RECORD_OVERHEAD: usize = 13;

/// Bytes of a record before its payload.
const RECORD_HEAD: usize = 12;

/// Last byte of a record.
const RECORD_END: u8 = b'B';

fn checksum(payload: &[u8]) -> u32 {
    simd_adler32::adler32(&payload)
}
