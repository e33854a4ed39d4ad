//! A group from its creation to its end, with every tip and notice on the way.

use tim_client::{
    AtKind, CreateGroup, Decision, GroupApplication, GroupType, JoinStatus, MENTION_ALL, Role,
    UpdateGroupProfile,
};

use super::play::{DeviceName, EVERYBODY, Play, group, id, with};
use crate::error::Failure;
use crate::session::failure;

/// The group of this chapter.
const CHOIR: &str = "choir";
/// The text of a tip without a text of its own.
const PLAIN_TIP: &str = "[群提示消息]";
/// The text of a notice without a text of its own.
const PLAIN_NOTICE: &str = "";
/// Alice's devices, and all of a group of two.
const ALICE: [DeviceName; 2] = [DeviceName::Phone, DeviceName::Laptop];
const DUET: [DeviceName; 3] = [DeviceName::Phone, DeviceName::Laptop, DeviceName::Bob];

/// Ways into a group.
pub(super) async fn joining(play: &mut Play) -> Result<(), Failure> {
    let choir = id(CHOIR)?;
    play.scene("A group that users apply to")?;
    play.step("Alice makes the choir, a public group")?;
    let wanted = CreateGroup {
        group_id: Some(choir),
        ..CreateGroup::new(GroupType::PUBLIC, "合唱团")
    };
    play.device(DeviceName::Phone)
        .client
        .create_group(wanted)
        .await
        .map_err(failure)?;
    play.tips(&ALICE, CHOIR, "群成员:alice,加入群组").await?;
    play.notices(&ALICE, 6, "alice创建群:合唱团").await?;

    play.step("Bob applies, and Alice refuses")?;
    apply(play).await?;
    decide(play, Decision::Reject).await?;
    play.notices(&[DeviceName::Bob], 3, "申请加入群组:合唱团被拒绝")
        .await?;
    let outside = play
        .device(DeviceName::Bob)
        .client
        .create_text_message(choir, "la?");
    let outside = outside.map_err(failure)?;
    let sent = play
        .device(DeviceName::Bob)
        .client
        .send_message(&outside, Default::default())
        .await;
    play.refused("and he cannot write there", sent, 10_007)?;

    play.step("He applies again, and she agrees")?;
    apply(play).await?;
    decide(play, Decision::Agree).await?;
    play.tips(&DUET, CHOIR, "群成员:bob,加入群组").await?;
    play.notices(&[DeviceName::Bob], 2, "成功加入群组:合唱团").await?;

    play.step("Alice invites Carol, who refuses")?;
    invite_carol(play).await?;
    answer_invitation(play, Decision::Reject).await?;
    play.notices(&ALICE, 14, PLAIN_NOTICE).await?;

    play.step("She invites her again, and Carol accepts")?;
    invite_carol(play).await?;
    answer_invitation(play, Decision::Agree).await?;
    play.tips(&EVERYBODY, CHOIR, "群成员:carol,加入群组").await?;
    play.notices(&ALICE, 13, PLAIN_NOTICE).await?;
    play.notices(&[DeviceName::Carol], 2, "成功加入群组:合唱团")
        .await?;
    let members = play.members(DeviceName::Carol, CHOIR).await?;
    let expected = ["alice Owner", "bob Member", "carol Member"].map(str::to_owned);
    play.check("the three of them", members, expected.to_vec())
}

async fn apply(play: &mut Play) -> Result<(), Failure> {
    let asked = play
        .device(DeviceName::Bob)
        .client
        .join_group(id(CHOIR)?, "我唱男低音")
        .await;
    let status = asked.map_err(failure)?.status;
    play.check("he has to wait", status, JoinStatus::WAIT_APPROVAL)
}

/// Both of Alice's devices receive the application; she decides on the phone.
async fn decide(play: &mut Play, decision: Decision) -> Result<(), Failure> {
    let notices = play.notices(&ALICE, 1, "bob 申请加入群组:合唱团").await?;
    let first = notices.first().map(GroupApplication::try_from);
    let application = first
        .ok_or_else(|| Failure::failed("no notice"))?
        .map_err(failure)?;
    let client = &play.device(DeviceName::Phone).client;
    client
        .handle_group_application(application, decision, "")
        .await
        .map_err(failure)?;
    Ok(())
}

