#![doc = include_str!("../README.md")]

mod admission;
#[cfg(feature = "sqlite")]
mod backup;
#[cfg(feature = "outgoing")]
mod callbacks;
mod client_context;
mod clock;
mod connection;
mod delivery;
mod device;
mod elsewhere;
mod encoding;
mod file_options;
#[cfg(feature = "http")]
mod file_urls;
mod files;
mod handlers;
#[cfg(feature = "http")]
mod http;
mod hub;
mod listener;
mod merges;
mod metrics;
#[cfg(any(feature = "outgoing", feature = "rest"))]
mod msg_key;
mod options;
#[cfg(feature = "outgoing")]
mod outgoing;
mod permissions;
mod pool;
mod presence;
mod push;
mod randoms;
mod reads;
mod refusal;
mod retention;
mod service;
mod settings;
mod steps;
mod stopping;
mod threads;
mod timer;
mod wakeups;
#[cfg(feature = "websocket")]
mod websocket_listener;
mod worker;

pub use tim_files::{Remote, is_elsewhere as files_are_elsewhere};
#[cfg(feature = "s3")]
pub use tim_files::{S3Credentials, S3Options};
pub use tim_store::{AllGroups, GroupStatus, Store, StoreError, WriteError};
#[cfg(feature = "sqlite")]
pub use tim_store_sqlite::OpenError;
#[cfg(any(feature = "outgoing", feature = "tls"))]
pub use tim_transport_std::tls;
#[cfg(feature = "websocket")]
pub use tim_transport_std::websocket;
pub use tim_usersig as usersig;

#[cfg(feature = "sqlite")]
pub use backup::{BackupError, BackupReport, back_up_stopped};
#[cfg(feature = "outgoing")]
pub use callbacks::{CallbackCommand, CallbackOptions, CallbackStats};
pub use clock::Clock;
pub use file_options::FileOptions;
pub use files::check_content;
pub use handlers::Audience;
#[cfg(feature = "http")]
pub use http::HttpOptions;
pub use hub::{Hub, HubError, HubStats, UserStatus};
#[cfg(feature = "tls")]
pub use listener::TlsListener;
pub use listener::{Listener, Peer};
pub use options::{HubOptions, MIN_KEY_LEN};
#[cfg(feature = "outgoing")]
pub use outgoing::Endpoint;
#[cfg(feature = "apns")]
pub use push::{Apns, ApnsKey, ApnsOptions};
pub use push::{Notification, PushError, PushOptions, PushRoutes, PushSink, PushStats, Sending};
#[cfg(feature = "outgoing")]
pub use push::{PushLog, PushWebhook};
#[cfg(feature = "web-push")]
pub use push::{VapidKey, WebPush, WebPushOptions};
pub use steps::{Step, Steps, Waiting};
#[cfg(feature = "http")]
pub use tim_transport_std::forwarded::ClientAddress;
#[cfg(feature = "websocket")]
pub use websocket_listener::WebSocketListener;
