//! `sendmsg`, and what sending to one and to many users have in common.

use std::sync::Arc;

use tim_proto::{ConversationId, FileId, GroupType, MessageId, UserId};
use tim_store::{
    Account, Append, EntryFlags, Fingerprint, LogKey, Quota, Refused, Stored, Write, WriteError, Written,
};

use super::key::MsgKey;
use super::repeat::{ATTEMPTS, Ids, Sending};
use super::{sender, sender_account};
use crate::delivery::{LiveMessage, fanout};
use crate::http::rest::body::{Body, OF_C2C};
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::{Asked, Outgoing, Wanted};
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, Coded as _, RestError};
use crate::http::rest::fields::Fields;
use crate::refusal::Refusal;
use crate::service::Services;

/// What a call says of a message, besides to whom it goes.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    body: Body,
    /// With which body it is sent, if the application has changed it.
    changed: Option<Body>,
    pub(super) random: u32,
    /// `MsgSeq`.
    sequence: u64,
    /// What the application is asked and told.
    wanted: Wanted,
    /// It is not stored.
    online_only: bool,
    /// Of one that is not stored: whether the sender's devices get it.
    to_sender: bool,
}

/// Where a message is now.
pub(super) struct Sent {
    pub(super) key: MsgKey,
    id: MessageId,
}

impl Draft {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self, RestError> {
        let random = fields.need_number32("MsgRandom").coded(codes::BAD_RANDOM)?;
        fields.number32("MsgTimeStamp").coded(codes::BAD_TIME)?;
        let sequence = fields.number32("MsgSeq")?;
        // Longer than messages are kept is as long as they are kept.
        let life_time = fields.number("MsgLifeTime").coded(codes::BAD_LIFE_TIME)?;
        let sync = fields.number("SyncOtherMachine").coded(codes::BAD_SYNC)?;
        if sync.is_some_and(|sync| !(1..=2).contains(&sync)) {
            return Err(fields
                .fault("SyncOtherMachine", "is not 1 or 2")
                .with_code(codes::BAD_SYNC));
        }
        let online_only = life_time == Some(0) || fields.flag("OnlineOnlyFlag")?;
        Ok(Self {
            body: Body::read(fields, OF_C2C)?,
            changed: None,
            random,
            sequence: sequence.unwrap_or(0).into(),
            wanted: Wanted::default(),
            online_only,
            to_sender: sync != Some(2),
        })
    }

    /// Checks what the message says, and which files it names, on the pool of reads.
    pub(super) async fn check(self: &Arc<Self>, call: &Call, to: UserId) -> Result<Vec<FileId>, RestError> {
        let draft = Arc::clone(self);
        let checked = call.read(move |services| Ok(draft.files(services, to)));
        checked
            .await?
            .map_err(|refusal| self.body.refused(call.service, refusal))
    }

    /// The files that the message names, if it is right. Reads the store if there are any.
    fn files(&self, services: &Services, to: UserId) -> Result<Vec<FileId>, Refusal> {
        self.sent_body().check(services, to.into(), !self.online_only)
    }

    /// What is sent. The message is known again by what the caller has said.
    fn sent_body(&self) -> &Body {
        self.changed.as_ref().unwrap_or(&self.body)
    }

