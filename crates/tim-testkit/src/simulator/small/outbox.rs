//! The messages that a device keeps until the hub has answered, and the storage that they are in.

use std::cell::RefCell;
use std::time::Duration;

use tim_proto::message::SendOptions;
use tim_proto::planted::{self, Fault};
use tim_proto::request::SendResponse;
use tim_proto::{MessageId, Priority};
use tim_transport_embedded::{Client, Error, OutboxStorage, StorageFailed};

use super::calls::failed;
use super::{Own, SmallDevice};
use crate::simulator::history::{Failed, Log, Returned, What};
use crate::simulator::op::{Call, CutPoint};
use crate::simulator::sdk::with_payload;

/// The longest record.
pub(super) const RECORD: usize = 400;

/// How many records there is room for.
const ROOM: usize = 4;

/// What a device waits before it sends again what it has kept.
const PAUSE: Duration = Duration::from_secs(2);

/// A record in the storage.
pub(super) struct Record {
    id: MessageId,
    bytes: Vec<u8>,
    /// What it is, for the history.
    own: Own,
}

/// The storage of a device. What is written or removed takes its time.
struct Flash<'m> {
    device: &'m SmallDevice,
    /// The message that is being written.
    own: Option<Own>,
    /// The call by which the oldest record is being sent again.
    open: &'m RefCell<Option<(u32, Own)>>,
}

impl OutboxStorage for Flash<'_> {
    async fn keep(&mut self, id: &MessageId, bytes: &[u8]) -> Result<(), StorageFailed> {
        let device = self.device;
        if device.kept.borrow().outbox.len() >= ROOM {
            return Err(StorageFailed);
        }
        let Some(own) = self.own.clone() else {
            return Err(StorageFailed);
        };
        let record = Record {
            id: *id,
            bytes: bytes.to_vec(),
            own,
        };
        if planted::is(Fault::KeptInCache) {
            device.cache(record);
            return Ok(());
        }
        device.takes_time().await;
        if device.is_cut_at(CutPoint::Writing) && device.draw(2) == 0 {
            device.cut_power().await;
        }
        device.write(record);
        device.reaches(CutPoint::Writing).await;
        device.reaches(CutPoint::Kept).await;
        Ok(())
    }

    async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        self.device.takes_time().await;
        self.device.reaches(CutPoint::Answered).await;
        self.device
            .kept
            .borrow_mut()
            .outbox
            .retain(|record| record.id != *id);
        Ok(())
    }

    async fn oldest(&mut self, buffer: &mut [u8]) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        let found = {
            let kept = self.device.kept.borrow();
            let Some(record) = kept.outbox.first() else {
                return Ok(None);
            };
            // As a storage that counts in words of four bytes.
            let len = record.bytes.len().next_multiple_of(4);
            let room = buffer.get_mut(..len).ok_or(StorageFailed)?;
            room.fill(0xFF);
            room.iter_mut()
                .zip(&record.bytes)
                .for_each(|(to, from)| *to = *from);
            (record.id, len, record.own.clone())
        };
        let (id, len, own) = found;
        *self.open.borrow_mut() = Some((self.device.begins_again(&own), own));
        Ok(Some((id, len)))
    }
}

impl SmallDevice {
    /// Whether it has messages in its storage that it can send.
    pub(super) fn has_kept(&self) -> bool {
        !self.kept.borrow().outbox.is_empty()
    }

    fn draw(&self, below: u64) -> u64 {
        let count = self.writes.replace(self.writes.get() + 1);
        let part = 1 << 62 | u64::from(self.link) << 32 | u64::from(count);
        self.shared.rng(part).below(below)
    }

