//! Groups as a scripted hub tells of them.

use tim_client::proto::conversation as wire;
use tim_client::proto::message::{Message, NoticeOperation, Payload, SystemNotice};
use tim_client::{ConversationId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

use super::{group, text, user};

/// A group as the hub describes it to a plain member.
pub fn profile<'a>(id: &str, name: &'a str) -> wire::GroupProfile<'a> {
    wire::GroupProfile {
        id: group(id),
        group_type: GroupType::PUBLIC,
        name,
        introduction: "about",
        notification: "told",
        avatar: "pic",
        owner: user("owner"),
        member_count: 3,
        created: 7,
        role: Role::MEMBER,
        join_option: JoinOption::NEED_PERMISSION,
        invite_option: InviteOption::FREE_ACCESS,
        mute_all: false,
        max_members: 6000,
        receive_option: ReceiveOption::ACCEPT_AND_NOTIFY,
        muted_until: 0,
        name_card: "Ali",
    }
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
    Payload::SystemNotice(SystemNotice {
        operation,
        operator_id: "bob",
        group_id: id,
        message_key: 77,
        ..SystemNotice::default()
    })
}
