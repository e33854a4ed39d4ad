//! Numbers and deliveries that cross, one case at a time.

use tim_proto::conversation::AtInfo;
use tim_proto::message::{GroupChange, GroupTip, Mentions, MessageFlags, TipOperation};
use tim_proto::wire::List;
use tim_testkit::{messages, user};

use super::*;

fn me() -> UserId {
    user("bob")
}

fn alice() -> ConversationId {
    ConversationId::C2c(user("alice"))
}

/// From `from` to bob, stored long after the login.
fn message_of(from: &str, sequence: u64, flags: MessageFlags) -> Message {
    let mut view = messages::text(user(from), ConversationId::C2c(me()), "x");
    view.envelope.sequence = sequence;
    view.envelope.time = 1_000_000 + sequence;
    view.envelope.flags = flags;
    view.envelope.origin = 0;
    view.id.random = sequence as u32;
    Message::stored(&view.to_encoded().header(), &me())
}

fn deliver(cache: &mut ConversationList, from: &str, sequence: u64) -> Need {
    cache.take_message(&message_of(from, sequence, MessageFlags::NONE), true)
}

/// A conversation as the hub lists it.
fn listed(from: &str, unread: u32, read: u64, counted: u64) -> Conversation {
    let mut conversation = Conversation::empty(ConversationId::C2c(user(from)));
    conversation.unread_count = unread;
    conversation.read_sequence = read;
    conversation.last_sequence = counted;
    conversation
}

/// The hub's list, asked for before this and answered now.
fn answer(cache: &mut ConversationList, list: Vec<Conversation>, total: u64, completed: bool) -> Progress {
    cache.take_page(ListPage {
        conversations: list,
        total_unread: total,
        completed,
    })
}

/// A cache that knows the hub's list.
fn knowing(list: Vec<Conversation>, total: u64, completed: bool) -> ConversationList {
    let mut cache = ConversationList::new(me(), 3);
    cache.log_in(1);
    cache.begin_list();
    assert_eq!(
        answer(&mut cache, list, total, completed),
        Progress::Done(Need::Nothing)
    );
    cache
}

fn unread(cache: &ConversationList, from: &str) -> Option<u32> {
    let list = cache.list();
    let id = ConversationId::C2c(user(from));
    list.iter().find(|one| one.id == id).map(|one| one.unread_count)
}

const fn read(read: u64, unread: u32, counted: u64) -> HubCount {
    HubCount {
        unread,
        counted,
        read,
    }
}

#[test]
fn what_came_before_the_user_joined_is_read() {
    let group = tim_testkit::group("g");
    let id = ConversationId::Group(group);
    let joins = |sequence, who: &str| {
        let users = [who];
        let tip = GroupTip::new(TipOperation::JOIN, group).with_users(List::from_slice(&users));
        let mut view = messages::message(UserId::SYSTEM, id, Payload::GroupTip(tip));
        view.envelope.sequence = sequence;
        view.envelope.time = 1_000_000;
        view.id.random = sequence as u32;
        Message::stored(&view.to_encoded().header(), &me())
    };
    let mut cache = knowing(Vec::new(), 0, true);
    let mut after = |sequence, who| {
        let _ = cache.take_message(&joins(sequence, who), true);
        let conversation = &cache.entries[0].conversation;
        (conversation.unread_count, conversation.read_sequence)
    };
    assert_eq!(after(7, "bob"), (1, 6));
    assert_eq!(after(8, "carol"), (2, 6));
    // Back after having left, with what was unread before.
    assert_eq!(after(12, "bob"), (1, 11));
}