async fn invite_carol(play: &mut Play) -> Result<(), Failure> {
    let client = &play.device(DeviceName::Phone).client;
    let asked = client.add_group_member(id(CHOIR)?, &[user("carol")?]).await;
    let asked = asked.map_err(failure)?;
    play.check(
        "she has to agree",
        (asked.success.len(), asked.waiting.len()),
        (0, 1),
    )?;
    play.notices(&[DeviceName::Carol], 12, PLAIN_NOTICE)
        .await
        .map(drop)
}

async fn answer_invitation(play: &mut Play, decision: Decision) -> Result<(), Failure> {
    let client = &play.device(DeviceName::Carol).client;
    let answered = client.handle_group_invitation(id(CHOIR)?, decision, "").await;
    answered.map(drop).map_err(failure)
}

/// Roles and permissions.
pub(super) async fn managing(play: &mut Play) -> Result<(), Failure> {
    let (choir, bob, carol) = (id(CHOIR)?, user("bob")?, user("carol")?);
    play.scene("Roles")?;
    play.step("Carol wants to be an admin, but Alice makes Bob one")?;
    let client = play.device(DeviceName::Carol).client.clone();
    let refused = client.set_group_member_role(choir, carol, Role::ADMIN).await;
    play.refused("Carol may not do that", refused, 10_007)?;
    let client = play.device(DeviceName::Phone).client.clone();
    client
        .set_group_member_role(choir, bob, Role::ADMIN)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, "群成员:bob,成为管理员").await?;
    play.notices(&[DeviceName::Bob], 9, "你被alice设置为群:合唱团的管理员")
        .await?;

    play.step("Bob gets a name card, and mutes Carol for a minute")?;
    let by_bob = play.device(DeviceName::Bob).client.clone();
    by_bob
        .set_group_member_name_card(choir, bob, "男低音")
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, PLAIN_TIP).await?;
    by_bob
        .set_group_member_mute_time(choir, carol, 60)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, PLAIN_TIP).await?;
    may_write(play, DeviceName::Carol, "carol is muted", Some(10_017)).await?;
    by_bob
        .set_group_member_mute_time(choir, carol, 0)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, PLAIN_TIP).await?;
    may_write(play, DeviceName::Carol, "啦啦啦", None).await?;

    muting_all(play).await?;

    play.step("Alice makes Bob an ordinary member again")?;
    client
        .set_group_member_role(choir, bob, Role::MEMBER)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, "群成员:bob,被撤销管理员").await?;
    play.notices(&[DeviceName::Bob], 10, "你被alice撤销群:合唱团的管理员身份")
        .await?;
    let refused = by_bob.set_group_member_mute_time(choir, carol, 60).await;
    play.refused("he may not mute any more", refused, 10_007)?;

    play.step("Alice gives the choir another name")?;
    let renamed = UpdateGroupProfile {
        name: Some("大合唱团".to_owned()),
        notification: Some("周三 19:00".to_owned()),
        ..UpdateGroupProfile::default()
    };
    client
        .update_group_profile(choir, renamed)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, PLAIN_TIP).await?;
    let found = by_bob.get_group_profile(choir).await.map_err(failure)?.group;
    let shown = (found.name.as_str(), found.notification.as_str());
    play.check("Bob sees it", shown, ("大合唱团", "周三 19:00"))
}

async fn muting_all(play: &mut Play) -> Result<(), Failure> {
    play.step("Bob mutes everybody but owner and admins")?;
    mute_all(play, true).await?;
    may_write(play, DeviceName::Carol, "all are muted", Some(10_017)).await?;
    let said = may_write(play, DeviceName::Bob, "听我说", None).await?;
    play.check("his card is shown", said, Some("男低音".to_owned()))?;
    mute_all(play, false).await
}

