//! What a user may see of a log.

use tim_proto::planted::{self, Fault};
use tim_proto::{ErrorCode, UserId};
use tim_store::{LogKey, StoreError};

use crate::refusal::Refusal;
use crate::service::Services;

/// Reads of a log what its user may see, given the sequence behind which that begins. The membership is looked up again
/// afterwards: a user who was removed meanwhile does not see what was said since.
pub(super) fn read_visible<T>(
    services: &Services,
    user: UserId,
    log: &LogKey,
    read: impl Fn(u64) -> Result<T, StoreError>,
) -> Result<T, Refusal> {
    let mut from = visible_from(services, user, log)?;
    // Again only if the user has left and joined meanwhile.
    loop {
        let found = read(from)?;
        match visible_from(services, user, log)? {
            unchanged if unchanged == from => return Ok(found),
            later => from = later,
        }
    }
}

/// The sequence behind which a user sees the entries of a log: of a group, what came after joining.
pub(super) fn visible_from(services: &Services, user: UserId, log: &LogKey) -> Result<u64, Refusal> {
    let LogKey::Group(group) = log else { return Ok(0) };
    let store = services.reads.store();
    match store.membership(group, &user)? {
        Some(_) if planted::is(Fault::HistoryBeforeJoining) => Ok(0),
        Some(membership) => Ok(membership.joined_at),
        // Nothing of an AVChatRoom is stored.
        None if is_in_av_chat_room(services, user, log) => Ok(u64::MAX),
        None if store.group(group)?.is_none() => Err(Refusal::new(ErrorCode::GROUP_NOT_FOUND, "")),
        None => Err(Refusal::new(
            ErrorCode::GROUP_PERMISSION_DENY,
            "only members read a group's history",
        )),
    }
}

/// Whether the log is that of an AVChatRoom which the user is in.
pub(super) fn is_in_av_chat_room(services: &Services, user: UserId, log: &LogKey) -> bool {
    let presence = &services.presence;
    matches!(log, LogKey::Group(group) if presence.is_av_chat_room(group) && presence.is_in(group, &user))
}
