//! The whole client: wire format, parsers, session and transport.

use core::cell::RefCell;
use core::future::poll_fn;
use core::hint::black_box;
use core::pin::pin;
use core::task::Poll;

use tim_proto::message::{Custom, Message, Payload, SendOptions};
use tim_proto::request::{BeginUpload, Download};
use tim_proto::{MessageKind, UserId};
use tim_session::{ClientConfig, Instant};
use tim_transport_embedded::{
    Client, Clock, Device, Error, Event, FileFailed, FileSink, FramingChoice, OnlySerial, OnlyStream,
    Resources, SerialPort,
};

use crate::line::{Line, run_to_end};
use crate::{Board, codec, parsers};

/// A board's clock.
struct Time<'c, 'b, B>(&'c RefCell<&'b mut B>);

impl<B: Board> Clock for Time<'_, '_, B> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.0.try_borrow_mut().map_or(0, |mut board| board.micros()))
    }

    async fn wait_until(&self, moment: Instant) {
        poll_fn(|_| {
            if self.now() >= moment {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// A device that picks up where it was.
fn device<'m, 'c, 'b, B: Board, F: FramingChoice>(
    framing: F,
    resources: &'m mut Resources<512, 512, 512>,
    board: &'c RefCell<&'b mut B>,
) -> Option<Device<'m, Time<'c, 'b, B>, F>> {
    let user = UserId::new(black_box("kiosk-1")).ok()?;
    let config = ClientConfig::new(black_box(1_400_000_000), user, black_box(0xC0FFEE));
    let (user_sig, seed) = (black_box("eJw"), black_box(7));
    let mut device = Device::with_framing(framing, config, user_sig, resources, seed, Time(board));
    device.resume_from(black_box(b"7"));
    Some(device)
}

/// [`run`] on a serial line.
pub fn on_serial<B: Board>(board: &mut B) -> Option<()> {
    run(OnlySerial, board)
}

/// [`run`] on a stream.
pub fn on_stream<B: Board>(board: &mut B) -> Option<()> {
    run(OnlyStream, board)
}

/// The smallest client that is one: picks up where it was, logs in, sends a text, and waits until a message of somebody
/// else's was shown and taken, be it a text, a tip or a notice.
fn run<B: Board>(framing: impl FramingChoice, board: &mut B) -> Option<()> {
    let (mut resources, board) = (Resources::new(), RefCell::new(board));
    run_to_end::<B, _>(async {
        let mut device = device(framing, &mut resources, &board)?;
        let (client, runner) = device.split(SerialPort::new(Line(&board), Line(&board)));
        runner
            .run(async |mut events| {
                let mut shown = 0;
                events.until(client.login(), |_| {}).await.ok()?;
                events.until(client.wait_until_ready(), |_| {}).await.ok()?;
                let alice = UserId::new(black_box("alice")).ok()?;
                let mut message = client.create_text_message(alice, black_box("Hello!")).ok()?;
                let sent = client.send_message(&mut message);
                events
                    .until(sent, |event| shown += show(&board, event))
                    .await
                    .ok()?;
                while shown < B::MESSAGES {
                    shown += show(&board, events.next_event().await);
                }
                events.cursor(|cursor| board.try_borrow_mut().map(|mut board| board.show(cursor)).ok())
            })
            .await
    })
}

/// Says how large the futures of calls are, on a stream.
pub fn sizes<B: Board>(board: &mut B, report: &mut dyn FnMut(&str, usize)) -> Option<()> {
    let (mut resources, board) = (Resources::new(), RefCell::new(board));
    run_to_end::<B, _>(async {
        let mut device = device(OnlyStream, &mut resources, &board)?;
        let (client, runner) = device.split(SerialPort::new(Line(&board), Line(&board)));
        runner
            .run(async |mut events| {
                let kiosk = UserId::new(black_box("kiosk-1")).ok()?;
                let mut message = codec::message(kiosk, kiosk, "");
                report("login", size_of_val(&client.login()));
                report("send_message", size_of_val(&client.send_message(&mut message)));
                report("set_message_read", size_of_val(&client.set_message_read(kiosk)));
                report("next_event", size_of_val(&events.next_event()));
                Some(())
            })
            .await
    })
}

/// All the calls that there are but those of files, one after the other, and messages of every kind.
pub fn run_all_calls<B: Board>(board: &mut B) -> Option<()> {
    run_calls(board, async |client, board| {
        call_all(client, board).await?;
        client.logout().await
    })
}

/// The same, and uploads and downloads.
pub fn run_all_calls_and_files<B: Board>(board: &mut B) -> Option<()> {
    run_calls(board, async |client, board| {
        call_all(client, board).await?;
        send_files(client, &Screen(board)).await?;
        client.logout().await
    })
}

fn run_calls<B: Board>(
    board: &mut B,
    calls: impl AsyncFnOnce(Client<'_, OnlySerial>, &RefCell<&mut B>) -> Result<(), Error>,
) -> Option<()> {
    let (mut resources, board) = (Resources::new(), RefCell::new(board));
    run_to_end::<B, _>(async {
        let mut device = device(OnlySerial, &mut resources, &board)?;
        let (client, runner) = device.split(SerialPort::new(Line(&board), Line(&board)));
        runner
            .run(async |mut events| {
                events.until(client.login(), |_| {}).await.ok()?;
                events.until(client.wait_until_ready(), |_| {}).await.ok()?;
                let calls = pin!(calls(client, &board));
                events.until(calls, |event| show_any(&board, event)).await.ok()
            })
            .await
    })
}

async fn call_all<B: Board>(client: Client<'_, OnlySerial>, board: &RefCell<&mut B>) -> Result<(), Error> {
    let alice = UserId::new(black_box("alice")).map_err(|_| Error::Protocol)?;
    let mut payload = [0; 64];
    let mut text = client.create_text_message(alice, black_box("Hello!"))?;
    client.send_message(&mut text).await?;
    client
        .resend_message(&mut client.create_custom_message(alice, Custom::default())?)
        .await?;
    let mut face = client.create_face_message(alice, black_box(1), black_box("x"))?;
    client
        .send_message_with(&mut face, SendOptions::default())
        .await?;
    let mut other = client.create_message(alice, Payload::Unknown(MessageKind(black_box(9)), &[]))?;
    client.send_message(&mut other).await?;
    client.revoke_message(&other).await?;
    let next = client
        .get_message_list(alice, None, 0, |page| {
            page.messages.iter().for_each(|it| show_payload(board, &it))
        })
        .await?;
    client.get_message_list(alice, next.as_ref(), 0, |_| {}).await?;
    client.set_message_read(alice).await?;
    let unread = client.get_conversation_list(&[], 0, |list| {
        list.conversations.iter().map(|it| it.unread).sum::<u32>()
    });
    black_box(unread.await?);
    black_box(
        client
            .get_conversation_profile(alice, |it| it.conversation.unread)
            .await?,
    );
    client.delete_conversation(alice).await?;
    client.fetch_message(alice, black_box(1), &mut payload).await?;
    Ok(())
}

/// Where a file is shown that is downloaded.
struct Screen<'c, 'b, B>(&'c RefCell<&'b mut B>);

impl<B: Board> FileSink for &Screen<'_, '_, B> {
    async fn write_at(&mut self, _: u64, bytes: &[u8]) -> Result<(), FileFailed> {
        let mut board = self.0.try_borrow_mut().map_err(|_| FileFailed)?;
        board.show(bytes);
        Ok(())
    }
}

/// Uploads a file, sends messages of all kinds with it, and downloads it again.
async fn send_files(client: Client<'_, OnlySerial>, mut sink: impl FileSink) -> Result<(), Error> {
    let alice = UserId::new(black_box("alice")).map_err(|_| Error::Protocol)?;
    let (mut flash, mut piece, sha256) = (FILE, [0; 256], black_box([7; BeginUpload::SHA256_LEN]));
    let file = BeginUpload::new(MessageKind::IMAGE, black_box("a.png"), FILE.len() as u64, &sha256);
    let file = client
        .upload_file(&file, &mut flash, &mut piece, |_, _| {})
        .await?;
    let mut image = client.create_image_message(alice, &file)?;
    let sequence = client.send_message(&mut image).await?.sequence;
    let mut audio = client.create_audio_message(alice, &file, black_box(9))?;
    client.send_message(&mut audio).await?;
    let mut video = client.create_video_message(alice, &file, black_box(9), Some(&file))?;
    client.send_message(&mut video).await?;
    let mut other = client.create_file_message(alice, &file, black_box("a"))?;
    client.send_message(&mut other).await?;
    let from = Download::new(alice.into(), sequence, 0, 256);
    client
        .download_file(&from, &mut piece, &mut sink, |_, _| {})
        .await?;
    client.cancel_upload(black_box(1)).await
}

/// A file in flash.
static FILE: &[u8] = &[b'.'; 900];

fn show_any<B: Board>(board: &RefCell<&mut B>, event: Event<'_>) {
    if let Event::Delivered(delivery) = event {
        show_payload(board, &delivery.message());
    }
}

fn show_payload<B: Board>(board: &RefCell<&mut B>, message: &Message<'_>) {
    let Ok(mut board) = board.try_borrow_mut() else {
        return;
    };
    match message.payload {
        Payload::Text(it) => board.show(it.text.as_bytes()),
        Payload::Image(it) => it.images.iter().for_each(|it| board.show(it.url.as_bytes())),
        Payload::Audio(it) => board.show(it.url.as_bytes()),
        Payload::Video(it) => board.show(it.url.as_bytes()),
        Payload::File(it) => board.show(it.url.as_bytes()),
        Payload::Custom(it) => board.show(it.data.as_bytes()),
        Payload::Face(it) => board.show(it.data.as_bytes()),
        Payload::Revocation(it) => board.show(it.reason.as_bytes()),
        Payload::Unknown(_, bytes) => board.show(bytes),
        Payload::GroupTip(it) => parsers::show_tip(&mut **board, &it),
        Payload::SystemNotice(it) => parsers::show_notice(&mut **board, &it),
        _ => {}
    }
}

/// Shows a message; how many it was.
fn show<B: Board>(board: &RefCell<&mut B>, event: Event<'_>) -> u32 {
    let Event::Delivered(delivery) = event else {
        return 0;
    };
    if let Ok(mut board) = board.try_borrow_mut() {
        parsers::show_message(&mut **board, &delivery.header);
    }
    1
}
