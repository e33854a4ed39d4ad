//! What the kiosk keeps in flash over a reset: how often it has started, its position in the deliveries with the entry before it,
//! and the message that it is sending.
//!
//! `sequential-storage` is a map on NOR flash. It spreads the wear over all pages, and after a power cut a value is the old one or the
//! new one, as a whole. What the kiosk shows is saved before it is shown, so it is shown once; what it sends is saved before it is sent,
//! so it is not lost.
#![forbid(unsafe_code)]

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};
use tim_transport_embedded::StorageFailed;
use tim_transport_embedded::proto::MessageId;
use tim_transport_embedded::session::MAX_CURSOR_LEN;

/// The longest entry, and the longest record of a message.
pub(crate) const MAX_RECORD: usize = 512;
/// A value with its key, in whole words of flash.
const BUFFER: usize = (1 + 1 + MAX_CURSOR_LEN + MessageId::LEN + MAX_RECORD).next_multiple_of(32);

const STARTS: u8 = 0;
/// The length of the cursor, the cursor, the entry.
const POSITION: u8 = 1;
/// The id of a message and its record; empty if nothing is being sent.
const OUTBOX: u8 = 2;

/// The store on a flash of which it has everything.
pub(crate) struct Store<F: NorFlash> {
    map: MapStorage<u8, F, Cache<Uncached, Uncached, Uncached, u8>>,
    buffer: [u8; BUFFER],
    cursor: Cursor,
    /// The id of the message in the outbox.
    sending: Option<MessageId>,
    starts: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Cursor {
    bytes: [u8; MAX_CURSOR_LEN],
    len: u8,
}

impl Cursor {
    fn new(cursor: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_CURSOR_LEN];
        bytes.get_mut(..cursor.len())?.copy_from_slice(cursor);
        Some(Self {
            bytes,
            len: cursor.len() as u8,
        })
    }

    fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len.into()).unwrap_or_default()
    }
}

impl<F: NorFlash> Store<F> {
    /// Reads what was kept, and counts this start. Flash with other contents is erased.
    pub(crate) async fn open(flash: F) -> Result<Self, StorageFailed> {
        let range = 0..u32::try_from(flash.capacity()).map_err(|_| StorageFailed)?;
        let config = MapConfig::try_new(range).map_err(|_| StorageFailed)?;
        let mut store = Self {
            map: MapStorage::new(flash, config, Cache::new_uncached()),
            buffer: [0; BUFFER],
            cursor: Cursor::default(),
            sending: None,
            starts: 0,
        };
        if store.read().await.is_err() {
            store.map.erase_all().await.map_err(|_| StorageFailed)?;
            store.read().await?;
        }
        let starts = store.starts.wrapping_add(1);
        store.write(STARTS, &[&starts.to_le_bytes()]).await?;
        Ok(store)
    }

    async fn read(&mut self) -> Result<(), StorageFailed> {
        let starts = self.fetch(STARTS).await?.first_chunk().copied();
        self.starts = u32::from_le_bytes(starts.unwrap_or_default());
        self.cursor = match self.fetch(POSITION).await? {
            [len, rest @ ..] => Cursor::new(rest.get(..usize::from(*len)).ok_or(StorageFailed)?),
            [] => None,
        }
        .unwrap_or_default();
        let sending = self.fetch(OUTBOX).await?.first_chunk().copied();
        self.sending = sending.map(MessageId::from_bytes);
        Ok(())
    }

    /// How many starts there were before this one.
    pub(crate) const fn starts(&self) -> u32 {
        self.starts
    }

    /// The position in the deliveries; empty if there is none.
    pub(crate) fn cursor(&self) -> &[u8] {
        self.cursor.as_slice()
    }

    /// The entry that was saved with the position; empty if there is none.
    pub(crate) async fn entry(&mut self) -> Result<&[u8], StorageFailed> {
        let [len, rest @ ..] = self.fetch(POSITION).await? else {
            return Ok(&[]);
        };
        Ok(rest.get(usize::from(*len)..).unwrap_or_default())
    }

    /// Saves the position, with the entry that it stands behind. Does nothing if it has not moved.
    pub(crate) async fn reach(&mut self, cursor: &[u8], entry: &[u8]) -> Result<(), StorageFailed> {
        let cursor = Cursor::new(cursor).ok_or(StorageFailed)?;
        if cursor == self.cursor {
            return Ok(());
        }
        self.write(POSITION, &[&[cursor.len], cursor.as_slice(), entry])
            .await?;
        self.cursor = cursor;
        Ok(())
    }

    /// Whether a message is being sent.
    pub(crate) const fn is_sending(&self) -> bool {
        self.sending.is_some()
    }

    /// As [`OutboxStorage::keep`](tim_transport_embedded::OutboxStorage::keep), for one message at a time. Returns whether it is a new one.
    pub(crate) async fn keep(&mut self, id: &MessageId, record: &[u8]) -> Result<bool, StorageFailed> {
        match self.sending {
            Some(other) if other == *id => return Ok(false),
            Some(_) => return Err(StorageFailed),
            None => {}
        }
        self.write(OUTBOX, &[&id.to_bytes(), record]).await?;
        self.sending = Some(*id);
        Ok(true)
    }

    /// As [`OutboxStorage::forget`](tim_transport_embedded::OutboxStorage::forget).
    pub(crate) async fn forget(&mut self, id: &MessageId) -> Result<(), StorageFailed> {
        if self.sending == Some(*id) {
            self.write(OUTBOX, &[]).await?;
            self.sending = None;
        }
        Ok(())
    }

    /// As [`OutboxStorage::oldest`](tim_transport_embedded::OutboxStorage::oldest).
    pub(crate) async fn oldest(
        &mut self,
        record: &mut [u8],
    ) -> Result<Option<(MessageId, usize)>, StorageFailed> {
        let Some((id, kept)) = self.fetch(OUTBOX).await?.split_first_chunk() else {
            return Ok(None);
        };
        let room = record.get_mut(..kept.len()).ok_or(StorageFailed)?;
        room.copy_from_slice(kept);
        Ok(Some((MessageId::from_bytes(*id), kept.len())))
    }

    async fn fetch(&mut self, key: u8) -> Result<&[u8], StorageFailed> {
        let value = self.map.fetch_item::<&[u8]>(&mut self.buffer, &key).await;
        Ok(value.map_err(|_| StorageFailed)?.unwrap_or_default())
    }

    async fn write(&mut self, key: u8, parts: &[&[u8]]) -> Result<(), StorageFailed> {
        let (mut value, mut len) = ([0; BUFFER], 0);
        for part in parts {
            let room = value.get_mut(len..len + part.len()).ok_or(StorageFailed)?;
            room.copy_from_slice(part);
            len += part.len();
        }
        let value = value.get(..len).ok_or(StorageFailed)?;
        let stored = self.map.store_item(&mut self.buffer, &key, &value).await;
        stored.map_err(|_| StorageFailed)
    }
}
