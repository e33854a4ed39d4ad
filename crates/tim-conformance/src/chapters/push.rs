//! Offline push: what reaches a user who is offline, through which push services.

use std::time::Duration;

use tim_client::proto::Words;
use tim_client::proto::render::placeholder;
use tim_client::proto::request::PushPlatform;
use tim_client::{Custom, MessageKind, OfflinePush, SendOptions, UserId};

use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::person::Person;
use crate::target::SeenPush;

/// How long notifications are waited for, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);
/// The text of the message behind what is looked at.
const FENCE: &str = "fence";

/// A user with an iPhone and an OPPO phone, who is offline, and another one who writes.
struct Away<'a> {
    lab: &'a Lab,
    alice: Person,
    bob: UserId,
}

impl<'a> Away<'a> {
    async fn new(lab: &'a Lab) -> Result<Self, Stop> {
        Self::of(lab, lab.pair().await?).await
    }

    async fn of(lab: &'a Lab, (alice, bob): (Person, Person)) -> Result<Self, Stop> {
        if lab.pushes(&bob.user()).is_none() {
            return Err(Stop::NotApplicable(
                "needs a hub whose notifications the suite can see".into(),
            ));
        }
        for (platform, token) in [(PushPlatform::IOS, "iphone"), (PushPlatform::OPPO, "oppo")] {
            let token = format!("{}-{token}", bob.user());
            bob.client.register_push(platform, &token, true).await?;
        }
        let user = bob.user();
        bob.client.logout().await?;
        Ok(Self {
            lab,
            alice,
            bob: user,
        })
    }

    /// Sends a text, and returns what comes of it.
    async fn text(&self, push: Option<OfflinePush>) -> Result<Vec<SeenPush>, Stop> {
        self.say(push).await?;
        self.seen().await
    }

    async fn say(&self, push: Option<OfflinePush>) -> Result<(), Stop> {
        let options = SendOptions {
            offline_push: push,
            ..SendOptions::default()
        };
        self.alice.say_with(self.bob, "hello", options).await?;
        Ok(())
    }

    /// Sends a text, and returns what comes of it for the two phones while nothing else is unread: a fence would count in the badge.
    async fn first_text(&self, push: Option<OfflinePush>) -> Result<[SeenPush; 2], Stop> {
        let pushes = || self.lab.pushes(&self.bob).unwrap_or_default();
        let before = pushes().len();
        self.say(push).await?;
        wait_for(|| pushes().len() >= before + 2).await?;
        both(pushes().split_off(before))
    }

    async fn custom(&self, description: &str, push: Option<OfflinePush>) -> Result<Vec<SeenPush>, Stop> {
        let custom = Custom::new().with_data("data").with_description(description);
        let message = self.alice.client.create_custom_message(self.bob, custom)?;
        let options = SendOptions {
            offline_push: push,
            ..SendOptions::default()
        };
        self.alice.client.send_message(&message, options).await?;
        self.seen().await
    }

    /// What has come for the user since the last fence. One more message marks the end of it.
    async fn seen(&self) -> Result<Vec<SeenPush>, Stop> {
        let fences = |seen: &[SeenPush]| seen.iter().filter(|push| push.text == FENCE).count();
        let before = self.lab.pushes(&self.bob).unwrap_or_default();
        let expected = fences(&before).next_multiple_of(2) + 2;
        self.alice.say(self.bob, FENCE).await?;
        wait_for(|| fences(&self.lab.pushes(&self.bob).unwrap_or_default()) >= expected).await?;
        let seen = self.lab.pushes(&self.bob).unwrap_or_default();
        let mut since: Vec<_> = seen.into_iter().rev().skip(2).collect();
        let len = since.iter().take_while(|push| push.text != FENCE).count();
        since.truncate(len);
        since.reverse();
        Ok(since)
    }
}

async fn wait_for(is_so: impl Fn() -> bool) -> Result<(), Stop> {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(LOOK).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.map_err(|_| Stop::fail("no notification of a message to a user who is offline"))
}