    async fn takes_time(&self) {
        let ms = self.draw(40);
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    fn write(&self, record: Record) {
        let mark = record.own.mark;
        let mut kept = self.kept.borrow_mut();
        kept.outbox.retain(|other| other.id != record.id);
        kept.outbox.push(record);
        self.observe(What::Kept(mark));
    }

    /// What is written later, if the power does not go before.
    fn cache(&self, record: Record) {
        let Some(device) = self.this.upgrade() else {
            return;
        };
        let life = self.lives.get();
        tokio::task::spawn_local(async move {
            tokio::time::sleep(Duration::from_millis(400)).await;
            if device.lives.get() == life && !device.is_off() {
                device.write(record);
            }
        });
    }

    /// A record is sent again. Returns the number of the call.
    fn begins_again(&self, own: &Own) -> u32 {
        let call = FIRST_OF_FIRMWARE + self.link * CALLS_OF_A_DEVICE + self.resends.get();
        self.resends.set(self.resends.get() + 1);
        let said = with_payload(own.body, own.mark, |payload| {
            super::calls::said(&payload, own.mark)
        });
        self.observe(What::Called {
            call,
            op: Call::ResendOutbox,
            message: Some(self.sent(own, said)),
        });
        call
    }

    fn ends_again(&self, call: u32, result: Result<Returned, Failed>) {
        self.observe(What::Resolved { call, result });
    }
}

/// The numbers of the calls that firmware makes by itself, behind those of the steps of a plan and before those at rests.
const FIRST_OF_FIRMWARE: u32 = 1 << 29;
const CALLS_OF_A_DEVICE: u32 = 1 << 16;

/// Sends a message that is kept, after those that are in the storage already.
pub(super) async fn send(
    device: &SmallDevice,
    client: Client<'_>,
    own: Own,
    priority: u8,
) -> Result<Returned, Failed> {
    let _turn = device.turn.lock().await;
    if device.has_kept() {
        // What cannot be sent now stays, and there may be room for another one.
        let _ = send_again(device, client).await;
    }
    let bytes = with_payload(own.body, own.mark, |payload| {
        (payload.kind(), tim_proto::message::to_vec(&payload))
    });
    let payload = tim_proto::message::Payload::decode(bytes.0, &bytes.1);
    let mut message = client.restore_message(own.to, payload, own.id).map_err(failed)?;
    message.priority = Priority(priority);
    let open = RefCell::default();
    let mut flash = Flash {
        device,
        own: Some(own.clone()),
        open: &open,
    };
    let mut record = [0; RECORD];
    let options = SendOptions::default();
    let sent = client
        .send_kept_message(&mut message, options, &mut flash, &mut record)
        .await;
    match sent {
        Ok(answer) => Ok(device.accepted(&own, message.id, &answer)),
        Err(error) => Err(Failed {
            // What is still kept is sent again.
            unknown: !error.is_final() && is_kept(device, own.id),
            ..failed(error)
        }),
    }
}

fn is_kept(device: &SmallDevice, id: MessageId) -> bool {
    device.kept.borrow().outbox.iter().any(|record| record.id == id)
}

/// Sends what is kept, until it is answered.
pub(super) async fn drain(device: &SmallDevice, client: Client<'_>) {
    while device.has_kept() {
        let turn = device.turn.lock().await;
        let _ = send_again(device, client).await;
        drop(turn);
        if device.has_kept() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn send_again(device: &SmallDevice, client: Client<'_>) -> Result<(), Error> {
    let open = RefCell::default();
    let mut flash = Flash {
        device,
        own: None,
        open: &open,
    };
    let mut record = [0; RECORD];
    let on_sent = |id: &MessageId, sent: Result<SendResponse<'static>, Error>| {
        let Some((call, own)) = open.take() else {
            return;
        };
        let sent = sent.map(|answer| device.accepted(&own, *id, &answer));
        device.ends_again(call, sent.map_err(failed));
    };
    let ended = client.resend_kept(&mut flash, &mut record, on_sent).await;
    let Err(error) = ended else {
        return Ok(());
    };
    if let Some((call, own)) = open.take() {
        let is_final = error == Error::OtherAccount;
        let failed = Failed {
            unknown: true,
            ..failed(error)
        };
        device.ends_again(call, Err(failed));
        if is_final {
            // Nobody can send it any more.
            device
                .kept
                .borrow_mut()
                .outbox
                .retain(|record| record.own.mark != own.mark);
        }
    }
    Err(error)
}

impl SmallDevice {
    fn accepted(&self, own: &Own, id: MessageId, answer: &SendResponse<'_>) -> Returned {
        let mut all = self.own.borrow_mut();
        for kept in all.iter_mut().filter(|kept| kept.mark == own.mark) {
            (kept.id, kept.sequence, kept.time_s) = (id, Some(answer.sequence), answer.time);
        }
        if self.shared.plan.settings.keeps {
            self.kept.borrow_mut().own = all.clone();
        }
        Returned::Accepted {
            log: Log::of(self.user(), own.to),
            sequence: answer.sequence,
            id,
            time_s: answer.time,
            mark: own.mark,
        }
    }
}
