//! SEND: what a message must be, what the hub adds to it, and which way it goes.

use std::sync::Arc;

use bytes::Bytes;
use tim_groups::Refused;
use tim_proto::message::{
    Content, OfflinePush, SenderNames, tags, to_vec, with_offline_push, with_sender_names,
};
use tim_proto::planted::{self, Fault};
use tim_proto::request::Send;
use tim_proto::wire::FrameKind;
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MessageKind, Payload, UserId};
use tim_store::{Append, EntryFlags, Fingerprint, LogKey, MAX_MENTIONS, Write, WriteError, Writer, Written};

use super::files::{Named, check_named, named};
use super::{Handled, Reply, admit};
use crate::client_context::{ClientContext, Names};
use crate::delivery::{
    LiveMessage, PendingMessage, RecentId, Route, SendReceipt, append_to_log, fanout, stored_before,
};
use crate::permissions::GroupMembership;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::threads::may_block;

/// A message that has passed the checks that need neither caches nor the store.
struct Draft<'a> {
    content: Content<'a>,
    /// The content as the sender encoded it.
    bytes: &'a [u8],
    fingerprint: Fingerprint,
    online_only: bool,
    /// How those who are offline are notified, if the sender says anything.
    push: Option<OfflinePush<'a>>,
    /// The members of a group whom it mentions.
    mentions: Vec<UserId>,
    mention_all: bool,
    /// The files of this hub that it names.
    files: Vec<Named>,
}

/// Stores a message, or passes it on to those online.
pub(super) fn send<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Send<'a>,
    body: &'a [u8],
) -> Handled<Send<'a>> {
    let draft = Draft::check(services, client, request, body)?;
    // Looked up once: it may change at any time, and an executor's thread must not read the store after all.
    let cached = match draft.content.to {
        ConversationId::Group(group) => cached_membership(services, client, group, draft.mention_all),
        _ => None,
    };
    if !may_block() && needs_store(services, client, &draft, cached.is_some()) {
        return Reply::needs_store();
    }
    if !client.was_asked_about() {
        admit(services, client, 1)?;
    }
    draft.check_files(services)?;
    match draft.content.to {
        ConversationId::Group(group) => to_group(services, client, group, draft, cached)?,
        ConversationId::C2c(peer) => to_peer(services, client, peer, draft)?,
        _ => return Err(invalid_conversation()),
    }
    Reply::later()
}

/// Checks what can be checked of a message without the store.
#[cfg(feature = "outgoing")]
pub(super) fn check(
    services: &Services,
    client: &ClientContext,
    request: &Send<'_>,
    body: &[u8],
) -> Result<(), Refusal> {
    Draft::check(services, client, request, body).map(drop)
}

/// Whether something is not cached that the message needs.
fn needs_store(services: &Services, client: &ClientContext, draft: &Draft<'_>, has_membership: bool) -> bool {
    if draft.online_only || !draft.files.is_empty() || client.names().is_none() {
        return true;
    }
    match draft.content.to {
        ConversationId::C2c(peer) => services.options.open_registration && !client.knows_peer(&peer),
        ConversationId::Group(_) => !has_membership,
        _ => false,
    }
}

fn to_peer(
    services: &Services,
    client: &mut ClientContext,
    peer: UserId,
    draft: Draft<'_>,
) -> Result<(), Refusal> {
    let new_peer = peer_to_register(services, client, peer)?;
    let log = LogKey::c2c(client.user(), peer);
    let (receipt, content) = with_names(services, client, &draft, "", GroupType(0))?;
    if !draft.online_only {
        check_recent_ids(services, &draft)?;
        let append = draft.append(services, client, log, content);
        match new_peer {
            Some(peer) => append_to_log(&services.writer, with_account(peer, append), receipt),
            None if services.options.open_registration => {
                append_to_peer(&services.writer, peer, append, receipt)
            }
            None => append_to_log(&services.writer, Write::Append(append), receipt),
        }
    } else if let Some(before) = written_before(services, client, &draft, &log)? {
        receipt.written(Ok(before));
    } else {
        if let Some(peer) = new_peer {
            services.writer.submit(Write::EnsureAccount(peer), |_| ())?;
        }
        let message = draft.live(services, client, &content);
        let passed = message.pass_on(&services.recent_ids, services.steady_ms(), |delivery| {
            fanout::deliver(&services.presence, &log, delivery);
        });
        receipt.passed_on(passed);
    }
    Ok(())
}