    fn outgoing(&self, user: UserId, to: UserId, id: MessageId) -> Outgoing<'_> {
        Outgoing {
            user,
            content: self.sent_body().content(to.into(), id),
            sequence: self.sequence,
            group_type: GroupType(0),
            online_only: self.online_only,
        }
    }

    /// Asks the application about the message, and sends it unless it was sent before. Whether it was in another span of time is looked up
    /// already for what is `sending`.
    async fn send_asked(
        self: Arc<Self>,
        call: &Call,
        from: &Account,
        to: UserId,
        (sending, files): (Option<Sending>, Vec<FileId>),
    ) -> Result<Sent, RestError> {
        let asked_id = MessageId {
            random: self.random,
            ..MessageId::default()
        };
        let message = self.outgoing(from.user, to, asked_id);
        let asked = self.wanted.ask(call, &message, &self.body).await;
        if !matches!(asked, Ok(Asked::Go(_)))
            && let Some(sent) = self.sent_meanwhile(call, from, to).await
        {
            return Ok(sent);
        }
        let (draft, files) = match asked? {
            Asked::Go(None) => (Arc::clone(&self), files),
            Asked::Go(Some(changed)) => {
                let draft = Arc::new(Self {
                    changed: Some(changed),
                    ..(*self).clone()
                });
                let files = draft.check(call, to).await;
                let files = draft.or_tell(call, (from.user, to, asked_id), files)?;
                (draft, files)
            }
            Asked::Drop => {
                let now_s = call.services.now_ms() / 1000;
                return Ok(Sent::passed_on(asked_id, now_s));
            }
        };
        if self.wanted.asks(call, to.into()) {
            // The answer may have taken its time.
            let checked = check_users(call, from.user, to).await;
            draft.or_tell(call, (from.user, to, asked_id), checked)?;
        }
        match sending {
            Some(sending) => draft.send_anew(call, from, to, (&sending, &files)).await,
            None => draft.send_to(call, from, to, &files).await,
        }
    }

    /// Where the message is if another call has sent it while the application was asked: that is what counts.
    async fn sent_meanwhile(self: &Arc<Self>, call: &Call, from: &Account, to: UserId) -> Option<Sent> {
        let (draft, sender) = (Arc::clone(self), from.clone());
        let found = call.read(move |services| draft.sent_before(services, &sender, to, true));
        found.await.ok()?.ok()
    }

    /// Tells the application that a message about which it was asked is refused after all, if it is.
    fn or_tell<T>(
        &self,
        call: &Call,
        (user, to, id): (UserId, UserId, MessageId),
        checked: Result<T, RestError>,
    ) -> Result<T, RestError> {
        if let Err(error) = &checked {
            let after = self.wanted.after(call, &self.outgoing(user, to, id));
            after.refused(error);
        }
        checked
    }

    /// What distinguishes the content, whoever receives it.
    pub(super) fn digest(&self) -> u64 {
        MsgKey::digest_of(self.body.digest())
    }

    /// Sends the message to one user, unless it was sent before.
    pub(super) async fn send_to(
        self: &Arc<Self>,
        call: &Call,
        from: &Account,
        to: UserId,
        files: &[FileId],
    ) -> Result<Sent, RestError> {
        let (draft, sender) = (Arc::clone(self), from.clone());
        let found = call.read(move |services| draft.sent_before(services, &sender, to, false));
        match found.await? {
            Ok(sent) => Ok(sent),
            Err(sending) => self.send_anew(call, from, to, (&sending, files)).await,
        }
    }

    /// Sends the message, which was not sent in another span of time, with one of its ids.
    async fn send_anew(
        &self,
        call: &Call,
        from: &Account,
        to: UserId,
        (sending, files): (&Sending, &[FileId]),
    ) -> Result<Sent, RestError> {
        let ids = self.ids(sending);
        for attempt in 0..ATTEMPTS {
            let id = ids.id(attempt);
            let sent = match self.online_only {
                true => self.pass_on(call, from, to, id)?,
                false => self.store(call, from, to, id, files).await?,
            };
            if let Some(sent) = sent {
                return Ok(sent);
            }
        }
        let info =
            "so many messages of this sender had the same MsgRandom within five minutes; choose another";
        Err(RestError::new(codes::BAD_RANDOM, info))
    }

    /// The ids that the message may have.
    const fn ids(&self, sending: &Sending) -> Ids {
        match self.online_only {
            true => sending.ids.of_passed_on(),
            false => sending.ids,
        }
    }

    /// Where the message is if it was sent in another span of time, or with `here` in this one; otherwise what is needed to send it. Reads
    /// the store.
    fn sent_before(
        &self,
        services: &Services,
        from: &Account,
        to: UserId,
        here: bool,
    ) -> Result<Result<Sent, Sending>, Refusal> {
        let now_s = services.now_ms() / 1000;
        let ids = Ids::new(from.number, self.random, (to.into(), self.digest()), now_s);
        // Before it is looked up: a call that ends in between has stored its message by then.
        let sending = Sending::begin(&services.under_way, ids);
        let (ids, fingerprint) = (self.ids(&sending), self.body.fingerprint(to.into()));
        let sent = match self.online_only {
            true => {
                let passed = ids.passed_on_beside(&services.recent_ids, fingerprint, here);
                passed.map(|(id, time)| Sent::passed_on(id, time))
            }
            false => {
                let stored = ids.stored_beside(services.reads.store(), &from.user, fingerprint, here)?;
                stored.map(|(id, at)| Sent::stored(id, at))
            }
        };
        Ok(sent.ok_or(sending))
    }

    /// Stores the message under this id; `None` if another message has it.
    async fn store(
        &self,
        call: &Call,
        from: &Account,
        to: UserId,
        id: MessageId,
        files: &[FileId],
    ) -> Result<Option<Sent>, RestError> {
        let conversation = ConversationId::C2c(to);
        let fingerprint = self.body.fingerprint(conversation);
        let after = self.wanted.after(call, &self.outgoing(from.user, to, id));
        let append = append(self.sent_body(), from, to, id, fingerprint, files);
        match call.services.writer.write(Write::Append(append)).await {
            Ok(Written::Stored(at)) => {
                after.stored(at);
                Ok(Some(Sent::stored(id, at)))
            }
            Ok(Written::Duplicate(at) | Written::DuplicateOfRevoked(at, _)) => Ok(Some(Sent::stored(id, at))),
            Ok(_) => Err(call.wrong_answer()),
            Err(WriteError::Refused(Refused::IdReused)) => Ok(None),
            Err(error) => {
                let error = RestError::of_write(call.service, error);
                after.refused(&error);
                Err(error)
            }
        }
    }

    /// Passes the message on to those online; `None` if another message has the id.
    fn pass_on(
        &self,
        call: &Call,
        from: &Account,
        to: UserId,
        id: MessageId,
    ) -> Result<Option<Sent>, RestError> {
        let (services, conversation) = (&call.services, ConversationId::C2c(to));
        let content = self.sent_body().encode(conversation, id, from, "");
        let outgoing = self.outgoing(from.user, to, id);
        let message = LiveMessage::of(
            (from.user, 0),
            &outgoing.content,
            self.body.fingerprint(conversation),
            &content,
            false,
            services.permissions.generation(),
            services.now_ms(),
        );
        let passed = message.pass_on(&services.recent_ids, services.steady_ms(), |delivery| {
            let users = match self.to_sender && from.user != to {
                true => [to, from.user].to_vec(),
                false => [to].to_vec(),
            };
            fanout::deliver_to(&services.presence, &users, delivery);
        });
        // It is refused for nothing else.
        let Ok(passed) = passed else { return Ok(None) };
        if !passed.duplicate {
            let after = self.wanted.after(call, &outgoing);
            after.stored(Stored {
                sequence: 0,
                change: 0,
                time_ms: passed.time * 1000,
            });
        }
        Ok(Some(Sent::passed_on(id, passed.time)))
    }
}

