//! The keys of the console.
#![forbid(unsafe_code)]

use core::fmt::Write as _;

use embassy_futures::select::{Either, select};
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embedded_io_async::Read;
use heapless::String;
use tim_transport_embedded::proto::MessageId;
use tim_transport_embedded::proto::conversation::Conversation;
use tim_transport_embedded::proto::message::{Custom, Face, Message, Payload, SendOptions, Text};
use tim_transport_embedded::proto::request::HistoryResponse;
use tim_transport_embedded::proto::unread::HubCount;
use tim_transport_embedded::{Client, Error, NextReqMessageId, OutboxStorage, StorageFailed};

use crate::screen::{Line, PayloadText, Screen};
use crate::store::MAX_RECORD;
use crate::{SharedStore, lobby, picture};

const HELP: &str = "1-5 say something, f a face, c a custom message, p a picture, r take the last one back, h history, and older, \
l the last entries again, u conversations, m all is read, n a numbered message, b a hundred of them";
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
    store: &'k SharedStore,
    /// The message that was sent last, without its payload.
    last: Option<Message<'static>>,
    /// Where the last page of history ended.
    older: Option<NextReqMessageId>,
    /// The number of the next message of `n` and `b`.
    numbered: u32,
}

impl<'k> Keys<'k> {
    pub(crate) const fn new(
        client: Client<'k>,
        screen: &'k Screen,
        store: &'k SharedStore,
        numbered: u32,
    ) -> Self {
        Self {
            client,
            screen,
            store,
            last: None,
            older: None,
            numbered,
        }
    }

    /// Handles keys one after the other, forever. At each `begin`, the message that is still in the outbox is sent.
    pub(crate) async fn obey(mut self, mut keys: impl Read, begin: &Signal<NoopRawMutex, ()>) {
        let mut key = [0];
        loop {
            let done = match select(begin.wait(), keys.read(&mut key)).await {
                Either::First(()) => self.resend().await,
                Either::Second(Ok(1)) => self.obey_one(key[0]).await,
                Either::Second(_) => Ok(()),
            };
            if let Err(error) = done {
                self.screen.show(format_args!("-- {error}"));
            }
        }
    }

    /// Sends what a reset, or an error, has left in the outbox.
    async fn resend(&self) -> Result<(), Error> {
        while self.store.lock().await.is_sending() {
            let (mut outbox, mut record) = (Outbox::new(self.store, || {}), [0; MAX_RECORD]);
            let resent = self
                .client
                .resend_kept(&mut outbox, &mut record, |_, sent| match sent {
                    Ok(sent) => self
                        .screen
                        .show(format_args!("-- #{} was left and is sent", sent.sequence)),
                    Err(error) => self
                        .screen
                        .show(format_args!("-- a message was left and is not sent: {error}")),
                });
            match resent.await {
                Ok(()) => {}
                Err(Error::TimedOut) => self.screen.show("-- no answer, sending it again"),
                // An earlier firmware's user has left it, or the hub has lost the account. There is no room beside it, and nobody to send it.
                Err(Error::OtherAccount) => {
                    if let Some((id, _)) = outbox.oldest(&mut record).await? {
                        outbox.forget(&id).await?;
                    }
                    self.screen
                        .show("-- a message of another account was left and is removed");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
            b'n' => self.send_numbered(1).await,
            b'b' => self.send_numbered(BURST).await,
            b'?' => {
                self.screen.show(HELP);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sends a message to the lobby and shows it: with ` > ` when it is in flash and so cannot be lost, and again when it is stored.
    async fn send<'a>(&mut self, payload: impl Into<Payload<'a>>) -> Result<(), Error> {
        self.resend().await?;
        let mut message = self.client.create_message(lobby(), payload)?;
        let (payload, mut record) = (message.payload, [0; MAX_RECORD]);
        let show = || self.screen.show(format_args!(" > {}", PayloadText(&payload)));
        let mut outbox = Outbox::new(self.store, show);
        loop {
            let options = SendOptions::default();
            let sent = self
                .client
                .send_kept_message(&mut message, options, &mut outbox, &mut record);
            match sent.await {
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

    async fn send_numbered(&mut self, count: u32) -> Result<(), Error> {
        for _ in 0..count {
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

/// The outbox in the store, with room for one message.
struct Outbox<'k, F> {
    store: &'k SharedStore,
    /// Called when a message is in flash.
    on_kept: F,
}

impl<'k, F: FnMut()> Outbox<'k, F> {
    const fn new(store: &'k SharedStore, on_kept: F) -> Self {
        Self { store, on_kept }
    }
}

impl<F: FnMut()> OutboxStorage for Outbox<'_, F> {
    async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<(), StorageFailed> {
        if self.store.lock().await.keep(id, record).await? {
            (self.on_kept)();
        }
        Ok(())
    }

    async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        self.store.lock().await.forget(id).await
    }

    async fn oldest(&mut self, record: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        self.store.lock().await.oldest(record).await
    }
}