fn with_account(peer: UserId, append: Append) -> Write {
    Write::WithAccounts {
        users: vec![peer],
        write: Box::new(Write::Append(append)),
    }
}

/// Appends a message to a peer who had an account a moment ago. If it was removed since, as nobody had used it, the peer gets another.
fn append_to_peer(writer: &Arc<Writer>, peer: UserId, append: Append, receipt: SendReceipt) {
    let (again, repeated) = (Arc::downgrade(writer), append.clone());
    let refuse = receipt.refuser();
    let submitted = writer.submit(Write::Append(append), move |answer| {
        match (answer, again.upgrade()) {
            (Err(WriteError::Refused(Refused::NoSuchUser(user))), Some(writer)) if user == peer => {
                append_to_log(&writer, with_account(peer, repeated), receipt);
            }
            (answer, _) => receipt.written(answer),
        }
    });
    if let Err(error) = submitted {
        refuse(error.into());
    }
}

fn to_group(
    services: &Services,
    client: &mut ClientContext,
    group: GroupId,
    draft: Draft<'_>,
    cached: Option<Arc<GroupMembership>>,
) -> Result<(), Refusal> {
    let log = LogKey::Group(group);
    let membership = match membership_to_write(services, client, group, draft.mention_all, cached) {
        Ok(membership) => membership,
        // It may be the repetition of a message that was stored while its sender still had the permission. The store
        // knows, and refuses everything else.
        Err(_) if !draft.online_only && !services.presence.is_av_chat_room(&group) => {
            let (receipt, content) = with_names(services, client, &draft, "", GroupType(0))?;
            let append = Write::Append(draft.append(services, client, log, content));
            append_to_log(&services.writer, append, receipt);
            return Ok(());
        }
        Err(refusal) => return Err(refusal),
    };
    if draft.online_only && !membership.rules.is_stored {
        return Err(Refusal::new(ErrorCode::ONLINE_ONLY_NOT_ALLOWED, ""));
    }
    let (receipt, content) = with_names(
        services,
        client,
        &draft,
        &membership.name_card,
        membership.rules.group_type,
    )?;
    if draft.online_only
        && let Some(before) = written_before(services, client, &draft, &log)?
    {
        receipt.written(Ok(before));
        return Ok(());
    }
    let priority = draft.content.priority;
    let route = if draft.online_only || !membership.rules.is_stored {
        Route::Live(draft.live(services, client, &content))
    } else {
        check_recent_ids(services, &draft)?;
        Route::Log(Box::new(draft.append(services, client, log, content)))
    };
    let message = PendingMessage {
        group,
        receipt,
        route,
    };
    if services.group_queue.offer(priority, message) {
        services.timer.wake();
    }
    Ok(())
}

/// Whether an online-only message was stored before, and so has reached everybody: where, and whether it was revoked since.
fn written_before(
    services: &Services,
    client: &ClientContext,
    draft: &Draft<'_>,
    log: &LogKey,
) -> Result<Option<Written>, Refusal> {
    let store = services.reads.store();
    let found = store.stored(&client.user(), &draft.content.id, draft.fingerprint)?;
    let first = found.transpose()?;
    Ok(first.map(|first| stored_before(store, log, first)).transpose()?)
}

/// Refuses a message to be stored under an id under which another one was passed on. The same one may be stored.
fn check_recent_ids(services: &Services, draft: &Draft<'_>) -> Result<(), Refusal> {
    match services.recent_ids.look_up(&draft.content.id, draft.fingerprint) {
        RecentId::Other => Err(Refused::IdReused.into()),
        RecentId::Unknown | RecentId::Same(_) => Ok(()),
    }
}

/// The peer if it has no account and registration is open, so that it gets one.
fn peer_to_register(
    services: &Services,
    client: &mut ClientContext,
    peer: UserId,
) -> Result<Option<UserId>, Refusal> {
    if !services.options.open_registration || client.knows_peer(&peer) {
        return Ok(None);
    }
    if services.reads.store().account(&peer)?.is_some() {
        client.add_known_peer(peer);
        return Ok(None);
    }
    if !peer.is_well_formed() {
        let text = "no account is made under an id that begins or ends with a space";
        return Err(Refusal::new(ErrorCode::MSG_INVALID_ID, text));
    }
    let taken = services.user_accounts.take(client.user(), services.steady_ms());
    let text = "this account writes to too many users who have never logged in";
    taken.map_err(|wait_ms| Refusal::too_soon(ErrorCode::RATE_LIMITED, wait_ms, text))?;
    Ok(Some(peer))
}

