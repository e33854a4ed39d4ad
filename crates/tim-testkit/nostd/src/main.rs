//! The protocol without std and without a heap: a client and a hub log in, send, answer and deliver in a few kilobytes
//! of stack, and the parsers run. On a machine with an operating system it is a program whose status says whether all
//! went well; for a microcontroller it is compiled and linked by nobody, which is enough.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::hint::black_box;

use tim_proto::message::TipOperation;
use tim_proto::message::{Envelope, GroupChange, GroupTip, Mentions, Message, Payload, SendOptions, Text};
use tim_proto::message::{NoticeOperation, SystemNotice};
use tim_proto::render::text;
use tim_proto::render::tip_text;
use tim_proto::request::{
    Done, GroupMember, GroupMembersResponse, LoginResponse, Send, SendResponse, UpdateGroup,
};
use tim_proto::wire::{self, FrameKind, List, SerialDecoder, serial_decode, serial_encode};
use tim_proto::{AtKind, ConversationId, GroupId, MessageId, Role, UserId, Words};
use tim_session::{
    ClientConfig, ClientSession, CloseReason, Event, FixedBuffer, Framing, HubConfig, HubEvent, HubOutput,
    HubSession, Instant, Output,
};

// With `prove-no-panic`, what a panic would call exists nowhere: the program links only if the optimiser sees that
// nothing in it can panic.
#[cfg(feature = "prove-no-panic")]
unsafe extern "C" {
    safe fn something_in_this_program_can_panic() -> !;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "prove-no-panic")]
    something_in_this_program_can_panic();
    #[cfg(not(feature = "prove-no-panic"))]
    loop {}
}

// Where there is an operating system, its start code calls `main` and copying memory is the C library's.
#[cfg(not(target_os = "none"))]
#[link(name = "c")]
unsafe extern "C" {}

/// What a C runtime calls. 0: all went well.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    match run() {
        Some(()) => 0,
        None => 1,
    }
}

fn run() -> Option<()> {
    #[cfg(feature = "break-panic")]
    assert!(!black_box(false));
    parsers()?;
    serial_line()?;
    groups()?;
    conversation(Framing::Stream)?;
    conversation(Framing::Serial)
}

fn message(from: UserId, text: &str) -> Option<Message<'_>> {
    Some(
        Message::new(
            Envelope::new(from).with_sequence(1).with_time(1).with_origin(7),
            ConversationId::C2c(UserId::new("bob").ok()?),
            MessageId {
                sender: 99,
                client_time: 1,
                random: 2,
            },
            Payload::Text(Text::new(text)),
        )
        .with_client_sequence(1),
    )
}

fn parsers() -> Option<()> {
    let spans = text::spans("a[呲牙]b", &text::SEED).count();
    let id: ConversationId = "GROUP@TGS#1".parse().ok()?;
    let mut line = Line::<160>::default();
    let notice = SystemNotice::new(NoticeOperation::QUIT).with_group_id(id.target());
    write!(line, "{id} {}", notice.text(Words::SEED)?).ok()?;
    write!(
        line,
        "{}",
        tip_text(TipOperation::JOIN, "", ["alice"], Words::SEED)
    )
    .ok()?;
    check(spans == 3 && line.len > 40)
}

fn serial_line() -> Option<()> {
    let (mut out, mut coded) = ([0; 64], [0; 64]);
    let len = serial_encode(b"\x03\0\0", &mut out).ok()?;
    let mut decoder = SerialDecoder::new();
    let mut seen = 0;
    for &byte in out.get(..len)? {
        if let Ok(Some(len)) = decoder.push(byte, &mut coded) {
            seen += 1;
            check(serial_decode(coded.get_mut(..len)?).ok()? == b"\x03\0\0")?;
        }
    }
    check(seen == 1)
}

