//! `openim`: one-to-one messages.

use tim_json::{Content, Element, OfflinePushInfo};

use crate::values::{Done, Flag, Names, OneOrTwo, UserResult};

/// Ways to say what a message says.
macro_rules! body {
    ($($name:ident),+) => {$(
        impl $name {
            /// Adds an element of any type.
            #[must_use]
            pub fn element(mut self, element: impl Into<Element>) -> Self {
                self.elements.get_or_insert_default().push(element.into());
                self
            }

            /// Adds a text.
            #[must_use]
            pub fn text(self, text: impl Into<String>) -> Self {
                self.element($crate::messages::text(text.into()))
            }

            /// Adds what only the application understands; a message has one such element at most.
            #[must_use]
            pub fn custom(self, data: impl Into<String>) -> Self {
                self.element($crate::messages::custom(data.into()))
            }
        }
    )+};
}
pub(crate) use body;

pub(crate) fn text(text: String) -> Content {
    let mut content = tim_json::Text::default();
    content.text = text;
    content.into()
}

pub(crate) fn custom(data: String) -> Content {
    let mut content = tim_json::Custom::default();
    content.data = Some(data);
    content.into()
}

/// Chooses the random numbers of messages that have none.
macro_rules! with_random {
    ($($name:ident),+) => {$(
        impl $name {
            fn complete(&mut self, random: u32) {
                self.random.get_or_insert(random);
            }
        }
    )+};
}
pub(crate) use with_random;

body!(Message, Broadcast, ImportedMessage);
with_random!(Message, Broadcast, ImportedMessage);

call! {
    /// Sends a message to one user. It reaches every device of the receiver, and those of the sender.
    ///
    /// It is repeated if the answer is lost, with the same random number. A hub knows a repeated message for five minutes, also after a
    /// restart; one that is not stored for two minutes, and not after a restart. Tencent promises that for messages of the same second
    /// only: there, use [`Builder::attempts`](crate::Builder::attempts) 1 if twice is worse than not at all.
    ///
    /// 90012: there is no such receiver. 90008: no such sender. 93000: it is too long. 20006, 120001 to 130000: the application's callback
    /// refuses it.
    request send_message = "openim", "sendmsg", again -> SentMessage;
    @complete Message::complete;
    Message::to {
        to: String = "To_Account",
        ;
        /// Who sends; without it, the administrator does.
        from: String = "From_Account",
        /// What distinguishes the message from others; the client chooses it. Choose it yourself to send the same message again in a later
        /// call, for example after a restart of your server.
        random: u32 = "MsgRandom",
        /// Its place among messages of the same second.
        sequence: u32 = "MsgSeq",
        /// When it was written, in Unix seconds.
        time: u64 = "MsgTimeStamp",
        /// All its elements.
        elements: Vec<Element> = "MsgBody",
        /// Whether the sender's devices get it, too.
        sync_to_sender: OneOrTwo = "SyncOtherMachine",
        /// How long it is kept, in seconds, at most seven days; 0: for those who are online only.
        lifetime_seconds: u32 = "MsgLifeTime",
        /// Whether only those who are online get it.
        online_only: Flag = "OnlineOnlyFlag",
        /// Whether the sender is told when it is read.
        needs_read_receipt: Flag = "IsNeedReadReceipt",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
        /// `NoUnread`, `NoLastMsg`, `WithMuteNotifications`.
        control: Names = "SendMsgControl",
        /// `ForbidBeforeSendMsgCallback`, `ForbidAfterSendMsgCallback`.
        forbid_callbacks: Names = "ForbidCallbackControl",
        /// How those who are offline are notified.
        offline_push: OfflinePushInfo = "OfflinePushInfo",
    }
}

answer! {
    /// Where a message is.
    SentMessage {
        /// Its time, in Unix seconds.
        time: u64 = "MsgTime",
        /// Its key, for [`Client::revoke_message`](crate::Client::revoke_message).
        key: String = "MsgKey",
        /// Its id, if the service says one.
        id: Option<String> = "MsgId",
    }
}

