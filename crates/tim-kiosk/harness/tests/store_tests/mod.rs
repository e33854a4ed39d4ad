//! The kiosk's store on a flash whose power is cut at any word: each value is the old one or the new one.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use embedded_storage_async::nor_flash::{ErrorType, NorFlash, NorFlashErrorKind, ReadNorFlash};
use tim_transport_embedded::proto::MessageId;

use crate::store::{MAX_RECORD, Store};

const PAGE: usize = 2048;

/// A flash that fails for ever when so many words have been written; what it does then to the word, or to the page that it erases, is
/// random.
struct Chip {
    bytes: RefCell<Vec<u8>>,
    words_left: Cell<usize>,
}

impl Chip {
    fn new() -> Self {
        Self {
            bytes: RefCell::new(vec![0; 4 * PAGE]), // as RAM comes up: no flash
            words_left: Cell::new(usize::MAX),
        }
    }

    /// Whether there is power for one more word.
    fn has_power(&self) -> bool {
        let left = self.words_left.get();
        self.words_left.set(left.saturating_sub(1));
        left > 0
    }
}

impl ErrorType for &Chip {
    type Error = NorFlashErrorKind;
}

impl ReadNorFlash for &Chip {
    const READ_SIZE: usize = 1;

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
        let offset = offset as usize;
        bytes.copy_from_slice(&self.bytes.borrow()[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.borrow().len()
    }
}

impl NorFlash for &Chip {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
        let has_power = self.has_power();
        let mut bytes = self.bytes.borrow_mut();
        for (at, byte) in bytes[from as usize..to as usize].iter_mut().enumerate() {
            *byte |= if has_power || at % 3 == 0 { 0xFF } else { 0 };
        }
        has_power.then_some(()).ok_or(NorFlashErrorKind::Other)
    }

    async fn write(&mut self, offset: u32, words: &[u8]) -> Result<(), NorFlashErrorKind> {
        assert!((offset as usize + words.len()).is_multiple_of(4));
        for (number, word) in words.chunks(4).enumerate() {
            let has_power = self.has_power();
            let at = offset as usize + number * 4;
            for (cell, byte) in self.bytes.borrow_mut()[at..at + 4].iter_mut().zip(word) {
                // Without power, some bits are not written any more.
                *cell &= if has_power { *byte } else { *byte | 0x5A };
            }
            if !has_power {
                return Err(NorFlashErrorKind::Other);
            }
        }
        Ok(())
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("memory does not wait"),
    }
}

fn id(number: u32) -> MessageId {
    MessageId {
        sender: 7,
        client_time: 1_700_000_000,
        random: number,
    }
}

/// What is in the store: position and entry, and the message that is being sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Contents {
    cursor: Vec<u8>,
    entry: Vec<u8>,
    sending: Option<(MessageId, Vec<u8>)>,
}

fn contents(store: &mut Store<&Chip>) -> Contents {
    let cursor = store.cursor().to_vec();
    let entry = now(store.entry()).expect("it can be read").to_vec();
    let mut record = [0; MAX_RECORD];
    let oldest = now(store.oldest(&mut record)).expect("it can be read");
    let sending = oldest.map(|(id, len)| (id, record[..len].to_vec()));
    assert_eq!(sending.is_some(), store.is_sending());
    Contents {
        cursor,
        entry,
        sending,
    }
}

/// Changes `contents` as the step with this number does, and the store likewise.
fn step(number: u32, contents: &mut Contents, store: &mut Store<&Chip>) -> bool {
    let bytes = vec![number as u8; 30 + (number as usize * 97) % (MAX_RECORD - 30)];
    let done = match (number % 3, &contents.sending) {
        (0, _) => {
            let cursor = number.to_le_bytes();
            contents.cursor = cursor.to_vec();
            contents.entry.clone_from(&bytes);
            now(store.reach(&cursor, &bytes))
        }
        (_, None) => {
            contents.sending = Some((id(number), bytes.clone()));
            now(store.keep(&id(number), &bytes)).map(|is_new| assert!(is_new))
        }
        (_, Some((sending, _))) => {
            let sending = *sending;
            contents.sending = None;
            now(store.forget(&sending))
        }
    };
    done.is_ok()
}

#[test]
fn a_power_cut_at_any_word_leaves_the_old_value_or_the_new_one() {
    const STEPS: u32 = 40;
    let mut torn = 0;
    // Not each word: each place of a record and of a page is hit all the same.
    for words in (0..).step_by(61) {
        let chip = Chip::new();
        let mut before = Contents::default();
        let mut after = before.clone();
        chip.words_left.set(words);
        let mut done = 0;
        if let Ok(mut store) = now(Store::open(&chip)) {
            while done < STEPS && step(done, &mut after, &mut store) {
                before.clone_from(&after);
                done += 1;
            }
        }
        chip.words_left.set(usize::MAX);
        let mut store = now(Store::open(&chip)).expect("the power is back");
        let found = contents(&mut store);
        assert!(
            found == before || found == after,
            "after {words} words: {found:?}"
        );
        torn += u32::from(before != after);
        // It goes on from there.
        for number in STEPS..2 * STEPS {
            let mut found = contents(&mut store);
            assert!(step(number, &mut found, &mut store), "after {words} words");
            assert_eq!(contents(&mut store), found, "after {words} words");
        }
        if done == STEPS {
            break;
        }
    }
    assert!(torn > 20, "{torn} steps were cut");
}

#[test]
fn one_message_at_a_time_and_starts_are_counted() {
    let chip = Chip::new();
    let mut store = now(Store::open(&chip)).expect("an erased flash");
    assert_eq!(store.starts(), 0);
    assert_eq!(now(store.keep(&id(1), b"one")), Ok(true));
    assert_eq!(now(store.keep(&id(1), b"one")), Ok(false), "it is there");
    assert!(now(store.keep(&id(2), b"two")).is_err(), "there is no room");
    now(store.forget(&id(2))).expect("it is not there");
    let mut store = now(Store::open(&chip)).expect("the same flash");
    assert_eq!(store.starts(), 1);
    assert!(store.is_sending());
    assert!(now(store.oldest(&mut [0; 2])).is_err(), "too short");
}
