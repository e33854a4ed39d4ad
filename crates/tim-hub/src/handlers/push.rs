//! REGISTER_PUSH and UNREGISTER_PUSH: through which tokens of push services a user is notified.

use std::borrow::Cow;
use std::sync::Arc;

use tim_proto::ErrorCode;
use tim_proto::request::{Done, MAX_PUSH_TOKEN, PushPlatform, RegisterPush, UnregisterPush};
use tim_store::{Write, Written};

use super::{Handled, Reply, admit};
use crate::client_context::ClientContext;
use crate::refusal::Refusal;
use crate::service::Services;

/// What a change of the tokens costs of what its user may send: it is committed at once, and everybody's writes with it. Applications make
/// one when they start.
const COST: u32 = 10;

/// Registers a token. Applications do that after each login, so a token that is there already, in the form in which it is kept, costs no
/// write.
pub(super) fn register<'a>(
    services: &Arc<Services>,
    client: &mut ClientContext,
    request: &RegisterPush<'a>,
) -> Handled<RegisterPush<'a>> {
    let token = checked(services, request.platform, request.token)?;
    let (user, platform) = (client.user(), request.platform);
    let is_removing = services.push.registers(&user);
    let known = services.reads.store().push_tokens(&user)?;
    let is_known = known.iter().any(|known| {
        (known.platform, known.token.as_str(), known.enabled) == (platform, &*token, request.enabled)
    });
    let written = (token != request.token).then(|| request.token.to_owned());
    // In another form, somebody else may have registered it before that was known.
    if is_known && written.is_none() && !is_removing {
        return Reply::now(&Done);
    }
    admit(services, client, COST)?;
    let write = Write::RegisterPush(Box::new(tim_store::RegisterPush {
        user,
        platform,
        token: token.into_owned(),
        written,
        enabled: request.enabled,
    }));
    let (push, responder) = (
        services.push.handle(),
        client.responder::<RegisterPush<'static>>(),
    );
    services.writer.submit(write, move |answer| match answer {
        Ok(Written::PushRegistered { pushed }) => {
            push.registered(platform, user, pushed);
            responder.respond(&Done);
        }
        Ok(_) => responder.refuse(Refusal::wrong_answer()),
        Err(error) => responder.refuse(error.into()),
    })?;
    Reply::later()
}

/// Removes a token.
pub(super) fn unregister<'a>(
    services: &Arc<Services>,
    client: &mut ClientContext,
    request: &UnregisterPush<'a>,
) -> Handled<UnregisterPush<'a>> {
    // What is none to the sink was registered before there was this sink, or never.
    let token = checked(services, request.platform, request.token).unwrap_or(Cow::Borrowed(request.token));
    admit(services, client, COST)?;
    let responder = client.responder::<UnregisterPush<'static>>();
    let (user, platform) = (client.user(), request.platform);
    let write = Write::UnregisterPush {
        user,
        platform,
        // It may have been registered as it is written here, before there was this sink.
        written: (token != request.token).then(|| request.token.to_owned()),
        token: token.into_owned(),
        number: None,
    };
    services.writer.submit(write, move |answer| match answer {
        Ok(_) => responder.respond(&Done),
        Err(error) => responder.refuse(error.into()),
    })?;
    Reply::later()
}

/// A token in the form in which it is kept.
fn checked<'a>(services: &Services, platform: PushPlatform, token: &'a str) -> Result<Cow<'a, str>, Refusal> {
    let checked = if token.is_empty() || token.len() > MAX_PUSH_TOKEN {
        Err(format!(
            "a token of a push service has 1 to {MAX_PUSH_TOKEN} bytes"
        ))
    } else if !platform.is_known() {
        Err(format!("this hub does not know the push service {platform}"))
    } else {
        services.push.token(platform, token)
    };
    let kept = checked.and_then(|token| match token.len() {
        1..=MAX_PUSH_TOKEN => Ok(token),
        _ => Err(format!("the push service {platform} has no such token")),
    });
    kept.map_err(|text| Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text))
}
