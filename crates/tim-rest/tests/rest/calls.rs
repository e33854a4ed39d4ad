//! Every method against a hub, and what devices see of it.

use std::collections::BTreeSet;

use tim_client::{ConversationId, Event};
use tim_rest::json::Content;
use tim_rest::*;

use crate::golden;
use crate::support::{Device, Noting, World, now_s};

#[tokio::test]
async fn every_method_does_what_it_says() {
    let world = World::start();
    let (tim, paths) = Noting::client(world.base());
    accounts(&tim).await;
    messages(&tim, &world).await;
    friends(&tim).await;
    groups(&tim).await;
    members(&tim).await;
    group_messages(&tim, &world).await;
    endings(&tim, &world).await;
    let wanted: BTreeSet<_> = golden::requests().into_iter().map(|(_, path, _)| path).collect();
    assert_eq!(*paths.lock().unwrap(), wanted);
}

async fn accounts(tim: &Client) {
    tim.import_account(
        ImportAccount::new("alice")
            .nick("Alice")
            .avatar("https://example.org/a.png"),
    )
    .await
    .unwrap();
    let imported = tim.import_accounts(["bob", "carol", "dave", " "]).await.unwrap();
    assert_eq!(imported.failed, [" "]);
    let checked = tim.check_accounts(["alice", "nobody"]).await.unwrap().accounts;
    assert_eq!(
        checked
            .iter()
            .map(CheckedAccount::is_imported)
            .collect::<Vec<_>>(),
        [true, false]
    );
    let online = tim
        .online_status(QueryOnline::new(["alice", "nobody"]))
        .await
        .unwrap();
    assert!(!online.users[0].is_online());
    assert_eq!(
        (online.failed[0].user.as_str(), online.failed[0].code),
        ("nobody", 70_107)
    );
}

fn text(message: &StoredMessage) -> Option<&str> {
    match &message.elements.first()?.content {
        Content::Text(text) => Some(&text.text),
        _ => None,
    }
}

async fn messages(tim: &Client, world: &World) {
    let (mut alice, mut bob) = (world.device("alice").await, world.device("bob").await);
    let online = tim
        .online_status(QueryOnline::new(["bob"]).with_devices(true))
        .await
        .unwrap();
    assert!(online.users[0].is_online());
    assert_eq!(online.users[0].devices.len(), 1);

    let message = Message::to("bob")
        .from("alice")
        .text("hi 😀")
        .custom("{}")
        .cloud_custom_data("cd")
        .random(7);
    let sent = tim.send_message(message.clone()).await.unwrap();
    let hi = ("alice".to_owned(), "hi 😀".to_owned());
    assert_eq!(bob.texts(1).await[0], hi);
    assert_eq!(alice.texts(1).await[0], hi);
    assert_eq!(tim.send_message(message).await.unwrap(), sent, "it is sent once");
    tim.send_message(Message::to("bob").text("from the service"))
        .await
        .unwrap();
    assert_eq!(
        bob.texts(1).await,
        [("administrator".to_owned(), "from the service".to_owned())]
    );

    let many = Broadcast::to(["bob", "nobody"]).from("alice").text("to all");
    let many = tim.send_to_many(many).await.unwrap();
    assert_eq!(
        many.failed
            .iter()
            .map(|one| (one.user.as_str(), one.code))
            .collect::<Vec<_>>(),
        [("nobody", 70_107)]
    );
    assert_eq!(bob.texts(1).await[0].1, "to all");
    for _ in 0..2 {
        let old = ImportedMessage::live("bob", "alice", 1_600_000_000)
            .random(9)
            .text("long ago");
        tim.import_message(old).await.unwrap();
    }

    pages(tim, &sent).await;
    unread(tim).await;
    revoked(tim, &sent, &mut bob).await;
    for device in [&alice, &bob] {
        device.client.logout().await.unwrap();
    }
}

/// A page at a time, newest first.
async fn pages(tim: &Client, sent: &SentMessage) {
    let mut request = Some(History::new("alice", "bob", 2, 0, now_s() + 600));
    let mut pages = Vec::new();
    while let Some(asked) = request {
        let page = tim.history(asked.clone()).await.unwrap();
        request = asked.after(&page);
        pages.push(page);
    }
    let texts: Vec<Vec<_>> = pages
        .iter()
        .map(|page| page.messages.iter().filter_map(text).collect())
        .collect();
    assert_eq!(texts[..2], [vec!["to all", "long ago"], vec!["hi 😀"]]);
    let first = &pages[1].messages[0];
    assert_eq!(
        (&first.key, first.elements.len(), first.cloud_custom_data.as_str()),
        (&sent.key, 2, "cd")
    );
}

