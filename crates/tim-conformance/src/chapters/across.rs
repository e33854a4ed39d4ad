//! Across all calls.

use std::collections::BTreeSet;

use serde_json::Value;
use tim_client::proto::vendor::capability::{Capabilities, FEATURES, MANUAL_VERSION, PROFILES, Version};
use tim_client::proto::vendor::constants::event;
use tim_client::{ConversationId, EventKind, GroupType, Platform, Priority, SendOptions};

use super::{SENDABLE, push, revoking};
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::burst;
use crate::row::{Row, table};
use crate::target::HubSettings;

const GOLDEN: &str = include_str!("../../data/constants.json");

pub(super) const ROWS: &[Row] = table! {
    209, "versions at which features appeared", { versions };
    210, "platforms and their profiles", { platforms };
    211, "a REST interface that sends and revokes", { revoking::rest };
    212, "four events: ready, not ready, received, revoked", { four_events };
    213, "a typed response per call", { responses };
    214, "one error type", { one_error };
    215, "the rate limit of a group is configurable", { group_rate };
    216, "default push text by kind", { push::default_texts };
};

async fn versions(_: &Lab) -> Verdict {
    let gates = [(2, 2, 0), (2, 3, 1), (2, 4, 0), (2, 4, 2), (2, 6, 0), (2, 6, 4)];
    let gates = gates.map(|(major, minor, patch)| Version::new(major, minor, patch));
    let versions: BTreeSet<Version> = FEATURES.iter().map(|feature| feature.since).collect();
    ensure_eq!(versions, BTreeSet::from(gates), "the versions of the table");
    ensure!(
        FEATURES.iter().all(|feature| MANUAL_VERSION.has(feature)),
        "a feature is newer than the manual"
    );
    Ok("the table of features has the manual's six versions".into())
}

async fn platforms(_: &Lab) -> Verdict {
    ensure_eq!(PROFILES.len(), Platform::KNOWN.len(), "profiles");
    for platform in [
        Platform::WEB,
        Platform::MINI_PROGRAM,
        Platform::ANDROID,
        Platform::IOS,
        Platform::DESKTOP,
        Platform::DEVICE,
    ] {
        let profile = Capabilities::of(platform);
        ensure_eq!(profile.platform(), platform, "the platform of a profile");
        let can = SENDABLE.iter().filter(|kind| profile.can_create(**kind)).count();
        ensure!(can >= 6, "{platform} can create {can} kinds only");
    }
    Ok("the manual's four platforms, desktop and device have profiles".into())
}

async fn four_events(_: &Lab) -> Verdict {
    let data: Value = serde_json::from_str(GOLDEN)?;
    let tables: Vec<&Value> = data
        .as_object()
        .into_iter()
        .flat_map(|sdks| sdks.values())
        .collect();
    ensure!(!tables.is_empty(), "no recorded constants");
    let ours = [
        ("SDK_READY", EventKind::SdkReady, event::SDK_READY),
        ("SDK_NOT_READY", EventKind::SdkNotReady, event::SDK_NOT_READY),
        (
            "MESSAGE_RECEIVED",
            EventKind::MessageReceived,
            event::MESSAGE_RECEIVED,
        ),
        (
            "MESSAGE_REVOKED",
            EventKind::MessageRevoked,
            event::MESSAGE_REVOKED,
        ),
    ];
    for (name, kind, constant) in ours {
        ensure_eq!(kind.name(), constant, "the name of {name}");
        for table in &tables {
            ensure_eq!(table["EVENT"][name].as_str(), Some(constant), "the SDK's {name}");
        }
    }
    Ok("with the names of the documented SDK".into())
}

async fn responses(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let client = &alice.client;
    let message = client.create_text_message(bob.user(), "x")?;
    let sent = client.send_message(&message, SendOptions::default()).await?;
    let page = client.get_message_list(bob.user(), None, None).await?;
    let list = client.get_conversation_list().await?;
    let profile = client.get_conversation_profile(bob.user()).await?;
    let revoked = client.revoke_message(&message).await?;
    client.set_message_read(bob.user()).await?;
    let deleted = client.delete_conversation(bob.user()).await?;
    ensure!(
        sent.message.is_same(&message) && revoked.message.is_same(&message),
        "message"
    );
    ensure!(
        page.message_list.len() == 1 && page.is_completed,
        "messageList and isCompleted"
    );
    ensure!(
        !page.next_req_message_id.to_string().is_empty(),
        "nextReqMessageID"
    );
    ensure_eq!(list.conversation_list.len(), 1, "conversationList");
    ensure_eq!(profile.conversation.conversation.id, bob.c2c(), "conversation");
    ensure_eq!(deleted.conversation_id, bob.c2c(), "conversationID");
    Ok(
        "message, messageList, nextReqMessageID, isCompleted, conversationList, conversation, conversationID"
            .into(),
    )
}

async fn one_error(lab: &Lab) -> Verdict {
    let (alice, bob) = lab.pair().await?;
    let client = &alice.client;
    let (message, unsent) = (
        alice.say(bob.user(), "x").await?,
        client.create_text_message(bob.user(), "y")?,
    );
    client.logout().await?;
    let peer = bob.user();
    let failures = [
        (
            "createTextMessage",
            client.create_text_message(ConversationId::System, "x").map(drop),
        ),
        (
            "sendMessage",
            client
                .send_message(&unsent, SendOptions::default())
                .await
                .map(drop),
        ),
        ("resendMessage", client.resend_message(&unsent).await.map(drop)),
        ("revokeMessage", client.revoke_message(&message).await.map(drop)),
        (
            "getMessageList",
            client.get_message_list(peer, None, None).await.map(drop),
        ),
        ("setMessageRead", client.set_message_read(peer).await.map(drop)),
        (
            "getConversationList",
            client.get_conversation_list().await.map(drop),
        ),
        (
            "getConversationProfile",
            client.get_conversation_profile(peer).await.map(drop),
        ),
        (
            "deleteConversation",
            client.delete_conversation(peer).await.map(drop),
        ),
    ];
    for (call, result) in failures {
        let error = ensure_refused(result, &[], call)?;
        ensure!(
            error.code.0 > 0 && !error.to_string().is_empty(),
            "{call} fails without code or text"
        );
    }
    Ok("nine calls fail after the logout, all with the same type".into())
}

/// Messages in one burst.
const BURST: usize = 60;

/// How many of a burst a group with this limit refuses.
async fn refused(lab: &Lab, per_second: u32) -> Result<usize, Stop> {
    let settings = HubSettings {
        group_messages_per_second: per_second,
        ..HubSettings::default()
    };
    let (hub, lab) = lab.on_another_hub(settings).await?;
    let alice = lab.log_in("alice").await?;
    let group = lab.make_group(&alice, GroupType::CHAT_ROOM, &[]).await?;
    let refused = burst(&*hub, &alice, group, [Priority::LOWEST; BURST]).await?;
    Ok(refused.len())
}

async fn group_rate(lab: &Lab) -> Verdict {
    let (slow, fast) = (refused(lab, 5).await?, refused(lab, 1000).await?);
    ensure!(
        slow > 0,
        "a group that takes 5 a second refused none of {BURST} at once"
    );
    ensure_eq!(fast, 0, "refused by a group that takes 1,000 a second");
    Ok("a burst of 60 is refused in part at 5 a second, and taken at 1,000".into())
}
