//! Whole messages as the Web SDK's object.

use serde_json::{Map, Value};
use tim_proto::vendor::constants;
use tim_proto::{MENTION_ALL, MessageFlags, UserId};

use crate::element::Content;
use crate::object::object;

object! {
    /// A message, as the SDK shows it to one user.
    ///
    /// The SDK's private fields, whose names begin with an underscore, are kept in `other`.
    pub struct Message(Sdk, flat content: Option<Content>) {
        /// The id.
        id: String = may "ID";
        /// The conversation as the reader names it.
        conversation_id: String = may "conversationID";
        /// `C2C`, `GROUP` or `@TIM#SYSTEM`.
        conversation_type: String = may "conversationType";
        /// The type of the group.
        conversation_sub_type: String = may "conversationSubType";
        /// Who sent it.
        from: String = may "from";
        /// The receiver or the group.
        to: String = may "to";
        /// `in` or `out`.
        flow: String = may "flow";
        /// Unix time in seconds.
        time: u64 = may "time";
        /// When the sender made it, Unix time in seconds.
        client_time: u64 = may "clientTime";
        /// The sequence in the conversation.
        sequence: u64 = may "sequence";
        /// The sender's own count of messages.
        client_sequence: u64 = may "clientSequence";
        /// The random number of the id.
        random: u32 = may "random";
        /// `High`, `Normal`, `Low` or `Lowest`.
        priority: String = may "priority";
        /// `unSend`, `success` or `fail`.
        status: String = may "status";
        /// The sender's nick.
        nick: String = may "nick";
        /// The sender's picture.
        avatar: String = may "avatar";
        /// The sender's name in the group.
        name_card: String = may "nameCard";
        /// Whether the peer has read it.
        is_peer_read: bool = may "isPeerRead";
        /// Whether the reader has read it.
        is_read: bool = may "isRead";
        /// Whether it was revoked.
        is_revoked: bool = may "isRevoked";
        /// Whether the reader deleted it.
        is_deleted: bool = may "isDeleted";
        /// Whether it was changed after it was sent.
        is_modified: bool = may "isModified";
        /// Whether it is sent once more.
        is_resend: bool = may "isResend";
        /// Whether the system sent it.
        is_system_message: bool = may "isSystemMessage";
        /// 0, or 1 for what stands for a message that is gone.
        is_place_message: u32 = may "isPlaceMessage";
        /// `JSON`.
        protocol: String = may "protocol";
        /// The mentioned users; [`MENTION_ALL`] for everybody.
        at_users: Vec<String> = may "atUserList";
        /// Data of the sender's application.
        cloud_custom_data: String = may "cloudCustomData";
        /// Whether the sender asks for receipts.
        need_read_receipt: bool = may "needReadReceipt";
        /// What the receipts say.
        read_receipt: ReadReceipt = may "readReceiptInfo";
        /// How often it was changed.
        version: u64 = may "version";
        /// Whether it goes to all AVChatRooms.
        is_broadcast: bool = may "isBroadcastMessage";
        /// Whether reactions can be attached to it.
        is_support_extension: bool = may "isSupportExtension";
        /// Who revoked it.
        revoker: String = may "revoker";
        /// The name of who revoked it. tim's own.
        revoker_name: String = may "revokerName";
        /// Who revoked it; in version 3 of the SDK.
        revoker_info: Revoker = may "revokerInfo";
        /// Why it was revoked; in version 3 of the SDK.
        revoke_reason: String = may "revokeReason";
        /// The sender's number.
        sender_tiny_id: String = may "senderTinyID";
    }
}

object! {
    /// What the receipts of a message say.
    pub struct ReadReceipt(Sdk) {
        /// How many have read it.
        read_count: u32 = may "readCount";
        /// How many have not.
        unread_count: u32 = may "unreadCount";
        /// Whether the peer has.
        is_peer_read: bool = may "isPeerRead";
    }
}

