//! Every limit of the hub's at its border: what is one below and at it goes, what is one above is refused or cut to it.

use std::time::Duration;

use tim_hub::Audience;
use tim_proto::message::{Custom, File, Mentions, Payload, Text};
use tim_proto::request::{
    GetConversationProfile, GroupMembers, Groups, InviteMembers, RemoveMembers, UserProfiles,
};
use tim_proto::vendor::limits::Limits;
use tim_proto::wire::List;
use tim_proto::{ConversationId, ErrorCode, GroupType, Role, UserId};
use tim_testkit::{Border, borders};

use super::support::{Device, Reply, TestHub, c2c, group, group_id, user};

fn hub_with(limits: impl FnOnce(Limits) -> Limits) -> TestHub {
    TestHub::start_with(|options| options.limits = limits(options.limits))
}

/// How many items come for each count that is asked for, of a list of at least 4 with a limit of 3.
fn cut_to_three(list: &mut dyn FnMut(u16) -> usize) {
    let counts = [0, 2, 3, 4].map(list);
    assert_eq!(
        counts,
        [3, 2, 3, 3],
        "nothing said, one below, at, and one above the limit"
    );
}

#[test]
fn a_message_at_its_limit_is_taken_whatever_the_names_are_and_one_above_is_refused() {
    let hub = TestHub::start();
    // The longest id, nick and picture: they are no part of the measure.
    let name = "n".repeat(UserId::MAX_LEN);
    let mut sender = Device::login(&hub, &name, 1);
    let (nick, avatar) = ("n".repeat(100), "a".repeat(500));
    let profile = tim_proto::request::UpdateUserProfile::new()
        .with_nick(&nick)
        .with_avatar(&avatar);
    assert_eq!(sender.ask(&profile), Ok(Reply::Done));
    for Border { most, payload, code } in borders() {
        let mut send = |much| {
            let message = sender.message(c2c("bob"), payload(much));
            sender.send_message(&message).map(|_| ())
        };
        assert_eq!((send(most - 1), send(most)), (Ok(()), Ok(())), "{code}");
        assert_eq!(send(most + 1), Err(code));
    }
}

#[test]
fn the_largest_message_fits_into_the_frames_that_the_hub_takes() {
    let hub = TestHub::start_with(|options| options.connection.max_frame = 1024);
    let mut alice = Device::login(&hub, "alice", 1);
    let most = Limits::new().message_bytes() as usize - 2;
    assert_eq!(alice.send(c2c("bob"), &"x".repeat(most)), 1);
}

#[test]
fn mentions_count_as_part_of_the_message() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create(GroupType::PUBLIC, "g", &[user("bob")]).unwrap();
    let mut room = [0; 64];
    let users = [user("bob")];
    let mentions = Mentions::new().with_users(List::from_slice(&users));
    let extensions = mentions.write(&mut room).unwrap();
    let most = Limits::new().message_bytes() as usize - 2 - extensions.as_bytes().len();
    for (len, expected) in [
        (most - 1, Ok(())),
        (most, Ok(())),
        (most + 1, Err(ErrorCode::COMM_BODY_SIZE_LIMIT)),
    ] {
        let text = "x".repeat(len);
        let mut message = alice.message(group("g"), Text::new(&text));
        message.extensions = extensions;
        assert_eq!(alice.send_message(&message).map(|_| ()), expected);
    }
}

#[test]
fn what_has_no_content_is_not_sent() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    for (payload, sent) in [
        (Payload::Custom(Custom::default()), false),
        (Payload::Custom(Custom::new().with_extension("x")), true),
        (Payload::File(File::default()), false),
        (Payload::Text(Text::new("")), true),
    ] {
        let message = alice.message(c2c("bob"), payload);
        let expected = if sent {
            Ok(())
        } else {
            Err(ErrorCode::MESSAGE_FILE_URL_IS_EMPTY)
        };
        assert_eq!(alice.send_message(&message).map(|_| ()), expected);
    }
}

#[test]
fn pages_and_lists_are_cut_to_their_limits() {
    let hub = hub_with(|limits| {
        let limits = limits.with_page_messages(3).with_conversations(3);
        limits.with_members_page(3).with_groups_page(3)
    });
    let mut alice = Device::login(&hub, "alice", 1);
    for peer in ["b", "c", "d", "e"] {
        alice.send(c2c(peer), "hello");
        alice.send(c2c("b"), "again");
        let members = ["b", "c", "d"].map(user);
        alice.create_group(peer, &members).unwrap();
    }
    let mut alice = Device::login(&hub, "alice", 1);
    cut_to_three(&mut |count| match alice.page(c2c("b"), &[], count) {
        Ok(Reply::Page { texts, .. }) => texts.len(),
        other => panic!("{other:?}"),
    });
    cut_to_three(&mut |count| match alice.members("b", &[], count) {
        Ok(Reply::GroupMembers { members, .. }) => members.len(),
        other => panic!("{other:?}"),
    });
    cut_to_three(&mut |count| match alice.ask(&Groups::new().with_count(count)) {
        Ok(Reply::Groups { groups, .. }) => groups.len(),
        other => panic!("{other:?}"),
    });
    cut_to_three(&mut |count| alice.conversations_at_most(count).len());
}

