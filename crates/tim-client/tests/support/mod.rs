//! A hub's end that a test scripts: it reads what the client sends and says what it is told to.
#![allow(dead_code, unreachable_pub)] // each test file uses its part

pub mod groups;

use tim_client::proto::message::{Envelope, Message, MessageFlags, Payload, Text};
use tim_client::proto::request::{
    AnyRequest as Request, AnyResponse as Answer, Conversations, ConversationsResponse, Done, Failure,
    LoginResponse,
};
use tim_client::proto::wire::{Encode, FrameKind, List};
use tim_client::transport::session::{GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant};
use tim_client::transport::{MemoryListener, memory_listener};
use tim_client::{
    Client, ClientBuilder, ConversationId, ErrorCode, Event, EventStream, MessageId, Priority, ReceiveOption,
    UserId,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub const ACCOUNT: u64 = 144_115_200_000_000_001;
pub const DEVICE: u64 = 7;

pub fn user(name: &str) -> UserId {
    UserId::new(name).unwrap()
}

pub fn c2c(name: &str) -> ConversationId {
    ConversationId::C2c(user(name))
}

/// Alice's client, not logged in, and where her connections arrive.
pub fn alice(change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (Client, MemoryListener) {
    tim_testkit::deadline();
    let (connector, listener) = memory_listener();
    let builder = change(Client::builder(1, user("alice"), "sig").device(DEVICE));
    (builder.build(connector), listener)
}

/// Alice's client, logged in and ready, her events from then on, and the hub's end of her connection.
pub async fn alice_online() -> (Client, EventStream, HubEnd, MemoryListener) {
    alice_online_with(|builder| builder).await
}

/// [`alice_online`] with another client.
pub async fn alice_online_with(
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> (Client, EventStream, HubEnd, MemoryListener) {
    let (client, mut listener) = alice(change);
    let login = tokio::spawn({
        let client = client.clone();
        async move { client.login().await }
    });
    let mut hub = HubEnd::accept(&mut listener).await;
    hub.let_in().await;
    login.await.unwrap().unwrap();
    client.wait_until_ready().await.unwrap();
    hub.answer_list(&[]).await;
    let events = client.events();
    (client, events, hub, listener)
}

/// A request as the hub got it.
pub struct Asked {
    pub id: u32,
    pub kind: FrameKind,
    body: Vec<u8>,
}

impl Asked {
    pub fn request(&self) -> Request<'_> {
        Request::decode(self.kind, &self.body).unwrap()
    }
}

pub struct HubEnd {
    link: DuplexStream,
    pub session: HubSession<GrowBuffer>,
}

const NOW: Instant = Instant::ZERO;

impl HubEnd {
    pub async fn accept(listener: &mut MemoryListener) -> Self {
        let link = in_time("a connection", listener.accept()).await.unwrap();
        let buffers = (GrowBuffer::new(1 << 17), GrowBuffer::new(1 << 20));
        Self {
            link,
            session: HubSession::new(HubConfig::default(), buffers.0, buffers.1, NOW),
        }
    }

    /// The next event that `pick` wants; the others are passed over. `None` when the client has hung up.
    pub async fn next<T>(&mut self, pick: impl FnMut(HubEvent<'_>) -> Option<T>) -> Option<T> {
        in_time("anything from the client", self.next_without_limit(pick)).await
    }

    async fn next_without_limit<T>(&mut self, mut pick: impl FnMut(HubEvent<'_>) -> Option<T>) -> Option<T> {
        loop {
            match self.session.poll(NOW) {
                HubOutput::Event(event) => {
                    if let Some(picked) = pick(event) {
                        return Some(picked);
                    }
                }
                HubOutput::Close(_) => {
                    self.flush().await;
                    return None;
                }
                HubOutput::Wait(_) => {
                    self.flush().await;
                    let mut bytes = [0; 4096];
                    let len = self.link.read(&mut bytes).await.unwrap();
                    if len == 0 {
                        return None;
                    }
                    assert_eq!(self.session.receive(NOW, &bytes[..len]), len);
                }
            }
        }
    }

    pub async fn flush(&mut self) {
        let bytes = self.session.outgoing().to_vec();
        // A client that has hung up reads nothing; the next read says so.
        let _ = self.link.write_all(&bytes).await;
        self.session.transmitted(bytes.len());
    }

    /// Takes the login; its resume mode and cursor.
    pub async fn login(&mut self) -> (u8, Vec<u8>) {
        let login = self.next(|event| match event {
            HubEvent::Login(login) => {
                assert_eq!(
                    (login.user, login.user_sig, login.device),
                    (user("alice"), "sig", DEVICE)
                );
                Some((login.resume.0, login.cursor.to_vec()))
            }
            _ => None,
        });
        login.await.expect("a login")
    }

    pub fn welcome(&mut self) {
        let answer = LoginResponse {
            account: ACCOUNT,
            time_ms: 1,
            cursor: &[0],
            nick: "Alice",
            ..LoginResponse::default()
        };
        self.session.accept(&answer).unwrap();
    }

    pub async fn synced(&mut self) {
        self.session.push(FrameKind::SYNCED, &Done).unwrap();
        self.flush().await;
    }

    /// Takes the login, accepts it, and has nothing else to say.
    pub async fn let_in(&mut self) {
        self.login().await;
        self.welcome();
        self.synced().await;
    }

    /// The next request.
    pub async fn asked(&mut self) -> Asked {
        let asked = self.next(|event| match event {
            HubEvent::Request { id, request } => Some(Asked {
                id,
                kind: request.kind(),
                body: request.body().to_vec(),
            }),
            other => panic!("{other:?}"),
        });
        asked.await.expect("a request")
    }

    pub async fn answer(&mut self, asked: &Asked, answer: &Answer<'_>) {
        self.session
            .respond_untyped(asked.id, asked.kind, answer)
            .unwrap();
        self.flush().await;
    }

    pub async fn fail_with(&mut self, asked: &Asked, failure: &Failure<'_>) {
        self.session.fail(asked.id, failure).unwrap();
        self.flush().await;
    }

    pub async fn fail(&mut self, asked: &Asked, code: ErrorCode, text: &str) {
        self.fail_with(asked, &Failure::new(code, text)).await;
    }

    /// Answers the next request, which must be for the conversation list.
    pub async fn answer_list(&mut self, list: &[tim_client::proto::conversation::Conversation<'_>]) {
        let asked = self.asked().await;
        assert_eq!(asked.request(), Request::Conversations(Conversations::default()));
        let conversations = List::from_slice(list);
        self.answer(
            &asked,
            &Answer::Conversations(ConversationsResponse {
                next: &[],
                completed: true,
                total_unread: list
                    .iter()
                    .filter(|one| {
                        one.id != ConversationId::System
                            && one.receive_option == ReceiveOption::ACCEPT_AND_NOTIFY
                    })
                    .map(|one| u64::from(one.unread))
                    .sum(),
                conversations,
            }),
        )
        .await;
    }

    pub async fn deliver(&mut self, cursor: &[u8], message: &Message<'_>) {
        self.session
            .deliver(cursor, 0, message.to_encoded().as_bytes())
            .unwrap();
        self.flush().await;
    }

    pub async fn push<T: Encode>(&mut self, kind: FrameKind, body: &T) {
        self.session.push(kind, body).unwrap();
        self.flush().await;
    }

    /// Waits for what the client sends until it has nothing more to say for now.
    pub async fn settle(&mut self) {
        let quiet = std::time::Duration::from_millis(1);
        let nothing = tokio::time::timeout(quiet, self.next::<()>(|event| panic!("{event:?}"))).await;
        assert!(nothing.is_err(), "the client has hung up");
    }
}

/// A conversation as the hub lists it.
pub fn listed<'a>(
    id: ConversationId,
    last_sequence: u64,
    unread: u32,
) -> tim_client::proto::conversation::Conversation<'a> {
    tim_client::proto::conversation::Conversation {
        id,
        unread,
        read_sequence: 0,
        last_sequence,
        name: "",
        avatar: "",
        group_type: tim_client::GroupType(0),
        last_message: None,
        receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
        at: List::default(),
    }
}

/// A text from `from` to `to` as the hub delivers it.
pub fn text<'a>(from: &str, to: ConversationId, sequence: u64, text: &'a str) -> Message<'a> {
    Message {
        envelope: Envelope {
            sequence,
            time: 1000 + sequence,
            flags: MessageFlags::NONE,
            origin: 99,
            from: user(from),
        },
        to,
        id: MessageId {
            sender: 5,
            client_time: 1000,
            random: sequence as u32,
        },
        client_sequence: sequence,
        priority: Priority::NORMAL,
        payload: Payload::Text(Text { text }),
        extensions: Default::default(),
    }
}

pub fn stub(mut message: Message<'_>) -> Message<'_> {
    message.envelope.flags |= MessageFlags::STUB;
    message.payload = Payload::Unknown(message.payload.kind(), &[]);
    message
}

/// Longer than anything in a session waits. The tests' time is virtual, so that this costs nothing.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(600);

/// What comes of `wanted`, which the test waits for.
async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wanted).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// The next event that `pick` wants; the others are passed over.
pub async fn event<T>(events: &mut EventStream, mut pick: impl FnMut(&Event) -> Option<T>) -> T {
    let wanted = async {
        loop {
            let event = events.next().await.expect("an event");
            if let Some(picked) = pick(&event) {
                return picked;
            }
        }
    };
    in_time("an event", wanted).await
}

/// The texts of the next MESSAGE_RECEIVED.
pub async fn received(events: &mut EventStream) -> Vec<tim_client::Message> {
    event(events, |event| match event {
        Event::MessageReceived(messages) => Some(messages.clone()),
        _ => None,
    })
    .await
}
