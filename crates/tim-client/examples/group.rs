//! A group from its creation to a message that everybody has read: the owner invites a member, both talk, and the owner
//! mutes the group. A hub runs in memory, so nothing else is needed.
//!
//! ```sh
//! cargo run -p tim-client --example group
//! ```
#![allow(clippy::print_stdout)] // an example prints

use std::time::{SystemTime, UNIX_EPOCH};

use tim_client::transport::{MemoryConnector, memory_listener};
use tim_client::{
    Client, CreateGroup, Event, EventStream, GroupType, MENTION_ALL, SendOptions, UpdateGroupProfile, UserId,
};
use tim_hub::usersig::{App, UserSig};
use tim_hub::{Hub, HubOptions};

type Error = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let directory = tempfile::tempdir()?;
    let app = App::new(1_400_000_000, "an-app-key-that-nobody-can-guess");
    let hub = Hub::open(directory.path(), HubOptions::new(app.clone()))?;
    let (connector, mut listener) = memory_listener();
    let accept = async {
        while let Some(stream) = listener.accept().await {
            hub.spawn(stream);
        }
    };
    tokio::select! {
        result = talk(&app, &connector) => result?,
        () = accept => {}
    }
    hub.shut_down().await;
    Ok(())
}

async fn talk(app: &App, connector: &MemoryConnector) -> Result<(), Error> {
    let (alice, _) = log_in(app, "alice", connector).await?;
    let (bob, mut bobs_events) = log_in(app, "bob", connector).await?;

    // The hub generates the id.
    let group = CreateGroup {
        members: vec![bob.user()],
        ..CreateGroup::new(GroupType::PUBLIC, "Hikers")
    };
    let group = alice.create_group(group).await?.group_id;
    println!("alice created {group}");

    let text = alice.create_text_at_message(group, "@all we start at nine", &[MENTION_ALL])?;
    alice.send_message(&text, SendOptions::default()).await?;
    let received = next_text(&mut bobs_events)
        .await
        .ok_or("bob's events have ended")?;
    println!("bob received: {received}");
    bob.set_message_read(group).await?;

    // From now on only the owner and the admins may send messages.
    let quiet = UpdateGroupProfile {
        mute_all: Some(true),
        ..UpdateGroupProfile::default()
    };
    alice.update_group_profile(group, quiet).await?;
    let reply = bob.create_text_message(group, "I will be there")?;
    match bob.send_message(&reply, SendOptions::default()).await {
        Ok(_) => return Err("a muted member could send a message".into()),
        Err(error) => println!("bob's reply is refused: {error}"),
    }
    Ok(())
}

/// A client that is logged in and ready.
async fn log_in(app: &App, name: &str, connector: &MemoryConnector) -> Result<(Client, EventStream), Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let user = UserId::new(name)?;
    let user_sig = UserSig::sign(app, &user, now, 3600);
    let client = Client::builder(app.id, user, user_sig).build(connector.clone());
    let events = client.events();
    client.login().await?;
    client.wait_until_ready().await?;
    Ok((client, events))
}

/// The next text message. Tips and notices arrive as messages too, and are skipped.
async fn next_text(events: &mut EventStream) -> Option<String> {
    while let Some(event) = events.next().await {
        if let Event::MessageReceived(messages) = event
            && let Some(text) = messages.iter().find_map(|message| message.text())
        {
            return Some(text.to_owned());
        }
    }
    None
}
