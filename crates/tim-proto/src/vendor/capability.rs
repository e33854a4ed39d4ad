//! Platform capabilities: which messages a platform can create, which platforms receive push notifications, and the
//! version of the documented SDK that introduced each feature.

use core::fmt;

use crate::kind::MessageKind;
use crate::open::open_newtype;
use crate::wire::wire_number;

open_newtype! {
    /// The platform on which a client runs.
    #[derive(PartialOrd, Ord)]
    pub struct Platform(u8) {
        /// A browser.
        WEB = 1, "Web";
        /// A WeChat mini program.
        MINI_PROGRAM = 2, "MiniProgram";
        /// Android.
        ANDROID = 3, "Android";
        /// iOS.
        IOS = 4, "iOS";
        /// A desktop application.
        DESKTOP = 5, "Desktop";
        /// A device without an operating system.
        DEVICE = 6, "Device";
        /// A server that calls the REST API.
        REST = 7, "REST";
    }
}

/// The capabilities of a client. Each platform has a profile; the embedder of a device can add or remove message
/// kinds.
///
/// ```
/// use tim_proto::vendor::capability::{Capabilities, Platform};
/// use tim_proto::kind::MessageKind;
/// assert!(Capabilities::of(Platform::WEB).check(MessageKind::AUDIO).is_err());
/// let no_microphone = Capabilities::of(Platform::DEVICE).without(MessageKind::AUDIO);
/// assert!(!no_microphone.can_create(MessageKind::AUDIO));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capabilities {
    platform: Platform,
    kinds: KindSet,
    receives_push: bool,
}

#[cfg(feature = "serde")]
crate::wire::serialize! { Capabilities, Capabilities, { platform, kinds, receives_push } }
#[cfg(feature = "serde")]
crate::wire::deserialize! {
    Capabilities, ['de], Capabilities, { platform: Platform, kinds: KindSet, receives_push: bool }
}

/// The profiles of the named platforms.
pub static PROFILES: &[Capabilities] = &[
    // Web clients cannot record audio; mini programs can. Video is supported since 2.6.0.
    Capabilities::new(Platform::WEB, EVERY_KIND.without(MessageKind::AUDIO), false),
    // Files are not supported. Video is supported in all versions.
    Capabilities::new(
        Platform::MINI_PROGRAM,
        EVERY_KIND.without(MessageKind::FILE),
        false,
    ),
    Capabilities::new(Platform::ANDROID, EVERY_KIND, true),
    Capabilities::new(Platform::IOS, EVERY_KIND, true),
    Capabilities::new(Platform::DESKTOP, EVERY_KIND, false),
    Capabilities::new(Platform::DEVICE, EVERY_KIND, false),
    Capabilities::new(Platform::REST, EVERY_KIND, false),
];

/// The kinds that every named platform supports, used for unknown platforms.
const UNKNOWN_PLATFORM: KindSet = EVERY_KIND.without(MessageKind::AUDIO).without(MessageKind::FILE);

impl Capabilities {
    /// The platform's profile from [`PROFILES`]. An unknown platform gets the kinds that every named platform
    /// supports.
    #[must_use]
    pub fn of(platform: Platform) -> Self {
        let known = PROFILES.iter().find(|profile| profile.platform == platform);
        known
            .copied()
            .unwrap_or_else(|| Self::new(platform, UNKNOWN_PLATFORM, false))
    }

    const fn new(platform: Platform, kinds: KindSet, receives_push: bool) -> Self {
        Self {
            platform,
            kinds,
            receives_push,
        }
    }

    /// The platform that this profile describes.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// Whether this platform can create messages of this kind. Always false for kinds that clients cannot send.
    #[must_use]
    pub const fn can_create(&self, kind: MessageKind) -> bool {
        self.kinds.contains(kind)
    }

    /// Checks that this platform can create messages of this kind.
    ///
    /// # Errors
    /// [`UnsupportedPlatform`], whose code is
    /// [`ErrorCode::UNSUPPORTED_PLATFORM`](crate::vendor::code::ErrorCode::UNSUPPORTED_PLATFORM).
    pub const fn check(&self, kind: MessageKind) -> Result<(), UnsupportedPlatform> {
        if self.can_create(kind) {
            Ok(())
        } else {
            Err(UnsupportedPlatform {
                platform: self.platform,
                kind,
            })
        }
    }

    /// Whether the platform receives offline push: Android and iOS only.
    #[must_use]
    pub const fn receives_push(&self) -> bool {
        self.receives_push
    }

    /// Adds a kind to the profile, such as files on a host that supports them. Has no effect for kinds that clients
    /// cannot send.
    #[must_use]
    pub const fn with(mut self, kind: MessageKind) -> Self {
        self.kinds = self.kinds.with(kind);
        self
    }

    /// Removes a kind from the profile, such as audio on a device without a microphone.
    #[must_use]
    pub const fn without(mut self, kind: MessageKind) -> Self {
        self.kinds = self.kinds.without(kind);
        self
    }
}

/// The platform does not support the call. An application should not offer it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("messages of kind {kind} cannot be made on platform {platform}")]
pub struct UnsupportedPlatform {
    /// The platform of the caller.
    pub platform: Platform,
    /// The requested message kind.
    pub kind: MessageKind,
}

/// A set of message kinds that clients can send: bit `n` for kind `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(unreachable_pub)] // as `wire_number!` has it
pub struct KindSet(u16);

wire_number! { KindSet(u16) }

const EVERY_KIND: KindSet = KindSet(0)
    .with(MessageKind::TEXT)
    .with(MessageKind::IMAGE)
    .with(MessageKind::AUDIO)
    .with(MessageKind::VIDEO)
    .with(MessageKind::FILE)
    .with(MessageKind::CUSTOM)
    .with(MessageKind::FACE);

impl KindSet {
    /// No bit for what clients cannot send.
    const fn bit(kind: MessageKind) -> u16 {
        if kind.is_sendable() { 1 << kind.0 } else { 0 }
    }

    const fn contains(self, kind: MessageKind) -> bool {
        self.0 & Self::bit(kind) != 0
    }

    const fn with(self, kind: MessageKind) -> Self {
        Self(self.0 | Self::bit(kind))
    }

    const fn without(self, kind: MessageKind) -> Self {
        Self(self.0 & !Self::bit(kind))
    }
}

/// The names of the kinds where a format is human-readable, else the bits.
#[cfg(feature = "serde")]
mod serde {
    use serde_core::de::{Deserialize, Deserializer, SeqAccess, Visitor};
    use serde_core::ser::{Serialize, Serializer};

    use super::{EVERY_KIND, KindSet, MessageKind, fmt};

    impl Serialize for KindSet {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if serializer.is_human_readable() {
                serializer.collect_seq(MessageKind::KNOWN.iter().filter(|kind| self.contains(**kind)))
            } else {
                serializer.serialize_u16(self.0)
            }
        }
    }

    impl<'de> Deserialize<'de> for KindSet {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            if deserializer.is_human_readable() {
                deserializer.deserialize_any(Kinds)
            } else {
                u16::deserialize(deserializer).map(|bits| Self(bits & EVERY_KIND.0))
            }
        }
    }

    struct Kinds;

    impl<'de> Visitor<'de> for Kinds {
        type Value = KindSet;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of message kinds")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut kinds: A) -> Result<KindSet, A::Error> {
            let mut set = KindSet(0);
            while let Some(kind) = kinds.next_element()? {
                set = set.with(kind);
            }
            Ok(set)
        }

        /// The bits, in serde's buffer.
        fn visit_u64<E: serde_core::de::Error>(self, bits: u64) -> Result<KindSet, E> {
            Ok(KindSet(bits as u16 & EVERY_KIND.0))
        }
    }
}

