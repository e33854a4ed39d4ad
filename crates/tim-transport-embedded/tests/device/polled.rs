//! The device that is polled: the same hub, the same time, the same lines.

use std::cell::Cell;
use std::task::Poll;

use tim_session::proto::message::SendOptions;
use tim_session::proto::request::{Conversations, Done};
use tim_session::proto::wire::FrameKind;
use tim_session::proto::{ErrorCode, MessageId};
use tim_testkit::frame;
use tim_transport_embedded::{
    ClientConfig, Clock, ConnectionLost, Error, Event, Framing, FramingChoice, Instant, OnlySerial,
    OutboxStorage, PolledClock, PolledDevice, PolledTransport, Resources, SerialPort, StorageFailed,
};

use crate::hub::bob;
use crate::support::{Slot, config};
use crate::world::{Half, World, delivered};

pub(crate) type Device<'m, T, F = Framing> = PolledDevice<'m, T, Time, F>;

/// The world's time, which passes while the device idles.
pub(crate) struct Time(pub(crate) World);

impl PolledClock for Time {
    fn now(&mut self) -> Instant {
        Clock::now(&self.0)
    }
    fn idle(&mut self, until: Option<Instant>) {
        self.0.idle(until);
    }
}

/// A line that is opened, and can be cut.
pub(crate) struct Line(pub(crate) World);

impl PolledTransport for Line {
    fn connect(&mut self) -> Poll<bool> {
        self.0.connect_now()
    }
    fn disconnect(&mut self) {
        self.0.cut();
    }
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConnectionLost> {
        match self.0.read_now(buffer) {
            0 if !self.0.is_open.get() => Err(ConnectionLost),
            len => Ok(len),
        }
    }
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionLost> {
        match self.0.is_open.get() {
            true => Ok(self.0.write_now(bytes)),
            false => Err(ConnectionLost),
        }
    }
}

fn with_device(world: &World, config: ClientConfig, script: impl FnOnce(Device<'_, Line>)) {
    let mut resources = Resources::<512, 512, 512>::new();
    let line = Line(world.clone());
    script(PolledDevice::new(
        config,
        "sig",
        &mut resources,
        42,
        line,
        Time(world.clone()),
    ));
}

pub(crate) fn log_in<T: PolledTransport, F: FramingChoice>(device: &mut Device<'_, T, F>) {
    device.login();
    device.wait_until_ready(|_| {}).expect("ready");
}

/// What the device is delivered until it has had this text.
fn texts_until<T: PolledTransport, F: FramingChoice>(
    world: &World,
    device: &mut Device<'_, T, F>,
    last: &str,
) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|text| text != last) {
        match device.poll() {
            Some(event) => texts.extend(delivered(&event)),
            None => world.idle(device.next_wakeup()),
        }
    }
    texts
}

#[test]
fn it_sends_receives_and_comes_back_after_cuts() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        assert_eq!(
            device.wait_until_ready(|_| {}),
            Err(Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN))
        );
        let early = device.create_text_message(bob(), "x").map(|_| ());
        assert_eq!(early, Err(Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN)));
        log_in(&mut device);
        let mut heard = Vec::new();
        for number in 0..10_u64 {
            let text = number.to_string();
            world.hub.borrow_mut().bob_says(&text);
            if number % 3 == 1 {
                world.cut_after.set(Some(10 * number as usize));
            }
            let mut message = device.create_text_message(bob(), &text).expect("a message");
            let sent = device.send_message(&mut message, |event| heard.extend(delivered(&event)));
            let sent = sent.expect("sent");
            assert_eq!(message.envelope.sequence, sent.sequence);
        }
        world.hub.borrow_mut().bob_says("end");
        heard.extend(texts_until(&world, &mut device, "end"));
        let all: Vec<_> = (0..10).map(|number| number.to_string()).collect();
        assert_eq!(world.hub.borrow().texts_of_kiosk(), all);
        assert_eq!(heard[..10], all);
        assert!(device.stats().reconnects >= 3, "{:?}", device.stats());
        // Nothing to do until the keepalive.
        assert!(device.poll().is_none() && device.next_wakeup().is_some());
    });
}

