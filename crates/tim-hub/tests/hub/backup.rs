//! Backups that are made while the hub runs.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tim_hub::BackupError;
use tim_proto::MessageKind;
use tim_proto::request::FilePart;

use crate::support::{Device, Observed, TestHub, c2c};

const RESTORED: Observed = Observed::Gap { from: 0, to: 0 };

/// Puts a backup where a hub is to be started.
pub(crate) fn restore(backup: &Path) -> Arc<tempfile::TempDir> {
    let data = tempfile::tempdir().unwrap();
    for file in fs::read_dir(backup).unwrap() {
        let file = file.unwrap();
        fs::rename(file.path(), data.path().join(file.file_name())).unwrap();
    }
    Arc::new(data)
}

#[test]
fn a_backup_under_load_has_all_that_was_acknowledged_and_a_hub_on_it_announces_what_it_lost() {
    let hub = TestHub::start();
    let [mut alice, mut bob, mut carol] =
        [("alice", 1), ("bob", 2), ("carol", 3)].map(|(name, number)| Device::login(&hub, name, number));
    let before: Vec<String> = (0..100).map(|n| format!("before {n}")).collect();
    for text in &before {
        alice.send(c2c("bob"), text);
    }
    let content = b"what alice shows".repeat(10_000);
    let file = alice.send_file(c2c("bob"), MessageKind::FILE, &content);
    let backups = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| backups.path().join(name));

    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::SeqCst) || sent.load(Ordering::SeqCst) == 0 {
                carol.send(c2c("dave"), "meanwhile");
                sent.fetch_add(1, Ordering::SeqCst);
            }
        });
        let report = hub.shared().back_up(&first, None);
        is_over.store(true, Ordering::SeqCst);
        report.unwrap()
    });
    assert!(report.entries >= 101 && report.files.files == 1, "{report:?}");
    let again = hub.shared().back_up(&first, None);
    assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
    let report = hub.shared().back_up(&second, Some(&first)).unwrap();
    assert_eq!(
        (report.files.files, report.files.shared),
        (1, 1),
        "its file is shared"
    );
    let third = backups.path().join("third");
    let folder = fs::read_dir(second.join("files/content"))
        .unwrap()
        .next()
        .unwrap();
    let copy = fs::read_dir(folder.unwrap().path()).unwrap().next().unwrap();
    let copy = fs::File::options()
        .write(true)
        .open(copy.unwrap().path())
        .unwrap();
    copy.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let report = hub.shared().back_up(&third, Some(&second)).unwrap();
    assert_eq!(report.files.shared, 0, "somebody has written to the earlier copy");
    fs::remove_dir_all(&third).unwrap();
    let left: Vec<_> = fs::read_dir(backups.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "nothing unfinished is left: {left:?}");

    // Another hub makes one of the same name in this directory, and then has been killed.
    let other = fs::File::open(backups.path()).unwrap();
    other.lock_shared().unwrap();
    let theirs = backups.path().join(".third.partial/files");
    fs::create_dir_all(&theirs).unwrap();
    let refused = hub.shared().back_up(&third, None);
    assert!(matches!(refused, Err(BackupError::Exists(_))), "{refused:?}");
    assert!(theirs.exists(), "that one goes on");
    drop(other);
    hub.shared().back_up(&third, None).unwrap();
    fs::remove_dir_all(third).unwrap();
    assert_eq!(fs::read_dir(backups.path()).unwrap().count(), 2);

    alice.send(c2c("bob"), "lost");
    // With the file, and what is lost.
    bob.until_texts(102);
    bob.cut();
    drop(alice);
    drop(hub.stop());

    let hub = TestHub::start_on(restore(&first), |_| ());
    bob.observed.clear();
    bob.move_to(&hub);
    bob.until(|device| device.observed.contains(&RESTORED));
    let mut fresh = Device::login(&hub, "bob", 9);
    assert_eq!(fresh.download(c2c("alice"), file, FilePart::FILE), Ok(content));
    let mut alice = Device::login(&hub, "alice", 7);
    assert_eq!(
        alice.send(c2c("bob"), "new"),
        102,
        "behind all that the backup has"
    );
    bob.until_texts(1);
    assert_eq!(bob.texts(), ["new"]);
    // The second one is as good, though files are shared with the first, which has been used.
    drop(hub.stop());
    let hub = TestHub::start_on(restore(&second), |_| ());
    let mut bob = Device::login(&hub, "bob", 9);
    assert!(bob.download(c2c("alice"), file, FilePart::FILE).is_ok());
}
