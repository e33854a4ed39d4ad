//! The group list, kept up to date from notices to the user and tips in the groups.
//!
//! It is kept from the moment the application first asks for it. What a notice does not carry, such as the profile of a
//! group that the user has joined, is requested from the hub, one group at a time.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tim_proto::message::TipOperation;
use tim_proto::message::{GroupChange, GroupTip};
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, Payload, Role, UserId};

use crate::{GroupProfile, ImError, Message};

/// How many groups may wait to be requested. Those beyond are corrected by the next `get_group_list`.
const MAX_STALE: usize = 1024;
/// How many AVChatRooms are remembered as such. For others the hub refuses what they do not accept.
const MAX_AV_CHAT_ROOMS: usize = 4096;

/// The AVChatRooms that were seen, shared by the client's task and its handles: they accept no online-only messages.
#[derive(Debug, Default)]
pub(crate) struct AvChatRooms(Mutex<HashSet<GroupId>>);

impl AvChatRooms {
    /// Remembers the type of a group.
    pub(crate) fn note(&self, group: GroupId, group_type: GroupType) {
        let mut known = self.lock();
        if group_type == GroupType::AV_CHAT_ROOM && known.len() < MAX_AV_CHAT_ROOMS {
            known.insert(group);
        }
    }

    /// Whether a conversation is known to be an AVChatRoom.
    pub(crate) fn contains(&self, conversation: &ConversationId) -> bool {
        matches!(conversation, ConversationId::Group(group) if self.lock().contains(group))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<GroupId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The groups that the user is in.
#[derive(Debug)]
pub(crate) struct GroupList {
    me: UserId,
    /// `None` until the application has asked for it.
    list: Option<Vec<Arc<GroupProfile>>>,
    /// Groups that have changed while the list is being fetched; the list may be older than the change.
    changed_meanwhile: Option<Vec<GroupId>>,
    /// To be requested, oldest first.
    stale: VecDeque<GroupId>,
    in_flight: Option<GroupId>,
    changed: bool,
}

impl GroupList {
    pub(crate) const fn new(me: UserId) -> Self {
        Self {
            me,
            list: None,
            changed_meanwhile: None,
            stale: VecDeque::new(),
            in_flight: None,
            changed: false,
        }
    }

    /// Whether the list has changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    pub(crate) fn list(&self) -> Vec<Arc<GroupProfile>> {
        self.list.clone().unwrap_or_default()
    }

    /// The session has ended; the next one starts without a list.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.me);
    }

    /// The first page of the hub's list has arrived.
    pub(crate) fn begin_list(&mut self) {
        self.changed_meanwhile = Some(Vec::new());
    }

    /// All pages of the hub's list have arrived.
    pub(crate) fn end_list(&mut self, fresh: Vec<GroupProfile>) -> Vec<Arc<GroupProfile>> {
        self.list = Some(fresh.into_iter().map(Arc::new).collect());
        for group in self.changed_meanwhile.take().unwrap_or_default() {
            self.request(group);
        }
        self.changed = true;
        self.list()
    }

    /// Notices are lost: any group may have changed.
    pub(crate) fn lost_notices(&mut self) {
        let all: Vec<_> = self.list.iter().flatten().map(|group| group.id).collect();
        all.into_iter().for_each(|group| self.request(group));
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

    /// A delivered notice or tip changes the list: notices 2 and 7 add a group, 4, 5, 8 and 11 remove it, 9 and 10 change the
    /// role.
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
        if let Some(changed) = &mut self.changed_meanwhile
            && changed.len() < MAX_STALE
            && !changed.contains(&group)
        {
            changed.push(group);
        }
        match notice.operation {
            NoticeOperation::JOIN_ACCEPTED | NoticeOperation::INVITED | NoticeOperation::GROUP_CREATED => {
                self.request(group);
            }
            NoticeOperation::KICKED_OUT
            | NoticeOperation::GROUP_DISMISSED
            | NoticeOperation::QUIT
            | NoticeOperation::GROUP_RECLAIMED => self.remove(group),
            NoticeOperation::ADMIN_GRANTED => self.change(group, |group| group.role = Role::ADMIN),
            NoticeOperation::ADMIN_WITHDRAWN => self.change(group, |group| group.role = Role::MEMBER),
            NoticeOperation::RECEIVE_OPTION_SYNCED if self.knows(group) => self.request(group),
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
            self.request(group);
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

/// Requests for single groups.
impl GroupList {
    fn request(&mut self, group: GroupId) {
        let wanted = self.list.is_some() || self.changed_meanwhile.is_some();
        if wanted && self.stale.len() < MAX_STALE && !self.stale.contains(&group) {
            self.stale.push_back(group);
        }
    }

    /// The group to request next; one at a time.
    pub(crate) fn next_query(&self) -> Option<GroupId> {
        let next = self.stale.front().filter(|_| self.in_flight.is_none());
        next.copied()
    }

    /// The session has taken the request.
    pub(crate) fn query_sent(&mut self, group: GroupId) {
        self.stale.retain(|stale| *stale != group);
        self.in_flight = Some(group);
    }

    /// The profile of a group, or why there is none.
    pub(crate) fn query_done(&mut self, group: GroupId, profile: Result<GroupProfile, ImError>) {
        self.in_flight = None;
        if self.stale.contains(&group) {
            return; // it has changed since
        }
        match profile {
            Ok(profile) if profile.is_member() => self.put(profile),
            Ok(_) => self.remove(group),
            Err(error) if means_not_a_member(error.code) => self.remove(group),
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

/// Whether a refusal means that the user is not in the group.
const fn means_not_a_member(code: ErrorCode) -> bool {
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