/// What is asked, answered and told about groups, there and back.
fn groups() -> Option<()> {
    let (mut room, mut bytes) = ([0; 64], [0; 256]);
    let (group, users) = (GroupId::new("team").ok()?, [UserId::new("bob").ok()?]);
    let update = UpdateGroup::new(group).with_name("Team").with_mute_all(true);
    let len = wire::encode_body(&update, &mut bytes).ok()?;
    check(wire::decode_body(black_box(bytes.get(..len)?)) == Ok(update))?;

    let members = [GroupMember::new(UserId::new("alice").ok()?, Role::OWNER)
        .with_joined(1)
        .with_nick("Alice")];
    let page = GroupMembersResponse::new(List::from_slice(&members))
        .with_next(b"")
        .with_completed(true);
    let len = wire::encode_body(&page, &mut bytes).ok()?;
    check(wire::decode_body(black_box(bytes.get(..len)?)) == Ok(page))?;

    let mentions = Mentions::new().with_users(List::from_slice(&users));
    let mut tip = message(UserId::SYSTEM, "")?;
    tip.extensions = mentions.write(&mut room).ok()?;
    let mut changes = [GroupChange::MuteAll(false); 2];
    for (slot, change) in changes.iter_mut().zip(update.changes()) {
        *slot = change;
    }
    tip.payload = Payload::GroupTip(
        GroupTip::new(TipOperation::GROUP_PROFILE_UPDATED, group)
            .with_operator_id("alice")
            .with_member_count(1)
            .with_changes(List::from_slice(&changes))
            .with_operator(Default::default())
            .with_names(Default::default()),
    );
    let len = wire::encode_body(&tip, &mut bytes).ok()?;
    let read = Message::decode_from(black_box(bytes.get(..len)?)).ok()?;
    let to_bob = read.mentions()?.kind_for(users.first()?);
    check(read == tip && to_bob == Some(AtKind::AT_ME) && read.nick().is_empty())
}

/// Both ends of a connection: log in, send, answer, deliver. On a serial line the next session follows.
fn conversation(framing: Framing) -> Option<()> {
    let now = Instant::ZERO;
    let alice = UserId::new("alice").ok()?;
    let (mut a, mut b, mut c) = ([0; 512], [0; 512], [0; 512]);
    let (mut d, mut e, mut bytes) = ([0; 512], [0; 512], [0; 256]);
    let mut config = ClientConfig::new(1, alice, 7);
    config.framing = framing;
    let mut hub_config = HubConfig::default();
    hub_config.framing = framing;
    let (rx, tx, outbox) = (FixedBuffer(&mut a), FixedBuffer(&mut b), FixedBuffer(&mut c));
    let mut client = ClientSession::new(config, "sig", rx, tx, outbox, 1);
    let mut hub = HubSession::new(hub_config, FixedBuffer(&mut d), FixedBuffer(&mut e), now);
    client.login(now);
    let (mut delivered, mut answered) = (false, false);
    for _ in 0..100 {
        let mut ready = false;
        match client.poll(now) {
            Output::Connect => client.connected(now),
            Output::Event(Event::Ready) => ready = true,
            Output::Event(Event::Response { response: answer, .. }) => {
                answered = answer.decode::<Send<'_>>().is_ok();
            }
            Output::Event(Event::Delivered(_)) => delivered = true,
            Output::Disconnect => return None,
            _ => {}
        }
        if ready {
            client
                .send(now, &message(alice, "hi")?, SendOptions::default())
                .ok()?;
        }
        let len = hub.receive(now, client.outgoing());
        client.transmitted(len);
        if let Some(id) = serve(&mut hub, now)? {
            let answer = SendResponse::new(1, 1);
            hub.respond::<Send<'_>>(id, &answer).ok()?;
            let len = wire::encode_body(&message(alice, "hi")?, &mut bytes).ok()?;
            hub.deliver(b"1", 0, bytes.get(..len)?).ok()?;
        }
        let len = client.receive(now, hub.outgoing());
        hub.transmitted(len);
    }
    check(delivered && answered && client.cursor() == b"1" && hub.window_capacity() == 64)?;
    client.logout(now);
    let _ = client.poll(now);
    let len = hub.receive(now, client.outgoing());
    client.transmitted(len);
    let closed = matches!(hub.poll(now), HubOutput::Close(CloseReason::LoggedOut));
    hub.begin_again(now);
    let waits = matches!(hub.poll(now), HubOutput::Wait(None));
    check(closed && waits)
}

/// Lets the client in; returns the id of a SEND.
fn serve(hub: &mut HubSession<FixedBuffer<'_>>, now: Instant) -> Option<Option<u32>> {
    let login = match hub.poll(now) {
        HubOutput::Event(HubEvent::Login(login)) => login.user.as_str() == "alice",
        HubOutput::Event(HubEvent::Request { id, request }) if request.kind() == FrameKind::SEND => {
            return Some(Some(id));
        }
        HubOutput::Wait(_) => return Some(None),
        _ => return None,
    };
    check(login)?;
    hub.accept(&LoginResponse::new(99).with_time_ms(5).with_cursor(b"0"))
        .ok()?;
    hub.push(FrameKind::SYNCED, &Done).ok()?;
    Some(None)
}

fn check(right: bool) -> Option<()> {
    right.then_some(())
}

/// A line of text in place.
struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for Line<N> {
    fn default() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }
}

impl<const N: usize> Write for Line<N> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.len + text.len();
        self.bytes
            .get_mut(self.len..end)
            .ok_or(core::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
