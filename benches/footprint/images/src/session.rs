//! The session machine on a reliable line, with the simplest driver: logs in, stays logged in, sends a message, shows
//! what comes.

use core::hint::black_box;

use tim_proto::UserId;
use tim_proto::message::SendOptions;
use tim_session::{ClientConfig, ClientSession, Event, FixedBuffer, Instant, OnlyStream, Output};

use crate::{Board, codec, parsers};

/// What the session is made of beside its buffers.
pub type Session<'b> = ClientSession<&'static str, FixedBuffer<'b>, OnlyStream>;

/// Until a message of its own was answered and one of somebody else's was shown.
pub fn run<B: Board>(board: &mut B) -> Option<()> {
    let (mut rx, mut tx, mut outbox) = ([0; 512], [0; 512], [0; 512]);
    let user = UserId::new(black_box("kiosk-1")).ok()?;
    let config = ClientConfig::new(black_box(1_400_000_000), user, black_box(0xC0FFEE));
    let (rx, tx, outbox) = (
        FixedBuffer(&mut rx),
        FixedBuffer(&mut tx),
        FixedBuffer(&mut outbox),
    );
    let mut session: Session<'_> =
        ClientSession::with_framing(OnlyStream, config, black_box("eJw"), rx, tx, outbox, black_box(7));
    let (mut answered, mut shown) = (false, false);
    B::keeps(&session);
    session.login(Instant::from_micros(board.micros()));
    while !(answered && shown) {
        let now = Instant::from_micros(board.micros());
        let mut ready = false;
        match session.poll(now) {
            Output::Connect => session.connected(now),
            Output::Event(Event::Ready) => ready = true,
            Output::Event(Event::Response { .. }) => answered = true,
            Output::Event(Event::Delivered(delivery)) => {
                parsers::show_message(board, &delivery.header);
                shown = true;
            }
            Output::Event(Event::LoginFailed(failure)) => {
                board.show(failure.text.as_bytes());
                return None;
            }
            _ => {}
        }
        if ready {
            let message = codec::message(user, UserId::new(black_box("alice")).ok()?, black_box("Hello!"));
            session.send(now, &message, SendOptions::default()).ok()?;
        }
        let sent = session.outgoing().len();
        board.write_all(session.outgoing());
        session.transmitted(sent);
        if let Some(byte) = board.read() {
            let _ = session.receive(now, &[byte]);
        }
    }
    Some(())
}
