//! A client over `std::net` without an async runtime: logs in, sends each line of its input to a user, and prints what arrives.
//!
//! ```sh
//! tim serve
//! cargo run -p tim-session --example blocking_tcp -- alice "$(tim sig make --user alice)" bob
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)] // an example prints

use std::error::Error;
use std::io::{self, BufRead as _, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tim_session::proto::message::{Envelope, Message, SendOptions, Text};
use tim_session::proto::request::Send;
use tim_session::proto::{ConversationId, MessageId, MessageRandom, UserId};
use tim_session::{ClientConfig, ClientSession, Event, FixedBuffer, Instant, Output, RequestError, Ticket};

const HUB: &str = "localhost:7878";
const APP: u32 = 1_400_000_000;
/// A real device draws its number once and keeps it.
const DEVICE: u64 = 0xB10C;
/// How long the connection is read before the input is looked at again.
const PAUSE: Duration = Duration::from_millis(50);

type Session<'b> = ClientSession<String, FixedBuffer<'b>>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(user), Some(user_sig), Some(to)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: blocking_tcp USER USER_SIG TO".into());
    };
    let (user, to) = (UserId::new(&user)?, ConversationId::C2c(UserId::new(&to)?));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let seed = since_1970.as_nanos() as u64; // a real device has a better source
    let (mut rx, mut tx, mut outbox) = ([0; 8192], [0; 4096], [0; 4096]);
    let buffers = (
        FixedBuffer(&mut rx),
        FixedBuffer(&mut tx),
        FixedBuffer(&mut outbox),
    );
    let config = ClientConfig::new(APP, user, DEVICE);
    let session = ClientSession::new(config, user_sig, buffers.0, buffers.1, buffers.2, seed);
    Client {
        session,
        connection: None,
        start: std::time::Instant::now(),
        random: MessageRandom::new(seed),
        user,
        to,
        unix_time: since_1970.as_secs(),
        pending: Vec::new(),
        sent: 0,
    }
    .run(&lines())
}

/// The lines of the standard input, read by a thread of their own.
fn lines() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

struct Client<'b> {
    session: Session<'b>,
    connection: Option<TcpStream>,
    start: std::time::Instant,
    random: MessageRandom,
    user: UserId,
    to: ConversationId,
    unix_time: u64,
    /// Messages without a response. A ticket knows the type of its response.
    pending: Vec<Ticket<Send<'static>>>,
    sent: u64,
}

impl Client<'_> {
    fn run(&mut self, lines: &Receiver<String>) -> Result<(), Box<dyn Error>> {
        let now = self.now();
        self.session.login(now);
        loop {
            let wake = self.poll()?;
            if self.session.is_ready()
                && let Ok(line) = lines.try_recv()
            {
                self.send(&line)?;
                continue;
            }
            let pause = wake.map_or(PAUSE, |wake| {
                wake.since(self.now()).clamp(Duration::from_millis(1), PAUSE)
            });
            self.exchange(pause);
        }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.start.elapsed().as_micros() as u64)
    }

    /// Handles everything that needs no waiting, and returns when the session must be polled again.
    fn poll(&mut self) -> Result<Option<Instant>, Box<dyn Error>> {
        loop {
            let now = self.now();
            match self.session.poll(now) {
                Output::Wait(wake) => return Ok(wake),
                Output::Disconnect => self.connection = None,
                Output::Connect => match TcpStream::connect(HUB) {
                    Ok(stream) => {
                        self.connection = Some(stream);
                        self.session.connected(now);
                    }
                    Err(error) => {
                        eprintln!("{HUB}: {error}");
                        self.session.disconnected(now);
                    }
                },
                Output::Event(event) => match event {
                    Event::LoggedIn(response) => self.random.logged_in(DEVICE, response.time_ms),
                    Event::Ready => eprintln!("ready; type a message"),
                    Event::Delivered(delivery) => {
                        if let Some(text) = delivery.header.payload::<Text<'_>>() {
                            println!("{}: {}", delivery.header.sender(), text.text);
                        }
                    }
                    Event::Response { id, response } => {
                        if let Some(at) = self.pending.iter().position(|ticket| ticket.id() == id) {
                            match self.pending.swap_remove(at).response(&response) {
                                Ok(stored) => eprintln!("stored as #{}", stored.sequence),
                                Err(failure) => eprintln!("{}", failure.text),
                            }
                        }
                    }
                    Event::Failed { id, failure } => {
                        self.pending.retain(|ticket| ticket.id() != id);
                        eprintln!("not sent: {}", failure.code.explain());
                    }
                    Event::LoginFailed(failure) | Event::KickedOut(failure) => {
                        return Err(failure.code.explain().to_string().into());
                    }
                    _ => {}
                },
            }
        }
    }

    fn send(&mut self, text: &str) -> Result<(), Box<dyn Error>> {
        self.sent += 1;
        let time = self.unix_time + self.start.elapsed().as_secs();
        let message = Message::new(
            Envelope::new(self.user).with_time(time).with_origin(DEVICE),
            self.to,
            MessageId {
                sender: self.session.account(),
                client_time: time,
                random: self.random.draw(),
            },
            Text::new(text),
        )
        .with_client_sequence(self.sent);
        let now = self.now();
        match self.session.send(now, &message, SendOptions::default()) {
            Ok(ticket) => self.pending.push(ticket),
            Err(RequestError::Full) => eprintln!("too many messages are pending; try again"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Sends outgoing bytes, then waits for received bytes, but not longer than `pause`.
    fn exchange(&mut self, pause: Duration) {
        let Some(mut stream) = self.connection.take() else {
            return std::thread::sleep(pause);
        };
        match self.move_bytes(&mut stream, pause) {
            Ok(()) => self.connection = Some(stream),
            Err(error) => {
                eprintln!("connection lost: {error}");
                let now = self.now();
                self.session.disconnected(now);
                eprintln!("{:?}", self.session.stats());
            }
        }
    }

    fn move_bytes(&mut self, stream: &mut TcpStream, pause: Duration) -> io::Result<()> {
        while !self.session.outgoing().is_empty() {
            let sent = stream.write(self.session.outgoing())?;
            self.session.transmitted(sent);
        }
        stream.set_read_timeout(Some(pause))?;
        match stream.read(self.session.space(1024)) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                let now = self.now();
                self.session.received(now, len);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
