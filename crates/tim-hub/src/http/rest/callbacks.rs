//! What the application is asked and told about messages that its own server sends, as about those of devices.

use tim_proto::message::Content;
use tim_proto::{GroupType, UserId};
use tim_store::Stored;

use super::body::Body;
use super::call::Call;
use super::envelope::RestError;
use super::fields::Fields;

/// The most words in `ForbidCallbackControl`.
pub(super) const MAX_FORBIDDEN: usize = 16;

/// Which callbacks a call wants: `ForbidCallbackControl`.
#[derive(Debug, Clone, Copy, Default)]
#[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
pub(super) struct Wanted {
    before: bool,
    after: bool,
}

/// A message that is about to be sent.
#[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
pub(super) struct Outgoing<'a> {
    pub(super) user: UserId,
    pub(super) content: Content<'a>,
    /// What the caller says of its place.
    pub(super) sequence: u64,
    /// Of a group.
    pub(super) group_type: GroupType,
    pub(super) online_only: bool,
}

/// Who has become whose friend by a call: the owner of the list, and the friend.
#[derive(Debug, Default)]
#[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
pub(super) struct Friendships {
    pub(super) begun: Vec<(UserId, UserId)>,
    /// Who is none any more.
    pub(super) ended: Vec<(UserId, UserId)>,
}

/// What becomes of a message after the application was asked.
#[cfg_attr(not(feature = "outgoing"), allow(dead_code))]
pub(super) enum Asked {
    /// It is sent, maybe with another body.
    Go(Option<Body>),
    /// It is dropped, and the caller does not hear of it.
    Drop,
}

impl Wanted {
    /// What the call says; words without a meaning are ignored. Without an endpoint nothing is wanted.
    pub(super) fn read(call: &Call, fields: &Fields<'_>) -> Result<Self, RestError> {
        let forbidden = fields.texts("ForbidCallbackControl", MAX_FORBIDDEN)?;
        let wants = |word| !forbidden.contains(&word);
        let has_endpoint = has_endpoint(call);
        Ok(Self {
            before: has_endpoint && wants("ForbidBeforeSendMsgCallback"),
            after: has_endpoint && wants("ForbidAfterSendMsgCallback"),
        })
    }
}

