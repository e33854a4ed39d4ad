//! Sending: what a message must be, what the hub adds to it, and which way it goes.

use std::sync::Arc;

use bytes::Bytes;
use tim_proto::message::{Envelope, MessageFlags, SenderNames, to_vec, with_sender_names};
use tim_proto::request::{AnyResponse as Answer, SendResponse};
use tim_proto::wire::{Extensions, FrameKind, features};
use tim_proto::{ConversationId, ErrorCode, GroupId, MessageId, UserId};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client_context::{GroupMembership, Names};
use crate::connection::Connection;
use crate::delivery::fanout;
use crate::delivery::group_queue::{Sent, Way};
use crate::delivery::live::Speaker;
use crate::delivery::recent_ids::{RecentId, RecentIds};
use crate::device::{Delivery, Device};
use crate::encoding as encode;
use crate::handlers::ask::Sending;
use crate::handlers::groups::refused;
use crate::permissions::CheckedAt;
use crate::refusal::Refusal;
use crate::service::Services;
use crate::store::{Append, EntryFlags, Fingerprint, LogKey, Refused, Stored, Write};

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    pub(crate) fn send(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        account: u64,
        sending: Sending,
    ) -> Result<(), Refusal> {
        self.may_send(device, account, &sending)?;
        match sending.to {
            ConversationId::Group(group) => self.send_to_group(id, device, group, sending),
            ConversationId::C2c(peer) => self.send_to_peer(id, device, peer, sending),
            _ => Err(Refusal::new(
                ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE,
                "",
            )),
        }
    }

    /// What can be checked before it is known where it goes.
    fn may_send(&self, device: &Device, account: u64, sending: &Sending) -> Result<(), Refusal> {
        if sending.id.sender != account {
            return Err(Refusal::new(
                ErrorCode::GROUP_INVALID_PARAMETERS,
                "the message id carries another account number",
            ));
        }
        self.hub.presence.may_send(&device.user, self.hub.steady_ms(), 1)
    }

    fn send_to_peer(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        peer: UserId,
        sending: Sending,
    ) -> Result<(), Refusal> {
        self.introduce(peer)?;
        let log = LogKey::c2c(device.user, peer);
        let content = self.with_names(device, &sending, "")?;
        if sending.online_user_only {
            if let Some(first) = self.stored_before(&log, device, &sending)? {
                self.sent(id, Some(log), first.sequence, first.time_ms / 1000, true);
                return Ok(());
            }
            let live = live(&self.hub, device, &sending, &content, self.hub.permissions.now());
            let passed = live.pass_on(&self.hub.live_ids, self.hub.now_ms(), |delivery| {
                fanout::deliver(&self.hub.presence, &log, delivery);
            })?;
            self.sent(id, Some(log), 0, passed.time, passed.duplicate);
            return Ok(());
        }
        self.is_not_passed_on(&sending)?;
        let append = append(log, device, sending, content);
        self.write(id, FrameKind::SEND, device, Some(log), Write::Append(append))
    }

    fn send_to_group(
        &mut self,
        id: u32,
        device: &Arc<Device>,
        group: GroupId,
        sending: Sending,
    ) -> Result<(), Refusal> {
        let place = match self.place_to_write(device, group, sending.mention_all) {
            Ok(place) => place,
            // It may be the repetition of what was stored while its sender still had the right. The store knows, and
            // refuses everything else.
            Err(_) if !sending.online_user_only && !self.hub.presence.is_room(&group) => {
                let log = LogKey::Group(group);
                let content = self.with_names(device, &sending, "")?;
                let append = append(log, device, sending, content);
                return self.write(id, FrameKind::SEND, device, Some(log), Write::Append(append));
            }
            Err(failed) => return Err(failed),
        };
        if sending.online_user_only && !place.rules.is_stored {
            return Err(Refusal::new(ErrorCode::ONLINE_ONLY_NOT_ALLOWED, ""));
        }
        if sending.online_user_only
            && let Some(first) = self.stored_before(&LogKey::Group(group), device, &sending)?
        {
            self.sent(
                id,
                Some(LogKey::Group(group)),
                first.sequence,
                first.time_ms / 1000,
                true,
            );
            return Ok(());
        }
        let content = self.with_names(device, &sending, &place.name_card)?;
        let priority = sending.priority;
        let way = if sending.online_user_only || !place.rules.is_stored {
            let checked = self
                .me
                .as_ref()
                .map_or_else(|| self.hub.permissions.now(), |me| me.checked);
            Way::Live(live(&self.hub, device, &sending, &content, checked))
        } else {
            self.is_not_passed_on(&sending)?;
            Way::Store(Box::new(append(LogKey::Group(group), device, sending, content)))
        };
        let speaker = Speaker {
            device: Arc::clone(device),
            request: id,
            group,
        };
        self.hub.offer(priority, Sent { speaker, way });
        Ok(())
    }

    /// Where an online-only message was stored before, and so has reached everybody.
    fn stored_before(
        &self,
        log: &LogKey,
        device: &Device,
        sending: &Sending,
    ) -> Result<Option<Stored>, Refusal> {
        let Sending { id, fingerprint, .. } = sending;
        let found = self.hub.reader.stored(log, &device.user, id, *fingerprint)?;
        found.transpose().map_err(refused)
    }

    /// Refuses a message to be stored under an id under which another one was passed on. The same one may be stored.
    fn is_not_passed_on(&self, sending: &Sending) -> Result<(), Refusal> {
        match self.hub.live_ids.look(&sending.id, sending.fingerprint) {
            RecentId::Other => Err(refused(Refused::IdReused)),
            RecentId::Unknown | RecentId::Same(_) => Ok(()),
        }
    }

    /// Sees to it that a peer has an account, where registration is open.
    fn introduce(&mut self, peer: UserId) -> Result<(), Refusal> {
        let Some(me) = &mut self.me else { return Ok(()) };
        if !self.hub.options.open_registration || me.knows(&peer) {
            return Ok(());
        }
        if self.hub.reader.account(&peer)?.is_some() {
            me.meet(peer);
            return Ok(());
        }
        if !peer.is_well_formed() {
            let text = "no account is made under an id that begins or ends with a space";
            return Err(Refusal::new(ErrorCode::MSG_INVALID_ID, text));
        }
        // Writes are done in the order in which they are handed in: the message comes behind it.
        let submitted = self.hub.writer.submit(Write::EnsureAccount(peer), |_| ());
        submitted.map_err(|error| Refusal::from(&error))
    }

    /// The content with the sender's names behind it.
    fn with_names(&mut self, device: &Device, sending: &Sending, name_card: &str) -> Result<Bytes, Refusal> {
        let Names { nick, avatar } = self.names(device)?;
        let names = SenderNames {
            nick: &nick,
            name_card,
            avatar: &avatar,
        };
        if names == SenderNames::default() {
            return Ok(sending.content.clone());
        }
        Ok(with_sender_names(&sending.content, &names).into())
    }

    /// Answers a SEND; with the sender's names, if the client wants to know them.
    pub(crate) fn sent(&mut self, id: u32, log: Option<LogKey>, sequence: u64, time: u64, duplicate: bool) {
        let names = self.told_names(log);
        let answer = SendResponse {
            sequence,
            time,
            duplicate,
            // What was just written is well-formed.
            extensions: Extensions::new(&names).unwrap_or_default(),
        };
        self.reply(id, FrameKind::SEND, &Answer::Send(answer));
    }

    /// The sender's names in a conversation as extensions. A client without a feature bit for them gets none; neither does
    /// one whose message is stored while its names cannot be read.
    fn told_names(&mut self, log: Option<LogKey>) -> Vec<u8> {
        if self.io.session().peer_features() & features::SENDER_NAMES == 0 {
            return Vec::new();
        }
        let Some(device) = self.me.as_ref().map(|me| Arc::clone(&me.device)) else {
            return Vec::new();
        };
        let Ok(Names { nick, avatar }) = self.names(&device) else {
            return Vec::new();
        };
        let place = match log {
            Some(LogKey::Group(group)) => match self.me.as_ref().and_then(|me| me.place(&group)) {
                Some(place) => Some(place),
                None => self.place(&device, group).ok(),
            },
            _ => None,
        };
        to_vec(&SenderNames {
            nick: &nick,
            name_card: place.as_ref().map_or("", |place| &place.name_card),
            avatar: &avatar,
        })
    }

    fn names(&mut self, device: &Device) -> Result<Names, Refusal> {
        if let Some(names) = self.me.as_ref().and_then(|me| me.names()) {
            return Ok(names);
        }
        let account = self.hub.reader.account(&device.user)?;
        let (nick, avatar) = account
            .map(|found| (found.nick, found.avatar))
            .unwrap_or_default();
        let names = Names {
            nick: nick.into(),
            avatar: avatar.into(),
        };
        if let Some(me) = &mut self.me {
            me.is_called(names.clone());
        }
        Ok(names)
    }

    /// The user's standing in a group that the user may write in. Who has no right to write must not use up what the group
    /// takes a second, so it is checked here; the store checks it again.
    fn place_to_write(
        &mut self,
        device: &Device,
        group: GroupId,
        mention_all: bool,
    ) -> Result<GroupMembership, Refusal> {
        let now_ms = self.hub.now_ms();
        let edition = self.hub.presence.edition(&group, &device.user);
        if let Some(place) = self.me.as_ref().and_then(|me| me.place(&group))
            && edition.is_some()
            && edition == place.edition
            && place.may_write(now_ms, mention_all).is_ok()
        {
            return Ok(place);
        }
        // What is remembered may be old: nobody is refused for that.
        let place = self.place(device, group)?;
        place.may_write(now_ms, mention_all).map_err(refused)?;
        Ok(place)
    }

    /// The user's standing in a group, from the store.
    pub(crate) fn place(&mut self, device: &Device, group: GroupId) -> Result<GroupMembership, Refusal> {
        let place = self.hub.permissions.place(&device.user, group)?;
        if let Some(me) = &mut self.me {
            me.stands(group, place.clone());
        }
        Ok(place)
    }
}

