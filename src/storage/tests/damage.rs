//! Interrupted writes are cut off with a warning, everything else stops the start; nothing is changed before that.

use super::*;
use crate::storage::txnlog::{End, LogReader, Step, scan, truncate};

const LOG: &str = "log.1";

/// Offsets of the records of a file, and where they end.
fn offsets(bytes: &Bytes) -> (Vec<u64>, u64) {
    let file = Box::new(MemoryFile(bytes.clone()));
    let mut reader = LogReader::new(file, PathBuf::from(LOG)).unwrap();
    let mut offsets = Vec::new();
    loop {
        match reader.step().unwrap() {
            Step::Record(record) => offsets.push(record.offset),
            Step::End(End::Clean { offset } | End::Torn { offset, .. }) => {
                return (offsets, offset);
            }
        }
    }
}

/// The disk with another content of its log.
fn with_log(disk: &SimDisk, bytes: &[u8]) -> SimDisk {
    let other = disk.fork(1);
    other.put(&in_folder(LOG), bytes);
    other
}

fn log_bytes(disk: &SimDisk) -> Bytes {
    disk.get(&in_folder(LOG)).unwrap().into()
}

fn assert_refused(disk: &SimDisk, offset: u64) -> String {
    let before = disk.changes();
    let error = recover_sim(disk).err().expect("it started");
    assert_eq!(disk.changes(), before, "changed files: {error}");
    let StorageError::DamagedLog {
        path, offset: at, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (path.file_name().unwrap().to_str(), *at),
        (Some(LOG), offset),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("oxkeeper doctor"), "{text}");
    text
}

#[test]
fn a_last_record_cut_short_anywhere_is_cut_off_with_a_warning() {
    let disk = disk_with_log(5);
    let bytes = log_bytes(&disk);
    let (offsets, end) = offsets(&bytes);
    let last = *offsets.last().unwrap();
    for len in last + 1..end {
        let torn = with_log(&disk, &bytes[..len as usize]);
        let recovered = recover_sim(&torn).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(4), "cut to {len}");
        if len <= last + 4 {
            // Nothing but the upper half of the checksum, which is zero: the same as padding.
            assert_eq!(recovered.notes, Vec::<String>::new());
            continue;
        }
        let [note] = &recovered.notes[..] else {
            panic!("{:?}", recovered.notes);
        };
        for part in ["/d/version-2/log.1", &format!("offset {last},"), "zxid 0x4"] {
            assert!(note.contains(part), "{note}");
        }
        assert_eq!(torn.get(&in_folder(LOG)).unwrap(), bytes[..last as usize]);
        assert!(recover_sim(&torn).unwrap().notes.is_empty());
    }
    for len in [last, end] {
        let whole = recover_sim(&with_log(&disk, &bytes[..len as usize])).unwrap();
        assert_eq!(whole.notes, Vec::<String>::new());
    }
}

#[test]
fn a_last_record_whose_later_sectors_were_never_written_is_cut_off() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/first", b"");
    server.create("/large", &[7; 5000]);
    server.sync();
    let bytes = log_bytes(&disk);
    let (offsets, end) = offsets(&bytes);
    for sector in offsets[1] / 512..=end / 512 {
        // In order: everything from that sector on is zero.
        let mut torn = bytes.to_vec();
        let from = ((sector * 512).max(offsets[1])) as usize;
        torn[from..].fill(0);
        let recovered = recover_sim(&with_log(&disk, &torn)).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(1), "from sector {sector}");
        // Out of order: only that sector is.
        let mut torn = bytes.to_vec();
        torn[from..(sector * 512 + 512) as usize].fill(0);
        let recovered = recover_sim(&with_log(&disk, &torn)).unwrap();
        assert_eq!(recovered.last_zxid, Zxid(1), "sector {sector}");
        assert!(recovered.notes[0].contains("cut off"));
    }
}

