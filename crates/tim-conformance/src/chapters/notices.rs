//! Group system notices: their texts against recorded results of the manual's own code, and the notices that a hub sends.

use serde_json::Value;
use tim_client::proto::Words;
use tim_client::proto::message::{NoticeOperation, SystemNotice};
use tim_client::{CreateGroup, Decision, GroupApplication, GroupType, JoinOption, Payload, Role};

use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::lab::Lab;
use crate::person::Person;
use crate::row::{Row, table};

const GOLDEN: &str = include_str!("../../data/system_notice.json");

pub(super) const ROWS: &[Row] = table! {
    146, "`parseGroupSystemNotice`", { all };
    147, "the group's name, or its id if it has none", { name_or_id };
    148, "the operation is a number", { number };
    149, "1: somebody applies to join", { applies };
    150, "2: an application is accepted", { accepted };
    151, "3: an application is rejected", { rejected };
    152, "4: removed from a group", { removed };
    153, "5: a group is dismissed", { dismissed };
    154, "6: a group is created", { created };
    155, "7: invited to a group", { invited };
    156, "8: left a group", { left };
    157, "9: made an admin", { made_admin };
    158, "10: no longer an admin", { no_admin };
    159, "255: a notice of the application", { custom };
    160, "other operations have no text", { others };
    161, "the fields of the payload; an absent operator is empty", { fields };
};

/// Where the manual's code prints JavaScript's `undefined` or `null` for an absent field, which is empty here.
const ACCIDENTS: [(&str, &str); 12] = [
    ("op 1 no groupName and no groupID", "undefined"),
    ("op 3 no groupName and no groupID", "undefined"),
    ("op 5 no groupName and no groupID", "undefined"),
    ("op 7 no groupName and no groupID", "undefined"),
    ("op 9 no groupName and no groupID", "undefined"),
    ("op 4 no operatorID", "undefined"),
    ("op 4 null operatorID", "null"),
    ("op 6 no operatorID", "undefined"),
    ("op 6 null operatorID", "null"),
    ("op 10 no operatorID", "undefined"),
    ("op 10 null operatorID", "null"),
    ("op 3 operator missing", "undefined"),
];

/// The texts of a recorded case in the two Chinese spellings; `None` where the manual's code has none or throws.
pub(super) fn recorded(case: &Value) -> [(Words, Option<String>); 2] {
    let name = case["name"].as_str().unwrap_or_default();
    let accident = ACCIDENTS
        .iter()
        .find(|(it, _)| *it == name)
        .map(|(_, accident)| *accident);
    let text = |outcome: &Value| {
        let output = outcome["output"].as_str()?;
        Some(accident.map_or_else(|| output.to_owned(), |accident| output.replace(accident, "")))
    };
    [
        (Words::SEED, text(case)),
        (Words::FULL_WIDTH, text(&case["official"])),
    ]
}

/// The number of the operation; 0 is none.
pub(super) fn operation(payload: &Value) -> u32 {
    let number = payload["operationType"].as_u64();
    number.and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
}

/// The recorded cases that `wanted` selects, compared. Returns how many texts that were.
fn golden(wanted: impl Fn(&Value) -> bool) -> Result<usize, Stop> {
    let data: Value = serde_json::from_str(GOLDEN)?;
    let mut compared = 0;
    for case in data["cases"].as_array().into_iter().flatten() {
        let payload = &case["payload"];
        // Without this object the manual's code throws.
        if !payload["groupProfile"].is_object() || !wanted(payload) {
            continue;
        }
        let profile = &payload["groupProfile"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (operator, id, name) = (
            text(&payload["operatorID"]),
            text(&profile["groupID"]),
            text(&profile["groupName"]),
        );
        let notice = notice(operation(payload), &operator, &id, &name);
        for (words, wanted) in recorded(case) {
            let got = notice.text(words).map(|text| text.to_string());
            ensure_eq!(got, wanted, "{} in {words}", case["name"]);
            compared += 1;
        }
    }
    ensure!(compared > 0, "no recorded case was selected");
    Ok(compared)
}

fn notice<'a>(operation: u32, operator: &'a str, id: &'a str, name: &'a str) -> SystemNotice<'a> {
    SystemNotice::new(NoticeOperation(operation))
        .with_operator_id(operator)
        .with_group_id(id)
        .with_group_name(name)
}