/// The receipt of a message, and its content with the sender's names behind it.
fn with_names(
    services: &Services,
    client: &mut ClientContext,
    draft: &Draft<'_>,
    name_card: &str,
    group_type: GroupType,
) -> Result<(SendReceipt, Bytes), Refusal> {
    #[cfg(not(feature = "outgoing"))]
    let _ = group_type;
    let Names { nick, avatar } = &*names(services, client)?;
    let names = SenderNames::new()
        .with_nick(nick)
        .with_name_card(name_card)
        .with_avatar(avatar);
    let content = if names == SenderNames::default() {
        Bytes::copy_from_slice(draft.bytes)
    } else {
        with_sender_names(draft.bytes, &names).into()
    };
    let receipt = SendReceipt {
        responder: client.responder(),
        names: client.wants_names().then(|| to_vec(&names).into()),
        conversation: draft.content.to,
        presence: Arc::clone(&services.presence),
        #[cfg(feature = "outgoing")]
        after: crate::callbacks::AfterSend::new(
            &services.callbacks,
            crate::callbacks::Sender::device(client.user()),
            draft.content.to,
            draft.bytes,
            group_type,
            draft.online_only,
            services.now_ms(),
        ),
        #[cfg(feature = "outgoing")]
        _passage: client.take_passage().map(Box::new),
    };
    Ok((receipt, content))
}

fn names(services: &Services, client: &mut ClientContext) -> Result<Arc<Names>, Refusal> {
    if let Some(names) = client.names() {
        return Ok(names);
    }
    let account = services.reads.store().account(&client.user())?;
    let (nick, avatar) = account
        .map(|found| (found.nick, found.avatar))
        .unwrap_or_default();
    let names = Arc::new(Names { nick, avatar });
    client.set_names(Arc::clone(&names));
    Ok(names)
}

/// The user's membership in a group that the user may write in. Users without the permission must not use up what the
/// group takes a second, so it is checked here; the store checks it again.
fn membership_to_write(
    services: &Services,
    client: &mut ClientContext,
    group: GroupId,
    mention_all: bool,
    cached: Option<Arc<GroupMembership>>,
) -> Result<Arc<GroupMembership>, Refusal> {
    if let Some(membership) = cached {
        return Ok(membership);
    }
    let membership = Arc::new(services.permissions.membership(&client.user(), group)?);
    client.set_membership(group, Arc::clone(&membership));
    membership.may_write(services.now_ms(), mention_all)?;
    Ok(membership)
}

/// The cached membership, if it is current and lets the user write. Nobody is refused because of a cache.
fn cached_membership(
    services: &Services,
    client: &ClientContext,
    group: GroupId,
    mention_all: bool,
) -> Option<Arc<GroupMembership>> {
    let epoch = services.presence.epoch(&group, &client.user())?;
    let membership = client.membership(&group)?;
    let is_current = membership.epoch == Some(epoch);
    (is_current && membership.may_write(services.now_ms(), mention_all).is_ok()).then_some(membership)
}

impl<'a> Draft<'a> {
    /// Checks what can be checked without the store.
    fn check(
        services: &Services,
        client: &ClientContext,
        request: &Send<'a>,
        body: &'a [u8],
    ) -> Result<Self, Refusal> {
        let content = &request.content;
        if content.to == ConversationId::System {
            return Err(invalid_conversation());
        }
        let measured = match planted::is(Fault::LimitMeasuredTwice) {
            true => body.len(),
            false => content.payload.len(),
        };
        let payload = check_content(services, content, measured)?;
        if content.has_reserved_extensions() {
            let text = "extensions with tags from 64 on are the hub's";
            return Err(Refusal::new(ErrorCode::INVALID_OPERATION, text));
        }
        if let Some(push) = &request.options.0.offline_push {
            push.check()
                .map_err(|over| Refusal::new(over.code, over.to_string()))?;
        }
        let (mentions, mention_all) = mentions(content)?;
        let files: Vec<_> = named(&payload).into_iter().flatten().collect();
        if content.id.sender != client.account() {
            let text = "the message id carries another account number";
            return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
        }
        Ok(Self {
            content: *content,
            bytes: Send::content_bytes(body).map_err(|error| Refusal::malformed(FrameKind::SEND, error))?,
            fingerprint: client
                .original()
                .unwrap_or_else(|| Fingerprint::of_message(content)),
            online_only: request.options.0.online_user_only,
            push: request.options.0.offline_push,
            mentions,
            mention_all,
            files,
        })
    }

