//! The keys of the console.
#![forbid(unsafe_code)]

use core::fmt::Write as _;

use embedded_io_async::Read;
use heapless::String;
use tim_transport_embedded::proto::conversation::Conversation;
use tim_transport_embedded::proto::message::{Custom, Face, Message, Payload, Text};
use tim_transport_embedded::proto::request::HistoryResponse;
use tim_transport_embedded::proto::unread::HubCount;
use tim_transport_embedded::{Client, Error, NextReqMessageId};

use crate::lobby;
use crate::picture;
use crate::screen::{Line, Screen};

const HELP: &str = "1-5 say something, f a face, c a custom message, p a picture, r take the last one back, h history, and older, \
l the last entries again, u conversations, m all is read, b a hundred numbered messages";
/// The messages that can be sent with one key.
const CANNED: [&str; 5] = [
    "Hello from the lobby [微笑]",
    "A visitor is here",
    "A parcel has come",
    "Please come down",
    "Thank you [呲牙]",
];
/// The message of the custom key; its meaning is up to the applications.
const DOORBELL: Custom<'static> = Custom::new()
    .with_data("{\"door\":1}")
    .with_description("The doorbell of the lobby");
/// How many messages `b` sends.
const BURST: u32 = 100;
/// The number of messages per page of history, if they fit into a frame.
const PAGE: u16 = 5;

/// The keys and the state that they refer to.
pub(crate) struct Keys<'k> {
    client: Client<'k>,
    screen: &'k Screen,
    /// The message that was sent last, without its payload.
    last: Option<Message<'static>>,
    /// Where the last page of history ended.
    older: Option<NextReqMessageId>,
    /// How many messages `b` has sent.
    numbered: u32,
}

impl<'k> Keys<'k> {
    pub(crate) const fn new(client: Client<'k>, screen: &'k Screen) -> Self {
        Self {
            client,
            screen,
            last: None,
            older: None,
            numbered: 0,
        }
    }

    /// Handles keys one after the other, forever.
    pub(crate) async fn obey(mut self, mut keys: impl Read) {
        let mut key = [0];
        loop {
            if let Ok(1) = keys.read(&mut key).await
                && let Err(error) = self.obey_one(key[0]).await
            {
                self.screen.show(format_args!("-- {error}"));
            }
        }
    }

    async fn obey_one(&mut self, key: u8) -> Result<(), Error> {
        match key {
            b'1'..=b'5' => match CANNED.get(usize::from(key - b'1')) {
                Some(text) => self.send(Text::new(text)).await,
                None => Ok(()),
            },
            b'f' => self.send(Face::new(1).with_data("lobby")).await,
            b'c' => self.send(DOORBELL).await,
            b'p' => {
                let uploaded = picture::upload(self.client, self.screen).await?;
                self.send(uploaded.image()).await
            }
            b'r' => self.revoke().await,
            b'h' => self.show_history().await,
            b'l' => {
                self.screen.show_last();
                Ok(())
            }
            b'u' => self.show_conversations().await,
            b'm' => self.mark_read().await,
            b'b' => self.send_numbered().await,
            b'?' => {
                self.screen.show(HELP);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends a message to the lobby and shows it.
    async fn send<'a>(&mut self, payload: impl Into<Payload<'a>>) -> Result<(), Error> {
        let mut message = self.client.create_message(lobby(), payload)?;
        loop {
            match self.client.send_message(&mut message).await {
                Ok(_) => break,
                // It may have been stored or not; the same message is not stored twice.
                Err(Error::TimedOut) => self.screen.show("-- no answer, sending it again"),
                Err(error) => return Err(error),
            }
        }
        self.screen.show(Line(&message));
        let without_content = Message::new(message.envelope, message.to, message.id, Text::default().into());
        self.last = Some(
            without_content
                .with_client_sequence(message.client_sequence)
                .with_priority(message.priority),
        );
        Ok(())
    }

    async fn send_numbered(&mut self) -> Result<(), Error> {
        for _ in 0..BURST {
            let mut text = String::<32>::new();
            // Any number fits.
            let _ = write!(text, "numbered {}", self.numbered);
            self.send(Text::new(&text)).await?;
            self.numbered += 1;
        }
        Ok(())
    }

    async fn revoke(&mut self) -> Result<(), Error> {
        let Some(last) = self.last.take() else {
            self.screen.show("-- nothing to take back");
            return Ok(());
        };
        // The delivery of the revocation is shown, which comes also if the answer is lost.
        self.client.revoke_message(&last).await
    }

    /// The newest page, then an older one with each call, then the newest again.
    async fn show_history(&mut self) -> Result<(), Error> {
        let show = |page: &HistoryResponse<'_>| {
            page.messages
                .iter()
                .for_each(|message| self.screen.show(format_args!(" : {}", Line(&message))));
        };
        self.older = self
            .client
            .get_message_list(lobby(), self.older.as_ref(), PAGE, show)
            .await?;
        self.screen.show(match self.older {
            Some(_) => " : h for older ones",
            None => " : that is all",
        });
        Ok(())
    }

    async fn show_conversations(&self) -> Result<(), Error> {
        self.client
            .get_conversation_list(&[], 0, |list| {
                for Conversation { id, unread, name, .. } in list.conversations.iter() {
                    self.screen.show(format_args!(" = {id} {name}: {unread} unread"));
                }
                self.screen.show(if list.completed {
                    " = that is all"
                } else {
                    " = and more"
                });
            })
            .await
    }

    async fn mark_read(&self) -> Result<(), Error> {
        let answer = self.client.set_message_read(lobby()).await?;
        if !self.screen.take_count((&answer).into()) {
            // More messages arrived at once than the count can track: the hub knows the number.
            let count = self
                .client
                .get_conversation_profile(lobby(), |profile| HubCount::from(&profile.conversation))
                .await?;
            self.screen.take_count(count);
        }
        Ok(())
    }
}
