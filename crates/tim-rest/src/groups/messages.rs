//! Messages of groups.

use serde::Serialize;
use tim_json::{Element, OfflinePushInfo};

use crate::messages::{body, with_random};
use crate::values::{Done, Flag, Names, Priority};

body!(GroupMessage, OldGroupMessage);
with_random!(GroupMessage);

call! {
    /// Sends a message to a group. The sender need not be a member.
    ///
    /// It is repeated if the answer is lost, with the same random number, by which the service knows a repeated message for five minutes;
    /// a hub knows one that is not stored, as in an AVChatRoom, for two minutes.
    ///
    /// 10017: the sender is muted. 10023: there are too many messages. 80002: it is too long. 10016, 10100 to 10200: the application's
    /// callback refuses it.
    request send_group_message = "group_open_http_svc", "send_group_msg", again -> SentToGroup;
    @complete GroupMessage::complete;
    GroupMessage::to {
        group: String = "GroupId",
        ;
        /// Who sends; without it, the administrator does.
        from: String = "From_Account",
        /// As that of [`Message`](crate::Message).
        random: u32 = "Random",
        /// All its elements.
        elements: Vec<Element> = "MsgBody",
        /// Which message goes first where there are too many.
        priority: Priority = "MsgPriority",
        /// Only these members get it, at most 50. A hub refuses that with 10007.
        only_to: Names = "To_Account",
        /// Whom it mentions.
        mentions: Vec<Mention> = "GroupAtInfo",
        /// Whether only those who are online get it.
        online_only: Flag = "OnlineOnlyFlag",
        /// Whether the sender is told when it is read.
        needs_read_receipt: Flag = "NeedReadReceipt",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
        /// `NoUnread`, `NoLastMsg`.
        control: Names = "SendMsgControl",
        /// `ForbidBeforeSendMsgCallback`, `ForbidAfterSendMsgCallback`.
        forbid_callbacks: Names = "ForbidCallbackControl",
        /// How those who are offline are notified.
        offline_push: OfflinePushInfo = "OfflinePushInfo",
    }
}

/// Whom a message mentions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mention {
    #[serde(rename = "GroupAtAllFlag")]
    everybody: Flag,
    #[serde(rename = "GroupAt_Account", skip_serializing_if = "Option::is_none")]
    user: Option<String>,
}

impl Mention {
    /// Mentions a user.
    #[must_use]
    pub fn of(user: impl Into<String>) -> Self {
        Self {
            everybody: false.into(),
            user: Some(user.into()),
        }
    }

    /// Mentions everybody.
    #[must_use]
    pub fn everybody() -> Self {
        Self {
            everybody: true.into(),
            user: None,
        }
    }
}

answer! {
    /// Where a message of a group is.
    SentToGroup {
        /// Its time, in Unix seconds.
        time: u64 = "MsgTime",
        /// Its number in the group; a hub answers 0 if it is not stored.
        sequence: u64 = "MsgSeq",
        /// Why it was dropped although the call has worked, if the service says so.
        drop_reason: Option<String> = "MsgDropReason",
    }
}

call! {
    /// Sends a notice of the application to the members of a group.
    request notify_group = "group_open_http_svc", "send_group_system_notification", once -> Done;
    GroupNotice::new {
        group: String = "GroupId",
        content: String = "Content",
        ;
        /// To these members only, at most 500 on a hub and 50 at Tencent's.
        to: Names = "ToMembers_Account",
    }
}

call! {
    /// Revokes up to ten messages of a group, of any age. Each has a code of its own: 10030: there is none. 10031: it is too old. 10032: it
    /// may not be revoked.
    request revoke_group_messages = "group_open_http_svc", "group_msg_recall", once -> RevokedGroupMessages;
    RevokeGroupMessages::new {
        group: String = "GroupId",
        sequences: Vec<u64> = "MsgSeqList" with "crate::wire::sequences",
        ;
        /// Why; at most 100 bytes.
        reason: String = "Reason",
    }
}

answer! {
    /// What came of revoking messages.
    RevokedGroupMessages {
        /// One for each message of the request.
        results: Vec<RevokedGroupMessage> = "RecallRetList",
    }
}