#[cfg(feature = "outgoing")]
mod imp {
    use tim_groups::{FieldChange, NewGroup};
    use tim_proto::message::to_vec;
    use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, UserId};
    use tim_store::{Entry, LogKey};

    use super::{Asked, Body, Call, Friendships, Outgoing, RestError, Stored, Wanted};
    use crate::callbacks::{
        About, AfterRead, AfterRevoke, AfterSend, CallbackCommand, Decision, Platform, Question, Sender,
    };
    use crate::handlers::{invitation, owned_groups};
    use crate::refusal::Refusal;

    pub(super) fn has_endpoint(call: &Call) -> bool {
        call.services.callbacks.are_there()
    }

    impl Wanted {
        /// Whether the application is asked about a message to this conversation.
        pub(in crate::http::rest) fn asks(self, call: &Call, to: ConversationId) -> bool {
            let command = match to {
                ConversationId::Group(_) => CallbackCommand::BeforeGroup,
                _ => CallbackCommand::BeforeC2c,
            };
            self.before && call.services.callbacks.wants(command)
        }

        /// Asks about a message with this body. No thread is held meanwhile. Rights have to be checked after it.
        pub(in crate::http::rest) async fn ask(
            self,
            call: &Call,
            message: &Outgoing<'_>,
            body: &Body,
        ) -> Result<Asked, RestError> {
            if !self.asks(call, message.content.to) {
                return Ok(Asked::Go(None));
            }
            let about = About {
                sender: message.sender(call),
                content: &message.content,
                sequence: message.sequence,
                group_type: message.group_type.name().unwrap_or_default(),
                online_only: message.online_only,
                now_ms: call.services.now_ms(),
            };
            let change = |content: &tim_json::Content| body.with_content(content);
            match call.services.callbacks.ask_about(&about, change).await {
                Decision::Go(changed) => Ok(Asked::Go(changed)),
                Decision::Drop => Ok(Asked::Drop),
                Decision::Refuse(refusal) => Err(RestError::of(call.service, refusal)),
                Decision::Stopping => {
                    let refusal = Refusal::new(ErrorCode::SERVER_SHUTTING_DOWN, "");
                    Err(RestError::of(call.service, refusal))
                }
            }
        }

        /// What the application is told of a message when it is known what has become of it.
        pub(in crate::http::rest) fn after(self, call: &Call, message: &Outgoing<'_>) -> After {
            if !self.after {
                return After(None);
            }
            After(AfterSend::new(
                &call.services.callbacks,
                message.sender(call),
                message.content.to,
                &to_vec(&message.content),
                message.group_type,
                message.online_only,
                call.services.now_ms(),
            ))
        }
    }

    /// What the application is told of a message that is about to be revoked. The type is that of a group.
    pub(in crate::http::rest) fn after_revoke(
        call: &Call,
        (log, group_type): (&LogKey, GroupType),
        message: &Entry,
    ) -> Revoking {
        let services = &call.services;
        let by = (call.admin, Platform::Server);
        Revoking(AfterRevoke::new(
            &services.callbacks,
            (log, group_type),
            message,
            by,
            services.now_ms(),
        ))
    }

    /// What the application is told of a message that is revoked.
    pub(in crate::http::rest) struct Revoking(Option<AfterRevoke>);

    impl Revoking {
        pub(in crate::http::rest) fn done(self) {
            self.0.into_iter().for_each(AfterRevoke::revoked);
        }
    }

    /// Tells of a conversation that a user has read.
    pub(in crate::http::rest) fn tell_read(call: &Call, user: UserId, log: &LogKey) {
        let by = (user, Platform::Server);
        let after = AfterRead::new(&call.services.callbacks, by, log, call.services.now_ms());
        after.into_iter().for_each(AfterRead::read);
    }

    /// Tells of users who have become friends of this one, or are none any more.
    pub(in crate::http::rest) fn tell_friends(
        call: &Call,
        user: UserId,
        changed: &Friendships,
        forced: bool,
    ) {
        let (callbacks, now_ms) = (&call.services.callbacks, call.services.now_ms());
        callbacks.befriended(&changed.begun, (user, call.admin), forced, now_ms);
        callbacks.unfriended(&changed.ended, now_ms);
    }

    /// Whether the application is told of attributes of groups.
    pub(in crate::http::rest) fn tells_attributes(call: &Call) -> bool {
        call.services.callbacks.wants(CallbackCommand::AfterAttributes)
    }

    /// Tells of attributes of a group that were set, or with `clear` of all that were removed.
    pub(in crate::http::rest) fn tell_attributes(
        call: &Call,
        group: (GroupId, GroupType),
        change: (bool, &[FieldChange]),
    ) {
        let (callbacks, now_ms) = (&call.services.callbacks, call.services.now_ms());
        callbacks.attributes_changed(group, call.admin, change, now_ms);
    }

    /// Asks about a group that is to be created.
    pub(in crate::http::rest) async fn ask_create(call: &Call, new: &NewGroup) -> Result<(), RestError> {
        if !call.services.callbacks.wants(CallbackCommand::BeforeCreateGroup) {
            return Ok(());
        }
        let (owner, group) = (new.owner, new.group);
        let found = call.read(move |services| {
            let is_there = services.reads.store().group(&group)?.is_some();
            Ok((!is_there).then_some(owned_groups(services, &owner)?))
        });
        // One that is there is not created.
        let Some(owned) = found.await? else { return Ok(()) };
        let question = Question::Create {
            operator: call.admin,
            new: Box::new(new.clone()),
            owned,
        };
        ask_group(call, &question).await.map(|_| ())
    }

    /// Asks about users who are to be added to a group. Returns whom of them the application refuses.
    pub(in crate::http::rest) async fn ask_invite(
        call: &Call,
        group: GroupId,
        users: Vec<UserId>,
    ) -> Result<Vec<UserId>, RestError> {
        if !call.services.callbacks.wants(CallbackCommand::BeforeInvite) {
            return Ok(Vec::new());
        }
        let admin = call.admin;
        let found = call.read(move |services| {
            let found = services.reads.store().group(&group)?;
            // Nobody is added to an AVChatRoom.
            let stored = found.filter(|group| group.group_type != GroupType::AV_CHAT_ROOM);
            match stored.map(|found| (found.group, found.group_type)) {
                Some(group) => invitation(services, group, admin, &users),
                None => Ok(None),
            }
        });
        match found.await? {
            Some(question) => ask_group(call, &question).await,
            None => Ok(Vec::new()),
        }
    }

    async fn ask_group(call: &Call, question: &Question) -> Result<Vec<UserId>, RestError> {
        let services = &call.services;
        let decided = services
            .callbacks
            .ask_group(question, Platform::Server, services.now_ms());
        match decided.await {
            Decision::Go(refused) => Ok(refused.unwrap_or_default()),
            // Only messages are dropped.
            Decision::Drop => Ok(Vec::new()),
            Decision::Refuse(refusal) => Err(RestError::of(call.service, refusal)),
            Decision::Stopping => {
                let refusal = Refusal::new(ErrorCode::SERVER_SHUTTING_DOWN, "");
                Err(RestError::of(call.service, refusal))
            }
        }
    }

    impl Outgoing<'_> {
        const fn sender(&self, call: &Call) -> Sender {
            Sender {
                user: self.user,
                operator: call.admin,
                platform: Platform::Server,
            }
        }
    }

    /// What the application is told of a message.
    pub(in crate::http::rest) struct After(Option<Box<AfterSend>>);

    impl After {
        /// It was stored here, or passed on at this time.
        pub(in crate::http::rest) fn stored(&self, at: Stored) {
            self.0.iter().for_each(|after| after.stored(at));
        }

        /// It was not.
        pub(in crate::http::rest) fn refused(&self, error: &RestError) {
            self.0
                .iter()
                .for_each(|after| after.refused(error.code, &error.info));
        }
    }
}