async fn all(_: &Lab) -> Verdict {
    let texts = golden(|_| true)?;
    Ok(format!("{texts} recorded texts in two spellings"))
}

async fn name_or_id(_: &Lab) -> Verdict {
    let text = |name| {
        notice(2, "", "@TGS#1", name)
            .text(Words::SEED)
            .map(|text| text.to_string())
    };
    ensure_eq!(text("合唱团"), Some("成功加入群组:合唱团".into()), "with a name");
    ensure_eq!(text(""), Some("成功加入群组:@TGS#1".into()), "without one");
    let texts = golden(|payload| {
        payload["groupProfile"]["groupName"]
            .as_str()
            .is_none_or(str::is_empty)
    })?;
    Ok(format!("also in {texts} recorded texts of groups without a name"))
}

async fn number(_: &Lab) -> Verdict {
    let texts = golden(|payload| !payload["operationType"].is_u64())?;
    Ok(format!(
        "what is no number is no operation: {texts} recorded cases"
    ))
}

/// Recorded texts of one operation.
fn of(operation: u64) -> Result<usize, Stop> {
    golden(|payload| payload["operationType"].as_u64() == Some(operation))
}

/// Alice's group `合唱团`, to which everybody else has to apply.
async fn choir(lab: &Lab, members: &[&Person]) -> Result<(Person, tim_client::GroupId), Stop> {
    let alice = lab.log_in("alice").await?;
    let mut wanted = CreateGroup::new(GroupType::PUBLIC, "合唱团");
    wanted.join_option = JoinOption::NEED_PERMISSION;
    wanted.members = members.iter().map(|person| person.user()).collect();
    let group = lab.make_group_as(&alice, wanted).await?;
    Ok((alice, group))
}

/// The next notice of this operation, as text, with the ids of the check replaced by names.
async fn told(person: &mut Person, operation: NoticeOperation) -> Result<String, Stop> {
    let message = person.notice(operation).await?;
    let Payload::SystemNotice(notice) = message.payload() else {
        return Err(Stop::fail("the notice is no notice"));
    };
    let text = notice
        .text(Words::SEED)
        .map(|text| text.to_string())
        .unwrap_or_default();
    Ok(text.replace(notice.operator_id, operator_name(notice.operator_id)))
}

/// `alice` of `cf1-0a1b2c3d-alice`.
fn operator_name(id: &str) -> &str {
    id.rsplit('-').next().unwrap_or(id)
}

fn both(texts: usize, live: &str) -> String {
    format!("{texts} recorded texts; the hub's notice reads {live:?}")
}

/// Bob's application, and alice's decision.
async fn decide(lab: &Lab, decision: Decision) -> Result<(Person, Person), Stop> {
    let bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[]).await?;
    bob.client.join_group(group, "男低音").await?;
    let application = GroupApplication::new(group, bob.user());
    alice
        .client
        .handle_group_application(application, decision, "")
        .await?;
    Ok((alice, bob))
}

