//! Events: what the client reports to the application.

use std::sync::Arc;

use tim_proto::request::Gap;
use tim_proto::vendor::constants::{event, types};
use tim_transport_std::session;

use crate::{Conversation, GroupProfile, ImError, Message, UserProfile};

pub use session::{NetState, NotReadyReason};

/// An event (`{name, data}` in the Web SDK). Clones are cheap.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// SDK_READY: logged in, and everything that waited at the hub has arrived.
    SdkReady,
    /// SDK_NOT_READY, and the reason.
    SdkNotReady(NotReadyReason),
    /// MESSAGE_RECEIVED: one or more messages in the hub's order; never one that this client sent.
    MessageReceived(Vec<Message>),
    /// MESSAGE_REVOKED: these messages are revoked, by whomever; not what a call of this client has revoked and returned. The event
    /// follows a call that failed, was dropped, or belongs to an earlier run of the application, if the hub has revoked the
    /// message all the same.
    MessageRevoked(Vec<Message>),
    /// CONVERSATION_LIST_UPDATED: the current list, newest first. At most one a second: changes within a second of the last
    /// event are combined into one at its end. The same applies to the next two events.
    ConversationListUpdated(Vec<Arc<Conversation>>),
    /// TOTAL_UNREAD_MESSAGE_COUNT_UPDATED: the current total, as returned by
    /// [`Client::get_total_unread_message_count`](crate::Client::get_total_unread_message_count).
    TotalUnreadMessageCountUpdated(u64),
    /// GROUP_LIST_UPDATED: the groups that the user is in. Only after the first
    /// [`Client::get_group_list`](crate::Client::get_group_list).
    GroupListUpdated(Vec<Arc<GroupProfile>>),
    /// PROFILE_UPDATED: the new profiles of these users. Only for changes made by this client.
    ProfileUpdated(Vec<UserProfile>),
    /// KICKED_OUT: the hub has ended the session, and the reason. The client can log in again.
    KickedOut(ImError),
    /// The UserSig expires at this time (Unix time in seconds), and the session with it: pass a new one to
    /// [`Client::set_user_sig`](crate::Client::set_user_sig). Not in the Web SDK.
    UserSigExpiring(u64),
    /// NET_STATE_CHANGE.
    NetStateChange(NetState),
    /// Entries of a conversation that this device never received are no longer retained. Or, if [`Gap::is_restored`], the
    /// hub was restored from a backup: it has lost an unknown part of every conversation and assigns sequences again.
    /// Not in the Web SDK.
    Gap(Gap),
}

/// Defines [`EventKind`]: the kind of each event, and its name in the Web SDK.
macro_rules! event_kinds {
    ($($kind:ident => $name:expr,)+) => {
        /// The kind of an event, for registering a handler.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventKind {
            $(#[doc = concat!("[`Event::", stringify!($kind), "`].")] $kind,)+
        }

        impl EventKind {
            /// The Web SDK's name of the event, such as `onMessageReceived`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }

        impl Event {
            /// The kind of the event.
            #[must_use]
            pub const fn kind(&self) -> EventKind {
                match self {
                    $(Self::$kind { .. } => EventKind::$kind,)+
                }
            }
        }
    };
}

event_kinds! {
    SdkReady => event::SDK_READY,
    SdkNotReady => event::SDK_NOT_READY,
    MessageReceived => event::MESSAGE_RECEIVED,
    MessageRevoked => event::MESSAGE_REVOKED,
    ConversationListUpdated => event::CONVERSATION_LIST_UPDATED,
    TotalUnreadMessageCountUpdated => event::TOTAL_UNREAD_MESSAGE_COUNT_UPDATED,
    GroupListUpdated => event::GROUP_LIST_UPDATED,
    ProfileUpdated => event::PROFILE_UPDATED,
    KickedOut => event::KICKED_OUT,
    UserSigExpiring => "userSigExpiring",
    NetStateChange => event::NET_STATE_CHANGE,
    Gap => "gap",
}

impl Event {
    /// The Web SDK's name of the event (`event.name`).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.kind().name()
    }
}

/// The Web SDK's constant for a connection state: `connected`, `connecting`, `disconnected`.
#[must_use]
pub const fn net_state_name(state: NetState) -> &'static str {
    match state {
        NetState::Connected => types::NET_STATE_CONNECTED,
        NetState::Connecting => types::NET_STATE_CONNECTING,
        NetState::Disconnected => types::NET_STATE_DISCONNECTED,
    }
}