/// Without callbacks nothing is asked and told.
#[cfg(not(feature = "outgoing"))]
mod imp {
    use tim_groups::{FieldChange, NewGroup};
    use tim_proto::{ConversationId, GroupId, GroupType, UserId};
    use tim_store::{Entry, LogKey};

    use super::{Asked, Body, Call, Friendships, Outgoing, RestError, Stored, Wanted};

    pub(super) const fn has_endpoint(_: &Call) -> bool {
        false
    }

    impl Wanted {
        pub(in crate::http::rest) const fn asks(self, _: &Call, _: ConversationId) -> bool {
            false
        }

        pub(in crate::http::rest) async fn ask(
            self,
            _: &Call,
            _: &Outgoing<'_>,
            _: &Body,
        ) -> Result<Asked, RestError> {
            std::future::ready(Ok(Asked::Go(None))).await
        }

        pub(in crate::http::rest) const fn after(self, _: &Call, _: &Outgoing<'_>) -> After {
            After
        }
    }

    pub(in crate::http::rest) const fn after_revoke(
        _: &Call,
        _: (&LogKey, GroupType),
        _: &Entry,
    ) -> Revoking {
        Revoking
    }

    pub(in crate::http::rest) struct Revoking;

    impl Revoking {
        pub(in crate::http::rest) const fn done(self) {}
    }

    pub(in crate::http::rest) const fn tell_read(_: &Call, _: UserId, _: &LogKey) {}

    pub(in crate::http::rest) const fn tell_friends(_: &Call, _: UserId, _: &Friendships, _: bool) {}

    pub(in crate::http::rest) const fn tells_attributes(_: &Call) -> bool {
        false
    }

    pub(in crate::http::rest) const fn tell_attributes(
        _: &Call,
        _: (GroupId, GroupType),
        _: (bool, &[FieldChange]),
    ) {
    }

    pub(in crate::http::rest) async fn ask_create(_: &Call, _: &NewGroup) -> Result<(), RestError> {
        std::future::ready(Ok(())).await
    }

    pub(in crate::http::rest) async fn ask_invite(
        _: &Call,
        _: GroupId,
        _: Vec<UserId>,
    ) -> Result<Vec<UserId>, RestError> {
        std::future::ready(Ok(Vec::new())).await
    }

    pub(in crate::http::rest) struct After;

    impl After {
        pub(in crate::http::rest) const fn stored(&self, _: Stored) {}

        pub(in crate::http::rest) const fn refused(&self, _: &RestError) {}
    }
}

use imp::has_endpoint;
pub(super) use imp::{
    after_revoke, ask_create, ask_invite, tell_attributes, tell_friends, tell_read, tells_attributes,
};
