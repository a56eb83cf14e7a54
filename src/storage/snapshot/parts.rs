//! What a snapshot is made of, for whoever reads one.

use crate::tree::{LoadError, Loader};
use bytes::Bytes;
use jute::Str;
use jute::data::{Acl, StatPersisted};

/// Who is told of the parts of a snapshot's body, in the order of the file: sessions, ACL lists, znodes.
pub trait Parts {
    /// A session and its timeout in ms.
    fn session(&mut self, id: i64, timeout: i32);

    /// A line of the ACL table.
    ///
    /// # Errors
    /// What keeps it from being used; reading ends then.
    fn acl(&mut self, id: i64, list: Vec<Acl>) -> Result<(), LoadError>;

    /// A znode: its path as it stands, "" for the root, and the id of its ACL list.
    ///
    /// # Errors
    /// What keeps it from being used; reading ends then.
    fn znode(
        &mut self,
        path: &[u8],
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError>;
}

impl Parts for Loader {
    fn session(&mut self, id: i64, timeout: i32) {
        Loader::session(self, id, timeout);
    }

    fn acl(&mut self, id: i64, list: Vec<Acl>) -> Result<(), LoadError> {
        Loader::acl(self, id, list)
    }

    fn znode(
        &mut self,
        path: &[u8],
        data: Option<&[u8]>,
        acl: i64,
        stat: &StatPersisted,
    ) -> Result<(), LoadError> {
        match std::str::from_utf8(path) {
            Ok(path) => Loader::znode(self, path, data, acl, stat),
            Err(_) => {
                let path = Str::from_java_utf8(Bytes::copy_from_slice(path));
                Loader::znode(self, &path, data, acl, stat)
            }
        }
    }
}
