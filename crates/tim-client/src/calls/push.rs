//! Offline push: where the user is notified while no device of the user is online.

use tim_proto::ErrorCode;
use tim_proto::request::{MAX_PUSH_TOKEN, PushPlatform, RegisterPush, UnregisterPush};

use crate::ImError;
use crate::call::encoded;
use crate::client::Client;

impl Client {
    /// Has the user notified through this token of a push service while none of the user's devices is online. A token that another user
    /// had registered is this user's from now on. To be called after each login, and when the push service gives out another token;
    /// `enabled` is the switch that the user has for notifications on this device.
    ///
    /// # Errors
    /// Not being ready, or the hub's refusal; [`ErrorCode::GROUP_INVALID_PARAMETERS`] for a token that is empty or has more than
    /// [`MAX_PUSH_TOKEN`] bytes.
    pub async fn register_push(
        &self,
        platform: PushPlatform,
        token: &str,
        enabled: bool,
    ) -> Result<(), ImError> {
        check(token)?;
        let request = RegisterPush::new(platform, token).with_enabled(enabled);
        self.call(encoded(&request), |_, _| ()).await
    }

    /// Ends notifications through this token: before a logout after which somebody else may use the device.
    ///
    /// # Errors
    /// As [`Client::register_push`].
    pub async fn unregister_push(&self, platform: PushPlatform, token: &str) -> Result<(), ImError> {
        check(token)?;
        self.call(encoded(&UnregisterPush::new(platform, token)), |_, _| ())
            .await
    }
}

fn check(token: &str) -> Result<(), ImError> {
    if token.is_empty() || token.len() > MAX_PUSH_TOKEN {
        let text = format!("a token of a push service has 1 to {MAX_PUSH_TOKEN} bytes");
        return Err(ImError::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    Ok(())
}
