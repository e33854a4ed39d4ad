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
    assert!(error.to_string().contains("not a socket"), "{error}");
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

#[test]
fn of_two_who_replace_the_same_socket_one_listens_there_and_the_other_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tim.sock");
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    for _ in 0..200 {
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap()); // leaves its file behind
        let start = std::sync::Barrier::new(2);
        let listen = || {
            let runtime = runtime();
            start.wait();
            runtime
                .block_on(unix::listen(&path, 0o600))
                .map(|(listener, file)| {
                    let listener = runtime.block_on(async { listener.into_std().unwrap() });
                    (listener, file)
                })
        };
        let [one, other] = std::thread::scope(|scope| {
            let threads = [scope.spawn(listen), scope.spawn(listen)];
            threads.map(|thread| thread.join().unwrap())
        });
        let ((Ok((listener, file)), Err(error)) | (Err(error), Ok((listener, file)))) = (one, other) else {
            panic!("both or none listen");
        };
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert_eq!(names(dir.path()), ["tim.sock"]);
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener.accept().expect("the one who listens is reached");
        drop(file);
        assert!(names(dir.path()).is_empty());
    }
}

/// Where a socket has a path as long as the system allows, one can be listened at, whatever the number of the process is.
#[tokio::test]
async fn a_path_may_be_as_long_as_that_of_a_socket_and_a_longer_one_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let fits = |path: &Path| std::os::unix::net::SocketAddr::from_pathname(path).is_ok();
    let mut deep = dir.path().join("d");
    while fits(&deep.join("d/tim.sock")) {
        deep = Path::new(&format!("{}d", deep.display())).to_owned();
    }
    fs::create_dir(&deep).unwrap();
    let path = deep.join("tim.sock");
    assert!(fits(&path) && !fits(&deep.join("d.tim.sock")));
    let (_listener, _file) = unix::listen(&path, 0o600).await.unwrap();
    UnixConnector::new(&path).connect().await.unwrap();
    for name in ["longer.sock".to_owned(), "x".repeat(200)] {
        let error = unix::listen(deep.join(name), 0o600).await.unwrap_err();
        assert_eq!(error.to_string(), "the path is too long for a Unix socket");
    }
    assert_eq!(names(&deep), ["tim.sock"]);
}
