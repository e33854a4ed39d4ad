//! Requests of a device: messages, conversations, and groups that it creates.

use std::io::{ErrorKind, Write as _};
use std::time::{Duration, Instant};

use tim_proto::message::{Message, Payload, SendOptions, Text};
use tim_proto::request::{CreateGroup, DeleteConversation, Fetch, History, MarkRead, Request, Revoke};
use tim_proto::wire::List;
use tim_proto::{ConversationId, ErrorCode, GroupId, GroupType, MessageId, UserId};
use tim_session::RequestId;
use tim_testkit::messages;

use super::{DEADLINE, Device, Observed, Reply};

impl Device {
    pub(crate) fn message<'a>(&mut self, to: ConversationId, payload: impl Into<Payload<'a>>) -> Message<'a> {
        self.next_random += 1;
        let device = self.session.config().device;
        let mut message = messages::message(self.user, to, payload.into());
        message.envelope.sequence = 0;
        message.envelope.origin = device;
        message.id = MessageId {
            sender: self.session.account(),
            client_time: 1,
            random: self.next_random,
        };
        message
    }

    pub(crate) fn start_send(&mut self, message: &Message<'_>, options: SendOptions<'_>) -> RequestId {
        let now = self.now();
        self.session.send(now, message, options).unwrap().id()
    }

    pub(crate) fn send_message(&mut self, message: &Message<'_>) -> Result<Reply, ErrorCode> {
        let ticket = self.start_send(message, SendOptions::default());
        self.wait_for(ticket)
    }

    pub(crate) fn send(&mut self, to: ConversationId, text: &str) -> u64 {
        let message = self.message(to, Text::new(text));
        match self.send_message(&message) {
            Ok(Reply::Sent {
                sequence,
                duplicate: false,
            }) => sequence,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn ask<R: Request>(&mut self, request: &R) -> Result<Reply, ErrorCode> {
        let now = self.now();
        let ticket = self.session.request(now, request).unwrap();
        self.wait_for(ticket.id())
    }

    pub(crate) fn page(
        &mut self,
        conversation: ConversationId,
        next: &[u8],
        count: u16,
    ) -> Result<Reply, ErrorCode> {
        self.ask(&History::new(conversation).with_next(next).with_count(count))
    }

    pub(crate) fn read(&mut self, conversation: ConversationId) -> u32 {
        match self.ask(&MarkRead::new(conversation)) {
            Ok(Reply::Read { unread }) => unread,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn revoke(&mut self, conversation: ConversationId, sequence: u64) -> Result<Reply, ErrorCode> {
        self.revoke_for(conversation, sequence, "")
    }

    pub(crate) fn revoke_for(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        reason: &str,
    ) -> Result<Reply, ErrorCode> {
        let message = MessageId::default();
        self.ask(
            &Revoke::new(conversation, sequence)
                .with_message(message)
                .with_reason(reason),
        )
    }

    /// A piece of a message's payload.
    pub(crate) fn fetch(
        &mut self,
        conversation: ConversationId,
        sequence: u64,
        offset: u32,
        len: u32,
    ) -> Result<Reply, ErrorCode> {
        self.ask(&Fetch::new(conversation, sequence, offset, len))
    }

    pub(crate) fn delete(&mut self, conversation: ConversationId) -> Result<Reply, ErrorCode> {
        self.ask(&DeleteConversation::new(conversation))
    }

    pub(crate) fn conversations(&mut self) -> Vec<(String, u32, String)> {
        self.conversations_at_most(0)
    }

    /// The conversations, `count` at the most; as many as the hub finds good for 0.
    pub(crate) fn conversations_at_most(&mut self, count: u16) -> Vec<(String, u32, String)> {
        match self.ask(&tim_proto::request::Conversations::new().with_count(count)) {
            Ok(Reply::Conversations(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn create_group(&mut self, id: &str, members: &[UserId]) -> Result<Reply, ErrorCode> {
        self.create(GroupType::PUBLIC, id, members)
    }

    pub(crate) fn create(
        &mut self,
        group_type: GroupType,
        id: &str,
        members: &[UserId],
    ) -> Result<Reply, ErrorCode> {
        let group = GroupId::new(id).unwrap();
        let request = CreateGroup::new(group_type, "周末去哪", 7)
            .with_group(group)
            .with_members(List::from_slice(members));
        self.ask(&request)
    }

    /// Starts to ask, and does not wait.
    pub(crate) fn start<R: Request>(&mut self, request: &R) -> RequestId {
        let now = self.now();
        self.session.request(now, request).unwrap().id()
    }

    /// Asks for the same page again and again and never reads an answer, until the hub has closed the connection.
    /// Calls `blocked` when the hub takes no more questions.
    pub(crate) fn ask_and_never_read(&mut self, conversation: ConversationId, blocked: impl FnOnce()) {
        let mut blocked = Some(blocked);
        let now = self.now();
        let request = History::new(conversation);
        self.session.request(now, &request).unwrap();
        self.events();
        let frame = self.session.outgoing().to_vec();
        let stream = self.stream.as_mut().unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(2))).unwrap();
        let (start, mut sent) = (Instant::now(), 0);
        loop {
            assert!(start.elapsed() < DEADLINE, "the hub puts up with it");
            match stream.write(&frame[sent..]) {
                Ok(len) => sent = (sent + len) % frame.len(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if let Some(blocked) = blocked.take() {
                        blocked();
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// The texts that came in, in order.
    pub(crate) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for seen in &self.observed {
            if let Observed::Message { text, .. } = seen {
                texts.push(text.as_str());
            }
        }
        texts
    }

    pub(crate) fn until_texts(&mut self, count: usize) {
        self.until(|device| device.texts().len() >= count);
    }
}