#[test]
fn requests_are_answered_by_events_and_refusals_are_errors() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        log_in(&mut device);
        let request = device.request(&Conversations::new()).expect("accepted");
        assert_eq!(device.session().pending(), 1);
        loop {
            match device.poll() {
                Some(Event::Response { id, .. }) if id == request => break,
                Some(_) => {}
                None => world.idle(device.next_wakeup()),
            }
        }
        // A call waits for room among the application's own requests.
        while device.request(&Conversations::new()).is_ok() {}
        let mut message = device.create_text_message(bob(), "hi").expect("a message");
        let mut others = 0;
        let sent = device.send_message(&mut message, |event| {
            others += u32::from(matches!(event, Event::Response { .. }));
        });
        assert!(sent.is_ok() && others > 0, "{sent:?} after {others} others");
        message.id.sender += 1;
        let foreign = device.send_message(&mut message, |_| {});
        assert_eq!(
            foreign,
            Err(Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE))
        );
        world.hub.borrow_mut().kick(ErrorCode::KICKED_OUT_MULT_DEVICE);
        let kicked = device.call(&Conversations::new(), |_| (), |_| {});
        assert_eq!(kicked, Err(Error::Ended(ErrorCode::KICKED_OUT_MULT_DEVICE)));
        let kicked = Err(Error::NotReady(ErrorCode::KICKED_OUT_MULT_DEVICE));
        assert_eq!(device.wait_until_ready(|_| {}), kicked);
        log_in(&mut device);
    });
}

#[test]
fn a_goodbye_that_has_arrived_is_read_when_nothing_can_be_written() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        log_in(&mut device);
        world.portion.set(4);
        world.hub.borrow_mut().kick(ErrorCode::KICKED_OUT_MULT_DEVICE);
        while world.is_open.get() {
            world.idle(None);
        }
        let request = device.call(&Conversations::new(), |_| (), |_| {});
        assert_eq!(request, Err(Error::Ended(ErrorCode::KICKED_OUT_MULT_DEVICE)));
        assert_eq!(world.connects.get(), 1);
    });
}

impl embedded_io::ErrorType for Port {
    type Error = embedded_io::ErrorKind;
}

/// A UART in a world, whose writer has a buffer.
struct Port {
    line: Half,
    unsent: Vec<u8>,
}

impl Port {
    /// How many bytes are written before the first ones are sent by themselves.
    const BUFFER: usize = 100;

    fn new(world: &World) -> Self {
        Self {
            line: Half(world.clone()),
            unsent: Vec::new(),
        }
    }
}

impl embedded_io::ReadReady for Port {
    fn read_ready(&mut self) -> Result<bool, embedded_io::ErrorKind> {
        Ok(self.line.0.has_input())
    }
}

impl embedded_io::Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, embedded_io::ErrorKind> {
        let world = &self.line.0;
        if let Some(left) = world.read_errors.get().checked_sub(1) {
            world.read_errors.set(left);
            return Err(embedded_io::ErrorKind::InvalidData);
        }
        Ok(world.read_now(buffer))
    }
}

impl embedded_io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, embedded_io::ErrorKind> {
        if self.unsent.len() == Self::BUFFER {
            self.flush()?;
        }
        let len = bytes.len().min(Self::BUFFER - self.unsent.len());
        self.unsent.extend(&bytes[..len]);
        Ok(len)
    }
    fn flush(&mut self) -> Result<(), embedded_io::ErrorKind> {
        while !self.unsent.is_empty() {
            match self.line.0.write_now(&self.unsent) {
                0 => self.line.0.idle(None), // it blocks
                len => drop(self.unsent.drain(..len)),
            }
        }
        Ok(())
    }
}

#[test]
fn a_uart_with_noise_and_losses() {
    let world = World::new();
    world.hub.borrow_mut().framing = Framing::Serial;
    world.is_open.set(true);
    world.serial.set(true);
    world.hub.borrow_mut().open(Clock::now(&world));
    let mut resources = Resources::<512, 512, 512>::new();
    let port = SerialPort::new(Port::new(&world), Port::new(&world));
    let clock = Time(world.clone());
    let mut device = PolledDevice::with_framing(OnlySerial, config(), "sig", &mut resources, 42, port, clock);
    world.noise(&[0x55; 70]);
    log_in(&mut device);
    let mut heard = Vec::new();
    for number in 0..20_usize {
        let text = number.to_string();
        world.hub.borrow_mut().bob_says(&text);
        match number % 4 {
            1 => world.noise(b"\0noise\0\xff\x01\0"),
            2 => world.lose_up.set(number),
            3 => {
                world.lose_down.set(number);
                world.read_errors.set(5);
            }
            _ => {}
        }
        let mut message = device.create_text_message(bob(), &text).expect("a message");
        let sent = device.send_message(&mut message, |event| heard.extend(delivered(&event)));
        sent.expect("sent");
    }
    world.hub.borrow_mut().bob_says("end");
    heard.extend(texts_until(&world, &mut device, "end"));
    let all: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(world.hub.borrow().texts_of_kiosk(), all);
    assert_eq!(heard[..20], all);
}