async fn unread(tim: &Client) {
    assert_eq!(tim.unread(CountUnread::of("alice")).await.unwrap().total, Some(1));
    let unread = tim
        .unread(CountUnread::of("alice").from(["bob", "nobody"]))
        .await
        .unwrap();
    assert_eq!(
        (unread.total, unread.peers[0].count, unread.failed[0].code),
        (None, 1, 70_107)
    );
    tim.set_read(SetRead::new("alice", "bob").up_to(now_s() + 600))
        .await
        .unwrap();
    assert_eq!(tim.unread(CountUnread::of("alice")).await.unwrap().total, Some(0));
}

async fn revoked(tim: &Client, sent: &SentMessage, bob: &mut Device) {
    tim.revoke_message("alice", "bob", sent.key.as_str())
        .await
        .unwrap();
    let again = tim
        .revoke_message("alice", "bob", sent.key.as_str())
        .await
        .unwrap_err();
    assert_eq!(
        (again.code(), again.is_retryable(), again.is_certainly_not_done()),
        (Some(20_023), false, true)
    );
    loop {
        if let Event::MessageRevoked(revoked) = bob.next().await {
            assert_eq!(revoked.len(), 1);
            break;
        }
    }
    let page = tim
        .history(History::new("alice", "bob", 20, 0, now_s() + 600))
        .await
        .unwrap();
    assert!(page.is_complete && page.messages[0].is_revoked(), "{page:?}");
}

async fn friends(tim: &Client) {
    let friends = [
        NewFriend::new("bob", "AddSource_Type_web").remark("Bobby"),
        NewFriend::new("carol", "AddSource_Type_web").list("work"),
        NewFriend::new("nobody", "AddSource_Type_web"),
    ];
    let added = tim
        .add_friends(AddFriends::new("alice", friends).force(true))
        .await
        .unwrap();
    let failed: Vec<_> = added
        .failures()
        .map(|one| (one.user.as_str(), one.code))
        .collect();
    assert_eq!(failed, [("nobody", 30_003)]);
    let request = ListFriends::new("alice", 0);
    let page = tim.friends(request.clone()).await.unwrap();
    assert_eq!((page.friends.len(), page.total, page.is_complete), (2, 2, true));
    assert_eq!(request.after(&page), None);
    let remark = FriendUpdate::new("bob", [Tag::new(Tag::REMARK, "Bob")]);
    assert_eq!(
        tim.update_friends("alice", [remark])
            .await
            .unwrap()
            .failures()
            .count(),
        0
    );
    let found = tim
        .friends_by_id("alice", ["bob", "dave"], [Tag::REMARK])
        .await
        .unwrap()
        .friends;
    assert_eq!(
        (&found[0].tags[..], found[1].code),
        (&[Tag::new(Tag::REMARK, "Bob")][..], 30_001)
    );
    let added = tim
        .add_friend_lists(AddFriendLists::new("alice", ["club"]).friends(["bob", "dave"]))
        .await
        .unwrap();
    assert_eq!(
        added.results.iter().map(|one| one.code).collect::<Vec<_>>(),
        [0, 32_216]
    );
    let lists = tim
        .friend_lists(ListFriendLists::of("alice").with_friends(true))
        .await
        .unwrap()
        .lists;
    let lists: Vec<_> = lists
        .iter()
        .map(|list| (list.name.as_str(), &list.friends[..]))
        .collect();
    assert_eq!(
        lists,
        [
            ("work", &["carol".to_owned()][..]),
            ("club", &["bob".to_owned()][..])
        ]
    );
    assert!(tim.delete_friend_lists("alice", ["work"]).await.unwrap().sequence > 0);
    let deleted = tim
        .delete_friends(DeleteFriends::new("alice", ["bob", "dave"]).on(DeleteType::Both))
        .await
        .unwrap();
    assert_eq!(
        deleted.failures().map(|one| one.code).collect::<Vec<_>>(),
        [31_704]
    );
}

