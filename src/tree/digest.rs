//! Java's tree digest: the sum, modulo 2^64, of a CRC-32 per znode over path, data and stat.
//!
//! Path and data come first in that CRC, so a slot keeps the CRC of those two, and a change of the
//! stat extends it without reading the data again.

use jute::data::StatPersisted;

/// CRC-32 of `path`, as "" for the root, and `data`.
pub fn path_data_crc(path: &str, data: Option<&[u8]>) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(if path == "/" { b"" } else { path.as_bytes() });
    crc.update(data.unwrap_or_default());
    crc.finalize()
}

/// The digest of a znode with these, in the field order of the digest, which is not the files'.
/// Source: `DigestCalculator.calculateDigest`.
pub fn znode_digest(path_data_crc: u32, stat: &StatPersisted) -> u64 {
    let mut bytes = [0; 60];
    let longs = [stat.czxid, stat.mzxid, stat.pzxid, stat.ctime, stat.mtime];
    for (place, long) in bytes.chunks_exact_mut(8).zip(longs) {
        place.copy_from_slice(&long.to_be_bytes());
    }
    let ints = [stat.version, stat.cversion, stat.aversion];
    for (place, int) in bytes[40..].chunks_exact_mut(4).zip(ints) {
        place.copy_from_slice(&int.to_be_bytes());
    }
    bytes[52..].copy_from_slice(&stat.ephemeral_owner.to_be_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(path_data_crc);
    crc.update(&bytes);
    u64::from(crc.finalize())
}

/// Whether the znode is part of the digest: all but those below `/zookeeper`, which servers change
/// on their own.
pub fn counts(path: &str) -> bool {
    !path.starts_with("/zookeeper/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_virgin_tree_hashes_as_java_says() {
        let stat = StatPersisted::default();
        let sum = ["/", "/zookeeper"].map(|path| znode_digest(path_data_crc(path, None), &stat));
        assert_eq!(sum[0] + sum[1], 0x51c6_d660);
        assert!(counts("/zookeeper") && !counts("/zookeeper/config") && counts("/zookeeperx/a"));
    }
}
