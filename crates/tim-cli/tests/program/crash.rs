//! A hub that is killed in the middle of things: what was acknowledged is there once, and nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tim_client::{
    Client, ConversationId, CreateGroup, ErrorCode, Event, EventStream, FilePart, GroupId, GroupType, Source,
};
use tim_testkit::user;
use tim_usersig::{App, UserSig};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::serve::Served;

const APP: u32 = 1_400_000_000;
const KEY: &str = "a key that is good enough for a test";
/// How often the hub is killed.
const KILLS: u64 = 10;
/// How many messages each sender has under way, each in a line of its own.
const LINES: usize = 8;
/// Long enough for anything; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was said: the conversation as bob names it, the sequence, the text. Tips have no text.
type Said = BTreeMap<String, BTreeMap<u64, String>>;

fn crew() -> ConversationId {
    ConversationId::Group(GroupId::new("crew").unwrap())
}

/// A device that comes back quickly. Not logged in.
fn device(address: &str, name: &str, number: u64, from_start: bool) -> Client {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let sig = UserSig::sign(&App::new(APP, KEY), &user(name), now, 3600);
    let mut builder = Client::builder(APP, user(name), sig)
        .device(number)
        .session(|config| {
            config.backoff_min = Duration::from_millis(2);
            config.backoff_max = Duration::from_millis(20);
            config.request_timeout = PATIENCE;
        });
    if from_start {
        builder = builder.resume_from_start();
    }
    builder.build_tcp(address)
}

async fn ready(client: Client) -> Client {
    client.login().await.unwrap();
    client.wait_until_ready().await.unwrap();
    client
}

/// Sends one message after another until it is told to stop, and returns where each was stored.
async fn send_on(
    client: Client,
    to: ConversationId,
    line: usize,
    stop: Arc<AtomicBool>,
    count: watch::Sender<u64>,
) -> (String, Vec<(u64, String)>) {
    let name = match to {
        ConversationId::C2c(_) => format!("C2C{}", client.user()),
        other => other.to_string(),
    };
    let mut stored = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let text = format!("{} {line} {}", client.user(), stored.len());
        let message = client.create_text_message(to, &text).unwrap();
        let mut sent = client.send_message(&message, Default::default()).await;
        // The session itself sends again over a cut. What the dying hub still refused is sent again from here.
        while let Err(error) = &sent {
            let codes = [
                ErrorCode::OUTCOME_UNKNOWN,
                ErrorCode::SERVER_SHUTTING_DOWN,
                ErrorCode::OPEN_SERVICE_OVERLOAD_ERROR,
            ];
            assert!(codes.contains(&error.code), "{error}");
            sent = client.resend_message(&message).await;
        }
        stored.push((message.sequence(), text));
        count.send_modify(|count| *count += 1);
    }
    (name, stored)
}

