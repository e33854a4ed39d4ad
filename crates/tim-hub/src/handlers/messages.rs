//! HISTORY, FETCH, REVOKE and MARK_READ.

use std::sync::Arc;

use bytes::Bytes;
use tim_groups::tips::content;
#[cfg(feature = "outgoing")]
use tim_proto::GroupType;
use tim_proto::message::{Content, Revocation};
use tim_proto::request::{
    ConversationChange, Fetch, FetchResponse, History, MarkRead, MarkReadResponse, Request, Revoke,
    RevokeResponse,
};
use tim_proto::wire::{List, decode_body};
use tim_proto::{ErrorCode, MessageId, MessageKind, UserId};
use tim_store::{Entry, LogKey, PageRequest, Write, WriteError, Written};

use super::pages::{self, MAX_LEN_PREFIX, Paged};
use super::visibility::{is_in_av_chat_room, read_visible, visible_from};
use super::{Handled, RESPONSE_OVERHEAD, Reply};
#[cfg(feature = "outgoing")]
use crate::callbacks::{AfterRead, AfterRevoke, Platform};
use crate::client_context::ClientContext;
use crate::device::Device;
use crate::encoding::{self, HistoryBody, Raw};
use crate::presence::PresenceRegistry;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::threads::may_block;

/// A page of a conversation's history.
pub(super) fn history<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &History<'a>,
) -> Handled<History<'a>> {
    let log = LogKey::of(client.user(), request.conversation);
    let paged = Paged::History(log);
    let before = match paged.position(request.next)? {
        Some(position) => Some(pages::number(position).ok_or_else(pages::invalid)?),
        None => None,
    };
    let count = (request.count > 0).then_some(u32::from(request.count));
    let limit = services.options.limits.page_len(count).unwrap_or(1) as usize;
    let max_bytes = client.max_response().saturating_sub(RESPONSE_OVERHEAD);
    let page = read_visible(services, client.user(), &log, |after| {
        services.reads.store().page(&PageRequest {
            log,
            before,
            after,
            limit,
            max_bytes,
        })
    })?;
    let (messages, oldest) = newest_that_fit(&page.entries, max_bytes);
    if messages.is_empty() && !page.entries.is_empty() {
        return Err(Refusal::new(
            ErrorCode::FRAME_TOO_LARGE,
            "not one message of it fits into a frame that you take",
        ));
    }
    // What was left out comes with the next page.
    let is_whole = messages.len() == page.entries.len();
    let raw: Vec<Raw<'_>> = messages.iter().map(|message| Raw(message)).collect();
    let next = pages::encode(if is_whole { page.next } else { oldest });
    Reply::encoded(&HistoryBody {
        next: &paged.cursor(next.as_ref()),
        completed: is_whole && page.completed,
        messages: List::from_slice(&raw),
    })
}

/// The newest messages that fit, in order, and the sequence of the oldest of them.
fn newest_that_fit(entries: &[Entry], max_bytes: usize) -> (Vec<Bytes>, u64) {
    let mut free = max_bytes;
    let mut messages: Vec<Bytes> = Vec::with_capacity(entries.len());
    let mut oldest = 0;
    for entry in entries.iter().rev() {
        let message = encoding::fitted(encoding::message(entry), max_bytes.saturating_sub(MAX_LEN_PREFIX));
        let Some(left) = free.checked_sub(message.len() + MAX_LEN_PREFIX) else {
            break;
        };
        free = left;
        oldest = entry.sequence;
        messages.push(message);
    }
    messages.reverse();
    (messages, oldest)
}

/// A piece of a message's payload.
pub(super) fn fetch(services: &Services, client: &mut ClientContext, request: &Fetch) -> Handled<Fetch> {
    let log = LogKey::of(client.user(), request.conversation);
    let entry = read_visible(services, client.user(), &log, |after| {
        match request.sequence > after {
            true => services.reads.store().entry(&log, request.sequence),
            false => Ok(None),
        }
    })?;
    let Some(entry) = entry else {
        return Err(Refusal::new(ErrorCode::MESSAGE_NOT_FOUND, ""));
    };
    if entry.is_revoked() {
        return Err(Refusal::new(ErrorCode::ALREADY_REVOKED, ""));
    }
    let Ok(content) = decode_body::<Content<'_>>(&entry.content) else {
        return Err(Refusal::new(
            ErrorCode::STORAGE_FAILED,
            "the stored message cannot be read",
        ));
    };
    let payload = content.payload;
    let max_bytes = client.max_response().saturating_sub(RESPONSE_OVERHEAD);
    let start = (request.offset as usize).min(payload.len());
    let len = (request.len as usize).min(max_bytes);
    let end = start.saturating_add(len).min(payload.len());
    Reply::now(&FetchResponse::new(
        u32::try_from(payload.len()).unwrap_or(u32::MAX),
        payload.get(start..end).unwrap_or(&[]),
    ))
}

