//! What runs where: which messages can be made on which platform, who gets push notifications
//!, and since which version of the documented SDK a feature exists.

use core::fmt;

use crate::kind::MessageKind;
use crate::open::open_newtype;

open_newtype! {
    /// Where a client runs.
    #[derive(PartialOrd, Ord)]
    pub struct Platform(u8) {
        /// A browser.
        WEB = 1, "Web";
        /// The WeChat mini program.
        MINI_PROGRAM = 2, "MiniProgram";
        /// Android.
        ANDROID = 3, "Android";
        /// iOS.
        IOS = 4, "iOS";
        /// A desktop program.
        DESKTOP = 5, "Desktop";
        /// A device without an operating system.
        DEVICE = 6, "Device";
        /// A server that calls the REST API.
        REST = 7, "REST";
    }
}

/// What a client can do. A table gives each platform's profile; the embedder of a device may narrow or widen it.
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

/// The profiles of the named platforms.
pub static PROFILES: &[Capabilities] = &[
    // Recordings are made in the mini program only. Video since 2.6.0.
    Capabilities::new(Platform::WEB, EVERY_KIND.without(MessageKind::AUDIO), false),
    // No files; video from the start.
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

/// What every named platform can do; a platform that is unknown here gets this and no more.
const UNKNOWN_PLATFORM: KindSet = EVERY_KIND.without(MessageKind::AUDIO).without(MessageKind::FILE);

impl Capabilities {
    /// The platform's profile from [`PROFILES`]; what all of them can do if the platform is unknown.
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

    /// Which platform this is the profile of.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// Whether messages of this kind can be made here. Never true for a kind that nobody can send.
    #[must_use]
    pub const fn can_create(&self, kind: MessageKind) -> bool {
        kind.is_sendable() && self.kinds.contains(kind)
    }

    /// Refuses a kind that cannot be made here.
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

    /// Whether offline push reaches this platform: Android and iOS only.
    #[must_use]
    pub const fn receives_push(&self) -> bool {
        self.receives_push
    }

    /// The same profile with this kind, such as files in a host that has them after all. No effect for a kind that
    /// nobody can send.
    #[must_use]
    pub const fn with(mut self, kind: MessageKind) -> Self {
        self.kinds = self.kinds.with(kind);
        self
    }

    /// The same profile without this kind, such as audio on a device without a microphone.
    #[must_use]
    pub const fn without(mut self, kind: MessageKind) -> Self {
        self.kinds = self.kinds.without(kind);
        self
    }
}

/// The call does not exist on this platform: the caller must not offer it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("messages of kind {kind} cannot be made on platform {platform}")]
pub struct UnsupportedPlatform {
    /// Where the call was made.
    pub platform: Platform,
    /// What should have been made.
    pub kind: MessageKind,
}

/// A set of message kinds below 16, which covers all that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct KindSet(u16);

const EVERY_KIND: KindSet = KindSet(u16::MAX);

impl KindSet {
    const fn bit(kind: MessageKind) -> u16 {
        if kind.0 < 16 { 1 << kind.0 } else { 0 }
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

/// A version of the documented SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

impl Version {
    /// The version `major.minor.patch`.
    #[must_use]
    pub const fn new(major: u16, minor: u16, patch: u16) -> Self {
        Self { major, minor, patch }
    }

    /// Whether the documented SDK has a feature in this version.
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

/// The version of the documented SDK whose manual the API follows. What of it is here: [`FEATURES`].
pub const MANUAL_VERSION: Version = Version::new(2, 6, 4);

/// Something that the documented SDK has had since some version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feature {
    /// The first version with it.
    pub since: Version,
    /// What it is, in the SDK's own words where it is a name.
    pub name: &'static str,
    /// Its row in the scope.
    pub row: &'static str,
    /// Whether it exists here.
    pub is_here: bool,
}

/// Every version gate that the SDK's manual names, oldest first, and whether the feature exists here.
pub static FEATURES: &[Feature] = &[
    missing(2, 2, 0, "createVideoMessage", "S63"),
    missing(2, 3, 1, "createImageMessage from a File", "S31"),
    missing(2, 3, 1, "createFileMessage from a File", "S52"),
    here(2, 3, 1, "createFaceMessage", "S75"),
    missing(2, 4, 0, "files of 100 MB", "S54"),
    here(2, 4, 0, "revokeMessage", "S108"),
    here(2, 4, 0, "MESSAGE_REVOKED", "S118"),
    here(2, 4, 2, "priority", "S19"),
    missing(2, 6, 0, "createVideoMessage on the Web", "S64"),
    here(2, 6, 4, "onlineUserOnly", "S86"),
    missing(2, 6, 4, "offlinePushInfo", "S92"),
];

/// The newest gated version up to which every feature exists here; `None` while one of the oldest gate is missing.
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
