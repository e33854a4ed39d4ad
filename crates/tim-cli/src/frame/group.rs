//! The fields of what is asked and answered about groups and users.

use tim_proto::conversation::{AtInfo, GroupProfile, UserProfile};
use tim_proto::message::{GroupChange, Mentions, Muted};
use tim_proto::request::{
    AnyRequest as Request, AnyResponse as Answer, BanMembers, CreateGroup, DismissGroup, GetGroupProfile,
    GroupMember, GroupMembers, Groups, HandleApplication, HandleInvitation, InviteMembers, QuitGroup,
    RemoveMembers, SetMember, UpdateGroup,
};
use tim_proto::wire::List;
use tim_proto::{GroupId, UserId};

use super::describe::time;
use super::fields::Fields;

/// A request about groups or users; `None` for any other.
pub(super) fn request(request: &Request<'_>) -> Option<Fields> {
    Some(match request {
        Request::CreateGroup(it) => create(it),
        Request::JoinGroup(it) => group(it.group).with("message", it.message),
        Request::QuitGroup(QuitGroup { group: id })
        | Request::DismissGroup(DismissGroup { group: id })
        | Request::GroupProfile(GetGroupProfile { group: id }) => group(*id),
        Request::HandleApplication(HandleApplication {
            group: id,
            applicant,
            accept,
            message,
            key,
        }) => group(*id)
            .text("applicant", applicant)
            .with("accept", *accept)
            .with("message", *message)
            .with("key", *key),
        Request::HandleInvitation(HandleInvitation {
            group: id,
            accept,
            message,
        }) => group(*id).with("accept", *accept).with("message", *message),
        Request::InviteMembers(InviteMembers { group, users, reason })
        | Request::RemoveMembers(RemoveMembers { group, users, reason }) => members(*group, *users, reason),
        Request::BanMembers(BanMembers {
            group: id,
            users,
            seconds,
            reason,
        }) => group(*id)
            .with("users", ids(*users))
            .with("seconds", *seconds)
            .with("reason", *reason),
        Request::SetMember(it) => set_member(it),
        Request::ChangeOwner(it) => group(it.group).text("owner", it.owner),
        Request::UpdateGroup(it) => update(it),
        Request::GroupMembers(GroupMembers {
            group: id,
            next,
            count,
            role,
        }) => group(*id)
            .with("next", *next)
            .with("count", *count)
            .with("role", role.map(|role| role.to_string())),
        Request::Groups(Groups { next, count }) => Fields::new().with("next", *next).with("count", *count),
        Request::SetReceiveOption(it) => group(it.group).text("option", it.option),
        Request::UserProfiles(it) => Fields::new().with("users", ids(it.users)),
        Request::Renew(_) => Fields::new().with("user_sig", "(secret)"),
        Request::UpdateUserProfile(it) => Fields::new().with("nick", it.nick).with("avatar", it.avatar),
        _ => return None,
    })
}

/// An answer about groups or users; `None` for any other.
pub(super) fn answer(answer: &Answer<'_>) -> Option<Fields> {
    Some(match answer {
        Answer::CreateGroup(it) => group(it.group),
        Answer::JoinGroup(it) => Fields::new().text("status", it.status),
        Answer::Members(it) => {
            let outcome = |it: tim_proto::request::MemberOutcome| {
                Fields::new().text("user", it.user).text("result", it.result)
            };
            Fields::new().with("results", it.results.iter().map(outcome).collect::<Vec<_>>())
        }
        Answer::GroupMembers(it) => Fields::new()
            .with("next", it.next)
            .with("completed", it.completed)
            .with("members", it.members.iter().map(member).collect::<Vec<_>>()),
        Answer::Groups(it) => Fields::new()
            .with("next", it.next)
            .with("completed", it.completed)
            .with("groups", it.groups.iter().map(profile).collect::<Vec<_>>()),
        Answer::GroupProfile(it) => profile(*it),
        Answer::Renew(it) => Fields::new().with("expires", it.expires),
        Answer::UserProfiles(it) => {
            Fields::new().with("users", it.users.iter().map(user).collect::<Vec<_>>())
        }
        _ => return None,
    })
}

fn group(id: GroupId) -> Fields {
    Fields::new().text("group", id)
}

fn ids(users: List<'_, UserId>) -> Vec<String> {
    users.iter().map(|id| id.to_string()).collect()
}