call! {
    /// Sends a message to up to 500 users, to each apart. Callbacks are not asked. It is repeated as [`send_message`](Self::send_message) says.
    ///
    /// Receivers who do not get it are in the answer. 90012: none of them has an account. 90011: there are too many.
    request send_to_many = "openim", "batchsendmsg", again -> SentToMany;
    @complete Broadcast::complete;
    Broadcast::to {
        to: Names = "To_Account",
        ;
        /// Who sends; without it, the administrator does.
        from: String = "From_Account",
        /// As that of [`Message`].
        random: u32 = "MsgRandom",
        /// Its place among messages of the same second.
        sequence: u32 = "MsgSeq",
        /// All its elements.
        elements: Vec<Element> = "MsgBody",
        /// Whether the sender's devices get it, too.
        sync_to_sender: OneOrTwo = "SyncOtherMachine",
        /// How long it is kept, in seconds; 0: for those who are online only.
        lifetime_seconds: u32 = "MsgLifeTime",
        /// Whether only those who are online get it.
        online_only: Flag = "OnlineOnlyFlag",
        /// Whether the sender is told when it is read.
        needs_read_receipt: Flag = "IsNeedReadReceipt",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
        /// `NoUnread`, `NoLastMsg`, `WithMuteNotifications`.
        control: Names = "SendMsgControl",
        /// How those who are offline are notified.
        offline_push: OfflinePushInfo = "OfflinePushInfo",
    }
}

answer! {
    /// What came of a message to many.
    SentToMany {
        /// Its time, in Unix seconds; 0 if the service does not say it.
        time: u64 = "MsgTime",
        /// The key of the message of each receiver.
        key: String = "MsgKey",
        /// Those who did not get it. 70107: there is no such account.
        failed: Vec<UserResult> = "ErrorList",
    }
}

call! {
    /// Imports a message of another system. Nobody is notified. A repeated one is imported once.
    ///
    /// 90008, 90012: there is no such sender, or receiver. 90030: it is neither [live](ImportedMessage::live) nor [past](ImportedMessage::past).
    request import_message = "openim", "importmsg", again -> Done;
    @complete ImportedMessage::complete;
    ImportedMessage::new {
        from: String = "From_Account",
        to: String = "To_Account",
        time: u64 = "MsgTimeStamp",
        is_live: OneOrTwo = "SyncFromOldSystem",
        ;
        /// As that of [`Message`]. Give your own system's numbers, so that a message is imported once.
        random: u32 = "MsgRandom",
        /// Its place among messages of the same second.
        sequence: u32 = "MsgSeq",
        /// All its elements.
        elements: Vec<Element> = "MsgBody",
        /// Whether the sender's devices get it, too.
        sync_to_sender: OneOrTwo = "SyncOtherMachine",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
    }
}

impl ImportedMessage {
    /// A message that is sent just now in a system that is being replaced: it counts as unread.
    #[must_use]
    pub fn live(from: impl Into<String>, to: impl Into<String>, time: u64) -> Self {
        Self::new(from, to, time, true)
    }

    /// A message of the past. It does not count as unread.
    #[must_use]
    pub fn past(from: impl Into<String>, to: impl Into<String>, time: u64) -> Self {
        Self::new(from, to, time, false)
    }
}

call! {
    /// A page of the messages of two users, as `from` sees them, between two times in Unix seconds, newest page first.
    ///
    /// 90008, 90003: there is no such user, and there are no such messages.
    request history = "openim", "admin_getroammsg", again -> HistoryPage;
    History::new {
        from: String = "From_Account",
        to: String = "To_Account",
        max_count: u32 = "MaxCnt",
        min_time: u64 = "MinTime",
        max_time: u64 = "MaxTime",
        ;
        /// Only what is older than the message with this key.
        before: String = "LastMsgKey",
    }
}