/// Revokes a message.
pub(super) fn revoke<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Revoke<'a>,
) -> Handled<Revoke<'a>> {
    let log = LogKey::of(client.user(), request.conversation);
    let sequence = request.sequence;
    if sequence == 0 || is_in_av_chat_room(services, client.user(), &log) {
        let text = "the message is not stored and cannot be revoked";
        return Err(Refusal::new(ErrorCode::GROUP_NOT_ALLOW_REVOKE_MSG, text));
    }
    // Outsiders do not learn whether there is such a message; the store decides who may revoke it.
    visible_from(services, client.user(), &log)?;
    let target = services.reads.store().entry(&log, sequence)?;
    let is_any = request.message == MessageId::default();
    let Some(target) = target.filter(|target| is_any || target.id == request.message) else {
        let code = revocation_code(ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND, &log);
        return Err(Refusal::new(code, ""));
    };
    let has_files = !services.reads.store().files_of(&log, sequence)?.is_empty();
    let revocation =
        Revocation::new(sequence, target.id, target.sender, client.user()).with_reason(request.reason);
    // Derived, so that a repeated request makes the same entry.
    let id = MessageId {
        sender: client.account(),
        client_time: services.now_ms() / 1000,
        random: target.id.random,
    };
    let manager_window_ms = match services.options.limits.manager_revoke_window_seconds() {
        0 => u64::MAX,
        seconds => seconds.saturating_mul(1000),
    };
    let write = Write::Revoke(tim_store::Revoke {
        log,
        sequence,
        by: client.user(),
        as_administrator: false,
        window_ms: services.settings.revoke_window_ms(),
        manager_window_ms,
        reason: request.reason.to_owned(),
        origin: client.device().number(),
        id,
        content: content(request.conversation, id, MessageKind::REVOCATION, &revocation),
    });
    let responder = client.responder::<Revoke<'static>>();
    let files = Arc::clone(&services.files);
    #[cfg(feature = "outgoing")]
    let after = after_revoke(services, client.user(), &log, &target)?;
    services.writer.submit(write, move |answer| match answer {
        Ok(Written::Revoked { entry, already }) => {
            #[cfg(feature = "outgoing")]
            after
                .into_iter()
                .filter(|_| !already)
                .for_each(AfterRevoke::revoked);
            #[cfg(not(feature = "outgoing"))]
            let _ = already;
            if has_files {
                files.remove_unused();
            }
            responder.respond_stored(&RevokeResponse::new(entry.sequence), entry.change);
        }
        Ok(_) => responder.refuse(Refusal::wrong_answer()),
        Err(error) => {
            let refusal = Refusal::from(error);
            let code = revocation_code(refusal.code, &log);
            responder.refuse(Refusal { code, ..refusal });
        }
    })?;
    Reply::later()
}

/// What the application is told of a message that a user is about to revoke. Reads the store.
#[cfg(feature = "outgoing")]
fn after_revoke(
    services: &Services,
    user: UserId,
    log: &LogKey,
    message: &Entry,
) -> Result<Option<AfterRevoke>, Refusal> {
    if !services.callbacks.wants(AfterRevoke::command(log)) {
        return Ok(None);
    }
    let group = match log {
        LogKey::Group(group) => services.reads.store().group(group)?,
        _ => None,
    };
    let group_type = group.map_or(GroupType(0), |group| group.group_type);
    let by = (user, Platform::Device);
    Ok(AfterRevoke::new(
        &services.callbacks,
        (log, group_type),
        message,
        by,
        services.now_ms(),
    ))
}

