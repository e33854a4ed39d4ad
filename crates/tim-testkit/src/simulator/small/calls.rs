//! The calls of a device in progress, and how each is made.

use std::pin::Pin;
use std::task::{Context, Poll};

use sha2::{Digest as _, Sha256};
use tim_proto::message::{Payload, SendOptions, to_vec};
use tim_proto::request::BeginUpload;
use tim_proto::{ConversationId, ErrorCode, FileId, Message, Priority, UserId};
use tim_transport_embedded::{Client, Error, UploadedFile};
use tokio::sync::mpsc;

use super::{Own, SmallDevice, outbox};
use crate::simulator::files::{content_of, name_of, with_uploaded};
use crate::simulator::history::{Failed, FileOf, ListEntry, Log, Mark, Returned, Said, Seen, Sent, What};
use crate::simulator::op::{Body, Call, Target, Which};
use crate::simulator::sdk::with_payload;
use crate::simulator::seen;

/// The longest piece of a file that a device uploads at a time.
const PIECE: usize = 400;

/// The calls of a device in progress.
pub(super) struct Calls<'m> {
    pub(super) device: &'m SmallDevice,
    pub(super) client: Client<'m>,
    pub(super) commands: mpsc::UnboundedReceiver<(u32, Call)>,
    pub(super) active: Vec<Pin<Box<dyn Future<Output = ()> + 'm>>>,
    /// Sends again what is kept.
    pub(super) drain: Option<Pin<Box<dyn Future<Output = ()> + 'm>>>,
}

