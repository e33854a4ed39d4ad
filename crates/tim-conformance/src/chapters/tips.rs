//! Group tips: their texts against recorded results of the manual's own code, and the tips that a hub sends.

use serde_json::Value;
use tim_client::proto::Words;
use tim_client::proto::message::TipOperation;
use tim_client::proto::render::tip_text;
use tim_client::{Payload, Role};

use super::notices::{operation, recorded};
use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::person::Person;
use crate::row::{Row, table};

const GOLDEN: &str = include_str!("../../data/group_tip.json");

pub(super) const ROWS: &[Row] = table! {
    162, "`parseGroupTipContent`", { all };
    163, "members joined", { joined };
    164, "members left", { left };
    165, "members were removed", { removed };
    166, "members became admins", { admins };
    167, "members are no longer admins", { no_admins };
    168, "anything else: `[群提示消息]`", { anything_else };
    169, "users are joined by an ASCII comma", { comma };
    170, "the fields of the payload", { fields };
};

/// The recorded cases that `wanted` selects, compared. Returns how many texts that were.
fn golden(wanted: impl Fn(&Value) -> bool) -> Result<usize, Stop> {
    let data: Value = serde_json::from_str(GOLDEN)?;
    let mut compared = 0;
    for case in data["cases"].as_array().into_iter().flatten() {
        let payload = &case["payload"];
        if !wanted(payload) {
            continue;
        }
        let id = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let users: Vec<String> = payload["userIDList"]
            .as_array()
            .into_iter()
            .flatten()
            .map(id)
            .collect();
        let operator = payload["operatorID"].as_str().unwrap_or_default();
        for (words, wanted) in recorded(case) {
            // Where the manual's code throws, a reader of the payload has to refuse it.
            let Some(wanted) = wanted else { continue };
            let got = tip_text(TipOperation(operation(payload)), operator, &users, words).to_string();
            ensure_eq!(got, wanted, "{} in {words}", case["name"]);
            compared += 1;
        }
    }
    ensure!(compared > 0, "no recorded case was selected");
    Ok(compared)
}

fn of(operation: u64) -> Result<usize, Stop> {
    golden(|payload| payload["operationType"].as_u64() == Some(operation))
}

/// The next tip of this operation, as text, with names instead of the check's ids.
async fn told(person: &mut Person, operation: TipOperation) -> Result<String, Stop> {
    let message = person.tip(operation).await?;
    let Payload::GroupTip(tip) = message.payload() else {
        return Err(Stop::fail("the tip is no tip"));
    };
    let mut text = tip.text(Words::SEED).to_string();
    for user in tip.users.iter().chain([tip.operator_id]) {
        text = text.replace(user, user.rsplit('-').next().unwrap_or(user));
    }
    Ok(text)
}

fn both(texts: usize, live: &str) -> String {
    format!("{texts} recorded texts; the hub's tip reads {live:?}")
}

async fn all(_: &Lab) -> Verdict {
    let texts = golden(|_| true)?;
    Ok(format!("{texts} recorded texts in two spellings"))
}

async fn joined(lab: &Lab) -> Verdict {
    let texts = of(1)?;
    let (_alice, mut bob, _group) = lab.pair_in_group().await?;
    let live = told(&mut bob, TipOperation::JOIN).await?;
    ensure!(
        ["群成员:alice,bob,加入群组", "群成员:bob,加入群组"].contains(&live.as_str()),
        "the hub's tip reads {live:?}"
    );
    Ok(both(texts, &live))
}

async fn left(lab: &Lab) -> Verdict {
    let texts = of(2)?;
    let (mut alice, bob, group) = lab.pair_in_group().await?;
    bob.client.quit_group(group).await?;
    let live = told(&mut alice, TipOperation::QUIT).await?;
    ensure_eq!(live, "群成员:bob,退出群组", "the hub's tip");
    Ok(both(texts, &live))
}

async fn removed(lab: &Lab) -> Verdict {
    let texts = of(3)?;
    let (mut alice, bob, group) = lab.pair_in_group().await?;
    alice.client.delete_group_member(group, &[bob.user()], "").await?;
    let live = told(&mut alice, TipOperation::KICKED_OUT).await?;
    ensure_eq!(live, "群成员:bob,被alice踢出群组", "the hub's tip");
    Ok(both(texts, &live))
}

async fn admins(lab: &Lab) -> Verdict {
    let texts = of(4)?;
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    alice
        .client
        .set_group_member_role(group, bob.user(), Role::ADMIN)
        .await?;
    let live = told(&mut bob, TipOperation::SET_ADMIN).await?;
    ensure_eq!(live, "群成员:bob,成为管理员", "the hub's tip");
    Ok(both(texts, &live))
}

async fn no_admins(lab: &Lab) -> Verdict {
    let texts = of(5)?;
    let (alice, mut bob, group) = lab.pair_in_group().await?;
    for role in [Role::ADMIN, Role::MEMBER] {
        alice
            .client
            .set_group_member_role(group, bob.user(), role)
            .await?;
    }
    let live = told(&mut bob, TipOperation::CANCELED_ADMIN).await?;
    ensure_eq!(live, "群成员:bob,被撤销管理员", "the hub's tip");
    Ok(both(texts, &live))
}

async fn anything_else(_: &Lab) -> Verdict {
    for operation in (6..300).chain([0, u32::MAX]) {
        let text = tip_text(TipOperation(operation), "alice", ["bob"], Words::SEED).to_string();
        ensure_eq!(text, "[群提示消息]", "operation {operation}");
    }
    let texts = golden(|payload| !(1..=5).contains(&operation(payload)))?;
    Ok(format!("for 0, 6 and above; as in {texts} recorded texts"))
}

async fn comma(_: &Lab) -> Verdict {
    for (users, list) in [
        (&[][..], ""),
        (&["a"], "a"),
        (&["a", "b"], "a,b"),
        (&["a", "b", "c", "d"], "a,b,c,d"),
    ] {
        for (words, colon, comma) in [(Words::SEED, ":", ","), (Words::FULL_WIDTH, "：", "，")] {
            let text = tip_text(TipOperation::JOIN, "", users, words).to_string();
            ensure_eq!(
                text,
                format!("群成员{colon}{list}{comma}加入群组"),
                "{users:?} in {words}"
            );
        }
    }
    let texts = golden(|payload| {
        payload["userIDList"]
            .as_array()
            .is_some_and(|users| users.len() > 1)
    })?;
    Ok(format!(
        "without a space, in both spellings; as in {texts} recorded texts of several users"
    ))
}

async fn fields(lab: &Lab) -> Verdict {
    let (mut alice, bob, group) = lab.pair_in_group().await?;
    alice
        .client
        .delete_group_member(group, &[bob.user()], "why")
        .await?;
    let message = alice.tip(TipOperation::KICKED_OUT).await?;
    let Payload::GroupTip(tip) = message.payload() else {
        return Err(Stop::fail("the tip is no tip"));
    };
    ensure_eq!(
        (tip.operation.0, tip.operator_id),
        (3, alice.user().as_str()),
        "operation and operator"
    );
    let users: Vec<&str> = tip.users.iter().collect();
    ensure_eq!(users, [bob.user().as_str()], "the users");
    ensure_eq!(tip.group_id, group, "the group");
    Ok("the hub fills in operation, operator, users and group".into())
}
