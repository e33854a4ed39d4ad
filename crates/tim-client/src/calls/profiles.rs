//! `getMyProfile`, `updateMyProfile`, `getUserProfile`.

use tim_proto::check_shown_name;
use tim_proto::request::{UpdateUserProfile, UserProfiles};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, UserId};

use crate::call::encoded;
use crate::client::Client;
use crate::{Event, ImError, UserProfile};

/// The response of [`Client::get_my_profile`] and [`Client::update_my_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MyProfileResponse {
    /// The user's profile.
    pub profile: UserProfile,
}

/// The response of [`Client::get_user_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetUserProfileResponse {
    /// The profiles of the users that have an account, in the order of the request.
    pub profiles: Vec<UserProfile>,
}

impl Client {
    /// `getMyProfile`: the profile of the user.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_my_profile(&self) -> Result<MyProfileResponse, ImError> {
        let mine = self.get_user_profile(&[self.user()]).await?.profiles.pop();
        mine.map(|profile| MyProfileResponse { profile })
            .ok_or_else(|| ErrorCode::PROTOCOL_VIOLATION.into())
    }

    /// `updateMyProfile`: changes the profile of the user. `None` leaves a field unchanged. Messages that were already sent keep
    /// the earlier nick. This client publishes [`Event::ProfileUpdated`].
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal, for example for a nick that is too long.
    pub async fn update_my_profile(
        &self,
        nick: Option<&str>,
        avatar: Option<&str>,
    ) -> Result<MyProfileResponse, ImError> {
        check_shown_name(nick.unwrap_or(""))?;
        let mut update = UpdateUserProfile::new();
        update.nick = nick;
        update.avatar = avatar;
        self.call(encoded(&update), |_, _| ()).await?;
        let response = self.get_my_profile().await?;
        let event = Event::ProfileUpdated(vec![response.profile.clone()]);
        self.shared.bus.publish(&event);
        Ok(response)
    }

    /// `getUserProfile`: the profiles of these users; users without an account are left out. More than
    /// [`Limits::user_profiles`](crate::Limits::user_profiles) users take several requests.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal; [`ErrorCode::GROUP_INVALID_PARAMETERS`] for an empty list.
    pub async fn get_user_profile(&self, users: &[UserId]) -> Result<GetUserProfileResponse, ImError> {
        if users.is_empty() {
            return Err(ImError::new(
                ErrorCode::GROUP_INVALID_PARAMETERS,
                "name at least one user",
            ));
        }
        let at_a_time = self.shared.limits.user_profiles().max(1) as usize;
        let mut profiles = Vec::new();
        for some in users.chunks(at_a_time) {
            let request = encoded(&UserProfiles::new(List::from_slice(some)));
            let found = self.call(request, |_, response| {
                let users = response.users.iter();
                users.map(|user| (&user).into()).collect::<Vec<_>>()
            });
            profiles.extend(found.await?);
        }
        Ok(GetUserProfileResponse { profiles })
    }
}
