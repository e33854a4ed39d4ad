//! What there is to be asked and told.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// Defines the commands with the vendor's names.
macro_rules! commands {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)+) => {
        /// What the application is asked or told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum CallbackCommand {
            $($(#[doc = $doc])* $name,)+
        }

        impl CallbackCommand {
            /// All commands.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The vendor's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

commands! {
    /// Before a one-to-one message is taken.
    BeforeC2c = "C2C.CallbackBeforeSendMsg";
    /// After one was taken, or could not be stored.
    AfterC2c = "C2C.CallbackAfterSendMsg";
    /// Before a message to a group is taken.
    BeforeGroup = "Group.CallbackBeforeSendMsg";
    /// After one was stored.
    AfterGroup = "Group.CallbackAfterSendMsg";
    /// Before a group is created.
    BeforeCreateGroup = "Group.CallbackBeforeCreateGroup";
    /// After one was created.
    AfterCreateGroup = "Group.CallbackAfterCreateGroup";
    /// Before a user joins a group, or applies for it.
    BeforeJoin = "Group.CallbackBeforeApplyJoinGroup";
    /// Before users are invited to a group, or added to it.
    BeforeInvite = "Group.CallbackBeforeInviteJoinGroup";
    /// After users have become members.
    AfterJoin = "Group.CallbackAfterNewMemberJoin";
    /// After members have left, or were removed.
    AfterExit = "Group.CallbackAfterMemberExit";
    /// After a group has become full.
    AfterFull = "Group.CallbackAfterGroupFull";
    /// After a group was dismissed.
    AfterDismiss = "Group.CallbackAfterGroupDestroyed";
    /// After the profile of a group was changed.
    AfterProfile = "Group.CallbackAfterGroupInfoChanged";
    /// After a group has got another owner.
    AfterOwner = "Group.CallbackAfterChangeGroupOwner";
    /// After a message to a group was revoked.
    AfterRecall = "Group.CallbackAfterRecallMsg";
    /// After a one-to-one message was revoked.
    AfterWithdraw = "C2C.CallbackAfterMsgWithDraw";
    /// After a user has marked a one-to-one conversation as read.
    AfterRead = "C2C.CallbackAfterMsgReport";
    /// After the attributes of a group were set or cleared.
    AfterAttributes = "Group.CallbackAfterGroupAttrChanged";
    /// After users have become friends.
    AfterFriendAdd = "Sns.CallbackFriendAdd";
    /// After users have ceased to be friends.
    AfterFriendDelete = "Sns.CallbackFriendDelete";
    /// A device has logged in or out, or has lost its connection.
    StateChange = "State.StateChange";
}

impl fmt::Display for CallbackCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CallbackCommand {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|command| command.name() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|command| command.name()).collect();
            let names = names.join(", ");
            format!("there is no callback {name:?}; there are {names}")
        })
    }
}

impl CallbackCommand {
    /// The beginning of the body of a request.
    pub(super) fn body<const N: usize>(self, fields: [(&str, Value); N]) -> Map<String, Value> {
        let command = ("CallbackCommand", self.name().into());
        let all = std::iter::once(command).chain(fields);
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// Where an event comes from, as the vendor's `OptPlatform` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Platform {
    /// A device. What kind of one is not known.
    Device,
    /// The application's own server, by the REST interface or the operator's, or the hub itself.
    Server,
}

impl Platform {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Device => "Unknown",
            Self::Server => "RESTAPI",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_is_found_by_its_name() {
        for command in CallbackCommand::ALL {
            assert_eq!(command.name().parse(), Ok(*command));
        }
        let error = "Group.Callback".parse::<CallbackCommand>().unwrap_err();
        assert!(
            error.contains("\"Group.Callback\"") && error.contains("C2C.CallbackAfterSendMsg"),
            "{error}"
        );
    }
}