/// A version of the documented SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The major version number.
    pub major: u16,
    /// The minor version number.
    pub minor: u16,
    /// The patch number.
    pub patch: u16,
}

impl Version {
    /// The version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Whether this version of the documented SDK has `feature`.
    #[must_use]
    pub fn has(self, feature: &Feature) -> bool {
        self >= feature.since
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version of the documented SDK that the API follows. [`FEATURES`] lists which of its features are implemented.
pub const MANUAL_VERSION: Version = Version::new(2, 6, 4);

/// A feature that the documented SDK introduced in a certain version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The version that introduced it.
    pub since: Version,
    /// A description; the SDK's own name where it has one.
    pub name: &'static str,
    /// Its row in `docs/requirements.md`.
    pub row: &'static str,
    /// Whether this project implements it.
    pub is_here: bool,
}

/// Every version requirement in the SDK's manual, oldest first, and whether this project implements the feature.
pub static FEATURES: &[Feature] = &[
    here(2, 2, 0, "createVideoMessage", "S63"),
    here(2, 3, 1, "createImageMessage from a File", "S31"),
    here(2, 3, 1, "createFileMessage from a File", "S52"),
    here(2, 3, 1, "createFaceMessage", "S75"),
    here(2, 4, 0, "files of 100 MB", "S54"),
    here(2, 4, 0, "revokeMessage", "S108"),
    here(2, 4, 0, "MESSAGE_REVOKED", "S118"),
    here(2, 4, 2, "priority", "S19"),
    here(2, 6, 0, "createVideoMessage on the Web", "S64"),
    here(2, 6, 4, "onlineUserOnly", "S86"),
    missing(2, 6, 4, "offlinePushInfo", "S92"),
];

/// The newest of the required versions up to which all features are implemented; `None` if a feature of the oldest
/// one is missing.
///
/// ```
/// use tim_proto::vendor::capability::{FEATURES, compatible_version};
/// let all = FEATURES.iter().all(|feature| feature.is_here);
/// assert_eq!(all, compatible_version() == FEATURES.last().map(|newest| newest.since));
/// ```
#[must_use]
pub fn compatible_version() -> Option<Version> {
    let first_missing = FEATURES
        .iter()
        .filter(|feature| !feature.is_here)
        .map(|it| it.since)
        .min();
    FEATURES
        .iter()
        .map(|feature| feature.since)
        .filter(|since| first_missing.is_none_or(|missing| *since < missing))
        .max()
}

const fn here(major: u16, minor: u16, patch: u16, name: &'static str, row: &'static str) -> Feature {
    Feature {
        since: Version::new(major, minor, patch),
        name,
        row,
        is_here: true,
    }
}

const fn missing(major: u16, minor: u16, patch: u16, name: &'static str, row: &'static str) -> Feature {
    Feature {
        is_here: false,
        ..here(major, minor, patch, name, row)
    }
}
