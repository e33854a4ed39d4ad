//! What every store must do, whatever engine it stands on. `suite!(engine)` makes a test of each function here.
//!
//! Time is given, never taken; races are run with real threads; what is random comes from a plain model beside it.

#![allow(dead_code, reason = "each engine's test file uses its part")]

pub(crate) mod append;
pub(crate) mod changes;
pub(crate) mod endings;
pub(crate) mod group_life;
pub(crate) mod group_model;
mod group_model_rules;
mod group_model_state;
pub(crate) mod groups;
pub(crate) mod lists;
pub(crate) mod model;
mod model_state;
pub(crate) mod pages;
pub(crate) mod permissions;
pub(crate) mod purge;
pub(crate) mod revoke;
pub(crate) mod rosters;
pub(crate) mod threads;

use std::sync::Arc;

use tim_groups::{GroupAction, GroupAnswer, GroupCommand, GroupPolicy};
use tim_proto::message::{Content, GroupTip};
use tim_proto::notice::SystemNotice;
use tim_proto::wire::decode_body;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, MessageId, MessageKind, UserId};
use tim_store::{
    Append, Changes, ChangesRequest, Commit, Conversation, ConversationsPage, CreateGroup, Fingerprint,
    LogKey, Page, PageRequest, Prepared, Published, Refused, StoreReader, StoreWriter, Stored, Write,
    Written,
};

/// A store that can be opened again with all that it had.
pub(crate) trait Engine {
    fn open(&self) -> Opened;

    /// Another store with all that this one has, which is closed: a backup.
    fn copy(&self) -> Box<dyn Engine>;
}

/// Both ends of an open store.
pub(crate) struct Opened {
    pub(crate) writer: Box<dyn StoreWriter>,
    pub(crate) reader: Arc<dyn StoreReader>,
}

/// Makes one `#[test]` per function of the suite; `$engine` makes a fresh, empty store.
macro_rules! suite {
    ($engine:expr; $($module:ident { $($test:ident),* $(,)? })*) => {
        $(mod $module {
            $(#[test]
            fn $test() {
                let engine = { use super::*; $engine };
                crate::store_suite::$module::$test(&mut crate::store_suite::World::new(engine()));
            })*
        })*
    };
    ($engine:expr) => {
        crate::store_suite::suite!($engine;
            append {
                accounts_are_numbered_once, sequences_and_changes_have_no_gaps, a_resend_is_answered_as_the_first,
                a_refused_item_leaves_its_neighbours, strangers_cannot_write, entries_come_back_whole,
                too_much_content_is_refused, reopening_keeps_everything, an_id_is_used_for_one_message,
                many_messages_of_a_batch_under_one_id,
            }
            pages {
                pages_walk_the_whole_history_once, a_page_is_stable_while_others_append, pages_skip_revocations_exactly,
                bytes_are_limited, an_unknown_log_is_an_empty_completed_page, pages_and_changes_meet,
            }
            changes {
                a_device_gets_everything_once_and_in_order, bytes_and_entries_are_limited,
                nothing_of_others, reads_see_what_was_answered, a_copy_knows_cursors_of_a_later_life,
                cursors_outlive_openings, an_opening_that_changes_nothing_leaves_no_trace,
            }
            lists {
                newest_first_and_at_most_a_hundred, own_messages_are_never_unread, the_read_mark_only_moves_forward,
                a_deleted_conversation_comes_back_with_its_history, flags_are_obeyed, profiles_are_shown,
                a_note_to_oneself,
            }
            revoke {
                the_message_is_marked_and_told_of, the_window_is_exact, the_managers_revoke_what_those_of_lower_rank_wrote,
                managers_have_a_window_of_their_own, the_content_is_gone_everywhere_and_the_revoker_is_named,
                a_repeated_request_is_answered_as_the_first, unread_and_preview_follow, what_cannot_be_revoked,
            }
            groups {
                created_whole_with_tip_and_notices, creation_is_idempotent, a_random_number_is_used_for_one_group, a_refused_group_leaves_nothing,
                members_see_from_joining_on, leaving_ends_sending_and_reading, nobody_is_in_too_many_groups, a_thousand_applications_wait_at_most,
                a_message_writes_no_member_row,
            }
            permissions { every_cell_of_the_table }
            endings {
                a_live_room_keeps_its_owner_and_its_bans, a_dismissed_group_is_gone_for_everybody,
                the_service_takes_a_group_back_and_tells_members,
            }
            rosters {
                members_come_in_pages_by_standing_and_role, ones_groups_come_in_pages, the_muted_write_again_in_time, a_mute_lasts_however_its_user_left_and_came_back,
                an_owner_is_never_muted,
                mentions_are_kept_until_read, mentions_are_looked_for_among_the_newest, a_message_to_ten_thousand_is_one_entry, rosters_say_who_came_and_went,
                a_meeting_counts_nothing_as_unread, what_is_written_down_has_a_length,
            }
            purge {
                old_conversations_leave_the_list, sequences_go_on_after_everything_is_gone, gaps_are_announced_once,
                paging_during_a_purge, steps_are_bounded, ids_outlive_the_resend_window, unread_counts_what_is_kept,
            }
            threads {
                one_of_many_equal_sends_is_stored, sixty_four_writers_leave_no_gap, one_of_two_revokers_wins,
                read_marks_race_forward, a_dismissal_races_with_everything, published_entries_come_in_order_before_answers, a_full_queue_refuses,
                a_fatal_store_answers_everybody_and_stops, a_failed_commit_is_told_to_its_batch_only,
                futures_are_answered,
            }
            model { any_history_agrees_with_the_model }
            group_model { any_life_of_a_group_agrees_with_the_model }
            group_life { a_life_with_every_tip_and_notice }
        );
    };
}
pub(crate) use suite;

