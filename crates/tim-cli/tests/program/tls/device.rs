//! A device with TLS and pinned keys at a hub that is the program.

#[path = "../../../../tim-device-tls/tests/host/mod.rs"]
mod host;

use std::cell::{Cell, RefCell};
use std::time::Duration;

use host::{Tcp, Time, pin};
use rand_core::OsRng;
use tim_device_tls::{PIN_LEN, TlsTransport};
use tim_testkit::certificates::Age;
use tim_testkit::{c2c, user};
use tim_transport_embedded::proto::message::Text;
use tim_transport_embedded::{ClientConfig, Device, Event, Resources, Transport as _};

use super::super::run;
use super::{LOOPBACK, World};

/// What a device needs to receive at a hub with `--tls-max-fragment 1024`.
const RECEIVED: usize = 1_200;
const MESSAGES: usize = 12;

impl World {
    fn port(&self) -> u16 {
        let (_, port) = self.place().rsplit_once(':').unwrap();
        port.parse().unwrap()
    }

    /// Whether a device with these pins accepts the hub.
    async fn is_accepted(&self, pins: &[[u8; PIN_LEN]]) -> bool {
        let (mut received, mut sent) = ([0; RECEIVED], [0; 512]);
        let mut device = TlsTransport::new(Tcp::new(self.port()), OsRng, pins, &mut received, &mut sent);
        device.connect().await.is_some()
    }

    /// Sends the device texts whose frames fill more than a record together.
    fn say(&self) -> Vec<String> {
        let data = self.data();
        let texts = (0..MESSAGES).map(|number| format!("{number} {}", "x".repeat(300)));
        let texts: Vec<String> = texts.collect();
        for text in &texts {
            let send = ["send", "kiosk", text, "--as", "alice", "--data", &data];
            run([&send[..], &self.trusting()].concat(), "").ok();
        }
        texts
    }

    fn user_sig(&self) -> String {
        let sig = run(["sig", "make", "--user", "kiosk", "--data", &self.data()], "").ok();
        sig.trim().to_owned()
    }
}

/// The hub's backlog comes in writes of several kilobytes, of which the device can receive a record at a time. The connection is cut within
/// one of them; later the hub gets the other key that is pinned.
#[tokio::test]
async fn a_device_with_pinned_keys_lives_through_a_cut_and_a_new_key() {
    let world = World::new(
        &[LOOPBACK],
        Age::Valid,
        &["--tls-max-fragment", "1024", "--log", "info"],
    );
    let next = world.authority.sign("next", &[LOOPBACK], Age::Valid);
    let pins = [pin(&world.files.certificate), pin(&next.certificate)];
    let [old, new] = pins;
    assert!(world.is_accepted(&[old]).await && !world.is_accepted(&[new]).await);
    let (said, user_sig) = (world.say(), world.user_sig());

    let (mut received, mut sent) = ([0; RECEIVED], [0; 1024]);
    let socket = Tcp::new(world.port());
    socket.cut_after(2_500);
    let transport = TlsTransport::new(socket.clone(), OsRng, &pins, &mut received, &mut sent);
    let mut resources = Resources::<512, 512, 512>::new();
    let mut config = ClientConfig::new(1_400_000_000, user("kiosk"), 7);
    config.window = 16;
    config.backoff_min = Duration::from_millis(1);
    let mut device = Device::new(config, &*user_sig, &mut resources, 1, Time::new());
    device.resume_from_start();
    let (client, runner) = device.split(transport);
    let (heard, logins) = (RefCell::new(Vec::new()), Cell::new(0));
    let listen = |event: Event<'_>| match event {
        Event::Delivered(delivery) => {
            let text = delivery.header.payload::<Text<'_>>().expect("a text");
            heard.borrow_mut().push(text.text.to_owned());
        }
        Event::LoggedIn(_) => logins.set(logins.get() + 1),
        _ => {}
    };
    let application = runner.run(async |mut events| {
        events.until(client.login(), listen).await.unwrap();
        while heard.borrow().len() < MESSAGES {
            listen(events.next_event().await);
        }
        assert_eq!((&*heard.borrow(), logins.get(), socket.connects()), (&said, 2, 2));

        std::fs::copy(&next.certificate, &world.files.certificate).unwrap();
        std::fs::copy(&next.key, &world.files.key).unwrap();
        world.hub.hang_up();
        world.hub.wait_for_log("certificate reloaded");
        socket.cut_after(0);
        let parcel = async {
            client.wait_until_ready().await.unwrap();
            let mut message = client.create_text_message(c2c("alice"), "a parcel").unwrap();
            client.send_message(&mut message).await.unwrap().sequence
        };
        assert_eq!(events.until(parcel, listen).await, MESSAGES as u64 + 1);
        while logins.get() < 3 {
            listen(events.next_event().await);
        }
    });
    application.await;
    assert!(!world.is_accepted(&[old]).await && world.is_accepted(&[new]).await);
    assert_eq!(heard.borrow().len(), MESSAGES);
}

#[test]
fn a_longest_record_that_is_none_keeps_a_hub_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let authority = super::Authority::new(dir.path(), "authority");
    let files = authority.sign("hub", &[LOOPBACK], Age::Valid);
    for len in ["1023", "16385"] {
        let (certificate, key) = (files.certificate.to_str().unwrap(), files.key.to_str().unwrap());
        let data = dir.path().join("data");
        let data = ["--data", data.to_str().unwrap(), "--tls-max-fragment", len];
        let tls = [
            "--listen",
            "tims://127.0.0.1:0",
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        let ran = run([&["serve"], &tls[..], &data].concat(), "");
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains("from 1024 to 16384"), "{}", ran.err);
    }
}