#[test]
fn a_group_that_comes_back_to_the_list_keeps_its_receive_option() {
    let id = ConversationId::Group(tim_testkit::group("g"));
    let said = |sequence| {
        let mut view = messages::text(user("alice"), id, "x");
        view.envelope.sequence = sequence;
        view.envelope.time = 1_000_000;
        view.id.random = sequence as u32;
        Message::stored(&view.to_encoded().header(), &me())
    };
    let mut quiet = Conversation::empty(id);
    (quiet.last_sequence, quiet.read_sequence) = (1, 1);
    quiet.message_remind_type = ReceiveOption::ACCEPT_NOT_NOTIFY;
    let mut cache = knowing(vec![quiet], 0, true);
    let _ = cache.take_off(&id, 1);
    let _ = cache.take_message(&said(2), true);
    assert_eq!(cache.entries[0].conversation.unread_count, 1);
    assert_eq!(cache.total_unread(), 0);
    // Another device changes it while the group is off the list.
    let mut quiet = Conversation::empty(id);
    (quiet.last_sequence, quiet.read_sequence) = (1, 1);
    let mut cache = knowing(vec![quiet], 0, true);
    let _ = cache.take_off(&id, 1);
    cache.doubt_options();
    assert_eq!(cache.take_message(&said(2), true), Need::List);
    assert!(cache.list().is_empty());
    // Of a group that was never listed the option is not known: the hub is asked before anything is published.
    let mut cache = knowing(Vec::new(), 0, true);
    assert_eq!(cache.take_message(&said(2), true), Need::List);
    assert!(cache.list().is_empty());
}

#[test]
fn a_restored_hub_has_no_mentions_of_what_it_has_lost() {
    let id = ConversationId::Group(tim_testkit::group("g"));
    let mut known = Conversation::empty(id);
    known.last_sequence = 4;
    known.group_at_info_list = vec![AtInfo::new(4, user("alice"), tim_proto::AtKind::AT_ME)];
    let mut cache = knowing(vec![known], 0, true);
    cache.rewind();
    cache.begin_list();
    let mut restored = Conversation::empty(id);
    restored.last_sequence = 3;
    let _ = answer(&mut cache, vec![restored], 0, true);
    assert_eq!(cache.list()[0].group_at_info_list, []);
}

#[test]
fn what_a_delivery_tells_is_taken_although_the_count_is_ahead_of_it() {
    let group = tim_testkit::group("g");
    let id = ConversationId::Group(group);
    let stored = |view: &tim_proto::message::Message<'_>, sequence| {
        let mut view = *view;
        view.envelope.sequence = sequence;
        view.envelope.time = 1_000_000 + sequence;
        view.envelope.origin = 0;
        view.id.random = sequence as u32;
        Message::stored(&view.to_encoded().header(), &me())
    };
    let mut room = [0; 16];
    let mentions = Mentions::new().with_all(true).write(&mut room).unwrap();
    let mut all = messages::text(user("alice"), id, "x");
    all.extensions = mentions;
    let changes = [GroupChange::Name("renamed")];
    let renamed =
        GroupTip::new(TipOperation::GROUP_PROFILE_UPDATED, group).with_changes(List::from_slice(&changes));
    let renamed = messages::message(UserId::SYSTEM, id, Payload::GroupTip(renamed));
    let mut known = Conversation::empty(id);
    (known.unread_count, known.last_sequence) = (4, 4);
    let mut cache = knowing(vec![known], 4, true);
    // The answer to a read call has counted #5 and #6, which are on their way.
    assert_eq!(cache.take_count(&id, read(4, 2, 6)), Need::Nothing);
    let mentioned = |cache: &ConversationList| -> Vec<u64> {
        let list = &cache.entries[0].conversation.group_at_info_list;
        list.iter().map(|at| at.sequence).collect()
    };
    assert_eq!(cache.take_message(&stored(&all, 5), true), Need::Nothing);
    assert_eq!(cache.take_message(&stored(&renamed, 6), true), Need::Nothing);
    assert_eq!(mentioned(&cache), [5]);
    assert_eq!(cache.entries[0].conversation.name, "renamed");
    assert_eq!(cache.entries[0].conversation.unread_count, 2);
    // What the hub's list has already is not taken from a delivery that it has overtaken.
    let mut listed = Conversation::empty(id);
    (listed.unread_count, listed.read_sequence, listed.last_sequence) = (4, 4, 8);
    listed.name = "again".into();
    listed.group_at_info_list = [5, 7]
        .map(|at| AtInfo::new(at, user("alice"), tim_proto::AtKind::AT_ALL))
        .into();
    cache.begin_list();
    let _ = answer(&mut cache, vec![listed], 4, true);
    let _ = cache.take_message(&stored(&all, 7), true);
    let _ = cache.take_message(&stored(&renamed, 8), true);
    assert_eq!(mentioned(&cache), [5, 7]);
    assert_eq!(cache.entries[0].conversation.name, "again");
}