/// One notification for each of the two phones.
fn both(seen: Vec<SeenPush>) -> Result<[SeenPush; 2], Stop> {
    let [iphone, oppo] = <[SeenPush; 2]>::try_from(seen)
        .map_err(|seen| Stop::fail(format_args!("{} notifications, expected 2", seen.len())))?;
    ensure_eq!(
        (iphone.platform, oppo.platform),
        (PushPlatform::IOS, PushPlatform::OPPO),
        "the push services"
    );
    Ok([iphone, oppo])
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(super) async fn default_push(lab: &Lab) -> Verdict {
    for push in one_for_each_phone(lab).await? {
        ensure_eq!(push.badge, Some(1), "the badge");
    }
    Ok("without options, each phone is notified once, with the text of the message".into())
}

pub(super) async fn disabled(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let disabled = OfflinePush {
        disable_push: true,
        ..OfflinePush::default()
    };
    ensure_eq!(away.text(Some(disabled)).await?, [], "notifications");
    both(away.text(Some(OfflinePush::default())).await?)?;
    let (mut back, _) = lab
        .log_in_with("bob", tim_client::ClientBuilder::resume_from_start)
        .await?;
    back.hears("hello").await?;
    Ok("true: stored, and no notification; false: one for each phone".into())
}

pub(super) async fn title(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let default = both(away.text(None).await?)?;
    let push = OfflinePush {
        title: some("标题 😀"),
        ..OfflinePush::default()
    };
    for (push, default) in both(away.text(Some(push)).await?)?.iter().zip(&default) {
        ensure_eq!(push.title, "标题 😀", "the title");
        ensure!(!default.title.is_empty(), "there is no default title");
    }
    Ok("on iOS and on Android; a default without it".into())
}

pub(super) async fn description(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let push = OfflinePush {
        description: some("您有一条新消息"),
        ..OfflinePush::default()
    };
    for push in both(away.text(Some(push)).await?)? {
        ensure_eq!(push.text, "您有一条新消息", "the text");
    }
    for push in both(away.text(None).await?)? {
        ensure_eq!(push.text, "hello", "the text without a description");
    }
    Ok("the description is shown, and without it the text of the message".into())
}

pub(super) async fn custom_description(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let push = OfflinePush {
        description: some("from the options"),
        ..OfflinePush::default()
    };
    for (push, expected) in [(Some(push), "from the options"), (None, "its own")] {
        for push in both(away.custom("its own", push).await?)? {
            ensure_eq!(push.text, expected, "the text");
        }
    }
    Ok("the description of the options is shown, else that of the payload".into())
}

pub(super) async fn custom_without_text(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    ensure_eq!(away.custom("", None).await?, [], "notifications");
    let empty = Some(OfflinePush::default());
    ensure_eq!(away.custom("", empty).await?, [], "notifications with options");
    let unread = lab.log_in("bob").await?.unread(away.alice.user()).await?;
    ensure_eq!(unread, 4, "messages that were stored");
    Ok("no notification, and the message is stored".into())
}

pub(super) async fn extension(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let extension = "{\"a\": \"\u{0}é😀\"}";
    let push = OfflinePush {
        extension: some(extension),
        ..OfflinePush::default()
    };
    for push in both(away.text(Some(push)).await?)? {
        ensure_eq!(push.extension, extension, "what the application gets");
        ensure!(
            !push.text.contains(extension) && !push.title.contains(extension),
            "it is shown"
        );
    }
    Ok("arrives byte for byte, and is not shown".into())
}

pub(super) async fn ios_badge(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let push = OfflinePush {
        ignore_ios_badge: true,
        ..OfflinePush::default()
    };
    let [iphone, oppo] = away.first_text(Some(push)).await?;
    ensure_eq!((iphone.badge, oppo.badge), (None, Some(1)), "the badges");
    Ok("the badge stays on iOS, and counts elsewhere".into())
}

pub(super) async fn oppo_channel(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let push = OfflinePush {
        android_oppo_channel_id: some("channel"),
        ..OfflinePush::default()
    };
    let [iphone, oppo] = both(away.text(Some(push)).await?)?;
    ensure_eq!(
        (iphone.channel, oppo.channel),
        (None, some("channel")),
        "the channels"
    );
    Ok("goes to OPPO only".into())
}

pub(super) async fn example(lab: &Lab) -> Result<(), Stop> {
    // The other two are online.
    let pair = (lab.log_in("carol").await?, lab.log_in("dave").await?);
    let away = Away::of(lab, pair).await?;
    let push = OfflinePush {
        title: some("新消息"),
        description: some("您有一条新消息"),
        android_oppo_channel_id: some("channel"),
        ..OfflinePush::default()
    };
    let [_, oppo] = both(away.text(Some(push)).await?)?;
    let shown = (oppo.title.as_str(), oppo.text.as_str(), oppo.channel.as_deref());
    ensure_eq!(
        shown,
        ("新消息", "您有一条新消息", Some("channel")),
        "what OPPO gets"
    );
    Ok(())
}

/// One notification on each phone, with a title and a text.
pub(super) async fn one_for_each_phone(lab: &Lab) -> Result<[SeenPush; 2], Stop> {
    let away = Away::new(lab).await?;
    let pushes = away.first_text(None).await?;
    for push in &pushes {
        ensure_eq!(push.text, "hello", "the text");
        ensure!(!push.title.is_empty(), "there is no title");
    }
    Ok(pushes)
}

pub(super) async fn default_texts(lab: &Lab) -> Verdict {
    let away = Away::new(lab).await?;
    let mut raw = lab.raw("alice").await?;
    let kinds = [
        MessageKind::IMAGE,
        MessageKind::AUDIO,
        MessageKind::VIDEO,
        MessageKind::FILE,
        MessageKind::FACE,
    ];
    for kind in kinds {
        let body = raw.body(&super::to(away.bob), kind.0, super::wire_payload(kind));
        let sent = raw.send(&body).await?;
        sent.map_err(|refusal| Stop::fail(format_args!("{kind} was refused with {}", refusal.code)))?;
        for push in both(away.seen().await?)? {
            let texts = [Words::ENGLISH, Words::SEED].map(|words| placeholder(kind, words));
            ensure!(
                texts.contains(&push.text.as_str()),
                "a message of kind {kind} is shown as {:?}",
                push.text
            );
        }
    }
    for push in both(away.text(None).await?)? {
        ensure_eq!(push.text, "hello", "of a text");
    }
    Ok("text itself, the description of a custom message, [Image] and so on of the others".into())
}