    /// Checks the files that the message names. Nobody could read those of a message that is not stored.
    fn check_files(&self, services: &Services) -> Result<(), Refusal> {
        let is_room = |group: &GroupId| services.presence.is_av_chat_room(group);
        let is_stored =
            !self.online_only && !matches!(&self.content.to, ConversationId::Group(group) if is_room(group));
        if !self.files.is_empty() && !is_stored {
            let text =
                "a message with a file must be stored: it cannot be online-only or go to an AVChatRoom";
            return Err(Refusal::new(ErrorCode::FILE_NOT_YOURS, text));
        }
        self.files.iter().try_for_each(|file| check_named(services, file))
    }

    fn append(self, services: &Services, client: &ClientContext, log: LogKey, content: Bytes) -> Append {
        let content = match &self.push {
            Some(push) => with_offline_push(&content, push).into(),
            None => content,
        };
        Append {
            log,
            sender: client.user(),
            id: self.content.id,
            fingerprint: self.fingerprint,
            origin: client.device().number(),
            kind: self.content.kind,
            flags: EntryFlags::NONE,
            content,
            require_membership: true,
            mentions: self.mentions,
            mention_all: self.mention_all,
            quota: services.settings.quota(),
            files: self.files.iter().map(|named| named.file).collect(),
        }
    }

    fn live(&self, services: &Services, client: &ClientContext, content: &[u8]) -> LiveMessage {
        LiveMessage::new(
            client.device(),
            &self.content,
            self.fingerprint,
            content,
            self.mention_all,
            client.generation(),
            services.now_ms(),
        )
    }
}

/// Checks what a message says, whoever sends it. Returns its payload.
pub(super) fn check_content<'a>(
    services: &Services,
    content: &Content<'a>,
    measured: usize,
) -> Result<Payload<'a>, Refusal> {
    if is_reserved(content.kind) {
        let text = format!("only the hub writes {} messages", content.kind);
        return Err(Refusal::new(ErrorCode::INVALID_OPERATION, text));
    }
    if content.priority.checked().is_err() {
        return Err(Refusal::new(ErrorCode::UNKNOWN_PRIORITY, ""));
    }
    let payload = Payload::decode_strict(content.kind, content.payload).map_err(|error| {
        let text = format!("the payload is no {}: {error}", content.kind);
        Refusal::new(ErrorCode::MSG_INVALID_JSON_BODY_FORMAT, text)
    })?;
    let limits = &services.options.limits;
    limits
        .check_message(&payload, measured, content.extensions)
        .map_err(|over| Refusal::new(over.code, over.to_string()))?;
    match payload.has_content() {
        true => Ok(payload),
        false => Err(Refusal::new(ErrorCode::MESSAGE_FILE_URL_IS_EMPTY, "")),
    }
}

fn invalid_conversation() -> Refusal {
    Refusal::new(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE, "")
}

/// Whom a message mentions. Mentions mean something in groups only.
fn mentions(content: &Content<'_>) -> Result<(Vec<UserId>, bool), Refusal> {
    let is_group = matches!(content.to, ConversationId::Group(_));
    if !is_group || content.extensions.get(tags::MENTIONS).is_none() {
        return Ok((Vec::new(), false));
    }
    let Some(mentions) = content.mentions() else {
        let text = "the mentions cannot be read";
        return Err(Refusal::new(ErrorCode::MSG_PKG_PARSE_FAILED, text));
    };
    if mentions.users.len() > MAX_MENTIONS {
        let count = mentions.users.len();
        let text = format!("{count} users mentioned, at most {MAX_MENTIONS} can be");
        return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    Ok((mentions.users.iter().collect(), mentions.all))
}

/// Kinds of messages that only the hub writes, so that members can trust them.
const fn is_reserved(kind: MessageKind) -> bool {
    matches!(kind.0, 32..64)
}
