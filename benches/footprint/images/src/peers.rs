//! Two MQTT clients doing the smallest thing of use: connect, subscribe to a topic, publish on it, and show what comes.

use core::cell::RefCell;
use core::hint::black_box;

use crate::Board;
use crate::line::{Line, run_to_end};

/// `minimq`: keep-alive, replay and resumption are its own work.
pub fn minimq<B: Board>(board: &mut B) -> Option<()> {
    use minimq::{Buffers, ConfigBuilder, Publication, QoS, Session, TopicFilter};

    let (mut rx, mut tx, mut shown) = ([0; 512], [0; 512], [0; 128]);
    let board = RefCell::new(board);
    let len = run_to_end::<B, _>(async {
        let config = ConfigBuilder::new(Buffers::new(&mut rx, &mut tx))
            .client_id(black_box("kiosk-1"))
            .ok()?;
        let mut session = Session::new(config);
        let mut connection = session.connect(Line(&board)).await.ok()?;
        let topic = black_box("lobby");
        connection.subscribe(&[TopicFilter::new(topic)], &[]).await.ok()?;
        let hello = Publication::bytes(topic, black_box(b"Hello!".as_slice())).qos(QoS::AtLeastOnce);
        connection.publish(hello).await.ok()?;
        let message = connection.recv().await.ok()?;
        let payload = message.payload();
        shown.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(payload.len())
    })?;
    board.try_borrow_mut().ok()?.show(shown.get(..len)?);
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
    let board = RefCell::new(board);
    let len = run_to_end::<B, _>(async {
        let mut client = Client::<'_, '_, _, _, 1, 1, 1, 0, 0, 0, 0>::new(&mut buffer);
        let id = MqttString::from_str(black_box("kiosk-1")).ok()?;
        let options = ConnectOptions::new().clean_start();
        client.connect(Line(&board), &options, Some(id)).await.ok()?;
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
    board.try_borrow_mut().ok()?.show(shown.get(..len)?);
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