#[test]
fn what_came_behind_the_read_mark_stays_unread() {
    let mut cache = knowing(Vec::new(), 0, true);
    assert_eq!(deliver(&mut cache, "alice", 1), Need::Nothing);
    // The hub marks #1 read; #2 is delivered before that answer is.
    assert_eq!(deliver(&mut cache, "alice", 2), Need::Nothing);
    assert_eq!(cache.take_count(&alice(), read(1, 0, 1)), Need::Nothing);
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (Some(1), 1));
}

#[test]
fn an_answer_that_overtakes_deliveries_has_counted_them() {
    let mut cache = knowing(Vec::new(), 0, true);
    assert_eq!(deliver(&mut cache, "alice", 1), Need::Nothing);
    assert_eq!(cache.take_count(&alice(), read(1, 2, 3)), Need::Nothing);
    for sequence in [2, 3, 4] {
        assert_eq!(deliver(&mut cache, "alice", sequence), Need::Nothing);
    }
    assert_eq!(unread(&cache, "alice"), Some(3));
    // A slower answer to an earlier question changes nothing.
    assert_eq!(cache.take_count(&alice(), read(0, 1, 1)), Need::Nothing);
    assert_eq!(unread(&cache, "alice"), Some(3));
}

#[test]
fn a_revoked_one_is_not_counted_for_what_came_meanwhile() {
    let mut cache = knowing(Vec::new(), 0, true);
    assert_eq!(deliver(&mut cache, "alice", 1), Need::Nothing);
    // #2 revokes #1. The hub lists: nothing unread, up to #2; #3 is delivered before that answer.
    cache.begin_list();
    assert_eq!(
        cache.take_revocation(&alice(), 2, 1, &user("alice")),
        Need::Nothing
    );
    assert_eq!(unread(&cache, "alice"), Some(0));
    assert_eq!(deliver(&mut cache, "alice", 3), Need::Nothing);
    let list = vec![listed("alice", 0, 0, 2)];
    assert_eq!(answer(&mut cache, list, 0, true), Progress::Done(Need::Nothing));
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (Some(1), 1));
}

#[test]
fn a_revocation_of_what_was_read_or_is_ones_own_takes_nothing_off() {
    let mut cache = knowing(vec![listed("alice", 2, 3, 5)], 2, true);
    for (sequence, message, sender) in [(6, 3, "alice"), (7, 4, "bob")] {
        let need = cache.take_revocation(&alice(), sequence, message, &user(sender));
        assert_eq!((need, unread(&cache, "alice")), (Need::Nothing, Some(2)));
    }
    assert_eq!(
        cache.take_revocation(&alice(), 8, 5, &user("alice")),
        Need::Nothing
    );
    assert_eq!(unread(&cache, "alice"), Some(1));
}

#[test]
fn a_message_that_was_revoked_while_away_is_never_counted() {
    let mut cache = knowing(Vec::new(), 0, true);
    let need = cache.take_message(&message_of("alice", 1, MessageFlags::REVOKED), true);
    assert_eq!((need, unread(&cache, "alice")), (Need::Nothing, Some(0)));
    assert_eq!(deliver(&mut cache, "alice", 2), Need::Nothing);
    assert_eq!(
        cache.take_revocation(&alice(), 3, 1, &user("alice")),
        Need::Nothing
    );
    assert_eq!(unread(&cache, "alice"), Some(1));
}

#[test]
fn a_deleted_conversation_comes_back_with_what_is_new() {
    let mut cache = knowing(vec![listed("alice", 2, 0, 2)], 2, true);
    // #3 is on its way when the conversation is deleted with everything up to #3, and #4 comes behind that.
    let count = read(3, 0, 3);
    assert_eq!(cache.take_count(&alice(), count), Need::Nothing);
    assert_eq!(cache.take_off(&alice(), 3), Need::Nothing);
    assert_eq!((cache.list().len(), cache.total_unread()), (0, 0));
    assert_eq!(deliver(&mut cache, "alice", 3), Need::Nothing);
    assert_eq!(cache.list().len(), 0, "it was deleted too");
    assert_eq!(deliver(&mut cache, "alice", 4), Need::Nothing);
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (Some(1), 1));
    // The same deletion, told once more.
    assert_eq!(cache.take_count(&alice(), count), Need::Nothing);
    assert_eq!(cache.take_off(&alice(), 3), Need::Nothing);
    assert_eq!(unread(&cache, "alice"), Some(1));
}

