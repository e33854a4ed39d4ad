//! A client of one connection: hello, login, requests, deliveries.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::bodies::{Id, RawMessage, SendBody, SendResponse};
use super::kind;
use super::wire::{HELLO_LEN, Input, MAGIC, Output, RawFrame, To, first_frame, frame, hello};
use crate::check::Stop;
use crate::target::Link;

/// How long to wait for the hub.
const PATIENCE: Duration = Duration::from_secs(20);
/// The largest frame that it takes.
const MAX_FRAME: u32 = 64 * 1024;
/// How many deliveries it takes ahead.
const WINDOW: u16 = 64;

/// The hub refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u64,
    pub(crate) retry_after_ms: u64,
    pub(crate) text: String,
}

/// What came of a request.
pub(crate) type Answer<T> = Result<T, Refusal>;

pub(crate) struct RawClient {
    link: Link,
    received: Vec<u8>,
    next_id: u64,
    account: u64,
    /// The hub's time at the login, in seconds.
    time: u64,
    next_random: u64,
    pub(crate) deliveries: VecDeque<RawMessage>,
}

impl RawClient {
    pub(crate) async fn log_in(link: Link, app: u32, user: &str, user_sig: &str) -> Result<Self, Stop> {
        let random =
            getrandom::u64().map_err(|error| Stop::fail(format_args!("no random numbers: {error}")))?;
        let mut client = Self {
            link,
            received: Vec::new(),
            next_id: 1,
            account: 0,
            time: 0,
            next_random: random & 0x7fff_ffff,
            deliveries: VecDeque::new(),
        };
        client.write(&hello(0, MAX_FRAME, WINDOW)).await?;
        client.read_hello().await?;
        let login = Output::default()
            .varint(app.into())
            .str(user)
            .str(user_sig)
            .varint(random | 1)
            .u8(6)
            .u8(0)
            .bytes(&[])
            .varint(random)
            .varint(1);
        client.write(&frame(kind::LOGIN, 0, &login.0)).await?;
        let response = loop {
            let frame = client.next_frame().await?;
            match frame.kind {
                kind::ERROR => {
                    let refusal = Refusal::read(&frame.body)?;
                    return Err(Stop::fail(format_args!("a login was refused: {refusal:?}")));
                }
                it if it == kind::LOGIN | kind::RESPONSE => break frame.body,
                _ => {}
            }
        };
        let mut input = Input(&response);
        client.account = input.varint()?;
        client.time = input.varint()? / 1000;
        Ok(client)
    }

    /// An id that was not used before.
    pub(crate) fn new_id(&mut self) -> Id {
        self.next_random = (self.next_random + 1) & 0xffff_ffff;
        Id {
            sender: self.account,
            time: self.time,
            random: self.next_random,
        }
    }

