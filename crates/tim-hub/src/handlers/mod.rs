//! Handlers: what the hub does with each request.
//!
//! A handler is a function of the services, the client context and a request; it knows nothing of the connection. Nothing
//! that a client says is trusted: who it is comes from the login, and membership, sizes and rates are checked here before
//! anything is stored.
//!
//! [`handle`] has the table of endpoints. Most handlers read the store, which blocks, so they run on the read pool; those
//! that do not run where the request arrived. SEND decides by what is cached. Writes are answered later, by a
//! [`Responder`](crate::device::Responder).

mod av_chat_rooms;
#[cfg(feature = "outgoing")]
mod before;
mod conversations;
mod files;
mod groups;
mod messages;
#[cfg(feature = "rest")]
mod outside;
mod pages;
mod profiles;
mod push;
mod renew;
mod send;
#[cfg(test)]
mod tests;
mod visibility;

#[cfg(feature = "outgoing")]
pub(crate) use before::{Before, before, tell_refused};
#[cfg(feature = "http")]
pub(crate) use files::Readable;
pub use groups::Audience;
#[cfg(feature = "rest")]
pub(crate) use groups::{Administered, administer, create_prepared, notify_room, tell_list_changed};
#[cfg(all(feature = "outgoing", feature = "rest"))]
pub(crate) use groups::{invitation, owned_groups};
pub(crate) use groups::{notify_group, reclaim_group};
#[cfg(feature = "rest")]
pub(crate) use messages::read_change;
#[cfg(feature = "rest")]
pub(crate) use outside::check_message;
#[cfg(feature = "rest")]
pub(crate) use profiles::{MAX_NICK, check_profile};

use std::marker::PhantomData;
use std::sync::Arc;

use tim_proto::message::to_vec;
use tim_proto::planted::{self, Fault};
use tim_proto::request::*;
use tim_proto::wire::{Decode, Encode, FrameKind, decode_body};
use tim_proto::{ErrorCode, UserId};
use tracing::info;

use crate::client_context::ClientContext;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::threads::may_block;

/// What of a frame is not list items: its header and the other fields of the response, generously.
const RESPONSE_OVERHEAD: usize = 64;

/// What a handler makes of a request, if it does not refuse it.
type Handled<R> = Result<Reply<R>, Refusal>;

/// A reply to a request of type `R`.
struct Reply<R> {
    outcome: Outcome,
    endpoint: PhantomData<fn() -> R>,
}

/// A reply to a request of any type.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The encoded response.
    Response(Vec<u8>),
    /// A [`Responder`](crate::device::Responder) answers later.
    Later,
    /// Nothing was done: the handler has to run on the read pool.
    NeedsStore,
}

impl<R: Request> Reply<R> {
    fn now(response: &R::Response<'_>) -> Handled<R> {
        Self::encoded(response)
    }

    /// A response whose parts are encoded already.
    fn encoded(response: &impl Encode) -> Handled<R> {
        Self::of(Outcome::Response(to_vec(response)))
    }

    const fn later() -> Handled<R> {
        Self::of(Outcome::Later)
    }

    const fn needs_store() -> Handled<R> {
        Self::of(Outcome::NeedsStore)
    }

    fn into_outcome(self) -> Outcome {
        self.outcome
    }

    const fn of(outcome: Outcome) -> Handled<R> {
        Ok(Self {
            outcome,
            endpoint: PhantomData,
        })
    }
}

/// Whether a handler reads the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    Store,
    /// Not before it says so with [`Outcome::NeedsStore`].
    Nothing,
}

/// Handles a request. On a thread that may not block, a handler that reads the store is not called.
pub(crate) fn handle(
    services: &Arc<Services>,
    client: &mut ClientContext,
    id: u32,
    kind: FrameKind,
    body: &[u8],
) -> Result<Outcome, Refusal> {
    client.begin(id, services.permissions.generation());
    dispatch(services, client, kind, body)
}

/// Defines [`dispatch`] and [`cost`]: which handler is for which kind of request, and what the request costs.
macro_rules! endpoints {
    ($services:ident, $client:ident, $body:ident: $($request:ty, $reads:ident, $cost:literal => $handler:expr;)+) => {
        /// What a request costs of what its user may spend. Messages have a limit of their own.
        pub(crate) fn cost(kind: FrameKind) -> u32 {
            match kind {
                $(kind if kind == <$request as Request>::KIND => $cost,)+
                _ => 1,
            }
        }

        fn dispatch(
            $services: &Arc<Services>,
            $client: &mut ClientContext,
            kind: FrameKind,
            $body: &[u8],
        ) -> Result<Outcome, Refusal> {
            match kind {
                $(kind if kind == <$request as Request>::KIND => {
                    if Reads::$reads == Reads::Store && !may_block() {
                        return Ok(Outcome::NeedsStore);
                    }
                    let request = decode::<$request>($services, $client, $body)?;
                    $handler($services, $client, &request).map(Reply::into_outcome)
                })+
                kind => {
                    let text = format!("this hub does not know {kind} requests");
                    Err(Refusal::new(ErrorCode::UNSUPPORTED_REQUEST, text))
                }
            }
        }
    };
}