async fn applies(lab: &Lab) -> Verdict {
    let texts = of(1)?;
    let (mut alice, _bob) = decide(lab, Decision::Agree).await?;
    let live = told(&mut alice, NoticeOperation::JOIN_REQUESTED).await?;
    ensure_eq!(live, "bob 申请加入群组:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn accepted(lab: &Lab) -> Verdict {
    let texts = of(2)?;
    let (_alice, mut bob) = decide(lab, Decision::Agree).await?;
    let live = told(&mut bob, NoticeOperation::JOIN_ACCEPTED).await?;
    ensure_eq!(live, "成功加入群组:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn rejected(lab: &Lab) -> Verdict {
    let texts = of(3)?;
    let (_alice, mut bob) = decide(lab, Decision::Reject).await?;
    let live = told(&mut bob, NoticeOperation::JOIN_REFUSED).await?;
    ensure_eq!(live, "申请加入群组:合唱团被拒绝", "the hub's notice");
    Ok(both(texts, &live))
}

async fn removed(lab: &Lab) -> Verdict {
    let texts = of(4)?;
    let mut bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[&bob]).await?;
    alice.client.delete_group_member(group, &[bob.user()], "").await?;
    let live = told(&mut bob, NoticeOperation::KICKED_OUT).await?;
    ensure_eq!(live, "被管理员alice踢出群组:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn dismissed(lab: &Lab) -> Verdict {
    let texts = of(5)?;
    let mut bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[&bob]).await?;
    alice.client.dismiss_group(group).await?;
    let live = told(&mut bob, NoticeOperation::GROUP_DISMISSED).await?;
    ensure_eq!(live, "群:合唱团 已被alice解散", "the hub's notice");
    Ok(both(texts, &live))
}

async fn created(lab: &Lab) -> Verdict {
    let texts = of(6)?;
    let (mut alice, _group) = choir(lab, &[]).await?;
    let live = told(&mut alice, NoticeOperation::GROUP_CREATED).await?;
    ensure_eq!(live, "alice创建群:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn invited(lab: &Lab) -> Verdict {
    let texts = of(7)?;
    let mut bob = lab.log_in("bob").await?;
    let _alice = choir(lab, &[&bob]).await?;
    let live = told(&mut bob, NoticeOperation::INVITED).await?;
    ensure_eq!(live, "alice邀请你加群:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn left(lab: &Lab) -> Verdict {
    let texts = of(8)?;
    let mut bob = lab.log_in("bob").await?;
    let (_alice, group) = choir(lab, &[&bob]).await?;
    bob.client.quit_group(group).await?;
    let live = told(&mut bob, NoticeOperation::QUIT).await?;
    ensure_eq!(live, "你退出群组:合唱团", "the hub's notice");
    Ok(both(texts, &live))
}

async fn made_admin(lab: &Lab) -> Verdict {
    let texts = of(9)?;
    let mut bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[&bob]).await?;
    alice
        .client
        .set_group_member_role(group, bob.user(), Role::ADMIN)
        .await?;
    let live = told(&mut bob, NoticeOperation::ADMIN_GRANTED).await?;
    ensure_eq!(live, "你被alice设置为群:合唱团的管理员", "the hub's notice");
    Ok(both(texts, &live))
}

async fn no_admin(lab: &Lab) -> Verdict {
    let texts = of(10)?;
    let mut bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[&bob]).await?;
    for role in [Role::ADMIN, Role::MEMBER] {
        alice
            .client
            .set_group_member_role(group, bob.user(), role)
            .await?;
    }
    let live = told(&mut bob, NoticeOperation::ADMIN_WITHDRAWN).await?;
    ensure_eq!(live, "你被alice撤销群:合唱团的管理员身份", "the hub's notice");
    Ok(both(texts, &live))
}

async fn custom(_: &Lab) -> Verdict {
    ensure_eq!(NoticeOperation::CUSTOM, NoticeOperation(255), "the number");
    let texts = of(255)?;
    Ok(format!(
        "{texts} recorded texts; only the application's server can make a hub send one"
    ))
}

async fn others(_: &Lab) -> Verdict {
    for operation in (11..255).chain([0, 256, u32::MAX]) {
        let text = notice(operation, "bob", "g", "choir").text(Words::SEED);
        ensure!(text.is_none(), "operation {operation} has a text");
    }
    let known = (1..=10).chain([255]);
    let texts = golden(|payload| {
        !known
            .clone()
            .any(|it| payload["operationType"].as_u64() == Some(it))
    })?;
    Ok(format!(
        "none for 0, 11 to 254, and above; as in {texts} recorded cases"
    ))
}

async fn fields(lab: &Lab) -> Verdict {
    let without = notice(4, "", "g", "")
        .text(Words::SEED)
        .map(|text| text.to_string());
    ensure_eq!(without, Some("被管理员踢出群组:g".into()), "without an operator");
    let texts = golden(|payload| !payload["operatorID"].is_string())?;
    let mut bob = lab.log_in("bob").await?;
    let (alice, group) = choir(lab, &[&bob]).await?;
    let message = bob.notice(NoticeOperation::INVITED).await?;
    let Payload::SystemNotice(notice) = message.payload() else {
        return Err(Stop::fail("the notice is no notice"));
    };
    let told = (
        notice.operation.0,
        notice.operator_id,
        notice.group_id,
        notice.group_name,
    );
    ensure_eq!(
        told,
        (7, alice.user().as_str(), group.as_str(), "合唱团"),
        "the fields of the hub's notice"
    );
    Ok(format!(
        "{texts} recorded texts without an operator; the hub fills in operation, operator, group and name"
    ))
}
