//! How groups and their members look.

use std::fmt::{self, Display};

use tim_client::{GroupMember, GroupProfile, MemberResult};

use crate::output::{FAINT, STRONG};
use crate::terminal::Safe;
use crate::time::{date_and_time, now};

/// What became of a user, after the user's id.
///
/// What is not allowed depends on what was tried: see [`removal_words`].
pub(crate) const fn outcome_words(result: MemberResult) -> &'static str {
    match result {
        MemberResult::ADDED => "is in",
        MemberResult::ALREADY_MEMBER => "is a member already",
        MemberResult::NOT_FOUND => "is nobody: there is no such user",
        MemberResult::INVITED => "was asked and has to agree",
        MemberResult::WAIT_APPROVAL => "waits for the owner or an admin to agree",
        MemberResult::FULL => "is not in: the group is full",
        MemberResult::REMOVED => "is out",
        MemberResult::NOT_MEMBER => "was not there",
        MemberResult::NOT_ALLOWED => "is in as many groups as allowed",
        _ => "had an outcome that this program does not know",
    }
}

/// The same for who was to be removed, banned or let in again.
pub(crate) const fn removal_words(result: MemberResult) -> &'static str {
    match result {
        MemberResult::NOT_ALLOWED => "has your role or a higher one",
        other => outcome_words(other),
    }
}

/// A group, in a line.
pub(super) struct GroupLine<'a>(pub(super) &'a GroupProfile);

impl Display for GroupLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.0;
        let (id, group_type) = (group.id, group.group_type);
        write!(
            f,
            "{STRONG}{id}{STRONG:#}  {}  {FAINT}{group_type}, {} members, {}{FAINT:#}",
            Safe::line(&group.name),
            group.member_count,
            group.role
        )
    }
}

/// A group, with all about it.
pub(super) struct GroupCard<'a>(pub(super) &'a GroupProfile);

impl Display for GroupCard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.0;
        writeln!(f, "{STRONG}{}{STRONG:#}  {}", group.id, Safe::line(&group.name))?;
        let mut line = |what: &str, value: &dyn Display| writeln!(f, "  {what:<14} {value}");
        line("type", &group.group_type)?;
        for (what, text) in [
            ("introduction", &group.introduction),
            ("notification", &group.notification),
            ("avatar", &group.avatar),
        ] {
            if !text.is_empty() {
                line(what, &Safe::line(text))?;
            }
        }
        line("owner", &group.owner)?;
        match group.max_members {
            0 => line("members", &group.member_count)?,
            most => line(
                "members",
                &format_args!("{} of at most {most}", group.member_count),
            )?,
        }
        line("made", &date_and_time(group.created))?;
        line("join", &group.join_option)?;
        line("invite", &group.invite_option)?;
        if group.mute_all {
            line("muted", &"all but owner and admins")?;
        }
        if !group.is_member() {
            return write!(f, "  {:<14} no member", "you");
        }
        if !group.name_card.is_empty() {
            line("your card", &Safe::line(&group.name_card))?;
        }
        if group.muted_until > now() {
            line(
                "you are muted",
                &format_args!("until {}", date_and_time(group.muted_until)),
            )?;
        }
        line("reminds", &group.message_remind_type)?;
        write!(f, "  {:<14} {}", "you", group.role)
    }
}

/// A member, in a line.
pub(crate) struct MemberLine<'a>(pub(crate) &'a GroupMember);

impl Display for MemberLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let member = self.0;
        write!(f, "{:<6} {STRONG}{}{STRONG:#}", member.role, member.user)?;
        if member.title() != member.user.as_str() {
            write!(f, "  {}", Safe::line(member.title()))?;
        }
        if member.muted_until > now() {
            write!(
                f,
                "  {FAINT}muted until {}{FAINT:#}",
                date_and_time(member.muted_until)
            )?;
        }
        Ok(())
    }
}

/// The objects of the documented SDK.
pub(super) mod as_json {
    use serde_json::Value;
    use tim_client::{GroupMember, GroupProfile, UserId};
    use tim_json::{Json as _, Spelling};
    use tim_proto::conversation as wire;

    pub(in super::super) fn group(me: &UserId, it: &GroupProfile) -> Value {
        let profile = wire::GroupProfile::new(it.id, it.group_type, it.owner)
            .with_name(&it.name)
            .with_introduction(&it.introduction)
            .with_notification(&it.notification)
            .with_avatar(&it.avatar)
            .with_member_count(it.member_count)
            .with_created(it.created)
            .with_role(it.role)
            .with_join_option(it.join_option)
            .with_invite_option(it.invite_option)
            .with_mute_all(it.mute_all)
            .with_max_members(it.max_members)
            .with_receive_option(it.message_remind_type)
            .with_muted_until(it.muted_until)
            .with_name_card(&it.name_card);
        tim_json::GroupProfile::of(me, &profile).to_value(Spelling::Sdk)
    }

    pub(in super::super) fn member(it: &GroupMember) -> Value {
        let mut member = tim_json::GroupMember::default();
        member.user = Some(it.user.to_string());
        member.role = Some(it.role.to_string());
        member.join_time = Some(it.joined);
        member.mute_until = Some(it.muted_until);
        member.nick = Some(it.nick.clone());
        member.avatar = Some(it.avatar.clone());
        member.name_card = Some(it.name_card.clone());
        member.to_value(Spelling::Sdk)
    }
}