#[test]
fn what_is_behind_the_page_is_in_the_total_and_is_asked_for() {
    let page = || vec![listed("a", 1, 0, 1), listed("b", 1, 0, 1), listed("c", 1, 0, 1)];
    let mut cache = knowing(page(), 30, false);
    assert_eq!((cache.total_unread(), cache.is_truncated()), (30, true));
    // Something behind the page changes: the hub is to say what that comes to.
    let behind = ConversationId::C2c(user("z"));
    assert_eq!(cache.take_count(&behind, read(4, 0, 4)), Need::List);
    assert_eq!(cache.take_revocation(&behind, 5, 3, &user("z")), Need::List);
    // A message brings one of them to the front. How many were unread in it before is not known here.
    assert_eq!(deliver(&mut cache, "y", 9), Need::List);
    assert_eq!((unread(&cache, "y"), cache.is_settled()), (None, false));
    cache.begin_list();
    let list = vec![listed("y", 4, 5, 9), listed("a", 1, 0, 1), listed("b", 1, 0, 1)];
    assert_eq!(answer(&mut cache, list, 31, false), Progress::Done(Need::Nothing));
    assert_eq!(
        (unread(&cache, "y"), cache.total_unread(), cache.is_settled()),
        (Some(4), 31, true)
    );
    // One that falls off the end is still in the total.
    assert_eq!(
        (deliver(&mut cache, "a", 2), cache.total_unread()),
        (Need::Nothing, 32)
    );
    let need = deliver(&mut cache, "x", 1);
    assert_eq!((need, cache.list().len()), (Need::List, 2));
    assert_eq!(cache.total_unread(), 33);
}

#[test]
fn a_list_is_put_together_from_its_pages() {
    let mut cache = ConversationList::new(me(), 3);
    cache.begin_list();
    let progress = answer(
        &mut cache,
        vec![listed("a", 1, 0, 1), listed("b", 2, 0, 2)],
        10,
        false,
    );
    assert_eq!((progress, cache.is_known()), (Progress::More, false));
    let progress = answer(&mut cache, vec![listed("c", 3, 0, 3)], 7, false);
    assert_eq!(progress, Progress::Done(Need::Nothing));
    assert_eq!((cache.total_unread(), cache.list().len()), (10, 3));
}

#[test]
fn what_comes_between_question_and_answer_is_neither_lost_nor_believed() {
    let mut cache = knowing(vec![listed("a", 1, 0, 1)], 1, true);
    cache.begin_list();
    assert_eq!(deliver(&mut cache, "new", 1), Need::Nothing);
    let list = vec![listed("a", 1, 0, 1)];
    assert_eq!(answer(&mut cache, list, 1, true), Progress::Done(Need::List));
    assert_eq!(unread(&cache, "new"), Some(1), "the answer may be older");
    cache.begin_list();
    let list = vec![listed("a", 1, 0, 1)];
    assert_eq!(answer(&mut cache, list, 1, true), Progress::Done(Need::Nothing));
    assert_eq!(unread(&cache, "new"), None, "the second one is not");
}

#[test]
fn a_new_login_believes_the_hub_even_if_it_has_gone_back() {
    let mut cache = knowing(vec![listed("alice", 9, 0, 90)], 9, true);
    cache.log_in(2_000_000);
    // Before the list has come nobody knows what was read meanwhile.
    assert_eq!(deliver(&mut cache, "alice", 91), Need::Nothing);
    assert_eq!(deliver(&mut cache, "carol", 1), Need::List);
    assert!(!cache.is_settled());
    cache.begin_list();
    let list = vec![listed("alice", 1, 79, 80)];
    assert_eq!(answer(&mut cache, list, 1, true), Progress::Done(Need::Nothing));
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (Some(2), 2));
    assert_eq!(deliver(&mut cache, "alice", 81), Need::Nothing);
    assert_eq!(unread(&cache, "alice"), Some(3), "behind 80");
    // What waited since before the login may have been deleted since: that is for the hub to say.
    assert_eq!(deliver(&mut cache, "carol", 2), Need::List);
    assert_eq!(unread(&cache, "carol"), None);
}

