//! REGISTER_PUSH and UNREGISTER_PUSH: where offline push reaches the user.

use super::{Done, Request};
use crate::open::open_newtype;
use crate::wire::{FrameKind, wire};

/// The longest token of a push service, in bytes. The longest ones are those of browsers: the address of an endpoint, and two keys.
pub const MAX_PUSH_TOKEN: usize = 1536;

open_newtype! {
    /// The push service that a token belongs to. Of the platforms of the manual, Android and iOS have one; browsers have Web Push.
    #[derive(PartialOrd, Ord)]
    pub struct PushPlatform(u8) {
        /// Apple's push service.
        IOS = 1, "ios";
        /// Android with Google's push service.
        ANDROID = 2, "android";
        /// Android with Huawei's push service.
        HUAWEI = 3, "huawei";
        /// Android with Xiaomi's push service.
        XIAOMI = 4, "xiaomi";
        /// Android with OPPO's push service.
        OPPO = 5, "oppo";
        /// Android with vivo's push service.
        VIVO = 6, "vivo";
        /// Android with Honor's push service.
        HONOR = 7, "honor";
        /// Android with Meizu's push service.
        MEIZU = 8, "meizu";
        /// A browser: Web Push. The token is the subscription, as JSON.
        WEB = 9, "web";
    }
}

wire! {
    /// REGISTER_PUSH: notifications for the user go to this token too while the user is offline. A token belongs to one user: whoever
    /// had it before does not have it any more. A user has a limited number of tokens; the oldest makes room.
    pub struct RegisterPush<'a> {
        /// The push service.
        pub platform: PushPlatform,
        /// What the push service knows the installation by; 1 to [`MAX_PUSH_TOKEN`] bytes.
        pub token: &'a str,
        /// Whether notifications are sent. A token that is switched off stays registered.
        pub enabled: bool = true => with_enabled,
    }
}

impl Request for RegisterPush<'_> {
    const KIND: FrameKind = FrameKind::REGISTER_PUSH;
    type Response<'a> = Done;
}

impl core::fmt::Debug for RegisterPush<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Whoever has the token may be able to write to the device.
        f.debug_struct("RegisterPush")
            .field("platform", &self.platform)
            .field("enabled", &self.enabled)
            .finish_non_exhaustive()
    }
}

wire! {
    /// UNREGISTER_PUSH: no more notifications to this token. Done, too, if the user does not have it.
    pub struct UnregisterPush<'a> {
        /// The push service.
        pub platform: PushPlatform,
        /// The token.
        pub token: &'a str,
    }
}

impl Request for UnregisterPush<'_> {
    const KIND: FrameKind = FrameKind::UNREGISTER_PUSH;
    type Response<'a> = Done;
}

impl core::fmt::Debug for UnregisterPush<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("UnregisterPush")
            .field("platform", &self.platform)
            .finish_non_exhaustive()
    }
}
