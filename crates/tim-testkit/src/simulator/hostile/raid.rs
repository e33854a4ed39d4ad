//! What a hostile user does on a connection that is logged in.

use tim_proto::message::{Content as Encoded, SendOptions, Text, tags, to_vec};
use tim_proto::request::{Conversations, Done, Fetch, GroupMembers, History, MarkRead, Revoke};
use tim_proto::wire::{Extension, Extensions, FrameKind, Nested};
use tim_proto::{ConversationId, MessageId, MessageKind};

use super::{Asked, Connection, Rogue};
use crate::simulator::history::{Log, Mark, Said, Sent, What};
use crate::simulator::op::{Attack, Plan, Target};
use crate::{Rng, frame, raw_frame};

/// One attack on an open connection.
pub(super) struct Raid<'a> {
    pub(super) rogue: &'a Rogue,
    pub(super) connection: &'a Connection,
    pub(super) step: u32,
    pub(super) rng: Rng,
}

impl Raid<'_> {
    pub(super) fn begin(&mut self, attack: Attack) {
        match attack {
            Attack::ReusedId(target) => {
                let id = self.id();
                self.send(target, id, 0, Extensions::NONE);
                self.send(target, id, 1, Extensions::NONE);
            }
            Attack::ForgedId(target) => {
                let id = self.id();
                let other = id.sender ^ 1;
                self.send(target, MessageId { sender: other, ..id }, 0, Extensions::NONE);
            }
            Attack::ForgedSender(target, user) => self.send_with_envelope(target, user),
            Attack::ForgedExtensions(target) => {
                let extension = to_vec(&Extension::new(tags::FIRST_OF_HUB, b"admin"));
                let id = self.id();
                if let Ok(extensions) = Extensions::new(&extension) {
                    self.send(target, id, 0, extensions);
                }
            }
            Attack::SendFlood(target, count) => {
                for n in 0..count {
                    let id = self.id();
                    self.send(target, id, n.into(), Extensions::NONE);
                }
            }
            Attack::PageFlood(target, count) => (0..count).for_each(|_| self.page(target)),
            Attack::PingFlood(count) => {
                let pings = frame(FrameKind::PING, 0, &Done).repeat(count.into());
                self.connection.put(&pings);
            }
            Attack::Snoop(target) => self.snoop(target),
            Attack::TakeFiles(target) => self.take_files(target),
            Attack::NameFile(target) => self.name_file(target),
            Attack::TakeUploads => self.take_uploads(),
            Attack::OddUpload(how) => self.odd_upload(how),
            Attack::ForgedAck => {
                let id = self.rng.draw() as u32;
                self.connection.put(&frame(FrameKind::ACK, id, &Done));
            }
            Attack::UnknownKind(kind) => {
                let id = self.rogue.request();
                self.connection
                    .put(&raw_frame(FrameKind(kind as u8 & 0x7F), id, b"?"));
            }
            Attack::Garbage { kind, bytes } => {
                let body: Vec<u8> = (0..bytes).map(|_| self.rng.draw() as u8).collect();
                let id = self.rogue.request();
                self.connection.put(&raw_frame(FrameKind(kind as u8), id, &body));
            }
            Attack::Noise(bytes) => {
                let noise: Vec<u8> = (0..bytes).map(|_| self.rng.draw() as u8).collect();
                self.connection.put(&noise);
            }
            Attack::ForgedKind(target, kind) => {
                let kinds = [
                    MessageKind::GROUP_TIP,
                    MessageKind::GROUP_SYSTEM_NOTICE,
                    MessageKind::REVOCATION,
                ];
                let (id, mark) = (self.id(), Mark::hostile(self.step, 0));
                let payload = mark.text();
                let kind = kinds[usize::from(kind) % kinds.len()];
                self.send_content(
                    target,
                    &Encoded::new(self.rogue.conversation(target), id, kind, payload.as_bytes()),
                );
            }
            // Made without a session.
            Attack::Login
            | Attack::HugeWindow(_)
            | Attack::LoginFlood(_)
            | Attack::ForgedUser(_)
            | Attack::Idle(_)
            | Attack::ReadsNothing(_)
            | Attack::HangUp => {}
        }
    }

    pub(super) fn id(&mut self) -> MessageId {
        MessageId {
            sender: self.connection.account.get(),
            client_time: self.rogue.shared.hub_wall.ms() / 1000,
            random: self.rng.draw() as u32,
        }
    }

    /// Sends a text with the `n`-th mark of this attack.
    fn send(&self, target: Target, id: MessageId, n: u32, extensions: Extensions<'_>) {
        let text = Mark::hostile(self.step, n).text_of(20);
        let payload = to_vec(&Text::new(&text));
        let to = self.rogue.conversation(target);
        let content = Encoded::new(to, id, MessageKind::TEXT, &payload).with_extensions(extensions);
        self.send_content(target, &content);
    }

    fn send_content(&self, target: Target, content: &Encoded<'_>) {
        let request = self.note_sent(target, content);
        let send = tim_proto::request::Send::new(*content).with_options(Nested(SendOptions::new()));
        self.connection.ask(FrameKind::SEND, request, &send, Asked::Send);
    }

    pub(super) fn note_sent(&self, target: Target, content: &Encoded<'_>) -> u32 {
        let request = self.rogue.request();
        let user = self.rogue.user;
        self.rogue.observe(What::AttackSent {
            hostile: self.rogue.number,
            request,
            message: Sent {
                log: Log::of(user, self.rogue.conversation(target)),
                from: user,
                id: content.id,
                said: Said::of(content.kind, content.payload),
                online_only: false,
                file: None,
            },
        });
        request
    }

    /// Sends a message with an envelope before its content, which no request has.
    fn send_with_envelope(&mut self, target: Target, user: u8) {
        let users = self.rogue.shared.plan.population.users.len().max(1) as u8;
        let text = Mark::hostile(self.step, 0).text_of(20);
        let payload = to_vec(&Text::new(&text));
        let id = self.id();
        let content = Encoded::new(self.rogue.conversation(target), id, MessageKind::TEXT, &payload);
        let request = self.note_sent(target, &content);
        let envelope = tim_proto::message::Envelope::new(Plan::user(user % users))
            .with_sequence(1)
            .with_time(1);
        let mut bytes = to_vec(&Nested(SendOptions::new()));
        bytes.extend(to_vec(&envelope));
        bytes.extend(to_vec(&content));
        self.connection.asked.borrow_mut().insert(request, Asked::Send);
        self.connection.put(&raw_frame(FrameKind::SEND, request, &bytes));
    }

    fn page(&self, target: Target) {
        let history = History::new(self.rogue.conversation(target)).with_count(100);
        self.connection
            .ask(FrameKind::HISTORY, self.rogue.request(), &history, Asked::History);
    }

    /// Looks at what is not its own, and changes it.
    fn snoop(&self, target: Target) {
        let (connection, conversation) = (self.connection, self.rogue.conversation(target));
        let log = Log::of(self.rogue.user, conversation);
        let request = || self.rogue.request();
        self.page(target);
        connection.ask(
            FrameKind::CONVERSATIONS,
            request(),
            &Conversations::new(),
            Asked::List,
        );
        if let ConversationId::Group(group) = conversation {
            connection.ask(
                FrameKind::GROUP_MEMBERS,
                request(),
                &GroupMembers::new(group),
                Asked::Members(group),
            );
        }
        for sequence in 1..4 {
            let fetch = Fetch::new(conversation, sequence, 0, 4096);
            connection.ask(FrameKind::FETCH, request(), &fetch, Asked::Fetch(log, sequence));
            connection.ask(
                FrameKind::REVOKE,
                request(),
                &Revoke::new(conversation, sequence),
                Asked::Other,
            );
        }
        connection.ask(
            FrameKind::MARK_READ,
            request(),
            &MarkRead::new(conversation),
            Asked::Other,
        );
    }
}
