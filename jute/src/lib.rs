//! ZooKeeper's wire and file records (jute), each declared once.
//!
//! Jute has no tags and no padding: a record is its fields in declaration order, integers are big-endian, a boolean
//! is one byte (any non-zero byte reads as true), a string or buffer is an `i32` length and its bytes, a vector an
//! `i32` count and its elements. Length -1 is null for all three, so they are `Option`s here. Any other count below
//! one is an empty vector. What a peer claims to send never decides what is allocated: lengths are checked against
//! the bytes that are there and against a limit.
//!
//! Source: `zookeeper.jute`, `org.apache.jute.BinaryInputArchive`, `BinaryOutputArchive`.

mod code;
pub mod data;
mod error;
mod op;
pub mod persist;
pub mod proto;
pub mod quorum;
mod reader;
mod record;
mod text;
pub mod txn;
mod writer;

pub use code::ErrorCode;
pub use error::{Cause, DecodeError};
pub use op::{Op, OpCode};
pub use reader::Reader;
pub use record::Wire;
pub use text::Str;
pub use writer::Writer;

/// A jute `buffer`: null and empty are different values.
pub type Buffer = Option<bytes::Bytes>;
