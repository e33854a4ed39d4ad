//! Group tips and system notices.
//!
//! The REST names of what is inside a tip's objects are not known, so a document in that spelling keeps those objects as they
//! are, in `other`.

use crate::object::object;

object! {
    /// `TIMGroupTipElem`.
    pub struct GroupTip(Sdk) {
        /// The event, in the Web SDK's numbering.
        operation: i64 = may "OpType" / "operationType";
        /// The user who caused it.
        operator_id: String = may "Operator_Account" / "operatorID";
        /// The affected users.
        users: Vec<String> = may "List_Account" / "userIDList";
        /// The number of members, as it arrives.
        member_num: u32 = may "MemberNum" / "memberNum";
        /// The number of members.
        member_count: u32 = may "" / "memberCount";
        /// The affected users with their names.
        members: Vec<TipMember> = may "" / "memberList";
        /// The group.
        group: TipGroup = may "" / "groupProfile";
        /// What changed in the group's profile.
        changes: NewGroupProfile = may "" / "newGroupProfile";
        /// The operator with names; in version 3 of the SDK.
        operator: TipMember = may "" / "operatorInfo";
        /// Why members were removed. tim's own; the vendor has it with each member.
        reason: String = may "" / "reason";
    }
}

object! {
    /// A user in a tip.
    pub struct TipMember(Sdk) {
        /// The user.
        user: String = may "" / "userID";
        /// The nick.
        nick: String = may "" / "nick";
        /// The picture.
        avatar: String = may "" / "avatar";
        /// The name in the group. tim's own.
        name_card: String = may "" / "nameCard";
        /// How long the member is muted, in seconds.
        mute_time: u32 = may "" / "muteTime";
        /// How long the member is banned, in seconds.
        duration: u32 = may "" / "duration";
        /// Why.
        reason: String = may "" / "reason";
    }
}

object! {
    /// The group of a tip or a notice. Tips name it with `groupName`, newer notices with `name`.
    pub struct TipGroup(Sdk) {
        /// The group's id.
        group_id: String = may "" / "groupID";
        /// Its name, in tips and older notices.
        group_name: String = may "" / "groupName";
        /// Its name, in newer notices.
        name: String = may "" / "name";
        /// The sender.
        from: String = may "" / "from";
        /// The receiver.
        to: String = may "" / "to";
    }
}

object! {
    /// What changed in a group's profile. Only what changed is there.
    pub struct NewGroupProfile(Sdk) {
        /// The name.
        name: String = may "" / "groupName";
        /// The introduction.
        introduction: String = may "" / "introduction";
        /// The notification to the members.
        notification: String = may "" / "notification";
        /// The picture.
        avatar: String = may "" / "avatar";
        /// The owner.
        owner: String = may "" / "ownerID";
        /// The join option.
        join_option: String = may "" / "joinOption";
        /// The invite option.
        invite_option: String = may "" / "inviteOption";
        /// Whether everybody but owner and admins is muted.
        mute_all: bool = may "" / "muteAllMembers";
        /// The application's own fields.
        custom_fields: Vec<CustomField> = may "" / "groupCustomField";
    }
}

object! {
    /// A field that the application defined.
    pub struct CustomField(Rest) {
        /// Its name.
        key: String = need "Key" / "key";
        /// Its value.
        value: String = may "Value" / "value";
    }
}

object! {
    /// `TIMGroupSystemNoticeElem`.
    pub struct SystemNotice(Sdk) {
        /// The event, in the Web SDK's numbering.
        operation: i64 = may "ReportType" / "operationType";
        /// The user who caused it.
        operator_id: String = may "Operator_Account" / "operatorID";
        /// The group.
        group: TipGroup = may "" / "groupProfile";
        /// What the user said.
        handle_message: String = may "RemarkInfo" / "handleMessage";
        /// What a response to an application has to name.
        authentication: String = may "Authentication" / "authentication";
        /// What a response to an application has to name.
        message_key: u64 = may "MsgKey" / "messageKey";
        /// The text of a custom notice.
        user_defined_field: String = may "UserDefinedField" / "userDefinedField";
    }
}
