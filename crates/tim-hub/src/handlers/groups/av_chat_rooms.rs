//! AVChatRooms: who is online joins and leaves, and nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use tim_proto::conversation::{Conversation, ConversationProfile};
use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::request::{AnyResponse as Answer, JoinGroupResponse};
use tim_proto::wire::{FrameKind, List};
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, JoinStatus, Priority, ReceiveOption, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::device::Device;
use crate::groups::rules::{MAX_NOTICE, TypeRules, check_text};
use crate::groups::tips::{Announcer, MAX_NAMED, NoticeText, Tip, UserNames};
use crate::handlers::groups::change::{Audience, is_room, live};
use crate::handlers::groups::refused;
use crate::presence::av_chat_rooms::Told;
use crate::presence::registry::Leaving;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Group, LogKey, Refused, StoreError, WriteError};

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    /// Who may not enter is not let in for a moment either. After that first into the room, then the same check again: a
    /// ban or a dismissal that happens meanwhile is seen by one of the two.
    pub(crate) fn join_room(&mut self, id: u32, device: &Arc<Device>, group: GroupId) -> Result<(), Refusal> {
        let hub = Arc::clone(&self.hub);
        if !hub.presence.is_in(&group, &device.user) {
            hub.may_enter(&device.user, group)?;
            let max = hub.options.group_policy().max_groups;
            if hub.presence.rooms_of(&device.user) >= max as usize {
                let user = device.user;
                return Err(refused(Refused::TooManyGroups { user, max }));
            }
        }
        let is_new = hub.presence.enter_room(group, &device.user);
        if is_new {
            if let Err(failed) = hub.may_enter(&device.user, group) {
                hub.presence.slip_out(group, &device.user);
                return Err(failed);
            }
            hub.presence.welcome(group, device.user);
            hub.keep_gates();
        }
        let status = if is_new {
            JoinStatus::JOINED
        } else {
            JoinStatus::ALREADY_IN_GROUP
        };
        self.reply(
            id,
            FrameKind::JOIN_GROUP,
            &Answer::JoinGroup(JoinGroupResponse { status }),
        );
        Ok(())
    }

    /// All about the conversation in a room that the user is in. Nothing of it is stored.
    pub(crate) fn room_conversation(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        conversation: ConversationId,
    ) -> Result<(), Refusal> {
        let hub = Arc::clone(&self.hub);
        let room = match conversation {
            ConversationId::Group(group) if hub.presence.is_in(&group, &device.user) => {
                hub.reader.group(&group)?.filter(is_room)
            }
            _ => None,
        };
        let Some(room) = room else {
            return Err(Refusal::new(ErrorCode::CONVERSATION_NOT_FOUND, ""));
        };
        let profile = ConversationProfile {
            conversation: Conversation {
                id: conversation,
                unread: 0,
                read_sequence: 0,
                last_sequence: 0,
                name: &room.name,
                avatar: &room.avatar,
                group_type: GroupType::AV_CHAT_ROOM,
                last_message: None,
                receive_option: ReceiveOption::default(),
                at: List::default(),
            },
            group: Some(hub.profile(&room, None, true)),
            user: None,
        };
        self.reply(
            id,
            FrameKind::CONVERSATION_PROFILE,
            &Answer::ConversationProfile(profile),
        );
        Ok(())
    }

    pub(crate) fn quit_room(&mut self, id: u32, device: &Arc<Device>, group: GroupId) -> Result<(), Refusal> {
        if self.hub.presence.leave_room(group, &device.user) {
            self.hub.keep_gates();
        }
        self.reply(id, FrameKind::QUIT_GROUP, &Answer::Done);
        Ok(())
    }
}

impl Services {
    fn may_enter(&self, user: &UserId, group: GroupId) -> Result<(), Refusal> {
        if self.reader.group(&group)?.is_none() {
            return Err(refused(Refused::NoSuchGroup(group)));
        }
        let until_ms = self.reader.restriction(&group, user)?.banned_until_ms;
        if until_ms > self.now_ms() {
            let text = format!(
                "you are banned from this group until {} (unix time)",
                until_ms / 1000
            );
            return Err(Refusal::new(ErrorCode::GROUP_PERMISSION_DENY, text));
        }
        Ok(())
    }