/// TIM has different codes for the same refusal in groups and between two users.
const fn revocation_code(code: ErrorCode, log: &LogKey) -> ErrorCode {
    match (code, log) {
        (ErrorCode::MSG_REVOKE_TIME_LIMIT, LogKey::Group(_)) => ErrorCode::GROUP_REVOKE_MSG_TIME_LIMIT,
        (ErrorCode::GROUP_REVOKE_MSG_DENY, LogKey::C2c(_)) => ErrorCode::REVOKE_DENIED,
        (ErrorCode::GROUP_REVOKE_MSG_NOT_FOUND, LogKey::C2c(_)) => ErrorCode::MESSAGE_NOT_FOUND,
        (code, _) => code,
    }
}

/// Moves the read mark of a conversation forward.
pub(super) fn mark_read(
    services: &Services,
    client: &mut ClientContext,
    request: &MarkRead,
) -> Handled<MarkRead> {
    let user = client.user();
    let log = LogKey::of(user, request.conversation);
    if let LogKey::Group(group) = log
        && services.presence.is_av_chat_room(&group)
    {
        if !may_block() {
            return Reply::needs_store();
        }
        // Nothing of it is ever unread.
        services.permissions.membership(&user, group)?;
        return Reply::now(&MarkReadResponse::new(0));
    }
    let upto = (request.sequence > 0).then_some(request.sequence);
    let after = after_read(services, user, &log);
    submit_read::<MarkRead>(services, client, log, Write::MarkRead { user, log, upto }, after)?;
    Reply::later()
}

/// Tells the application of a conversation that a user has read, if it wants to be told.
#[cfg(feature = "outgoing")]
fn after_read(services: &Services, user: UserId, log: &LogKey) -> impl FnOnce() + Send + use<> {
    let by = (user, Platform::Device);
    let after = AfterRead::new(&services.callbacks, by, log, services.now_ms());
    move || after.into_iter().for_each(AfterRead::read)
}

#[cfg(not(feature = "outgoing"))]
fn after_read(_: &Services, _: UserId, _: &LogKey) -> impl FnOnce() + Send + use<> {
    || ()
}

/// Has the store change the user's own state of a conversation, which is told to the user's other devices. `changed` is called then.
pub(super) fn submit_read<R>(
    services: &Services,
    client: &ClientContext,
    log: LogKey,
    write: Write,
    changed: impl FnOnce() + Send + 'static,
) -> Result<(), WriteError>
where
    R: for<'a> Request<Response<'a> = MarkReadResponse> + 'static,
{
    let presence = Arc::clone(&services.presence);
    let responder = client.responder::<R>();
    services.writer.submit(write, move |answer| match answer {
        Ok(
            ref read @ Written::Read {
                read_sequence,
                unread,
                counted,
                ..
            },
        ) => {
            let unread = u32::try_from(unread).unwrap_or(u32::MAX);
            let device = responder.device();
            if let Some(change) = read_change(&device.user(), &log, read) {
                tell_other_devices(&presence, device, change);
                changed();
            }
            responder.respond(
                &MarkReadResponse::new(read_sequence)
                    .with_unread(unread)
                    .with_counted(counted),
            );
        }
        Ok(_) => responder.refuse(Refusal::wrong_answer()),
        Err(error) => responder.refuse(error.into()),
    })
}

/// What a user's devices are told of a read mark; `None` without entries: there is no such conversation.
pub(crate) fn read_change(user: &UserId, log: &LogKey, read: &Written) -> Option<ConversationChange> {
    let Written::Read {
        read_sequence,
        unread,
        counted,
        deleted_through,
    } = *read
    else {
        return None;
    };
    let conversation = log.seen_by(user).filter(|_| counted > 0)?;
    Some(
        ConversationChange::new(conversation)
            .with_unread(u32::try_from(unread).unwrap_or(u32::MAX))
            .with_read_sequence(read_sequence)
            .with_counted(counted)
            .with_deleted_through(deleted_through),
    )
}

/// Tells the other devices of a device's user of a change of the user's own state.
pub(super) fn tell_other_devices(presence: &PresenceRegistry, device: &Device, change: ConversationChange) {
    for other in presence.devices(&device.user()) {
        if !std::ptr::eq(Arc::as_ptr(&other), device) {
            other.change(change);
        }
    }
}
