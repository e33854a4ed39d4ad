//! What the tests of the suite work with.

use std::sync::Arc;

use tim_groups::{Authority, GroupAction, GroupCommand, GroupPolicy, GroupResponse, NewGroup};
use tim_proto::message::SystemNotice;
use tim_proto::message::{Content, GroupTip};
use tim_proto::wire::decode_body;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, MessageId, MessageKind, UserId};

use super::Engine;
use crate::{
    Append, Changes, ChangesRequest, Commit, Conversation, ConversationsPage, CreateGroup, EntryFlags,
    Fingerprint, LogKey, Member, MembersRequest, Page, PageRequest, Published, Quota, Refused, Store,
    StoreReader, StoreWriter, Stored, SystemEntry, Write, Written,
};

/// A store, a clock that is set by hand, and short ways to say things.
pub struct World {
    engine: Box<dyn Engine>,
    store: Option<Store>,
    pub now_ms: u64,
    random: u32,
    pub published: Vec<Published>,
    pub policy: GroupPolicy,
}

/// The first moment of each world.
pub const START_MS: u64 = 1_705_307_415_000;
pub const DAY_MS: u64 = 86_400_000;

impl World {
    pub fn new(engine: Box<dyn Engine>) -> Self {
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

    /// A backup of the store; the store itself is opened anew. Epochs are told apart by the millisecond in which they began, which
    /// an engine in memory would not leave between two openings.
    pub fn copy(&mut self) -> Box<dyn Engine> {
        self.store = None;
        let copy = self.engine.copy();
        self.reopen();
        copy
    }

    pub fn reopen(&mut self) {
        self.store = None;
        std::thread::sleep(std::time::Duration::from_millis(1));
        self.store = Some(self.engine.open());
        std::thread::sleep(std::time::Duration::from_millis(1));
    }

    /// Hands the writing end out, for a thread.
    pub fn take_writer(&mut self) -> Box<dyn StoreWriter> {
        struct Taken;
        impl StoreWriter for Taken {
            fn commit(&mut self, _: u64, _: &[Write]) -> Result<Commit, crate::StoreError> {
                panic!("the writer was taken")
            }
        }
        std::mem::replace(&mut self.store.as_mut().unwrap().writer, Box::new(Taken))
    }

    pub fn reader(&self) -> Arc<dyn StoreReader> {
        Arc::clone(&self.store.as_ref().unwrap().reader)
    }

    #[track_caller]
    pub fn batch(&mut self, batch: &[Write]) -> Vec<Result<Written, Refused>> {
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

    #[track_caller]
    pub fn write(&mut self, write: Write) -> Result<Written, Refused> {
        self.batch(&[write]).remove(0)
    }

    /// A user with an account.
    #[track_caller]
    pub fn user(&mut self, name: &str) -> UserId {
        let user = UserId::new(name).unwrap();
        self.write(Write::EnsureAccount(user)).unwrap();
        user
    }

    #[track_caller]
    pub fn number(&self, user: &UserId) -> u64 {
        self.reader().account(user).unwrap().unwrap().number
    }

    /// A message that was never sent before.
    #[track_caller]
    pub fn message(&mut self, log: LogKey, sender: UserId, text: &str) -> Append {
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
            kind: MessageKind::TEXT,
            flags: EntryFlags::NONE,
            content: text.to_owned().into(),
            require_membership: true,
            mentions: Vec::new(),
            mention_all: false,
            quota: Quota::NONE,
            files: Vec::new(),
        }
    }

    #[track_caller]
    pub fn say(&mut self, log: LogKey, sender: UserId, text: &str) -> Stored {
        let append = self.message(log, sender, text);
        stored(self.write(Write::Append(append)))
    }

    /// What a user's account takes up, as a refusal says.
    #[track_caller]
    pub fn stored_bytes(&mut self, user: UserId) -> u64 {
        let mut append = self.message(LogKey::c2c(user, user), user, "");
        append.quota = Quota {
            bytes: 0,
            ..Quota::NONE
        };
        match self.write(Write::Append(append)) {
            Err(Refused::TooMuchStored { stored, .. }) => stored,
            other => panic!("{other:?}"),
        }
    }

    /// How many conversations a user has begun, as a refusal says.
    #[track_caller]
    pub fn begun(&mut self, user: UserId) -> u64 {
        let silent = self.user("nobody writes to this one");
        let mut append = self.message(LogKey::c2c(user, silent), user, "");
        append.quota = Quota {
            conversations: 0,
            ..Quota::NONE
        };
        match self.write(Write::Append(append)) {
            Err(Refused::TooManyConversations { begun, .. }) => begun,
            other => panic!("{other:?}"),
        }
    }

    /// A tip or notice in the system's name.
    pub fn prepared(&mut self, text: &str) -> SystemEntry {
        self.random += 1;
        SystemEntry {
            client_time: self.now_ms / 1000,
            random: self.random,
            kind: MessageKind::GROUP_TIP,
            flags: EntryFlags::NONE,
            content: text.to_owned().into(),
        }
    }

    /// What somebody wants done in a group.
    pub fn command(&mut self, group: GroupId, actor: UserId, action: GroupAction) -> Write {
        self.random += 10;
        Write::ChangeGroup(Box::new(GroupCommand {
            group,
            actor,
            random: self.random,
            authority: Authority::Role,
            silent: false,
            policy: self.policy,
            live_members: 0,
            action,
        }))
    }

    /// What an administrator wants done in a group; silently or not.
    pub fn administer(&mut self, group: GroupId, actor: UserId, silent: bool, action: GroupAction) -> Write {
        let Write::ChangeGroup(mut command) = self.command(group, actor, action) else {
            panic!("a change");
        };
        command.authority = Authority::Administrator;
        command.silent = silent;
        Write::ChangeGroup(command)
    }

    #[track_caller]
    pub fn change(
        &mut self,
        group: GroupId,
        actor: UserId,
        action: GroupAction,
    ) -> Result<GroupResponse, Refused> {
        let write = self.command(group, actor, action);
        match self.write(write) {
            Ok(Written::GroupChanged(changed)) => Ok(changed.response),
            Ok(other) => panic!("{other:?}"),
            Err(refused) => Err(refused),
        }
    }

    /// A Community of these users, the first of them its owner, without a tip.
    #[track_caller]
    pub fn group(&mut self, name: &str, users: &[UserId]) -> GroupId {
        let group = GroupId::new(name).unwrap();
        let new = new_group(group, users);
        assert_eq!(
            self.write(Write::CreateGroup(Box::new(new))),
            Ok(Written::Group { created: true })
        );
        group
    }

    #[track_caller]
    pub fn read(&mut self, user: UserId, log: LogKey, upto: Option<u64>) -> (u64, u64) {
        match self.write(Write::MarkRead { user, log, upto }) {
            Ok(Written::Read {
                read_sequence,
                unread,
                ..
            }) => (read_sequence, unread),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub fn page(&self, log: LogKey, before: Option<u64>, limit: usize) -> Page {
        let request = PageRequest {
            log,
            before,
            after: 0,
            limit,
            max_bytes: usize::MAX,
        };
        self.reader().page(&request).unwrap()
    }

    #[track_caller]
    pub fn changes(&self, user: UserId, cursor: u64, limit: usize) -> Changes {
        let request = ChangesRequest {
            user,
            cursor,
            limit,
            max_bytes: usize::MAX,
        };
        self.reader().changes_since(&request).unwrap()
    }

    #[track_caller]
    pub fn conversation(&self, user: &UserId, log: &LogKey) -> Conversation {
        self.reader().conversation(user, log).unwrap().unwrap()
    }

    /// A group's members, in the order in which they joined.
    #[track_caller]
    pub fn members(&self, group: &GroupId) -> Vec<Member> {
        let request = MembersRequest {
            group: *group,
            role: None,
            after: None,
            limit: usize::MAX,
        };
        self.reader().members_page(&request).unwrap().members
    }

    #[track_caller]
    pub fn unread(&self, user: &UserId, log: &LogKey) -> u64 {
        self.conversation(user, log).unread
    }

    /// The last message of the newest conversation in a user's list.
    #[track_caller]
    pub fn list_last(&self, user: &UserId) -> Option<crate::Entry> {
        self.conversations(user).conversations.remove(0).last
    }

    /// The newest page of a user's conversations.
    #[track_caller]
    pub fn conversations(&self, user: &UserId) -> ConversationsPage {
        self.reader().conversations(user, None, 100).unwrap()
    }

    #[track_caller]
    pub fn list(&self, user: &UserId) -> Vec<LogKey> {
        self.conversations(user)
            .conversations
            .iter()
            .map(|conversation| conversation.log)
            .collect()
    }
}

pub fn new_group(group: GroupId, users: &[UserId]) -> CreateGroup {
    CreateGroup {
        group: NewGroup {
            name: format!("{group}'s name"),
            avatar: "https://example.invalid/group.png".to_owned(),
            join_option: JoinOption::FREE_ACCESS,
            invite_option: InviteOption::FREE_ACCESS,
            members: users[1..].to_vec(),
            random: 1,
            ..NewGroup::new(group, GroupType::COMMUNITY, users[0])
        },
        max_groups: u32::MAX,
        tip: None,
        notices: Vec::new(),
    }
}

/// The fingerprint of a text in a log.
pub fn print(log: LogKey, text: &str) -> Fingerprint {
    Fingerprint::of(&[log.to_string().as_bytes(), text.as_bytes()])
}

#[track_caller]
pub fn stored(answer: Result<Written, Refused>) -> Stored {
    match answer {
        Ok(Written::Stored(stored)) => stored,
        other => panic!("not stored: {other:?}"),
    }
}

/// What entries say: messages their text, the hub's own what happened, by whom and to whom.
pub fn texts<'a>(entries: impl IntoIterator<Item = &'a crate::Entry>) -> Vec<String> {
    entries.into_iter().map(text).collect()
}

pub fn text(entry: &crate::Entry) -> String {
    let own = || decode_body::<Content<'_>>(&entry.content).ok();
    match (entry.kind, own()) {
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