impl Sent {
    pub(super) const fn stored(id: MessageId, at: Stored) -> Self {
        let key = MsgKey {
            sequence: at.sequence,
            random: id.random,
            time: at.time_ms / 1000,
        };
        Self { key, id }
    }

    const fn passed_on(id: MessageId, time: u64) -> Self {
        let key = MsgKey {
            sequence: 0,
            random: id.random,
            time,
        };
        Self { key, id }
    }
}

/// A message for the log of two users. What an application's server sends does not use up what the sender may store.
pub(super) fn append(
    body: &Body,
    from: &Account,
    to: UserId,
    id: MessageId,
    fingerprint: Fingerprint,
    files: &[FileId],
) -> Append {
    Append {
        log: LogKey::c2c(from.user, to),
        sender: from.user,
        id,
        fingerprint,
        origin: 0,
        kind: body.kind,
        flags: body.flags | EntryFlags::NONE,
        content: body.encode(to.into(), id, from, ""),
        require_membership: true,
        mentions: Vec::new(),
        mention_all: false,
        quota: Quota::NONE,
        files: files.to_vec(),
    }
}

/// `sendmsg`: a message to one user.
pub(in crate::http::rest) async fn send(call: Call) -> Result<Answer, RestError> {
    let from = sender(&call)?;
    let to = call
        .fields()
        .need_user("To_Account")
        .coded(codes::BAD_TO_ACCOUNT)?;
    let mut draft = Draft::read(&call.fields())?;
    draft.wanted = Wanted::read(&call, &call.fields())?;
    let (asks, draft) = (draft.wanted.asks(&call, to.into()), Arc::new(draft));
    let found = call.read({
        let draft = Arc::clone(&draft);
        move |services| Found::read(services, &draft, from, to, asks)
    });
    let found = found.await?;
    check_receiver(&call, to, &found.known)?;
    let from = sender_account(&call, from, &found.known).await?;
    let files = found.files;
    let files = files.map_err(|refusal| draft.body.refused(call.service, refusal))?;
    let sent = match found.before {
        Some(Ok(sent)) => sent,
        before => {
            let sending = before.and_then(Result::err);
            draft.send_asked(&call, &from, to, (sending, files)).await?
        }
    };
    Ok(Answer::ok()
        .with("MsgTime", sent.key.time)
        .with("MsgKey", sent.key.to_string())
        .with("MsgId", sent.id.to_string()))
}

/// Checks that both are there.
async fn check_users(call: &Call, from: UserId, to: UserId) -> Result<(), RestError> {
    let read = call.read(move |services| Ok(services.reads.store().accounts(&[from, to])?));
    let known = read.await?;
    check_receiver(call, to, &known)?;
    sender_account(call, from, &known).await?;
    Ok(())
}

/// Checks that the receiver is among these accounts, or is the administrator who calls.
fn check_receiver(call: &Call, to: UserId, known: &[Account]) -> Result<(), RestError> {
    if to == call.admin || known.iter().any(|account| account.user == to) {
        return Ok(());
    }
    let info = "invalid To_Account: there is no such account";
    Err(RestError::new(codes::UNKNOWN_TO_ACCOUNT, info))
}

/// What has to be known before a message is sent, in one read.
struct Found {
    /// The accounts of the two users.
    known: Vec<Account>,
    files: Result<Vec<FileId>, Refusal>,
    /// As [`Draft::sent_before`]; `None` if the sender has no account yet.
    before: Option<Result<Sent, Sending>>,
}

impl Found {
    /// With `here` also what was sent in this span of time: the application is not asked about it again.
    fn read(
        services: &Services,
        draft: &Draft,
        from: UserId,
        to: UserId,
        here: bool,
    ) -> Result<Self, Refusal> {
        let known = services.reads.store().accounts(&[from, to])?;
        let sender = known.iter().find(|account| account.user == from);
        let before = sender.map(|sender| draft.sent_before(services, sender, to, here));
        Ok(Self {
            files: draft.files(services, to),
            before: before.transpose()?,
            known,
        })
    }
}
