//! Error codes in use, with cause and remedy. Each line defines both the constant and its text.

use super::ErrorCode;

/// Defines the constants and two tables of them. Entries are in ascending order of the code.
macro_rules! codes {
    ($($const:ident = $code:literal, $text:literal;)+) => {
        impl ErrorCode {
            $(
                #[doc = $text]
                pub const $const: Self = Self($code);
            )+

            /// Every constant of this type with its name, in ascending order of the code.
            pub const NAMED: &'static [(Self, &'static str)] = NAMED;
        }

        static NAMED: &[(ErrorCode, &str)] = &[$((ErrorCode($code), stringify!($const))),+];

        /// Code and text, in ascending order of the code.
        pub(super) static TEXTS: &[(ErrorCode, &str)] = &[$((ErrorCode($code), $text)),+];
    };
}

codes! {
    SUCC = 0, "Done.";

    // The client library.
    NO_SDKAPPID = 2000, "The application's number (SDKAppID) is missing; give it when creating the client.";
    NO_ACCOUNT_TYPE = 2001, "The account type is missing.";
    NO_IDENTIFIER = 2002, "The user id is missing; give it to login.";
    NO_USERSIG = 2003, "The UserSig is missing; give it to login.";
    NO_TINYID = 2022, "The account has no number yet; log in first.";
    NO_A2KEY = 2023, "The session has no ticket yet; log in first.";
    USER_NOT_LOGGED_IN = 2024, "Nobody is logged in; log in first.";
    REPEAT_LOGIN = 2025, "A login is under way already; wait for it.";
    COS_UNDETECTED = 2040, "There is no upload service; set one up before sending files.";
    COS_GET_SIG_FAIL = 2041, "The upload was not granted; try again.";
    MESSAGE_SEND_FAIL = 2100, "The message was not sent; resend it.";
    MESSAGE_SEND_FAIL_NOT_IN_AVCHATROOM = 2101, "You are not in this AVChatRoom; join it before sending.";
    MESSAGE_SEND_NEED_MESSAGE_INSTANCE = 2105, "This is no message; make one with a create call first.";
    MESSAGE_SEND_INVALID_CONVERSATION_TYPE = 2106, "Only users (C2C) and groups (GROUP) can be sent to.";
    MESSAGE_FILE_IS_EMPTY = 2108, "The file is empty; choose another.";
    MESSAGE_ONPROGRESS_FUNCTION_ERROR = 2109, "The progress callback failed; correct it.";
    MESSAGE_REVOKE_FAIL = 2110, "The message was not revoked; try again.";
    MESSAGE_DELETE_FAIL = 2111, "The message was not deleted; try again.";
    MESSAGE_UNREAD_ALL_FAIL = 2112, "The messages were not all marked as read; try again.";
    MESSAGE_SEND_GROUP_WITH_TOPIC_FAIL = 2115, "This group has topics; send to one of them.";
    MESSAGE_IMAGE_SELECT_FILE_FIRST = 2251, "There is no picture; choose one.";
    MESSAGE_IMAGE_TYPES_LIMIT = 2252, "Wrong type of picture; use jpg, jpeg, gif, png, bmp or webp.";
    MESSAGE_IMAGE_SIZE_LIMIT = 2253, "The picture is larger than 20 MB; make it smaller.";
    MESSAGE_AUDIO_UPLOAD_FAIL = 2300, "The recording was not uploaded; resend the message.";
    MESSAGE_AUDIO_SIZE_LIMIT = 2301, "The recording is larger than 20 MB; record less.";
    MESSAGE_VIDEO_UPLOAD_FAIL = 2350, "The video was not uploaded; resend the message.";
    MESSAGE_VIDEO_SIZE_LIMIT = 2351, "The video is larger than 100 MB; make it smaller.";
    MESSAGE_VIDEO_TYPES_LIMIT = 2352, "Videos of this type cannot be sent; use mp4 or mov.";
    MESSAGE_FILE_UPLOAD_FAIL = 2400, "The file was not uploaded; resend the message.";
    MESSAGE_FILE_SELECT_FILE_FIRST = 2401, "There is no file; choose one.";
    MESSAGE_FILE_SIZE_LIMIT = 2402, "The file is larger than 100 MB; make it smaller.";
    MESSAGE_FILE_URL_IS_EMPTY = 2403, "The message has nothing to send; fill it or upload its file first.";
    MESSAGE_MERGER_TYPE_INVALID = 2450, "A message in the list cannot be merged; leave it out.";
    MESSAGE_MERGER_KEY_INVALID = 2451, "The merged messages have no key to fetch them by.";
    MESSAGE_MERGER_DOWNLOAD_FAIL = 2452, "The merged messages could not be fetched; try again.";
    MESSAGE_FORWARD_TYPE_INVALID = 2453, "Messages of this kind cannot be forwarded.";
    MESSAGE_MODIFY_CONFLICT = 2480, "Somebody else changed the message first; read it again.";
    MESSAGE_MODIFY_DISABLED_IN_AVCHATROOM = 2481, "Messages in an AVChatRoom cannot be changed.";
    CONVERSATION_NOT_FOUND = 2500, "There is no such conversation; refresh the list.";
    USER_OR_GROUP_NOT_FOUND = 2501, "There is no such user or group.";
    CONVERSATION_UN_RECORDED_TYPE = 2502, "Conversations of this type are not kept.";
    INVALID_CONVERSATION_ID = 2503, "No conversation id: it is C2C and a user, GROUP and a group, or @TIM#SYSTEM.";
    ILLEGAL_GROUP_TYPE = 2600, "There is no such type of group.";
    CANNOT_JOIN_WORK = 2601, "Work groups are joined by invitation only.";
    ILLEGAL_GROUP_ID = 2602, "No group id: use up to 48 printable ASCII characters, not starting with @TGS#.";
    CANNOT_FIND_GROUP = 2603, "There is no such group.";
    MEMBER_NOT_IN_GROUP = 2623, "This user is not in the group.";
    JOIN_GROUP_FAIL = 2660, "The group was not joined; try again.";
    CANNOT_ADD_MEMBER_IN_AVCHATROOM = 2661, "Nobody can be added to an AVChatRoom; people join it.";
    NOT_OWNER = 2681, "Only the group's owner can do this.";
    INVALID_MEMBER_ROLE = 2683, "There is no such role.";
    NETWORK_ERROR = 2800, "The network failed; try again.";
    NETWORK_TIMEOUT = 2801, "No answer came in time, though it may have been done; resend the same message.";
    NO_NETWORK = 2805, "There is no network; check the connection.";
    UNCAUGHT_ERROR = 2903, "The library failed unexpectedly; report it.";
    INVALID_OPERATION = 2905, "This cannot be done here or now.";
    OVER_FREQUENCY_LIMIT = 2996, "Too many calls; wait a moment.";
    CANNOT_FIND_PROTOCOL = 2997, "The library does not know this request.";
    CANNOT_FIND_MODULE = 2998, "The library was built without the module for this call.";
    SDK_IS_NOT_READY = 2999, "The client is not ready; wait for SDK_READY.";
    LOGGING_IN = 3000, "The login is still under way; wait for SDK_READY.";
    LOGIN_FAILED = 3001, "The login failed; see why and log in again.";
    KICKED_OUT_MULT_DEVICE = 3002, "The account logged in on another device; log in again to take it back.";
    KICKED_OUT_MULT_ACCOUNT = 3003, "The account logged in again on this device; log in to take it back.";
    KICKED_OUT_USERSIG_EXPIRED = 3004, "The UserSig has expired; get a new one and log in.";
    LOGGED_OUT = 3005, "The account has logged out; log in again.";
    KICKED_OUT_REST_API = 3006, "An administrator ended the session; log in again.";
    CANNOT_USE_COMMERCIAL_ABILITY = 3122, "The service's plan does not include this.";
    PROFANITY_FOUND = 3123, "The text has words that the filter refuses; change it.";

    // Native client codes without a web counterpart.
    SDK_COMM_INVALID_IDENTIFIER = 7003, "This is no user id; use 1 to 32 printable ASCII characters.";
    SDK_MSG_BODY_SIZE_LIMIT = 8001, "The message is larger than 12 KB; shorten it.";

    // Groups.
    GROUP_INTERNAL_ERROR = 10002, "The server failed; try again.";
    GROUP_INVALID_PARAMETERS = 10004, "The request has a wrong value; correct it.";
    GROUP_FREQ_LIMIT = 10006, "Too many requests to the group; wait a moment.";
    GROUP_PERMISSION_DENY = 10007, "You lack the right to do this in the group; ask an admin or the owner.";
    GROUP_SUPER_NOT_ALLOW_QUIT = 10009, "The owner cannot leave; hand the group over or dismiss it.";
    GROUP_NOT_FOUND = 10010, "There is no such group, or it was dismissed.";
    GROUP_ALLREADY_MEMBER = 10013, "This user is in the group already.";
    GROUP_FULL_MEMBER_COUNT = 10014, "The group is full.";
    GROUP_INVALID_GROUPID = 10015, "There is no group with this id; check it.";
    GROUP_REJECT_FROM_THIRDPARTY = 10016, "The application's callback refused this.";
    GROUP_SHUTUP_DENY = 10017, "You are muted in this group; wait or ask an admin.";
    GROUP_ACCOUNT_NOT_FOUND = 10019, "There is no such account.";
    GROUP_GROUPID_IN_USED = 10021, "The group id is taken; choose another.";
    GROUP_SEND_MSG_FREQ_LIMIT = 10023, "The group has too many messages this second; resend in a moment.";
    GROUP_REQ_ALLREADY_BEEN_PROCESSED = 10024, "Somebody else has dealt with this request already.";
    GROUP_GROUPID_IN_USED_FOR_SUPER = 10025, "You own a group with this id already.";
    GROUP_REVOKE_MSG_NOT_FOUND = 10030, "There is no such message to revoke.";
    GROUP_REVOKE_MSG_TIME_LIMIT = 10031, "It is too late to revoke this message.";
    GROUP_REVOKE_MSG_DENY = 10032, "You may not revoke this message.";
    GROUP_NOT_ALLOW_REVOKE_MSG = 10033, "Messages in groups of this type cannot be revoked.";
    GROUP_REMOVE_MSG_DENY = 10034, "You may not delete this message.";
    GROUP_NOT_ALLOW_REMOVE_MSG = 10035, "Messages in groups of this type cannot be deleted.";
    GROUP_COUNT_LIMIT = 10037, "The user is in as many groups as allowed; leave one first.";

    // Messages to one user.
    MSG_PKG_PARSE_FAILED = 20001, "The server could not read the request; report it.";
    MSG_INTERNAL_AUTH_FAILED = 20002, "The session's ticket is invalid or expired; log in again.";
    MSG_INVALID_ID = 20003, "There is no such user; check the id.";
    MSG_NET_ERROR = 20004, "The server's network failed; try again.";
    MSG_INTERNAL_ERROR1 = 20005, "The server failed; try again.";
    MSG_PUSH_DENY = 20006, "The application's callback refused the message.";
    MSG_IN_PEER_BLACKLIST = 20007, "The receiver has blocked you.";
    MSG_BOTH_NOT_FRIEND = 20009, "You are not friends; add the receiver first.";
    MSG_NOT_PEER_FRIEND = 20010, "You are not on the receiver's list of friends.";
    MSG_NOT_SELF_FRIEND = 20011, "The receiver is not on your list of friends.";
    MSG_SHUTUP_DENY = 20012, "You are muted; wait or ask the administrator.";
    MSG_REVOKE_TIME_LIMIT = 20016, "It is too late to revoke this message.";
    MSG_DEL_RAMBLE_INTERNAL_ERROR = 20018, "The message was not deleted from the history; try again.";
    MSG_MODIFY_CONFLICT = 20027, "Somebody else changed the message first; read it again.";

    // The server in general.
    COMM_REQ_JSON_PARSE_FAILED = 60003, "The request is no valid JSON; correct it.";
    COMM_INVALID_SDKAPPID = 60006, "The application's number (SDKAppID) is wrong.";
    COMM_REST_FREQ_LIMIT = 60007, "Too many REST calls; wait a moment.";
    COMM_REQUEST_TIMEOUT = 60008, "The server took too long; try again.";
    COMM_ID_NOT_ADMIN = 60010, "Only an administrator may call the REST API.";
    OPEN_SERVICE_OVERLOAD_ERROR = 60022, "The server is overloaded; try again later.";

    // Accounts. Where the sources disagree (70107, 70114, 70169), the native meaning applies.
    ACCOUNT_USERSIG_EXPIRED = 70001, "The UserSig has expired; get a new one.";
    ACCOUNT_USERSIG_EMPTY = 70002, "The UserSig is empty.";
    ACCOUNT_USERSIG_CHECK_FAILED = 70003, "The UserSig is damaged or cut short; get a new one.";
    ACCOUNT_USERSIG_CHECK_FAILED_EX = 70005, "The UserSig is malformed; get a new one.";
    ACCOUNT_USERSIG_MISMATCH_PUBLICKEY = 70009, "The UserSig was made with a wrong key; use the application's.";
    ACCOUNT_USERSIG_MISMATCH_ID = 70013, "The UserSig belongs to another user.";
    ACCOUNT_USERSIG_MISMATCH_SDKAPPID = 70014, "The UserSig belongs to another application.";
    ACCOUNT_USERSIG_PUBLICKEY_NOT_FOUND = 70016, "The application has no key; set one up on the server.";
    ACCOUNT_SDKAPPID_NOT_FOUND = 70020, "There is no such application (SDKAppID).";
    ACCOUNT_FREQ_LIMIT = 70050, "Too many checks of the UserSig; wait a moment.";
    ACCOUNT_BLACKLIST = 70051, "The account is blocked.";
    ACCOUNT_INVALID_USERSIG = 70052, "The UserSig was made void; get a new one.";
    ACCOUNT_NOT_FOUND = 70107, "There is no such account.";
    ACCOUNT_SEC_RSTR = 70114, "The account is restricted for security.";
    ACCOUNT_INTERNAL_TIMEOUT = 70169, "The server took too long to check the account; try again.";
    ACCOUNT_COUNT_LIMIT = 70398, "The application has as many accounts as its plan allows.";

    // Content.
    COMM_SENSITIVE_TEXT = 80001, "The text has words that the server refuses; change it.";
    COMM_BODY_SIZE_LIMIT = 80002, "The message is too large; shorten it.";

    // REST requests.
    MSG_JSON_PARSE_FAILED = 90001, "The request is no valid JSON; correct it.";
    MSG_INVALID_JSON_BODY_FORMAT = 90002, "An element of MsgBody is malformed; correct it.";
    MSG_INVALID_TO_ACCOUNT = 90003, "To_Account is missing or no string.";
    MSG_INVALID_RAND = 90005, "MsgRandom is missing or no integer.";
    MSG_INVALID_TIMESTAMP = 90006, "MsgTimeStamp is no integer.";
    MSG_BODY_NOT_ARRAY = 90007, "MsgBody is no array.";
    MSG_ADMIN_REQUIRED = 90009, "Only an administrator may do this.";
    MSG_INVALID_JSON_FORMAT = 90010, "The request lacks a field or has one of a wrong type.";
    MSG_TO_ACCOUNT_COUNT_LIMIT = 90011, "The request names too many receivers; split it.";
    MSG_TO_ACCOUNT_NOT_FOUND = 90012, "A receiver does not exist.";
    MSG_TIME_LIMIT = 90026, "MsgLifeTime is longer than 7 days.";
    MSG_INVALID_MSGLIFETIME = 90044, "MsgLifeTime is no integer.";
    MSG_INVALID_MSGKEY = 90054, "The MsgKey is wrong; use the one from the answer to the send.";
    MSG_LONGPOLLING_COUNT_LIMIT = 91101, "The account is logged in on too many web pages; close one.";
    RES_NOT_FOUND = 114000, "There is no such file, or it is no longer kept.";
    RES_ACCESS_DENY = 114001, "You may not fetch this file.";
    RES_SIZE_LIMIT = 114002, "The file is too large.";

    // This project's codes, for errors without a matching TIM code.
    UNSUPPORTED_REQUEST = 200_001, "The server does not know this request; update it or do without.";
    UNSUPPORTED_VERSION = 200_002, "Client and server share no protocol version; update the older one.";
    PROTOCOL_VIOLATION = 200_003, "The other end sent what the protocol forbids; report it.";
    FRAME_TOO_LARGE = 200_004, "The frame is larger than the receiver accepts; send less or in pieces.";
    STORAGE_FULL = 200_005, "The server has no room left and stored nothing; tell whoever runs it.";
    STORAGE_FAILED = 200_006, "The server could not store this; nothing was stored. Try again.";
    OUTCOME_UNKNOWN = 200_007, "Whether this was stored is not known; try again with the same message id.";
    SERVER_SHUTTING_DOWN = 200_008, "The server is shutting down; reconnect in a moment.";
    SESSION_REPLACED = 200_009, "A newer connection of the same device took over this session.";
    SESSION_UNKNOWN = 200_010, "The server does not know this session any more; log in again.";
    RATE_LIMITED = 200_011, "Too many requests from this account or address; wait a moment.";
    OUTBOX_FULL = 200_012, "Too many messages wait to be sent; wait until some are acknowledged.";
    TOO_MANY_REQUESTS_PENDING = 200_013, "Too many requests wait for an answer; wait for one.";
    UNSUPPORTED_PLATFORM = 200_014, "Messages of this kind cannot be made on this platform.";
    UNKNOWN_PRIORITY = 200_015, "There is no such priority; use High, Normal, Low or Lowest.";
    SEVERAL_FILES = 200_016, "A message carries one file; send several messages.";
    ONLINE_ONLY_NOT_ALLOWED = 200_017, "An AVChatRoom takes no online-only messages; send a normal one.";
    RECORDING_TOO_LONG = 200_018, "The recording is longer than 10 minutes; record less.";
    MESSAGE_NOT_SENT = 200_019, "The message was not sent yet; only a sent message can be revoked.";
    MESSAGE_NOT_FAILED = 200_020, "Only a message whose sending failed can be resent.";
    ALREADY_REVOKED = 200_021, "The message is revoked already.";
    REVOKE_DENIED = 200_022, "Only its sender can revoke this message.";
    MESSAGE_NOT_FOUND = 200_023, "There is no such message, or it is no longer kept.";
    CURSOR_INVALID = 200_024, "The place to read on from was not given out by the server; start anew.";
    MESSAGE_ID_REUSED = 200_025, "The message id was used for another message; make a new one.";
    NOT_A_HUB = 200_026, "What answers there is no tim server; check the address and the port.";
    STORAGE_DAMAGED = 200_027, "The server's copy of this is damaged; tell whoever runs it.";
    ACCOUNT_STORAGE_FULL = 200_028, "This account has stored as much as it may; revoke messages, or try again when old ones are removed.";
    TOO_MANY_CONVERSATIONS = 200_029, "This account has begun as many conversations as it may; ask whoever runs the server.";
    UPLOAD_UNKNOWN = 200_030, "The server does not know this upload; begin it again.";
    UPLOAD_MISMATCH = 200_031, "The content has not the size or the SHA-256 that were announced; upload it again.";
    PIECE_OUT_OF_ORDER = 200_032, "The piece does not follow the one before it; begin the upload again to learn where to go on.";
    FILE_NOT_YOURS = 200_033, "The message names a file that its sender may not send; upload it first.";
    FILE_QUOTA_REACHED = 200_034, "This account has stored as many files as it may; revoke messages with files, or ask whoever runs the server.";
    TOO_MANY_UPLOADS = 200_035, "Too many uploads of this account are under way; complete or cancel one, or try again later.";
    FILE_STORE_FAILED = 200_036, "The server cannot store or read files at the moment; messages without files arrive. Try again later.";
    FILE_NOT_FOUND = 200_037, "There is no such file: the message has none, or was revoked, or is no longer kept.";
    UPLOAD_CANCELLED = 200_038, "The application cancelled the upload; nothing was sent.";
}