    /// Puts a device that has entered into the lists of its user's groups.
    pub(crate) fn join(self: &Arc<Self>, device: &Arc<Device>, groups: &[Group]) {
        let groups = groups.iter().map(|group| (group.group, is_room(group)));
        self.presence.join(device, groups);
        self.tell_if_needed();
    }

    /// A device goes, and with a user's last one the user from the rooms: at once, or after a cut when the grace is over.
    pub(crate) fn leave(self: &Arc<Self>, device: &Arc<Device>, leaving: Leaving) {
        self.presence.leave(device, leaving, self.steady_ms());
        self.tell_if_needed();
    }

    fn tell_if_needed(self: &Arc<Self>) {
        if self.presence.next_turn_ms().is_some() {
            self.keep_gates();
        }
    }

    /// Tells the rooms whose turn it is who came and who left.
    pub(crate) fn tell_rooms(&self, steady_ms: u64) {
        let now_s = self.now_ms() / 1000;
        for told in self.presence.take_news(steady_ms) {
            match self.reader.group(&told.group) {
                Ok(Some(group)) => {
                    if let Err(error) = self.tell_room(&group, &told, now_s) {
                        tracing::warn!(group = %told.group, %error, "a room cannot be told who came");
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(group = %told.group, %error, "a room cannot be told who came"),
            }
        }
    }

    /// How these users are called everywhere.
    pub(crate) fn name_book(&self, users: &[UserId]) -> Result<BTreeMap<UserId, UserNames>, StoreError> {
        let accounts = self.reader.accounts(users)?.into_iter();
        Ok(accounts.map(|account| (account.user, account.into())).collect())
    }

    fn tell_room(&self, group: &Group, told: &Told, now_s: u64) -> Result<(), StoreError> {
        let Ok(scribe) = scribe(group, now_s) else {
            return Ok(());
        };
        for (operation, users) in [
            (TipOperation::QUIT, &told.left),
            (TipOperation::JOIN, &told.joined),
        ] {
            if let Some(first) = users.first() {
                let tip = Tip::new(operation, *first, users, u64::from(told.members));
                let book = self.name_book(users.get(..MAX_NAMED).unwrap_or(users))?;
                let prepared = scribe.tip(&tip, self.next_random(), &book);
                let delivery = Arc::new(live(&prepared, now_s, Priority::LOWEST));
                // For those who are there; a hub that is too busy even for that goes on without it.
                let _ = self.live.deliver(LogKey::Group(group.group), delivery);
            }
        }
        Ok(())
    }

    /// Tells those who are in a room something in the application's name; nothing is stored.
    pub(crate) fn notify_room(
        &self,
        group: &Group,
        audience: Audience<'_>,
        text: &str,
    ) -> Result<(), WriteError> {
        check_text("notice", text, MAX_NOTICE)?;
        let now_s = self.now_ms() / 1000;
        let said = NoticeText {
            custom: text,
            ..NoticeText::default()
        };
        let notice =
            scribe(group, now_s)?.notice(NoticeOperation::CUSTOM, UserId::SYSTEM, said, self.next_random());
        let delivery = Arc::new(live(&notice, now_s, Priority::HIGH));
        let deliver = |log| {
            let delivered = self.live.deliver(log, Arc::clone(&delivery));
            delivered.map_err(|_| WriteError::Overloaded)
        };
        match audience {
            Audience::Everybody => deliver(LogKey::Group(group.group)),
            Audience::Users(users) => users
                .iter()
                .filter(|user| self.presence.is_in(&group.group, user))
                .try_for_each(|user| deliver(LogKey::System(*user))),
        }
    }
}

fn scribe(group: &Group, now_s: u64) -> Result<Announcer<'_>, Refused> {
    Ok(Announcer {
        group: group.group,
        name: &group.name,
        rules: TypeRules::of_stored(group.group_type)?,
        now_s,
    })
}
