//! The command lines of `tim group`.

use std::str::FromStr;

use tim_client::{GroupId, GroupType, InviteOption, JoinOption, ReceiveOption, Role, UserId};

use crate::connect::ConnectArgs;
use crate::error::EXIT_CODES;

/// An operation and the options that all operations share.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Job<T: clap::Args> {
    #[command(flatten)]
    pub(super) args: T,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct Common {
    #[command(flatten)]
    pub(super) connect: ConnectArgs,
    /// Print JSON objects, with the field names of the documented SDK.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Nothing {}

#[derive(Debug, clap::Args)]
pub(super) struct GroupArg {
    /// The group.
    pub(super) group: GroupId,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct OneUser {
    /// The group.
    pub(super) group: GroupId,
    /// The member.
    #[arg(id = "member", value_name = "USER")]
    pub(super) user: UserId,
}

#[derive(Debug, clap::Args)]
pub(super) struct Users {
    /// The group.
    pub(super) group: GroupId,
    /// The users.
    #[arg(required = true, value_name = "USER")]
    pub(super) users: Vec<UserId>,
}

#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The group's id.
    pub(super) group: GroupId,
    /// Its members besides me.
    #[arg(value_name = "USER")]
    pub(super) members: Vec<UserId>,
    /// Its type: work, public, meeting, avchatroom or community.
    #[arg(long = "type", value_name = "TYPE", value_parser = group_type, default_value = "public")]
    pub(super) group_type: GroupType,
    /// Its name [default: the id].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its introduction.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) introduction: String,
    /// Its notification.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) notification: String,
    /// Address of its avatar.
    #[arg(long, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    pub(super) avatar: String,
    /// How users join: FreeAccess, NeedPermission or DisableApply [default: that of its type].
    #[arg(long, value_name = "OPTION", value_parser = named::<JoinOption>)]
    pub(super) join_option: Option<JoinOption>,
    /// How members invite users: FreeAccess, NeedPermission or DisableInvite [default: that of its type].
    #[arg(long, value_name = "OPTION", value_parser = named::<InviteOption>)]
    pub(super) invite_option: Option<InviteOption>,
}

#[derive(Debug, clap::Args)]
pub(super) struct UpdateArgs {
    /// The group.
    pub(super) group: GroupId,
    /// Its name.
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its introduction.
    #[arg(long, value_name = "TEXT")]
    pub(super) introduction: Option<String>,
    /// Its notification.
    #[arg(long, value_name = "TEXT")]
    pub(super) notification: Option<String>,
    /// Address of its avatar.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) avatar: Option<String>,
    /// How users join: FreeAccess, NeedPermission or DisableApply.
    #[arg(long, value_name = "OPTION", value_parser = named::<JoinOption>)]
    pub(super) join_option: Option<JoinOption>,
    /// How members invite users: FreeAccess, NeedPermission or DisableInvite.
    #[arg(long, value_name = "OPTION", value_parser = named::<InviteOption>)]
    pub(super) invite_option: Option<InviteOption>,
    /// Mute all members but owner and admins: true or false.
    #[arg(long, value_name = "BOOL")]
    pub(super) mute_all: Option<bool>,
}

#[derive(Debug, clap::Args)]
pub(super) struct MembersArgs {
    /// The group.
    pub(super) group: GroupId,
    /// List members with this role only: owner, admin or member.
    #[arg(long, value_parser = role)]
    pub(super) role: Option<Role>,
}

#[derive(Debug, clap::Args)]
pub(super) struct JoinArgs {
    /// The group.
    pub(super) group: GroupId,
    /// Message to the owner and the admins.
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) message: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct DecideArgs {
    /// The group.
    pub(super) group: GroupId,
    /// The applicant [default: my own invitation].
    #[arg(id = "member", value_name = "USER")]
    pub(super) user: Option<UserId>,
    /// Message to the applicant, or to the inviter.
    #[arg(
        long,
        short,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) message: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct KickArgs {
    /// The group.
    pub(super) group: GroupId,
    /// The members.
    #[arg(required = true, value_name = "USER")]
    pub(super) users: Vec<UserId>,
    /// The reason.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct BanArgs {
    /// The AVChatRoom.
    pub(super) group: GroupId,
    /// The users.
    #[arg(required = true, value_name = "USER")]
    pub(super) users: Vec<UserId>,
    /// Duration in seconds.
    #[arg(long, default_value_t = 3600)]
    pub(super) seconds: u32,
    /// The reason.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason: String,
}

#[derive(Debug, clap::Args)]
pub(super) struct MuteArgs {
    /// The group.
    pub(super) group: GroupId,
    /// The member.
    #[arg(id = "member", value_name = "USER")]
    pub(super) user: UserId,
    /// Duration in seconds.
    #[arg(long, default_value_t = 3600)]
    pub(super) seconds: u32,
}

#[derive(Debug, clap::Args)]
pub(super) struct CardArgs {
    /// The group.
    pub(super) group: GroupId,
    /// The name card; empty for none.
    pub(super) card: String,
    /// The member [default: me].
    #[arg(id = "member", long = "user", value_name = "USER")]
    pub(super) user: Option<UserId>,
}

#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct RemindArgs {
    /// The group.
    pub(super) group: GroupId,
    /// The option: notify, quiet (no notification, not in the total unread count) or discard.
    #[arg(value_enum)]
    pub(super) how: Remind,
}

/// A receive option.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Remind {
    Notify,
    Quiet,
    Discard,
}

impl Remind {
    pub(super) const fn option(self) -> ReceiveOption {
        match self {
            Self::Notify => ReceiveOption::ACCEPT_AND_NOTIFY,
            Self::Quiet => ReceiveOption::ACCEPT_NOT_NOTIFY,
            Self::Discard => ReceiveOption::DISCARD,
        }
    }
}

fn group_type(text: &str) -> Result<GroupType, String> {
    let types = [
        ("work", GroupType::WORK),
        ("private", GroupType::PRIVATE),
        ("public", GroupType::PUBLIC),
        ("meeting", GroupType::MEETING),
        ("chatroom", GroupType::CHAT_ROOM),
        ("avchatroom", GroupType::AV_CHAT_ROOM),
        ("community", GroupType::COMMUNITY),
    ];
    let found = types.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    found
        .map(|(_, group_type)| *group_type)
        .ok_or_else(|| "use work, public, meeting, avchatroom or community".to_owned())
}

fn role(text: &str) -> Result<Role, String> {
    let named = |role: &&Role| role.to_string().eq_ignore_ascii_case(text);
    let found = Role::KNOWN.iter().find(named);
    found
        .copied()
        .ok_or_else(|| "use owner, admin or member".to_owned())
}

fn named<T: FromStr<Err = tim_proto::UnknownName>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|fault: tim_proto::UnknownName| fault.to_string())
}
