//! Values that several calls have.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

/// User ids, ids of groups or other names, of a request: from an array, a slice, a `Vec` or an iterator of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Names(pub(crate) Vec<String>);

impl<T: Into<String>> FromIterator<T> for Names {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Names {
    fn from(names: [T; N]) -> Self {
        names.into_iter().collect()
    }
}

impl<T: Into<String>> From<Vec<T>> for Names {
    fn from(names: Vec<T>) -> Self {
        names.into_iter().collect()
    }
}

impl<T: AsRef<str>> From<&[T]> for Names {
    fn from(names: &[T]) -> Self {
        names.iter().map(AsRef::as_ref).collect()
    }
}

/// A truth value in one of the vendor's forms.
macro_rules! truth {
    ($name:ident, $on:literal, $off:literal) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) struct $name(bool);

        impl From<bool> for $name {
            fn from(is_on: bool) -> Self {
                Self(is_on)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if self.0 { $on } else { $off }.serialize(serializer)
            }
        }
    };
}

truth!(Flag, 1, 0);
truth!(OneOrTwo, 1, 2);
truth!(OnOff, "On", "Off");
truth!(NeedFriend, "Need_Friend_Type_Yes", "Need_Friend_Type_No");

names! {
    /// The type of a group.
    GroupType {
        /// For colleagues: members invite others.
        Work = "Private" or "Work",
        /// Users apply to join.
        Public = "Public",
        /// Users come and go.
        Meeting = "ChatRoom" or "Meeting",
        /// A room for any number of viewers, whose messages are not stored.
        AvChatRoom = "AVChatRoom",
        /// For very many members.
        Community = "Community",
    }
}

names! {
    /// What a user is in a group.
    Role {
        /// The owner.
        Owner = "Owner",
        /// An administrator of the group.
        Admin = "Admin",
        /// Any other member.
        Member = "Member",
        /// No member.
        NotMember = "NotMember",
    }
}

names! {
    /// How users join a group.
    JoinOption {
        /// Whoever wants to.
        FreeAccess = "FreeAccess",
        /// The owner and administrators of the group decide.
        NeedPermission = "NeedPermission",
        /// Nobody.
        DisableApply = "DisableApply",
    }
}

names! {
    /// How a member receives the messages of a group.
    ReceiveOption {
        /// With a notification.
        AcceptAndNotify = "AcceptAndNotify",
        /// Without one.
        AcceptNotNotify = "AcceptNotNotify",
        /// Not at all.
        Discard = "Discard",
    }
}

names! {
    /// Which message of a group goes first where there are too many.
    Priority {
        /// It goes first.
        High = "High",
        /// As usual.
        Normal = "Normal",
        /// Behind those.
        Low = "Low",
        /// It is dropped first.
        Lowest = "Lowest",
    }
}

/// A field of the application, of a group or a member. An empty value removes it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomField {
    /// Its name.
    #[serde(rename = "Key")]
    pub key: String,
    /// Its value.
    #[serde(rename = "Value")]
    pub value: String,
}

impl CustomField {
    /// A field with a value.
    #[must_use]
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// Something that is said of a friend, with its name. Names are `Tag_SNS_IM_…`, `Tag_SNS_Custom_` and up to eight letters, in answers
/// also `Tag_Profile_IM_…`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tag {
    /// Its name.
    #[serde(rename = "Tag")]
    pub name: String,
    /// Its value.
    #[serde(rename = "Value")]
    pub value: Value,
}

impl Tag {
    /// The name of what a user calls a friend; a text of at most 96 bytes.
    pub const REMARK: &'static str = "Tag_SNS_IM_Remark";
    /// The name of the lists that a friend is in; an array of texts.
    pub const LISTS: &'static str = "Tag_SNS_IM_Group";
    /// The name of where the friend is from, [`NewFriend`](crate::NewFriend)'s source.
    pub const ADD_SOURCE: &'static str = "Tag_SNS_IM_AddSource";
    /// The name of what was said with the request.
    pub const ADD_WORDING: &'static str = "Tag_SNS_IM_AddWording";
    /// The name of when the friend was added, in Unix seconds.
    pub const ADD_TIME: &'static str = "Tag_SNS_IM_AddTime";

    /// A tag with a value.
    #[must_use]
    pub fn new(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

answer! {
    /// The answer of a command that says nothing else than that it was carried out.
    Done {}
}

/// What came of a call for one of its users. A code other than 0 is a failure of this user only: the call itself has worked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct UserResult {
    /// The user.
    #[serde(rename = "UserID", alias = "To_Account", alias = "Peer_Account")]
    pub user: String,
    /// The vendor's code; 0 if it has worked.
    #[serde(rename = "ResultCode", alias = "ErrorCode")]
    pub code: u32,
    /// What went wrong; may be empty.
    #[serde(rename = "ResultInfo")]
    pub info: String,
}

impl UserResult {
    /// Whether it has worked.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.code == 0
    }
}

answer! {
    /// What came of a call for each of its users.
    UserResults {
        /// One for each user of the request.
        results: Vec<UserResult> = "ResultItem",
    }
}

impl UserResults {
    /// Those for whom it has not worked.
    pub fn failures(&self) -> impl Iterator<Item = &UserResult> {
        self.results.iter().filter(|result| !result.is_ok())
    }
}
