//! A hub on a temporary directory, and devices that talk to it over TCP with the real client session.

mod calls;
mod device;
mod files;
mod groups;
mod http;
mod hub;
#[cfg(feature = "s3")]
mod line;
mod observed;
mod push_service;
mod raw;
mod server;

use std::time::Duration;

use tim_hub::usersig::{App, UserSig};
use tim_proto::ConversationId;

pub(crate) use device::Device;
pub(crate) use files::{FileFaults, bitmap, bmp, file_message, files_left, sha256};
pub(crate) use http::Served;
pub(crate) use hub::TestHub;
#[cfg(feature = "s3")]
pub(crate) use line::Line;
pub(crate) use observed::{Notice, Observed, Reply, Tip, Uploaded};
pub(crate) use push_service::{PushService, Pushed};
pub(crate) use raw::Raw;
pub(crate) use server::{Answer, Asked, TestServer};
pub(crate) use tim_testkit::{c2c, group as group_id, user};

pub(crate) const APP: u32 = 1_400_000_000;
const KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
/// Long enough for everything: a test that reaches it has failed.
const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const START_MS: u64 = 1_700_000_000_000;

pub(crate) fn group(name: &str) -> ConversationId {
    ConversationId::Group(group_id(name))
}

pub(crate) fn app() -> App {
    App::new(APP, KEY)
}

pub(crate) fn sig(name: &str) -> String {
    sig_for(name, 30 * 24 * 3600)
}

/// A UserSig that is good for so many seconds from the start.
pub(crate) fn sig_for(name: &str, seconds: u64) -> String {
    UserSig::sign(&app(), &user(name), START_MS / 1000, seconds)
}
