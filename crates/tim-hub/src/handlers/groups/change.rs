//! Requests that change a group. The store decides, in one step with the tips and notices; who is in an AVChatRoom is decided
//! here, as nothing of it is stored.

use std::marker::PhantomData;
use std::sync::Arc;

use tim_groups::{GroupAction, GroupResponse, GroupUpdate};
use tim_proto::message::to_vec;
use tim_proto::request::{
    BanMembers, ChangeOwner, ConversationChange, DismissGroup, Done, HandleApplication, HandleInvitation,
    InviteMembers, JoinGroup, JoinGroupResponse, MemberOutcome, MembersResponse, QuitGroup, RemoveMembers,
    Request, SetMember, SetReceiveOption, UpdateGroup,
};
use tim_proto::wire::{List, encoded_len};
use tim_proto::{ConversationId, ErrorCode, GroupId, MemberResult, UserId};
use tim_store::{Group, Membership, WriteResult, Written};

use super::store_change::{By, submit_change};
use crate::client_context::ClientContext;
use crate::device::Device;
use crate::handlers::av_chat_rooms::{self, is_av_chat_room};
use crate::handlers::messages::tell_other_devices;
use crate::handlers::{Handled, RESPONSE_OVERHEAD, Reply, admit};
use crate::refusal::Refusal;
use crate::service::Services;

/// A request that has the store change a group. The type of its response determines which result of the change answers it.
pub(in crate::handlers) trait GroupChange:
    Request<Response<'static>: FromResult>
{
    /// The group, and what is to be changed.
    fn command(&self) -> (GroupId, GroupAction);
}

/// Implements [`GroupChange`]: which action is made of which request.
macro_rules! group_changes {
    ($($request:ident: $type:ty => $action:expr;)+) => {
        $(impl GroupChange for $type {
            fn command(&self) -> (GroupId, GroupAction) {
                let $request = self;
                ($request.group, $action)
            }
        })+
    };
}

group_changes! {
    request: JoinGroup<'_> => GroupAction::Join { message: request.message.to_owned() };
    request: QuitGroup => GroupAction::Quit;
    request: HandleApplication<'_> => GroupAction::HandleApplication {
        applicant: request.applicant,
        accept: request.accept,
        message: request.message.to_owned(),
        key: request.key,
    };
    request: HandleInvitation<'_> => GroupAction::HandleInvitation {
        accept: request.accept,
        message: request.message.to_owned(),
    };
    request: InviteMembers<'_> => GroupAction::Invite {
        users: request.users.iter().collect(),
        reason: request.reason.to_owned(),
    };
    request: RemoveMembers<'_> => GroupAction::Remove {
        users: request.users.iter().collect(),
        reason: request.reason.to_owned(),
    };
    request: BanMembers<'_> => GroupAction::Ban {
        users: request.users.iter().collect(),
        seconds: request.seconds,
        reason: request.reason.to_owned(),
    };
    request: SetMember<'_> => GroupAction::SetMember {
        user: request.user,
        role: request.role,
        mute_seconds: request.mute_seconds,
        name_card: request.name_card.map(str::to_owned),
    };
    request: ChangeOwner => GroupAction::ChangeOwner { owner: request.owner };
    request: UpdateGroup<'_> => GroupAction::Update(GroupUpdate {
        name: request.name.map(str::to_owned),
        introduction: request.introduction.map(str::to_owned),
        notification: request.notification.map(str::to_owned),
        avatar: request.avatar.map(str::to_owned),
        join_option: request.join_option,
        invite_option: request.invite_option,
        mute_all: request.mute_all,
        ..GroupUpdate::default()
    });
    request: DismissGroup => GroupAction::Dismiss;
    request: SetReceiveOption => GroupAction::SetReceiveOption { option: request.option };
}

/// A response that is made from the result of a change.
pub(in crate::handlers) trait FromResult {
    /// Encodes the response; `None` for a result of another kind.
    fn encode(result: GroupResponse) -> Option<Vec<u8>>;
}

impl FromResult for Done {
    fn encode(_: GroupResponse) -> Option<Vec<u8>> {
        Some(to_vec(&Self))
    }
}

impl FromResult for JoinGroupResponse {
    fn encode(result: GroupResponse) -> Option<Vec<u8>> {
        let GroupResponse::Joined(status) = result else {
            return None;
        };
        Some(to_vec(&Self::new(status)))
    }
}

impl FromResult for MembersResponse<'_> {
    fn encode(result: GroupResponse) -> Option<Vec<u8>> {
        let GroupResponse::Members(results) = result else {
            return None;
        };
        let results: Vec<MemberOutcome> = results
            .into_iter()
            .map(|(user, result)| MemberOutcome::new(user, result))
            .collect();
        let results = List::from_slice(&results);
        Some(to_vec(&MembersResponse::new(results)))
    }
}