#[test]
fn a_message_that_is_kept_is_sent_after_a_reset() {
    let world = World::new();
    let (mut slot, mut record) = (Slot::default(), [0; 100]);
    let options = SendOptions::default();
    let mut patience = config();
    patience.request_timeout = std::time::Duration::from_secs(1);
    with_device(&world, patience, |mut device| {
        log_in(&mut device);
        let mut message = device.create_text_message(bob(), "one").expect("a message");
        let sent = device.send_kept_message(&mut message, options, &mut slot, &mut record, |_| {});
        assert!(sent.is_ok() && slot.0.is_none());
        let too_long = "long ".repeat(20);
        let mut message = device.create_text_message(bob(), &too_long).expect("a message");
        let sent = device.send_kept_message(&mut message, options, &mut slot, &mut record, |_| {});
        assert!(matches!(sent, Err(Error::TooLarge { max: 100, .. })), "{sent:?}");
        world.hub.borrow_mut().model.behavior.ignore_requests = true;
        let mut message = device.create_text_message(bob(), "two").expect("a message");
        let sent = device.send_kept_message(&mut message, options, &mut slot, &mut record, |_| {});
        assert_eq!((sent, slot.0.is_some()), (Err(Error::TimedOut), true));
    });
    world.cut();
    world.hub.borrow_mut().model.behavior.ignore_requests = false;
    with_device(&world, config(), |mut device| {
        let mut resent = Vec::new();
        let mut resend = |device: &mut Device<'_, Line>, slot: &mut Slot| {
            device.resend_kept(slot, &mut record, |_, sent| resent.push(sent), |_| {})
        };
        let early = resend(&mut device, &mut slot);
        assert_eq!(early, Err(Error::NotReady(ErrorCode::USER_NOT_LOGGED_IN)));
        log_in(&mut device);
        slot.swap_account();
        let foreign = resend(&mut device, &mut slot);
        assert_eq!(foreign, Err(Error::OtherAccount));
        slot.swap_account();
        resend(&mut device, &mut slot).expect("answered");
        assert!(matches!(resent[..], [Ok(sent)] if !sent.duplicate), "{resent:?}");
        assert!(slot.0.is_none());
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["one", "two"]);
}

#[test]
fn a_refusal_says_when_the_same_message_can_be_sent() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        log_in(&mut device);
        {
            let behavior = &mut world.hub.borrow_mut().model.behavior;
            behavior.refuse = vec![(FrameKind::SEND, ErrorCode::RATE_LIMITED)];
            behavior.retry_after_ms = 1_500;
        }
        let mut message = device.create_text_message(bob(), "later").expect("a message");
        let refused = device.send_message(&mut message, |_| {}).expect_err("refused");
        let wait = std::time::Duration::from_millis(1_500);
        assert_eq!(
            (refused.code(), refused.retry_after()),
            (ErrorCode::RATE_LIMITED, Some(wait))
        );
        assert!(!refused.is_final());
        device.send_message(&mut message, |_| {}).expect("stored");
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["later"]);
}

/// The codes are those of `Client`.
#[test]
fn after_a_logout_calls_say_so_until_the_next_login() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        log_in(&mut device);
        let mut message = device.create_text_message(bob(), "one").expect("a message");
        device.logout();
        let refused = Err(Error::NotReady(ErrorCode::LOGGED_OUT));
        let mut clock = Time(world.clone());
        while !device.session().is_idle() {
            while device.poll().is_some() {}
            clock.idle(device.next_wakeup());
        }
        assert_eq!(device.wait_until_ready(|_| {}), refused);
        let sent = device.send_message(&mut message, |_| {}).map(|_| ());
        assert_eq!(sent, refused);
        device.login();
        let early = device.send_message(&mut message, |_| {}).map(|_| ());
        assert_eq!(early, Err(Error::NotReady(ErrorCode::LOGGING_IN)));
        device.wait_until_ready(|_| {}).expect("logged in again");
        device.send_message(&mut message, |_| {}).expect("stored");
    });
    assert_eq!(world.hub.borrow().texts_of_kiosk(), ["one"]);
}

