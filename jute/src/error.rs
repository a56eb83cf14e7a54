//! Why bytes did not decode.

use std::fmt;

/// A record that could not be decoded: which record and field, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// Innermost record, or "" outside of any.
    pub record: &'static str,
    /// Field of that record, or "".
    pub field: &'static str,
    /// What was wrong.
    pub cause: Cause,
}

/// What was wrong with the bytes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The bytes end before the field does.
    Truncated {
        /// Bytes the field needs.
        want: usize,
        /// Bytes that are left.
        left: usize,
    },
    /// A string or buffer length below -1.
    NegativeLength(i32),
    /// A string or buffer longer than the reader's limit.
    TooLong {
        /// Claimed length in bytes.
        length: usize,
        /// The reader's limit in bytes.
        limit: usize,
    },
    /// Bytes follow the end of the record where none may.
    LeftOver(usize),
    /// A number that stands for nothing here (an op, a transaction type, a flag).
    Unknown(i32),
    /// A vector that must be present is null.
    NullVector,
    /// Reads and writes stand in one multi.
    MixedOps,
}

impl From<Cause> for DecodeError {
    fn from(cause: Cause) -> Self {
        DecodeError {
            record: "",
            field: "",
            cause,
        }
    }
}

impl DecodeError {
    /// Names the record and field, unless a record further in already did.
    pub fn within(mut self, record: &'static str, field: &'static str) -> Self {
        if self.record.is_empty() {
            self.record = record;
            self.field = field;
        }
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.record.is_empty() {
            write!(f, "{}.{}: ", self.record, self.field)?;
        }
        match self.cause {
            Cause::Truncated { want, left } => write!(f, "needs {want} bytes, {left} are left"),
            Cause::NegativeLength(n) => write!(f, "length {n}"),
            Cause::TooLong { length, limit } => {
                write!(f, "length {length} is over the limit {limit}")
            }
            Cause::LeftOver(n) => write!(f, "{n} bytes follow the end"),
            Cause::Unknown(n) => write!(f, "unknown number {n}"),
            Cause::NullVector => write!(f, "null vector"),
            Cause::MixedOps => write!(f, "reads and writes in one multi"),
        }
    }
}

impl std::error::Error for DecodeError {}
