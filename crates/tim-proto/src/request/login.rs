//! LOGIN: authenticates the user and device of a connection and resumes deliveries.

use super::Request;
use crate::open::open_newtype;
use crate::wire::{FrameKind, wire};
use crate::{Platform, UserId};

open_newtype! {
    /// Where deliveries to a device start.
    #[derive(PartialOrd, Ord, Default)]
    pub struct Resume(u8) {
        /// With new entries only; older ones are available through [`History`](super::History).
        NOW = 0, "Now";
        /// After the entry that [`Login::cursor`] names.
        CURSOR = 1, "Cursor";
        /// With the oldest entry that the hub still keeps.
        START = 2, "Start";
    }
}

wire! {
    /// LOGIN: authenticates the connection.
    ///
    /// ```
    /// use tim_proto::request::{Login, Resume};
    /// use tim_proto::{Platform, UserId};
    ///
    /// fn resumed<'a>(user: UserId, user_sig: &'a str, device: u64, cursor: &'a [u8]) -> Login<'a> {
    ///     let login = Login::new(1400000000, user, user_sig, device, Platform::DESKTOP);
    ///     login.with_resume(Resume::CURSOR).with_cursor(cursor)
    /// }
    /// ```
    pub struct Login<'a> {
        /// The application's number (`sdkAppID`).
        pub app: u32,
        /// The user that logs in.
        pub user: UserId,
        /// The UserSig that authenticates the user.
        pub user_sig: &'a str,
        /// The device's number, drawn at random once and kept. A newer login of the same device replaces the older one.
        pub device: u64,
        /// The platform of the device.
        pub platform: Platform,
        /// Where deliveries start.
        pub resume: Resume = Resume::NOW => with_resume,
        /// The cursor of the last delivery that the device processed, for [`Resume::CURSOR`].
        pub cursor: &'a [u8] = &[] => with_cursor,
        /// The session's number, drawn at random when the session is created. It distinguishes two runs of one device.
        pub session: u64 = 0 => with_session,
        /// The number of login attempts of this session, including this one. The higher of two is the newer login.
        pub attempt: u32 = 0 => with_attempt,
    }
}

impl Request for Login<'_> {
    const KIND: FrameKind = FrameKind::LOGIN;
    type Response<'a> = LoginResponse<'a>;
}

impl core::fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The UserSig is a credential and must not reach logs.
        f.debug_struct("Login")
            .field("app", &self.app)
            .field("user", &self.user)
            .field("device", &self.device)
            .field("platform", &self.platform)
            .field("resume", &self.resume)
            .field("session", &self.session)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

wire! {
    /// Response to [`Login`].
    #[derive(Debug, Default)]
    pub struct LoginResponse<'a> {
        /// The user's account number (`tinyID`), which is part of message ids.
        pub account: u64,
        /// The hub's clock, Unix time in milliseconds.
        pub time_ms: u64 = 0 => with_time_ms,
        /// The device's current position in its deliveries.
        pub cursor: &'a [u8] = &[] => with_cursor,
        /// The user's display name.
        pub nick: &'a str = "" => with_nick,
        /// [`Login::session`] of the request.
        pub session: u64 = 0 => with_session,
        /// [`Login::attempt`] of the request.
        pub attempt: u32 = 0 => with_attempt,
    }
}