async fn groups(tim: &Client) {
    let group = NewGroup::new(GroupType::Public, "name")
        .owner("alice")
        .id("g")
        .members([NewMember::new("bob").role(Role::Admin)])
        .custom_fields([CustomField::new("k", "v")])
        .join_option(JoinOption::FreeAccess);
    assert_eq!(tim.create_group(group.clone()).await.unwrap().group, "g");
    assert_eq!(tim.create_group(group).await.unwrap_err().code(), Some(10_025));
    tim.create_group(
        NewGroup::new(GroupType::AvChatRoom, "room")
            .id("room")
            .owner("alice"),
    )
    .await
    .unwrap();
    let page = tim
        .groups(ListGroups::all().group_type(GroupType::AvChatRoom))
        .await
        .unwrap();
    assert_eq!(
        (page.total, &page.groups[..], page.next),
        (1, &["room".to_owned()][..], 0)
    );
    tim.change_group(
        GroupChange::of("g")
            .name("other")
            .mute_all(false)
            .custom_fields([CustomField::new("k", "w")]),
    )
    .await
    .unwrap();
    let infos = tim
        .group_info(GetGroupInfo::of(["g", "none"]))
        .await
        .unwrap()
        .groups;
    let info = &infos[0];
    assert_eq!(info.group_type, Some(GroupType::Public));
    assert_eq!(
        (info.name.as_deref(), info.owner.as_deref(), info.is_all_muted),
        (Some("other"), Some("alice"), Some(false))
    );
    assert_eq!(
        (info.member_count, info.members.len(), &info.custom_fields[..]),
        (Some(2), 2, &[CustomField::new("k", "w")][..])
    );
    assert_eq!(info.join_option, Some(JoinOption::FreeAccess));
    assert!(info.max_members > Some(2), "{info:?}");
    assert_eq!((infos[1].code, infos[1].name.as_ref()), (10_010, None));
    let filter = GroupFilter::nothing().group(["Name"]);
    let info = tim
        .group_info(GetGroupInfo::of(["g"]).filter(filter))
        .await
        .unwrap()
        .groups
        .remove(0);
    assert_eq!(
        (info.name.as_deref(), info.group_type, info.members.len()),
        (Some("other"), None, 0)
    );

    assert_eq!(tim.online_members("room").await.unwrap().count, 0);
    let error = tim.online_members("g").await.unwrap_err();
    assert_eq!(error.code(), Some(10_007));
    let attributes = [Attribute::new("k", "v"), Attribute::new("l", "w")];
    tim.set_attributes("room", attributes.clone()).await.unwrap();
    assert_eq!(tim.attributes("room").await.unwrap().attributes, attributes);
    tim.clear_attributes("room").await.unwrap();
    assert_eq!(tim.attributes("room").await.unwrap().attributes, []);
}

async fn members(tim: &Client) {
    let added = tim
        .add_members(AddMembers::new("g", ["carol", "nobody", "bob"]))
        .await
        .unwrap()
        .members;
    assert_eq!(
        added.iter().map(|one| one.outcome).collect::<Vec<_>>(),
        [Added::Added, Added::Failed, Added::AlreadyMember]
    );
    let change = MemberChange::of("g", "carol")
        .role(Role::Admin)
        .name_card("card")
        .mute_seconds(600);
    tim.change_member(change.receive_option(ReceiveOption::AcceptNotNotify))
        .await
        .unwrap();
    let page = tim.members(ListMembers::of("g").limit(10)).await.unwrap();
    let carol = page.members.iter().find(|member| member.user == "carol").unwrap();
    assert_eq!(
        (
            page.total,
            page.next.as_str(),
            carol.role.as_ref(),
            carol.name_card.as_deref()
        ),
        (3, "", Some(&Role::Admin), Some("card"))
    );
    assert!(
        carol.muted_until > Some(now_s()) && carol.receive_option == Some(ReceiveOption::AcceptNotNotify),
        "{carol:?}"
    );
    let muted = tim.muted_members("g").await.unwrap().members;
    assert_eq!(
        (muted.len(), muted[0].user.as_str(), Some(muted[0].until)),
        (1, "carol", carol.muted_until)
    );
    tim.mute_members("g", ["carol"], 0).await.unwrap();
    assert_eq!(tim.muted_members("g").await.unwrap().members, []);
    let roles = tim.roles("g", ["alice", "carol", "dave"]).await.unwrap().users;
    assert_eq!(
        roles.iter().map(|one| &one.role).collect::<Vec<_>>(),
        [&Role::Owner, &Role::Admin, &Role::NotMember]
    );
    let joined = tim.joined_groups(ListJoinedGroups::of("carol")).await.unwrap();
    assert_eq!(
        (
            joined.total,
            joined.groups[0].group.group.as_str(),
            &joined.groups[0].own
        ),
        (1, "g", &None)
    );
    let filter = GroupFilter::nothing().group(["Name"]).own(["Role"]);
    let joined = tim
        .joined_groups(ListJoinedGroups::of("carol").filter(filter))
        .await
        .unwrap()
        .groups
        .remove(0);
    assert_eq!(joined.group.name.as_deref(), Some("other"));
    assert_eq!(joined.own.and_then(|own| own.role), Some(Role::Admin));
    tim.remove_members(RemoveMembers::new("g", ["carol"]).reason("bye"))
        .await
        .unwrap();
    let imported = [NewMember::new("carol").join_time(now_s()), NewMember::new("bob")];
    let imported = tim.import_members("g", imported).await.unwrap().members;
    assert_eq!(
        imported.iter().map(|one| one.outcome).collect::<Vec<_>>(),
        [Added::Added, Added::AlreadyMember]
    );
    tim.change_owner("g", "bob").await.unwrap();
}

