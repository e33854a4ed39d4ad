//! The kiosk's display: one line of text per event.
//!
//! Text of other users is only shown: control characters that could affect a terminal are removed.
#![forbid(unsafe_code)]

use core::cell::{Cell, RefCell};
use core::fmt::{self, Display, Write};

use heapless::{Deque, Vec};
use tim_transport_embedded::proto::message::Payload;
use tim_transport_embedded::proto::render::placeholder;
use tim_transport_embedded::proto::render::text::{SEED, Span, spans};
use tim_transport_embedded::proto::render::{Revoker, revoked_text};
use tim_transport_embedded::proto::request::Delivery;
use tim_transport_embedded::proto::unread::{HubCount, Taken, UnreadCount};
use tim_transport_embedded::proto::{ConversationId, Encoded, Message, Words};

use crate::board::Printer;
use crate::settings::{GROUP, MAX_FRAME, USER};

const WORDS: Words = Words::ENGLISH;

/// How many of the last entries are kept.
const LAST_ENTRIES: usize = 4;

/// The bytes of an entry. A message is shorter than the frame that it arrived in.
type Entry = Encoded<Vec<u8, MAX_FRAME>>;

/// A delivery, copied from the receive buffer.
pub(crate) struct Arrival {
    entry: Entry,
    /// For a stub: how long the payload is that was left out.
    pub(crate) payload_len: u32,
}

impl Arrival {
    /// `None` if it is longer than a frame, which none is.
    pub(crate) fn new(delivery: &Delivery<'_>) -> Option<Self> {
        Some(Self {
            entry: delivery.encoded()?.to_storage().ok()?,
            payload_len: delivery.payload_len,
        })
    }

    pub(crate) fn message(&self) -> Message<'_> {
        self.entry.message()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.entry.as_bytes()
    }
}

/// The screen, the unread count in its corner, and the last entries.
pub(crate) struct Screen {
    printer: Printer,
    /// The number of unread messages in the lobby.
    unread: Cell<UnreadCount<8>>,
    /// The number that is shown.
    shown: Cell<u32>,
    /// Whether the hub's next number replaces the count.
    anew: Cell<bool>,
    last: RefCell<Deque<Entry, LAST_ENTRIES>>,
}

impl Screen {
    pub(crate) const fn new(printer: Printer) -> Self {
        Self {
            printer,
            unread: Cell::new(UnreadCount::new(HubCount {
                unread: 0,
                counted: 0,
                read: 0,
            })),
            shown: Cell::new(0),
            anew: Cell::new(true),
            last: RefCell::new(Deque::new()),
        }
    }

    /// Shows a line.
    pub(crate) fn show(&self, line: impl Display) {
        let mut printer = self.printer;
        // A printer never fails.
        let _ = write!(Plain(&mut printer), "{line}");
        let _ = printer.write_str("\r\n");
    }

    /// Takes over the hub's number of unread messages. Returns whether it is sufficient; otherwise the hub must be asked again.
    pub(crate) fn take_count(&self, count: HubCount) -> bool {
        let mut unread = self.unread.get();
        let taken = if self.anew.replace(false) {
            unread.restart(count)
        } else {
            unread.take(count)
        };
        self.show_unread(unread);
        taken != Taken::Unclear && !unread.is_unclear()
    }

    /// After a new login, the hub's next number replaces the count.
    pub(crate) fn count_anew(&self) {
        self.anew.set(true);
    }

    /// Shows the number of unread messages if it has changed.
    fn show_unread(&self, unread: UnreadCount<8>) {
        self.unread.set(unread);
        let count = unread.count();
        if self.shown.replace(count) != count {
            self.show(format_args!("   {count} unread"));
        }
    }

    /// Shows the last entries again, oldest first.
    pub(crate) fn show_last(&self) {
        for entry in self.last.borrow().iter() {
            self.show(format_args!(" < {}", Line(&entry.message())));
        }
    }

    /// Shows the entry that was kept over a reset: the reset has cleared the screen, perhaps before it showed the entry.
    pub(crate) fn show_kept(&self, entry: &[u8]) {
        if let Ok(message) = Message::decode_from(entry) {
            self.show(format_args!(" < {}", Line(&message)));
            self.keep(&message);
        }
    }

    /// Keeps an entry in place of the oldest one.
    fn keep(&self, message: &Message<'_>) {
        let mut buffer = [0; MAX_FRAME];
        let entry = message.encode_in(&mut buffer).map(|entry| entry.to_storage());
        let (Ok(Ok(entry)), mut last) = (entry, self.last.borrow_mut()) else {
            return;
        };
        if last.is_full() {
            last.pop_front();
        }
        // There is space for it now.
        let _ = last.push_back(entry);
    }

    /// Shows an entry of a conversation as it arrives, keeps it and counts it.
    pub(crate) fn show_arrival(&self, message: &Message<'_>) {
        self.show(Line(message));
        self.keep(message);
        if message.to == ConversationId::Group(GROUP) {
            let mut unread = self.unread.get();
            unread.deliver(message, &USER);
            self.show_unread(unread);
        }
    }
}

/// An entry of a conversation: conversation, sequence, sender and text.
pub(crate) struct Line<'m>(pub(crate) &'m Message<'m>);

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(message) = self;
        let conversation = message.conversation_of(&USER);
        write!(f, "{} #{} ", name(&conversation), message.envelope.sequence)?;
        match &message.payload {
            _ if message.is_revoked() => {
                write!(f, "* {}", revoked_text(Revoker::of(message, &USER), WORDS))
            }
            Payload::GroupTip(tip) => write!(f, "* {}", tip.text_with_names(WORDS)),
            Payload::SystemNotice(notice) => match notice.text(WORDS) {
                Some(text) => write!(f, "* {text}"),
                None => write!(f, "* {}", notice.operation),
            },
            Payload::Revocation(it) => write!(
                f,
                "* #{}: {}",
                it.sequence,
                revoked_text(Revoker::of(message, &USER), WORDS)
            ),
            payload => write!(f, "{}: {}", message.sender(), PayloadText(payload)),
        }
    }
}

/// What people call a conversation here.
pub(crate) fn name(conversation: &ConversationId) -> &str {
    match conversation {
        ConversationId::System => "system",
        other => other.target(),
    }
}

/// A user's message without its sender.
pub(crate) struct PayloadText<'m>(pub(crate) &'m Payload<'m>);

impl Display for PayloadText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.kind();
        match self.0 {
            Payload::Text(text) => Rich(text.text).fmt(f),
            Payload::Face(face) => write!(f, "{} {} {}", placeholder(kind, WORDS), face.index, face.data),
            Payload::Custom(it) => write!(f, "{} {}", placeholder(kind, WORDS), it.description),
            _ if placeholder(kind, WORDS).is_empty() => write!(f, "[{kind}]"),
            _ => f.write_str(placeholder(kind, WORDS)),
        }
    }
}

/// Text with emojis. A terminal has no pictures, so it shows which one there would be.
pub(crate) struct Rich<'t>(pub(crate) &'t str);

impl Display for Rich<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        spans(self.0, &SEED).try_for_each(|span| match span {
            Span::Text(text) => f.write_str(text),
            Span::Emoji { file, .. } => write!(f, "<{file}>"),
        })
    }
}

/// Passes on what cannot steer a terminal.
struct Plain<'p>(&'p mut Printer);

impl Write for Plain<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.split(char::is_control)
            .try_for_each(|text| self.0.write_str(text))
    }
}
