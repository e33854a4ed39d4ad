//! Requests that change a group. The store decides, in one step with the tips and notices; who is in an AVChatRoom is decided
//! here, as nothing of it is stored.

use std::sync::Arc;

use tim_groups::{GroupAction, GroupResponse, GroupUpdate};
use tim_proto::request::{
    BanMembers, ChangeOwner, ConversationChange, DismissGroup, Done, HandleApplication, HandleInvitation,
    InviteMembers, JoinGroup, JoinGroupResponse, MemberOutcome, MembersResponse, QuitGroup, RemoveMembers,
    Request, SetMember, SetReceiveOption, UpdateGroup,
};
use tim_proto::wire::{List, encoded_len};
use tim_proto::{ConversationId, ErrorCode, GroupId, UserId};
use tim_store::{Group, Membership, Write, Written};

use super::store_change::submit_change;
use crate::client_context::ClientContext;
use crate::device::Responder;
use crate::handlers::av_chat_rooms::{self, is_av_chat_room};
use crate::handlers::messages::tell_other_devices;
use crate::handlers::{Handled, RESPONSE_OVERHEAD, Reply, admit};
use crate::refusal::Refusal;
use crate::service::Services;

pub(in crate::handlers) fn join<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &JoinGroup<'a>,
) -> Handled<JoinGroup<'a>> {
    let action = GroupAction::Join {
        message: request.message.to_owned(),
    };
    let standing = begin(services, client, request.group, &action)?;
    if standing.is_some_and(|(group, _)| is_av_chat_room(&group)) {
        return av_chat_rooms::join(services, client, request.group);
    }
    submit(services, client, request.group, action, joined)
}

pub(in crate::handlers) fn quit(
    services: &Services,
    client: &mut ClientContext,
    request: &QuitGroup,
) -> Handled<QuitGroup> {
    let standing = begin(services, client, request.group, &GroupAction::Quit)?;
    if standing.is_some_and(|(group, membership)| is_av_chat_room(&group) && membership.is_none()) {
        return av_chat_rooms::quit(services, client, request.group);
    }
    submit(
        services,
        client,
        request.group,
        GroupAction::Quit,
        done::<QuitGroup>,
    )
}

pub(in crate::handlers) fn handle_application<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &HandleApplication<'a>,
) -> Handled<HandleApplication<'a>> {
    let action = GroupAction::HandleApplication {
        applicant: request.applicant,
        accept: request.accept,
        message: request.message.to_owned(),
        key: request.key,
    };
    change(
        services,
        client,
        request.group,
        action,
        done::<HandleApplication<'static>>,
    )
}

pub(in crate::handlers) fn handle_invitation<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &HandleInvitation<'a>,
) -> Handled<HandleInvitation<'a>> {
    let action = GroupAction::HandleInvitation {
        accept: request.accept,
        message: request.message.to_owned(),
    };
    change(
        services,
        client,
        request.group,
        action,
        done::<HandleInvitation<'static>>,
    )
}

pub(in crate::handlers) fn invite_members<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &InviteMembers<'a>,
) -> Handled<InviteMembers<'a>> {
    let users: Vec<UserId> = request.users.iter().collect();
    let action = GroupAction::Invite {
        users: users.clone(),
        reason: request.reason.to_owned(),
    };
    let standing = begin(services, client, request.group, &action)?;
    // With open registration, each user who is invited has an account.
    if standing.is_some_and(|(_, membership)| membership.is_some()) && services.options.open_registration {
        let may_register = |user: &UserId| *user != UserId::SYSTEM && user.is_well_formed();
        let users = users.into_iter().filter(may_register).collect();
        services.writer.submit(Write::EnsureAccounts(users), |_| ())?;
    }
    submit(
        services,
        client,
        request.group,
        action,
        members::<InviteMembers<'static>>,
    )
}

pub(in crate::handlers) fn remove_members<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &RemoveMembers<'a>,
) -> Handled<RemoveMembers<'a>> {
    let action = GroupAction::Remove {
        users: request.users.iter().collect(),
        reason: request.reason.to_owned(),
    };
    change(
        services,
        client,
        request.group,
        action,
        members::<RemoveMembers<'static>>,
    )
}

pub(in crate::handlers) fn ban_members<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &BanMembers<'a>,
) -> Handled<BanMembers<'a>> {
    let action = GroupAction::Ban {
        users: request.users.iter().collect(),
        seconds: request.seconds,
        reason: request.reason.to_owned(),
    };
    change(
        services,
        client,
        request.group,
        action,
        members::<BanMembers<'static>>,
    )
}

pub(in crate::handlers) fn set_member<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &SetMember<'a>,
) -> Handled<SetMember<'a>> {
    let action = GroupAction::SetMember {
        user: request.user,
        role: request.role,
        mute_seconds: request.mute_seconds,
        name_card: request.name_card.map(str::to_owned),
    };
    change(
        services,
        client,
        request.group,
        action,
        done::<SetMember<'static>>,
    )
}

pub(in crate::handlers) fn change_owner(
    services: &Services,
    client: &mut ClientContext,
    request: &ChangeOwner,
) -> Handled<ChangeOwner> {
    let action = GroupAction::ChangeOwner { owner: request.owner };
    change(services, client, request.group, action, done::<ChangeOwner>)
}

pub(in crate::handlers) fn update<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &UpdateGroup<'a>,
) -> Handled<UpdateGroup<'a>> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let action = GroupAction::Update(GroupUpdate {
        name: owned(request.name),
        introduction: owned(request.introduction),
        notification: owned(request.notification),
        avatar: owned(request.avatar),
        join_option: request.join_option,
        invite_option: request.invite_option,
        mute_all: request.mute_all,
    });
    change(
        services,
        client,
        request.group,
        action,
        done::<UpdateGroup<'static>>,
    )
}