#[test]
fn an_own_message_that_a_restore_has_lost_does_not_keep_its_conversation_in_front() {
    let mut cache = knowing(vec![listed("alice", 0, 0, 5), listed("carol", 0, 0, 1)], 0, true);
    let sent = message_of("carol", 2, MessageFlags::NONE);
    assert_eq!(cache.take_message(&sent, false), Need::Nothing);
    let sequences = |cache: &ConversationList| -> Vec<u64> {
        let entries = cache.entries.iter();
        entries.map(|entry| entry.conversation.last_sequence).collect()
    };
    assert_eq!(sequences(&cache), [2, 5]);
    // The hub's store is restored. The device is not told, as its cursor has not moved past the message.
    cache.log_in(2);
    cache.begin_list();
    let list = vec![listed("alice", 0, 0, 5), listed("carol", 0, 0, 1)];
    assert_eq!(answer(&mut cache, list, 0, true), Progress::Done(Need::Nothing));
    assert_eq!(sequences(&cache), [5, 1]);
    // What the hub had already, and is sent again while the list is on its way, says nothing of what came behind it.
    assert_eq!(cache.take_message(&sent, false), Need::Nothing);
    cache.log_in(3);
    cache.begin_list();
    let older = message_of("carol", 1, MessageFlags::NONE);
    assert_eq!(cache.take_message(&older, false), Need::Nothing);
    let list = vec![listed("alice", 0, 0, 5), listed("carol", 0, 0, 1)];
    assert_eq!(answer(&mut cache, list, 0, true), Progress::Done(Need::Nothing));
    assert_eq!(sequences(&cache), [5, 1]);
    // What is sent while the list is on its way is newer.
    cache.begin_list();
    assert_eq!(cache.take_message(&sent, false), Need::Nothing);
    let list = vec![listed("alice", 0, 0, 5), listed("carol", 0, 0, 1)];
    answer(&mut cache, list, 0, true);
    assert_eq!(sequences(&cache), [2, 5]);
}

#[test]
fn a_late_mark_behind_more_than_is_remembered_is_asked_for() {
    let mut cache = knowing(vec![listed("alice", 1, 0, 1)], 1, true);
    let many = entry::REMEMBERED as u64 + 10;
    for sequence in 2..many {
        assert_eq!(deliver(&mut cache, "alice", sequence), Need::Nothing);
    }
    let before = unread(&cache, "alice");
    assert_eq!(cache.take_count(&alice(), read(3, 0, 3)), Need::List);
    assert_eq!(unread(&cache, "alice"), before, "too many rather than too few");
    let left = u32::try_from(many - 61).unwrap();
    assert_eq!(cache.take_count(&alice(), read(60, 0, 60)), Need::Nothing);
    assert_eq!(unread(&cache, "alice"), Some(left));
}

#[test]
fn a_number_that_overtakes_the_first_deliveries_is_remembered() {
    let mut cache = knowing(vec![listed("alice", 2, 0, 2)], 2, true);
    // Deleted, written to, and read on another device, before the first of the new messages is here.
    assert_eq!(cache.take_off(&alice(), 2), Need::Nothing);
    assert_eq!(cache.take_count(&alice(), read(4, 0, 4)), Need::Nothing);
    for (sequence, left) in [(3, 0), (4, 0), (5, 1)] {
        assert_eq!(deliver(&mut cache, "alice", sequence), Need::Nothing);
        assert_eq!(unread(&cache, "alice"), Some(left));
    }
}

#[test]
fn a_message_that_the_hub_had_already_moves_no_conversation() {
    let mut cache = knowing(vec![listed("carol", 0, 0, 4), listed("alice", 0, 0, 3)], 0, true);
    let order = |cache: &ConversationList| -> Vec<String> {
        cache
            .entries
            .iter()
            .map(|entry| entry.conversation.id.to_string())
            .collect()
    };
    // Sent again after a restart; the hub answers with the place that it has had.
    let mut sent = messages::text(me(), alice(), "x");
    sent.envelope.sequence = 2;
    let sent = Message::stored(&sent.to_encoded().header(), &me());
    let _ = cache.take_message(&sent, false);
    assert_eq!(order(&cache), ["C2Ccarol", "C2Calice"]);
    let _ = deliver(&mut cache, "alice", 4);
    assert_eq!(order(&cache), ["C2Calice", "C2Ccarol"]);
}

/// A message of this user to `to`, which the hub has accepted at this time.
fn accepted(to: &str, sequence: u64, time: u64) -> Message {
    let mut view = messages::text(me(), ConversationId::C2c(user(to)), "x");
    (view.envelope.sequence, view.envelope.time) = (sequence, time);
    Message::stored(&view.to_encoded().header(), &me())
}

