//! `getMyProfile`, `updateMyProfile`, `getUserProfile`.

use tim_proto::check_shown_name;
use tim_proto::request::{UpdateUserProfile, UserProfiles};
use tim_proto::wire::List;
use tim_proto::{ErrorCode, UserId};

use crate::call::encoded;
use crate::client::Client;
use crate::{Event, ImError, UserProfile};

/// The answer to [`Client::get_my_profile`] and [`Client::update_my_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MyProfileResponse {
    /// How the user is shown.
    pub profile: UserProfile,
}

/// The answer to [`Client::get_user_profile`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GetUserProfileResponse {
    /// Those who have an account, in the order asked for.
    pub profiles: Vec<UserProfile>,
}

impl Client {
    /// `getMyProfile`: how the user is shown to others.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal.
    pub async fn get_my_profile(&self) -> Result<MyProfileResponse, ImError> {
        let mine = self.get_user_profile(&[self.user()]).await?.profiles.pop();
        mine.map(|profile| MyProfileResponse { profile })
            .ok_or_else(|| ErrorCode::PROTOCOL_VIOLATION.into())
    }

    /// `updateMyProfile`: from now on the user is shown like this. What is `None` stays as it is. Messages that were sent
    /// before keep the nick of their time. [`Event::ProfileUpdated`] tells the handlers of this client.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal, such as for a nick that is too long.
    pub async fn update_my_profile(
        &self,
        nick: Option<&str>,
        avatar: Option<&str>,
    ) -> Result<MyProfileResponse, ImError> {
        check_shown_name(nick.unwrap_or(""))?;
        let request = encoded(&UpdateUserProfile { nick, avatar });
        self.call(request, |_, _| ()).await?;
        let response = self.get_my_profile().await?;
        let event = Event::ProfileUpdated(vec![response.profile.clone()]);
        self.shared.bus.publish(&event);
        Ok(response)
    }

    /// `getUserProfile`: how these users are shown; those without an account are left out. More than
    /// [`Limits::user_profiles`](crate::Limits::user_profiles) of them are asked for in several requests.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal; [`ErrorCode::GROUP_INVALID_PARAMETERS`] for nobody at all.
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
            let request = encoded(&UserProfiles {
                users: List::from_slice(some),
            });
            let found = self.call(request, |_, response| {
                let users = response.users.iter();
                users.map(|user| (&user).into()).collect::<Vec<_>>()
            });
            profiles.extend(found.await?);
        }
        Ok(GetUserProfileResponse { profiles })
    }
}