impl<'m> Calls<'m> {
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        while let Poll::Ready(Some((step, op))) = self.commands.poll_recv(context) {
            self.begin(step, &op);
        }
        let (device, client) = (self.device, self.client);
        // With the power all calls end.
        let mut goes_on = |call: &mut Pin<Box<dyn Future<Output = ()> + 'm>>| {
            device.is_off() || call.as_mut().poll(context).is_pending()
        };
        self.active.retain_mut(&mut goes_on);
        if self.drain.is_none() && device.ready.get() && device.has_kept() {
            self.drain = Some(Box::pin(outbox::drain(device, client)));
        }
        if self.drain.as_mut().is_some_and(|drain| !goes_on(drain)) {
            self.drain = None;
        }
    }

    /// Logs in by itself, as after a restart.
    pub(super) fn log_in(&mut self) {
        let client = self.client;
        self.active.push(Box::pin(async move {
            let _ = client.login().await;
        }));
    }

    fn begin(&mut self, step: u32, op: &Call) {
        let (device, client) = (self.device, self.client);
        match op {
            Call::Login => {
                device.wants_in.set(true);
                self.run(step, op, None, async move {
                    let answer = client.login().await.inspect_err(|_| device.wants_in.set(false))?;
                    Ok(Returned::LoggedIn {
                        account: answer.account,
                    })
                });
            }
            Call::Logout => {
                device.wants_in.set(false);
                self.run(step, op, None, async move {
                    client.logout().await.map(|()| Returned::Done)
                });
            }
            Call::Send {
                to,
                body,
                priority,
                online_only,
                ..
            } => self.send(step, op, *to, *body, *priority, *online_only),
            Call::SendKept { to, body, priority } => self.send_kept(step, op, *to, *body, *priority),
            Call::Resend(n) => self.send_again(step, op, *n, false),
            Call::ResendKept(n) => self.send_again(step, op, *n, true),
            Call::Revoke(which) => self.revoke(step, op, *which),
            Call::Read(target) => {
                let (conversation, log) = (device.conversation(*target), device.log(*target));
                self.run(step, op, None, async move {
                    let read = client.set_message_read(conversation).await?;
                    Ok(Returned::Read {
                        log,
                        read_sequence: Some(read.read_sequence),
                        unread: Some(read.unread.into()),
                    })
                });
            }
            Call::DeleteConversation(target) => {
                let (conversation, log) = (device.conversation(*target), device.log(*target));
                self.run(step, op, None, async move {
                    client.delete_conversation(conversation).await?;
                    Ok(Returned::Read {
                        log,
                        read_sequence: None,
                        unread: None,
                    })
                });
            }
            Call::List => self.run(step, op, None, async move {
                let me = device.user();
                let (entries, completed) = client
                    .get_conversation_list(&[], 0, |page| {
                        let entries = page.conversations.iter().map(|entry| list_entry(me, &entry));
                        (entries.collect::<Vec<_>>(), page.completed)
                    })
                    .await?;
                Ok(Returned::List {
                    entries,
                    truncated: !completed,
                })
            }),
            Call::Page { of, count, pages } => {
                let (conversation, log) = (device.conversation(*of), device.log(*of));
                let (count, pages) = (u16::from(*count), *pages);
                self.run(step, op, None, async move {
                    page_back(client, device.user(), conversation, log, count, pages).await
                });
            }
            Call::ConversationProfile(target) => {
                let conversation = device.conversation(*target);
                self.run(step, op, None, async move {
                    let me = device.user();
                    let entry = client
                        .get_conversation_profile(conversation, |profile| {
                            list_entry(me, &profile.conversation)
                        })
                        .await?;
                    Ok(Returned::List {
                        entries: vec![entry],
                        truncated: true,
                    })
                });
            }
            _ => device.skip(step, "a small device has no such call"),
        }
    }

    /// Observes a call and its result.
    fn run(
        &mut self,
        step: u32,
        op: &Call,
        message: Option<Sent>,
        call: impl Future<Output = Result<Returned, Error>> + 'm,
    ) {
        self.run_told(step, op, message, async move { call.await.map_err(failed) });
    }

    /// The same for a call that says itself what a failure means.
    fn run_told(
        &mut self,
        step: u32,
        op: &Call,
        message: Option<Sent>,
        call: impl Future<Output = Result<Returned, Failed>> + 'm,
    ) {
        let device = self.device;
        device.observe(What::Called {
            call: step,
            op: op.clone(),
            message,
        });
        device.pending.set(device.pending.get() + 1);
        self.active.push(Box::pin(async move {
            let result = call.await;
            device.pending.set(device.pending.get().saturating_sub(1));
            if device.shared.plan.settings.keeps {
                device.kept.borrow_mut().own = device.own.borrow().clone();
            }
            device.observe(What::Resolved { call: step, result });
        }));
    }

    fn send(&mut self, step: u32, op: &Call, to: Target, body: Body, priority: u8, online_only: bool) {
        let (device, client) = (self.device, self.client);
        let (to, mark) = (device.conversation(to), Mark(step));
        let make = |payload: Payload<'_>| {
            client
                .create_message(to, payload)
                .map(|message| (message.id, said(&message.payload, mark)))
        };
        let made = match body {
            Body::File(body) => {
                let file = FileOf { origin: mark, body };
                device.shared.carries(mark, file);
                // What the hub calls it is known later.
                let uuid = FileId::from_bytes([0; 16]).to_string();
                with_uploaded(mark, file, &uuid, content_of(file).len() as u64, make)
            }
            _ => with_payload(body, mark, make),
        };
        let (id, said) = match made {
            Ok(made) => made,
            Err(error) => return self.run(step, op, None, async move { Err(error) }),
        };
        let own = Own {
            mark,
            to,
            body,
            id,
            online_only,
            sequence: None,
            time_s: 0,
        };
        device.has_made(&own);
        self.run(
            step,
            op,
            Some(device.sent(&own, said)),
            transmit(device, client, own, priority),
        );
    }

    /// Sends a message that the storage keeps until it is answered.
    fn send_kept(&mut self, step: u32, op: &Call, to: Target, body: Body, priority: u8) {
        let (device, client) = (self.device, self.client);
        let (to, mark) = (device.conversation(to), Mark(step));
        let made = with_payload(body, mark, |payload| {
            let message = client.create_message(to, payload)?;
            Ok((message.id, said(&message.payload, mark)))
        });
        let (id, said) = match made {
            Ok(made) => made,
            Err(error) => return self.run(step, op, None, async move { Err(error) }),
        };
        let own = Own {
            mark,
            to,
            body,
            id,
            online_only: false,
            sequence: None,
            time_s: 0,
        };
        device.has_made(&own);
        let sent = device.sent(&own, said);
        self.run_told(step, op, Some(sent), outbox::send(device, client, own, priority));
    }

    fn send_again(&mut self, step: u32, op: &Call, n: u16, succeeded: bool) {
        let (device, client) = (self.device, self.client);
        let found = {
            let own = device.own.borrow();
            let of: Vec<&Own> = own
                .iter()
                .rev()
                .filter(|own| own.sequence.is_some() == succeeded)
                .collect();
            of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0))
                .map(|own| (*own).clone())
        };
        let Some(own) = found else {
            return device.skip(step, "there is no such message");
        };
        let said = with_payload(own.body, own.mark, |payload| said(&payload, own.mark));
        self.run(
            step,
            op,
            Some(device.sent(&own, said)),
            transmit(device, client, own, Priority::NORMAL.0),
        );
    }

    fn revoke(&mut self, step: u32, op: &Call, which: Which) {
        let (device, client) = (self.device, self.client);
        let me = device.user();
        let found = match which {
            Which::Own(n) => {
                let own = device.own.borrow();
                let of: Vec<&Own> = own.iter().rev().collect();
                let own = of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0));
                own.map(|own| (own.to, own.id, own.sequence.unwrap_or(0), Some(own.mark)))
            }
            Which::Of(target, n) => {
                let (held, log) = (device.held.borrow(), device.log(target));
                let of: Vec<&Seen> = held
                    .iter()
                    .rev()
                    .filter(|held| held.log == log && held.sequence > 0)
                    .collect();
                let seen = of.get(usize::from(n).checked_rem(of.len()).unwrap_or(0));
                seen.map(|seen| {
                    (
                        device.conversation(target),
                        seen.id,
                        seen.sequence,
                        seen.content.mark(),
                    )
                })
            }
        };
        let Some((to, id, sequence, mark)) = found else {
            return device.skip(step, "there is no such message");
        };
        let log = Log::of(me, to);
        self.run(step, op, None, async move {
            let mut message = Message::new(tim_proto::message::Envelope::new(me), to, id, ());
            message.envelope.sequence = sequence;
            client.revoke_message(&message).await?;
            device.take_revocation(log, sequence);
            Ok(Returned::Revoked { log, sequence, mark })
        });
    }
}

