//! Creation of a group, with its tip and notices.

use tim_proto::message::NoticeOperation;
use tim_proto::message::TipOperation;
use tim_proto::{GroupId, GroupType, InviteOption, JoinOption, Role, UserId};

use super::rules::{self, TypeRules, check_name, check_text};
use super::tips::{Announcer, NameLookup, NoticeText, Tip};
use super::{Field, FieldChange, FieldScope, GroupPolicy, GroupUpdate};
use crate::{Refused, SystemEntry};

/// A request to create a group.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// The id.
    pub group: GroupId,
    /// The type.
    pub group_type: GroupType,
    /// The creator, who becomes the owner; [`UserId::SYSTEM`] for a group without an owner, which an administrator of the application
    /// may create.
    pub owner: UserId,
    /// The name.
    pub name: String,
    /// The introduction.
    pub introduction: String,
    /// The notification to members.
    pub notification: String,
    /// The address of the picture.
    pub avatar: String,
    /// Who may join on request; [`JoinOption::AS_USUAL`] for the default of the type.
    pub join_option: JoinOption,
    /// Whom members may invite; [`InviteOption::AS_USUAL`] for the default of the type.
    pub invite_option: InviteOption,
    /// The members besides the owner. Duplicates, and the owner, are ignored.
    pub members: Vec<UserId>,
    /// Those of the members who are admins.
    pub admins: Vec<UserId>,
    /// The most members; 0 for as many as the type allows.
    pub max_members: u32,
    /// The group's own fields.
    pub fields: Vec<Field>,
    /// The request's random number, by which a repeated request is recognized.
    pub random: u32,
}

impl NewGroup {
    /// A group without texts, and without members besides the owner; its options are those of the type.
    #[must_use]
    pub const fn new(group: GroupId, group_type: GroupType, owner: UserId) -> Self {
        Self {
            group,
            group_type,
            owner,
            name: String::new(),
            introduction: String::new(),
            notification: String::new(),
            avatar: String::new(),
            join_option: JoinOption::AS_USUAL,
            invite_option: InviteOption::AS_USUAL,
            members: Vec::new(),
            admins: Vec::new(),
            max_members: 0,
            fields: Vec::new(),
            random: 0,
        }
    }
}

impl NewGroup {
    /// Whether the group has an owner.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.owner != UserId::SYSTEM
    }
}

/// A new group, checked and complete, for a store to write.
#[derive(Debug, Clone)]
pub struct CreateGroup {
    /// The group, with options that its type has. The owner and the members must have accounts; the members join in their order.
    pub group: NewGroup,
    /// The most groups that a user may be in. It holds for the owner and the members.
    pub max_groups: u32,
    /// The first entry of the group's log.
    pub tip: Option<SystemEntry>,
    /// Notices for users' system logs.
    pub notices: Vec<(UserId, SystemEntry)>,
}

/// Checks a request to create a group, and makes its tip and notices with the names that `names` has of its users.
///
/// # Errors
/// [`Refused::BadValue`] for an unknown type or option, [`Refused::NotAllowed`] for an option that the type has fixed or
/// members in an AVChatRoom, [`Refused::Full`], [`Refused::TextTooLong`].
pub fn create(
    mut new: NewGroup,
    policy: &GroupPolicy,
    now_ms: u64,
    names: &dyn NameLookup,
) -> Result<CreateGroup, Refused> {
    let rules = TypeRules::of(new.group_type).ok_or(Refused::BadValue("unknown group type"))?;
    (new.join_option, new.invite_option) = options(rules, &new)?;
    check_texts(&GroupUpdate {
        name: Some(new.name.clone()),
        introduction: Some(new.introduction.clone()),
        notification: Some(new.notification.clone()),
        avatar: Some(new.avatar.clone()),
        ..GroupUpdate::default()
    })?;
    new.members.sort_unstable();
    new.members.dedup();
    new.members.retain(|member| *member != new.owner);
    check_admins(rules, &new, policy)?;
    check_fields(&mut new)?;
    if !rules.is_stored && !new.members.is_empty() {
        return Err(Refused::NotAllowed(
            "an AVChatRoom is created without members; users join it",
        ));
    }
    let all_members = new.members.len().saturating_add(usize::from(new.has_owner()));
    if let Some(max) = rules.ceiling_of(policy, new.max_members)
        && all_members > max as usize
    {
        return Err(Refused::Full { max });
    }
    let announcer = Announcer {
        group: new.group,
        name: &new.name,
        rules,
        now_s: now_ms / 1000,
    };
    let (tip, notices) = announcements(&announcer, &new, names);
    Ok(CreateGroup {
        group: new,
        max_groups: policy.max_groups,
        tip: (rules.is_stored && all_members > 0).then_some(tip),
        notices,
    })
}

fn announcements(
    announcer: &Announcer<'_>,
    new: &NewGroup,
    names: &dyn NameLookup,
) -> (SystemEntry, Vec<(UserId, SystemEntry)>) {
    let NewGroup {
        owner,
        members,
        random,
        ..
    } = new;
    let (owner, random) = (*owner, *random);
    let owners: &[UserId] = if new.has_owner() { &[owner] } else { &[] };
    let all_members = [owners, members].concat();
    let tip = Tip::new(TipOperation::JOIN, owner, &all_members, all_members.len() as u64);
    let text = NoticeText::default();
    let created = announcer.notice(NoticeOperation::GROUP_CREATED, owner, text, random);
    let invited = announcer.notice(NoticeOperation::INVITED, owner, text, random);
    let mut notices: Vec<_> = owners.iter().map(|owner| (*owner, created.clone())).collect();
    notices.extend(members.iter().map(|member| (*member, invited.clone())));
    (announcer.tip(&tip, random, names), notices)
}

fn check_admins(rules: &TypeRules, new: &NewGroup, policy: &GroupPolicy) -> Result<(), Refused> {
    if new.admins.is_empty() {
        return Ok(());
    }
    rules.administrator_may(rules::Action::SetRole)?;
    if new.admins.len() > policy.max_admins as usize {
        return Err(Refused::NotAllowed("the group has its largest number of admins"));
    }
    match new.admins.iter().find(|admin| !new.members.contains(admin)) {
        Some(outsider) => Err(Refused::NotMember(*outsider)),
        None => Ok(()),
    }
}

/// Checks the fields, which are sorted then.
fn check_fields(new: &mut NewGroup) -> Result<(), Refused> {
    let changes: Vec<FieldChange> = std::mem::take(&mut new.fields)
        .into_iter()
        .map(|Field { name, value }| FieldChange {
            name,
            value: Some(value),
        })
        .collect();
    new.fields = FieldScope::Group.changed(Vec::new(), &changes)?;
    Ok(())
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
    known.ok_or(Refused::BadValue("unknown join option"))
}

pub(super) fn known_invite(option: InviteOption) -> Result<InviteOption, Refused> {
    let known = option.is_known().then_some(option);
    known.ok_or(Refused::BadValue("unknown invite option"))
}

/// Checks the lengths of a profile's texts.
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