async fn mute_all(play: &mut Play, mute: bool) -> Result<(), Failure> {
    let update = UpdateGroupProfile {
        mute_all: Some(mute),
        ..UpdateGroupProfile::default()
    };
    let client = &play.device(DeviceName::Bob).client;
    client
        .update_group_profile(id(CHOIR)?, update)
        .await
        .map_err(failure)?;
    play.tips(&EVERYBODY, CHOIR, PLAIN_TIP).await.map(drop)
}

/// A member writes into the choir. If that is permitted, everybody receives it. Returns the name card in it.
async fn may_write(
    play: &mut Play,
    on: DeviceName,
    text: &str,
    refused: Option<u32>,
) -> Result<Option<String>, Failure> {
    let here = group(CHOIR)?;
    if let Some(code) = refused {
        let message = play
            .device(on)
            .client
            .create_text_message(here, text)
            .map_err(failure)?;
        let sent = play
            .device(on)
            .client
            .send_message(&message, Default::default())
            .await;
        play.refused("a text is refused", sent, code)?;
        return Ok(None);
    }
    let message = play.says(on, here, text).await?;
    let mut card = None;
    for other in EVERYBODY.into_iter().filter(|other| *other != on) {
        let received = play.receives(other, here).await?;
        play.check("a text arrives", received.id() == message.id(), true)?;
        card = Some(received.name_card().to_owned());
    }
    Ok(card)
}

/// Mentions and names.
pub(super) async fn mentions(play: &mut Play) -> Result<(), Failure> {
    let (here, choir) = (group(CHOIR)?, id(CHOIR)?);
    play.scene("Mentions")?;
    names(play).await?;

    play.step("Alice mentions Bob, and then everybody and Bob")?;
    for on in [DeviceName::Bob, DeviceName::Carol] {
        play.device(on)
            .client
            .set_message_read(here)
            .await
            .map_err(failure)?;
    }
    let bob = user("bob")?;
    for (text, meant) in [("@bob 早", vec![bob]), ("@all @bob 开始", vec![MENTION_ALL, bob])] {
        let client = &play.device(DeviceName::Phone).client;
        let message = client
            .create_text_at_message(choir, text, &meant)
            .map_err(failure)?;
        play.sends(DeviceName::Phone, &message).await?;
        for on in [DeviceName::Laptop, DeviceName::Bob, DeviceName::Carol] {
            let received = play.receives(on, here).await?;
            play.check("it has the mentions", received.at_user_list().len(), meant.len())?;
        }
    }
    let at_bob = play.at_info(DeviceName::Bob, here).await?;
    play.check(
        "Bob is mentioned twice",
        at_bob,
        vec![AtKind::AT_ME, AtKind::AT_ALL_AT_ME],
    )?;
    let at_carol = play.at_info(DeviceName::Carol, here).await?;
    play.check("Carol once", at_carol, vec![AtKind::AT_ALL])?;
    play.device(DeviceName::Bob)
        .client
        .set_message_read(here)
        .await
        .map_err(failure)?;
    let at_bob = play.at_info(DeviceName::Bob, here).await?;
    play.check("until he has read it", at_bob, vec![])?;

    play.step("Bob mentions everybody, which only owner and admins may do")?;
    let client = play.device(DeviceName::Bob).client.clone();
    let message = client
        .create_text_at_message(choir, "@all", &[MENTION_ALL])
        .map_err(failure)?;
    let sent = client.send_message(&message, Default::default()).await;
    play.refused("that is refused", sent, 10_007)
}

async fn names(play: &mut Play) -> Result<(), Failure> {
    play.step("Bob is called 老王 from now on, except in the choir")?;
    let updated = play
        .device(DeviceName::Bob)
        .client
        .update_my_profile(Some("老王"), None)
        .await;
    play.check(
        "his profile",
        updated.map_err(failure)?.profile.nick,
        "老王".to_owned(),
    )?;
    let said = play.says(DeviceName::Bob, with("carol")?, "是我").await?;
    let received = play.receives(DeviceName::Carol, with("bob")?).await?;
    play.check(
        "Carol sees who it is",
        (received.id() == said.id(), received.nick()),
        (true, "老王"),
    )
}

