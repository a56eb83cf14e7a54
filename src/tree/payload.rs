//! Name and data of a znode in one allocation behind one thin pointer.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::slice;

/// Name and data, and the rare parts of the stat: an owner, and what the last setData left. Eight bytes wide, also as
/// an `Option`.
///
/// A `Box<[u8]>` would be sixteen bytes in every slot and a `Box<Vec<u8>>` two allocations, hence
/// the raw pointer. The bytes: one of flags, length of the name, length of the data (each one, two
/// or four bytes, as the flags say), the owner if there is one, the edit if there was one, name, data. Nothing is
/// aligned.
pub(super) struct Payload(NonNull<u8>);

/// The part of the stat that only setData changes; a znode whose data was never set has it from its
/// creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub mzxid: i64,
    pub mtime: i64,
    pub version: i32,
}

/// The data is not null.
const DATA: u8 = 1;
/// An [`Edit`] follows the lengths.
const EDITED: u8 = 2;
/// Where the flags keep log2 of the widths of both lengths.
const NAME_WIDTH: u32 = 2;
const DATA_WIDTH: u32 = 4;
/// An owner follows the lengths, before the [`Edit`].
const OWNED: u8 = 64;
const OWNER: usize = 8;
const EDIT: usize = 20;
/// Flags, two lengths, an owner and an edit.
const HEAD_MAX: usize = 1 + 4 + 4 + OWNER + EDIT;

/// What the head says.
struct Head {
    flags: u8,
    name_len: usize,
    data_len: usize,
    /// Where the owner, the edit or the name begins.
    end: usize,
}

// SAFETY: a payload owns its allocation alone, and changes it only through an exclusive reference.
unsafe impl Send for Payload {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Payload {}

impl Payload {
    /// Copies all parts into a new allocation; an owner of 0 is none.
    ///
    /// # Panics
    /// If a part has 4 GiB or more; jute lengths end at 2 GiB.
    pub fn new(name: &str, data: Option<&[u8]>, owner: i64, edit: Option<Edit>) -> Payload {
        let bytes = data.unwrap_or_default();
        let mut head = [0; HEAD_MAX];
        let mut len = 1;
        head[0] = if data.is_some() { DATA } else { 0 };
        head[0] |= put_length(&mut head, &mut len, name.len()) << NAME_WIDTH;
        head[0] |= put_length(&mut head, &mut len, bytes.len()) << DATA_WIDTH;
        if owner != 0 {
            head[0] |= OWNED;
            head[len..len + OWNER].copy_from_slice(&owner.to_ne_bytes());
            len += OWNER;
        }
        if let Some(edit) = edit {
            head[0] |= EDITED;
            head[len..len + 8].copy_from_slice(&edit.mzxid.to_ne_bytes());
            head[len + 8..len + 16].copy_from_slice(&edit.mtime.to_ne_bytes());
            head[len + 16..len + EDIT].copy_from_slice(&edit.version.to_ne_bytes());
            len += EDIT;
        }
        let layout = layout(len + name.len() + bytes.len());
        // SAFETY: the layout is never empty, and all of head, name and data lies inside the
        // allocation of that layout.
        unsafe {
            let Some(start) = NonNull::new(alloc(layout)) else {
                handle_alloc_error(layout)
            };
            let body = start.add(len);
            start.copy_from_nonoverlapping(NonNull::from(&head).cast(), len);
            body.as_ptr()
                .copy_from_nonoverlapping(name.as_ptr(), name.len());
            body.add(name.len())
                .as_ptr()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            Payload(start)
        }
    }

    /// Puts data and edit in the place of others that take as many bytes. False, and nothing is changed, if what is
    /// here has another length or no edit, or one is null.
    pub fn overwrite(&mut self, data: Option<&[u8]>, edit: Edit) -> bool {
        let (head, bytes) = (self.head(), data.unwrap_or_default());
        let same_flags = head.flags & (DATA | EDITED) == DATA | EDITED && data.is_some();
        if !same_flags || head.data_len != bytes.len() {
            return false;
        }
        let at = head.body() + head.name_len;
        // SAFETY: the flags say that an edit stands there, and the lengths say that so much data stands behind the
        // name; `self` is borrowed exclusively, so `bytes` lies elsewhere.
        unsafe {
            let start = self.0.add(head.edit());
            start.cast().write_unaligned(edit.mzxid);
            start.add(8).cast().write_unaligned(edit.mtime);
            start.add(16).cast().write_unaligned(edit.version);
            let to = self.0.add(at).as_ptr();
            to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
        true
    }

    /// The last component of the path, empty for the root.
    pub fn name(&self) -> &str {
        let head = self.head();
        let bytes = self.slice(head.body(), head.name_len);
        // SAFETY: `new` copied these bytes from a str.
        unsafe { str::from_utf8_unchecked(bytes) }
    }

    /// The data; null and empty differ.
    pub fn data(&self) -> Option<&[u8]> {
        let head = self.head();
        (head.flags & DATA != 0).then(|| self.slice(head.body() + head.name_len, head.data_len))
    }

    /// Bytes of data, 0 for null.
    pub fn data_len(&self) -> usize {
        self.head().data_len
    }

    /// The owner, 0 if there is none.
    pub fn owner(&self) -> i64 {
        let head = self.head();
        if head.flags & OWNED == 0 {
            return 0;
        }
        // SAFETY: the flag says that an owner stands here.
        unsafe { self.0.add(head.end).cast().read_unaligned() }
    }

    /// What the last setData left, None if there was none.
    pub fn edit(&self) -> Option<Edit> {
        let head = self.head();
        if head.flags & EDITED == 0 {
            return None;
        }
        // SAFETY: the flag says that an edit stands here.
        unsafe {
            let at = self.0.add(head.edit());
            Some(Edit {
                mzxid: at.cast().read_unaligned(),
                mtime: at.add(8).cast().read_unaligned(),
                version: at.add(16).cast().read_unaligned(),
            })
        }
    }

    fn head(&self) -> Head {
        // SAFETY: `new` wrote flags, and behind them two lengths of the widths that the flags tell.
        unsafe {
            let flags = self.0.read();
            let (name_len, name_width) = length(self.0.as_ptr().add(1), flags >> NAME_WIDTH & 3);
            let at = 1 + name_width;
            let (data_len, data_width) = length(self.0.as_ptr().add(at), flags >> DATA_WIDTH & 3);
            Head {
                flags,
                name_len,
                data_len,
                end: at + data_width,
            }
        }
    }

    fn slice(&self, from: usize, len: usize) -> &[u8] {
        // SAFETY: callers pass ranges that the head describes, which `new` filled.
        unsafe { slice::from_raw_parts(self.0.as_ptr().add(from), len) }
    }
}

impl Head {
    /// Where the edit begins, if there is one.
    fn edit(&self) -> usize {
        self.end + if self.flags & OWNED != 0 { OWNER } else { 0 }
    }