object! {
    /// Who revoked a message.
    pub struct Revoker(Sdk) {
        /// The user.
        user: String = may "userID";
        /// The nick.
        nick: String = may "nick";
        /// The picture.
        avatar: String = may "avatar";
    }
}

impl Message {
    /// The message as the SDK shows it to `me`: as received, so its status is `success`.
    #[must_use]
    pub fn seen_by(me: &UserId, message: &tim_proto::Message<'_>) -> Self {
        let envelope = &message.envelope;
        let from = envelope.from;
        let by = message.revoked_by().unwrap_or_default();
        let flow = if from == *me {
            constants::flow::OUT
        } else {
            constants::flow::IN
        };
        Self {
            id: Some(message.id.to_string()),
            conversation_id: Some(message.conversation_of(me).to_string()),
            conversation_type: Some(message.to.conversation_type().as_str().to_owned()),
            from: Some(from.to_string()),
            to: Some(message.to.target().to_owned()),
            flow: Some(flow.to_owned()),
            time: Some(envelope.time),
            client_time: Some(message.id.client_time),
            sequence: Some(envelope.sequence),
            client_sequence: Some(message.client_sequence),
            random: Some(message.id.random),
            priority: Some(message.priority.to_string()),
            status: Some(constants::status::SUCCESS.to_owned()),
            nick: Some(message.nick().to_owned()),
            avatar: Some(message.avatar().to_owned()),
            name_card: Some(message.name_card().to_owned()),
            is_revoked: Some(message.is_revoked()),
            is_system_message: Some(from == UserId::SYSTEM),
            protocol: Some("JSON".to_owned()),
            at_users: Some(at_users(message)),
            revoker: Some(by.revoker.to_owned()),
            revoker_name: Some(by.name.to_owned()),
            revoke_reason: Some(by.reason.to_owned()),
            sender_tiny_id: Some(message.id.sender.to_string()),
            content: Some(Content::of_payload(&message.payload)),
            other: private(envelope.flags),
            ..Self::default()
        }
    }

    /// A message that was made and not sent yet, as the SDK's `create…Message` returns it. `sender` is the user who is logged in.
    #[must_use]
    pub fn created(message: &tim_proto::Message<'_>) -> Self {
        let me = message.envelope.from;
        let is_group = matches!(message.to, tim_proto::ConversationId::Group(_));
        Self {
            sequence: Some(if is_group { 0 } else { message.client_sequence }),
            status: Some(constants::status::UN_SEND.to_owned()),
            is_peer_read: Some(false),
            is_read: Some(true),
            is_deleted: Some(false),
            is_modified: Some(false),
            is_resend: Some(false),
            is_place_message: Some(0),
            cloud_custom_data: Some(String::new()),
            need_read_receipt: Some(false),
            read_receipt: Some(ReadReceipt::default()),
            version: Some(0),
            is_broadcast: Some(false),
            is_support_extension: Some(false),
            revoker: None,
            revoker_name: None,
            revoke_reason: None,
            other: Map::from_iter([("revoker".to_owned(), Value::Null)]),
            ..Self::seen_by(&me, message)
        }
    }
}

/// The flags as the SDK's private fields, which applications read all the same.
fn private(flags: MessageFlags) -> Map<String, Value> {
    let named = [
        ("_onlineOnlyFlag", MessageFlags::ONLINE_ONLY),
        ("_isExcludedFromUnreadCount", MessageFlags::NO_UNREAD),
        ("_isExcludedFromLastMessage", MessageFlags::NO_LAST),
    ];
    let set = named.into_iter().filter(|(_, flag)| flags.contains(*flag));
    set.map(|(name, _)| (name.to_owned(), Value::Bool(true)))
        .collect()
}

/// The mentioned users, and the SDK's constant for everybody.
fn at_users(message: &tim_proto::Message<'_>) -> Vec<String> {
    let Some(mentions) = message.mentions() else {
        return Vec::new();
    };
    let all = mentions.all.then(|| MENTION_ALL.to_owned());
    mentions
        .users
        .iter()
        .map(|user| user.to_string())
        .chain(all)
        .collect()
}
