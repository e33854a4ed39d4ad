//! The sinks of offline push: one that notifications are posted to, and one of the program that embeds the hub.

use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tim_hub::{Notification, PushError, PushSink, Sending};
use tim_proto::request::PushPlatform;
use tim_proto::{ConversationId, MessageId, UserId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::spawn_local;

use super::http::Connection;
use super::{Servers, Way};
use crate::Rng;
use crate::simulator::history::{Log, Mark, Notified, SinkAnswer, What, is_changed};
use crate::simulator::op::{Call, Server, ServerFault};

/// How long a hub waits for a sink, in milliseconds: `PushOptions::timeout`.
const PATIENCE_MS: u64 = 10_000;
/// The longest pause that a sink asks for, in seconds.
const LONGEST_PAUSE_S: u64 = 20;

/// The sink of the program that embeds the hub.
pub(super) struct Embedded {
    way: Way,
    notifications: mpsc::UnboundedSender<Handed>,
}

/// A notification, and where its outcome goes.
type Handed = (Notification, oneshot::Sender<Result<(), PushError>>);

impl Embedded {
    pub(super) fn new(way: Way) -> (Self, mpsc::UnboundedReceiver<Handed>) {
        let (notifications, receiver) = mpsc::unbounded_channel();
        (Self { way, notifications }, receiver)
    }
}

impl PushSink for Embedded {
    fn send<'a>(&'a self, notification: &'a Notification) -> Sending<'a> {
        Box::pin(async move {
            let (outcome, receiver) = oneshot::channel();
            let is_handed =
                !self.way.has_ended() && self.notifications.send((notification.clone(), outcome)).is_ok();
            if !is_handed {
                return Err(PushError::unavailable("it is gone"));
            }
            match receiver.await {
                Ok(outcome) => outcome,
                Err(_) => std::future::pending().await,
            }
        })
    }

    fn name(&self) -> &str {
        "embedded"
    }
}

/// Takes the notifications of a hub, until that has ended.
pub(super) async fn serve_embedded(servers: Rc<Servers>, mut notifications: mpsc::UnboundedReceiver<Handed>) {
    while let Some((notification, outcome)) = notifications.recv().await {
        let servers = Rc::clone(&servers);
        spawn_local(async move {
            if let Some(ServerFault::Refuses(_)) = servers.condition(Server::Embedded) {
                return drop(outcome.send(Err(PushError::unavailable("it is switched off"))));
            }
            let mut rng = servers.chance(&notification.id);
            let (answer, after_ms) = servers.decide(Server::Embedded, &mut rng);
            let notified = Notified {
                answer,
                after_ms,
                ..of_notification(&notification)
            };
            servers.shared.observe(None, What::Notified(notified));
            let Some(after_ms) = after_ms else { return };
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let retry_after = pause(&mut rng).map(Duration::from_secs);
            let what = "as it was planned".to_owned();
            let _ = outcome.send(match answer {
                SinkAnswer::Taken => Ok(()),
                SinkAnswer::Refused => Err(PushError::Refused(what)),
                SinkAnswer::TokenUnknown => Err(PushError::TokenUnknown),
                SinkAnswer::NotTaken => Err(PushError::NotTaken { what, retry_after }),
                SinkAnswer::Unavailable => Err(PushError::Unavailable { what, retry_after }),
            });
        });
    }
}

/// Some sinks say when to try again.
fn pause(rng: &mut Rng) -> Option<u64> {
    rng.percent(40).then(|| rng.below(LONGEST_PAUSE_S))
}

impl Servers {
    /// Takes the notifications of a connection.
    pub(super) async fn take_notifications(self: Rc<Self>, mut connection: Connection, way: Way) {
        while let Some(request) = connection.request().await {
            if way.has_ended() {
                return;
            }
            let notified = of_json(&request.body);
            assert_eq!(
                Some(notified.id.as_str()),
                request.key.as_deref(),
                "the idempotency key"
            );
            let mut rng = self.chance(&notified.id);
            let (answer, after_ms) = self.decide(Server::Webhook, &mut rng);
            let notified = Notified {
                answer,
                after_ms,
                ..notified
            };
            self.shared.observe(None, What::Notified(notified));
            let Some(after_ms) = after_ms else {
                if let Some(ServerFault::Hangs(_)) = self.condition(Server::Webhook) {
                    connection.closed().await;
                }
                return;
            };
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            let status = match answer {
                SinkAnswer::Taken => 200,
                SinkAnswer::Refused => 422,
                SinkAnswer::TokenUnknown => 410,
                SinkAnswer::NotTaken => 404,
                SinkAnswer::Unavailable => 503,
            };
            let retry_after = pause(&mut rng).filter(|_| matches!(status, 404 | 503));
            let headers = retry_after.map_or_else(String::new, |pause| format!("Retry-After: {pause}\r\n"));
            if !connection.answer(status, &headers, "{}").await {
                return;
            }
        }
    }

    /// What a sink answers, and after how many milliseconds.
    fn decide(&self, sink: Server, rng: &mut Rng) -> (SinkAnswer, Option<u64>) {
        let after_ms = Some(self.delay(sink, rng));
        match self.condition(sink) {
            Some(ServerFault::Hangs(_) | ServerFault::Cuts(_)) => return (SinkAnswer::Unavailable, None),
            Some(ServerFault::Fails(_)) => return (SinkAnswer::Unavailable, after_ms),
            _ => {}
        }
        if self.is_healed() || !rng.percent(self.settings.not_taken) {
            return (SinkAnswer::Taken, after_ms);
        }
        match rng.below(20) {
            0..4 => (SinkAnswer::Refused, after_ms),
            4..8 => (SinkAnswer::TokenUnknown, after_ms),
            8..13 => (SinkAnswer::NotTaken, after_ms),
            13..17 => (SinkAnswer::Unavailable, after_ms),
            17..19 => (SinkAnswer::Unavailable, None),
            // Too late: the hub has given it up.
            _ => (SinkAnswer::Taken, Some(PATIENCE_MS + rng.within(100..3_000))),
        }
    }
}

/// What a sink gets; what it answers is not known yet.
fn of_notification(notification: &Notification) -> Notified {
    Notified {
        sink: Server::Embedded,
        id: notification.id.clone(),
        user: notification.user,
        platform: notification.platform,
        token: notification.token.clone(),
        place: (
            Log::of(notification.user, notification.conversation),
            notification.sequence,
        ),
        message: notification.message,
        sender: notification.sender,
        mark: Mark::find(notification.text.as_bytes()),
        is_changed: is_changed(&notification.text),
        answer: SinkAnswer::Taken,
        after_ms: None,
    }
}

/// The same, as it is posted.
fn of_json(body: &[u8]) -> Notified {
    let json: Value = match serde_json::from_slice(body) {
        Ok(json) => json,
        Err(error) => panic!("the hub posts what is no JSON: {error}"),
    };
    let text = |name: &str| match json[name].as_str() {
        Some(text) => text,
        None => panic!("a notification without {name}: {json}"),
    };
    let unreadable = |what: &str| -> ! { panic!("a notification whose {what} cannot be read: {json}") };
    let user = |name: &str| UserId::new(text(name)).unwrap_or_else(|_| unreadable(name));
    let conversation: ConversationId = text("conversation")
        .parse()
        .unwrap_or_else(|_| unreadable("conversation"));
    let message: MessageId = text("message").parse().unwrap_or_else(|_| unreadable("message"));
    let token = text("token");
    Notified {
        sink: Server::Webhook,
        id: text("id").to_owned(),
        user: user("user"),
        platform: platform_of(token),
        token: token.to_owned(),
        place: (
            Log::of(user("user"), conversation),
            json["sequence"].as_u64().unwrap_or(0),
        ),
        message,
        sender: user("sender"),
        mark: Mark::find(text("text").as_bytes()),
        is_changed: is_changed(text("text")),
        answer: SinkAnswer::Taken,
        after_ms: None,
    }
}

/// The platform that a token belongs to.
fn platform_of(token: &str) -> PushPlatform {
    let number = token.rsplit('-').next().and_then(|number| number.parse().ok());
    Call::token(number.unwrap_or(0)).0
}
