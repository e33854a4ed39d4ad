//! What changed in a group: serde numbers the variants from 0 on, the wire from 1 on, hence the place that is never used.

use proptest::prelude::{BoxedStrategy, Strategy, any};
use serde::{Deserialize, Serialize};
use tim_proto::message::GroupChange;
use tim_proto::{InviteOption, JoinOption};

use super::{Mirror, User};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Change {
    Never,
    Name(String),
    Introduction(String),
    Notification(String),
    Avatar(String),
    Owner(User),
    JoinOption(u8),
    InviteOption(u8),
    MuteAll(bool),
}

impl Mirror<GroupChange<'static>> for Change {
    fn wire(&self) -> GroupChange<'static> {
        match self {
            Self::Never => panic!("a change that there is not"),
            Self::Name(text) => GroupChange::Name(text.wire()),
            Self::Introduction(text) => GroupChange::Introduction(text.wire()),
            Self::Notification(text) => GroupChange::Notification(text.wire()),
            Self::Avatar(text) => GroupChange::Avatar(text.wire()),
            Self::Owner(user) => GroupChange::Owner(user.wire()),
            Self::JoinOption(number) => GroupChange::JoinOption(JoinOption(*number)),
            Self::InviteOption(number) => GroupChange::InviteOption(InviteOption(*number)),
            Self::MuteAll(mute) => GroupChange::MuteAll(*mute),
        }
    }
    fn of(wire: &GroupChange<'static>) -> Self {
        match wire {
            GroupChange::Name(text) => Self::Name(Mirror::of(text)),
            GroupChange::Introduction(text) => Self::Introduction(Mirror::of(text)),
            GroupChange::Notification(text) => Self::Notification(Mirror::of(text)),
            GroupChange::Avatar(text) => Self::Avatar(Mirror::of(text)),
            GroupChange::Owner(user) => Self::Owner(Mirror::of(user)),
            GroupChange::JoinOption(option) => Self::JoinOption(option.0),
            GroupChange::InviteOption(option) => Self::InviteOption(option.0),
            GroupChange::MuteAll(mute) => Self::MuteAll(*mute),
            other => panic!("a change without a mirror: {other:?}"),
        }
    }
}

impl proptest::arbitrary::Arbitrary for Change {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;
    fn arbitrary_with((): ()) -> BoxedStrategy<Self> {
        proptest::prop_oneof![
            any::<String>().prop_map(Self::Name),
            any::<String>().prop_map(Self::Introduction),
            any::<String>().prop_map(Self::Notification),
            any::<String>().prop_map(Self::Avatar),
            any::<User>().prop_map(Self::Owner),
            any::<u8>().prop_map(Self::JoinOption),
            any::<u8>().prop_map(Self::InviteOption),
            any::<bool>().prop_map(Self::MuteAll),
        ]
        .boxed()
    }
}