fn create(it: &CreateGroup<'_>) -> Fields {
    Fields::new()
        .with("group", it.group.map(|id| id.to_string()))
        .text("group_type", it.group_type)
        .with("name", it.name)
        .with("introduction", it.introduction)
        .with("notification", it.notification)
        .with("avatar", it.avatar)
        .with("members", ids(it.members))
        .with("random", it.random)
        .text("join_option", it.join_option)
        .text("invite_option", it.invite_option)
}

fn members(id: GroupId, users: List<'_, UserId>, reason: &str) -> Fields {
    group(id).with("users", ids(users)).with("reason", reason)
}

fn set_member(it: &SetMember<'_>) -> Fields {
    group(it.group)
        .text("user", it.user)
        .with("role", it.role.map(|role| role.to_string()))
        .with("mute_seconds", it.mute_seconds)
        .with("name_card", it.name_card)
}

fn update(it: &UpdateGroup<'_>) -> Fields {
    group(it.group)
        .with("name", it.name)
        .with("introduction", it.introduction)
        .with("notification", it.notification)
        .with("avatar", it.avatar)
        .with("join_option", it.join_option.map(|option| option.to_string()))
        .with("invite_option", it.invite_option.map(|option| option.to_string()))
        .with("mute_all", it.mute_all)
}

fn member(it: GroupMember<'_>) -> Fields {
    let fields = Fields::new().text("user", it.user).text("role", it.role);
    let fields = time(time(fields, "joined", it.joined), "muted_until", it.muted_until);
    fields
        .with("nick", it.nick)
        .with("avatar", it.avatar)
        .with("name_card", it.name_card)
}

/// A group's profile.
pub(super) fn profile(it: GroupProfile<'_>) -> Fields {
    let fields = Fields::new()
        .text("id", it.id)
        .text("group_type", it.group_type)
        .with("name", it.name)
        .with("introduction", it.introduction)
        .with("notification", it.notification)
        .with("avatar", it.avatar)
        .text("owner", it.owner)
        .with("member_count", it.member_count);
    let fields = time(fields, "created", it.created)
        .text("role", it.role)
        .text("join_option", it.join_option)
        .text("invite_option", it.invite_option)
        .with("mute_all", it.mute_all)
        .with("max_members", it.max_members)
        .text("receive_option", it.receive_option);
    time(fields, "muted_until", it.muted_until).with("name_card", it.name_card)
}

/// A user's profile.
pub(super) fn user(it: UserProfile<'_>) -> Fields {
    Fields::new()
        .text("id", it.id)
        .with("nick", it.nick)
        .with("avatar", it.avatar)
}

/// A message that mentions the user.
pub(super) fn at(it: AtInfo) -> Fields {
    Fields::new()
        .with("sequence", it.sequence)
        .text("from", it.from)
        .text("kind", it.kind)
}

/// What a message's extensions say that are known here.
pub(super) fn extra(mentions: Option<Mentions<'_>>, names: [(&'static str, &str); 3]) -> Fields {
    let mut fields = Fields::new();
    if let Some(Mentions { users, all }) = mentions {
        let shown = Fields::new().with("users", ids(users)).with("all", all);
        fields = fields.with("mentions", shown);
    }
    for (name, text) in names {
        if !text.is_empty() {
            fields = fields.with(name, text);
        }
    }
    fields
}

/// One thing that changed in a group.
pub(super) fn change(it: GroupChange<'_>) -> Fields {
    let fields = Fields::new();
    match it {
        GroupChange::Name(text) => fields.with("name", text),
        GroupChange::Introduction(text) => fields.with("introduction", text),
        GroupChange::Notification(text) => fields.with("notification", text),
        GroupChange::Avatar(text) => fields.with("avatar", text),
        GroupChange::Owner(user) => fields.text("owner", user),
        GroupChange::JoinOption(option) => fields.text("join_option", option),
        GroupChange::InviteOption(option) => fields.text("invite_option", option),
        GroupChange::MuteAll(mute) => fields.with("mute_all", mute),
        GroupChange::Unknown(what, value) => fields.with("unknown", what).with("bytes", value),
        _ => fields,
    }
}

/// For how long a member may not write.
pub(super) fn muted(it: Muted) -> Fields {
    Fields::new().text("user", it.user).with("seconds", it.seconds)
}
