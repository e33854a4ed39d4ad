//! The settings of the hub, from flags, variables, a file and defaults, in this order.

use std::fmt;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use tim_hub::HubOptions;
use tim_proto::UserId;
use tim_proto::vendor::limits;
use tim_transport_std::Address;
use tim_transport_std::address::TCP_PORT;
use tim_usersig::App;
use tracing::info;

use crate::address::{HttpAddress, TextAddress};
use crate::error::{Failure, reading};
use crate::file_place::FilePlace;
use crate::listeners::serial_ports;
use crate::local::DEFAULT_APP_ID;
use crate::log::LogFormat;
use crate::time::Seconds;

/// The settings file in the data directory.
pub(crate) const CONFIG_FILE: &str = "serve.toml";

/// Declares every setting once: its flag (and its variable, `TIM_` and the flag's name in capitals), its key in the
/// file, and its default.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident ($env:literal, $value_name:literal $(, $($more:tt)+)?): $type:ty = $default:expr;)+) => {
        /// The settings that one source gives.
        #[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct PartialSettings {
            $($(#[$doc])*
            #[arg(long, env = $env, hide_env_values = true, value_name = $value_name $(, $($more)+)?)]
            pub(crate) $field: Option<$type>,)+
        }

        /// The effective settings.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) struct Settings {
            $($(#[$doc])* pub(crate) $field: $type,)+
        }

        impl PartialSettings {
            /// These settings, and those of `other` where these have none.
            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)+ }
            }
        }

        impl From<PartialSettings> for Settings {
            fn from(given: PartialSettings) -> Self {
                let given = given.with_max_connections();
                Self { $($field: given.$field.unwrap_or_else(|| $default),)+ }
            }
        }
    };
}