/// How a group ends.
pub(super) async fn ending(play: &mut Play) -> Result<(), Failure> {
    let (choir, bob, carol) = (id(CHOIR)?, user("bob")?, user("carol")?);
    play.scene("The end of a group")?;
    play.step("Alice removes Carol")?;
    let by_alice = play.device(DeviceName::Phone).client.clone();
    let gone = by_alice
        .delete_group_member(choir, &[carol], "")
        .await
        .map_err(failure)?;
    play.check("she is out", gone.removed, vec![carol])?;
    play.tips(&DUET, CHOIR, "群成员:carol,被alice踢出群组").await?;
    play.notices(&[DeviceName::Carol], 4, "被管理员alice踢出群组:大合唱团")
        .await?;
    may_write(play, DeviceName::Carol, "hey!", Some(10_007)).await?;

    play.step("Alice gives the choir to Bob")?;
    by_alice.change_group_owner(choir, bob).await.map_err(failure)?;
    play.tips(&DUET, CHOIR, PLAIN_TIP).await?;
    let members = play.members(DeviceName::Bob, CHOIR).await?;
    play.check(
        "it is his",
        members,
        vec!["bob Owner".to_owned(), "alice Member".to_owned()],
    )?;
    let by_bob = play.device(DeviceName::Bob).client.clone();
    play.refused("so he cannot leave", by_bob.quit_group(choir).await, 10_009)?;
    play.refused(
        "and she cannot end it",
        by_alice.dismiss_group(choir).await,
        10_007,
    )?;

    play.step("Bob ends it")?;
    by_bob.dismiss_group(choir).await.map_err(failure)?;
    play.notices(&DUET, 5, "群:大合唱团 已被bob解散").await?;
    may_write(play, DeviceName::Phone, "anybody here?", Some(10_010)).await?;
    let again = CreateGroup {
        group_id: Some(choir),
        ..CreateGroup::new(GroupType::PUBLIC, "合唱团")
    };
    let made = by_bob.create_group(again).await;
    play.refused("its id cannot be used again", made, 10_021)
}

/// A work group: members join at once, and it ends with its last member.
pub(super) async fn work(play: &mut Play) -> Result<(), Failure> {
    const DESK: &str = "desk";
    let (desk, alice, bob) = (id(DESK)?, user("alice")?, user("bob")?);
    play.scene("A group of colleagues")?;
    play.step("Carol makes a work group with Alice, who brings in Bob")?;
    let wanted = CreateGroup {
        group_id: Some(desk),
        members: vec![alice],
        ..CreateGroup::new(GroupType::WORK, "前台")
    };
    let by_carol = play.device(DeviceName::Carol).client.clone();
    by_carol.create_group(wanted).await.map_err(failure)?;
    let three = [DeviceName::Phone, DeviceName::Laptop, DeviceName::Carol];
    play.tips(&three, DESK, "群成员:carol,alice,加入群组").await?;
    play.notices(&[DeviceName::Carol], 6, "carol创建群:前台").await?;
    play.notices(&ALICE, 7, "carol邀请你加群:前台").await?;
    let by_alice = play.device(DeviceName::Phone).client.clone();
    let added = by_alice.add_group_member(desk, &[bob]).await.map_err(failure)?;
    play.check("he is in at once", added.success, vec![bob])?;
    play.tips(&EVERYBODY, DESK, "群成员:bob,加入群组").await?;
    play.notices(&[DeviceName::Bob], 7, "alice邀请你加群:前台")
        .await?;

    play.step("Its owner leaves, and Alice, the longest member, becomes the owner")?;
    by_carol.quit_group(desk).await.map_err(failure)?;
    play.tips(&DUET, DESK, "群成员:carol,退出群组").await?;
    play.tips(&DUET, DESK, PLAIN_TIP).await?;
    play.notices(&[DeviceName::Carol], 8, "你退出群组:前台").await?;
    let members = play.members(DeviceName::Bob, DESK).await?;
    play.check(
        "it is hers",
        members,
        vec!["alice Owner".to_owned(), "bob Member".to_owned()],
    )?;

    play.step("The last two leave, and the group ends")?;
    play.device(DeviceName::Bob)
        .client
        .quit_group(desk)
        .await
        .map_err(failure)?;
    play.tips(&ALICE, DESK, "群成员:bob,退出群组").await?;
    play.notices(&[DeviceName::Bob], 8, "你退出群组:前台").await?;
    by_alice.quit_group(desk).await.map_err(failure)?;
    play.notices(&ALICE, 8, "你退出群组:前台").await?;
    play.refused("nobody finds it", by_alice.get_group_profile(desk).await, 10_010)
}

