//! What goes into a new message besides its content: the sender, the time, and the parts of its id.

use core::cell::Cell;

use tim_session::Instant;
use tim_session::proto::message::Envelope;
use tim_session::proto::request::LoginResponse;
use tim_session::proto::{
    ClientSequence, ConversationId, ErrorCode, Message, MessageId, MessageRandom, UserId,
};

use crate::Error;

/// A message was not created for this user.
const FOREIGN: Error = Error::Invalid(ErrorCode::MESSAGE_SEND_NEED_MESSAGE_INSTANCE);

pub(crate) struct Ids {
    pub(crate) user: UserId,
    pub(crate) device: u64,
    /// 0 before the first login.
    pub(crate) account: Cell<u64>,
    /// The hub's time, Unix time in milliseconds, at an instant of the device's clock.
    hub_time: Cell<(Instant, u64)>,
    /// The `clientSequence` of new messages; valid from the first login on.
    client_sequence: Cell<ClientSequence>,
    random: Cell<MessageRandom>,
}

impl Ids {
    pub(crate) const fn new(user: UserId, device: u64, seed: u64) -> Self {
        Self {
            user,
            device,
            account: Cell::new(0),
            hub_time: Cell::new((Instant::ZERO, 0)),
            client_sequence: Cell::new(ClientSequence::at(0)),
            random: Cell::new(MessageRandom::new(seed)),
        }
    }

    pub(crate) fn logged_in(&self, answer: &LoginResponse<'_>, now: Instant) {
        let is_first = self.account.replace(answer.account) == 0;
        self.hub_time.set((now, answer.time_ms));
        if is_first {
            self.client_sequence.set(ClientSequence::at(self.unix_time(now)));
        }
        let mut random = self.random.get();
        random.logged_in(self.device, answer.time_ms);
        self.random.set(random);
    }

    /// A message, or `None` before the first login: message ids contain the account number.
    pub(crate) fn message<'a, P>(
        &self,
        now: Instant,
        to: ConversationId,
        payload: P,
    ) -> Result<Option<Message<'a, P>>, Error> {
        if !matches!(to, ConversationId::C2c(_) | ConversationId::Group(_)) {
            return Err(Error::Invalid(ErrorCode::MESSAGE_SEND_INVALID_CONVERSATION_TYPE));
        }
        if self.account.get() == 0 {
            return Ok(None);
        }
        let time = self.unix_time(now);
        let (mut random, mut sequence) = (self.random.get(), self.client_sequence.get());
        let envelope = Envelope::new(self.user).with_time(time).with_origin(self.device);
        let id = MessageId {
            sender: self.account.get(),
            client_time: time,
            random: random.draw(),
        };
        let message = Message::new(envelope, to, id, payload).with_client_sequence(sequence.draw().into());
        self.random.set(random);
        self.client_sequence.set(sequence);
        Ok(Some(message))
    }

    /// An error for a message that was not created for this user; before the first login, which shows whose it is, `refusal`.
    pub(crate) fn check_own(
        &self,
        id: MessageId,
        from: UserId,
        refusal: impl FnOnce() -> Error,
    ) -> Result<(), Error> {
        match self.account.get() {
            _ if from != self.user => Err(FOREIGN),
            0 => Err(refusal()),
            account if account == id.sender => Ok(()),
            _ => Err(FOREIGN),
        }
    }

    /// The hub's time, Unix time in seconds.
    fn unix_time(&self, now: Instant) -> u64 {
        let (at, millis) = self.hub_time.get();
        if now < at {
            // The clock has been set back. The time goes on from the login's.
            self.hub_time.set((now, millis));
        }
        let passed = divide(now.as_micros().saturating_sub(at.as_micros()), 1000);
        divide(millis.saturating_add(passed), 1000)
    }
}

/// `value / by`, bit by bit: the compiler's 64-bit division takes a kilobyte of flash.
fn divide(value: u64, by: u32) -> u64 {
    let (mut quotient, mut rest) = (0, 0);
    for bit in (0..u64::BITS).rev() {
        rest = rest << 1 | (value >> bit & 1) as u32;
        quotient <<= 1;
        if rest >= by {
            rest -= by;
            quotient |= 1;
        }
    }
    quotient
}

#[cfg(test)]
mod tests {
    use super::divide;

    #[test]
    fn divides_as_the_compiler_does() {
        let mut value = u64::MAX;
        while value > 0 {
            for by in [1, 7, 1000, 1 << 30] {
                for value in [value, value.wrapping_mul(0x9e37_79b9_7f4a_7c15), value / by * by] {
                    assert_eq!(divide(value, by as u32), value / by);
                }
            }
            value /= 3;
        }
    }
}
