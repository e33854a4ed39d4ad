//! Groups as a scripted hub tells of them.

use tim_client::proto::conversation as wire;
use tim_client::proto::message::{Message, NoticeOperation, Payload, SystemNotice};
use tim_client::{ConversationId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

use super::{group, text, user};

/// A group as the hub describes it to a plain member.
pub fn profile<'a>(id: &str, name: &'a str) -> wire::GroupProfile<'a> {
    wire::GroupProfile::new(group(id), GroupType::PUBLIC, user("owner"))
        .with_name(name)
        .with_introduction("about")
        .with_notification("told")
        .with_avatar("pic")
        .with_member_count(3)
        .with_created(7)
        .with_role(Role::MEMBER)
        .with_join_option(JoinOption::NEED_PERMISSION)
        .with_max_members(6000)
        .with_name_card("Ali")
}

pub fn by_hub(to: ConversationId, sequence: u64, payload: Payload<'_>) -> Message<'_> {
    let mut message = text("x", to, sequence, "");
    (
        message.envelope.from,
        message.envelope.origin,
        message.envelope.time,
    ) = (UserId::SYSTEM, 0, 1000);
    message.id.sender = 0;
    message.payload = payload;
    message
}

pub fn notice(operation: NoticeOperation, id: &'static str) -> Payload<'static> {
    Payload::SystemNotice(
        SystemNotice::new(operation)
            .with_operator_id("bob")
            .with_group_id(id)
            .with_message_key(77),
    )
}