settings! {
    /// Address to listen at: tim://HOST:PORT or HOST:PORT, tims://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:/PATH;
    /// port 0 takes a free one. Can be repeated; a serial:DEVICE is served, too [default: tim://127.0.0.1:7878].
    #[serde(default, deserialize_with = "one_or_more")]
    listen("TIM_LISTEN", "ADDRESS", value_delimiter = ','): Vec<TextAddress> =
        vec![TextAddress(SocketAddr::from((Ipv4Addr::LOCALHOST, TCP_PORT)).into())];
    /// Certificate for tims:// and wss:// addresses: a PEM file with the certificate of this hub and, behind it, those between it and its
    /// authority [default: none].
    tls_cert("TIM_TLS_CERT", "FILE"): PathBuf = PathBuf::new();
    /// The private key of the certificate, in PEM [default: none].
    tls_key("TIM_TLS_KEY", "FILE"): PathBuf = PathBuf::new();
    /// Longest record of TLS at tims:// addresses, in bytes, for devices that have no room for longer ones: at least 1024, and more than the
    /// certificate has; 0 is what TLS allows, 16384 [default: 0].
    tls_max_fragment("TIM_TLS_MAX_FRAGMENT", "BYTES"): u32 = 0;
    /// Listen without TLS at other addresses than loopback ones: everybody on the way can read messages, and UserSigs to log in with
    /// [default: false].
    allow_plaintext("TIM_ALLOW_PLAINTEXT", "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true): bool =
        false;
    /// Address of a reverse proxy in front of a ws:// or wss:// address, or of --http: the client's address is the one that it names in the header of
    /// --proxy-header, and the limits of an address apply to that. Can be repeated [default: none].
    #[serde(default, deserialize_with = "one_or_more")]
    trusted_proxy("TIM_TRUSTED_PROXY", "ADDRESS", value_delimiter = ','): Vec<IpAddr> = Vec::new();
    /// The header in which a --trusted-proxy names the client: x-forwarded-for or forwarded. It must be one that the proxy sets: the
    /// other one comes from the client unchanged [default: x-forwarded-for].
    proxy_header("TIM_PROXY_HEADER", "HEADER"): ProxyHeader = ProxyHeader::XForwardedFor;
    /// Address at which files are served by HTTP, at signed URLs that expire: http://HOST:PORT or https://HOST:PORT [default: none].
    http("TIM_HTTP", "ADDRESS"): HttpAddress = HttpAddress::default();
    /// Prefix of the URLs of files, such as https://HOST/PATH behind a proxy [default: the address of --http].
    http_url("TIM_HTTP_URL", "URL"): String = String::new();
    /// User who may call the REST interface at --http, with a UserSig, as an application's own server does; without one there is no such
    /// interface. The user acts as anybody: let no user choose this id. Can be repeated [default: none].
    #[serde(default, deserialize_with = "one_or_more")]
    admin("TIM_ADMIN", "USER", value_delimiter = ','): Vec<Admin> = Vec::new();
    /// Calls of the REST interface per second, of all administrators together; 0 is no limit [default: 10000].
    rest_rate("TIM_REST_RATE", "NUMBER"): u32 = 10_000;
    /// Time after which the URL of a file expires [default: 1h].
    file_url_life("TIM_FILE_URL_LIFE", "TIME"): Seconds = Seconds(3600);
    /// Address at which /metrics (for Prometheus), /healthz and /readyz are served: http://HOST:PORT or https://HOST:PORT. Let only the
    /// operator's programs reach it [default: none].
    metrics("TIM_METRICS", "ADDRESS"): HttpAddress = HttpAddress::default();
    /// Where the content of files is kept: directory, which is in the data directory, or s3://BUCKET/PREFIX in an S3-compatible store. Uploads
    /// under way are in the data directory anyway [default: directory].
    files("TIM_FILES", "PLACE"): FilePlace = FilePlace::Directory;
    /// URL of the S3-compatible store [default: AWS_ENDPOINT_URL, or Amazon's of the region].
    files_endpoint("TIM_FILES_ENDPOINT", "URL"): String = String::new();
    /// Region of the bucket [default: AWS_REGION, AWS_DEFAULT_REGION, or us-east-1].
    files_region("TIM_FILES_REGION", "REGION"): String = String::new();
    /// Name the bucket in the host of URLs, not in their path [default: false].
    files_bucket_in_host("TIM_FILES_BUCKET_IN_HOST", "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true): bool =
        false;
    /// Reach the store by http:// too: everybody on the way can read files [default: false].
    files_allow_http("TIM_FILES_ALLOW_HTTP", "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true): bool =
        false;
    /// File with the keys for the store, as ~/.aws/credentials, read at the start [default: the variables AWS_ACCESS_KEY_ID,
    /// AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the role of this machine].
    files_credentials("TIM_FILES_CREDENTIALS", "FILE"): PathBuf = PathBuf::new();
    /// Permissions of Unix sockets: who may write to one can connect [default: 600].
    socket_mode("TIM_SOCKET_MODE", "MODE"): SocketMode = SocketMode(0o600);
    /// Serial port to serve: a tty, or DEVICE@BAUD. Can be repeated; a device that is missing or disappears is retried.
    #[serde(default, deserialize_with = "one_or_more")]
    serial("TIM_SERIAL", "DEVICE", value_delimiter = ','): Vec<SerialDevice> = Vec::new();
    /// Default baud rate of serial ports [default: 115200].
    serial_speed("TIM_SERIAL_SPEED", "SPEED"): u32 = 115_200;
    /// Serial port behind this TCP address, such as that of a terminal server; reconnects when the connection is lost. Can be
    /// repeated.
    #[serde(default, deserialize_with = "one_or_more")]
    serial_tcp("TIM_SERIAL_TCP", "ADDRESS", value_delimiter = ','): Vec<String> = Vec::new();
    /// TCP address at which to accept serial ports, one per connection, such as those of an emulator. Can be repeated; port 0
    /// takes a free one.
    #[serde(default, deserialize_with = "one_or_more")]
    serial_tcp_listen("TIM_SERIAL_TCP_LISTEN", "ADDRESS", value_delimiter = ','): Vec<SocketAddr> = Vec::new();
    /// Application number (SDKAppID) [default: 1400000000].
    app_id("TIM_APP_ID", "NUMBER"): u32 = DEFAULT_APP_ID;
    /// How long a message can be revoked after it was sent [default: 2m].
    revoke_window("TIM_REVOKE_WINDOW", "TIME"): Seconds = Seconds(limits::REVOKE_WINDOW_SECONDS);
    /// How long owner and admins of a group can revoke a message after it was sent; 0 is no limit [default: 0].
    manager_revoke_window("TIM_MANAGER_REVOKE_WINDOW", "TIME"): Seconds = Seconds(limits::MANAGER_REVOKE_WINDOW_SECONDS);
    /// How long messages are stored [default: 7d].
    retention("TIM_RETENTION", "TIME"): Seconds = Seconds(limits::RETENTION_SECONDS);
    /// Largest message, in bytes of payload and mentions [default: 12288].
    max_message("TIM_MAX_MESSAGE", "BYTES"): u64 = limits::MAX_MESSAGE_BYTES;
    /// Messages per second that a user may send; 0 is no limit [default: 200].
    send_rate("TIM_SEND_RATE", "NUMBER"): u32 = 200;
    /// What the other requests of a user may cost per second: 1 each, a page 5, a page of conversations 10, a login 20; 0 is no
    /// limit [default: 2000].
    request_rate("TIM_REQUEST_RATE", "NUMBER"): u32 = 2_000;
    /// What all requests and logins from one address may cost per second, at the same prices; 0 is no limit. Of IPv6 addresses the
    /// first 64 bits count [default: 10000].
    address_rate("TIM_ADDRESS_RATE", "NUMBER"): u32 = 10_000;
    /// New accounts per hour: of one address by first logins, of one user by messages to users who have never logged in; 0 is no limit
    /// [default: 1000].
    account_rate("TIM_ACCOUNT_RATE", "NUMBER"): u32 = 1_000;
    /// Address to which no limit of an address applies, such as that of a proxy. Can be repeated; it replaces the default
    /// [default: 127.0.0.1, ::1].
    #[serde(default, deserialize_with = "one_or_more")]
    trusted_address("TIM_TRUSTED_ADDRESS", "ADDRESS", value_delimiter = ','): Vec<IpAddr> =
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    /// Messages per second that a group accepts, urgent ones first; 0 is no limit [default: 40].
    group_rate("TIM_GROUP_RATE", "NUMBER"): u32 = limits::GROUP_MESSAGES_PER_SECOND;
    /// Maximum number of connections that are logged in [default: 20000, or as many as the limit of open files allows].
    max_connections("TIM_MAX_CONNECTIONS", "NUMBER"): u32 = DEFAULT_CONNECTIONS as u32;
    /// Maximum number of them from one address; 0 is no limit [default: 5000].
    max_address_connections("TIM_MAX_ADDRESS_CONNECTIONS", "NUMBER"): u32 = 5_000;
    /// Maximum number of connections that have not logged in yet; for more, some of the address with most of them are dropped
    /// [default: 2000, or as many as the limit of open files allows].
    max_half_open("TIM_MAX_HALF_OPEN", "NUMBER"): u32 = default_half_open();
    /// Maximum number of serial ports [default: 256, or as many as the limit of open files allows].
    max_serial_ports("TIM_MAX_SERIAL_PORTS", "NUMBER"): u32 = default_serial_ports();
    /// Maximum number of bytes that wait for slow clients, of all together; beyond it, those with most read on from the store
    /// later. 0 is no limit [default: 268435456].
    max_backlog("TIM_MAX_BACKLOG", "BYTES"): u64 = 256 << 20;
    /// Maximum number of devices on which a user is logged in [default: 16].
    max_devices("TIM_MAX_DEVICES", "NUMBER"): u32 = 16;
    /// Maximum number of members of a group, except Communities [default: 6000].
    max_members("TIM_MAX_MEMBERS", "NUMBER"): u32 = 6_000;
    /// Maximum number of groups of a user, and of AVChatRooms at a time [default: 1000].
    max_groups("TIM_MAX_GROUPS", "NUMBER"): u32 = 1_000;
    /// Maximum number of bytes that a user has stored, of messages that the user has sent and that are kept, each with 128 bytes for
    /// what is kept beside it; 0 is no limit [default: 1073741824].
    max_account_bytes("TIM_MAX_ACCOUNT_BYTES", "BYTES"): u64 = 1 << 30;
    /// Maximum number of one-to-one conversations that a user has begun; 0 is no limit [default: 100000].
    max_conversations("TIM_MAX_CONVERSATIONS", "NUMBER"): u64 = 100_000;
    /// Maximum size of the kept files that a user has uploaded, with the renditions of pictures, in bytes; 0 is no limit
    /// [default: 1073741824].
    file_bytes_per_account("TIM_FILE_BYTES_PER_ACCOUNT", "BYTES"): u64 = 1 << 30;
    /// Maximum number of kept files that a user has uploaded; 0 is no limit [default: 10000].
    files_per_account("TIM_FILES_PER_ACCOUNT", "NUMBER"): u64 = 10_000;
    /// How long the account of a user is kept who has logged in and never done anything, after the last login; 0 keeps it
    /// [default: 90d].
    unused_account_life("TIM_UNUSED_ACCOUNT_LIFE", "TIME"): Seconds = Seconds(90 * 24 * 3600);
    /// Store messages to users who have never logged in, instead of refusing them [default: true].
    open_registration("TIM_OPEN_REGISTRATION", "BOOL"): bool = true;
    /// Notify users who are offline: append what they are to be shown to this file, a line of JSON for each of their tokens
    /// [default: none].
    push_log("TIM_PUSH_LOG", "FILE"): PathBuf = PathBuf::new();
    /// Notify users who are offline: post what they are to be shown, as JSON, to this http:// or https:// URL [default: none].
    push_webhook("TIM_PUSH_WEBHOOK", "URL"): String = String::new();
    /// File with a token that signs the requests to --push-webhook: the parameters Sign and RequestTime [default: none].
    push_token_file("TIM_PUSH_TOKEN_FILE", "FILE"): PathBuf = PathBuf::new();
    /// Notify users of iPhones through Apple's push service: file with the key of the developer account, AuthKey_….p8 [default: none].
    push_apns_key("TIM_PUSH_APNS_KEY", "FILE"): PathBuf = PathBuf::new();
    /// Id of the key in --push-apns-key [default: none].
    push_apns_key_id("TIM_PUSH_APNS_KEY_ID", "ID"): String = String::new();
    /// Id of the team whose key it is [default: none].
    push_apns_team("TIM_PUSH_APNS_TEAM", "ID"): String = String::new();
    /// The application that is notified: its bundle id, such as com.example.chat [default: none].
    push_apns_topic("TIM_PUSH_APNS_TOPIC", "ID"): String = String::new();
    /// Apple's server: production, sandbox for an application that is being developed, or a URL [default: production].
    push_apns_server("TIM_PUSH_APNS_SERVER", "SERVER"): String = "production".to_owned();
    /// Notify users of browsers by Web Push: file with a private key of the curve P-256, in PEM; docs/push.md says how to make one
    /// [default: none].
    push_vapid_key("TIM_PUSH_VAPID_KEY", "FILE"): PathBuf = PathBuf::new();
    /// Where a push service of browsers reaches the operator: mailto:ADDRESS or an https:// URL [default: none].
    push_vapid_subject("TIM_PUSH_VAPID_SUBJECT", "URL"): String = String::new();
    /// Another push service of browsers than those of Chrome, Firefox, Safari and Edge, at which a user may have a subscription: its name,
    /// HOST, HOST:PORT or *.DOMAIN. Can be repeated [default: none].
    #[serde(default, deserialize_with = "one_or_more")]
    push_web_host("TIM_PUSH_WEB_HOST", "HOST", value_delimiter = ','): Vec<String> = Vec::new();
    /// Maximum age of a message that still causes a notification, as after a failure of a push service [default: 1d].
    push_max_age("TIM_PUSH_MAX_AGE", "TIME"): Seconds = Seconds(24 * 3600);
    /// Language of the texts that stand for pictures and other messages without a text: en or zh [default: en].
    push_language("TIM_PUSH_LANGUAGE", "LANGUAGE"): String = "en".to_owned();
    /// The http:// or https:// URL of a server of the application to post callbacks to: before and after messages and changes of groups, and
    /// when users come online or go offline [default: none].
    callback_url("TIM_CALLBACK_URL", "URL"): String = String::new();
    /// File with a token that signs the requests to --callback-url: the parameters Sign and RequestTime [default: none].
    callback_token_file("TIM_CALLBACK_TOKEN_FILE", "FILE"): PathBuf = PathBuf::new();
    /// Callback that is made, such as C2C.CallbackBeforeSendMsg; the others are not. Can be repeated [default: all].
    #[serde(default, deserialize_with = "one_or_more")]
    callback_command("TIM_CALLBACK_COMMAND", "COMMAND", value_delimiter = ','): Vec<String> = Vec::new();
    /// Refuse what --callback-url is asked about if it gives no usable answer in time, instead of allowing it [default: false].
    callback_refuse("TIM_CALLBACK_REFUSE", "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true): bool = false;
    /// Where messages are stored: directory, which is the data directory, or postgres://USER:PASSWORD@HOST/DATABASE, the primary of a
    /// PostgreSQL server (docs/postgres.md) [default: directory].
    store("TIM_STORE", "PLACE"): String = "directory".to_owned();
    /// Share the PostgreSQL database of --store with other hubs, each of which says so. Files need an S3-compatible store then: without
    /// --files s3://... there are none [default: false].
    store_shared("TIM_STORE_SHARED", "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true): bool = false;
    /// Maximum size of the database in bytes; 0 is no limit [default: 0].
    max_data("TIM_MAX_DATA", "BYTES"): u64 = 0;
    /// What to log to stderr: error, warn, info, debug, trace, or module=level,… [default: info].
    log("TIM_LOG", "LEVEL"): String = "info".to_owned();
    /// How to log: text, or json, which has one object with time, level, message and fields on each line [default: text].
    log_format("TIM_LOG_FORMAT", "FORMAT"): LogFormat = LogFormat::Text;
}

/// Reads a list, or one string that stands for a list of itself: `listen = "tim://127.0.0.1:7878"`.
fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Vec<T>>, D::Error> {
    struct OneOrMore<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string or a list of strings")
        }

        fn visit_str<E: serde::de::Error>(self, one: &str) -> Result<Vec<T>, E> {
            T::deserialize(one.into_deserializer()).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    from.deserialize_any(OneOrMore(PhantomData)).map(Some)
}

/// What is a text in a file, for `#[serde(try_from = "String", into = "String")]`.
macro_rules! text_in_files {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use text_in_files;

/// Which header of a proxy has the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum ProxyHeader {
    XForwardedFor,
    Forwarded,
}

impl ProxyHeader {
    const fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

impl FromStr for ProxyHeader {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = [Self::XForwardedFor, Self::Forwarded]
            .into_iter()
            .find(|header| text.eq_ignore_ascii_case(header.name()));
        found.ok_or_else(|| format!("{text:?} is not x-forwarded-for or forwarded"))
    }
}

impl fmt::Display for ProxyHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

text_in_files!(ProxyHeader);

/// A user who may call the REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Admin(pub(crate) UserId);

impl FromStr for Admin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match UserId::new(text) {
            Ok(user) if user == UserId::SYSTEM => Err("nobody is the system".to_owned()),
            Ok(user) if user.is_well_formed() => Ok(Self(user)),
            Ok(_) => Err(format!("{text:?} begins or ends with a space")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Display for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

text_in_files!(Admin);

/// The permissions of a socket, as chmod has them in digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SocketMode(pub(crate) u32);

impl FromStr for SocketMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mode = u32::from_str_radix(text, 8).ok();
        mode.filter(|mode| *mode <= 0o777)
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no mode, such as 600 or 660"))
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:03o}", self.0)
    }
}

text_in_files!(SocketMode);

/// A serial device, and its baud rate if it is not the default: `DEVICE` or `DEVICE@BAUD`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct SerialDevice {
    pub(crate) path: String,
    pub(crate) speed: Option<u32>,
}

impl FromStr for SerialDevice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, speed) = match text.rsplit_once('@') {
            Some((path, speed)) => (path, Some(speed.parse())),
            None => (text, None),
        };
        match (path, speed.transpose()) {
            ("", _) => Err("a serial port needs a device, such as /dev/ttyUSB0".to_owned()),
            (_, Err(_) | Ok(Some(0))) => Err(format!("invalid baud rate after '@' in {text:?}")),
            (path, Ok(speed)) => Ok(Self {
                path: path.to_owned(),
                speed,
            }),
        }
    }
}