/// Has the store change a group.
pub(in crate::handlers) fn change<R: GroupChange>(
    services: &Services,
    client: &mut ClientContext,
    request: &R,
) -> Handled<R> {
    Change::of(services, client, request)?.submit()
}

/// Joins a group, or enters an AVChatRoom.
pub(in crate::handlers) fn join<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &JoinGroup<'a>,
) -> Handled<JoinGroup<'a>> {
    let change = Change::of(services, client, request)?;
    match change.standing {
        Some((group, _)) if is_av_chat_room(&group) => av_chat_rooms::join(services, client, request.group),
        _ => change.submit(),
    }
}

/// Quits a group, or leaves an AVChatRoom.
pub(in crate::handlers) fn quit(
    services: &Services,
    client: &mut ClientContext,
    request: &QuitGroup,
) -> Handled<QuitGroup> {
    let change = Change::of(services, client, request)?;
    match &change.standing {
        Some((group, None)) if is_av_chat_room(group) => av_chat_rooms::quit(services, client, request.group),
        _ => change.submit(),
    }
}

/// Invites users. With open registration, each of them gets an account.
pub(in crate::handlers) fn invite_members<'a>(
    services: &Services,
    client: &mut ClientContext,
    request: &InviteMembers<'a>,
) -> Handled<InviteMembers<'a>> {
    let refused = client.refused_users();
    let mut change = Change::of(services, client, request)?;
    if matches!(change.standing, Some((_, Some(_)))) && services.options.open_registration {
        let may_register = |user: &UserId| *user != UserId::SYSTEM && user.is_well_formed();
        change.new_users = request.users.iter().filter(may_register).collect();
    }
    change.leave_out(refused);
    change.submit()
}

/// Sets the receive option of a group. The user's other devices are told to ask for the list, as the total unread count changes.
pub(in crate::handlers) fn set_receive_option(
    services: &Services,
    client: &mut ClientContext,
    request: &SetReceiveOption,
) -> Handled<SetReceiveOption> {
    let presence = Arc::clone(&services.presence);
    let change = ConversationChange::new(ConversationId::Group(request.group));
    Change::of(services, client, request)?
        .submit_then(move |device| tell_other_devices(&presence, device, change))
}

/// A change that has passed the checks before the store decides on it.
struct Change<'a, R> {
    services: &'a Services,
    client: &'a ClientContext,
    group: GroupId,
    action: GroupAction,
    /// The group, and the membership of the user in it, if there is one.
    standing: Option<(Group, Option<Membership>)>,
    /// Users who get accounts with the change.
    new_users: Vec<UserId>,
    /// Those of the users whom the application refuses.
    refused: Vec<UserId>,
    request: PhantomData<fn() -> R>,
}

impl<'a, R: GroupChange> Change<'a, R> {
    fn of(services: &'a Services, client: &'a ClientContext, request: &R) -> Result<Self, Refusal> {
        let (group, action) = request.command();
        check_users(services, client, &action)?;
        let user = client.user();
        let standing = services.reads.store().group_and_membership(&group, &user)?;
        let found = standing.as_ref().map(|(group, _)| group);
        // Only the owner can dismiss the group.
        let owned = found.filter(|group| group.owner == user);
        if !client.was_asked_about() {
            admit(services, client, cost(&action, owned))?;
        }
        Ok(Self {
            services,
            client,
            group,
            action,
            standing,
            new_users: Vec::new(),
            refused: Vec::new(),
            request: PhantomData,
        })
    }

    /// Does not invite these. The answer says of each that it is not allowed.
    fn leave_out(&mut self, refused: Vec<UserId>) {
        self.new_users.retain(|user| !refused.contains(user));
        if let GroupAction::Invite { users, .. } = &mut self.action {
            users.retain(|user| !refused.contains(user));
        }
        self.refused = refused;
    }

    fn submit(self) -> Handled<R> {
        self.submit_then(|_| ())
    }

    /// Submits the change. `changed` is called with the user's device when it was made, before the response.
    fn submit_then(self, changed: impl FnOnce(&Device) + Send + 'static) -> Handled<R> {
        let responder = self.client.responder::<R>().untyped();
        let encode: fn(GroupResponse) -> Option<Vec<u8>> = <R::Response<'static> as FromResult>::encode;
        let refused = self.refused;
        let respond = move |result: WriteResult| {
            let body = match result {
                Ok(Written::GroupChanged(mut change)) => {
                    changed(responder.device());
                    if let GroupResponse::Members(results) = &mut change.response {
                        let refused = refused.into_iter();
                        results.extend(refused.map(|user| (user, MemberResult::NOT_ALLOWED)));
                    }
                    encode(change.response).ok_or_else(Refusal::wrong_answer)
                }
                Ok(_) => Err(Refusal::wrong_answer()),
                Err(error) => Err(error.into()),
            };
            responder.finish(body);
        };
        let by = By::user(self.client.user());
        submit_change(
            self.services,
            by,
            self.group,
            self.action,
            self.new_users,
            respond,
        )?;
        Reply::later()
    }
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