/// An AVChatRoom: live only.
pub(super) async fn live(play: &mut Play) -> Result<(), Failure> {
    const ROOM: &str = "stage";
    let (room, here, carol) = (id(ROOM)?, group(ROOM)?, user("carol")?);
    play.scene("A live room")?;
    play.step("Bob opens an AVChatRoom, and Carol comes in")?;
    let wanted = CreateGroup {
        group_id: Some(room),
        ..CreateGroup::new(GroupType::AV_CHAT_ROOM, "舞台")
    };
    let by_bob = play.device(DeviceName::Bob).client.clone();
    by_bob.create_group(wanted).await.map_err(failure)?;
    play.notices(&[DeviceName::Bob], 6, "bob创建群:舞台").await?;
    let by_carol = play.device(DeviceName::Carol).client.clone();
    let joined = by_carol.join_group(room, "").await.map_err(failure)?;
    play.check("she is in", joined.status, JoinStatus::JOINED)?;
    play.tips(
        &[DeviceName::Bob, DeviceName::Carol],
        ROOM,
        "群成员:carol,加入群组",
    )
    .await?;

    play.step("Messages reach those who are in the room")?;
    let said = play.says(DeviceName::Bob, here, "大家好").await?;
    let heard = play.receives(DeviceName::Carol, here).await?;
    play.check(
        "Carol hears it",
        (heard.id() == said.id(), heard.sequence()),
        (true, 0),
    )?;
    let kept = play.device(DeviceName::Carol).history(here).await?.len();
    play.check("nothing is kept", kept, 0)?;
    let message = by_bob.create_text_message(room, "psst").map_err(failure)?;
    let sent = by_bob
        .send_message(&message, tim_client::SendOptions::online_only())
        .await;
    let code = tim_client::ErrorCode::ONLINE_ONLY_NOT_ALLOWED.0;
    play.refused("so the online-only option is refused", sent, code)?;

    play.step("Carol is banned for a minute")?;
    let banned = by_bob
        .ban_group_member(room, &[carol], 60, "")
        .await
        .map_err(failure)?;
    play.check("she is out", banned.success, vec![carol])?;
    play.tips(&[DeviceName::Bob], ROOM, PLAIN_TIP).await?;
    play.notices(&[DeviceName::Carol], 21, PLAIN_NOTICE).await?;
    play.refused("and does not get in", by_carol.join_group(room, "").await, 10_007)?;
    by_bob.unban_group_member(room, &[carol]).await.map_err(failure)?;
    play.tips(&[DeviceName::Bob], ROOM, PLAIN_TIP).await?;
    by_carol.join_group(room, "").await.map_err(failure)?;
    play.tips(
        &[DeviceName::Bob, DeviceName::Carol],
        ROOM,
        "群成员:carol,加入群组",
    )
    .await?;

    play.step("Bob closes it")?;
    by_bob.dismiss_group(room).await.map_err(failure)?;
    play.notices(&[DeviceName::Bob, DeviceName::Carol], 5, "群:舞台 已被bob解散")
        .await?;
    play.refused("nobody gets in", by_carol.join_group(room, "").await, 10_010)
}

fn user(name: &str) -> Result<tim_client::UserId, Failure> {
    name.parse().map_err(Failure::failed)
}