#[test]
fn a_flipped_bit_anywhere_stops_the_start() {
    let disk = disk_with_log(3);
    let bytes = log_bytes(&disk);
    let (offsets, end) = offsets(&bytes);
    for at in 16..end {
        for bit in 0..8 {
            let mut flipped = bytes.to_vec();
            flipped[at as usize] ^= 1 << bit;
            let record = *offsets.iter().rfind(|offset| **offset <= at).unwrap();
            assert_refused(&with_log(&disk, &flipped), record);
        }
    }
}

#[test]
fn zeros_in_the_middle_of_a_log_stop_the_start() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 0..20 {
        server.create(&format!("/z{n}"), &[7; 300]);
    }
    server.sync();
    let bytes = log_bytes(&disk);
    for sector in 1..10usize {
        let mut holed = bytes.to_vec();
        holed[sector * 512..sector * 512 + 512].fill(0);
        let error = recover_sim(&with_log(&disk, &holed))
            .err()
            .expect("it started");
        assert!(
            error.to_string().contains("whole record follows"),
            "{error}"
        );
    }
}

#[test]
fn padding_is_the_end_and_is_not_read_through() {
    let disk = disk_with_log(3);
    let mut bytes = log_bytes(&disk).to_vec();
    bytes.resize(64 << 20, 0);
    let (txns, end) = scan(bytes.clone().into()).unwrap();
    assert_eq!(txns.len(), 3);
    assert!(matches!(end, End::Clean { .. }));
    let counting = Counting(MemoryFile(bytes.into()), Arc::default());
    let read = counting.1.clone();
    let mut reader = LogReader::new(Box::new(counting), PathBuf::from(LOG)).unwrap();
    while matches!(reader.step().unwrap(), Step::Record(_)) {}
    let read = read.load(std::sync::atomic::Ordering::Relaxed);
    assert!(read <= 4 << 20, "{read} bytes were read");
}

/// Counts the bytes that are read.
struct Counting(MemoryFile, Arc<std::sync::atomic::AtomicUsize>);

impl DiskFile for Counting {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> std::io::Result<usize> {
        let count = self.0.read_at(offset, buf)?;
        self.1
            .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
        Ok(count)
    }
    fn size(&self) -> std::io::Result<u64> {
        self.0.size()
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_at(offset, bytes)
    }
    fn set_len(&mut self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }
    fn preallocate(&mut self, len: u64) -> std::io::Result<()> {
        self.0.preallocate(len)
    }
    fn sync_data(&mut self) -> std::io::Result<()> {
        self.0.sync_data()
    }
    fn sync_all(&mut self) -> std::io::Result<()> {
        self.0.sync_all()
    }
}

/// A disk with two log files; the second begins at zxid 4.
fn disk_with_two_logs() -> SimDisk {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    server.create("/later", b"");
    server.sync();
    disk
}

#[test]
fn a_torn_file_before_the_last_needs_a_successor_that_continues_there() {
    let disk = disk_with_two_logs();
    let bytes = log_bytes(&disk);
    let (offsets, end) = offsets(&bytes);
    // Half a record that nobody acknowledged, and the next file begins where the history ends.
    let mut longer = bytes[..end as usize].to_vec();
    longer.extend_from_slice(&bytes[offsets[2] as usize..end as usize - 20]);
    let harmless = with_log(&disk, &longer);
    let recovered = recover_sim(&harmless).unwrap();
    assert_eq!((recovered.last_zxid, recovered.notes.len()), (Zxid(4), 1));
    assert_eq!(
        harmless.get(&in_folder(LOG)).unwrap(),
        longer,
        "nothing to cut"
    );
    // A record is missing in between.
    let short = with_log(&disk, &bytes[..end as usize - 5]);
    assert_refused(&short, offsets[2]);
    // A file that ends cleanly too early is a gap in the next one.
    let gap = with_log(&disk, &bytes[..offsets[2] as usize]);
    let error = recover_sim(&gap).err().expect("it started");
    let StorageError::Gap {
        path, after, found, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (path, *after, *found),
        (&in_folder("log.4"), Zxid(2), Zxid(4))
    );
}

