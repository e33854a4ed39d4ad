//! A model hub, with one connection to the device of the user "kiosk", who talks to bob.

use tim_session::proto::message::{MessageFlags, Payload};
use tim_session::proto::{ConversationId, ErrorCode};
use tim_session::{Framing, HubConfig, Instant};
use tim_testkit::{Behavior, ModelHub, c2c};

pub(crate) use tim_testkit::user;

/// The hub's clock when ours is zero, in milliseconds.
pub(crate) const HUB_TIME_MS: u64 = 1_700_000_000_000;
pub(crate) const ACCOUNT: u64 = 1001;

/// The number of the one connection.
const CONNECTION: u64 = 0;

pub(crate) fn bob() -> ConversationId {
    c2c("bob")
}

pub(crate) struct Hub {
    pub(crate) model: ModelHub,
    pub(crate) framing: Framing,
}

impl Default for Hub {
    fn default() -> Self {
        let mut model = ModelHub::default();
        model.behavior = Behavior {
            clock_ms: HUB_TIME_MS,
            skip_own: true,
            ..Behavior::default()
        };
        Self {
            model,
            framing: Framing::default(),
        }
    }
}

impl Hub {
    pub(crate) fn open(&mut self, now: Instant) {
        let mut config = HubConfig::default();
        config.framing = self.framing;
        self.model.open(CONNECTION, config, now);
    }

    pub(crate) fn close(&mut self) {
        self.model.lost(CONNECTION);
    }

    pub(crate) fn kick(&mut self, code: ErrorCode) {
        self.model.kick(CONNECTION, code);
    }

    /// How many logins were accepted.
    pub(crate) fn logins(&self) -> usize {
        self.model.statistics().logins
    }

    pub(crate) fn bob_says(&mut self, text: &str) {
        self.model.say(user("bob"), c2c("kiosk"), text);
    }

    /// The texts that the device's user sent, oldest first.
    pub(crate) fn texts_of_kiosk(&self) -> Vec<String> {
        self.model.texts_sent("kiosk", "C2Cbob")
    }

    /// Payload and flags of an entry.
    pub(crate) fn entry(&self, sequence: u64) -> (Payload<'_>, MessageFlags) {
        let message = self.model.message("kiosk", "C2Cbob", sequence);
        let message = message.expect("an entry");
        (message.payload, message.envelope.flags)
    }

    /// Takes what it can of these bytes, and says how many.
    pub(crate) fn receive(&mut self, now: Instant, bytes: &[u8]) -> usize {
        self.model.receive(CONNECTION, now, bytes)
    }

    pub(crate) fn outgoing(&self) -> &[u8] {
        self.model.outgoing(CONNECTION)
    }

    pub(crate) fn transmitted(&mut self, len: usize) {
        self.model.transmitted(CONNECTION, len);
    }

    /// Does what can be done. Returns when to come back, and whether the connection is to be closed.
    pub(crate) fn settle(&mut self, now: Instant) -> (Option<Instant>, bool) {
        let until = self.model.settle(CONNECTION, now);
        (until, self.model.take_closed(CONNECTION))
    }
}