impl History {
    /// The request for the page behind this one; `None` if that was the last one.
    #[must_use]
    pub fn after(mut self, page: &HistoryPage) -> Option<Self> {
        if page.is_complete || page.last_key.is_empty() {
            return None;
        }
        self.max_time = page.last_time;
        Some(self.before(page.last_key.as_str()))
    }
}

answer! {
    /// A page of messages of two users.
    HistoryPage {
        /// Whether there are no older ones.
        is_complete: bool = "Complete" with "crate::wire::flag",
        /// The time of the oldest message in it, in Unix seconds.
        last_time: u64 = "LastMsgTime",
        /// The key of that message.
        last_key: String = "LastMsgKey",
        /// The messages, oldest first.
        messages: Vec<StoredMessage> = "MsgList",
    }
}

answer! {
    /// A message of two users.
    StoredMessage {
        /// Who has sent it.
        from: String = "From_Account",
        /// To whom.
        to: String = "To_Account",
        /// Its place among messages of the same second.
        sequence: u64 = "MsgSeq",
        /// What distinguishes it from others.
        random: u32 = "MsgRandom",
        /// When it was stored, in Unix seconds.
        time: u64 = "MsgTimeStamp",
        /// When its sender has written it, in Unix seconds; 0 if the service does not say that.
        client_time: u64 = "MsgClientTime",
        /// 8 if it was revoked.
        flags: u32 = "MsgFlagBits",
        /// Its key.
        key: String = "MsgKey",
        /// Whether its receiver has read it, if the service says that.
        is_peer_read: bool = "IsPeerRead" with "crate::wire::flag",
        /// What it says.
        elements: Vec<Element> = "MsgBody" with "crate::wire::elements",
        /// What the application keeps with it.
        cloud_custom_data: String = "CloudCustomData",
    }
}

impl StoredMessage {
    /// Whether it was revoked.
    #[must_use]
    pub const fn is_revoked(&self) -> bool {
        self.flags & 8 != 0
    }
}

call! {
    /// Revokes a message, which is gone at both ends then. It needs the key that sending it, or its history, has given.
    ///
    /// 20022: there is none. 20023: it is revoked already. 90054: that is no key.
    args revoke_message = "openim", "admin_msgwithdraw", once -> Done;
    RevokeMessage::new {
        from: String = "From_Account",
        to: String = "To_Account",
        key: String = "MsgKey",
    }
}

call! {
    /// A user has read the messages of another one.
    ///
    /// 90008, 90003: there is no such user.
    request set_read = "openim", "admin_set_msg_read", once -> Done;
    SetRead::new {
        reader: String = "Report_Account",
        peer: String = "Peer_Account",
        ;
        /// Only those up to this time, in Unix seconds.
        up_to: u64 = "MsgReadTime",
    }
}

call! {
    /// How many one-to-one messages a user has not read: all of them, or those of some peers.
    ///
    /// 90003: there is no such user.
    request unread = "openim", "get_c2c_unread_msg_num", again -> Unread;
    CountUnread::of {
        user: String = "To_Account",
        ;
        /// Those of these peers only, at most ten.
        from: Names = "Peer_Account",
    }
}

answer! {
    /// How many messages a user has not read.
    Unread {
        /// Of all peers; `None` if some were named.
        total: Option<u64> = "AllC2CUnreadMsgNum",
        /// Of those who were named.
        peers: Vec<UnreadOfPeer> = "C2CUnreadMsgNumList",
        /// Those of whom that is not known.
        failed: Vec<UserResult> = "ErrorList",
    }
}

answer! {
    /// How many messages of a peer a user has not read.
    UnreadOfPeer {
        /// The peer.
        peer: String = "Peer_Account",
        /// How many.
        count: u64 = "C2CUnreadMsgNum",
    }
}