#[test]
fn a_new_epoch_may_begin_anywhere_but_a_gap_inside_one_is_fatal() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/a", b"");
    server.zxid = Zxid(0x1_0000_0000);
    server.create("/b", b"");
    server.zxid = Zxid(0x3_0000_0004);
    server.create("/c", b"");
    server.sync();
    assert_eq!(recover_sim(&disk).unwrap().last_zxid, Zxid(0x3_0000_0005));
    server.zxid = Zxid(0x3_0000_0006);
    server.create("/d", b"");
    server.sync();
    assert!(matches!(recover_sim(&disk), Err(StorageError::Gap { .. })));
}

#[test]
fn repeated_zxids_of_a_java_server_are_accepted() {
    let disk = disk_with_log(3);
    let bytes = log_bytes(&disk);
    let (offsets, end) = offsets(&bytes);
    let mut repeated = bytes[..end as usize].to_vec();
    repeated.extend_from_slice(&bytes[offsets[2] as usize..end as usize]);
    let recovered = recover_sim(&with_log(&disk, &repeated)).unwrap();
    assert_eq!((recovered.last_zxid, recovered.replayed), (Zxid(3), 4));
}

#[test]
fn a_record_with_a_good_checksum_and_a_bad_body_stops_the_start() {
    let disk = disk_with_log(1);
    for payload in [&[1u8; 10][..], &[1; 40]] {
        let mut log = LogWriter::new(Arc::new(disk.clone()), dirs().log, small_logs());
        log.append(Zxid(1), &[0; 32]);
        drop(log);
        let mut bytes = bytes::BytesMut::from(&log_bytes(&disk)[..]);
        let (_, end) = offsets(&log_bytes(&disk));
        bytes.truncate(end as usize);
        bytes.extend_from_slice(&u64::from(simd_adler32::adler32(&payload)).to_be_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(b"B");
        assert_refused(&with_log(&disk, &bytes), end);
    }
}

#[test]
fn a_record_over_every_limit_is_read_if_it_is_whole() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    server.create("/huge", &vec![7; 5 << 20]);
    server.create("/small", b"x");
    server.sync();
    let recovered = recover_sim(&disk).unwrap();
    let huge = recovered.tree.find("/huge").unwrap();
    assert_eq!(recovered.tree.data(huge).map(<[u8]>::len), Some(5 << 20));
}

#[test]
fn a_header_that_was_not_written_in_full_holds_nothing() {
    let disk = disk_with_two_logs();
    let header = log_bytes(&disk).slice(..16);
    for len in 0..16 {
        let cut = disk.fork(1);
        cut.put(&in_folder("log.5"), &header[..len]);
        let recovered = recover_sim(&cut).unwrap();
        assert_eq!(
            (recovered.last_zxid, recovered.notes.len()),
            (Zxid(4), 1),
            "{len}"
        );
        assert_eq!(cut.get(&in_folder("log.5")), None);
    }
    let padded = disk.fork(1);
    padded.put(&in_folder("log.5"), &[0; 16400]);
    assert_eq!(recover_sim(&padded).unwrap().last_zxid, Zxid(4));
    let foreign = disk.fork(1);
    foreign.put(&in_folder("log.5"), b"hello");
    assert!(matches!(
        recover_sim(&foreign),
        Err(StorageError::DamagedLog { .. })
    ));
}

#[test]
fn a_snapshot_that_does_not_load_gives_way_to_an_older_one() {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    server.snapshot().unwrap();
    server.create("/later", b"");
    server.sync();
    let expected = picture(&recover_sim(&disk).unwrap().tree);
    let newest = in_folder("snapshot.3");
    let whole = disk.get(&newest).unwrap();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        let damaged = disk.fork(1);
        damaged.put(&newest, &flipped);
        let recovered = recover_sim(&damaged).unwrap();
        assert_eq!(picture(&recovered.tree), expected, "byte {at}");
        // Version and dbid of the header are nobody's business, as in Java; so is the path in a seal.
        if let [(path, reason)] = &recovered.skipped[..] {
            assert_eq!(path, &newest);
            assert!(recovered.notes[0].contains(reason) && !reason.is_empty());
        }
    }
    for len in 0..whole.len() {
        let damaged = disk.fork(1);
        damaged.put(&newest, &whole[..len]);
        assert_eq!(
            picture(&recover_sim(&damaged).unwrap().tree),
            expected,
            "cut to {len}"
        );
    }
}