impl SmallDevice {
    fn log(&self, target: Target) -> Log {
        Log::of(self.user(), self.conversation(target))
    }

    fn has_made(&self, own: &Own) {
        self.own.borrow_mut().push(own.clone());
        if self.shared.plan.settings.keeps {
            self.kept.borrow_mut().own.push(own.clone());
        }
    }

    pub(super) fn sent(&self, own: &Own, said: Said) -> Sent {
        Sent {
            log: Log::of(self.user(), own.to),
            from: self.user(),
            id: own.id,
            said,
            online_only: own.online_only,
            file: self.shared.file_of(own.mark),
        }
    }
}

pub(super) fn said(payload: &Payload<'_>, mark: Mark) -> Said {
    Said {
        mark: Some(mark),
        ..Said::of(payload.kind(), &to_vec(payload))
    }
}

/// Sends a message, and keeps what the hub answered.
async fn transmit(
    device: &SmallDevice,
    client: Client<'_>,
    own: Own,
    priority: u8,
) -> Result<Returned, Error> {
    let text = own.mark;
    let body = own.body;
    // The payload has to live as long as the request.
    let encode = |payload: Payload<'_>| (payload.kind(), to_vec(&payload));
    let bytes = match (body, device.shared.file_of(own.mark)) {
        (Body::File(_), Some(file)) => {
            let uploaded = upload(client, own.mark, file).await?;
            with_uploaded(own.mark, file, uploaded.uuid(), uploaded.size(), encode)
        }
        _ => with_payload(body, text, encode),
    };
    let payload = Payload::decode(bytes.0, &bytes.1);
    let mut message = client.restore_message(own.to, payload, own.id)?;
    message.priority = Priority(priority);
    let options = SendOptions::default().with_online_user_only(own.online_only);
    let answer = client.send_message_with(&mut message, options).await?;
    let id = message.id;
    for kept in device
        .own
        .borrow_mut()
        .iter_mut()
        .filter(|kept| kept.mark == own.mark)
    {
        (kept.id, kept.sequence, kept.time_s) = (id, Some(answer.sequence), answer.time);
    }
    Ok(Returned::Accepted {
        log: Log::of(device.user(), own.to),
        sequence: answer.sequence,
        id,
        time_s: answer.time,
        mark: own.mark,
    })
}

/// Uploads a file piece by piece, from where the hub has stopped.
async fn upload(client: Client<'_>, mark: Mark, file: FileOf) -> Result<UploadedFile, Error> {
    let content = content_of(file);
    let sha256: [u8; 32] = Sha256::digest(&content).into();
    let name = name_of(mark, file.body.kind);
    let begin = BeginUpload::new(file.body.kind.message(), &name, content.len() as u64, &sha256);
    let mut piece = [0; PIECE];
    let mut source = content.as_slice();
    client
        .upload_file(&begin, &mut source, &mut piece, |_, _| ())
        .await
}

async fn page_back(
    client: Client<'_>,
    me: UserId,
    conversation: ConversationId,
    log: Log,
    count: u16,
    pages: u8,
) -> Result<Returned, Error> {
    let (mut entries, mut next, mut completed) = (Vec::new(), None, false);
    for _ in 0..pages.max(1) {
        let mut older: Vec<Seen> = Vec::new();
        next = client
            .get_message_list(conversation, next.as_ref(), count, |page| {
                older = page
                    .messages
                    .iter()
                    .map(|message| seen::of_message(me, &message))
                    .collect();
            })
            .await?;
        older.append(&mut entries);
        entries = older;
        completed = next.is_none();
        if completed {
            break;
        }
    }
    Ok(Returned::Page {
        log,
        entries,
        completed,
    })
}

fn list_entry(me: UserId, entry: &tim_proto::conversation::Conversation<'_>) -> ListEntry {
    ListEntry {
        log: Log::of(me, entry.id),
        unread: entry.unread.into(),
        read_sequence: entry.read_sequence,
        last_sequence: entry.last_sequence,
        last: entry.last_message().map(|last| seen::of_message(me, &last)),
        receive_option: entry.receive_option,
        name: entry.name.to_owned(),
        at: entry.at.iter().map(|at| at.sequence).collect(),
    }
}

pub(super) fn failed(error: Error) -> Failed {
    let may_have_happened = matches!(
        error,
        Error::TimedOut | Error::Ended(_) | Error::LoggedOut | Error::Protocol
    );
    let failed = seen::failed(error.code(), error.to_string());
    Failed {
        unknown: may_have_happened || error.code() == ErrorCode::OUTCOME_UNKNOWN,
        ..failed
    }
}