async fn group_messages(tim: &Client, world: &World) {
    let mut carol = world.device("carol").await;
    let message = GroupMessage::to("g")
        .from("alice")
        .text("hello")
        .priority(Priority::High);
    let message = message.mentions([Mention::of("carol")]);
    let sent = tim.send_group_message(message).await.unwrap();
    assert_eq!(carol.texts(1).await, [("alice".to_owned(), "hello".to_owned())]);
    let error = tim
        .send_group_message(GroupMessage::to("g").text("to some").only_to(["bob"]))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Some(10_007));
    tim.notify_group(GroupNotice::new("g", "attention").to(["carol"]))
        .await
        .unwrap();
    tim.send_group_message(
        GroupMessage::to("g")
            .from("bob")
            .text("spam")
            .mentions([Mention::everybody()]),
    )
    .await
    .unwrap();

    let asked = GroupHistory::new("g", 2).with_revoked(true);
    let page = tim.group_history(asked.clone()).await.unwrap();
    let texts: Vec<_> = page
        .messages
        .iter()
        .map(|message| message.elements[0].content.clone())
        .collect();
    assert!(
        matches!(&texts[..], [Content::Text(spam), Content::Text(hello)] if spam.text == "spam" && hello.text == "hello"),
        "{texts:?}"
    );
    assert_eq!(
        (page.messages[1].sequence, page.messages[1].priority),
        (sent.sequence, 1)
    );
    let next = tim.group_history(asked.after(&page).unwrap()).await.unwrap();
    assert!(
        next.messages
            .iter()
            .all(|tip| tip.is_of_system && matches!(tip.elements[0].content, Content::GroupTip(_))),
        "{next:?}"
    );

    let revoked = tim
        .revoke_group_messages(RevokeGroupMessages::new("g", [sent.sequence, 999]).reason("rude"))
        .await
        .unwrap();
    assert_eq!(
        revoked.results.iter().map(|one| one.code).collect::<Vec<_>>(),
        [0, 10_030]
    );
    tim.revoke_messages_of("g", "bob").await.unwrap();
    let page = tim
        .group_history(GroupHistory::new("g", 2).with_revoked(true))
        .await
        .unwrap();
    assert!(
        page.messages.iter().all(StoredGroupMessage::is_revoked),
        "{page:?}"
    );
    let old = [
        OldGroupMessage::new("alice", 5).text("too old"),
        OldGroupMessage::new("alice", now_s()).text("imported"),
    ];
    let imported = tim
        .import_group_messages(ImportGroupMessages::new("g", old).moves_up(true))
        .await
        .unwrap()
        .results;
    assert_eq!(
        imported.iter().map(|one| one.code).collect::<Vec<_>>(),
        [10_004, 0]
    );
    tim.set_group_unread("g", "alice", 1).await.unwrap();
    let alice = world.device("alice").await;
    let group = ConversationId::Group("g".parse().unwrap());
    assert_eq!(
        alice
            .client
            .get_conversation_profile(group)
            .await
            .unwrap()
            .conversation
            .conversation
            .unread_count,
        1
    );
}

async fn endings(tim: &Client, world: &World) {
    for group in ["g", "room"] {
        tim.dismiss_group(group).await.unwrap();
    }
    assert_eq!(tim.dismiss_group("g").await.unwrap_err().code(), Some(10_010));
    let mut dave = world.device("dave").await;
    tim.kick("dave").await.unwrap();
    while !matches!(dave.next().await, Event::KickedOut(_)) {}
    let deleted = tim.delete_accounts(["dave", "nobody"]).await.unwrap();
    let failed: Vec<_> = deleted
        .failures()
        .map(|one| (one.user.as_str(), one.code))
        .collect();
    assert_eq!(failed, [("nobody", 70_107)]);
    assert!(!tim.check_accounts(["dave"]).await.unwrap().accounts[0].is_imported());
}
