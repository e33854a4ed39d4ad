//! Unix sockets: who can connect, and what happens to the file.

#![cfg(all(unix, feature = "unix"))]

mod support;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use support::{driver, hub, log_in_and_out};
use tim_transport_std::address::{Address, UnixAddress};
use tim_transport_std::{AnyConnector, ConnectOptions, Connector, UnixConnector, unix};
use tokio::net::UnixStream;

/// What is in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn logs_in_and_out_over_a_socket_that_is_gone_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tim.sock");
    for mode in [0o600, 0o660] {
        let (listener, file) = unix::listen(&path, mode).await.unwrap();
        assert_eq!(names(dir.path()), ["tim.sock"]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        let address = Address::Unix(UnixAddress::new(path.to_str().unwrap()).unwrap());
        let connector = AnyConnector::new(&address, &ConnectOptions::default()).unwrap();
        let mut driver = driver(connector);
        let serve = async { hub(listener.accept().await.unwrap().0).await };
        tokio::join!(log_in_and_out(&mut driver), serve);
        drop(file);
        assert!(names(dir.path()).is_empty());
        let mut connector = UnixConnector::new(&path);
        assert_eq!(connector.connect().await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn a_socket_that_nobody_listens_at_is_replaced_and_another_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tim.sock");
    let (listener, file) = unix::listen(&path, 0o600).await.unwrap();
    let in_use = unix::listen(&path, 0o600).await.unwrap_err();
    assert_eq!(in_use.kind(), ErrorKind::AddrInUse, "{in_use}");
    UnixStream::connect(&path).await.unwrap();

    // As a killed process leaves it.
    std::mem::forget(file);
    drop(listener);
    assert_eq!(names(dir.path()), ["tim.sock"]);
    let (listener, file) = unix::listen(&path, 0o600).await.unwrap();
    assert_eq!(names(dir.path()), ["tim.sock"]);
    let (connected, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
    assert!(connected.is_ok() && accepted.is_ok());

    // What somebody else has put in its place stays.
    fs::remove_file(&path).unwrap();
    fs::write(&path, "notes").unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    let error = unix::listen(&path, 0o600).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("no socket"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "notes");
    assert_eq!(names(dir.path()), ["tim.sock"]);
}

#[tokio::test]
async fn a_directory_that_is_missing_is_an_error_of_the_system() {
    let dir = tempfile::tempdir().unwrap();
    let error = unix::listen(dir.path().join("not/there"), 0o600)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
