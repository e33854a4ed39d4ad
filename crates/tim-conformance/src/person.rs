//! A user on a device, with the SDK, and what has come to it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tim_client::proto::message::{NoticeOperation, TipOperation};
use tim_client::{
    Client, Conversation, ConversationId, ErrorCode, Event, EventStream, ImError, Message, Payload, Priority,
    SendOptions, Status, UserId,
};

use crate::check::{Stop, ensure_eq};
use crate::target::StartedHub;

/// How long answers are waited for before a hub's clock is moved on, and by how much it is moved.
const STEP: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(200);
/// How long to wait for an event.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Person {
    pub(crate) client: Client,
    events: EventStream,
    /// Messages that came and were not taken.
    pub(crate) inbox: Vec<Message>,
    /// Revoked messages that were told of and not taken.
    pub(crate) revoked: Vec<Message>,
    /// The other events, in their order.
    pub(crate) told: Vec<Event>,
}

impl Person {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            events: client.events(),
            client,
            inbox: Vec::new(),
            revoked: Vec::new(),
            told: Vec::new(),
        }
    }

    /// Logs in, and waits until it is ready and has its first list. That list may hold a message that was sent meanwhile;
    /// the client would show it as the list says, and nobody would see what a wrong hub delivers. Whether the hub has a
    /// list at all is for the rows about lists.
    pub(crate) async fn enter(&self) -> Result<(), Stop> {
        self.client.login().await?;
        self.client.wait_until_ready().await?;
        let _ = self.client.get_conversation_list().await;
        Ok(())
    }

    pub(crate) fn user(&self) -> UserId {
        self.client.user()
    }

    /// The conversation of others with this user.
    pub(crate) fn c2c(&self) -> ConversationId {
        ConversationId::C2c(self.user())
    }

    pub(crate) async fn say(&self, to: impl Into<ConversationId>, text: &str) -> Result<Message, ImError> {
        self.say_with(to, text, SendOptions::default()).await
    }

    pub(crate) async fn say_with(
        &self,
        to: impl Into<ConversationId>,
        text: &str,
        options: SendOptions,
    ) -> Result<Message, ImError> {
        let message = self.client.create_text_message(to, text)?;
        Ok(self.client.send_message(&message, options).await?.message)
    }

    /// The next message that `pick` wants; others are kept for later.
    pub(crate) async fn next<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&Message) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            let found = self
                .inbox
                .iter()
                .enumerate()
                .find_map(|(at, message)| Some((at, pick(message)?)));
            if let Some((at, picked)) = found {
                self.inbox.remove(at);
                return Ok(picked);
            }
            self.wait(what).await?;
        }
    }

    pub(crate) async fn hears(&mut self, text: &str) -> Result<Message, Stop> {
        let what = format!("the message {text:?}");
        self.next(&what, |message| {
            (message.text() == Some(text)).then(|| message.clone())
        })
        .await
    }

    /// The next message of this id. It has the position and the time that its sender was told, if the sender was told any.
    pub(crate) async fn receives(&mut self, sent: &Message) -> Result<Message, Stop> {
        let id = sent.id();
        let got = self
            .next("the message", |message| {
                (message.id() == id).then(|| message.clone())
            })
            .await?;
        if sent.status() == Status::Success {
            let word = |message: &Message| (message.sender(), message.sequence(), message.time());
            ensure_eq!(
                word(&got),
                word(sent),
                "sender, position and time of what is delivered"
            );
        }
        Ok(got)
    }

    pub(crate) async fn notice(&mut self, operation: NoticeOperation) -> Result<Message, Stop> {
        let what = format!("the notice {operation}");
        self.next(&what, |message| match message.payload() {
            Payload::SystemNotice(notice) if notice.operation == operation => Some(message.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn tip(&mut self, operation: TipOperation) -> Result<Message, Stop> {
        let what = format!("the tip {operation}");
        self.next(&what, |message| match message.payload() {
            Payload::GroupTip(tip) if tip.operation == operation => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// The next revoked message that the client tells of.
    pub(crate) async fn sees_revoked(&mut self) -> Result<Message, Stop> {
        while self.revoked.is_empty() {
            self.wait("MESSAGE_REVOKED").await?;
        }
        Ok(self.revoked.remove(0))
    }

    /// The next event that `pick` wants, of those that are neither messages nor revocations.
    pub(crate) async fn event<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&Event) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            let found = self
                .told
                .iter()
                .enumerate()
                .find_map(|(at, event)| Some((at, pick(event)?)));
            if let Some((at, picked)) = found {
                self.told.remove(at);
                return Ok(picked);
            }
            self.wait(what).await?;
        }
    }

    /// Waits until the list event shows what `wanted` says.
    pub(crate) async fn list_shows(
        &mut self,
        what: &str,
        wanted: impl Fn(&[Arc<Conversation>]) -> bool,
    ) -> Result<(), Stop> {
        self.event(what, |event| match event {
            Event::ConversationListUpdated(list) => wanted(list).then_some(()),
            _ => None,
        })
        .await
    }

    /// Whether a text has come.
    pub(crate) fn has_heard(&self, text: &str) -> bool {
        self.inbox.iter().any(|message| message.text() == Some(text))
    }

    /// Takes the events that have come already.
    pub(crate) async fn take_events(&mut self) {
        while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, self.events.next()).await {
            self.sort(event);
        }
    }

    async fn wait(&mut self, what: &str) -> Result<(), Stop> {
        let next = tokio::time::timeout(PATIENCE, self.events.next()).await;
        match next {
            Ok(Some(event)) => {
                self.sort(event);
                Ok(())
            }
            Ok(None) => Err(Stop::fail(format_args!("the client ended before {what} came"))),
            Err(_) => Err(Stop::fail(format_args!(
                "{what} did not come within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    fn sort(&mut self, event: Event) {
        match event {
            Event::MessageReceived(messages) => self.inbox.extend(messages),
            Event::MessageRevoked(messages) => self.revoked.extend(messages),
            other => self.told.push(other),
        }
    }

    /// A conversation of the list, as the hub tells of it now.
    pub(crate) async fn conversation(
        &self,
        id: impl Into<ConversationId>,
    ) -> Result<Option<Arc<Conversation>>, Stop> {
        let id = id.into();
        let list = self.client.get_conversation_list().await?.conversation_list;
        Ok(list.into_iter().find(|conversation| conversation.id == id))
    }

    pub(crate) async fn unread(&self, id: impl Into<ConversationId>) -> Result<u32, Stop> {
        let found = self.conversation(id).await?;
        Ok(found.map_or(0, |conversation| conversation.unread_count))
    }

    /// A conversation's messages, page by page of `count`: the pages from new to old, as they came.
    pub(crate) async fn pages(
        &self,
        id: impl Into<ConversationId>,
        count: Option<u32>,
    ) -> Result<Vec<Vec<Message>>, Stop> {
        let id = id.into();
        let mut pages = Vec::new();
        let mut next = None;
        loop {
            let page = self.client.get_message_list(id, next.as_ref(), count).await?;
            pages.push(page.message_list);
            if page.is_completed {
                return Ok(pages);
            }
            if pages.len() > 1000 {
                return Err(Stop::fail("a thousand pages, and none is the last"));
            }
            next = Some(page.next_req_message_id);
        }
    }

    /// All messages of a conversation, oldest first.
    pub(crate) async fn history(&self, id: impl Into<ConversationId>) -> Result<Vec<Message>, Stop> {
        let pages = self.pages(id, None).await?;
        Ok(pages.into_iter().rev().flatten().collect())
    }
}

/// The texts of messages; `-` for those without.
pub(crate) fn texts(messages: &[Message]) -> Vec<String> {
    let text = |message: &Message| message.text().unwrap_or("-").to_owned();
    messages.iter().map(text).collect()
}

/// Sends messages of these priorities in their order, at once, to a group of a hub whose clock stands still. Moves the clock
/// ahead while answers are missing. Returns which were refused for the group's rate.
pub(crate) async fn burst(
    hub: &dyn StartedHub,
    sender: &Person,
    to: impl Into<ConversationId>,
    priorities: impl IntoIterator<Item = Priority>,
) -> Result<Vec<Priority>, Stop> {
    type Sending<'a> = Pin<Box<dyn Future<Output = (Option<Priority>, Result<(), ImError>)> + Send + 'a>>;
    let to = to.into();
    let mut sending: Vec<Sending<'_>> = Vec::new();
    for (number, priority) in priorities.into_iter().enumerate() {
        let text = format!("{priority} {number}");
        let message = sender
            .client
            .create_text_message(to, &text)?
            .with_priority(priority)?;
        sending.push(Box::pin(async move {
            let sent = sender.client.send_message(&message, SendOptions::default()).await;
            (Some(priority), sent.map(drop))
        }));
    }
    // When this one is answered, the hub has seen all before it.
    sending.push(Box::pin(async {
        let sent = sender.say(sender.user(), "behind the burst").await;
        (None, sent.map(drop))
    }));
    let (mut refused, mut all_seen) = (Vec::new(), false);
    while !sending.is_empty() {
        // Polled in their order, so they are sent in it.
        let answered = poll_fn(|context| {
            let mut sending = sending.iter_mut().enumerate();
            let answer = sending.find_map(|(at, send)| match send.as_mut().poll(context) {
                Poll::Ready(answer) => Some((at, answer)),
                Poll::Pending => None,
            });
            answer.map_or(Poll::Pending, Poll::Ready)
        });
        let Ok((at, (priority, result))) = tokio::time::timeout(STEP, answered).await else {
            if all_seen {
                hub.advance(TICK);
            }
            continue;
        };
        drop(sending.remove(at));
        match (priority, result) {
            (None, Ok(())) => all_seen = true,
            (Some(_), Ok(())) => {}
            (Some(priority), Err(error)) if error.code == ErrorCode::GROUP_SEND_MSG_FREQ_LIMIT => {
                refused.push(priority);
            }
            (_, Err(error)) => return Err(error.into()),
        }
    }
    Ok(refused)
}
