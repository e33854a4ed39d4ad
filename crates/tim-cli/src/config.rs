//! The hub's settings, from flags, the environment, a file, and defaults, in this order.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tim_hub::HubOptions;
use tim_proto::limits;
use tim_usersig::App;

use crate::error::{Failure, reading};
use crate::lines::SerialDevice;
use crate::local::DEFAULT_APP_ID;
use crate::time::Seconds;

/// Read from the data directory if no other file is named.
pub(crate) const CONFIG_FILE: &str = "serve.toml";

/// Declares every setting once: its flag (and its variable, `TIM_` and the flag's name in capitals), its key in the
/// file, and its default.
macro_rules! settings {
    ($($(#[$doc:meta])* $field:ident ($env:literal, $value_name:literal $(, $($more:tt)+)?): $type:ty = $default:expr;)+) => {
        /// The settings that were given, in one place.
        #[derive(Debug, Clone, Default, PartialEq, clap::Args, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        pub(crate) struct Given {
            $($(#[$doc])*
            #[arg(long, env = $env, hide_env_values = true, value_name = $value_name $(, $($more)+)?)]
            pub(crate) $field: Option<$type>,)+
        }

        /// The settings in force.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub(crate) struct Settings {
            $($(#[$doc])* pub(crate) $field: $type,)+
        }

        impl Given {
            /// What is given here, and what is not, from `other`.
            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)+ }
            }
        }

        impl From<Given> for Settings {
            fn from(given: Given) -> Self {
                Self { $($field: given.$field.unwrap_or_else(|| $default),)+ }
            }
        }
    };
}

settings! {
    /// Listen at this address; port 0 takes a free one [default: 127.0.0.1:7878].
    listen("TIM_LISTEN", "ADDRESS"): SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7878));
    /// Speak on this serial line too: a tty, or DEVICE@SPEED. Can be given more than once; a device that is not there, or
    /// vanishes, is tried again.
    serial("TIM_SERIAL", "DEVICE", value_delimiter = ','): Vec<SerialDevice> = Vec::new();
    /// The speed of the serial lines, in bits a second [default: 115200].
    serial_speed("TIM_SERIAL_SPEED", "SPEED"): u32 = 115_200;
    /// Speak on the serial line behind this TCP address, as a terminal server gives it, and connect again whenever that is
    /// lost. Can be given more than once.
    serial_tcp("TIM_SERIAL_TCP", "ADDRESS", value_delimiter = ','): Vec<String> = Vec::new();
    /// Take serial lines at this TCP address: each connection is one line, such as an emulator's. Can be given more than
    /// once; port 0 takes a free one.
    serial_tcp_listen("TIM_SERIAL_TCP_LISTEN", "ADDRESS", value_delimiter = ','): Vec<SocketAddr> = Vec::new();
    /// The application's number (SDKAppID) [default: 1400000000].
    app_id("TIM_APP_ID", "NUMBER"): u32 = DEFAULT_APP_ID;
    /// How long after sending a message can be revoked [default: 2m].
    revoke_window("TIM_REVOKE_WINDOW", "TIME"): Seconds = Seconds(limits::REVOKE_WINDOW_SECONDS);
    /// How long after sending a group's owner and admins can revoke a message in it; 0 is as long as it is kept
    /// [default: 0].
    manager_revoke_window("TIM_MANAGER_REVOKE_WINDOW", "TIME"): Seconds = Seconds(limits::MANAGER_REVOKE_WINDOW_SECONDS);
    /// How long messages are kept [default: 7d].
    retention("TIM_RETENTION", "TIME"): Seconds = Seconds(limits::RETENTION_SECONDS);
    /// The largest message, in bytes of its payload and mentions [default: 12288].
    max_message("TIM_MAX_MESSAGE", "BYTES"): u64 = limits::MAX_MESSAGE_BYTES;
    /// How many messages a second a user may send; 0 is no limit [default: 200].
    send_rate("TIM_SEND_RATE", "NUMBER"): u32 = 200;
    /// How many messages a second a group takes, the urgent ones first; 0 is no limit [default: 40].
    group_rate("TIM_GROUP_RATE", "NUMBER"): u32 = limits::GROUP_MESSAGES_PER_SECOND;
    /// How many connections are taken at the same time [default: 20000, or as many as the limit of open files allows].
    max_connections("TIM_MAX_CONNECTIONS", "NUMBER"): u32 = usual_connections();
    /// On how many devices a user can be logged in at the same time [default: 16].
    max_devices("TIM_MAX_DEVICES", "NUMBER"): u32 = 16;
    /// How many members a group may have, but for Communities [default: 6000].
    max_members("TIM_MAX_MEMBERS", "NUMBER"): u32 = 6_000;
    /// How many groups a user may be in; also in how many AVChatRooms at a time [default: 1000].
    max_groups("TIM_MAX_GROUPS", "NUMBER"): u32 = 1_000;
    /// Whether a message to a user who never logged in is kept for them, or refused [default: true].
    open_registration("TIM_OPEN_REGISTRATION", "BOOL"): bool = true;
    /// The most bytes of the database; 0 is as many as the disk has [default: 0].
    max_data("TIM_MAX_DATA", "BYTES"): u64 = 0;
    /// What is logged to stderr: error, warn, info, debug, trace, or module=level,… [default: info].
    log("TIM_LOG", "LEVEL"): String = "info".to_owned();
}

