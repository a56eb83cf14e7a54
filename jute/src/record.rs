//! What every record can do, and the macro that declares records.

use crate::{Buffer, Cause, DecodeError, Reader, Str, Writer};

/// A value with one jute encoding.
pub trait Wire: Sized {
    /// Decodes the value off the front of `r`.
    ///
    /// # Errors
    /// Names the innermost record and field, and what was wrong with its bytes.
    fn read(r: &mut Reader) -> Result<Self, DecodeError>;

    /// Appends the value's encoding to `w`.
    fn write(&self, w: &mut Writer<'_>);

    /// Length in bytes of what [`Wire::write`] appends to a writer for files.
    fn size(&self) -> usize;
}

/// Declares records: the struct and its encoding in one list, in the order of `zookeeper.jute`.
macro_rules! records {
    ($( $(#[$doc:meta])* $name:ident { $( $(#[$field_doc:meta])* $field:ident: $type:ty ),* $(,)? } )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
        pub struct $name { $( $(#[$field_doc])* pub $field: $type ),* }

        impl crate::Wire for $name {
            fn read(r: &mut crate::Reader) -> Result<Self, crate::DecodeError> {
                Ok($name { $( $field: crate::Wire::read(r)
                    .map_err(|error: crate::DecodeError| error.within(stringify!($name), stringify!($field)))? ),* })
            }
            fn write(&self, w: &mut crate::Writer<'_>) {
                $( self.$field.write(w); )*
            }
            fn size(&self) -> usize {
                0 $( + self.$field.size() )*
            }
        }
    )*};
}
pub(crate) use records;

impl Wire for i32 {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i32()
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.i32(*self);
    }
    fn size(&self) -> usize {
        4
    }
}

impl Wire for i64 {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.i64()
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.i64(*self);
    }
    fn size(&self) -> usize {
        8
    }
}

impl Wire for bool {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.bool()
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.bool(*self);
    }
    fn size(&self) -> usize {
        1
    }
}

impl Wire for Buffer {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.buffer()
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.buffer(self.as_deref());
    }
    fn size(&self) -> usize {
        4 + self.as_ref().map_or(0, |bytes| bytes.len())
    }
}

impl Wire for Option<Str> {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        r.text()
    }
    fn write(&self, w: &mut Writer<'_>) {
        w.text(self.as_deref());
    }
    fn size(&self) -> usize {
        4 + self.as_ref().map_or(0, |text| text.len())
    }
}

/// A vector; elements are decoded one by one, so a claimed count allocates nothing.
impl<T: Element> Wire for Option<Vec<T>> {
    fn read(r: &mut Reader) -> Result<Self, DecodeError> {
        let Some(count) = r.count()? else {
            return Ok(None);
        };
        let possible = r.left() / T::MIN_SIZE;
        if count > possible {
            let want = count.saturating_mul(T::MIN_SIZE);
            return Err(Cause::Truncated {
                want,
                left: r.left(),
            }
            .into());
        }
        let mut items = Vec::with_capacity(count.min(CAPACITY_MAX));
        for _ in 0..count {
            items.push(T::read_element(r)?);
        }
        Ok(Some(items))
    }
    fn write(&self, w: &mut Writer<'_>) {
        match self {
            None => w.i32(-1),
            Some(items) => {
                w.i32(items.len() as i32);
                for item in items {
                    item.write_element(w);
                }
            }
        }
    }
    fn size(&self) -> usize {
        4 + self
            .iter()
            .flatten()
            .map(Element::size_element)
            .sum::<usize>()
    }
}

/// What may stand in a vector.
pub trait Element: Sized {
    /// Fewest bytes one element takes.
    const MIN_SIZE: usize;
    /// As [`Wire::read`].
    ///
    /// # Errors
    /// As [`Wire::read`].
    fn read_element(r: &mut Reader) -> Result<Self, DecodeError>;
    /// As [`Wire::write`].
    fn write_element(&self, w: &mut Writer<'_>);
    /// As [`Wire::size`].
    fn size_element(&self) -> usize;
}

/// A null string inside a vector reads as an empty one and is never written: no client can send it on purpose.
impl Element for Str {
    const MIN_SIZE: usize = 4;
    fn read_element(r: &mut Reader) -> Result<Self, DecodeError> {
        Ok(r.text()?.unwrap_or_default())
    }
    fn write_element(&self, w: &mut Writer<'_>) {
        w.text(Some(self));
    }
    fn size_element(&self) -> usize {
        4 + self.len()
    }
}

macro_rules! elements {
    ($( $name:ty = $min:expr ),* $(,)?) => {$(
        impl crate::record::Element for $name {
            const MIN_SIZE: usize = $min;
            fn read_element(r: &mut crate::Reader) -> Result<Self, crate::DecodeError> {
                crate::Wire::read(r)
            }
            fn write_element(&self, w: &mut crate::Writer<'_>) {
                crate::Wire::write(self, w);
            }
            fn size_element(&self) -> usize {
                crate::Wire::size(self)
            }
        }
    )*};
}
pub(crate) use elements;

/// Elements a vector reserves room for before it has read them.
const CAPACITY_MAX: usize = 1024;
