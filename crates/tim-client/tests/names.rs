//! How users are called, on the sender's own device too. Clients against the real hub, over connections in memory.

#[path = "support/world.rs"]
mod world;

use tim_client::{
    Client, ConversationId, CreateGroup, Event, GroupId, GroupType, Message, SendOptions, UserId,
};
use world::{World, in_time};

fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

async fn say(client: &Client, to: impl Into<ConversationId>, text: &str) -> Message {
    let message = client.create_text_message(to, text).unwrap();
    client
        .send_message(&message, SendOptions::default())
        .await
        .unwrap();
    message
}

fn names(message: &Message) -> [&str; 3] {
    [message.nick(), message.name_card(), message.avatar()]
}

/// A client whose user has a nick and a picture, and a name card in the group `team`, where bob is too.
async fn alice_with_names(world: &World) -> (Client, GroupId) {
    let (alice, _events) = world.log_in("alice", |builder| builder).await;
    alice
        .update_my_profile(Some("Alice A."), Some("https://example.org/a.png"))
        .await
        .unwrap();
    let mut team = CreateGroup::new(GroupType::PUBLIC, "Team");
    team.members = vec![user("bob")];
    let group = alice.create_group(team).await.unwrap().group_id;
    alice
        .set_group_member_name_card(group, user("alice"), "Boss")
        .await
        .unwrap();
    (alice, group)
}

#[tokio::test]
async fn own_messages_carry_nick_picture_and_name_card_on_the_sending_device() {
    let world = World::new();
    let (bob, mut at_bob) = world.log_in("bob", |builder| builder).await;
    let (alice, group) = alice_with_names(&world).await;
    let to_bob = say(&alice, user("bob"), "to a user").await;
    let to_group = say(&alice, group, "to a group").await;
    let picture = "https://example.org/a.png";
    assert_eq!(names(&to_bob), ["Alice A.", "", picture]);
    assert_eq!(names(&to_group), ["Alice A.", "Boss", picture]);
    assert_eq!(to_group.text(), Some("to a group"));
    let listed = alice.get_message_list(group, None, 1).await.unwrap().message_list;
    assert!(listed[0].is_same(&to_group));
    let mut received = Vec::new();
    while received.len() < 2 {
        if let Event::MessageReceived(messages) = in_time(at_bob.next()).await.unwrap() {
            received.extend(messages.into_iter().filter(|message| message.text().is_some()));
        }
    }
    let same = [&to_bob, &to_group].map(names);
    assert_eq!(
        [&received[0], &received[1]].map(names),
        same,
        "all others see the same"
    );
    drop(bob);
    world.end().await;
}
