//! What the client tells the application.

use std::sync::Arc;

use tim_proto::constants::{event, types};
use tim_proto::request::Gap;
use tim_transport_std::session;

use crate::{Conversation, GroupProfile, ImError, Message, UserProfile};

pub use session::{NetState, NotReadyReason};

/// Something that happened (`{name, data}` in the SDK). A clone is cheap.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// SDK_READY (S84): logged in, and all that was waiting has arrived.
    SdkReady,
    /// SDK_NOT_READY (S85), and why.
    SdkNotReady(NotReadyReason),
    /// MESSAGE_RECEIVED (S129-S131): one or more messages in the hub's order; never one that this client sent (S105).
    MessageReceived(Vec<Message>),
    /// MESSAGE_REVOKED (S118-S120): each of them is revoked.
    MessageRevoked(Vec<Message>),
    /// CONVERSATION_LIST_UPDATED: the list as it is now, newest first. At most one a second: what changes within a second
    /// of the last one makes one at its end. The same goes for the next two.
    ConversationListUpdated(Vec<Arc<Conversation>>),
    /// TOTAL_UNREAD_MESSAGE_COUNT_UPDATED: how many messages are unread now, as
    /// [`Client::get_total_unread_message_count`](crate::Client::get_total_unread_message_count) counts them.
    TotalUnreadMessageCountUpdated(u64),
    /// GROUP_LIST_UPDATED: the groups that the user is in now. Only once the application has asked for the list
    /// ([`Client::get_group_list`](crate::Client::get_group_list)).
    GroupListUpdated(Vec<Arc<GroupProfile>>),
    /// PROFILE_UPDATED: these users are shown like this from now on. Told for what this client changed.
    ProfileUpdated(Vec<UserProfile>),
    /// KICKED_OUT: the hub ended the session for good, and why. Log in again to come back.
    KickedOut(ImError),
    /// The UserSig ends at this time (Unix seconds), and the session with it: get a new one for
    /// [`Client::set_user_sig`](crate::Client::set_user_sig). The SDK has no such event.
    UserSigExpiring(u64),
    /// NET_STATE_CHANGE.
    NetStateChange(NetState),
    /// Entries of a conversation that this device never saw are no longer kept; or, if [`Gap::is_restored`], the hub was put
    /// back from an older copy: of every conversation an unknown part is lost at the hub, and sequences are given out again.
    /// The SDK has no such event.
    Gap(Gap),
}

/// Which event, to register a handler for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// [`Event::SdkReady`].
    SdkReady,
    /// [`Event::SdkNotReady`].
    SdkNotReady,
    /// [`Event::MessageReceived`].
    MessageReceived,
    /// [`Event::MessageRevoked`].
    MessageRevoked,
    /// [`Event::ConversationListUpdated`].
    ConversationListUpdated,
    /// [`Event::TotalUnreadMessageCountUpdated`].
    TotalUnreadMessageCountUpdated,
    /// [`Event::GroupListUpdated`].
    GroupListUpdated,
    /// [`Event::ProfileUpdated`].
    ProfileUpdated,
    /// [`Event::KickedOut`].
    KickedOut,
    /// [`Event::UserSigExpiring`].
    UserSigExpiring,
    /// [`Event::NetStateChange`].
    NetStateChange,
    /// [`Event::Gap`].
    Gap,
}

impl EventKind {
    /// The SDK's name of the event, such as `onMessageReceived`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SdkReady => event::SDK_READY,
            Self::SdkNotReady => event::SDK_NOT_READY,
            Self::MessageReceived => event::MESSAGE_RECEIVED,
            Self::MessageRevoked => event::MESSAGE_REVOKED,
            Self::ConversationListUpdated => event::CONVERSATION_LIST_UPDATED,
            Self::TotalUnreadMessageCountUpdated => event::TOTAL_UNREAD_MESSAGE_COUNT_UPDATED,
            Self::GroupListUpdated => event::GROUP_LIST_UPDATED,
            Self::ProfileUpdated => event::PROFILE_UPDATED,
            Self::KickedOut => event::KICKED_OUT,
            Self::UserSigExpiring => "userSigExpiring",
            Self::NetStateChange => event::NET_STATE_CHANGE,
            Self::Gap => "gap",
        }
    }
}

impl Event {
    /// Which event it is.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::SdkReady => EventKind::SdkReady,
            Self::SdkNotReady(_) => EventKind::SdkNotReady,
            Self::MessageReceived(_) => EventKind::MessageReceived,
            Self::MessageRevoked(_) => EventKind::MessageRevoked,
            Self::ConversationListUpdated(_) => EventKind::ConversationListUpdated,
            Self::TotalUnreadMessageCountUpdated(_) => EventKind::TotalUnreadMessageCountUpdated,
            Self::GroupListUpdated(_) => EventKind::GroupListUpdated,
            Self::ProfileUpdated(_) => EventKind::ProfileUpdated,
            Self::KickedOut(_) => EventKind::KickedOut,
            Self::UserSigExpiring(_) => EventKind::UserSigExpiring,
            Self::NetStateChange(_) => EventKind::NetStateChange,
            Self::Gap(_) => EventKind::Gap,
        }
    }

    /// `event.name` (S119).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// The SDK's constant for a state of the line: `connected`, `connecting`, `disconnected`.
#[must_use]
pub const fn net_state_name(state: NetState) -> &'static str {
    match state {
        NetState::Connected => types::NET_STATE_CONNECTED,
        NetState::Connecting => types::NET_STATE_CONNECTING,
        NetState::Disconnected => types::NET_STATE_DISCONNECTED,
    }
}