#[test]
fn the_hub_is_asked_for_the_order_of_an_answer_and_a_delivery_that_cross() {
    let mut cache = knowing(vec![listed("alice", 0, 0, 3), listed("carol", 0, 0, 4)], 0, true);
    // The delivery is of the same second as what was accepted before it came: which was first?
    let _ = cache.take_message(&accepted("carol", 5, 1_000_004), false);
    assert_eq!(deliver(&mut cache, "alice", 4), Need::List);

    cache.begin_list();
    let fresh = vec![listed("carol", 0, 0, 5), listed("alice", 1, 0, 4)];
    let _ = answer(&mut cache, fresh, 1, true);
    assert_eq!(
        deliver(&mut cache, "alice", 5),
        Need::Nothing,
        "the hub has told the order"
    );

    // Accepted before what has been delivered, and answered after a reconnect.
    assert_eq!(
        cache.take_message(&accepted("carol", 6, 1_000_002), false),
        Need::List
    );
    // A later second is certain.
    assert_eq!(
        cache.take_message(&accepted("carol", 7, 1_000_009), false),
        Need::Nothing
    );
    assert_eq!(deliver(&mut cache, "alice", 20), Need::Nothing);
}

#[test]
fn the_read_mark_of_a_conversation_that_comes_back_is_asked_for() {
    let mut cache = knowing(vec![], 0, true);
    assert_eq!(
        deliver(&mut cache, "alice", 1),
        Need::Nothing,
        "a new one is read up to 0"
    );
    // Removed from the list before the login: the hub's mark is somewhere in the first three.
    assert_eq!(deliver(&mut cache, "carol", 4), Need::List);
    assert!(
        cache
            .list()
            .iter()
            .all(|shown| shown.id != ConversationId::C2c(user("carol")))
    );
}

#[test]
fn what_was_known_of_a_conversation_before_it_was_held_is_not_believed_after_it_was_dropped() {
    let mut cache = ConversationList::new(me(), 1);
    cache.log_in(1);
    cache.begin_list();
    let _ = answer(&mut cache, vec![listed("alice", 0, 2, 3)], 0, true);
    let _ = cache.take_off(&alice(), 3);
    let _ = deliver(&mut cache, "alice", 4);
    let read = HubCount {
        unread: 0,
        counted: 4,
        read: 4,
    };
    let _ = cache.take_count(&alice(), read);
    let _ = deliver(&mut cache, "carol", 1); // in the only place
    assert_eq!(deliver(&mut cache, "alice", 5), Need::List);
}

#[test]
fn a_restored_hub_has_no_mention_of_what_it_has_lost() {
    let mut cache = knowing(vec![listed("alice", 0, 0, 3)], 0, true);
    let entry = cache.find(&alice()).unwrap();
    let at = AtInfo::new(3, user("alice"), tim_proto::AtKind::AT_ME);
    Arc::make_mut(&mut entry.conversation).group_at_info_list.push(at);
    cache.rewind();
    cache.begin_list();
    let _ = answer(&mut cache, vec![listed("alice", 0, 0, 1)], 0, true);
    assert!(cache.list()[0].group_at_info_list.is_empty());
}

#[test]
fn what_a_restored_hub_removes_is_not_kept_for_a_message_that_it_has_lost() {
    let mut first = listed("alice", 1, 0, 1);
    first.last_message = Some(message_of("alice", 1, MessageFlags::NONE));
    let mut cache = knowing(vec![first.clone()], 1, true);
    let _ = deliver(&mut cache, "alice", 2);
    // It has lost the second message. The page was made before the removal and arrives after it.
    cache.rewind();
    cache.begin_list();
    assert_eq!(cache.take_off(&alice(), 1), Need::Nothing);
    let _ = answer(&mut cache, vec![first], 1, true);
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (None, 0));
}