    /// Where the name begins.
    fn body(&self) -> usize {
        self.edit() + if self.flags & EDITED != 0 { EDIT } else { 0 }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let head = self.head();
        let layout = layout(head.body() + head.name_len + head.data_len);
        // SAFETY: `new` allocated exactly this layout and nobody else frees it.
        unsafe { dealloc(self.0.as_ptr(), layout) }
    }
}

/// Writes a length in as few bytes as it takes, and returns log2 of their number.
///
/// # Panics
/// At 4 GiB.
fn put_length(head: &mut [u8; HEAD_MAX], at: &mut usize, length: usize) -> u8 {
    let (width, log2) = match length {
        0..=0xFF => (1, 0),
        0x100..=0xFFFF => (2, 1),
        _ => (4, 2),
    };
    assert!(length <= u32::MAX as usize, "{length} bytes in one znode");
    let bytes = (length as u32).to_le_bytes();
    head[*at..*at + width].copy_from_slice(&bytes[..width]);
    *at += width;
    log2
}

/// The length at `at` and how many bytes it takes.
///
/// # Safety
/// So many bytes must be readable there.
unsafe fn length(at: *const u8, log2: u8) -> (usize, usize) {
    // SAFETY: what the caller promises.
    unsafe {
        match log2 {
            0 => (usize::from(at.read()), 1),
            1 => {
                let bytes = ptr::read(at.cast::<[u8; 2]>());
                (usize::from(u16::from_le_bytes(bytes)), 2)
            }
            _ => {
                let bytes = ptr::read(at.cast::<[u8; 4]>());
                (u32::from_le_bytes(bytes) as usize, 4)
            }
        }
    }
}

/// # Panics
/// If the sum of two lengths below 4 GiB does not fit the address space.
fn layout(bytes: usize) -> Layout {
    match Layout::from_size_align(bytes, 1) {
        Ok(layout) => layout,
        Err(_) => panic!("a payload larger than the address space"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_data_differ() {
        assert_eq!(size_of::<Option<Payload>>(), 8);
        for data in [None, Some(&b""[..]), Some(b"hi")] {
            let payload = Payload::new("näme", data, 0, None);
            assert_eq!((payload.name(), payload.data()), ("näme", data));
            assert_eq!(payload.edit(), None);
        }
        assert_eq!(Payload::new("", None, 0, None).name(), "");
    }

    #[test]
    fn data_is_overwritten_only_by_data_of_its_length() {
        let edit = |mzxid| Edit {
            mzxid,
            mtime: -mzxid,
            version: 3,
        };
        let mut payload = Payload::new("name", Some(b"old"), -8, Some(edit(1)));
        for other in [None, Some(&b""[..]), Some(b"long")] {
            assert!(!payload.overwrite(other, edit(2)));
        }
        let same = |payload: &Payload, data: &[u8], by| {
            assert_eq!(payload.name(), "name");
            assert_eq!((payload.data(), payload.edit()), (Some(data), Some(by)));
            assert_eq!(payload.owner(), -8);
        };
        same(&payload, b"old", edit(1));
        assert!(payload.overwrite(Some(b"new"), edit(2)));
        same(&payload, b"new", edit(2));
        assert!(!Payload::new("", None, 0, Some(edit(1))).overwrite(None, edit(2)));
        assert!(!Payload::new("", Some(b"a"), 0, None).overwrite(Some(b"b"), edit(2)));
    }

    #[test]
    fn lengths_of_every_width_come_back() {
        let edit = Edit {
            mzxid: i64::MIN,
            mtime: i64::MAX,
            version: -7,
        };
        let lengths = [0, 1, 0xFF, 0x100, 0xFFFF, 0x1_0000, 0x2_0001];
        for name_len in lengths {
            for data_len in lengths {
                for (owner, edit) in [
                    (0, None),
                    (7, None),
                    (0, Some(edit)),
                    (i64::MIN, Some(edit)),
                ] {
                    let (name, data) = ("n".repeat(name_len), vec![7; data_len]);
                    let payload = Payload::new(&name, Some(&data), owner, edit);
                    assert_eq!(payload.name(), name);
                    assert_eq!(payload.data(), Some(&data[..]));
                    assert_eq!((payload.data_len(), payload.edit()), (data_len, edit));
                    assert_eq!(payload.owner(), owner);
                }
            }
        }
    }
}