/// How many files a hub opens beside its connections, at most.
const SPARE_FILES: u64 = 100;
/// The default of --max-connections, where the system allows it.
const USUAL_CONNECTIONS: u32 = 20_000;

/// How many files the process may have open at most; `None` for any number.
fn most_files() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    #[cfg(not(unix))]
    return None;
}

fn usual_connections() -> u32 {
    let room = most_files().map_or(u64::MAX, |most| most.saturating_sub(SPARE_FILES).max(1));
    u32::try_from(room).unwrap_or(u32::MAX).min(USUAL_CONNECTIONS)
}

/// Makes sure that the process may open as many files as `connections` need, up to what the system allows it.
pub(crate) fn allow_connections(connections: u32) -> Result<(), Failure> {
    let needed = u64::from(connections).saturating_add(SPARE_FILES);
    if let Some(most) = most_files().filter(|most| *most < needed) {
        let fit = most.saturating_sub(SPARE_FILES);
        return Err(Failure::usage(format_args!(
            "{connections} connections need {needed} open files, and this process may have {most}"
        ))
        .hint(format_args!(
            "raise that limit (ulimit -Hn, LimitNOFILE=), or use --max-connections {fit}"
        )));
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        if limit.current.is_some_and(|current| current < needed) {
            let current = Some(needed);
            setrlimit(Resource::Nofile, Rlimit { current, ..limit }).map_err(Failure::failed)?;
        }
    }
    Ok(())
}

impl Given {
    /// Fills what is not given from a file, then from the defaults.
    ///
    /// `chosen` is the file that the user named, which must be there; else the one in the data directory may be there.
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
                .hint("`tim serve --print-config` prints all settings as they are written there")
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
    /// What a hub is opened with.
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
        options.max_connections = count(self.max_connections);
        options.max_devices = count(self.max_devices);
        options.max_members = count(self.max_members);
        options.max_groups = count(self.max_groups);
        options.open_registration = self.open_registration;
        options.max_data = self.max_data;
        options
    }

    /// The settings as they stand in a file.
    pub(crate) fn to_toml(&self) -> Result<String, Failure> {
        toml::to_string(self).map_err(Failure::failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(flags: Given, file: &str) -> Result<Settings, Failure> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(CONFIG_FILE), file).unwrap();
        flags.resolve(None, dir.path())
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let flags = Given {
            max_members: Some(7),
            ..Given::default()
        };
        let settings = resolved(flags, "max-members = 8\nrevoke-window = \"5m\"\nretention = 60").unwrap();
        assert_eq!(
            (settings.max_members, settings.revoke_window, settings.retention),
            (7, Seconds(300), Seconds(60))
        );
        assert_eq!(settings.listen.port(), 7878);
    }

    #[test]
    fn what_is_printed_can_be_read_again() {
        let settings = Settings::from(Given::default());
        let text = settings.to_toml().unwrap();
        assert_eq!(resolved(Given::default(), &text).unwrap(), settings, "{text}");
        assert_eq!(resolved(Given::default(), "").unwrap(), settings);
    }

    #[test]
    fn serial_lines_are_lists() {
        let file = "serial = [\"/dev/ttyS0\", \"/dev/ttyS1@9600\"]\nserial-tcp = [\"ts.example.org:4001\"]";
        let settings = resolved(Given::default(), file).unwrap();
        let devices: Vec<_> = settings.serial.iter().map(ToString::to_string).collect();
        assert_eq!(devices, ["/dev/ttyS0", "/dev/ttyS1@9600"]);
        assert_eq!(settings.serial[1].speed, Some(9600));
        assert_eq!((settings.serial_tcp.len(), settings.serial_speed), (1, 115_200));
        let text = settings.to_toml().unwrap();
        assert_eq!(resolved(Given::default(), &text).unwrap(), settings, "{text}");
    }

    #[test]
    fn unknown_keys_and_wrong_values_are_refused() {
        for file in [
            "colour = 1",
            "listen = \"nowhere\"",
            "retention = \"a week\"",
            "max-members = -1",
            "serial = \"\"",
            "serial = [\"@9600\"]",
            "serial-tcp-listen = [\"here\"]",
            "= 3",
        ] {
            assert!(resolved(Given::default(), file).is_err(), "{file}");
        }
        let missing = Given::default().resolve(Some(Path::new("/nonexistent/serve.toml")), Path::new("/"));
        assert!(missing.is_err());
    }
}