endpoints! { services, client, body:
    Send<'_>, Nothing, 0 => |services, client, request| send::send(services, client, request, body);
    Revoke<'_>, Store, 5 => messages::revoke;
    History<'_>, Store, 5 => messages::history;
    Fetch, Store, 1 => messages::fetch;
    MarkRead, Nothing, 1 => messages::mark_read;
    Conversations<'_>, Store, 10 => conversations::conversations;
    GetConversationProfile, Store, 2 => conversations::profile;
    DeleteConversation, Nothing, 1 => conversations::delete;
    CreateGroup<'_>, Store, 5 => groups::create;
    JoinGroup<'_>, Store, 5 => groups::join;
    QuitGroup, Store, 5 => groups::quit;
    HandleApplication<'_>, Store, 5 => groups::change;
    InviteMembers<'_>, Store, 5 => groups::invite_members;
    HandleInvitation<'_>, Store, 5 => groups::change;
    RemoveMembers<'_>, Store, 5 => groups::change;
    BanMembers<'_>, Store, 5 => groups::change;
    SetMember<'_>, Store, 5 => groups::change;
    ChangeOwner, Store, 5 => groups::change;
    UpdateGroup<'_>, Store, 5 => groups::change;
    DismissGroup, Store, 5 => groups::change;
    SetReceiveOption, Store, 2 => groups::set_receive_option;
    GroupMembers<'_>, Store, 5 => groups::members;
    Groups<'_>, Store, 5 => groups::groups;
    GetGroupProfile, Store, 2 => groups::profile;
    UserProfiles<'_>, Store, 5 => profiles::user_profiles;
    UpdateUserProfile<'_>, Nothing, 2 => profiles::update;
    Renew<'_>, Store, 1 => renew::renew;
    BeginUpload<'_>, Store, 5 => files::begin;
    Upload<'_>, Nothing, 1 => files::piece;
    EndUpload, Nothing, 10 => files::end;
    CancelUpload, Nothing, 1 => files::cancel;
    Download, Nothing, 1 => files::download;
    FileUrl, Store, 2 => files::file_url;
    RegisterPush<'_>, Store, 2 => push::register;
    UnregisterPush<'_>, Nothing, 2 => push::unregister;
}

/// Decodes a request. A malformed one is counted and logged.
fn decode<'a, R: Request + Decode<'a>>(
    services: &Services,
    client: &ClientContext,
    body: &'a [u8],
) -> Result<R, Refusal> {
    decode_body(body).map_err(|error| {
        let events = &services.events;
        if let Some(suppressed) = events.malformed_requests.take(services.steady_ms()) {
            let (user, device) = (client.user(), client.device().number());
            info!(%user, device, kind = %R::KIND, %error, suppressed, "a malformed request is refused");
        }
        Refusal::malformed(R::KIND, error)
    })
}

/// Admits a request of this kind, unless its user has made too many.
pub(crate) fn admit_request(
    services: &Services,
    client: &ClientContext,
    kind: FrameKind,
) -> Result<(), Refusal> {
    let cost = cost(kind);
    if cost == 0 {
        return Ok(());
    }
    let (per_second, now_ms) = (client.requests_per_second(), services.steady_ms());
    // Files use up nothing of what the other requests may cost.
    let limiter = match kind {
        FrameKind::UPLOAD | FrameKind::DOWNLOAD => &services.piece_limiter,
        _ => &services.request_limiter,
    };
    let taken = limiter.take(client.user(), per_second, now_ms, cost);
    taken.map_err(|wait_ms| {
        Refusal::too_soon(
            ErrorCode::RATE_LIMITED,
            wait_ms,
            "this account makes too many requests",
        )
    })
}

/// Admits what costs as much as `cost` messages.
fn admit(services: &Services, client: &ClientContext, cost: u32) -> Result<(), Refusal> {
    admit_user(services, client.user(), client.sends_per_second(), cost)
}

/// The same of a user who may send so much.
fn admit_user(services: &Services, user: UserId, per_second: u32, cost: u32) -> Result<(), Refusal> {
    if planted::is(Fault::FloodAdmitted) {
        return Ok(());
    }
    let now_ms = services.steady_ms();
    let taken = services.rate_limiter.take(user, per_second, now_ms, cost);
    taken.map_err(|wait_ms| {
        Refusal::too_soon(
            ErrorCode::RATE_LIMITED,
            wait_ms,
            "this account sends too many messages",
        )
    })
}
