//! What a command has changed of a group, for those who are told of it elsewhere than in the group.

use tim_proto::UserId;

use crate::{Effects, Group, GroupUpdate, RowChange};

/// What a command has changed of a group. A command that is repeated has changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupDelta {
    /// The group as it was before.
    pub before: Group,
    /// Who has become a member.
    pub joined: Vec<UserId>,
    /// Who has invited or added them; `None` for users who came by themselves.
    pub inviter: Option<UserId>,
    /// Who is not a member any more. Of a group that was dismissed: those who were told of it, who are all members of a group other than an
    /// AVChatRoom.
    pub left: Vec<UserId>,
    /// Whether the group was dismissed.
    pub dismissed: bool,
    /// The new owner.
    pub owner: Option<UserId>,
    /// The new values of the profile.
    pub profile: Option<GroupUpdate>,
}

impl GroupDelta {
    /// What these effects change; `None` if it is nothing.
    pub(crate) fn of(before: Group, effects: &Effects, inviter: Option<UserId>) -> Option<Self> {
        if effects.rows.is_empty() {
            return None;
        }
        let mut delta = Self {
            before,
            joined: Vec::new(),
            inviter,
            left: Vec::new(),
            dismissed: false,
            owner: None,
            profile: None,
        };
        for row in &effects.rows {
            match row {
                RowChange::Add(user) => delta.joined.push(*user),
                RowChange::AddAs(new) => delta.joined.push(new.user),
                RowChange::Remove(user) => delta.left.push(*user),
                RowChange::Owner(user) => delta.owner = Some(*user),
                RowChange::Profile(update) => delta.profile = Some(update.clone()),
                RowChange::Dismiss { .. } => {
                    delta.dismissed = true;
                    delta.left.extend(effects.notices.iter().map(|(user, _)| *user));
                }
                _ => {}
            }
        }
        Some(delta)
    }
}
