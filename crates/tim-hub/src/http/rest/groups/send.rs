//! `send_group_msg`: a message to a group, whose sender need not be a member.

use std::sync::Arc;

use tim_proto::{ConversationId, ErrorCode, FileId, GroupId, GroupType, MessageId, Priority, UserId};
use tim_store::{
    Account, Append, Fingerprint, LogKey, MAX_MENTIONS, Quota, Refused, Stored, Write, WriteError, Written,
};

use super::{existing, group_of, named, refused};
use crate::delivery::{LiveMessage, Overloaded, RecentId};
use crate::http::rest::body::{Body, OF_GROUP};
use crate::http::rest::call::Call;
use crate::http::rest::callbacks::{Asked, Outgoing, Wanted};
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError};
use crate::http::rest::fields::Fields;
use crate::http::rest::messages::{ATTEMPTS, Ids, Sending, sender, sender_account};

/// Stands for all members in `GroupAtInfo` and in a list of mentioned users.
const EVERYBODY: &str = tim_proto::message::MENTION_ALL;

/// A message to a group.
struct Draft {
    group: GroupId,
    group_type: GroupType,
    online_only: bool,
    from: Account,
    /// The sender's name in the group.
    name_card: String,
    /// Whether the store checks that the sender is a member who may write.
    is_member: bool,
    body: Body,
    /// With which body it is sent, if the application has changed it.
    changed: Option<Body>,
    /// What the application is asked and told.
    wanted: Wanted,
    mentions: Vec<UserId>,
    mention_all: bool,
    files: Vec<FileId>,
}

/// Where a message is: its time in unix seconds, and its sequence; 0 if it is not stored.
type Sent = (u64, u64);

pub(in crate::http::rest) async fn send(call: Call) -> Result<Answer, RestError> {
    let fields = call.fields();
    let group = group_of(&fields)?;
    let random = fields.need_number32("Random")?;
    if fields.value("To_Account").is_some() {
        let info = "messages to some members of a group only are not supported";
        return Err(RestError::new(ErrorCode::GROUP_PERMISSION_DENY.0, info));
    }
    let (mentions, mention_all) = mentions(&fields)?;
    let mut body = Body::read(&fields, OF_GROUP)?.mentioning(&mentions, mention_all);
    body.priority = named(&fields, "MsgPriority", Priority::from_name)?.unwrap_or(Priority::NORMAL);
    let online_only = fields.flag("OnlineOnlyFlag")?;
    let from = sender(&call).map_err(|error| error.with_code(call.service.parameter))?;
    let found = existing(&call, group).await?;
    let is_stored = found.group_type != GroupType::AV_CHAT_ROOM && !online_only;

    let is_named = fields.non_empty_text("From_Account")?.is_some();
    let draft = draft(&call, group, from, is_named, body, is_stored).await?;
    let mut draft = Draft {
        group_type: found.group_type,
        online_only,
        wanted: Wanted::read(&call, &fields)?,
        mentions,
        mention_all,
        ..draft
    };
    let asks = draft.wanted.asks(&call, ConversationId::Group(group));
    // Before it is looked up: a call that ends in between has stored its message by then.
    let sending = draft.begin(&call, random);
    let ids = match is_stored {
        true => sending.ids,
        false => sending.ids.of_passed_on(),
    };
    let before = draft.sent_before(&call, &ids, (is_stored, asks)).await?;
    let before = match before {
        None if asks => draft.ask(&call, &ids, (random, is_stored)).await?,
        before => before,
    };
    let (time, sequence) = match before {
        Some(sent) => sent,
        None if is_stored => draft.store(&call, &ids).await?,
        None => draft.pass_on(&call, &ids)?,
    };
    drop(sending);
    Ok(Answer::ok().with("MsgTime", time).with("MsgSeq", sequence))
}

/// Whom the message mentions.
fn mentions(fields: &Fields<'_>) -> Result<(Vec<UserId>, bool), RestError> {
    let items = fields.objects("GroupAtInfo", MAX_MENTIONS)?;
    let (mut users, mut all) = (Vec::new(), false);
    for item in &items {
        if item.flag("GroupAtAllFlag")? || item.text("GroupAt_Account")? == Some(EVERYBODY) {
            all = true;
        } else {
            users.push(item.need_user("GroupAt_Account")?);
        }
    }
    Ok((users, all))
}

