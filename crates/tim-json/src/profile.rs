//! Profiles of users and groups as the Web SDK's objects.

use tim_proto::UserId;
use tim_proto::conversation as proto;

use crate::object::object;
use crate::tip::CustomField;

object! {
    /// The profile of a user.
    pub struct UserProfile(Sdk) {
        /// The user.
        user: String = may "userID";
        /// The nick.
        nick: String = may "nick";
        /// The picture.
        avatar: String = may "avatar";
    }
}

object! {
    /// The profile of a group.
    pub struct GroupProfile(Sdk) {
        /// The group's id.
        group_id: String = may "groupID";
        /// Its name.
        name: String = may "name";
        /// The picture.
        avatar: String = may "avatar";
        /// Such as `Private`.
        group_type: String = may "type";
        /// The introduction.
        introduction: String = may "introduction";
        /// The notification to the members.
        notification: String = may "notification";
        /// The owner.
        owner: String = may "ownerID";
        /// Unix time in seconds.
        created: u64 = may "createTime";
        /// The number of members.
        member_count: u32 = may "memberCount";
        /// The most members that it can have.
        max_members: u32 = may "maxMemberCount";
        /// Whether everybody but owner and admins is muted.
        mute_all: bool = may "muteAllMembers";
        /// Such as `NeedPermission`.
        join_option: String = may "joinOption";
        /// Such as `FreeAccess`.
        invite_option: String = may "inviteOption";
        /// What the group has about the reader.
        self_info: SelfInfo = may "selfInfo";
        /// The application's own fields.
        custom_fields: Vec<CustomField> = may "groupCustomField";
    }
}

object! {
    /// What a group has about the reader.
    pub struct SelfInfo(Sdk) {
        /// The reader.
        user: String = may "userID";
        /// Such as `Member`.
        role: String = may "role";
        /// Such as `AcceptAndNotify`.
        message_remind_type: String = may "messageRemindType";
        /// The reader's name in the group.
        name_card: String = may "nameCard";
        /// When the reader joined, Unix time in seconds.
        join_time: u64 = may "joinTime";
        /// When the reader's mute ends, Unix time in seconds. tim's own.
        mute_until: u64 = may "muteUntil";
    }
}

object! {
    /// A member of a group.
    pub struct GroupMember(Sdk) {
        /// The member.
        user: String = may "userID";
        /// The nick.
        nick: String = may "nick";
        /// The picture.
        avatar: String = may "avatar";
        /// Such as `Member`.
        role: String = may "role";
        /// When the member joined, Unix time in seconds.
        join_time: u64 = may "joinTime";
        /// The name in the group.
        name_card: String = may "nameCard";
        /// When the mute ends, Unix time in seconds.
        mute_until: u64 = may "muteUntil";
        /// The application's own fields.
        custom_fields: Vec<CustomField> = may "memberCustomField";
    }
}

impl UserProfile {
    /// tim's profile in the SDK's form.
    #[must_use]
    pub fn of(profile: &proto::UserProfile<'_>) -> Self {
        Self {
            user: Some(profile.id.to_string()),
            nick: Some(profile.nick.to_owned()),
            avatar: Some(profile.avatar.to_owned()),
            ..Self::default()
        }
    }
}

impl GroupProfile {
    /// tim's profile in the SDK's form, as `me` sees it.
    #[must_use]
    pub fn of(me: &UserId, profile: &proto::GroupProfile<'_>) -> Self {
        Self {
            group_id: Some(profile.id.to_string()),
            name: Some(profile.name.to_owned()),
            avatar: Some(profile.avatar.to_owned()),
            group_type: Some(profile.group_type.to_string()),
            introduction: Some(profile.introduction.to_owned()),
            notification: Some(profile.notification.to_owned()),
            owner: Some(profile.owner.to_string()),
            created: Some(profile.created),
            member_count: Some(profile.member_count),
            max_members: Some(profile.max_members),
            mute_all: Some(profile.mute_all),
            join_option: Some(profile.join_option.to_string()),
            invite_option: Some(profile.invite_option.to_string()),
            self_info: Some(SelfInfo {
                user: Some(me.to_string()),
                role: profile.role.is_known().then(|| profile.role.to_string()),
                message_remind_type: Some(profile.receive_option.to_string()),
                name_card: Some(profile.name_card.to_owned()),
                mute_until: Some(profile.muted_until),
                ..SelfInfo::default()
            }),
            ..Self::default()
        }
    }
}