/// A store, a clock that is set by hand, and short ways to say things.
pub(crate) struct World {
    engine: Box<dyn Engine>,
    store: Option<Opened>,
    pub(crate) now_ms: u64,
    random: u32,
    pub(crate) published: Vec<Published>,
    pub(crate) policy: GroupPolicy,
}

/// The first moment of each world.
pub(crate) const START_MS: u64 = 1_705_307_415_000;
pub(crate) const DAY_MS: u64 = 86_400_000;

impl World {
    pub(crate) fn new(engine: Box<dyn Engine>) -> Self {
        let store = Some(engine.open());
        Self {
            engine,
            store,
            now_ms: START_MS,
            random: 0,
            published: Vec::new(),
            policy: GroupPolicy::default(),
        }
    }

    /// A backup of the store; the store itself is opened anew.
    pub(crate) fn copy(&mut self) -> Box<dyn Engine> {
        self.store = None;
        let copy = self.engine.copy();
        self.store = Some(self.engine.open());
        copy
    }

    pub(crate) fn reopen(&mut self) {
        self.store = None;
        self.store = Some(self.engine.open());
    }

    /// Hands the writing end out, for a thread.
    pub(crate) fn take_writer(&mut self) -> Box<dyn StoreWriter> {
        struct Taken;
        impl StoreWriter for Taken {
            fn commit(&mut self, _: u64, _: &[Write]) -> Result<Commit, tim_store::StoreError> {
                panic!("the writer was taken")
            }
        }
        std::mem::replace(&mut self.store.as_mut().unwrap().writer, Box::new(Taken))
    }