impl fmt::Display for SerialDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.speed {
            Some(speed) => write!(f, "{}@{speed}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

text_in_files!(SerialDevice);

/// Files that a hub opens besides its connections and ports.
const SPARE_FILES: u64 = 100;
/// The default of --max-connections, if the system allows it.
const DEFAULT_CONNECTIONS: u64 = 20_000;
/// The default of --max-half-open, if the system allows it.
const DEFAULT_HALF_OPEN: u64 = 2_000;
/// The share of the open files that is for connections without a login by default, if there are few: one in so many.
const HALF_OPEN_SHARE: u64 = 8;

/// The default of --max-serial-ports, if the system allows it, and its share of the open files if there are few.
const DEFAULT_SERIAL_PORTS: u64 = 256;
const SERIAL_SHARE: u64 = 16;

/// The limit of open files; `None` for none.
fn most_files() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    #[cfg(not(unix))]
    return None;
}

/// A part of the open files, at most so many.
fn share_of_files(share: u64, most: u64) -> u32 {
    let allowed = most_files().map_or(u64::MAX, |files| files / share);
    allowed.clamp(1, most) as u32
}

fn default_half_open() -> u32 {
    share_of_files(HALF_OPEN_SHARE, DEFAULT_HALF_OPEN)
}

fn default_serial_ports() -> u32 {
    share_of_files(SERIAL_SHARE, DEFAULT_SERIAL_PORTS)
}

/// How many open files a hub needs besides those of its connections. Handshakes under way at each WebSocket address are not yet
/// connections of the hub.
fn other_files(listen: &[TextAddress], half_open: u32, ports: u64) -> u64 {
    let sockets = listen
        .iter()
        .filter(|address| matches!(address.0, Address::WebSocket(_)));
    SPARE_FILES
        .saturating_add(u64::from(half_open).saturating_mul(1 + sockets.count() as u64))
        .saturating_add(ports)
}

impl PartialSettings {
    /// Without a number of connections, those that fit beside the others; serial ports are counted whether any are served or not.
    fn with_max_connections(mut self) -> Self {
        let half_open = self.max_half_open.unwrap_or_else(default_half_open);
        let ports = self.max_serial_ports.unwrap_or_else(default_serial_ports);
        let others = other_files(
            self.listen.as_deref().unwrap_or_default(),
            half_open,
            ports.into(),
        );
        let allowed = most_files().map_or(u64::MAX, |most| most.saturating_sub(others));
        let fit = allowed.clamp(1, DEFAULT_CONNECTIONS) as u32;
        self.max_connections = self.max_connections.or(Some(fit));
        self
    }
}

impl Settings {
    /// Raises the limit of open files as far as the system allows, and says what fits.
    ///
    /// # Errors
    /// If the connections of these settings do not fit.
    pub(crate) fn allow_connections(&self) -> Result<(), Failure> {
        let ports = self.serial.len() + self.serial_tcp.len() + serial_ports(self).count();
        let accepted = match self.serial_tcp_listen.is_empty() {
            true => 0,
            false => u64::from(self.max_serial_ports),
        };
        let others = other_files(&self.listen, self.max_half_open, accepted.max(ports as u64));
        let needed = others.saturating_add(self.max_connections.into());
        if let Some(most) = most_files().filter(|most| *most < needed) {
            let fit = most.saturating_sub(others);
            return Err(Failure::usage(format_args!(
                "{} connections, and {others} other files, need {needed} open files, but the limit is {most}",
                self.max_connections
            ))
            .hint(format_args!(
                "raise the limit (ulimit -Hn, LimitNOFILE=), or use --max-connections {fit}"
            )));
        }
        let open_files = raise_file_limit()?;
        info!(
            max_connections = self.max_connections,
            max_half_open = self.max_half_open,
            open_files,
            "so many connections fit"
        );
        Ok(())
    }
}

/// Raises the limit of open files to the highest that is allowed, and returns it.
fn raise_file_limit() -> Result<Option<u64>, Failure> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current != limit.maximum {
            let current = limit.maximum;
            setrlimit(Resource::Nofile, Rlimit { current, ..limit }).map_err(Failure::failed)?;
        }
    }
    Ok(most_files())
}