#[test]
fn so_many_users_are_taken_in_one_call_and_no_more() {
    let hub = hub_with(|limits| {
        limits
            .with_user_profiles(3)
            .with_members_per_call(3)
            .with_receivers(3)
    });
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create_group("g", &[]).unwrap();
    let users = ["b", "c", "d", "e"].map(user);
    for (count, taken) in [(2, true), (3, true), (4, false)] {
        let users = &users[..count];
        let list = List::from_slice(users);
        let look = UserProfiles::new(list);
        let invite = InviteMembers::new(group_id("g"), list);
        let remove = RemoveMembers::new(group_id("g"), list);
        let expected = if taken {
            Ok(())
        } else {
            Err(ErrorCode::GROUP_INVALID_PARAMETERS)
        };
        let responses = [alice.ask(&look), alice.ask(&invite), alice.ask(&remove)];
        let responses = responses.map(|response| response.map(|_| ()));
        assert_eq!(responses, [expected; 3], "{count} users");
        let told = hub.tell(async |hub| {
            hub.notify_group(group_id("g"), Audience::Users(users), "hear, hear")
                .await
        });
        assert_eq!(told.is_ok(), taken, "a notice to {count} users: {told:?}");
    }
}

#[test]
fn a_group_takes_so_many_messages_at_once_and_the_next_one_waits() {
    let hub = hub_with(|limits| limits.with_group_messages_per_second(3));
    let mut alice = Device::login(&hub, "alice", 1);
    alice.create(GroupType::MEETING, "g", &[]).unwrap();
    for text in ["one", "one below", "at the limit"] {
        alice.send(group("g"), text);
    }
    let message = alice.message(group("g"), Text::new("one above"));
    let ticket = alice.start_send(&message, Default::default());
    alice.send(c2c("bob"), "this goes by");
    assert!(!alice.is_answered(ticket), "it waits");
    hub.advance(Duration::from_secs(1));
    assert!(alice.wait_for(ticket).is_ok());
}

#[test]
fn a_message_can_be_taken_back_for_exactly_as_long_as_the_window_is() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let window = Limits::new().revoke_window_seconds();
    for (age, expected) in [
        (window - 1, Ok(())),
        (window, Ok(())),
        (window + 1, Err(ErrorCode::MSG_REVOKE_TIME_LIMIT)),
    ] {
        let sequence = alice.send(c2c("bob"), "oops");
        hub.advance(Duration::from_secs(age));
        assert_eq!(
            alice.revoke(c2c("bob"), sequence).map(|_| ()),
            expected,
            "{age} s"
        );
    }
}

#[test]
fn a_place_in_one_list_is_none_in_another() {
    let hub = hub_with(|limits| {
        limits
            .with_page_messages(1)
            .with_members_page(1)
            .with_groups_page(1)
    });
    let mut alice = Device::login(&hub, "alice", 1);
    let mut bob = Device::login(&hub, "bob", 2);
    for (name, group_type) in [
        ("g", GroupType::PUBLIC),
        ("h", GroupType::PUBLIC),
        ("room", GroupType::AV_CHAT_ROOM),
        ("hall", GroupType::AV_CHAT_ROOM),
    ] {
        let members: &[UserId] = if group_type == GroupType::PUBLIC {
            &[user("bob"), user("carol")]
        } else {
            &[]
        };
        alice.create(group_type, name, members).unwrap();
        if members.is_empty() {
            bob.join(name).unwrap();
        }
    }
    for peer in ["bob", "carol"] {
        alice.send(c2c(peer), "1");
        alice.send(c2c(peer), "2");
    }
    let invalid = Err(ErrorCode::CURSOR_INVALID);
    let Ok(Reply::Page { next, .. }) = alice.page(c2c("bob"), &[], 1) else {
        panic!("no page");
    };
    for other in [c2c("carol"), group("g"), ConversationId::System] {
        assert_eq!(alice.page(other, &next, 1).map(|_| ()), invalid, "{other}");
    }
    assert_eq!(alice.page(c2c("bob"), &next[..2], 1).map(|_| ()), invalid);
    assert!(alice.page(c2c("bob"), &next, 1).is_ok());
    assert!(
        bob.page(c2c("alice"), &next, 1).is_ok(),
        "the same log from its other side"
    );
    for (this, other) in [("g", "h"), ("room", "hall")] {
        let Ok(Reply::GroupMembers { next, .. }) = alice.members(this, &[], 1) else {
            panic!("no members");
        };
        assert_eq!(alice.members(other, &next, 1).map(|_| ()), invalid, "{other}");
        assert!(alice.members(this, &next, 1).is_ok());
        let members = GroupMembers::new(group_id(this))
            .with_next(&next)
            .with_count(1)
            .with_role(Role::MEMBER);
        assert_eq!(
            alice.ask(&members).map(|_| ()),
            invalid,
            "those with a role are another list"
        );
    }
    let Ok(Reply::Groups { next, .. }) = alice.ask(&Groups::new().with_count(1)) else {
        panic!("no groups");
    };
    let groups = Groups::new().with_next(&next).with_count(1);
    assert_eq!(bob.ask(&groups).map(|_| ()), invalid);
    assert!(alice.ask(&groups).is_ok());
}

#[test]
fn a_conversation_that_has_not_begun_is_read_and_has_a_profile_if_there_is_such_a_user() {
    let hub = TestHub::start();
    let mut alice = Device::login(&hub, "alice", 1);
    let _bob = Device::login(&hub, "bob", 2);
    let empty = Ok(Reply::Profile {
        members: 0,
        unread: 0,
    });
    for (conversation, profile) in [
        (ConversationId::System, empty.clone()),
        (c2c("bob"), empty.clone()),
        (c2c("alice"), empty),
        (c2c("nobody"), Err(ErrorCode::USER_OR_GROUP_NOT_FOUND)),
    ] {
        assert_eq!(alice.read(conversation), 0, "{conversation}");
        let ask = GetConversationProfile::new(conversation);
        assert_eq!(alice.ask(&ask), profile, "{conversation}");
    }
    assert!(alice.conversations().is_empty(), "asking begins none");
}
