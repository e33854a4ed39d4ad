//! The hub's end of a connection, scripted by a test: it reads what the client sends, and sends what the test says.

use std::time::Duration;

use tim_session::proto::conversation::Conversation;
use tim_session::proto::message::Message;
use tim_session::proto::request::{
    Conversations, ConversationsResponse, Done, Failure, LoginResponse, Resume,
};
use tim_session::proto::wire::{Encode, FrameKind, List, Writer};
use tim_session::proto::{ConversationId, ErrorCode, ReceiveOption, UserId};
use tim_session::{GrowBuffer, HubConfig, HubEvent, HubOutput, HubSession, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::Incoming;

/// The account number of the user.
const ACCOUNT: u64 = 144_115_200_000_000_001;
/// Its session sees no time pass before a logout: a test is not to depend on the hub's timeouts.
const NOW: Instant = Instant::ZERO;
/// Longer than anything in a session waits. Tests run in virtual time, in which this costs nothing.
const LIMIT: Duration = Duration::from_secs(600);

/// A scripted hub on the stream `S`.
#[derive(Debug)]
pub struct ScriptedHub<S> {
    stream: S,
    /// The hub's session.
    pub session: HubSession<GrowBuffer>,
    now: Instant,
    was_online: bool,
    /// How many bytes are read at a time.
    pub chunk: usize,
    /// User, UserSig and device that every login must have.
    pub expected_login: Option<(UserId, &'static str, u64)>,
}

/// A login that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncomingLogin {
    /// The user.
    pub user: UserId,
    /// The UserSig.
    pub user_sig: String,
    /// The number of the device.
    pub device: u64,
    /// Where to resume.
    pub resume: Resume,
    /// The cursor to resume behind.
    pub cursor: Vec<u8>,
}

/// The output of `wanted`, which must come within ten minutes of the tests' virtual time.
///
/// # Panics
/// If it does not.
pub async fn in_time<T>(what: &str, wanted: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, wanted).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ScriptedHub<S> {
    /// A hub that has accepted this connection.
    #[must_use]
    pub fn new(stream: S) -> Self {
        crate::deadline();
        let buffers = (GrowBuffer::new(1 << 17), GrowBuffer::new(1 << 20));
        Self {
            stream,
            session: HubSession::new(HubConfig::default(), buffers.0, buffers.1, NOW),
            now: NOW,
            was_online: false,
            chunk: 4096,
            expected_login: None,
        }
    }

    /// What `pick` makes of the next event that it wants; the others are passed over. `None` when the connection has ended.
    pub async fn next<T>(&mut self, pick: impl FnMut(HubEvent<'_>) -> Option<T>) -> Option<T> {
        in_time("anything from the client", self.next_without_limit(pick)).await
    }

    async fn next_without_limit<T>(&mut self, mut pick: impl FnMut(HubEvent<'_>) -> Option<T>) -> Option<T> {
        loop {
            match self.session.poll(self.now) {
                HubOutput::Event(event) => {
                    if let Some(picked) = pick(event) {
                        return Some(picked);
                    }
                }
                HubOutput::Close(_) => {
                    self.flush().await;
                    return None;
                }
                HubOutput::Wait(until) => {
                    self.flush().await;
                    let mut bytes = vec![0; self.chunk];
                    let read = self.stream.read(&mut bytes);
                    // A LOGOUT waits for the responses before it, but not for ever.
                    self.was_online |= self.session.is_online();
                    let is_leaving = self.was_online && !self.session.is_online();
                    let read = match until.filter(|_| is_leaving) {
                        None => read.await,
                        Some(until) => match tokio::time::timeout(until.since(self.now), read).await {
                            Ok(read) => read,
                            Err(_) => {
                                self.now = until;
                                continue;
                            }
                        },
                    };
                    let len = read.expect("a stream to read");
                    if len == 0 {
                        return None;
                    }
                    assert_eq!(self.session.receive(self.now, &bytes[..len]), len);
                }
            }
        }
    }

    /// Sends what is outgoing.
    pub async fn flush(&mut self) {
        let bytes = self.session.outgoing().to_vec();
        // A client that has closed the connection reads nothing; the next read says so.
        let _ = self.stream.write_all(&bytes).await;
        let _ = self.stream.flush().await;
        self.session.transmitted(bytes.len());
    }

    /// Takes the login.
    ///
    /// # Panics
    /// If the connection ends first, or if another login is expected.
    pub async fn login(&mut self) -> IncomingLogin {
        let login = self.next(|event| match event {
            HubEvent::Login(login) => Some(IncomingLogin {
                user: login.user,
                user_sig: login.user_sig.to_owned(),
                device: login.device,
                resume: login.resume,
                cursor: login.cursor.to_vec(),
            }),
            _ => None,
        });
        let login = login.await.expect("a login");
        if let Some(expected) = self.expected_login {
            assert_eq!((login.user, &*login.user_sig, login.device), expected);
        }
        login
    }

    /// Accepts the login, and waits with the response.
    ///
    /// # Panics
    /// If there is no login to accept.
    pub fn welcome(&mut self) {
        let response = LoginResponse::new(ACCOUNT)
            .with_time_ms(1)
            .with_cursor(&[0])
            .with_nick("Alice");
        self.session.accept(&response).expect("a login to accept");
    }

    /// Tells the client that everything older is delivered.
    pub async fn synced(&mut self) {
        self.push(FrameKind::SYNCED, &Done).await;
    }

    /// Takes the login, accepts it, and has nothing older to deliver.
    pub async fn let_in(&mut self) {
        self.login().await;
        self.welcome();
        self.synced().await;
    }

    /// The next request.
    ///
    /// # Panics
    /// If anything else comes.
    pub async fn next_request(&mut self) -> Incoming {
        let request = self.next(|event| match event {
            HubEvent::Request { id, request } => Some(Incoming {
                id,
                kind: request.kind(),
                body: request.body().to_vec(),
            }),
            other => panic!("{other:?}"),
        });
        request.await.expect("a request")
    }

    /// Responds to a request with bytes that may be no response.
    ///
    /// # Panics
    /// If the client does not take the response.
    pub async fn answer_with_bytes(&mut self, request: &Incoming, body: &[u8]) {
        struct Raw<'a>(&'a [u8]);
        impl Encode for Raw<'_> {
            fn encode(&self, writer: &mut Writer<'_>) {
                writer.put(self.0);
            }
        }
        self.answer(request, &Raw(body)).await;
    }

    /// Responds to a request.
    ///
    /// # Panics
    /// If the client does not take the response.
    pub async fn answer(&mut self, request: &Incoming, response: &impl Encode) {
        let sent = self.session.respond_untyped(request.id, request.kind, response);
        sent.expect("a client that takes the response");
        self.flush().await;
    }

    /// Refuses a request.
    ///
    /// # Panics
    /// If there is no room for that.
    pub async fn fail_with(&mut self, request: &Incoming, failure: &Failure<'_>) {
        self.session.fail(request.id, failure).expect("room for an error");
        self.flush().await;
    }

    /// Refuses a request with this code and text.
    pub async fn fail(&mut self, request: &Incoming, code: ErrorCode, text: &str) {
        self.fail_with(request, &Failure::new(code, text)).await;
    }

    /// Responds to the next request, which must be for the first page of the conversation list.
    ///
    /// # Panics
    /// If it is not.
    pub async fn answer_list(&mut self, list: &[Conversation<'_>]) {
        let request = self.next_request().await;
        assert_eq!(request.request::<Conversations<'_>>(), Conversations::default());
        let counts = |one: &&Conversation<'_>| {
            one.id != ConversationId::System && one.receive_option == ReceiveOption::ACCEPT_AND_NOTIFY
        };
        let total = list.iter().filter(counts).map(|one| u64::from(one.unread));
        let response = ConversationsResponse::new(List::from_slice(list))
            .with_completed(true)
            .with_total_unread(total.sum());
        self.answer(&request, &response).await;
    }

    /// Delivers a message.
    ///
    /// # Panics
    /// If the client's window is full.
    pub async fn deliver(&mut self, cursor: &[u8], message: &Message<'_>) {
        let sent = self.session.deliver(cursor, 0, message.to_encoded().as_bytes());
        sent.expect("a client that takes a delivery");
        self.flush().await;
    }

    /// Pushes anything else.
    ///
    /// # Panics
    /// If there is no room for it.
    pub async fn push<T: Encode>(&mut self, kind: FrameKind, body: &T) {
        self.session.push(kind, body).expect("room for a push");
        self.flush().await;
    }

    /// Reads until the client has nothing more to send for now.
    ///
    /// # Panics
    /// If it makes a request or closes the connection.
    pub async fn settle(&mut self) {
        let quiet = Duration::from_millis(1);
        let nothing = tokio::time::timeout(quiet, self.next::<()>(|event| panic!("{event:?}"))).await;
        assert!(nothing.is_err(), "the client has closed the connection");
    }
}