impl PartialSettings {
    /// Fills in the settings of a file, then the defaults.
    ///
    /// `chosen` is the file of --config, which must exist; without it, the file in the data directory may exist.
    pub(crate) fn resolve(self, chosen: Option<&Path>, data: &Path) -> Result<Settings, Failure> {
        let file = match chosen {
            Some(path) => Some((path.to_owned(), read(path)?)),
            None => Some(data.join(CONFIG_FILE))
                .filter(|path| path.exists())
                .map(with_text)
                .transpose()?,
        };
        let Some((path, text)) = file else {
            return Ok(self.into());
        };
        let given: Self = toml::from_str(&text).map_err(|fault| {
            Failure::usage(format_args!("{}: {fault}", path.display()))
                .hint("`tim serve --print-config` prints all settings in the format of the file")
        })?;
        Ok(self.or(given).into())
    }
}

fn with_text(path: PathBuf) -> Result<(PathBuf, String), Failure> {
    let text = read(&path)?;
    Ok((path, text))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(reading(format_args!("the settings {}", path.display())))
}

impl Settings {
    /// The options of the hub.
    pub(crate) fn hub_options(&self, key: String) -> HubOptions {
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let mut options = HubOptions::new(App::new(self.app_id, key));
        options.limits = options
            .limits
            .with_revoke_window_seconds(self.revoke_window.0)
            .with_manager_revoke_window_seconds(self.manager_revoke_window.0)
            .with_retention_seconds(self.retention.0)
            .with_group_messages_per_second(self.group_rate)
            .with_message_bytes(self.max_message);
        options.sends_per_second = self.send_rate;
        options.requests_per_second = self.request_rate;
        options.address_requests_per_second = self.address_rate;
        options.accounts_per_hour = self.account_rate;
        options.admins = self.admin.iter().map(|admin| admin.0).collect();
        options.rest_calls_per_second = self.rest_rate;
        options.trusted_addresses.clone_from(&self.trusted_address);
        options.max_connections = count(self.max_connections);
        options.max_connections_per_address = count(self.max_address_connections);
        options.max_half_open = count(self.max_half_open);
        options.max_serial_ports = count(self.max_serial_ports);
        options.max_backlog = usize::try_from(self.max_backlog).unwrap_or(usize::MAX);
        options.max_devices = count(self.max_devices);
        options.max_members = count(self.max_members);
        options.max_groups = count(self.max_groups);
        options.max_account_bytes = self.max_account_bytes;
        options.max_conversations = self.max_conversations;
        options.max_account_file_bytes = self.file_bytes_per_account;
        options.max_account_files = self.files_per_account;
        options.unused_account_life = Duration::from_secs(self.unused_account_life.0);
        options.open_registration = self.open_registration;
        options.max_data = self.max_data;
        options
    }