    pub(crate) fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::clone(&self.store.as_ref().unwrap().reader)
    }

    pub(crate) fn batch(&mut self, batch: &[Write]) -> Vec<Result<Written, Refused>> {
        let commit = self
            .store
            .as_mut()
            .unwrap()
            .writer
            .commit(self.now_ms, batch)
            .unwrap();
        assert_eq!(commit.results.len(), batch.len(), "one answer per item");
        self.published.extend(commit.published);
        commit.results
    }

    pub(crate) fn write(&mut self, write: Write) -> Result<Written, Refused> {
        self.batch(&[write]).remove(0)
    }

    /// A user with an account.
    pub(crate) fn user(&mut self, name: &str) -> UserId {
        let user = UserId::new(name).unwrap();
        self.write(Write::EnsureAccount(user)).unwrap();
        user
    }

    pub(crate) fn number(&self, user: &UserId) -> u64 {
        self.reader().account(user).unwrap().unwrap().number
    }

    /// A message that was never sent before.
    pub(crate) fn message(&mut self, log: LogKey, sender: UserId, text: &str) -> Append {
        self.random += 1;
        let number = self
            .reader()
            .account(&sender)
            .unwrap()
            .map_or(0, |account| account.number);
        Append {
            log,
            sender,
            id: MessageId {
                sender: number,
                client_time: self.now_ms / 1000,
                random: self.random,
            },
            fingerprint: print(log, text),
            origin: 7,
            kind: 1,
            flags: 0,
            content: text.to_owned().into(),
            require_membership: true,
            mentions: Vec::new(),
            mention_all: false,
        }
    }

    pub(crate) fn say(&mut self, log: LogKey, sender: UserId, text: &str) -> Stored {
        let append = self.message(log, sender, text);
        stored(self.write(Write::Append(append)))
    }

    /// A tip or notice in the system's name.
    pub(crate) fn prepared(&mut self, text: &str) -> Prepared {
        self.random += 1;
        Prepared {
            client_time: self.now_ms / 1000,
            random: self.random,
            kind: 32,
            flags: 0,
            content: text.to_owned().into(),
        }
    }

    /// What somebody wants done in a group.
    pub(crate) fn command(&mut self, group: GroupId, actor: UserId, action: GroupAction) -> Write {
        self.random += 10;
        Write::ChangeGroup(Box::new(GroupCommand {
            group,
            actor,
            random: self.random,
            policy: self.policy,
            room_members: 0,
            action,
        }))
    }

    pub(crate) fn change(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<GroupAnswer, Refused> {
        let write = self.command(group, actor, action);
        match self.write(write) {
            Ok(Written::GroupChanged(changed)) => Ok(changed.answer),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    /// A Community of these users, the first of them its owner, without a tip.
    pub(crate) fn group(&mut self, name: &str, users: &[UserId]) -> GroupId {
        let group = GroupId::new(name).unwrap();
        let new = new_group(group, users);
        assert_eq!(
            self.write(Write::CreateGroup(Box::new(new))),
            Ok(Written::Group { created: true })
        );
        group
    }

    pub(crate) fn read(&mut self, user: UserId, log: LogKey, upto: Option<u64>) -> (u64, u64) {
        match self.write(Write::MarkRead { user, log, upto }) {
            Ok(Written::Read {
                read_sequence,
                unread,
                ..
            }) => (read_sequence, unread),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn page(&self, log: LogKey, before: Option<u64>, limit: usize) -> Page {
        let request = PageRequest {
            log,
            before,
            after: 0,
            limit,
            max_bytes: usize::MAX,
        };
        self.reader().page(&request).unwrap()
    }

    pub(crate) fn changes(&self, user: UserId, cursor: u64, limit: usize) -> Changes {
        let request = ChangesRequest {
            user,
            cursor,
            limit,
            max_bytes: usize::MAX,
        };
        self.reader().changes_since(&request).unwrap()
    }

    pub(crate) fn conversation(&self, user: &UserId, log: &LogKey) -> Conversation {
        self.reader().conversation(user, log).unwrap().unwrap()
    }

    pub(crate) fn unread(&self, user: &UserId, log: &LogKey) -> u64 {
        self.conversation(user, log).unread
    }

    /// The last message of the newest conversation in a user's list.
    pub(crate) fn list_last(&self, user: &UserId) -> Option<tim_store::Entry> {
        self.conversations(user).conversations.remove(0).last
    }

    /// The newest page of a user's conversations.
    pub(crate) fn conversations(&self, user: &UserId) -> ConversationsPage {
        self.reader().conversations(user, None, 100).unwrap()
    }

    pub(crate) fn list(&self, user: &UserId) -> Vec<LogKey> {
        self.conversations(user)
            .conversations
            .iter()
            .map(|conversation| conversation.log)
            .collect()
    }
}

pub(crate) fn new_group(group: GroupId, users: &[UserId]) -> CreateGroup {
    CreateGroup {
        group,
        group_type: GroupType::COMMUNITY,
        owner: users[0],
        name: format!("{group}'s name"),
        introduction: String::new(),
        notification: String::new(),
        avatar: "https://example.invalid/group.png".to_owned(),
        join_option: JoinOption::FREE_ACCESS,
        invite_option: InviteOption::FREE_ACCESS,
        members: users[1..]
            .iter()
            .map(|user| (*user, tim_store::role::MEMBER))
            .collect(),
        creation_random: 1,
        max_groups: u32::MAX,
        tip: None,
        notices: Vec::new(),
    }
}

/// The fingerprint of a text in a log.
pub(crate) fn print(log: LogKey, text: &str) -> Fingerprint {
    Fingerprint::of(&[log.to_string().as_bytes(), text.as_bytes()])
}

pub(crate) fn stored(answer: Result<Written, Refused>) -> Stored {
    match answer {
        Ok(Written::Stored(stored)) => stored,
        other => panic!("not stored: {other:?}"),
    }
}

/// What entries say: messages their text, the hub's own what happened, by whom and to whom.
pub(crate) fn texts<'a>(entries: impl IntoIterator<Item = &'a tim_store::Entry>) -> Vec<String> {
    entries.into_iter().map(text).collect()
}

pub(crate) fn text(entry: &tim_store::Entry) -> String {
    let own = || decode_body::<Content<'_>>(&entry.content).ok();
    match (MessageKind(entry.kind), own()) {
        (MessageKind::GROUP_TIP, Some(content)) => {
            let tip: GroupTip<'_> = decode_body(content.payload).unwrap();
            let users: Vec<&str> = tip.users.iter().collect();
            let by = tip.operator_id;
            format!(
                "tip {} by {by}: {} ({})",
                tip.operation.0,
                users.join(","),
                tip.member_count
            )
        }
        (MessageKind::GROUP_SYSTEM_NOTICE, Some(content)) => {
            let notice: SystemNotice<'_> = decode_body(content.payload).unwrap();
            let said = [notice.handle_message, notice.user_defined_field].concat();
            format!("notice {} by {}: {said}", notice.operation.0, notice.operator_id)
        }
        _ => String::from_utf8(entry.content.to_vec()).unwrap(),
    }
}