/// Checks the message and its sender. A member for whom it is sent must be allowed to write; the administrator may always.
async fn draft(
    call: &Call,
    group: GroupId,
    from: UserId,
    is_named: bool,
    body: Body,
    is_stored: bool,
) -> Result<Draft, RestError> {
    let to = ConversationId::Group(group);
    let checked = body.clone();
    let read = call.read(move |services| {
        let account = services.reads.store().account(&from)?;
        let files = checked.check(services, to, is_stored);
        let membership = match services.permissions.membership(&from, group) {
            Ok(membership) => Some(membership),
            Err(refusal) if refusal.code == ErrorCode::GROUP_PERMISSION_DENY => None,
            Err(refusal) => return Err(refusal),
        };
        if let Some(membership) = &membership
            && is_named
        {
            membership.may_write(services.now_ms(), false)?;
        }
        Ok((account, files, membership.map(|membership| membership.name_card)))
    });
    let (account, files, name_card) = read.await?;
    let account: Vec<Account> = account.into_iter().collect();
    let from = sender_account(call, from, &account)
        .await
        .map_err(|error| match error.code {
            codes::BAD_FROM_ACCOUNT => error.with_code(ErrorCode::GROUP_ACCOUNT_NOT_FOUND.0),
            _ => error,
        })?;
    let files = files.map_err(|refusal| body.refused(call.service, refusal))?;
    Ok(Draft {
        group,
        group_type: GroupType(0),
        online_only: false,
        from,
        is_member: is_named && name_card.is_some(),
        name_card: name_card.unwrap_or_default().into(),
        body,
        changed: None,
        wanted: Wanted::default(),
        mentions: Vec::new(),
        mention_all: false,
        files,
    })
}

impl Draft {
    fn to(&self) -> ConversationId {
        ConversationId::Group(self.group)
    }

    fn begin(&self, call: &Call, random: u32) -> Sending {
        let now_s = call.services.now_ms() / 1000;
        let ids = Ids::new(self.from.number, random, (self.to(), self.body.digest()), now_s);
        Sending::begin(&call.services.under_way, ids)
    }

    /// What is sent. The message is known again by what the caller has said.
    fn sent_body(&self) -> &Body {
        self.changed.as_ref().unwrap_or(&self.body)
    }

    fn outgoing(&self, id: MessageId) -> Outgoing<'_> {
        Outgoing {
            user: self.from.user,
            content: self.sent_body().content(self.to(), id),
            sequence: 0,
            group_type: self.group_type,
            online_only: self.online_only,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.body.fingerprint(self.to())
    }

    /// Where the message is if it was sent in another span of time, or with `here` in this one.
    async fn sent_before(
        &self,
        call: &Call,
        ids: &Ids,
        (is_stored, here): (bool, bool),
    ) -> Result<Option<Sent>, RestError> {
        let fingerprint = self.fingerprint();
        if !is_stored {
            let passed = ids.passed_on_beside(&call.services.recent_ids, fingerprint, here);
            return Ok(passed.map(|(_, time)| (time, 0)));
        }
        let (ids, user) = (*ids, self.from.user);
        let stored = call.read(move |services| {
            let store = services.reads.store();
            Ok(ids.stored_beside(store, &user, fingerprint, here)?)
        });
        Ok(stored.await?.map(|(_, at)| (at.time_ms / 1000, at.sequence)))
    }