answer! {
    /// What came of revoking a message.
    RevokedGroupMessage {
        /// Its number in the group.
        sequence: u64 = "MsgSeq",
        /// 0, or why it is not revoked.
        code: u32 = "RetCode",
    }
}

impl ImportGroupMessages {
    fn complete(&mut self, random: u32) {
        let mut next = random;
        for message in &mut self.messages {
            message.random.get_or_insert(next);
            next = next.wrapping_add(1);
        }
    }
}

call! {
    /// Imports up to seven messages of another system into a group, each behind those before. All members have read everything then, and
    /// nobody is notified.
    request import_group_messages = "group_open_http_svc", "import_group_msg", once -> ImportedGroupMessages;
    @complete ImportGroupMessages::complete;
    ImportGroupMessages::new {
        group: String = "GroupId",
        messages: Vec<OldGroupMessage> = "MsgList",
        ;
        /// Whether the conversation moves up in the members' lists.
        moves_up: Flag = "RecentContactFlag",
    }
}

fields! {
    /// A message of another system; its time is in Unix seconds.
    OldGroupMessage::new {
        from: String = "From_Account",
        time: u64 = "SendTime",
        ;
        /// As that of [`Message`](crate::Message).
        random: u32 = "Random",
        /// All its elements.
        elements: Vec<Element> = "MsgBody",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
    }
}

answer! {
    /// What came of importing messages.
    ImportedGroupMessages {
        /// One for each message of the request.
        results: Vec<ImportedGroupMessage> = "ImportMsgResult",
    }
}

answer! {
    /// What came of importing a message.
    ImportedGroupMessage {
        /// Its number in the group.
        sequence: u64 = "MsgSeq",
        /// Its time, in Unix seconds.
        time: u64 = "MsgTime",
        /// 0, or why it was not imported: 10004 for a time that does not fit, 80002 for one that is too long.
        code: u32 = "Result",
    }
}

call! {
    /// Revokes what a user has sent among the newest 1,000 messages of a group.
    args revoke_messages_of = "group_open_http_svc", "delete_group_msg_by_sender", once -> Done;
    RevokeMessagesOf::new {
        group: String = "GroupId",
        sender: String = "Sender_Account",
    }
}

call! {
    /// A page of the messages of a group, at most 20, newest first; not of an AVChatRoom, which keeps none.
    request group_history = "group_open_http_svc", "group_msg_get_simple", again -> GroupHistoryPage;
    GroupHistory::new {
        group: String = "GroupId",
        count: u32 = "ReqMsgNumber",
        ;
        /// The number of the newest one; without it, that of the newest in the group.
        up_to: u64 = "ReqMsgSeq",
        /// Whether revoked ones are among them.
        with_revoked: Flag = "WithRecalledMsg",
    }
}

impl GroupHistory {
    /// The request for the page behind this one; `None` if that was the last one.
    #[must_use]
    pub fn after(self, page: &GroupHistoryPage) -> Option<Self> {
        let oldest = page.messages.iter().map(|message| message.sequence).min()?;
        (oldest > 1).then(|| self.up_to(oldest - 1))
    }
}

answer! {
    /// A page of messages of a group.
    GroupHistoryPage {
        /// 1: it has all that was asked for. 0: it was cut. 2: what was asked for is not kept any more.
        finished: u32 = "IsFinished",
        /// The messages, newest first.
        messages: Vec<StoredGroupMessage> = "RspMsgList",
    }
}

answer! {
    /// A message of a group.
    StoredGroupMessage {
        /// Who has sent it.
        from: String = "From_Account",
        /// 0; 1: it is not kept any more; 2: it was revoked.
        place: u32 = "IsPlaceMsg",
        /// Whether the service has sent it, if it says so.
        is_of_system: bool = "IsSystemMsg" with "crate::wire::flag",
        /// What it says.
        elements: Vec<Element> = "MsgBody" with "crate::wire::elements",
        /// 1 (high) to 4 (lowest).
        priority: u32 = "MsgPriority",
        /// What distinguishes it from others.
        random: u32 = "MsgRandom",
        /// Its number in the group.
        sequence: u64 = "MsgSeq",
        /// Its time, in Unix seconds.
        time: u64 = "MsgTimeStamp",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
    }
}

impl StoredGroupMessage {
    /// Whether it was revoked.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.place == 2
    }
}
