//! `--timeout`: hubs that do not answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use tim_proto::wire::{Frame, Hello, Parsed};

use super::chat::{Chat, World};
use super::run;

/// Takes connections and says nothing; its address.
fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || listener.incoming().map_while(Result::ok).collect::<Vec<_>>());
    address
}

/// A way to a hub on which nothing of the client's comes through behind its login; its address.
fn deaf(hub: &str) -> String {
    let (listener, hub) = (TcpListener::bind("127.0.0.1:0").unwrap(), hub.to_owned());
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let hub = TcpStream::connect(&hub).unwrap();
            let (down, up) = (client.try_clone().unwrap(), hub.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut &hub, &mut &down));
            thread::spawn(move || pass_login(&client, &up));
        }
    });
    address
}

fn pass_login(mut client: &TcpStream, mut hub: &TcpStream) {
    let (mut received, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let len = client.read(&mut chunk).unwrap();
        assert!(len > 0, "it left before it logged in");
        let passed = received.len();
        received.extend_from_slice(&chunk[..len]);
        let behind_hello = received.get(Hello::LEN..).unwrap_or_default();
        if let Ok(Parsed::Frame(_, len)) = Frame::parse(behind_hello, 1 << 20) {
            hub.write_all(&received[passed..Hello::LEN + len]).unwrap();
            break;
        }
        hub.write_all(&received[passed..]).unwrap(); // the hub answers the hello before there is a login
    }
    let _ = std::io::copy(&mut client, &mut std::io::sink());
    let _ = hub.shutdown(Shutdown::Both);
}

#[test]
fn a_peer_that_says_nothing_is_given_up_and_told_for_what_it_is() {
    let world = World::new(); // for its key
    let address = silent();
    let args = ["send", "bob", "hi", "--hub", &address, "--timeout", "2"];
    let ran = world.tim("alice", &args, "");
    assert_eq!((ran.code, &*ran.out), (3, ""), "{}", ran.err);
    let connecting = format!("connecting to tim://{address} ...\n");
    assert!(ran.err.starts_with(&connecting), "{}", ran.err);
    assert!(ran.err.contains("does not respond as a hub does"), "{}", ran.err);
}

#[test]
fn a_hub_that_lets_in_and_then_answers_nothing_is_given_up_by_every_command_that_ends() {
    let world = World::new();
    let address = deaf(&world.address());
    let commands = [
        &["send", "bob", "hi"][..],
        &["history", "bob"],
        &["conversations"],
        &["profile", "bob"],
        &["group", "list"],
    ];
    thread::scope(|scope| {
        for command in commands {
            let (world, address) = (&world, &address);
            scope.spawn(move || {
                let args = [command, &["--hub", address, "--timeout", "1"]].concat();
                let ran = world.tim("alice", &args, "");
                assert_eq!((ran.code, &*ran.out), (3, ""), "{command:?}: {}", ran.err);
                let told = format!("no answer from the hub at tim://{address} within 1 s");
                assert!(ran.err.contains(&told), "{command:?}: {}", ran.err);
            });
        }
    });
}

#[test]
fn of_several_hubs_any_will_do_and_all_are_named_if_none_does() {
    let world = World::new();
    // Nobody listens there any more.
    let gone = [(); 2].map(|()| {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string()
    });
    let both = format!("{},{}", gone[0], world.address());
    world
        .tim("alice", &["send", "bob", "hi", "--hub", &both], "")
        .ok();
    let args = ["send", "bob", "hi", "--hub", &gone[0], "--hub", &world.address()];
    world.tim("alice", &args, "").ok();
    let ran = world.tim("alice", &["send", "bob", "hi", "--hub", &gone.join(",")], "");
    assert_eq!((ran.code, &*ran.out), (3, ""), "{}", ran.err);
    assert!(
        gone.iter().all(|hub| ran.err.contains(&format!("tim://{hub}: "))),
        "{}",
        ran.err
    );
    let mixed = format!("{},serial:/dev/ttyS0", world.address());
    let ran = world.tim("alice", &["send", "bob", "hi", "--hub", &mixed], "");
    assert_eq!(ran.code, 2, "{}", ran.err);
}

#[test]
fn a_refusal_that_lasts_until_the_time_limit_is_told_and_not_that_there_is_no_answer() {
    let world = World::new();
    // The file store cannot write.
    let staging = world.data.join("files/staging");
    std::fs::remove_dir_all(&staging).unwrap();
    std::fs::write(&staging, "in the way").unwrap();
    let path = world.data.join("a.txt");
    std::fs::write(&path, "hello").unwrap();
    let args = ["send", "bob", "--file", path.to_str().unwrap(), "--timeout", "2"];
    let ran = world.tim("alice", &args, "");
    assert_eq!((ran.code, &*ran.out), (1, ""), "{}", ran.err);
    assert!(ran.err.contains("200036"), "{}", ran.err);
    assert!(!ran.err.contains("no answer"), "{}", ran.err);
}

#[test]
fn a_chat_that_is_connected_goes_on_for_longer_than_the_time_out() {
    let world = World::new();
    let mut chat = Chat::start(&world.data, &["--as", "alice", "bob", "--timeout", "1"]);
    world.tim("bob", &["send", "alice", "before"], "").ok();
    chat.expect(&["before"]);
    // Begins later than the chat and waits as long.
    let address = silent();
    let data = world.data.to_str().unwrap();
    let args = [
        "conversations",
        "--as",
        "carol",
        "--data",
        data,
        "--hub",
        &address,
        "--timeout",
        "1",
    ];
    assert_eq!(run(args, "").code, 3);
    world.tim("bob", &["send", "alice", "after"], "").ok();
    chat.expect(&["after"]);
    chat.type_line("still here");
    assert_eq!(chat.leave(), Some(0));
}
