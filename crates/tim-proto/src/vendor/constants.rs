//! The SDK's constants, with the names and values that applications and JSON use.
//!
//! `TIM.EVENT.SDK_READY` is [`event::SDK_READY`], `TIM.TYPES.CONV_C2C` is [`types::CONV_C2C`]. Each module also has a
//! table of its constants for lookup by name. Constants of unsupported features (friends, profiles, topics) are
//! omitted.

/// Defines constants and a table of them.
macro_rules! constants {
    ($type:ty, $all:ident; $($name:ident = $value:literal;)+) => {
        $(
            #[doc = concat!("`", stringify!($value), "`")]
            pub const $name: $type = $value;
        )+

        /// The name and value of each of these constants.
        pub static $all: &[(&str, $type)] = &[$((stringify!($name), $name)),+];
    };
}

/// `TIM.EVENT`: the events that a client reports to its application. The first four are mandatory. Events that no
/// client of this project reports are omitted.
pub mod event {
    constants! { &str, ALL;
        SDK_READY = "sdkStateReady";
        SDK_NOT_READY = "sdkStateNotReady";
        MESSAGE_RECEIVED = "onMessageReceived";
        MESSAGE_REVOKED = "onMessageRevoked";
        CONVERSATION_LIST_UPDATED = "onConversationListUpdated";
        TOTAL_UNREAD_MESSAGE_COUNT_UPDATED = "onTotalUnreadMessageCountUpdated";
        GROUP_LIST_UPDATED = "onGroupListUpdated";
        PROFILE_UPDATED = "onProfileUpdated";
        KICKED_OUT = "kickedOut";
        NET_STATE_CHANGE = "netStateChange";
    }
}

/// `TIM.TYPES`: message kinds, priorities, conversation and group types, states and reasons.
pub mod types {
    constants! { &str, ALL;
        MSG_TEXT = "TIMTextElem";
        MSG_IMAGE = "TIMImageElem";
        MSG_SOUND = "TIMSoundElem";
        MSG_AUDIO = "TIMSoundElem";
        MSG_FILE = "TIMFileElem";
        MSG_FACE = "TIMFaceElem";
        MSG_VIDEO = "TIMVideoFileElem";
        MSG_GEO = "TIMLocationElem";
        MSG_LOCATION = "TIMLocationElem";
        MSG_GRP_TIP = "TIMGroupTipElem";
        MSG_GRP_SYS_NOTICE = "TIMGroupSystemNoticeElem";
        MSG_CUSTOM = "TIMCustomElem";
        MSG_MERGER = "TIMRelayElem";
        MSG_PRIORITY_HIGH = "High";
        MSG_PRIORITY_NORMAL = "Normal";
        MSG_PRIORITY_LOW = "Low";
        MSG_PRIORITY_LOWEST = "Lowest";
        CONV_C2C = "C2C";
        CONV_GROUP = "GROUP";
        CONV_SYSTEM = "@TIM#SYSTEM";
        MSG_AT_ALL = "__kImSDK_MesssageAtALL__";
        MSG_REMIND_ACPT_AND_NOTE = "AcceptAndNotify";
        MSG_REMIND_ACPT_NOT_NOTE = "AcceptNotNotify";
        MSG_REMIND_DISCARD = "Discard";
        GRP_PRIVATE = "Private";
        GRP_WORK = "Private";
        GRP_PUBLIC = "Public";
        GRP_CHATROOM = "ChatRoom";
        GRP_MEETING = "ChatRoom";
        GRP_AVCHATROOM = "AVChatRoom";
        GRP_COMMUNITY = "Community";
        GRP_MBR_ROLE_OWNER = "Owner";
        GRP_MBR_ROLE_ADMIN = "Admin";
        GRP_MBR_ROLE_MEMBER = "Member";
        JOIN_OPTIONS_FREE_ACCESS = "FreeAccess";
        JOIN_OPTIONS_NEED_PERMISSION = "NeedPermission";
        JOIN_OPTIONS_DISABLE_APPLY = "DisableApply";
        JOIN_STATUS_SUCCESS = "JoinedSuccess";
        JOIN_STATUS_ALREADY_IN_GROUP = "AlreadyInGroup";
        JOIN_STATUS_WAIT_APPROVAL = "WaitAdminApproval";
        INVITE_OPTIONS_FREE_ACCESS = "FreeAccess";
        INVITE_OPTIONS_NEED_PERMISSION = "NeedPermission";
        INVITE_OPTIONS_DISABLE_INVITE = "DisableInvite";
        KICKED_OUT_MULT_ACCOUNT = "multipleAccount";
        KICKED_OUT_MULT_DEVICE = "multipleDevice";
        KICKED_OUT_USERSIG_EXPIRED = "userSigExpired";
        KICKED_OUT_REST_API = "REST_API_Kick";
        NET_STATE_CONNECTED = "connected";
        NET_STATE_CONNECTING = "connecting";
        NET_STATE_DISCONNECTED = "disconnected";
    }

    constants! { u32, ALL_NUMBERS;
        CONV_AT_ME = 1;
        CONV_AT_ALL = 2;
        CONV_AT_ALL_AT_ME = 3;
        GRP_TIP_MBR_JOIN = 1;
        GRP_TIP_MBR_QUIT = 2;
        GRP_TIP_MBR_KICKED_OUT = 3;
        GRP_TIP_MBR_SET_ADMIN = 4;
        GRP_TIP_MBR_CANCELED_ADMIN = 5;
        GRP_TIP_GRP_PROFILE_UPDATED = 6;
        GRP_TIP_MBR_PROFILE_UPDATED = 7;
        GRP_TIP_BAN_AVCHATROOM_MEMBER = 10;
        GRP_TIP_UNBAN_AVCHATROOM_MEMBER = 11;
    }
}

/// `message.status`: the send status of a message.
pub mod status {
    constants! { &str, ALL;
        UN_SEND = "unSend";
        SUCCESS = "success";
        FAIL = "fail";
    }
}

/// `message.flow`: whether the account received or sent a message.
pub mod flow {
    constants! { &str, ALL;
        IN = "in";
        OUT = "out";
    }
}
