//! USER_PROFILES and UPDATE_USER_PROFILE: the names and pictures that users have given themselves.

use std::sync::Arc;

use tim_groups::rules::{MAX_AVATAR, check_name, check_text};
use tim_proto::ErrorCode;
use tim_proto::conversation::UserProfile;
use tim_proto::request::{Done, UpdateUserProfile, UserProfiles, UserProfilesResponse};
use tim_proto::wire::{List, encoded_len};
use tim_store::Write;

use super::pages::MAX_LEN_PREFIX;
use super::{Handled, RESPONSE_OVERHEAD, Reply, admit};
use crate::client_context::ClientContext;
use crate::refusal::Refusal;
use crate::service::Services;

/// The longest nick, in bytes: each message of the user carries it.
pub(crate) const MAX_NICK: usize = 100;

/// The profiles of these users.
pub(super) fn user_profiles<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &UserProfiles<'a>,
) -> Handled<UserProfiles<'a>> {
    let most = services.options.limits.user_profiles() as usize;
    if request.users.len() > most {
        let count = request.users.len();
        let text = format!("{count} users, at most {most} are looked up at once");
        return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    let users: Vec<_> = request.users.iter().collect();
    let accounts = services.reads.store().accounts(&users)?;
    let profiles: Vec<UserProfile<'_>> = accounts
        .iter()
        .map(|account| {
            UserProfile::new(account.user)
                .with_nick(&account.nick)
                .with_avatar(&account.avatar)
        })
        .collect();
    let len: usize = profiles.iter().map(|one| encoded_len(one) + MAX_LEN_PREFIX).sum();
    if len + RESPONSE_OVERHEAD > client.max_response() {
        return Err(Refusal::new(
            ErrorCode::FRAME_TOO_LARGE,
            "so many profiles are larger than what you take; ask for fewer at once",
        ));
    }
    Reply::now(&UserProfilesResponse::new(List::from_slice(&profiles)))
}

/// Checks what a profile is to say.
pub(crate) fn check_profile(nick: &str, avatar: &str) -> Result<(), Refusal> {
    check_name("nick", nick, MAX_NICK)?;
    check_text("avatar", avatar, MAX_AVATAR)?;
    Ok(())
}

/// Changes the user's profile. From then on the user's messages carry the new names, from whichever device.
pub(super) fn update<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &UpdateUserProfile<'a>,
) -> Handled<UpdateUserProfile<'a>> {
    check_profile(request.nick.unwrap_or(""), request.avatar.unwrap_or(""))?;
    admit(services, client, 1)?;
    let user = client.user();
    let write = Write::SetUserProfile {
        user,
        nick: request.nick.map(str::to_owned),
        avatar: request.avatar.map(str::to_owned),
    };
    let presence = Arc::clone(&services.presence);
    let responder = client.responder::<UpdateUserProfile<'static>>();
    services.writer.submit(write, move |answer| {
        presence.invalidate(&user);
        match answer {
            Ok(_) => responder.respond(&Done),
            Err(error) => responder.refuse(error.into()),
        }
    })?;
    Reply::later()
}
