//! The list of groups, kept up to date from what arrives: the notices to the user and the tips into the groups.
//!
//! Kept only from the moment the application first asks for the list. What a notice does not say (all about a group that
//! the user has come into) is asked of the hub, a group at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use tim_proto::message::{GroupChange, GroupTip};
use tim_proto::notice::{NoticeOperation, SystemNotice};
use tim_proto::tip::TipOperation;
use tim_proto::{ErrorCode, GroupId, Payload, Role, UserId};

use crate::{GroupProfile, ImError, Message};

/// How many groups may wait to be asked about. What goes beyond is not asked about: the next `get_group_list` has it.
const MAX_STALE: usize = 1024;

/// The groups that the user is in.
#[derive(Debug)]
pub(crate) struct GroupList {
    me: UserId,
    /// None until the application has asked for it.
    list: Option<Vec<Arc<GroupProfile>>>,
    /// Those of which something was heard while the list is being fetched; the list may be older than that.
    heard: Option<Vec<GroupId>>,
    /// To be asked about, oldest first.
    stale: VecDeque<GroupId>,
    asked: Option<GroupId>,
    changed: bool,
}

impl GroupList {
    pub(crate) const fn new(me: UserId) -> Self {
        Self {
            me,
            list: None,
            heard: None,
            stale: VecDeque::new(),
            asked: None,
            changed: false,
        }
    }

    /// Whether the list has changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(crate) fn list(&self) -> Vec<Arc<GroupProfile>> {
        self.list.clone().unwrap_or_default()
    }

    /// The session has ended: what is known is of no use to the next one.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.me);
    }

    /// The first page of the hub's list has come.
    pub(crate) fn begin_list(&mut self) {
        self.heard = Some(Vec::new());
    }

    /// All pages of the hub's list have come.
    pub(crate) fn end_list(&mut self, fresh: Vec<GroupProfile>) -> Vec<Arc<GroupProfile>> {
        self.list = Some(fresh.into_iter().map(Arc::new).collect());
        for group in self.heard.take().unwrap_or_default() {
            self.ask(group);
        }
        self.changed = true;
        self.list()
    }

    /// Entries of the system's conversation are lost: any group may have changed.
    pub(crate) fn lost_notices(&mut self) {
        let all: Vec<_> = self.list.iter().flatten().map(|group| group.id).collect();
        all.into_iter().for_each(|group| self.ask(group));
    }

    /// Changes what is known of a group, if it is on the list.
    pub(crate) fn change(&mut self, group: GroupId, change: impl FnOnce(&mut GroupProfile)) {
        let known = self
            .list
            .iter_mut()
            .flatten()
            .find(|known| known.id == group)
            .map(Arc::make_mut);
        if let Some(known) = known {
            let before = known.clone();
            change(known);
            self.changed |= *known != before;
        }
    }

    /// A delivery: a notice or a tip changes the list (domain of the SDK: notices 2 and 7 add a group, 4, 5, 8 and 11
    /// remove it, 9 and 10 change the role).
    pub(crate) fn take_message(&mut self, message: &Message) {
        match message.payload() {
            Payload::SystemNotice(notice) => self.take_notice(&notice),
            Payload::GroupTip(tip) => self.take_tip(&tip, message.time()),
            _ => {}
        }
    }

    fn take_notice(&mut self, notice: &SystemNotice<'_>) {
        let Ok(group) = GroupId::new(notice.group_id) else {
            return;
        };
        if let Some(heard) = &mut self.heard
            && heard.len() < MAX_STALE
            && !heard.contains(&group)
        {
            heard.push(group);
        }
        match notice.operation {
            NoticeOperation::JOIN_ACCEPTED | NoticeOperation::INVITED | NoticeOperation::GROUP_CREATED => {
                self.ask(group);
            }
            NoticeOperation::KICKED_OUT
            | NoticeOperation::GROUP_DISMISSED
            | NoticeOperation::QUIT
            | NoticeOperation::GROUP_RECLAIMED => self.remove(group),
            NoticeOperation::ADMIN_GRANTED => self.change(group, |group| group.role = Role::ADMIN),
            NoticeOperation::ADMIN_WITHDRAWN => self.change(group, |group| group.role = Role::MEMBER),
            NoticeOperation::RECEIVE_OPTION_SYNCED if self.knows(group) => self.ask(group),
            _ => {}
        }
    }

    fn take_tip(&mut self, tip: &GroupTip<'_>, time: u64) {
        let group = tip.group_id;
        let about_me = tip.users.iter().any(|user| user == self.me.as_str());
        let muted = tip.muted.iter().find(|muted| muted.user == self.me);
        let me = self.me;
        self.change(group, |known| {
            known.member_count = tip.member_count;
            for change in tip.changes.iter() {
                apply(known, &change, &me);
            }
            if let Some(muted) = muted {
                known.muted_until = match muted.seconds {
                    0 => 0,
                    seconds => time.saturating_add(seconds.into()),
                };
            }
        });
        let name_card = tip.operation == TipOperation::MEMBER_PROFILE_UPDATED && muted.is_none();
        if about_me && name_card && self.knows(group) {
            self.ask(group);
        }
    }

    fn knows(&self, group: GroupId) -> bool {
        self.list.iter().flatten().any(|known| known.id == group)
    }

    fn remove(&mut self, group: GroupId) {
        if let Some(list) = &mut self.list {
            let before = list.len();
            list.retain(|known| known.id != group);
            self.changed |= list.len() < before;
        }
    }
}