pub(in crate::handlers) fn dismiss(
    services: &Services,
    client: &mut ClientContext,
    request: &DismissGroup,
) -> Handled<DismissGroup> {
    change(
        services,
        client,
        request.group,
        GroupAction::Dismiss,
        done::<DismissGroup>,
    )
}

pub(in crate::handlers) fn set_receive_option(
    services: &Services,
    client: &mut ClientContext,
    request: &SetReceiveOption,
) -> Handled<SetReceiveOption> {
    let (group, presence) = (request.group, Arc::clone(&services.presence));
    let action = GroupAction::SetReceiveOption {
        option: request.option,
    };
    change(
        services,
        client,
        group,
        action,
        move |answer, responder: Responder<SetReceiveOption>| {
            // The total unread count has changed: the user's other devices are to ask for the list.
            let change = ConversationChange {
                conversation: ConversationId::Group(group),
                unread: 0,
                read_sequence: 0,
                counted: 0,
                deleted_through: 0,
            };
            tell_other_devices(&presence, responder.device(), change);
            done(answer, responder);
        },
    )
}

/// A group, and the membership of a user in it, if there is one.
type Standing = Option<(Group, Option<Membership>)>;

/// Checks a change before the store decides on it.
fn begin(
    services: &Services,
    client: &ClientContext,
    group: GroupId,
    action: &GroupAction,
) -> Result<Standing, Refusal> {
    check_users(services, client, action)?;
    let standing = services
        .reads
        .store()
        .group_and_membership(&group, &client.user())?;
    let group = standing.as_ref().map(|(group, _)| group);
    // Only the owner can dismiss the group.
    let owned = group.filter(|group| group.owner == client.user());
    admit(services, client, cost(action, owned))?;
    Ok(standing)
}

/// Has the store change a group.
fn change<R: Request, S: Request + 'static>(
    services: &Services,
    client: &ClientContext,
    group: GroupId,
    action: GroupAction,
    respond: impl FnOnce(GroupResponse, Responder<S>) + Send + 'static,
) -> Handled<R> {
    begin(services, client, group, &action)?;
    submit(services, client, group, action, respond)
}

/// Submits a change; `respond` answers the request if the change was made. `S` is `R` without what it borrows.
fn submit<R: Request, S: Request + 'static>(
    services: &Services,
    client: &ClientContext,
    group: GroupId,
    action: GroupAction,
    respond: impl FnOnce(GroupResponse, Responder<S>) + Send + 'static,
) -> Handled<R> {
    const { assert!(R::KIND.0 == S::KIND.0, "the response is that of the request") };
    let responder = client.responder::<S>();
    submit_change(
        services,
        client.user(),
        group,
        action,
        move |answer| match answer {
            Ok(Written::GroupChanged(changed)) => respond(changed.response, responder),
            Ok(_) => responder.refuse(Refusal::wrong_answer()),
            Err(error) => responder.refuse(error.into()),
        },
    )?;
    Reply::later()
}

fn done<R>(_: GroupResponse, responder: Responder<R>)
where
    R: for<'a> Request<Response<'a> = Done>,
{
    responder.respond(&Done);
}

fn joined(answer: GroupResponse, responder: Responder<JoinGroup<'static>>) {
    match answer {
        GroupResponse::Joined(status) => responder.respond(&JoinGroupResponse { status }),
        _ => responder.refuse(Refusal::wrong_answer()),
    }
}

fn members<R>(answer: GroupResponse, responder: Responder<R>)
where
    R: for<'a> Request<Response<'a> = MembersResponse<'a>>,
{
    let GroupResponse::Members(results) = answer else {
        return responder.refuse(Refusal::wrong_answer());
    };
    let results: Vec<MemberOutcome> = results
        .into_iter()
        .map(|(user, result)| MemberOutcome { user, result })
        .collect();
    responder.respond(&MembersResponse {
        results: List::from_slice(&results),
    });
}

/// Limits the number of users, and makes sure that the response about them fits.
fn check_users(services: &Services, client: &ClientContext, action: &GroupAction) -> Result<(), Refusal> {
    let (GroupAction::Invite { users, .. }
    | GroupAction::Remove { users, .. }
    | GroupAction::Ban { users, .. }) = action
    else {
        return Ok(());
    };
    let most = services.options.limits.members_per_call() as usize;
    if users.len() > most {
        let text = format!("{} users, at most {most} are taken at once", users.len());
        return Err(Refusal::new(ErrorCode::GROUP_INVALID_PARAMETERS, text));
    }
    let len: usize = users.iter().map(|user| encoded_len(user).saturating_add(1)).sum();
    if len.saturating_add(RESPONSE_OVERHEAD) > client.max_response() {
        return Err(Refusal::new(
            ErrorCode::FRAME_TOO_LARGE,
            "the answer about so many users would be larger than you take; ask for fewer at once",
        ));
    }
    Ok(())
}

/// How many messages a change is worth: as many as the users whom it concerns. `owned` is the group, if the user owns it.
fn cost(action: &GroupAction, owned: Option<&Group>) -> u32 {
    let users = match action {
        GroupAction::Invite { users, .. }
        | GroupAction::Remove { users, .. }
        | GroupAction::Ban { users, .. } => users.len() as u64,
        GroupAction::Dismiss => owned.map_or(1, |group| group.member_count),
        _ => 1,
    };
    u32::try_from(users.max(1)).unwrap_or(u32::MAX)
}