    /// The settings in the format of the file.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(Failure::failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: PartialSettings, file: &str) -> Result<Settings, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), file).unwrap();
        flags.resolve(None, dir.path())
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let flags = PartialSettings {
            max_members: Some(7),
            ..PartialSettings::default()
        };
        let settings = resolved(flags, "max-members = 8\nrevoke-window = \"5m\"\nretention = 60").unwrap();
        assert_eq!(
            (settings.max_members, settings.revoke_window, settings.retention),
            (7, Seconds(300), Seconds(60))
        );
        assert_eq!(settings.listen[0].to_string(), "tim://127.0.0.1:7878");
    }

    #[test]
    fn the_default_number_of_connections_fits_beside_the_handshakes_of_all_addresses() {
        for listen in [
            "tim://a",
            "ws://a",
            "wss://a,ws://b",
            "ws://a,wss://b,tims://c,wss://d",
        ] {
            let listen: Vec<TextAddress> = listen
                .split(',')
                .map(|address| address.parse().unwrap())
                .collect();
            let flags = PartialSettings {
                listen: Some(listen),
                ..PartialSettings::default()
            };
            let settings = Settings::from(flags);
            assert!(settings.max_connections > 1);
            settings.allow_connections().unwrap();
        }
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let settings = Settings::from(PartialSettings::default());
        let text = settings.to_toml().unwrap();
        assert_eq!(
            resolved(PartialSettings::default(), &text).unwrap(),
            settings,
            "{text}"
        );
        assert_eq!(resolved(PartialSettings::default(), "").unwrap(), settings);
    }

    #[test]
    fn addresses_are_lists_and_modes_are_octal() {
        let file = "listen = [\"unix:/run/tim.sock\", \"tims://hub\"]\nsocket-mode = \"660\"\nallow-plaintext = true";
        let settings = resolved(PartialSettings::default(), file).unwrap();
        let listen: Vec<_> = settings.listen.iter().map(ToString::to_string).collect();
        assert_eq!(listen, ["unix:/run/tim.sock", "tims://hub:7879"]);
        assert_eq!(
            (settings.socket_mode, settings.allow_plaintext),
            (SocketMode(0o660), true)
        );
        let text = settings.to_toml().unwrap();
        assert_eq!(
            resolved(PartialSettings::default(), &text).unwrap(),
            settings,
            "{text}"
        );
    }

    #[test]
    fn one_string_stands_for_a_list() {
        let file = "listen = \"127.0.0.1:7000\"\nserial = \"/dev/ttyS1@9600\"\nserial-tcp = \"ts.example.org:4001\"\n\
                    serial-tcp-listen = \"127.0.0.1:7001\"\ntrusted-address = \"192.0.2.1\"\ntrusted-proxy = \"::1\"";
        let one = resolved(PartialSettings::default(), file).unwrap();
        let lists = "listen = [\"127.0.0.1:7000\"]\nserial = [\"/dev/ttyS1@9600\"]\nserial-tcp = [\"ts.example.org:4001\"]\n\
                     serial-tcp-listen = [\"127.0.0.1:7001\"]\ntrusted-address = [\"192.0.2.1\"]\ntrusted-proxy = [\"::1\"]";
        assert_eq!(one, resolved(PartialSettings::default(), lists).unwrap());
        assert_eq!(one.listen[0].to_string(), "tim://127.0.0.1:7000");

        let fault = resolved(PartialSettings::default(), "listen = 7878").unwrap_err();
        assert!(
            fault.to_string().contains("a string or a list of strings"),
            "{fault}"
        );
    }

    #[test]
    fn serial_ports_are_lists() {
        let file = "serial = [\"/dev/ttyS0\", \"/dev/ttyS1@9600\"]\nserial-tcp = [\"ts.example.org:4001\"]";
        let settings = resolved(PartialSettings::default(), file).unwrap();
        let devices: Vec<_> = settings.serial.iter().map(ToString::to_string).collect();
        assert_eq!(devices, ["/dev/ttyS0", "/dev/ttyS1@9600"]);
        assert_eq!(settings.serial[1].speed, Some(9600));
        assert_eq!((settings.serial_tcp.len(), settings.serial_speed), (1, 115_200));
        let text = settings.to_toml().unwrap();
        assert_eq!(
            resolved(PartialSettings::default(), &text).unwrap(),
            settings,
            "{text}"
        );
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused() {
        for file in [
            "colour = 1",
            "listen = \"nowhere\"",
            "listen = [\"nowhere\"]",
            "listen = 7878",
            "proxy-header = \"x-real-ip\"",
            "trusted-proxy = \"proxy.example.org\"",
            "files = \"/var/lib/files\"",
            "socket-mode = \"rw\"",
            "socket-mode = \"1777\"",
            "retention = \"a week\"",
            "max-members = -1",
            "serial = \"\"",
            "serial = [\"@9600\"]",
            "serial-tcp-listen = [\"here\"]",
            "= 3",
        ] {
            assert!(resolved(PartialSettings::default(), file).is_err(), "{file}");
        }
        let missing =
            PartialSettings::default().resolve(Some(Path::new("/nonexistent/serve.toml")), Path::new("/"));
        assert!(missing.is_err());
    }

    #[test]
    fn a_device_may_have_a_baud_rate() {
        for (text, path, speed) in [
            ("/dev/ttyS0", "/dev/ttyS0", None),
            ("COM3@9600", "COM3", Some(9600)),
            ("/dev/a@b@115200", "/dev/a@b", Some(115_200)),
        ] {
            let device: SerialDevice = text.parse().unwrap();
            assert_eq!((device.path.as_str(), device.speed), (path, speed));
            assert_eq!(device.to_string(), text);
        }
        for text in [
            "",
            "@9600",
            "/dev/ttyS0@",
            "/dev/ttyS0@fast",
            "/dev/ttyS0@0",
            "/dev/ttyS0@-1",
        ] {
            assert!(text.parse::<SerialDevice>().is_err(), "{text}");
        }
    }
}
