//! A hub with one conversation, between the device's user and bob.

use tim_session::proto::conversation::{Conversation, ConversationProfile, UserProfile};
use tim_session::proto::message::{Content, Envelope, Header, Message, Payload, Text, flags, to_vec};
use tim_session::proto::request::{
    AnyRequest as Request, AnyResponse as Answer, ConversationsResponse, Done, Failure, FetchResponse,
    History, HistoryResponse, LoginResponse, MarkReadResponse, RevokeResponse, SendResponse,
};
use tim_session::proto::wire::{FrameKind, List, decode_body};
use tim_session::proto::{
    ConversationId, ErrorCode, GroupType, MessageId, Platform, Priority, ReceiveOption, UserId,
};
use tim_session::{
    AnswerError, DeliverError, Framing, GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant,
};

/// What the hub's clock says when ours says zero, in milliseconds.
pub(crate) const HUB_TIME_MS: u64 = 1_700_000_000_000;
pub(crate) const ACCOUNT: u64 = 1001;

pub(crate) fn user(name: &str) -> UserId {
    UserId::new(name).expect("a user id")
}

pub(crate) fn bob() -> ConversationId {
    ConversationId::C2c(user("bob"))
}

#[derive(Default)]
pub(crate) struct Hub {
    session: Option<HubSession<GrowBuffer>>,
    pub(crate) framing: Framing,
    /// The conversation's entries; the first one has sequence 1.
    log: Vec<Vec<u8>>,
    next: usize,
    synced: bool,
    pub(crate) logins: usize,
    pub(crate) refuse: Option<ErrorCode>,
    /// Requests that are left without an answer from now on.
    pub(crate) mute: bool,
    /// It takes nothing while it has something to say.
    pub(crate) stubborn: bool,
    read: u64,
    deleted: bool,
    bobs: u32,
}

impl Hub {
    /// A new line.
    pub(crate) fn open(&mut self, now: Instant) {
        let mut config = HubConfig::default();
        config.framing = self.framing;
        self.session = Some(HubSession::new(
            config,
            GrowBuffer::new(1 << 16),
            GrowBuffer::new(1 << 16),
            now,
        ));
    }

    pub(crate) fn close(&mut self) {
        self.session = None;
    }

    pub(crate) fn kick(&mut self, code: ErrorCode) {
        self.session
            .as_mut()
            .expect("a session")
            .goodbye(&Failure::new(code, ""));
    }

    /// Bob says something.
    pub(crate) fn bob_says(&mut self, text: &str) {
        self.bobs += 1;
        let id = MessageId {
            sender: 2002,
            client_time: 5,
            random: self.bobs,
        };
        let message = Message {
            envelope: self.envelope(user("bob"), 77),
            to: ConversationId::C2c(user("kiosk")),
            id,
            client_sequence: 1,
            priority: Priority::NORMAL,
            payload: Payload::Text(Text { text }),
            extensions: Default::default(),
        };
        self.log.push(message.to_encoded().into_inner());
    }

    fn envelope(&self, from: UserId, origin: u64) -> Envelope {
        Envelope {
            sequence: self.log.len() as u64 + 1,
            time: 1,
            flags: 0,
            origin,
            from,
        }
    }

