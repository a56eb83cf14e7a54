//! Requests that are built once: what changes from one to the next is the xid and a number in the path.

use jute::Op;
use jute::data::{Acl, Id};
use jute::proto::{CreateRequest, DeleteRequest, SetDataRequest, WatchableRequest};
use jute::{Str, Writer};

use super::tally::Kind;
use super::wire::{HEADER, STAT, frame};

/// A path in which a number stands, maybe several times: as it is, or divided by something.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    digits: Vec<Digits>,
}

/// Where digits of the number stand, and what it is divided by before it is written there.
#[derive(Clone, Copy, Debug)]
struct Digits {
    at: usize,
    count: usize,
    divisor: u32,
}

impl Pattern {
    /// Begins with `text`, without a number so far.
    pub fn new(text: impl Into<String>) -> Pattern {
        Pattern {
            text: text.into(),
            digits: Vec::new(),
        }
    }

    /// Then `text`.
    #[must_use]
    pub fn text(mut self, text: &str) -> Pattern {
        self.text.push_str(text);
        self
    }

    /// Then the last `count` digits of the number divided by `divisor`, which is not 0.
    #[must_use]
    pub fn number(mut self, count: usize, divisor: u32) -> Pattern {
        let at = self.text.len();
        self.digits.push(Digits { at, count, divisor });
        self.text.extend(std::iter::repeat_n('0', count));
        self
    }

    /// The path for one number.
    pub fn path(&self, number: u32) -> String {
        let mut bytes = self.text.clone().into_bytes();
        write_digits(&mut bytes, &self.digits, 0, number);
        // Only digits changed.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

fn write_digits(bytes: &mut [u8], digits: &[Digits], start: usize, number: u32) {
    for Digits { at, count, divisor } in digits {
        let mut rest = number / divisor;
        for digit in bytes[start + at..start + at + count].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

/// A request of which copies are sent, and what its answer looks like.
#[derive(Clone, Debug)]
pub struct Template {
    bytes: Vec<u8>,
    digits: Vec<Digits>,
    kind: Kind,
    /// Length of the frame of an OK reply, without its length field.
    reply: usize,
}

/// Where a path stands in a framed request: behind length, xid, op and its own length.
const PATH: usize = 16;

impl Template {
    /// getData of a znode with `size` bytes.
    pub fn get(path: &Pattern, size: usize) -> Template {
        Template::reading(Op::GetData, Kind::Get, path, 4 + size + STAT)
    }

    /// exists of a znode that does.
    pub fn exists(path: &Pattern) -> Template {
        Template::reading(Op::Exists, Kind::Exists, path, STAT)
    }

    /// getChildren2 of a znode with `count` children, whose names have `length` bytes.
    pub fn children(path: &Pattern, count: usize, length: usize) -> Template {
        let body = 4 + count * (4 + length) + STAT;
        Template::reading(Op::GetChildren2, Kind::Children, path, body)
    }

    /// setData of `size` bytes, whatever the version.
    pub fn set(path: &Pattern, size: usize) -> Template {
        let request = SetDataRequest {
            path: Some(path.text.as_str().into()),
            data: Some(vec![b'v'; size].into()),
            version: -1,
        };
        Template::new(Op::SetData, Kind::Set, path, STAT, |w| w.put(&request))
    }

    /// create of a znode with `size` bytes, on which everybody may do everything.
    pub fn create(path: &Pattern, size: usize) -> Template {
        let anyone = Acl {
            perms: 31,
            id: Id {
                scheme: Some(Str::from_static("world")),
                id: Some(Str::from_static("anyone")),
            },
        };
        let request = CreateRequest {
            path: Some(path.text.as_str().into()),
            data: Some(vec![b'v'; size].into()),
            acl: Some(vec![anyone]),
            flags: 0,
        };
        let body = 4 + path.text.len();
        Template::new(Op::Create, Kind::Create, path, body, |w| w.put(&request))
    }

    /// delete, whatever the version.
    pub fn delete(path: &Pattern) -> Template {
        let request = DeleteRequest {
            path: Some(path.text.as_str().into()),
            version: -1,
        };
        Template::new(Op::Delete, Kind::Delete, path, 0, |w| w.put(&request))
    }

    fn reading(op: Op, kind: Kind, path: &Pattern, body: usize) -> Template {
        let request = WatchableRequest {
            path: Some(path.text.as_str().into()),
            watch: false,
        };
        Template::new(op, kind, path, body, |w| w.put(&request))
    }

    fn new(
        op: Op,
        kind: Kind,
        path: &Pattern,
        body: usize,
        write: impl FnOnce(&mut Writer<'_>),
    ) -> Template {
        let digits = path.digits.iter().map(|digits| Digits {
            at: PATH + digits.at,
            ..*digits
        });
        Template {
            bytes: frame(0, op, write).to_vec(),
            digits: digits.collect(),
            kind,
            reply: HEADER - 4 + body,
        }
    }

    /// What kind of operation it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Length of the frame of an OK reply, without its length field.
    pub fn reply(&self) -> usize {
        self.reply
    }

    /// Appends one request.
    pub fn push(&self, xid: i32, number: u32, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out[start + 4..start + 8].copy_from_slice(&xid.to_be_bytes());
        write_digits(out, &self.digits, start, number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_where_the_pattern_has_it() {
        let pattern = Pattern::new("/root-0").text("/b").number(4, 100);
        let pattern = pattern.text("/k").number(7, 1);
        assert_eq!(pattern.path(1_234_567), "/root-0/b2345/k1234567");
        assert_eq!(pattern.path(42), "/root-0/b0000/k0000042");
        let mut out = b"before".to_vec();
        Template::get(&pattern, 3).push(0x0102_0304, 987, &mut out);
        let request = &out[6..];
        assert_eq!(
            request.len(),
            4 + 8 + 4 + "/root-0/b0009/k0000987".len() + 1
        );
        assert_eq!(request[4..12], [1, 2, 3, 4, 0, 0, 0, 4]);
        assert_eq!(&request[16..38], b"/root-0/b0009/k0000987");
    }
}
