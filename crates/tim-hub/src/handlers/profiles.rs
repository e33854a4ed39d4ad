//! Who users are, as they say it themselves.

use std::sync::Arc;

use tim_proto::conversation::UserProfile;
use tim_proto::request::{AnyResponse as Answer, UserProfilesResponse};
use tim_proto::wire::{FrameKind, List, encoded_len};
use tim_proto::{ErrorCode, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::Connection;
use crate::device::{Answered, Device, Outcome};
use crate::groups::rules::{MAX_AVATAR, check_name, check_text};
use crate::handlers::requests::{ANSWER_OVERHEAD, MAX_LEN_PREFIX};
use crate::refusal::Refusal;
use crate::store::Write;

/// The longest nick, in bytes: every message of the user's carries it.
const MAX_NICK: usize = 100;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn user_profiles(&mut self, id: u32, users: &[UserId]) -> Result<(), Refusal> {
        let most = self.hub.options.limits.user_profiles() as usize;
        if users.len() > most {
            let text = format!("{} users, at most {most} are looked up at once", users.len());
            return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
        }
        let accounts = self.hub.reader.accounts(users)?;
        let profiles: Vec<UserProfile<'_>> = accounts
            .iter()
            .map(|account| UserProfile {
                id: account.user,
                nick: &account.nick,
                avatar: &account.avatar,
            })
            .collect();
        let len: usize = profiles.iter().map(|one| encoded_len(one) + MAX_LEN_PREFIX).sum();
        if len + ANSWER_OVERHEAD > self.max_answer() {
            return Err(Refusal::new(
                ErrorCode::FRAME_TOO_LARGE,
                "so many profiles are larger than what you take; ask for fewer at once",
            ));
        }
        let answer = UserProfilesResponse {
            users: List::from_slice(&profiles),
        };
        self.reply(id, FrameKind::USER_PROFILES, &Answer::UserProfiles(answer));
        Ok(())
    }

    /// From now on the user's messages carry the new names, from whichever device.
    pub(crate) fn update_user_profile(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        nick: Option<String>,
        avatar: Option<String>,
    ) -> Result<(), Refusal> {
        check_name("nick", nick.as_deref().unwrap_or(""), MAX_NICK)?;
        check_text("avatar", avatar.as_deref().unwrap_or(""), MAX_AVATAR)?;
        self.hub
            .presence
            .may_send(&device.user, self.hub.steady_ms(), 1)?;
        let write = Write::SetUserProfile {
            user: device.user,
            nick,
            avatar,
        };
        let (presence, device) = (Arc::clone(&self.hub.presence), Arc::clone(device));
        let submitted = self.hub.writer.submit(write, move |answer| {
            presence
                .devices(&device.user)
                .iter()
                .for_each(|device| device.forget());
            device.answer(Answered {
                request: id,
                kind: FrameKind::UPDATE_USER_PROFILE,
                log: None,
                group: None,
                outcome: Outcome::Store(answer),
            });
        });
        submitted.map_err(|error| Refusal::from(&error))
    }
}
