//! How users are called, on the sender's own device too. Clients against the real hub, over connections in memory.

#[path = "support/world.rs"]
mod world;

use std::sync::Arc;

use tim_client::{
    Client, Conversation, ConversationId, CreateGroup, Event, EventStream, GroupId, GroupType, Message,
    Payload, ReceiveOption, SendOptions,
};
use tim_testkit::user;
use world::{World, in_time};

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

/// The numbers of the notices among these messages.
fn notices(messages: &[Message]) -> Vec<u32> {
    let number = |message: &Message| match message.payload() {
        Payload::SystemNotice(notice) => Some(notice.operation.0),
        _ => None,
    };
    messages.iter().filter_map(number).collect()
}

#[tokio::test]
async fn what_is_only_for_the_programs_never_becomes_the_last_message() {
    let world = World::new();
    let (alice, _events) = world.log_in("alice", |builder| builder).await;
    let (tablet, mut at_tablet) = world.log_in("alice", |builder| builder).await;
    let made = alice
        .create_group(CreateGroup::new(GroupType::PUBLIC, "Team"))
        .await
        .unwrap();
    let option = ReceiveOption::ACCEPT_NOT_NOTIFY;
    alice
        .set_message_remind_type(made.group_id, option)
        .await
        .unwrap();
    let mut heard = Vec::new();
    while !heard.contains(&20) {
        if let Event::MessageReceived(messages) = in_time(at_tablet.next()).await.unwrap() {
            heard.extend(notices(&messages));
        }
    }
    assert_eq!(heard, [6, 20]);
    say(&alice, user("bob"), "news").await;
    let list = loop {
        match in_time(at_tablet.next()).await.unwrap() {
            Event::ConversationListUpdated(list) if list[0].id == ConversationId::C2c(user("bob")) => {
                break list;
            }
            _ => {}
        }
    };
    let last = |list: &[Arc<Conversation>]| {
        let system = list.iter().find(|one| one.id == ConversationId::System).unwrap();
        notices(&[system.last_message.clone().unwrap()])
    };
    assert_eq!(last(&list), [6], "as the events tell it");
    let asked = tablet.get_conversation_list().await.unwrap();
    assert_eq!(last(&asked.conversation_list), [6], "as the hub lists it");
    world.end().await;
}

#[tokio::test]
async fn tips_name_their_users_and_show_the_first_ones_face() {
    let world = World::new();
    let (bob, mut at_bob) = world.log_in("bob", |builder| builder).await;
    bob.update_my_profile(Some("Bob B."), None).await.unwrap();
    let (_alice, group) = alice_with_names(&world).await;
    let tip = loop {
        if let Event::MessageReceived(messages) = in_time(at_bob.next()).await.unwrap()
            && let Some(tip) = messages
                .into_iter()
                .find(|message| matches!(message.payload(), Payload::GroupTip(_)))
        {
            break tip;
        }
    };
    let Payload::GroupTip(joined) = tip.payload() else {
        unreachable!("found as a tip")
    };
    let shown: Vec<&str> = joined
        .members()
        .map(|member| member.names.shown_for(member.id))
        .collect();
    assert_eq!(shown, ["Alice A.", "Bob B."]);
    assert_eq!(joined.operator.shown_for(joined.operator_id), "Alice A.");
    assert_eq!(names(&tip), ["Alice A.", "", "https://example.org/a.png"]);
    assert_eq!(tip.conversation_id(), ConversationId::Group(group));
    world.end().await;
}

/// The conversation as the first event tells of it that has it.
async fn first_told(events: &mut EventStream, id: ConversationId) -> Arc<Conversation> {
    loop {
        if let Event::ConversationListUpdated(list) = in_time(events.next()).await.unwrap()
            && let Some(found) = list.iter().find(|one| one.id == id)
        {
            return found.clone();
        }
    }
}

#[tokio::test]
async fn a_conversation_begun_by_oneself_has_its_name_from_the_first_event_on() {
    let world = World::new();
    let (bob, _at_bob) = world.log_in("bob", |builder| builder).await;
    let picture = "https://example.org/b.png";
    bob.update_my_profile(Some("Bob B."), Some(picture))
        .await
        .unwrap();
    let (alice, mut at_alice) = world.log_in("alice", |builder| builder).await;
    let (_tablet, mut at_tablet) = world.log_in("alice", |builder| builder).await;
    let peer = ConversationId::C2c(user("bob"));
    say(&alice, user("bob"), "hello").await;
    for events in [&mut at_alice, &mut at_tablet] {
        let told = first_told(events, peer).await;
        assert_eq!((told.name.as_str(), told.avatar.as_str()), ("Bob B.", picture));
        assert_eq!(told.last_message.as_ref().and_then(Message::text), Some("hello"));
    }
    let made = alice
        .create_group(CreateGroup::new(GroupType::PUBLIC, "Team"))
        .await
        .unwrap();
    let group = ConversationId::Group(made.group_id);
    for events in [&mut at_alice, &mut at_tablet] {
        assert_eq!(first_told(events, group).await.name, "Team");
    }
    // Off the list, and begun again.
    alice.delete_conversation(made.group_id).await.unwrap();
    loop {
        if let Event::ConversationListUpdated(list) = in_time(at_alice.next()).await.unwrap()
            && list.iter().all(|one| one.id != group)
        {
            break;
        }
    }
    say(&alice, made.group_id, "again").await;
    let told = first_told(&mut at_alice, group).await;
    assert_eq!((told.name.as_str(), told.group_type), ("Team", GroupType::PUBLIC));
    assert_eq!(told.unread_count, 0);
    world.end().await;
}
