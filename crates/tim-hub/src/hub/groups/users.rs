//! Who users are, as they say it themselves.

use std::sync::Arc;

use tim_proto::conversation::UserProfile;
use tim_proto::request::{Answer, UserProfilesAnswer};
use tim_proto::wire::{FrameKind, List, encoded_len};
use tim_proto::{ErrorCode, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::connection::Connection;
use super::super::device::{Answered, Device, Outcome};
use super::super::failed::Failed;
use super::super::requests::{ANSWER_OVERHEAD, MAX_LEN_PREFIX};
use crate::groups::rules::{MAX_AVATAR, check_name, check_text};
use crate::store::Write;

/// The longest nick, in bytes: every message of the user's carries it.
const MAX_NICK: usize = 100;

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(in crate::hub) fn user_profiles(&mut self, id: u32, users: &[UserId]) -> Result<(), Failed> {
        let most = self.hub.options.limits.user_profiles() as usize;
        if users.len() > most {
            let text = format!("{} users, at most {most} are looked up at once", users.len());
            return Err(Failed::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
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
            return Err(Failed::new(
                ErrorCode::FRAME_TOO_LARGE,
                "so many profiles are larger than what you take; ask for fewer at once",
            ));
        }
        let answer = UserProfilesAnswer {
            users: List::from_slice(&profiles),
        };
        self.reply(id, FrameKind::USER_PROFILES, &Answer::UserProfiles(answer));
        Ok(())
    }

    /// From now on the user's messages carry the new names, from whichever device.
    pub(in crate::hub) fn update_user_profile(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        nick: Option<String>,
        avatar: Option<String>,
    ) -> Result<(), Failed> {
        check_name("nick", nick.as_deref().unwrap_or(""), MAX_NICK)?;
        check_text("avatar", avatar.as_deref().unwrap_or(""), MAX_AVATAR)?;
        self.hub.online.may_send(&device.user, self.hub.steady_ms(), 1)?;
        let write = Write::SetUserProfile {
            user: device.user,
            nick,
            avatar,
        };
        let (online, device) = (Arc::clone(&self.hub.online), Arc::clone(device));
        let submitted = self.hub.writer.submit(write, move |answer| {
            online
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
        submitted.map_err(|error| Failed::from(&error))
    }
}