    /// A message of normal priority.
    pub(crate) fn body(&mut self, to: &To, kind: u16, payload: Vec<u8>) -> SendBody {
        SendBody {
            online_only: false,
            push: None,
            to: to.clone(),
            id: self.new_id(),
            client_sequence: self.next_random,
            priority: 2,
            kind,
            payload,
            extensions: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, body: &SendBody) -> Result<Answer<SendResponse>, Stop> {
        self.send_bytes(&body.encode()).await
    }

    pub(crate) async fn send_bytes(&mut self, body: &[u8]) -> Result<Answer<SendResponse>, Stop> {
        match self.request(kind::SEND, body).await? {
            Ok(body) => Ok(Ok(SendResponse::read(&body)?)),
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    /// Sends a text that must be taken.
    pub(crate) async fn say(&mut self, to: &To, text: &str) -> Result<SendResponse, Stop> {
        let body = self.body(to, 1, Output::default().str(text).0);
        let response = self.send(&body).await?;
        response.map_err(|refusal| Stop::fail(format_args!("a text was refused: {refusal:?}")))
    }

    /// A page of a conversation: its messages, and whether it is the last.
    pub(crate) async fn history(&mut self, of: &To, count: u16) -> Result<(Vec<RawMessage>, bool), Stop> {
        let body = Output::default().to(of).bytes(&[]).varint(count.into()).0;
        let response = self.request(kind::HISTORY, &body).await?;
        let body =
            response.map_err(|refusal| Stop::fail(format_args!("the history was refused: {refusal:?}")))?;
        let mut input = Input(&body);
        let (_next, completed) = (input.bytes()?, input.bool()?);
        let messages = input.list()?.into_iter().map(RawMessage::read);
        Ok((messages.collect::<Result<_, _>>()?, completed))
    }

    pub(crate) async fn revoke(&mut self, conversation: &To, sequence: u64) -> Result<Answer<Vec<u8>>, Stop> {
        let body = Output::default()
            .to(conversation)
            .varint(sequence)
            .varint(0)
            .varint(0)
            .varint(0)
            .str("");
        self.request(kind::REVOKE, &body.0).await
    }

    /// The next delivery that `pick` wants.
    pub(crate) async fn delivery<T>(
        &mut self,
        what: &str,
        pick: impl Fn(&RawMessage) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            while let Some(message) = self.deliveries.pop_front() {
                if let Some(picked) = pick(&message) {
                    return Ok(picked);
                }
            }
            self.next_frame()
                .await
                .map_err(|stop| Stop::fail(format_args!("waiting for {what}: {stop}")))?;
        }
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn request(&mut self, request: u8, body: &[u8]) -> Result<Answer<Vec<u8>>, Stop> {
        let id = self.next_id;
        self.next_id += 1;
        self.write(&frame(request, id, body)).await?;
        loop {
            let frame = self.next_frame().await?;
            if frame.id != id {
                continue;
            }
            if frame.kind == kind::ERROR {
                return Ok(Err(Refusal::read(&frame.body)?));
            }
            if frame.kind == request | kind::RESPONSE {
                return Ok(Ok(frame.body));
            }
        }
    }

    /// The next frame. Deliveries are kept and acknowledged, a PING is answered, a GOODBYE is a failure.
    async fn next_frame(&mut self) -> Result<RawFrame, Stop> {
        let frame = loop {
            if let Some((frame, len)) = first_frame(&self.received) {
                self.received.drain(..len);
                break frame;
            }
            self.read().await?;
        };
        match frame.kind {
            kind::PING => self.write(&super::wire::frame(kind::PONG, frame.id, &[])).await?,
            kind::GOODBYE => {
                let refusal = Refusal::read(&frame.body)?;
                return Err(Stop::fail(format_args!("the hub said GOODBYE: {refusal:?}")));
            }
            kind::DELIVER => {
                let mut input = Input(&frame.body);
                let (_cursor, _payload_len) = (input.bytes()?, input.varint()?);
                self.deliveries.push_back(RawMessage::read(input.0)?);
                self.write(&super::wire::frame(kind::ACK, frame.id, &[])).await?;
            }
            _ => {}
        }
        Ok(frame)
    }

    async fn read_hello(&mut self) -> Result<(), Stop> {
        while self.received.len() < HELLO_LEN {
            self.read().await?;
        }
        let hello: Vec<u8> = self.received.drain(..HELLO_LEN).collect();
        let [oldest, newest, end] = [4, 5, 6].map(|at| hello.get(at).copied().unwrap_or_default());
        if !hello.starts_with(&MAGIC) || end != 2 || !(oldest..=newest).contains(&1) {
            return Err(Stop::fail(format_args!(
                "this is no hub of version 1: {hello:02x?}"
            )));
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Stop> {
        let mut bytes = [0; 4096];
        let len = tokio::time::timeout(PATIENCE, self.link.read(&mut bytes))
            .await
            .map_err(|_| Stop::fail(format_args!("the hub was silent for {} s", PATIENCE.as_secs())))??;
        if len == 0 {
            return Err(Stop::fail("the hub closed the connection"));
        }
        self.received
            .extend_from_slice(bytes.get(..len).unwrap_or_default());
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.link.write_all(bytes).await?;
        Ok(self.link.flush().await?)
    }
}

impl Refusal {
    fn read(body: &[u8]) -> Result<Self, Stop> {
        let mut input = Input(body);
        Ok(Self {
            code: input.varint()?,
            retry_after_ms: input.varint()?,
            text: input.str()?,
        })
    }
}