fn append(log: LogKey, device: &Device, sending: Sending, content: Bytes) -> Append {
    Append {
        log,
        sender: device.user,
        id: sending.id,
        fingerprint: sending.fingerprint,
        origin: device.number,
        kind: sending.kind,
        flags: EntryFlags::NONE,
        content,
        require_membership: true,
        mentions: sending.mentions,
        mention_all: sending.mention_all,
    }
}

/// A message for those online only: past the store (S86-S91).
#[derive(Debug)]
pub(crate) struct Live {
    id: MessageId,
    fingerprint: Fingerprint,
    delivery: Arc<Delivery>,
    /// When it came, unix seconds.
    time: u64,
    pub(crate) mention_all: bool,
    /// When its sender was last allowed to send it.
    pub(crate) checked: CheckedAt,
}

/// How a message went past the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassedOn {
    /// When, unix seconds.
    pub(crate) time: u64,
    /// It had been passed on before, and was not now.
    pub(crate) duplicate: bool,
}

impl Live {
    /// Passes the message on, unless this was done before.
    pub(crate) fn pass_on(
        &self,
        ids: &RecentIds,
        now_ms: u64,
        deliver: impl FnOnce(&Arc<Delivery>),
    ) -> Result<PassedOn, Refusal> {
        if let Some(before) = passed(ids.take(self.id, self.fingerprint, now_ms))? {
            return Ok(before);
        }
        deliver(&self.delivery);
        Ok(PassedOn {
            time: self.time,
            duplicate: false,
        })
    }

    /// How the message was passed on before, if it was.
    pub(crate) fn passed_before(&self, ids: &RecentIds) -> Result<Option<PassedOn>, Refusal> {
        passed(ids.look(&self.id, self.fingerprint))
    }
}

fn passed(found: RecentId) -> Result<Option<PassedOn>, Refusal> {
    match found {
        RecentId::Unknown => Ok(None),
        RecentId::Same(at_ms) => Ok(Some(PassedOn {
            time: at_ms / 1000,
            duplicate: true,
        })),
        RecentId::Other => Err(refused(Refused::IdReused)),
    }
}

fn live(hub: &Services, device: &Device, sending: &Sending, content: &[u8], checked: CheckedAt) -> Live {
    let time = hub.now_ms() / 1000;
    let envelope = Envelope {
        sequence: 0,
        time,
        flags: MessageFlags::ONLINE_ONLY,
        origin: device.number,
        from: device.user,
    };
    let message = encode::enveloped(&envelope, content);
    let delivery = Delivery::live(device.user, device.number, sending.priority, message);
    Live {
        id: sending.id,
        fingerprint: sending.fingerprint,
        delivery: Arc::new(delivery),
        time,
        mention_all: sending.mention_all,
        checked,
    }
}