/// Asking the hub about single groups.
impl GroupList {
    fn ask(&mut self, group: GroupId) {
        let wanted = self.list.is_some() || self.heard.is_some();
        if wanted && self.stale.len() < MAX_STALE && !self.stale.contains(&group) {
            self.stale.push_back(group);
        }
    }

    /// Which group to ask about next. Only one at a time.
    pub(crate) fn next_question(&self) -> Option<GroupId> {
        let next = self.stale.front().filter(|_| self.asked.is_none());
        next.copied()
    }

    /// The session has taken the question.
    pub(crate) fn asked(&mut self, group: GroupId) {
        self.stale.retain(|stale| *stale != group);
        self.asked = Some(group);
    }

    /// What the hub says of a group, or why it says nothing.
    pub(crate) fn answered(&mut self, group: GroupId, answer: Result<GroupProfile, ImError>) {
        self.asked = None;
        if self.stale.contains(&group) {
            return; // something was heard since
        }
        match answer {
            Ok(profile) if profile.is_member() => self.put(profile),
            Ok(_) => self.remove(group),
            Err(error) if says_not_in(error.code) => self.remove(group),
            Err(_) => {}
        }
    }

    fn put(&mut self, profile: GroupProfile) {
        let Some(list) = &mut self.list else { return };
        let profile = Arc::new(profile);
        match list.iter_mut().find(|known| known.id == profile.id) {
            Some(known) if *known == profile => return,
            Some(known) => *known = profile,
            None => list.push(profile),
        }
        self.changed = true;
    }
}

/// Whether a refusal means that the user is in no such group.
const fn says_not_in(code: ErrorCode) -> bool {
    matches!(code.0, 10_007 | 10_010 | 10_015)
}

fn apply(group: &mut GroupProfile, change: &GroupChange<'_>, me: &UserId) {
    match change {
        GroupChange::Name(name) => group.name = (*name).into(),
        GroupChange::Introduction(text) => group.introduction = (*text).into(),
        GroupChange::Notification(text) => group.notification = (*text).into(),
        GroupChange::Avatar(avatar) => group.avatar = (*avatar).into(),
        GroupChange::Owner(owner) => {
            group.owner = *owner;
            if owner == me {
                group.role = Role::OWNER;
            } else if group.role == Role::OWNER {
                group.role = Role::MEMBER;
            }
        }
        GroupChange::JoinOption(option) => group.join_option = *option,
        GroupChange::InviteOption(option) => group.invite_option = *option,
        GroupChange::MuteAll(mute) => group.mute_all = *mute,
        _ => {}
    }
}
