//! A new group, with all that tells of it.

use tim_proto::notice::NoticeOperation;
use tim_proto::tip::TipOperation;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, Role, UserId};

use super::rules::{self, TypeRules, check_name, check_text};
use super::tips::{Announcer, NameLookup, NoticeText, Tip};
use super::{GroupPolicy, GroupUpdate};
use crate::{Refused, SystemEntry};

/// The wish for a group.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// Its id.
    pub group: GroupId,
    /// Its type.
    pub group_type: GroupType,
    /// Who makes and owns it.
    pub owner: UserId,
    /// The shown name.
    pub name: String,
    /// What it is about.
    pub introduction: String,
    /// What its members are told.
    pub notification: String,
    /// The picture's address.
    pub avatar: String,
    /// Who may join; [`JoinOption::AS_USUAL`] for what its type has.
    pub join_option: JoinOption,
    /// Whom members may bring in; [`InviteOption::AS_USUAL`] for what its type has.
    pub invite_option: InviteOption,
    /// Members beside the owner; who is named twice, or owns it, counts once.
    pub members: Vec<UserId>,
    /// The request's own number.
    pub random: u32,
}

/// A new group.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// Its id.
    pub group: GroupId,
    /// Its type.
    pub group_type: GroupType,
    /// Who creates and owns it; becomes a member by this.
    pub owner: UserId,
    /// The shown name.
    pub name: String,
    /// The introduction.
    pub introduction: String,
    /// The notification.
    pub notification: String,
    /// The picture's address.
    pub avatar: String,
    /// Who may join by asking.
    pub join_option: JoinOption,
    /// Whom members may bring in.
    pub invite_option: InviteOption,
    /// Members beside the owner, with their roles. All must have accounts.
    pub members: Vec<(UserId, Role)>,
    /// The request's own number: tells a repeated request from a second group of the same id.
    pub creation_random: u32,
    /// The most groups that a user may be in, the owner and the members alike.
    pub max_groups: u32,
    /// The tip that opens the group's log.
    pub tip: Option<SystemEntry>,
    /// Notices into users' system logs.
    pub notices: Vec<(UserId, SystemEntry)>,
}

/// Checks the wish and writes the tip, with the names of its users from `book`, and the notices.
///
/// # Errors
/// [`Refused::BadValue`] for an unknown type or option, [`Refused::NotAllowed`] for an option that the type has fixed or
/// members in an AVChatRoom, [`Refused::Full`], [`Refused::TextTooLong`].
pub fn create(
    new: NewGroup,
    policy: &GroupPolicy,
    now_ms: u64,
    book: &dyn NameLookup,
) -> Result<CreateGroup, Refused> {
    let rules = TypeRules::of(new.group_type).ok_or(Refused::BadValue("there is no such type of group"))?;
    let (join_option, invite_option) = options(rules, &new)?;
    check_texts(&GroupUpdate {
        name: Some(new.name.clone()),
        introduction: Some(new.introduction.clone()),
        notification: Some(new.notification.clone()),
        avatar: Some(new.avatar.clone()),
        ..GroupUpdate::default()
    })?;
    let mut members = new.members;
    members.sort_unstable();
    members.dedup();
    members.retain(|member| *member != new.owner);
    if !rules.is_stored && !members.is_empty() {
        return Err(Refused::NotAllowed(
            "nobody is added to an AVChatRoom: users join it",
        ));
    }
    let everybody = members.len().saturating_add(1);
    if let Some(max) = rules.ceiling(policy)
        && everybody > max as usize
    {
        return Err(Refused::Full { max });
    }
    let scribe = Announcer {
        group: new.group,
        name: &new.name,
        rules,
        now_s: now_ms / 1000,
    };
    let (tip, notices) = told(&scribe, new.owner, &members, new.random, book);
    Ok(CreateGroup {
        group: new.group,
        group_type: new.group_type,
        owner: new.owner,
        join_option,
        invite_option,
        members: members.into_iter().map(|member| (member, Role::MEMBER)).collect(),
        creation_random: new.random,
        max_groups: policy.max_groups,
        tip: rules.is_stored.then_some(tip),
        notices,
        name: new.name,
        introduction: new.introduction,
        notification: new.notification,
        avatar: new.avatar,
    })
}

type Told = (SystemEntry, Vec<(UserId, SystemEntry)>);

fn told(
    scribe: &Announcer<'_>,
    owner: UserId,
    members: &[UserId],
    random: u32,
    book: &dyn NameLookup,
) -> Told {
    let everybody = [&[owner], members].concat();
    let tip = Tip::new(TipOperation::JOIN, owner, &everybody, everybody.len() as u64);
    let said = NoticeText::default();
    let created = scribe.notice(NoticeOperation::GROUP_CREATED, owner, said, random);
    let invited = scribe.notice(NoticeOperation::INVITED, owner, said, random);
    let mut notices = vec![(owner, created)];
    notices.extend(members.iter().map(|member| (*member, invited.clone())));
    (scribe.tip(&tip, random, book), notices)
}

fn options(rules: &TypeRules, new: &NewGroup) -> Result<(JoinOption, InviteOption), Refused> {
    let join = match new.join_option {
        JoinOption::AS_USUAL => rules.join_option,
        wanted if wanted == rules.join_option => wanted,
        wanted => {
            rules.may(Some(Role::OWNER), rules::Action::SetJoinOption)?;
            known_join(wanted)?
        }
    };
    let invite = match new.invite_option {
        InviteOption::AS_USUAL => rules.invite_option,
        wanted if wanted == rules.invite_option => wanted,
        wanted => {
            rules.may(Some(Role::OWNER), rules::Action::SetInviteOption)?;
            known_invite(wanted)?
        }
    };
    Ok((join, invite))
}

pub(super) fn known_join(option: JoinOption) -> Result<JoinOption, Refused> {
    let known = option.is_known().then_some(option);
    known.ok_or(Refused::BadValue("there is no such join option"))
}

pub(super) fn known_invite(option: InviteOption) -> Result<InviteOption, Refused> {
    let known = option.is_known().then_some(option);
    known.ok_or(Refused::BadValue("there is no such invite option"))
}

/// Checks how long a profile's texts are.
pub(super) fn check_texts(update: &GroupUpdate) -> Result<(), Refused> {
    for (what, text, max) in [
        ("introduction", &update.introduction, rules::MAX_INTRODUCTION),
        ("notification", &update.notification, rules::MAX_NOTIFICATION),
        ("avatar", &update.avatar, rules::MAX_AVATAR),
    ] {
        check_text(what, text.as_deref().unwrap_or(""), max)?;
    }
    check_name("name", update.name.as_deref().unwrap_or(""), rules::MAX_NAME)
}
