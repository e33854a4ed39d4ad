//! What the application is told of what only its own server does: who becomes whose friend, and attributes of groups.

use serde_json::{Map, Value};
use tim_groups::FieldChange;
use tim_proto::{GroupId, GroupType, UserId};

use super::{CallbackCommand, Callbacks, Platform};

/// A user, and another one who has become a friend of the user's, or is none any more.
type Pair = (UserId, UserId);

impl Callbacks {
    /// Tells of users who have become friends, as an administrator wants it for one of them.
    pub(crate) fn befriended(
        &self,
        pairs: &[Pair],
        (initiator, admin): (UserId, UserId),
        is_forced: bool,
        now_ms: u64,
    ) {
        let command = CallbackCommand::AfterFriendAdd;
        if pairs.is_empty() || !self.wants(command) {
            return;
        }
        let initiator = ("Initiator_Account", initiator);
        let pairs = pairs.iter().map(|pair| friends(pair, Some(initiator)));
        let body = command.body([
            ("PairList", pairs.collect()),
            ("ClientCmd", "friend_add".into()),
            ("Admin_Account", admin.as_str().into()),
            ("ForceFlag", u32::from(is_forced).into()),
            ("EventTime", now_ms.into()),
        ]);
        self.tell(command, Platform::Server, body);
    }

    /// Tells of users who are no friends any more.
    pub(crate) fn unfriended(&self, pairs: &[Pair], now_ms: u64) {
        let command = CallbackCommand::AfterFriendDelete;
        if pairs.is_empty() || !self.wants(command) {
            return;
        }
        let pairs = pairs.iter().map(|pair| friends(pair, None));
        let body = command.body([("PairList", pairs.collect()), ("EventTime", now_ms.into())]);
        self.tell(command, Platform::Server, body);
    }

    /// Tells of attributes of a group that an administrator has set, or with `clear` of all that were removed.
    pub(crate) fn attributes_changed(
        &self,
        (group, group_type): (GroupId, GroupType),
        admin: UserId,
        (clear, changes): (bool, &[FieldChange]),
        now_ms: u64,
    ) {
        let command = CallbackCommand::AfterAttributes;
        let items = changes.iter().map(|change| {
            let value = change.value.as_deref().unwrap_or_default();
            let pair = [("key", change.name.as_str()), ("value", value)];
            Value::Object(Map::from_iter(
                pair.map(|(name, text)| (name.to_owned(), text.into())),
            ))
        });
        let body = command.body([
            ("GroupId", group.as_str().into()),
            ("Type", group_type.name().unwrap_or_default().into()),
            ("Operator_Account", admin.as_str().into()),
            ("OptionType", if clear { "clear" } else { "modify" }.into()),
            ("GroupAttr", items.collect()),
            ("EventTime", now_ms.into()),
        ]);
        self.tell(command, Platform::Server, body);
    }
}

fn friends((from, to): &Pair, more: Option<(&str, UserId)>) -> Value {
    let users = [("From_Account", *from), ("To_Account", *to)];
    let users = users.into_iter().chain(more);
    Value::Object(Map::from_iter(
        users.map(|(name, user)| (name.to_owned(), user.as_str().into())),
    ))
}