#[test]
fn a_login_that_follows_a_logout_at_once_waits_for_it() {
    let world = World::new();
    with_device(&world, config(), |mut device| {
        log_in(&mut device);
        device.logout();
        assert!(!device.is_ready());
        device.login();
        device.wait_until_ready(|_| {}).expect("logged in again");
        let mut message = device.create_text_message(bob(), "one").expect("a message");
        device.send_message(&mut message, |_| {}).expect("stored");
        device.logout();
        device.login();
        device.logout();
        let refused = Err(Error::NotReady(ErrorCode::LOGGED_OUT));
        assert_eq!(device.wait_until_ready(|_| {}), refused, "the last call counts");
    });
    assert_eq!(world.hub.borrow().logins(), 2);
}

/// A line on which PINGs never end, from when the device is logged in.
struct Endless<'w> {
    line: Line,
    is_endless: &'w Cell<bool>,
    reads: &'w Cell<u32>,
}

impl PolledTransport for Endless<'_> {
    fn connect(&mut self) -> Poll<bool> {
        self.line.connect()
    }
    fn disconnect(&mut self) {
        self.line.disconnect();
    }
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ConnectionLost> {
        let ping = frame(FrameKind::PING, 1, &Done);
        match buffer.get_mut(..ping.len()) {
            Some(room) if self.is_endless.get() => {
                self.reads.set(self.reads.get() + 1);
                assert!(self.reads.get() < 10_000, "a poll does not end");
                room.copy_from_slice(&ping);
                Ok(ping.len())
            }
            _ => self.line.read(buffer),
        }
    }
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ConnectionLost> {
        self.line.write(bytes)
    }
}

#[test]
fn a_poll_ends_although_bytes_come_without_end_that_make_no_event() {
    let (world, is_endless, reads) = (World::new(), Cell::new(false), Cell::new(0));
    let mut resources = Resources::<512, 512, 512>::new();
    let line = Endless {
        line: Line(world.clone()),
        is_endless: &is_endless,
        reads: &reads,
    };
    let time = Time(world.clone());
    let mut device = PolledDevice::new(config(), "sig", &mut resources, 42, line, time);
    log_in(&mut device);
    while device.poll().is_some() {}
    is_endless.set(true);
    assert!(device.poll().is_none());
    let now = Clock::now(&world);
    assert!(
        device.next_wakeup().is_some_and(|at| at <= now),
        "there is more to do"
    );
    assert!((1..1_000).contains(&reads.get()));
}

/// A storage of a device that is always reset before it forgets.
struct Remembers<'s>(&'s mut Slot);

impl OutboxStorage for Remembers<'_> {
    async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<(), StorageFailed> {
        self.0.keep(id, record).await
    }
    async fn forget(&mut self, _: &MessageId) -> Result<(), StorageFailed> {
        Ok(())
    }
    async fn oldest(&mut self, record: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        self.0.oldest(record).await
    }
}

#[test]
fn a_record_that_comes_back_longer_is_the_same_message() {
    for zeros in [1, 2, 3, 4, 100] {
        let (world, mut slot, mut record) = (World::new(), Slot::default(), [0; 300]);
        with_device(&world, config(), |mut device| {
            log_in(&mut device);
            let mut message = device.create_text_message(bob(), "once").expect("a message");
            let options = SendOptions::new();
            let sent = device.send_kept_message(
                &mut message,
                options,
                &mut Remembers(&mut slot),
                &mut record,
                |_| {},
            );
            assert!(sent.is_ok() && slot.0.is_some());
            slot.pad(zeros);
            let mut resent = Vec::new();
            let done = device.resend_kept(&mut slot, &mut record, |_, sent| resent.push(sent), |_| {});
            assert!(
                done.is_ok() && matches!(resent[..], [Ok(sent)] if sent.duplicate),
                "{zeros}: {resent:?}"
            );
        });
        assert_eq!(world.hub.borrow().texts_of_kiosk(), ["once"]);
    }
}