#[test]
fn a_list_that_is_older_than_what_was_read_after_the_login_sets_no_mark_back() {
    let mut cache = knowing(vec![listed("alice", 2, 0, 5)], 2, true);
    cache.log_in(2_000_000);
    cache.begin_list();
    let read = HubCount {
        unread: 0,
        counted: 5,
        read: 5,
    };
    // The answers to what was read, of one that is held and of one that is not, overtake the list.
    assert_eq!(cache.take_count(&alice(), read), Need::Nothing);
    let carol = ConversationId::C2c(user("carol"));
    let _ = cache.take_count(&carol, read);
    let list = || vec![listed("alice", 2, 0, 5), listed("carol", 1, 4, 5)];
    assert_eq!(answer(&mut cache, list(), 3, true), Progress::Done(Need::Nothing));
    let marks = |cache: &ConversationList| -> Vec<_> {
        let list = cache.list();
        let marks = list.iter().map(|one| (one.unread_count, one.read_sequence));
        marks.collect()
    };
    assert_eq!(marks(&cache), [(0, 5), (0, 5)]);
    // At the next login the store may have been restored: its list is believed.
    cache.log_in(3_000_000);
    cache.begin_list();
    assert_eq!(answer(&mut cache, list(), 3, true), Progress::Done(Need::Nothing));
    assert_eq!(marks(&cache), [(2, 0), (1, 4)]);
}

#[test]
fn a_list_that_is_older_than_a_deletion_brings_nothing_back() {
    let mut alice_listed = listed("alice", 1, 4, 5);
    alice_listed.last_message = Some(message_of("alice", 5, MessageFlags::NONE));
    let mut cache = knowing(vec![alice_listed.clone()], 1, true);
    cache.begin_list();
    let _ = cache.take_off(&alice(), 5);
    let list = vec![alice_listed];
    assert_eq!(answer(&mut cache, list, 1, true), Progress::Done(Need::Nothing));
    assert_eq!((unread(&cache, "alice"), cache.total_unread()), (None, 0));
    // What is new brings it back.
    let _ = deliver(&mut cache, "alice", 6);
    assert_eq!(unread(&cache, "alice"), Some(1));
}

#[test]
fn the_last_sequence_counts_what_is_no_message() {
    let mut cache = knowing(vec![listed("carol", 0, 0, 4), listed("alice", 0, 0, 3)], 0, true);
    let shown = |cache: &ConversationList| -> Vec<_> {
        let list = cache.list();
        let shown = list.iter().map(|one| (one.id.to_string(), one.last_sequence));
        shown.collect()
    };
    // A tip that is not shown, and a revocation: neither moves the conversation up the list, before the message behind them does.
    let tip = message_of("alice", 4, MessageFlags::NO_LAST);
    assert_eq!(cache.take_message(&tip, true), Need::Nothing);
    assert_eq!(
        cache.take_revocation(&alice(), 5, 3, &user("alice")),
        Need::Nothing
    );
    assert_eq!(
        shown(&cache),
        [("C2Ccarol".to_owned(), 4), ("C2Calice".to_owned(), 5)]
    );
    assert_eq!(deliver(&mut cache, "alice", 6), Need::Nothing);
    assert_eq!(
        shown(&cache),
        [("C2Calice".to_owned(), 6), ("C2Ccarol".to_owned(), 4)]
    );
    // What was asked for before the revocation has come does not know of it; what was asked for later is believed.
    cache.begin_list();
    assert_eq!(
        cache.take_revocation(&alice(), 7, 6, &user("alice")),
        Need::Nothing
    );
    let list = || vec![listed("alice", 0, 0, 6), listed("carol", 0, 0, 4)];
    let _ = answer(&mut cache, list(), 0, true);
    assert_eq!(shown(&cache)[0].1, 7);
    cache.begin_list();
    let _ = answer(&mut cache, list(), 0, true);
    assert_eq!(shown(&cache)[0].1, 6);
}

#[test]
fn a_list_that_was_made_before_a_count_was_told_is_older() {
    // The conversation's two unread entries are in the list; the hub removes one while its list is on its way.
    let mut two = Conversation::empty(alice());
    (two.last_sequence, two.unread_count) = (2, 2);
    let mut cache = knowing(vec![two.clone()], 2, true);
    cache.begin_list();
    assert_eq!(cache.take_count(&alice(), read(0, 1, 2)), Need::Nothing);
    let _ = answer(&mut cache, vec![two.clone()], 2, true);
    assert_eq!(unread(&cache, "alice"), Some(1));
    // A list that is asked for after that is newer.
    cache.begin_list();
    let _ = answer(&mut cache, vec![two], 2, true);
    assert_eq!(unread(&cache, "alice"), Some(2));
}
