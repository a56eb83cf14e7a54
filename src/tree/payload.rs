//! Name and data of a znode in one allocation behind one thin pointer.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::slice;

/// Immutable name and data. Eight bytes wide, also as an `Option`.
///
/// A `Box<[u8]>` would be sixteen bytes in every slot and a `Box<Vec<u8>>` two allocations, hence
/// the raw pointer.
pub(super) struct Payload(NonNull<Head>);

/// Stands before the bytes of the name, which stand before the bytes of the data.
struct Head {
    name_len: u32,
    /// [`NULL`] where the data is null.
    data_len: u32,
}

const NULL: u32 = u32::MAX;
const HEAD: usize = size_of::<Head>();

// SAFETY: a payload owns its allocation alone and never changes it after construction.
unsafe impl Send for Payload {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Payload {}

impl Payload {
    /// Copies both parts into a new allocation.
    ///
    /// # Panics
    /// If a part has 4 GiB or more; jute lengths end at 2 GiB.
    pub fn new(name: &str, data: Option<&[u8]>) -> Payload {
        let bytes = data.unwrap_or_default();
        assert!(name.len() < NULL as usize && bytes.len() < NULL as usize);
        let head = Head {
            name_len: name.len() as u32,
            data_len: data.map_or(NULL, |data| data.len() as u32),
        };
        let layout = layout(name.len() + bytes.len());
        // SAFETY: the layout is never empty; all of head, name and data lies inside the allocation
        // of that layout, and `alloc` aligned it for `Head`.
        unsafe {
            let at = alloc(layout);
            let Some(start) = NonNull::new(at.cast::<Head>()) else {
                handle_alloc_error(layout)
            };
            start.write(head);
            let body = at.add(HEAD);
            body.copy_from_nonoverlapping(name.as_ptr(), name.len());
            let body = body.add(name.len());
            body.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            Payload(start)
        }
    }

    /// The last component of the path, empty for the root.
    pub fn name(&self) -> &str {
        let bytes = self.slice(0, self.head().name_len as usize);
        // SAFETY: `new` copied these bytes from a str.
        unsafe { str::from_utf8_unchecked(bytes) }
    }

    /// The data; null and empty differ.
    pub fn data(&self) -> Option<&[u8]> {
        let head = self.head();
        (head.data_len != NULL).then(|| self.slice(head.name_len as usize, head.data_len as usize))
    }

    /// Bytes of data, 0 for null.
    pub fn data_len(&self) -> usize {
        self.data().map_or(0, <[u8]>::len)
    }

    fn head(&self) -> &Head {
        // SAFETY: the pointer comes from `new`, which wrote a `Head` there, and lives as long as
        // self.
        unsafe { self.0.as_ref() }
    }

    fn slice(&self, from: usize, len: usize) -> &[u8] {
        // SAFETY: callers pass ranges that the head describes, which `new` filled.
        unsafe { slice::from_raw_parts(self.0.as_ptr().cast::<u8>().add(HEAD + from), len) }
    }
}

impl Drop for Payload {
    fn drop(&mut self) {
        let layout = layout(self.head().name_len as usize + self.data_len());
        // SAFETY: `new` allocated exactly this layout and nobody else frees it.
        unsafe { dealloc(self.0.as_ptr().cast::<u8>(), layout) }
    }
}

/// # Panics
/// If the sum of two lengths below 4 GiB does not fit the address space.
fn layout(body: usize) -> Layout {
    match Layout::from_size_align(HEAD + body, align_of::<Head>()) {
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
            let payload = Payload::new("näme", data);
            assert_eq!((payload.name(), payload.data()), ("näme", data));
        }
        assert_eq!(Payload::new("", None).name(), "");
    }
}