    /// Asks the application about the message; what the caller is told if it is not to be sent now. What it says, and that it may be sent,
    /// is checked again then: the answer may have taken its time.
    async fn ask(
        &mut self,
        call: &Call,
        ids: &Ids,
        (random, is_stored): (u32, bool),
    ) -> Result<Option<Sent>, RestError> {
        let id = MessageId {
            random,
            ..MessageId::default()
        };
        let asked = self.wanted.ask(call, &self.outgoing(id), &self.body).await;
        if !matches!(asked, Ok(Asked::Go(_)))
            && let Ok(Some(sent)) = self.sent_before(call, ids, (is_stored, true)).await
        {
            // Another call has sent it meanwhile.
            return Ok(Some(sent));
        }
        match asked? {
            Asked::Drop => return Ok(Some((call.services.now_ms() / 1000, 0))),
            Asked::Go(changed) => self.changed = changed,
        }
        existing(call, self.group).await?;
        let (body, user) = (self.sent_body().clone(), self.from.user);
        let again = draft(call, self.group, user, self.is_member, body, is_stored).await?;
        self.files = again.files;
        Ok(None)
    }

    /// Stores the message.
    async fn store(&self, call: &Call, ids: &Ids) -> Result<Sent, RestError> {
        let fingerprint = self.fingerprint();
        let mut is_member = self.is_member;
        let mut attempt = 0;
        while attempt < ATTEMPTS {
            let id = ids.id(attempt);
            let append = Append {
                log: LogKey::Group(self.group),
                sender: self.from.user,
                id,
                fingerprint,
                origin: 0,
                kind: self.sent_body().kind,
                flags: self.sent_body().flags,
                content: self
                    .sent_body()
                    .encode(self.to(), id, &self.from, &self.name_card),
                require_membership: is_member,
                mentions: self.mentions.clone(),
                mention_all: self.mention_all,
                quota: Quota::NONE,
                files: self.files.clone(),
            };
            let after = self.wanted.after(call, &self.outgoing(id));
            match call.services.writer.write(Write::Append(append)).await {
                Ok(Written::Stored(at)) => {
                    after.stored(at);
                    return Ok((at.time_ms / 1000, at.sequence));
                }
                Ok(Written::Duplicate(at) | Written::DuplicateOfRevoked(at, _)) => {
                    return Ok((at.time_ms / 1000, at.sequence));
                }
                Ok(_) => return Err(call.wrong_answer()),
                Err(WriteError::Refused(Refused::IdReused)) => attempt += 1,
                // The sender has left a moment ago, which is no hindrance.
                Err(WriteError::Refused(Refused::NotParticipant(_))) if is_member => is_member = false,
                Err(error) => return Err(refused(call, error)),
            }
        }
        Err(too_many(call))
    }

    /// Passes the message on to those who are in the group now.
    fn pass_on(&self, call: &Call, ids: &Ids) -> Result<Sent, RestError> {
        let (services, fingerprint) = (&call.services, self.fingerprint());
        for attempt in 0..ATTEMPTS {
            let id = ids.id(attempt);
            if matches!(services.recent_ids.look_up(&id, fingerprint), RecentId::Other) {
                continue;
            }
            let outgoing = self.outgoing(id);
            let message = LiveMessage::of(
                (self.from.user, 0),
                &outgoing.content,
                fingerprint,
                &self
                    .sent_body()
                    .encode(self.to(), id, &self.from, &self.name_card),
                self.mention_all,
                services.permissions.generation(),
                services.now_ms(),
            );
            let passed = message.pass_on_if(&services.recent_ids, services.steady_ms(), |delivery| {
                let log = LogKey::Group(self.group);
                services.live.deliver(log, Arc::clone(delivery))
            });
            return match passed {
                Err(Overloaded) => {
                    let info = "too much is being sent to groups; try again later";
                    Err(RestError::new(codes::TOO_MANY_MESSAGES, info))
                }
                Ok(Ok(passed)) => {
                    if !passed.duplicate {
                        self.wanted.after(call, &outgoing).stored(Stored {
                            sequence: 0,
                            change: 0,
                            time_ms: passed.time * 1000,
                        });
                    }
                    Ok((passed.time, 0))
                }
                // Another message took the id a moment ago.
                Ok(Err(_)) => continue,
            };
        }
        Err(too_many(call))
    }
}

fn too_many(call: &Call) -> RestError {
    let info = "so many messages of this sender had the same Random within five minutes; choose another";
    RestError::new(call.service.parameter, info)
}
