//! What the application is asked before a message is taken, or something is done in a group.

use std::pin::Pin;
use std::sync::Arc;

use tim_proto::message::{Content, tags, to_vec};
use tim_proto::planted::{self, Fault};
use tim_proto::request::{Send, SendResponse};
use tim_proto::wire::{Extensions, FrameKind, Nested, decode_body};
use tim_proto::{ConversationId, ErrorCode, GroupType, UserId};
use tim_store::Fingerprint;

use super::groups::{Asker, question};
use super::{admit, admit_request, send};
use crate::callbacks::{About, AfterSend, CallbackCommand, Decision, Platform, Sender};
use crate::client_context::{AskedAbout, ClientContext};
use crate::delivery::RecentId;
use crate::refusal::Refusal;
use crate::service::Services;

/// What becomes of a request after the application was asked.
pub(crate) enum Before {
    /// The application was not asked after all.
    Unasked(Box<[u8]>),
    /// It is handled as this request.
    Go(Box<[u8]>, AskedAbout),
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

/// The answer of the application. It holds no thread.
type Asking = Pin<Box<dyn Future<Output = Before> + std::marker::Send>>;

/// Asks the application about a request, if it wants to be. What the hub refuses anyway, for what it says or as its user sends too much, is
/// refused here: nobody makes the hub ask about more than may be done.
pub(crate) fn before(
    services: &Arc<Services>,
    client: &ClientContext,
    kind: FrameKind,
    body: &[u8],
) -> Option<Result<Asking, Refusal>> {
    // Most hubs ask nobody.
    if !services.callbacks.are_there() {
        return None;
    }
    let command = match kind {
        FrameKind::SEND => return before_send(services, client, body),
        FrameKind::CREATE_GROUP => CallbackCommand::BeforeCreateGroup,
        FrameKind::JOIN_GROUP => CallbackCommand::BeforeJoin,
        FrameKind::INVITE_MEMBERS => CallbackCommand::BeforeInvite,
        _ => return None,
    };
    if !services.callbacks.wants(command) {
        return None;
    }
    if let Err(refusal) = admit_request(services, client, kind) {
        return Some(Err(refusal));
    }
    let asker = Asker {
        user: client.user(),
        sends_per_second: client.sends_per_second(),
    };
    let (services, body) = (Arc::clone(services), Box::<[u8]>::from(body));
    Some(Ok(Box::pin(async move {
        ask_group(&services, asker, kind, body).await
    })))
}

/// Asks the application about a request about a group.
async fn ask_group(services: &Arc<Services>, asker: Asker, kind: FrameKind, body: Box<[u8]>) -> Before {
    let looking = Arc::clone(services);
    let found = services.reads.run(asker.user, move || {
        let found = question(&looking, asker, kind, &body);
        (found, body)
    });
    let (found, body) = match found.await {
        Ok((Ok(Some(found)), body)) => (found, body),
        Ok((Ok(None), body)) => return Before::Unasked(body),
        Ok((Err(refusal), _)) => return Before::Refuse(refusal),
        Err(_) => return Before::Refuse(Refusal::new(ErrorCode::STORAGE_FAILED, "")),
    };
    let now_ms = services.now_ms();
    let decided = services
        .callbacks
        .ask_group(&found, Platform::Device, now_ms)
        .await;
    match decided {
        Decision::Go(refused) => {
            let asked = AskedAbout {
                refused: refused.unwrap_or_default(),
                ..AskedAbout::default()
            };
            Before::Go(body, asked)
        }
        // Only messages are dropped.
        Decision::Drop => Before::Unasked(body),
        Decision::Refuse(refusal) => Before::Refuse(refusal),
        Decision::Stopping => Before::Nothing,
    }
}

fn before_send(
    services: &Arc<Services>,
    client: &ClientContext,
    body: &[u8],
) -> Option<Result<Asking, Refusal>> {
    let request: Send<'_> = decode_body(body).ok()?;
    command(services, &request)?;
    let admitted = send::check(services, client, &request, body).and_then(|()| admit(services, client, 1));
    if let Err(refusal) = admitted {
        return Some(Err(refusal));
    }
    let (services, sender, body) = (Arc::clone(services), client.user(), Box::<[u8]>::from(body));
    Some(Ok(Box::pin(async move { ask(&services, sender, body).await })))
}

async fn ask(services: &Services, sender: UserId, body: Box<[u8]>) -> Before {
    let Ok(request) = decode_body::<Send<'_>>(&body) else {
        return Before::Go(body, AskedAbout::default());
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
    let decided = services.callbacks.ask_about(&about, change).await;
    let decided = match decided {
        Decision::Refuse(_) if planted::is(Fault::VerdictIgnored) => Decision::Go(None),
        Decision::Go(Some(_)) if planted::is(Fault::ChangeForgotten) => Decision::Go(None),
        decided => decided,
    };
    let is_no = matches!(decided, Decision::Drop | Decision::Refuse(_));
    if is_no {
        // What was allowed on an earlier connection may still be on its way to the store.
        if services.callbacks.settled(&content.id).await.is_err() {
            return Before::Nothing;
        }
        if was_taken(services, sender, &request).await {
            // It is a repetition, whatever is said of it now: its sender gets the first answer again.
            return Before::Go(body, AskedAbout::default());
        }
    }
    let allowed = |original| AskedAbout {
        original,
        passage: services.callbacks.allowed(content.id),
        ..AskedAbout::default()
    };
    match decided {
        Decision::Go(Some(changed)) => {
            let original = Fingerprint::of_message(content);
            Before::Go(changed, allowed(Some(original)))
        }
        Decision::Go(None) => {
            let asked = allowed(None);
            Before::Go(body, asked)
        }
        Decision::Drop => {
            let dropped = SendResponse::new(0, services.now_ms() / 1000);
            Before::Answer(to_vec(&dropped))
        }
        Decision::Refuse(refusal) => Before::Refuse(refusal),
        Decision::Stopping => Before::Nothing,
    }
}

/// Whether the same message was stored before, or passed on if it is one that is not stored.
async fn was_taken(services: &Services, sender: UserId, request: &Send<'_>) -> bool {
    let (id, fingerprint) = (request.content.id, Fingerprint::of_message(&request.content));
    let is_room = match request.content.to {
        ConversationId::Group(group) => services.presence.is_av_chat_room(&group),
        _ => false,
    };
    let was_passed_on = || matches!(services.recent_ids.look_up(&id, fingerprint), RecentId::Same(_));
    if (is_room || request.options.0.online_user_only) && was_passed_on() {
        return true;
    }
    let reads = services.reads.clone();
    let found = services
        .reads
        .run(sender, move || reads.store().stored(&sender, &id, fingerprint));
    matches!(found.await, Ok(Ok(Some(Ok(_)))))
}

/// Tells the application that a message about which it was asked is refused after all.
pub(crate) fn tell_refused(
    services: &Services,
    user: UserId,
    kind: FrameKind,
    body: &[u8],
    refusal: &Refusal,
) {
    if kind != FrameKind::SEND {
        return;
    }
    let Ok(request) = decode_body::<Send<'_>>(body) else {
        return;
    };
    let content = to_vec(&request.content);
    let after = AfterSend::new(
        &services.callbacks,
        Sender::device(user),
        request.content.to,
        &content,
        GroupType(0),
        request.options.0.online_user_only,
        services.now_ms(),
    );
    after
        .into_iter()
        .for_each(|after| after.refused(refusal.code.0, &refusal.text));
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
        Ok(Ok(Some(found))) => found.group_type.name().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
