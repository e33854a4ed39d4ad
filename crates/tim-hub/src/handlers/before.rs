//! What the application is asked before a message is taken.

use std::sync::Arc;

use tim_proto::message::{Content, tags, to_vec};
use tim_proto::request::{Send, SendResponse};
use tim_proto::wire::{Extensions, Nested, decode_body};
use tim_proto::{ConversationId, UserId};
use tim_store::Fingerprint;

use super::{admit, send};
use crate::callbacks::{About, CallbackCommand, Decision, Sender};
use crate::client_context::ClientContext;
use crate::refusal::Refusal;
use crate::service::Services;

/// What becomes of a message after the application was asked.
pub(crate) enum Before {
    /// It is handled as this request, which is another one than the sender's if there is a fingerprint: that of what the sender wrote.
    Go(Box<[u8]>, Option<Fingerprint>),
    /// The sender gets this answer, and nothing is done.
    Answer(Vec<u8>),
    Refuse(Refusal),
    /// Nothing is done, and the sender gets no answer: the hub stops, and the sender makes the request again when it is back.
    Nothing,
}

/// The command to ask before this message is taken, if the application wants to be asked.
fn command(services: &Services, request: &Send<'_>) -> Option<CallbackCommand> {
    let command = match request.content.to {
        ConversationId::Group(_) => CallbackCommand::BeforeGroup,
        ConversationId::C2c(_) => CallbackCommand::BeforeC2c,
        _ => return None,
    };
    services.callbacks.wants(command).then_some(command)
}

/// Asks the application about a message, if it wants to be. The future holds no thread. What the hub refuses anyway, for what it says or
/// as its sender sends too much, is refused here: nobody makes the hub ask about more than may be sent.
pub(crate) fn before_send(
    services: &Arc<Services>,
    client: &ClientContext,
    body: &[u8],
) -> Option<Result<impl Future<Output = Before> + Sized + std::marker::Send + use<>, Refusal>> {
    // Most hubs ask nobody.
    if !services.callbacks.are_there() {
        return None;
    }
    let request: Send<'_> = decode_body(body).ok()?;
    command(services, &request)?;
    let admitted = send::check(services, client, &request, body).and_then(|()| admit(services, client, 1));
    if let Err(refusal) = admitted {
        return Some(Err(refusal));
    }
    let (services, sender, body) = (Arc::clone(services), client.user(), Box::<[u8]>::from(body));
    Some(Ok(async move { ask(&services, sender, body).await }))
}

async fn ask(services: &Services, sender: UserId, body: Box<[u8]>) -> Before {
    let Ok(request) = decode_body::<Send<'_>>(&body) else {
        return Before::Go(body, None);
    };
    let content = &request.content;
    let group_type = group_type(services, sender, content.to).await;
    let about = About {
        sender: Sender::device(sender),
        content,
        sequence: content.client_sequence,
        group_type: &group_type,
        online_only: request.options.0.online_user_only,
        now_ms: services.now_ms(),
    };
    let change = |content: &tim_json::Content| changed_request(&request, content);
    match services.callbacks.ask_about(&about, change).await {
        Decision::Go(Some(changed)) => Before::Go(changed, Some(Fingerprint::of_message(content))),
        Decision::Go(None) => Before::Go(body, None),
        Decision::Drop => {
            let dropped = SendResponse::new(0, services.now_ms() / 1000);
            Before::Answer(to_vec(&dropped))
        }
        Decision::Refuse(refusal) => Before::Refuse(refusal),
        Decision::Stopping => Before::Nothing,
    }
}

/// The request with another content.
fn changed_request(request: &Send<'_>, changed: &tim_json::Content) -> Result<Box<[u8]>, String> {
    let payload = changed
        .encode()
        .map_err(|error| format!("its MsgBody cannot be sent: {error}"))?;
    // The elements behind the first one are replaced with it.
    let kept = request.content.extensions.iter();
    let kept: Vec<_> = kept
        .filter(|one| one.tag != tags::MORE_ELEMENTS)
        .map(|one| to_vec(&one))
        .collect();
    let kept = kept.concat();
    let mut content: Content<'_> = request.content;
    content.extensions = Extensions::new(&kept).unwrap_or_default();
    content.kind = payload.kind();
    content.payload = payload.bytes();
    let request_now = Send::new(content).with_options(Nested(request.options.0));
    Ok(to_vec(&request_now).into_boxed_slice())
}

/// The type of a group, as the vendor calls it; empty for what is none.
async fn group_type(services: &Services, user: UserId, to: ConversationId) -> String {
    let ConversationId::Group(group) = to else {
        return String::new();
    };
    let reads = services.reads.clone();
    let found = services.reads.run(user, move || reads.store().group(&group));
    match found.await {
        Ok(Ok(Some(found))) => found.group_type.to_string(),
        _ => String::new(),
    }
}
