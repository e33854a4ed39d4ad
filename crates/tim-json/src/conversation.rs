//! Conversations as the Web SDK's objects.

use tim_proto::conversation as proto;
use tim_proto::render::placeholder;
use tim_proto::{AtKind, ConversationId, ConversationType, MessageFlags, UserId};

use crate::element::Content;
use crate::object::object;
use crate::profile::{GroupProfile, UserProfile};

object! {
    /// A conversation of the SDK's list.
    pub struct Conversation(Sdk) {
        /// `C2C…`, `GROUP…` or `@TIM#SYSTEM`.
        id: String = may "conversationID";
        /// `C2C`, `GROUP` or `@TIM#SYSTEM`.
        conversation_type: String = may "type";
        /// The type of the group.
        sub_type: String = may "subType";
        /// The number of unread messages.
        unread_count: u32 = may "unreadCount";
        /// The newest message.
        last_message: LastMessage = may "lastMessage";
        /// The group.
        group: GroupProfile = may "groupProfile";
        /// The peer.
        user: UserProfile = may "userProfile";
        /// The unread messages that mention the reader.
        at: Vec<AtInfo> = may "groupAtInfoList";
        /// The reader's remark about the peer.
        remark: String = may "remark";
        /// Whether it is pinned.
        is_pinned: bool = may "isPinned";
        /// Up to when the peer has read, Unix time in seconds.
        peer_read_time: u64 = may "peerReadTime";
        /// Such as `AcceptAndNotify`.
        message_remind_type: String = may "messageRemindType";
        /// The marks.
        marks: Vec<u64> = may "markList";
        /// The application's own data.
        custom_data: String = may "customData";
        /// The reader's groups of conversations that it is in.
        conversation_groups: Vec<String> = may "conversationGroupList";
        /// What the reader has begun to write; in version 3 of the SDK.
        draft_text: String = may "draftText";
    }
}

object! {
    /// The newest message of a conversation.
    pub struct LastMessage(Sdk, flat content: Option<Content>) {
        /// Unix time in seconds.
        time: u64 = may "lastTime";
        /// Its sequence.
        sequence: u64 = may "lastSequence";
        /// The sender.
        from: String = may "fromAccount";
        /// What the list shows.
        for_show: String = may "messageForShow";
        /// Whether it was revoked.
        is_revoked: bool = may "isRevoked";
        /// Data of the sender's application.
        cloud_custom_data: String = may "cloudCustomData";
        /// Whether it was only for those online.
        is_online_only: bool = may "onlineOnlyFlag";
        /// The sender's nick.
        nick: String = may "nick";
        /// The sender's name in the group.
        name_card: String = may "nameCard";
        /// How often it was changed.
        version: u64 = may "version";
        /// Whether the peer has read it.
        is_peer_read: bool = may "isPeerRead";
        /// Who revoked it.
        revoker: String = may "revoker";
    }
}

object! {
    /// A message that mentions the reader.
    pub struct AtInfo(Sdk) {
        /// The sender.
        from: String = may "from";
        /// The group.
        group_id: String = may "groupID";
        /// The topic.
        topic_id: String = may "topicID";
        /// The sequence of the message.
        sequence: u64 = may "messageSequence";
        /// 1 the reader, 2 everybody, 3 both.
        kinds: Vec<u32> = may "atTypeArray";
    }
}

impl LastMessage {
    /// The newest message in the SDK's form; `words` are those of its placeholder.
    #[must_use]
    pub fn of(message: &tim_proto::Message<'_>, words: tim_proto::Words) -> Self {
        let flags = message.envelope.flags;
        let text = match &message.payload {
            tim_proto::Payload::Text(it) => it.text.to_owned(),
            payload => placeholder(payload.kind(), words).to_owned(),
        };
        Self {
            time: Some(message.envelope.time),
            sequence: Some(message.envelope.sequence),
            from: Some(message.envelope.from.to_string()),
            for_show: Some(text),
            is_revoked: Some(message.is_revoked()),
            cloud_custom_data: Some(String::new()),
            is_online_only: Some(flags.contains(MessageFlags::ONLINE_ONLY)),
            nick: Some(message.nick().to_owned()),
            name_card: Some(message.name_card().to_owned()),
            version: Some(0),
            revoker: message.revoked_by().map(|by| by.revoker.to_owned()),
            content: Some(Content::of_payload(&message.payload)),
            ..Self::default()
        }
    }
}

impl AtInfo {
    fn of(group: &str, info: &proto::AtInfo) -> Self {
        Self {
            from: Some(info.from.to_string()),
            group_id: Some(group.to_owned()),
            sequence: Some(info.sequence),
            kinds: Some(vec![info.kind.0.into()]),
            ..Self::default()
        }
    }

    /// How the message mentions the reader. The SDK joins "everybody" and "the reader" to one number.
    #[must_use]
    pub fn kind(&self) -> Option<AtKind> {
        let kinds = self.kinds.as_deref().unwrap_or_default();
        let has = |kind: AtKind| kinds.contains(&u32::from(kind.0));
        match (has(AtKind::AT_ME), has(AtKind::AT_ALL)) {
            (true, true) => Some(AtKind::AT_ALL_AT_ME),
            _ => kinds.first().and_then(|&kind| kind.try_into().ok()).map(AtKind),
        }
    }
}

impl Conversation {
    /// An entry of tim's list in the SDK's form, as `me` sees it.
    #[must_use]
    pub fn of(me: &UserId, it: &proto::Conversation<'_>, words: tim_proto::Words) -> Self {
        let target = it.id.target();
        let is_group = it.id.conversation_type() == ConversationType::Group;
        let is_peer = matches!(it.id, ConversationId::C2c(_));
        let at = it.at.iter().map(|info| AtInfo::of(target, &info));
        let last = it.last_message();
        let peer = || UserProfile {
            user: Some(target.to_owned()),
            nick: Some(it.name.to_owned()),
            avatar: Some(it.avatar.to_owned()),
            ..UserProfile::default()
        };
        let group = || GroupProfile {
            group_id: Some(target.to_owned()),
            name: Some(it.name.to_owned()),
            avatar: Some(it.avatar.to_owned()),
            group_type: Some(it.group_type.to_string()),
            self_info: Some(crate::SelfInfo {
                user: Some(me.to_string()),
                message_remind_type: Some(it.receive_option.to_string()),
                ..crate::SelfInfo::default()
            }),
            ..GroupProfile::default()
        };
        Self {
            id: Some(it.id.to_string()),
            conversation_type: Some(it.id.conversation_type().as_str().to_owned()),
            sub_type: is_group.then(|| it.group_type.to_string()),
            unread_count: Some(it.unread),
            last_message: last.map(|message| LastMessage::of(&message, words)),
            group: is_group.then(group),
            user: is_peer.then(peer),
            at: Some(at.collect()),
            message_remind_type: Some(it.receive_option.to_string()),
            ..Self::default()
        }
    }
}
