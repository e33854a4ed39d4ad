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
    use tim_proto::message::to_vec;
    use tim_proto::{ConversationId, ErrorCode};

    use super::{Asked, Body, Call, Outgoing, RestError, Stored, Wanted};
    use crate::callbacks::{About, AfterSend, CallbackCommand, Decision, Platform, Sender};
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
                &call.services,
                message.sender(call),
                message.content.to,
                &to_vec(&message.content),
                message.group_type,
                message.online_only,
            ))
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
    use tim_proto::ConversationId;

    use super::{Asked, Body, Call, Outgoing, RestError, Stored, Wanted};

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

    pub(in crate::http::rest) struct After;

    impl After {
        pub(in crate::http::rest) const fn stored(&self, _: Stored) {}

        pub(in crate::http::rest) const fn refused(&self, _: &RestError) {}
    }
}

use imp::has_endpoint;