#[test]
fn snapshots_of_which_none_loads_stop_the_start() {
    let disk = disk_with_log(3);
    let mut bytes = disk.get(&in_folder("snapshot.0")).unwrap();
    bytes[40] ^= 1;
    disk.put(&in_folder("snapshot.0"), &bytes);
    let before = disk.changes();
    let error = recover_sim(&disk).err().expect("it started");
    assert!(
        matches!(error, StorageError::NoSnapshotLoads { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("snapshot.0: "), "{error}");
    assert_eq!(disk.changes(), before);
}

#[test]
fn an_older_snapshot_without_the_logs_behind_it_stops_the_start() {
    let disk = disk_with_log(3);
    let mut server = Server::start(&disk).unwrap();
    server.snapshot().unwrap();
    server.create("/later", b"");
    server.sync();
    disk.put(&in_folder("snapshot.3"), b"");
    let reached = disk.fork(1);
    reached.remove(&in_folder("log.1")).unwrap();
    assert!(matches!(
        recover_sim(&reached),
        Err(StorageError::Gap { .. })
    ));
    reached.remove(&in_folder("log.4")).unwrap();
    assert!(matches!(
        recover_sim(&reached),
        Err(StorageError::BehindSnapshot { .. })
    ));
}

#[test]
fn the_log_is_cut_behind_a_zxid_also_where_no_record_has_it() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for zxid in [1, 2, 0x1_0000_0001, 0x1_0000_0002, 0x2_0000_0001] {
        server.log.roll();
        server.zxid = Zxid(zxid - 1);
        server.create(&format!("/z{zxid}"), b"");
        server.sync();
    }
    for (to, last) in [
        (2, 2),
        (9, 2),
        (0x1_0000_0001, 0x1_0000_0001),
        (i64::MAX, 0x2_0000_0001),
    ] {
        let cut = disk.fork(1);
        truncate(&cut, &dirs().log, Zxid(to)).unwrap();
        cut.reboot();
        assert_eq!(
            recover_sim(&cut).unwrap().last_zxid,
            Zxid(last),
            "to {to:#x}"
        );
    }
    let one_file = disk_with_log(5);
    let report = truncate(&one_file, &dirs().log, Zxid(3)).unwrap();
    assert_eq!((report.cut, report.removed), (Some(in_folder(LOG)), vec![]));
    one_file.reboot();
    assert_eq!(recover_sim(&one_file).unwrap().last_zxid, Zxid(3));
    let report = truncate(&one_file, &dirs().log, Zxid(0)).unwrap();
    assert_eq!((report.cut, report.removed), (None, vec![in_folder(LOG)]));
    one_file.reboot();
    assert_eq!(recover_sim(&one_file).unwrap().last_zxid, Zxid(0));
}

#[test]
fn readers_survive_any_bytes() {
    use rand::{Rng, SeedableRng};
    let mut rng = rand::rngs::SmallRng::seed_from_u64(7);
    let log = golden("standalone-3.9.5/log.1").slice(..4000);
    let packed = ["snapshot.21", "snapshot.23.gz", "snapshot.23.snappy"];
    let snapshots = packed.map(|name| {
        (
            golden(&format!("standalone-3.9.5/{name}")),
            Compression::of_file(name),
        )
    });
    for _ in 0..3000 {
        let mut mangle = |bytes: &Bytes| {
            let mut bytes = bytes.to_vec();
            bytes.truncate(rng.random_range(0..=bytes.len()));
            for _ in 0..rng.random_range(0..8) {
                let at = rng.random_range(0..bytes.len().max(1));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = *[0, 0xff, 0x7f, rng.random()]
                        .get(rng.random_range(0..4))
                        .unwrap();
                }
            }
            Bytes::from(bytes)
        };
        let _ = scan(mangle(&log));
        for (bytes, compression) in &snapshots {
            let _ = snapshot::check(mangle(bytes), *compression, Zxid(1), extended());
        }
    }
}