    fn message(&self, sequence: u64) -> Option<Message<'_>> {
        let entry = self.log.get(usize::try_from(sequence.checked_sub(1)?).ok()?)?;
        Message::decode_from(entry).ok()
    }

    /// The texts that the device's user sent, oldest first.
    pub(crate) fn texts_of_kiosk(&self) -> Vec<String> {
        let texts = (1..=self.log.len() as u64).filter_map(|sequence| {
            let message = self.message(sequence)?;
            match message.payload {
                Payload::Text(text) if *message.sender() == user("kiosk") => Some(text.text.to_owned()),
                _ => None,
            }
        });
        texts.collect()
    }

    /// Payload and flags of an entry.
    pub(crate) fn entry(&self, sequence: u64) -> (Payload<'_>, u32) {
        let message = self.message(sequence).expect("an entry");
        (message.payload, message.envelope.flags)
    }

    /// Takes what it can of these bytes, and says how many.
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        match &mut self.session {
            Some(session) if self.stubborn && !session.outgoing().is_empty() => 0,
            Some(session) => session.receive(now, bytes),
            None => bytes.len(),
        }
    }

    pub(crate) fn outgoing(&self) -> &[u8] {
        self.session.as_ref().map_or(&[], HubSession::outgoing)
    }

    pub(crate) fn transmitted(&mut self, len: usize) {
        self.session.as_mut().expect("a session").transmitted(len);
    }

    /// Does what can be done; when to come back, and whether the line is to be closed.
    pub(crate) fn settle(&mut self, now: Instant) -> (Option<Instant>, bool) {
        loop {
            self.deliver();
            let Some(mut session) = self.session.take() else {
                return (None, false);
            };
            match session.poll(now) {
                HubOutput::Wait(until) => {
                    self.session = Some(session);
                    return (until, false);
                }
                HubOutput::Close(_) if self.framing == Framing::Serial => session.begin_again(now),
                HubOutput::Close(_) => {
                    self.session = Some(session);
                    return (None, true);
                }
                HubOutput::Event(HubEvent::Login(login)) => {
                    let from = decode_body::<u32>(login.cursor).map_or(self.log.len(), |at| at as usize);
                    assert_eq!(login.platform, Platform::DEVICE);
                    self.log_in(&mut session, from, now);
                }
                HubOutput::Event(HubEvent::Request { id, request, body }) if !self.mute => {
                    let (request, body) = (request_kind(&request), (body.to_vec(), id));
                    self.act(&mut session, request, &body.0, body.1);
                }
                HubOutput::Event(HubEvent::Malformed { error, .. }) => panic!("{error}"),
                HubOutput::Event(_) => {}
            }
            self.session = Some(session);
        }
    }

    fn log_in(&mut self, session: &mut HubSession<GrowBuffer>, from: usize, now: Instant) {
        if let Some(code) = self.refuse {
            return session.refuse(&Failure::new(code, "no"));
        }
        (self.logins, self.next, self.synced) = (self.logins + 1, from, false);
        let welcome = LoginResponse {
            account: ACCOUNT,
            time_ms: HUB_TIME_MS + now.as_micros() / 1000,
            cursor: &to_vec(&(from as u32)),
            nick: "Kiosk",
            ..LoginResponse::default()
        };
        session.accept(&welcome).expect("room");
    }

    fn deliver(&mut self) {
        let Some(session) = self.session.as_mut().filter(|session| session.is_online()) else {
            return;
        };
        while let Some(entry) = self.log.get(self.next) {
            let header: Header<'_> = decode_body(entry).expect("an entry");
            let cursor = to_vec(&(self.next as u32 + 1));
            if header.envelope.origin != 7 {
                match session.deliver(&cursor, 0, entry) {
                    Ok(()) => {}
                    Err(DeliverError::Answer(AnswerError::TooLarge { .. })) => {
                        let Header {
                            mut envelope,
                            mut content,
                        } = header;
                        let len = content.payload.len() as u32;
                        envelope.flags |= flags::STUB;
                        content.payload = &[];
                        if session
                            .deliver(&cursor, len, &to_vec(&Header { envelope, content }))
                            .is_err()
                        {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
            self.next += 1;
        }
        if !self.synced {
            self.synced = session.push(FrameKind::SYNCED, &Done).is_ok();
        }
    }

    fn act(&mut self, session: &mut HubSession<GrowBuffer>, kind: FrameKind, body: &[u8], id: u32) {
        let request = Request::decode(kind, body).expect("a request");
        if let Request::Send(send) = &request {
            let Some(answer) = self.store(&send.content) else {
                let reused = Failure::new(ErrorCode::MESSAGE_ID_REUSED, "");
                return session.fail(id, &reused).expect("room");
            };
            return session.answer(id, kind, &Answer::Send(answer)).expect("room");
        }
        if let Request::History(history) = &request {
            return self.page(session, id, history);
        }
        let last = self.log.last().map(Vec::as_slice);
        let conversation = Conversation {
            id: bob(),
            unread: (self.log.len() as u64 - self.read) as u32,
            read_sequence: self.read,
            last_sequence: self.log.len() as u64,
            name: "Bob",
            avatar: "",
            group_type: GroupType(0),
            last_message: last.filter(|last| last.len() < 100),
            receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
            at: List::default(),
        };
        let profile = UserProfile {
            id: user("bob"),
            nick: "Bob",
            avatar: "",
        };
        let list = [conversation];
        let shown = if self.deleted { &[][..] } else { &list[..] };
        let answer = match request {
            Request::MarkRead(_) => {
                self.read = self.log.len() as u64;
                Answer::MarkRead(MarkReadResponse {
                    read_sequence: self.read,
                    unread: 0,
                    counted: self.read,
                })
            }
            Request::Conversations(_) => Answer::Conversations(ConversationsResponse {
                next: &[],
                completed: true,
                total_unread: shown.iter().map(|one| u64::from(one.unread)).sum(),
                conversations: List::from_slice(shown),
            }),
            Request::ConversationProfile(asked) if asked.conversation == bob() => {
                Answer::ConversationProfile(ConversationProfile {
                    conversation,
                    group: None,
                    user: Some(profile),
                })
            }
            Request::DeleteConversation(_) => {
                self.deleted = true;
                self.read = self.log.len() as u64;
                Answer::MarkRead(MarkReadResponse {
                    read_sequence: self.read,
                    unread: 0,
                    counted: self.read,
                })
            }
            Request::Fetch(fetch) => {
                let entry = &self.log[fetch.sequence as usize - 1];
                let payload = decode_body::<Header<'_>>(entry)
                    .expect("an entry")
                    .content
                    .payload;
                let (from, len) = (fetch.offset as usize, fetch.len as usize);
                let bytes = &payload[from.min(payload.len())..(from + len).min(payload.len())];
                let piece = Answer::Fetch(FetchResponse {
                    total: payload.len() as u32,
                    bytes,
                });
                return session.answer(id, kind, &piece).expect("a piece fits");
            }
            Request::Revoke(revoke) => match self.revoke(revoke.sequence, revoke.message) {
                Some(sequence) => Answer::Revoke(RevokeResponse { sequence }),
                None => {
                    return session
                        .fail(id, &Failure::new(ErrorCode::MSG_REVOKE_TIME_LIMIT, "too late"))
                        .expect("room");
                }
            },
            _ => {
                return session
                    .fail(id, &Failure::new(ErrorCode::CONVERSATION_NOT_FOUND, "no"))
                    .expect("room");
            }
        };
        session.answer(id, kind, &answer).expect("room");
    }

    /// `None` if another message has the id.
    fn store(&mut self, content: &Content<'_>) -> Option<SendResponse<'static>> {
        for sequence in 1..=self.log.len() as u64 {
            let first = self.message(sequence).filter(|message| message.id == content.id);
            if let Some(first) = first {
                let is_same = first.payload == Payload::decode(content.kind, content.payload);
                return is_same.then_some(SendResponse {
                    sequence,
                    time: 9,
                    duplicate: true,
                    extensions: Default::default(),
                });
            }
        }
        let header = Header {
            envelope: self.envelope(user("kiosk"), 7),
            content: *content,
        };
        self.log.push(to_vec(&header));
        Some(SendResponse {
            sequence: self.log.len() as u64,
            time: 9,
            duplicate: false,
            extensions: Default::default(),
        })
    }

    fn revoke(&mut self, sequence: u64, id: MessageId) -> Option<u64> {
        let message = self.message(sequence).filter(|message| message.id == id)?;
        let mut revoked = message;
        revoked.envelope.flags |= flags::REVOKED;
        let revoked = revoked.to_encoded().into_inner();
        self.log[sequence as usize - 1] = revoked;
        Some(sequence)
    }

    /// As many of the newest messages before the mark as fit.
    fn page(&self, session: &mut HubSession<GrowBuffer>, id: u32, history: &History<'_>) {
        let before = decode_body::<u32>(history.next).map_or(self.log.len(), |before| before as usize);
        let count = if history.count == 0 {
            15
        } else {
            usize::from(history.count)
        };
        for from in before.saturating_sub(count)..=before {
            let messages: Vec<_> = self.log[from..before]
                .iter()
                .map(|entry| Message::decode_from(entry).expect("an entry"))
                .collect();
            let (next, messages) = (to_vec(&(from as u32)), List::from_slice(&messages));
            let page = HistoryResponse {
                next: &next,
                completed: from == 0,
                messages,
            };
            match session.answer(id, FrameKind::HISTORY, &Answer::History(page)) {
                Err(AnswerError::TooLarge { .. }) => continue,
                sent => return sent.expect("room"),
            }
        }
    }
}

fn request_kind(request: &Request<'_>) -> FrameKind {
    request.kind()
}
