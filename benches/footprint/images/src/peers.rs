//! Two MQTT clients doing the smallest thing of use: connect, subscribe to a topic, publish on it, and show what comes.

use core::future::Future;
use core::hint::black_box;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{ErrorType, Read, Write};

use crate::Board;

/// A board's line, as the clients want one.
struct Line<'b, B>(&'b mut B);

impl<B> ErrorType for Line<'_, B> {
    type Error = core::convert::Infallible;
}

impl<B: Board> Read for Line<'_, B> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let Some(slot) = buffer.first_mut() else {
            return Ok(0);
        };
        *slot = core::future::poll_fn(|_| self.0.read().map_or(Poll::Pending, Poll::Ready)).await;
        Ok(1)
    }
}

impl<B: Board> Write for Line<'_, B> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        self.0.write_all(bytes);
        Ok(bytes.len())
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// Runs a future to its end, asking again and again.
fn run_to_end<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// `minimq`: keep-alive, replay and resumption are its own work.
pub fn minimq<B: Board>(board: &mut B) -> Option<()> {
    use minimq::{Buffers, ConfigBuilder, Publication, QoS, Session, TopicFilter};

    let (mut rx, mut tx, mut shown) = ([0; 512], [0; 512], [0; 128]);
    let len = run_to_end(async {
        let config = ConfigBuilder::new(Buffers::new(&mut rx, &mut tx))
            .client_id(black_box("kiosk-1"))
            .ok()?;
        let mut session = Session::new(config);
        board.keeps(&session);
        let mut connection = session.connect(Line(&mut *board)).await.ok()?;
        let topic = black_box("lobby");
        connection.subscribe(&[TopicFilter::new(topic)], &[]).await.ok()?;
        let hello = Publication::bytes(topic, black_box(b"Hello!".as_slice())).qos(QoS::AtLeastOnce);
        connection.publish(hello).await.ok()?;
        let message = connection.recv().await.ok()?;
        let payload = message.payload();
        shown.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(payload.len())
    })?;
    board.show(shown.get(..len)?);
    Some(())
}

/// `rust-mqtt`: packets and handshakes; keep-alive and reconnecting are the application's work.
pub fn rust_mqtt<B: Board>(board: &mut B) -> Option<()> {
    use rust_mqtt::buffer::BumpBuffer;
    use rust_mqtt::client::Client;
    use rust_mqtt::client::event::Event;
    use rust_mqtt::client::options::{
        ConnectOptions, PublicationOptions, SubscriptionOptions, TopicReference,
    };
    use rust_mqtt::types::{MqttString, TopicFilter, TopicName};

    let (mut memory, mut shown) = ([0; 1024], [0; 128]);
    let mut buffer = BumpBuffer::new(&mut memory);
    let len = run_to_end(async {
        let mut client = Client::<'_, '_, _, _, 1, 1, 1, 0, 0, 0, 0>::new(&mut buffer);
        board.keeps(&client);
        let id = MqttString::from_str(black_box("kiosk-1")).ok()?;
        let options = ConnectOptions::new().clean_start();
        client.connect(Line(&mut *board), &options, Some(id)).await.ok()?;
        let topic = MqttString::from_str(black_box("lobby")).ok()?;
        let filter = TopicFilter::new(topic.as_borrowed())?;
        client
            .subscribe(filter, &SubscriptionOptions::new().at_least_once())
            .await
            .ok()?;
        let options = PublicationOptions::new(TopicReference::Name(TopicName::new(topic)?)).at_least_once();
        client.publish(&options, black_box("Hello!").into()).await.ok()?;
        loop {
            if let Event::Publish(publish) = client.poll().await.ok()? {
                let payload = publish.message.as_bytes();
                shown.get_mut(..payload.len())?.copy_from_slice(payload);
                break Some(payload.len());
            }
        }
    })?;
    board.show(shown.get(..len)?);
    Some(())
}

/// What `minimq` knows the time by.
mod clock {
    use core::task::Waker;

    struct Clock;

    impl embassy_time_driver::Driver for Clock {
        #[cfg(target_os = "none")]
        fn now(&self) -> u64 {
            crate::Board::micros(&mut crate::device::Device)
        }
        #[cfg(not(target_os = "none"))]
        fn now(&self) -> u64 {
            0
        }
        // Whoever waits is asked again and again.
        fn schedule_wake(&self, _at: u64, _waker: &Waker) {}
    }

    embassy_time_driver::time_driver_impl!(static CLOCK: Clock = Clock);
}
