//! A device in a world, its two ends given to a script.

use tim_session::proto::{ErrorCode, MessageId};
use tim_transport_embedded::{
    Client, ClientConfig, Device, Error, Events, LoginResponse, OutboxStorage, Resources, Runner,
    StorageFailed,
};

use crate::hub::{ACCOUNT, user};
use crate::world::{Wire, World};

/// A refusal that names no time.
pub(crate) const fn refusal(code: ErrorCode) -> Error {
    Error::Refused {
        code,
        retry_after_ms: 0,
    }
}

pub(crate) fn config() -> ClientConfig {
    let mut config = ClientConfig::new(1, user("kiosk"), 7);
    config.window = 2;
    config
}

/// A device of 512 bytes a buffer in this world, with this configuration.
pub(crate) fn with_config(
    world: &World,
    config: ClientConfig,
    script: impl AsyncFnOnce(Client<'_>, Events<'_>),
) {
    let mut resources = Resources::<512, 512, 512>::new();
    let mut device = Device::new(config, "sig", &mut resources, 42, world.clone());
    let (client, runner) = device.split(Wire(world.clone()));
    world.run_one(runner.run(async |events| script(client, events).await));
}

/// The same, with the usual configuration.
pub(crate) fn with_device(world: &World, script: impl AsyncFnOnce(Client<'_>, Events<'_>)) {
    with_config(world, config(), script);
}

/// The same, logged in and ready.
pub(crate) fn when_ready(world: &World, script: impl AsyncFnOnce(Client<'_>, Events<'_>)) {
    with_device(world, async |client, mut events| {
        let login = log_in(client, &mut events).await;
        assert_eq!((login.account, login.repeat_login), (ACCOUNT, false));
        let again = events.until(client.login(), |_| {}).await;
        assert!(again.expect("in already").repeat_login && client.is_ready());
        script(client, events).await;
    });
}

/// Logs in and waits until the device is ready.
pub(crate) async fn log_in(client: Client<'_>, events: &mut Events<'_>) -> LoginResponse {
    let login = events.until(client.login(), |_| {}).await.expect("let in");
    let ready = events.until(client.wait_until_ready(), |_| {});
    ready.await.expect("ready");
    login
}

/// Drives the device, for tests that do not look at its events.
pub(crate) async fn drive(runner: Runner<'_, World, Wire>) {
    let run = runner.run(async |mut events| {
        loop {
            events.next_event().await;
        }
    });
    run.await
}

/// A storage for one message.
#[derive(Default)]
pub(crate) struct Slot(pub(crate) Option<Kept>);

pub(crate) type Kept = (MessageId, Vec<u8>);

impl OutboxStorage for Slot {
    async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<(), StorageFailed> {
        if self.0.as_ref().is_some_and(|kept| kept.0 != *id) {
            return Err(StorageFailed);
        }
        self.0 = Some((*id, record.to_vec()));
        Ok(())
    }
    async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        self.0.take_if(|kept| kept.0 == *id);
        Ok(())
    }
    async fn oldest(&mut self, record: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        Ok(self.0.as_ref().map(|(id, kept)| {
            record[..kept.len()].copy_from_slice(kept);
            (*id, kept.len())
        }))
    }
}

impl Slot {
    /// The storage returns so many zeros behind the record.
    pub(crate) fn pad(&mut self, zeros: usize) {
        if let Some((_, kept)) = &mut self.0 {
            kept.resize(kept.len() + zeros, 0);
        }
    }

    /// The message becomes one of another account, and back.
    pub(crate) fn swap_account(&mut self) {
        if let Some((id, _)) = &mut self.0 {
            id.sender ^= 1 << 40;
        }
    }
}
