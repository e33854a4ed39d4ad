//! Somebody who takes part: a client, and what came to it.
#![allow(unreachable_pub)] // part of a test

use tim_client::proto::message::NoticeOperation;
use tim_client::proto::message::TipOperation;
use tim_client::{
    Client, CreateGroup, Event, EventStream, GroupId, GroupType, ImError, Message, Payload, SendOptions,
    UserId,
};

use super::world::{World, in_time};

/// A user, with what came and was not looked at.
pub struct Person {
    pub client: Client,
    pub events: EventStream,
    pub inbox: Vec<Message>,
}

impl Person {
    pub async fn new(world: &World, name: &str) -> Self {
        let (client, events) = world.log_in(name, |builder| builder).await;
        Self {
            client,
            events,
            inbox: Vec::new(),
        }
    }

    /// The next message that `pick` wants; those before it are kept for later.
    pub async fn next<T>(&mut self, pick: impl Fn(&Message) -> Option<T>) -> T {
        in_time(self.next_without_limit(pick)).await
    }

    async fn next_without_limit<T>(&mut self, pick: impl Fn(&Message) -> Option<T>) -> T {
        loop {
            if let Some(at) = self.inbox.iter().position(|message| pick(message).is_some()) {
                return pick(&self.inbox.remove(at)).unwrap();
            }
            let event = self.events.next().await.expect("an event");
            if let Event::MessageReceived(messages) = event {
                self.inbox.extend(messages);
            }
        }
    }

    pub async fn notice(&mut self, operation: NoticeOperation) -> Message {
        self.next(|message| match message.payload() {
            Payload::SystemNotice(notice) if notice.operation == operation => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// The users of the next tip of this kind.
    pub async fn tip(&mut self, operation: TipOperation) -> Vec<String> {
        self.next(|message| match message.payload() {
            Payload::GroupTip(tip) if tip.operation == operation => {
                Some(tip.users.iter().map(str::to_owned).collect())
            }
            _ => None,
        })
        .await
    }

    pub async fn text(&mut self, text: &str) -> Message {
        self.next(|message| (message.text() == Some(text)).then(|| message.clone()))
            .await
    }

    pub async fn says(&self, group: GroupId, text: &str, at: &[UserId]) -> Result<Message, ImError> {
        let message = self.client.create_text_at_message(group, text, at)?;
        let sent = self.client.send_message(&message, SendOptions::default()).await?;
        Ok(sent.message)
    }

    pub async fn makes(&self, id: &str, group_type: GroupType, members: &[&str]) -> GroupId {
        let wanted = CreateGroup {
            group_id: Some(GroupId::new(id).unwrap()),
            members: members.iter().map(|name| UserId::new(name).unwrap()).collect(),
            ..CreateGroup::new(group_type, id)
        };
        self.client.create_group(wanted).await.unwrap().group_id
    }
}