/// Reads events until every conversation is there up to these sequences, and returns what came, in order.
async fn receive(
    mut events: EventStream,
    mut heads: watch::Receiver<Option<Arc<Said>>>,
) -> Vec<(String, u64, String)> {
    let mut seen = Vec::new();
    let mut last = BTreeMap::new();
    loop {
        let complete = heads.borrow_and_update().as_ref().is_some_and(|said| {
            said.iter()
                .all(|(name, entries)| last.get(name) >= entries.keys().next_back())
        });
        if complete {
            return seen;
        }
        let event = tokio::select! {
            event = events.next() => event.expect("the client goes on"),
            Ok(()) = heads.changed() => continue,
        };
        match event {
            Event::MessageReceived(messages) => {
                for message in messages {
                    let name = message.conversation_id().to_string();
                    last.insert(name.clone(), message.sequence());
                    seen.push((
                        name,
                        message.sequence(),
                        message.text().unwrap_or_default().to_owned(),
                    ));
                }
            }
            Event::Gap(gap) => panic!("{gap:?}"),
            Event::KickedOut(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// All of a conversation, by sequence.
async fn history(client: &Client, conversation: ConversationId) -> BTreeMap<u64, String> {
    let mut all = BTreeMap::new();
    let mut page = client.get_message_list(conversation, None, None).await.unwrap();
    loop {
        for message in &page.message_list {
            let text = message.text().unwrap_or_default().to_owned();
            assert_eq!(all.insert(message.sequence(), text), None, "twice in the history");
        }
        if page.is_completed {
            return all;
        }
        let next = page.next_req_message_id;
        page = client
            .get_message_list(conversation, Some(&next), None)
            .await
            .unwrap();
    }
}

/// Kills the hub again and again while the senders send, each time a random number of acknowledgements later.
async fn kill_again_and_again(
    data: &Path,
    mut hub: Served,
    mut count: watch::Receiver<u64>,
    seed: u64,
) -> Served {
    let (address, mut random) = (hub.address.clone(), seed);
    for _ in 0..KILLS {
        // xorshift64
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let target = *count.borrow_and_update() + 20 + random % 200;
        let reached = tokio::time::timeout(PATIENCE, count.wait_for(|count| *count >= target));
        reached.await.expect("the senders go on").unwrap();
        drop(hub); // SIGKILL
        hub = start(data, &address);
    }
    hub
}

fn start(data: &Path, listen: &str) -> Served {
    Served::start_at(
        data,
        listen,
        &["--key", KEY, "--send-rate", "0", "--group-rate", "0"],
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_killed_under_load_keeps_what_it_acknowledged_and_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let hub = start(dir.path(), "127.0.0.1:0");
    let address = hub.address.clone();
    let (alice, carol) = (
        ready(device(&address, "alice", 1, false)).await,
        ready(device(&address, "carol", 2, false)).await,
    );
    let bob = device(&address, "bob", 3, false);
    let (tell, heads) = watch::channel(None);
    let online = tokio::spawn(receive(bob.events(), heads.clone()));
    let bob = ready(bob).await;
    let group = CreateGroup {
        group_id: Some(GroupId::new("crew").unwrap()),
        members: vec![user("bob"), user("carol")],
        ..CreateGroup::new(GroupType::PUBLIC, "Crew")
    };
    alice.create_group(group).await.unwrap();

    let (stop, (counter, count)) = (Arc::new(AtomicBool::new(false)), watch::channel(0));
    let mut senders = JoinSet::new();
    for line in 0..LINES {
        for (client, to) in [
            (&alice, ConversationId::C2c(user("bob"))),
            (&alice, crew()),
            (&carol, crew()),
        ] {
            senders.spawn(send_on(client.clone(), to, line, stop.clone(), counter.clone()));
        }
    }
    let hub = kill_again_and_again(dir.path(), hub, count, 0x9E37_79B9_7F4A_7C15).await;
    stop.store(true, Ordering::Relaxed);
    let mut said = Said::new();
    said.entry(crew().to_string())
        .or_default()
        .insert(1, String::new()); // who joined
    let lines = tokio::time::timeout(PATIENCE, senders.join_all()).await;
    for (name, stored) in lines.expect("every message is answered in the end") {
        let in_order = stored.windows(2).all(|pair| pair[0].0 < pair[1].0);
        assert!(in_order, "what a sender said later stands later");
        for (sequence, text) in stored {
            let other = said.entry(name.clone()).or_default().insert(sequence, text);
            assert_eq!(other, None, "two messages at one place");
        }
    }
    for (name, entries) in &said {
        let sequences: BTreeSet<u64> = entries.keys().copied().collect();
        assert_eq!(
            sequences,
            (1..=entries.len() as u64).collect(),
            "contiguous: {name}"
        );
    }

    // The history is what was acknowledged, and all of it is unread.
    assert_eq!(history(&bob, crew()).await, said[&crew().to_string()]);
    assert_eq!(history(&bob, user("alice").into()).await, said["C2Calice"]);
    let list = bob.get_conversation_list().await.unwrap().conversation_list;
    for (name, entries) in &said {
        let found = list.iter().find(|found| found.id.to_string() == *name).unwrap();
        assert_eq!(found.unread_count as usize, entries.len(), "{name}");
    }

    // Who was there all the time and who comes now have seen each once and in order.
    tell.send_replace(Some(Arc::new(said.clone())));
    let tablet = device(&address, "bob", 4, true);
    let late = tokio::spawn(receive(tablet.events(), heads));
    tablet.login().await.unwrap();
    for device in [online, late] {
        let seen = tokio::time::timeout(PATIENCE, device).await;
        let mut by_conversation = BTreeMap::<String, Vec<(u64, String)>>::new();
        for (name, sequence, text) in seen.expect("everything arrives").unwrap() {
            by_conversation.entry(name).or_default().push((sequence, text));
        }
        for (name, entries) in &said {
            let expected: Vec<_> = entries.clone().into_iter().collect();
            assert_eq!(by_conversation.get(name), Some(&expected), "{name}");
        }
    }
    drop(hub);
}

/// How often the hub is killed during an upload.
const UPLOAD_KILLS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_after_each_kill_of_the_hub_and_the_file_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let mut hub = start(dir.path(), "127.0.0.1:0");
    let address = hub.address.clone();
    let alice = ready(device(&address, "alice", 1, false)).await;
    let content: Vec<u8> = (0..2_500_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let source = Source::bytes("a.bin", content.clone());
    let message = alice.create_file_message(user("bob"), source).await.unwrap();
    let (report, mut progress) = watch::channel(0);
    let message = message.with_progress(move |now| report.send_modify(|done| *done = now.done));
    let sending = tokio::spawn({
        let (client, message) = (alice.clone(), message.clone());
        async move {
            let mut sent = client.send_message(&message, Default::default()).await;
            while let Err(error) = &sent {
                assert!(
                    error.code.is_transient() || error.code == ErrorCode::OUTCOME_UNKNOWN,
                    "{error}"
                );
                sent = client.resend_message(&message).await;
            }
        }
    });
    for kill in 0..UPLOAD_KILLS {
        let target = content.len() as u64 * (kill + 1) / (UPLOAD_KILLS + 2);
        let reached = tokio::time::timeout(PATIENCE, progress.wait_for(|done| *done >= target));
        reached.await.expect("the upload goes on").unwrap();
        drop(hub); // SIGKILL
        hub = start(dir.path(), &address);
    }
    tokio::time::timeout(PATIENCE, sending)
        .await
        .expect("it is sent in the end")
        .unwrap();
    let bob = ready(device(&address, "bob", 2, false)).await;
    let page = bob.get_message_list(user("alice"), None, None).await.unwrap();
    let [received] = &page.message_list[..] else {
        panic!("{page:?}")
    };
    let read = bob
        .download(received, FilePart::FILE)
        .unwrap()
        .to_bytes(content.len())
        .await
        .unwrap();
    assert!(read == content, "the file is another one");
    drop(hub);
}
