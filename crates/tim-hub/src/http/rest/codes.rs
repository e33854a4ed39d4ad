//! The vendor's codes that only this interface answers. Those that sessions have, too, are [`ErrorCode`](tim_proto::ErrorCode)s.

/// The method, the URL or the body is not what HTTP or the interface needs.
pub(super) const BAD_REQUEST: u32 = 60_002;
/// The body is no JSON object. Some services have a code of their own for that.
pub(super) const NOT_JSON: u32 = 60_003;
/// The query names no account.
pub(super) const NO_IDENTIFIER: u32 = 60_004;
/// The query names another application, or something that is no number of one.
pub(super) const WRONG_APP: u32 = 60_006;
/// The body did not come in time.
pub(super) const TIMED_OUT: u32 = 60_008;
/// There is no such service, or no such command.
pub(super) const NO_SUCH_COMMAND: u32 = 60_009;
/// The application makes too many calls.
pub(super) const TOO_MANY_CALLS: u32 = 60_011;
/// The query names no application.
pub(super) const NO_APP: u32 = 60_012;
/// A call names more members than fit.
pub(super) const TOO_MANY_MEMBERS: u32 = 10_005;
/// A group id is malformed, or not one that an application may choose.
pub(super) const BAD_GROUP_ID: u32 = 10_015;
/// The answer would be too large.
pub(super) const ANSWER_TOO_LARGE: u32 = 10_018;
/// Another group has, or had, the id.
pub(super) const GROUP_ID_IS_TAKEN: u32 = 10_021;
/// Too many messages are sent to groups.
pub(super) const TOO_MANY_MESSAGES: u32 = 10_023;
/// A group of the same owner has the id.
pub(super) const GROUP_ID_IS_YOURS: u32 = 10_025;
/// The attributes of a group are changed too often.
pub(super) const TOO_MANY_ATTRIBUTE_CHANGES: u32 = 10_049;
/// There is no account of this user.
pub(super) const NO_SUCH_ACCOUNT: u32 = 70_107;
/// A message to a group is too long.
pub(super) const BODY_TOO_LONG: u32 = 80_002;
/// `To_Account` is missing, or not what it should be.
pub(super) const BAD_TO_ACCOUNT: u32 = 90_003;
/// There are more users in `To_Account` than fit.
pub(super) const TOO_MANY_TARGETS: u32 = 90_011;
/// A message that is to be revoked does not exist.
pub(super) const NO_SUCH_MESSAGE: u32 = 20_022;
/// It is revoked already.
pub(super) const ALREADY_REVOKED: u32 = 20_023;
/// `MsgBody` is missing, empty or malformed.
pub(super) const BAD_BODY: u32 = 90_002;
/// `MsgRandom` is missing or wrong.
pub(super) const BAD_RANDOM: u32 = 90_005;
/// `MsgTimeStamp` is missing or wrong.
pub(super) const BAD_TIME: u32 = 90_006;
/// `MsgBody` is not an array.
pub(super) const BODY_NOT_AN_ARRAY: u32 = 90_007;
/// `From_Account` is missing, wrong, or has no account.
pub(super) const BAD_FROM_ACCOUNT: u32 = 90_008;
/// `MsgBody` is well-formed and no message.
pub(super) const UNFIT_BODY: u32 = 90_010;
/// `To_Account` has no account.
pub(super) const UNKNOWN_TO_ACCOUNT: u32 = 90_012;
/// `SyncFromOldSystem` is neither 1 nor 2.
pub(super) const BAD_IMPORT: u32 = 90_030;
/// `SyncOtherMachine` is neither 1 nor 2.
pub(super) const BAD_SYNC: u32 = 90_031;
/// `MsgLifeTime` is no whole number.
pub(super) const BAD_LIFE_TIME: u32 = 90_044;
/// A `MsgKey` that this hub has not given out.
pub(super) const BAD_KEY: u32 = 90_054;
/// The message is too long.
pub(super) const TOO_LONG: u32 = 93_000;
/// A user is no friend, or no friend can be made of the user.
pub(super) const BAD_FRIEND: u32 = 30_001;
/// There is no account of this user, in `sns`.
pub(super) const NO_SUCH_USER: u32 = 30_003;
/// The friends of a user were changed by others at the same time.
pub(super) const FRIENDS_CHANGED: u32 = 30_008;
/// A user has the most friends that fit.
pub(super) const FRIENDS_FULL: u32 = 30_010;
/// A user has the most lists of friends that fit.
pub(super) const TOO_MANY_LISTS: u32 = 30_011;
/// The other user has the most friends that fit.
pub(super) const PEER_FULL: u32 = 30_014;
/// A user is no friend who could be removed.
pub(super) const NOT_A_FRIEND: u32 = 31_704;
/// A user is no friend who could be put into a list.
pub(super) const NOT_IN_LIST: u32 = 32_216;
