//! What a hub says at its start about a store that it cannot use, or that has other files.

use std::net::TcpListener;
use std::time::Duration;

use tim_hub::{Hub, HubOptions};
use tim_proto::MessageKind;
use tim_proto::request::FilePart;

use super::{Bucket, forbidden, server};
use crate::support::{Device, TestHub, app, c2c};

#[test]
fn a_store_that_cannot_be_used_is_explained_at_the_start() {
    let Some(mut bucket) = Bucket::new("unusable") else {
        return;
    };
    let data = tempfile::tempdir().unwrap();
    for (code, words) in [
        ("SignatureDoesNotMatch", "the key is not accepted"),
        ("InvalidAccessKeyId", "the key is not accepted"),
        ("RequestTimeTooSkewed", "the clock of this machine is wrong"),
        ("AccessDenied", "it needs s3:ListBucket"),
    ] {
        bucket.line.answer(forbidden(code));
        let text = bucket.refused(&data);
        assert!(text.contains(words) && text.contains(code), "{text}");
        assert!(!text.contains("a-secret"), "{text}");
    }
    bucket.line.cut();
    assert!(bucket.refused(&data).contains("see that the endpoint is right"));
    // One that accepts and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    bucket.options.endpoint = Some(format!("http://{}", silent.local_addr().unwrap()));
    bucket.options.time_limit = Duration::from_millis(300);
    let text = bucket.refused(&data);
    assert!(text.contains("did not answer"), "{text}");
    bucket.line.mend();
    bucket.options.time_limit = Duration::from_secs(30);
    bucket.options.endpoint = Some(format!("http://{}", bucket.line.address));
    bucket.options.bucket = "no-such-bucket".to_owned();
    let text = bucket.refused(&data);
    assert!(text.contains("there is no such bucket"), "{text}");
}

#[test]
fn a_key_that_the_store_does_not_know_is_refused_at_the_start() {
    let Some(server) = server("TIM_TEST_S3_STRICT") else {
        return;
    };
    let bucket = Bucket::at(server, "strict");
    let text = bucket.refused(&tempfile::tempdir().unwrap());
    assert!(text.contains("the key is not accepted"), "{text}");
    assert!(!text.contains("a-secret") && !text.contains("an-id"), "{text}");
}

#[test]
fn files_are_not_lost_because_a_hub_is_started_with_another_store() {
    let Some(bucket) = Bucket::new("first") else {
        return;
    };
    let Some(other) = Bucket::new("second") else {
        return;
    };
    let hub = bucket.start();
    let mut alice = Device::login(&hub, "alice", 1);
    let sequence = alice.send_file(c2c("bob"), MessageKind::FILE, b"there");
    drop(alice);
    let data = hub.stop();
    // Another bucket, and a directory.
    let text = other.refused(&data);
    assert!(text.contains("use that store"), "{text}");
    let text = Hub::open(data.path(), HubOptions::new(app()))
        .err()
        .unwrap()
        .to_string();
    assert!(text.contains("the files are in the store of objects"), "{text}");
    // Another hub.
    let text = bucket.refused(&tempfile::tempdir().unwrap());
    assert!(text.contains("the files of another hub"), "{text}");
    // Copied with all objects, the other bucket will do.
    let object = bucket.objects().remove(0);
    let mark = bucket.ask("GET", "hub/tim-files", b"");
    let mark = mark.split("\r\n\r\n").nth(1).unwrap();
    other.ask("PUT", "hub/tim-files", mark.as_bytes());
    other.ask("PUT", &object, b"there");
    let hub = other.start_on(data);
    let mut alice = Device::login(&hub, "alice", 1);
    let content = alice.download(c2c("bob"), sequence, FilePart::FILE);
    assert_eq!(content.unwrap(), b"there");
    // And back into a directory.
    drop(alice);
    let data = hub.stop();
    let content = data.path().join("files/content");
    let path = content.join(object.strip_prefix("hub/").unwrap());
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, b"there").unwrap();
    std::fs::write(content.join("tim-files"), mark).unwrap();
    let hub = TestHub::start_on(data, |_| ());
    let mut alice = Device::login(&hub, "alice", 1);
    let content = alice.download(c2c("bob"), sequence, FilePart::FILE);
    assert_eq!(content.unwrap(), b"there");
    drop(alice);
    // Files in the directory are not forgotten either.
    let text = other.refused(&hub.stop());
    assert!(
        text.contains("the files of another hub") || text.contains("aws s3 sync"),
        "{text}"
    );
}
