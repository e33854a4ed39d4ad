//! A session over a transport: the SDK, and a hub of a few frames that is written from the specification.

use std::time::Duration;

use tim_client::transport::Connector;
use tim_client::{Client, ConversationId, SendOptions, UserId};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::Acceptor;
use super::bytes::send;
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::spec::{HELLO_LEN, Input, MAGIC, Output, RawFrame, SendBody, first_frame, frame, kind};

/// The account that the hub gives to the client.
const ACCOUNT: u64 = 144_115_200_000_000_001;
/// A text that makes the largest message.
const LARGEST: usize = 12 * 1024 - 2;

pub(super) async fn over<C: Connector, A: Acceptor>(connector: C, mut acceptor: A) -> Verdict {
    let user = UserId::new("alice")?;
    let client = Client::builder(1, user, "sig")
        .session(|session| session.backoff_min = Duration::from_millis(10))
        .build(connector);
    let largest = "x".repeat(LARGEST);
    let talking = async {
        client.login().await?;
        client.wait_until_ready().await?;
        let to = ConversationId::C2c(UserId::new("bob")?);
        let mut sequences = Vec::new();
        for text in ["small", &largest, "cut"] {
            let message = client.create_text_message(to, text)?;
            let sent = client.send_message(&message, SendOptions::default()).await?;
            sequences.push(sent.message.sequence());
        }
        client.logout().await?;
        ensure_eq!(sequences, [1, 2, 3], "the places of the messages");
        Ok::<_, Stop>(())
    };
    let serving = async {
        let mut first = Connection::accept(&mut acceptor).await?;
        first.log_in().await?;
        for (sequence, text) in [(1, "small"), (2, largest.as_str())] {
            let asked = first.next_send().await?;
            ensure!(text_of(&asked)? == text, "another text arrived");
            first.take(&asked, sequence).await?;
        }
        // The answer to this one is cut off behind its third byte.
        let lost = first.next_send().await?;
        let answer = answer(&lost, 3);
        send(&mut first.link, answer.get(..3).unwrap_or_default()).await?;
        drop(first);
        let mut second = Connection::accept_from(&mut acceptor).await?;
        second.log_in().await?;
        let again = second.next_send().await?;
        ensure_eq!(
            (again.id, &again.body),
            (lost.id, &lost.body),
            "the message that was sent again"
        );
        second.take(&again, 3).await?;
        second.until_logout().await
    };
    tokio::try_join!(talking, serving)?;
    Ok(String::new())
}

fn text_of(asked: &RawFrame) -> Result<String, Stop> {
    let body = SendBody::read(&asked.body)?;
    Input(&body.payload).str()
}

/// The answer to a SEND.
fn answer(asked: &RawFrame, sequence: u64) -> Vec<u8> {
    let body = Output::default()
        .varint(sequence)
        .varint(1_705_307_415)
        .bool(false);
    frame(kind::SEND | kind::RESPONSE, asked.id, &body.0)
}

/// The hub's end of a connection.
struct Connection<L> {
    link: L,
    received: Vec<u8>,
}

impl<L: AsyncRead + AsyncWrite + Unpin> Connection<L> {
    async fn accept<A: Acceptor<Link = L>>(acceptor: &mut A) -> Result<Self, Stop> {
        // Connections of earlier checks that were given up may still be there; they end without a hello.
        loop {
            let mut connection = Self {
                link: acceptor.accept().await?,
                received: Vec::new(),
            };
            if connection.greet().await.is_ok() {
                return Ok(connection);
            }
        }
    }

    async fn accept_from<A: Acceptor<Link = L>>(acceptor: &mut A) -> Result<Self, Stop> {
        let mut connection = Self {
            link: acceptor.accept().await?,
            received: Vec::new(),
        };
        connection.greet().await?;
        Ok(connection)
    }

    /// Takes the client's hello and says the hub's.
    async fn greet(&mut self) -> Result<(), Stop> {
        while self.received.len() < HELLO_LEN {
            self.read().await?;
        }
        let hello: Vec<u8> = self.received.drain(..HELLO_LEN).collect();
        ensure!(
            hello.starts_with(&MAGIC),
            "the client does not begin with the magic"
        );
        let mut own = crate::spec::hello(0, 64 * 1024, 0);
        if let Some(end) = own.get_mut(6) {
            *end = 2;
        }
        Ok(send(&mut self.link, &own).await?)
    }

    async fn log_in(&mut self) -> Result<(), Stop> {
        let login = self.next().await?;
        ensure_eq!(login.kind, kind::LOGIN, "the kind of the first frame");
        let mut input = Input(&login.body);
        let (_app, _user, _sig, _device) = (input.varint()?, input.str()?, input.str()?, input.varint()?);
        let (_platform, _resume, _cursor) = (input.u8()?, input.u8()?, input.bytes()?);
        let (session, attempt) = (input.varint()?, input.varint()?);
        let response = Output::default()
            .varint(ACCOUNT)
            .varint(1_705_307_415_000)
            .bytes(&[1])
            .str("Alice")
            .varint(session)
            .varint(attempt);
        let mut bytes = frame(kind::LOGIN | kind::RESPONSE, login.id, &response.0);
        bytes.extend(frame(kind::SYNCED, 0, &[]));
        Ok(send(&mut self.link, &bytes).await?)
    }

    /// The next SEND. Lists, which the client asks for by itself, are empty.
    async fn next_send(&mut self) -> Result<RawFrame, Stop> {
        loop {
            let frame = self.next().await?;
            if frame.kind == kind::SEND {
                return Ok(frame);
            }
            self.answer_other(&frame).await?;
        }
    }

    async fn until_logout(&mut self) -> Result<(), Stop> {
        loop {
            let asked = self.next().await?;
            if asked.kind == kind::LOGOUT {
                return Ok(send(
                    &mut self.link,
                    &frame(kind::LOGOUT | kind::RESPONSE, asked.id, &[]),
                )
                .await?);
            }
            self.answer_other(&asked).await?;
        }
    }

    async fn answer_other(&mut self, asked: &RawFrame) -> Result<(), Stop> {
        let answer = match asked.kind {
            kind::PING => frame(kind::PONG, asked.id, &[]),
            kind::CONVERSATIONS => {
                let body = Output::default().bytes(&[]).bool(true).varint(0).bytes(&[]);
                frame(kind::CONVERSATIONS | kind::RESPONSE, asked.id, &body.0)
            }
            kind::PONG | kind::ACK => return Ok(()),
            other => return Err(Stop::fail(format_args!("a frame of kind {other:#04x} came"))),
        };
        Ok(send(&mut self.link, &answer).await?)
    }

    async fn take(&mut self, asked: &RawFrame, sequence: u64) -> Result<(), Stop> {
        Ok(send(&mut self.link, &answer(asked, sequence)).await?)
    }

    async fn next(&mut self) -> Result<RawFrame, Stop> {
        loop {
            if let Some((frame, len)) = first_frame(&self.received) {
                self.received.drain(..len);
                return Ok(frame);
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Stop> {
        let mut bytes = [0; 4096];
        let len = self.link.read(&mut bytes).await?;
        ensure!(len > 0, "the connection ended");
        self.received
            .extend_from_slice(bytes.get(..len).unwrap_or_default());
        Ok(())
    }
}
