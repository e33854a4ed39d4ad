//! What cannot go on: a disk that cannot be read, a configuration that cannot work.

use std::time::Duration;

use tim_hub::usersig::App;
use tim_hub::{Hub, HubError, HubOptions};
use tim_proto::ErrorCode;

use crate::support::{APP, Device, TestHub, c2c};

/// All readings of the store fail from now on: each page of its files is garbage.
fn ruin(hub: &TestHub) {
    for name in ["tim.sqlite3", "tim.sqlite3-wal"] {
        let path = hub.data.path().join(name);
        let len = std::fs::metadata(&path).unwrap().len();
        let garbage = vec![0xff; usize::try_from(len).unwrap()];
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &garbage).unwrap();
    }
}

#[test]
fn a_store_that_can_no_longer_be_read_stops_the_hub() {
    // Nothing is written meanwhile: it is a reader that finds it out.
    let hub = TestHub::start_with(|options| options.purge_interval = Duration::from_secs(3600));
    let mut alice = Device::login(&hub, "alice", 1);
    for _ in 0..20 {
        alice.send(c2c("bob"), &"a long letter ".repeat(500));
    }
    // With this, all of it is in the files, and nothing in memory only.
    alice.create_group("crew", &[]).unwrap();
    ruin(&hub);
    assert_eq!(alice.page(c2c("bob"), &[], 15), Err(ErrorCode::OUTCOME_UNKNOWN));
    drop(alice);
    let ended = hub.ended();
    assert!(matches!(ended, Err(HubError::Store(_))), "{ended:?}");
}

/// A field, and what makes it wrong.
type Wrong = (&'static str, fn(&mut HubOptions));

#[test]
fn a_hub_whose_connections_could_not_work_does_not_open_and_says_which_setting_is_wrong() {
    let data = tempfile::tempdir().unwrap();
    let key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let wrong: [Wrong; 3] = [
        ("login_timeout", |options| {
            options.connection.login_timeout = Duration::ZERO
        }),
        ("keep_alive", |options| {
            options.connection.keep_alive = Duration::ZERO
        }),
        ("max_requests", |options| options.connection.max_requests = 0),
    ];
    for (what, change) in wrong {
        let mut options = HubOptions::new(App::new(APP, key));
        change(&mut options);
        let error = Hub::open(data.path().join("hub"), options).expect_err(what);
        assert!(matches!(error, HubError::Options(_)), "{error:?}");
        assert!(
            error.to_string().contains(&format!("{what} must be at least 1")),
            "{error}"
        );
    }
    assert!(
        !data.path().join("hub").exists(),
        "nothing is made for a hub that does not open"
    );
}
