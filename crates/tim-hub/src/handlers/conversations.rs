//! CONVERSATIONS, CONVERSATION_PROFILE and DELETE_CONVERSATION.

use bytes::Bytes;
use tim_proto::request::{Conversations, ConversationsResponse, DeleteConversation, GetConversationProfile};
use tim_proto::wire::{List, encoded_len};
use tim_proto::{ConversationId, ErrorCode};
use tim_store::{About, Conversation, LogKey, Write};

use super::messages::submit_read;
use super::pages::{self, Paged};
use super::{Handled, RESPONSE_OVERHEAD, Reply, av_chat_rooms, groups};
use crate::client_context::ClientContext;
use crate::encoding;
use crate::refusal::Refusal;
use crate::service::Services;

/// A page of the user's conversations.
pub(super) fn conversations<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &Conversations<'a>,
) -> Handled<Conversations<'a>> {
    let user = client.user();
    let paged = Paged::Conversations(user);
    let after = pages::list_cursor(paged.position(request.next)?)?;
    let limit = pages::page_len(request.count, services.options.limits.conversations());
    let page = services.reads.store().conversations(&user, after, limit)?;
    let max_bytes = client.max_response().saturating_sub(RESPONSE_OVERHEAD);
    let found = &page.conversations;
    let last: Vec<_> = found.iter().map(|one| last_message(one, max_bytes / 4)).collect();
    let conversations: Vec<_> = found
        .iter()
        .zip(&last)
        .map(|(one, last)| encoding::conversation(one, last.as_deref()))
        .collect();
    let fit = pages::fitting(conversations.iter().map(encoded_len), max_bytes)?;
    let completed = fit == found.len() && !page.more;
    let next = page.next.get(fit.saturating_sub(1)).filter(|_| !completed);
    let next = next.map(|next| paged.cursor(next.as_bytes())).unwrap_or_default();
    Reply::now(
        &ConversationsResponse::new(List::from_slice(conversations.get(..fit).unwrap_or_default()))
            .with_next(&next)
            .with_completed(completed)
            .with_total_unread(page.total_unread),
    )
}

/// Everything about one conversation.
pub(super) fn profile(
    services: &Services,
    client: &mut ClientContext,
    request: &GetConversationProfile,
) -> Handled<GetConversationProfile> {
    let log = LogKey::of(client.user(), request.conversation);
    let found = match services.reads.store().conversation(&client.user(), &log)? {
        Some(found) => found,
        None => match not_begun(services, request.conversation, log)? {
            Some(empty) => empty,
            None => return av_chat_rooms::conversation(services, client, request.conversation),
        },
    };
    let last = last_message(&found, client.max_response() / 2);
    let group = match &found.about {
        About::Group(group, membership) => Some(groups::profile_for(services, group, Some(membership), true)),
        _ => None,
    };
    Reply::now(&encoding::profile(&found, last.as_deref(), group))
}

/// Takes a conversation out of the user's list.
pub(super) fn delete(
    services: &Services,
    client: &mut ClientContext,
    request: &DeleteConversation,
) -> Handled<DeleteConversation> {
    let user = client.user();
    let log = LogKey::of(user, request.conversation);
    let write = Write::DeleteConversation { user, log };
    submit_read::<DeleteConversation>(services, client, log, write, || ())?;
    Reply::later()
}

fn last_message(conversation: &Conversation, max_bytes: usize) -> Option<Bytes> {
    let last = conversation.last.as_ref();
    last.map(|entry| encoding::fitted(encoding::message(entry), max_bytes))
}

/// A conversation of two, or the system's, without any message yet; `None` for a group's.
fn not_begun(services: &Services, id: ConversationId, log: LogKey) -> Result<Option<Conversation>, Refusal> {
    let about = match id {
        ConversationId::C2c(peer) => match services.reads.store().account(&peer)? {
            Some(account) => About::Peer(account),
            None => return Err(Refusal::new(ErrorCode::USER_OR_GROUP_NOT_FOUND, "")),
        },
        ConversationId::System => About::System,
        _ => return Ok(None),
    };
    Ok(Some(Conversation {
        log,
        id,
        last: None,
        unread: 0,
        read_sequence: 0,
        head_sequence: 0,
        head_change: 0,
        first_kept: 1,
        hidden: false,
        about,
        at: Vec::new(),
    }))
}
