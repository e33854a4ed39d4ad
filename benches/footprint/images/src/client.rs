//! The whole client on a serial line: wire format, parsers, session and transport.

use core::cell::RefCell;
use core::future::poll_fn;
use core::hint::black_box;
use core::task::Poll;

use tim_proto::{Payload, UserId};
use tim_session::{ClientConfig, Framing, Instant};
use tim_transport_embedded::{Clock, Device, Event, Memory, SerialLine};

use crate::line::{Line, run_to_end};
use crate::{Board, parsers};

/// A board's clock.
struct Time<'c, 'b, B>(&'c RefCell<&'b mut B>);

impl<B: Board> Clock for Time<'_, '_, B> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.try_borrow_mut().map_or(0, |mut board| board.micros()))
    }

    async fn wait_until(&self, moment: Instant) {
        poll_fn(|_| {
            if self.now() >= moment {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Logs in, sends a message, and waits until one of somebody else's was shown.
pub fn run<B: Board>(board: &mut B) -> Option<()> {
    let mut memory = Memory::<512, 512, 512>::new();
    let user = UserId::new(black_box("kiosk-1")).ok()?;
    let mut config = ClientConfig::new(black_box(1_400_000_000), user, black_box(0xC0FFEE));
    config.framing = Framing::Serial;
    let board = RefCell::new(board);
    run_to_end::<B, _>(async {
        let mut device = Device::new(config, black_box("eJw"), &mut memory, black_box(7), Time(&board));
        let (client, mut events) = device.split(SerialLine::new(Line(&board), Line(&board)));
        let mut shown = false;
        events.until(client.login(), |_| {}).await.ok()?;
        events.until(client.wait_until_ready(), |_| {}).await.ok()?;
        let alice = UserId::new(black_box("alice")).ok()?;
        let message = client.create_text_message(alice, black_box("Hello!")).ok()?;
        let sent = client.send_message(&message);
        events
            .until(sent, |event| shown |= show(&board, event))
            .await
            .ok()?;
        while !shown {
            shown = show(&board, events.next_event().await);
        }
        Some(())
    })
}

/// Shows a message; whether it was one.
fn show<B: Board>(board: &RefCell<&mut B>, event: Event<'_>) -> bool {
    let Event::Delivered(delivery) = event else {
        return false;
    };
    if let Ok(mut board) = board.try_borrow_mut() {
        board.show(delivery.message.from().as_str().as_bytes());
        if let Payload::Text(text) = delivery.message.payload {
            parsers::show(&mut **board, 1, text.text);
        }
    }
    true
}
