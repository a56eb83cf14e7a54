//! Logs that a restart does not need are left to the disk.

use super::*;

#[test]
fn the_log_before_the_last_is_forgotten_bit_by_bit_and_no_other() {
    let disk = SimDisk::new(1);
    let mut server = Server::start(&disk).unwrap();
    for n in 1..=3 {
        server.create(&format!("/z{n}"), &[7; 100]);
        server.sync();
        server.log.roll();
    }
    let forgotten = |name: &str| disk.forgotten(&in_folder(name)).unwrap();
    assert!(forgotten("log.1") > 0);
    assert_eq!((forgotten("log.2"), forgotten("log.3")), (0, 0));
    for n in 0..100 {
        server.create(&format!("/more{n}"), b"");
        server.sync();
    }
    let whole = disk.open(&in_folder("log.2")).unwrap().size().unwrap();
    assert!(forgotten("log.2") >= whole);
    assert_eq!((forgotten("log.3"), forgotten("log.4")), (0, 0));
}
