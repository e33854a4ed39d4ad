//! `tim group`: creates, joins and manages groups.

mod args;
mod show;

use std::io::Write;

use serde_json::{Value, json};
use tim_client::{
    Client, CreateGroup, Decision, GroupApplication, GroupId, JoinStatus, MemberListOptions, MemberOutcome,
    Role, UpdateGroupProfile, UserId,
};

use crate::error::{EXIT_CODES, Failure};
use crate::json;
use crate::session::{Session, failure};

use args::{
    BanArgs, CardArgs, Common, CreateArgs, DecideArgs, GroupArg, Job, JoinArgs, KickArgs, MembersArgs,
    MuteArgs, Nothing, OneUser, RemindArgs, UpdateArgs, Users,
};
use show::as_json;
pub(crate) use show::{MemberLine, outcome_words, removal_words};

const EXAMPLES: &str = "\
Examples:
  $ tim group create --as alice hikers bob carol --type public --name 'The hikers'
  $ tim group join --as dave hikers --message 'I have boots'
  $ tim group accept --as alice hikers dave
  $ tim group mute --as alice hikers bob --seconds 600
  $ tim group members --as alice hikers";

/// Create groups, join and leave them, and manage their members.
///
/// Operations that the type, the role or the options of a group do not permit are refused with 10007 and the reason.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

/// An operation on groups.
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Create a group that I own.
    Create(Job<CreateArgs>),
    /// List the groups that I am in.
    List(Job<Nothing>),
    /// Show the profile of a group, mine or not.
    Show(Job<GroupArg>),
    /// List a group's members.
    Members(Job<MembersArgs>),
    /// Join a group, or apply to join it. Membership of an AVChatRoom ends with the command; use `tim chat` to stay.
    Join(Job<JoinArgs>),
    /// Leave a group.
    Quit(Job<GroupArg>),
    /// Dismiss a group.
    Dismiss(Job<GroupArg>),
    /// Invite users into a group.
    Invite(Job<Users>),
    /// Remove members from a group.
    Kick(Job<KickArgs>),
    /// Accept an application to join a group; without a user, my own invitation.
    Accept(Job<DecideArgs>),
    /// Refuse an application to join a group; without a user, my own invitation.
    Refuse(Job<DecideArgs>),
    /// Make a member an admin.
    Admin(Job<OneUser>),
    /// Make an admin an ordinary member.
    Unadmin(Job<OneUser>),
    /// Transfer the ownership of a group to a member.
    Owner(Job<OneUser>),
    /// Mute a member for a time.
    Mute(Job<MuteArgs>),
    /// Unmute a member.
    Unmute(Job<OneUser>),
    /// Set my name card in a group, or another member's.
    Card(Job<CardArgs>),
    /// Change a group's name, texts, picture and options.
    Update(Job<UpdateArgs>),
    /// Set the receive option of a group's messages.
    Remind(Job<RemindArgs>),
    /// Ban users from an AVChatRoom for a time.
    Ban(Job<BanArgs>),
    /// Unban users of an AVChatRoom.
    Unban(Job<Users>),
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let common = args.what.common();
    let login = common.connect.resolve()?;
    Session::run(login, async |session| {
        let runner = Runner {
            session,
            client: &session.client,
            json: common.json,
        };
        runner.serve(&args.what).await
    })
}

impl What {
    const fn common(&self) -> &Common {
        match self {
            Self::Create(job) => &job.common,
            Self::List(job) => &job.common,
            Self::Members(job) => &job.common,
            Self::Join(job) => &job.common,
            Self::Show(job) | Self::Quit(job) | Self::Dismiss(job) => &job.common,
            Self::Invite(job) | Self::Unban(job) => &job.common,
            Self::Kick(job) => &job.common,
            Self::Accept(job) | Self::Refuse(job) => &job.common,
            Self::Admin(job) | Self::Unadmin(job) | Self::Owner(job) | Self::Unmute(job) => &job.common,
            Self::Mute(job) => &job.common,
            Self::Card(job) => &job.common,
            Self::Update(job) => &job.common,
            Self::Remind(job) => &job.common,
            Self::Ban(job) => &job.common,
        }
    }
}

/// Runs the operations and prints their results.
struct Runner<'a> {
    session: &'a Session,
    client: &'a Client,
    json: bool,
}

impl Runner<'_> {
    async fn serve(&self, what: &What) -> Result<(), Failure> {
        let client = self.client;
        match what {
            What::Create(job) => self.create(&job.args).await,
            What::List(_) => self.list().await,
            What::Show(job) => self.show(job.args.group).await,
            What::Members(job) => self.members(&job.args).await,
            What::Join(job) => self.join(&job.args).await,
            What::Quit(job) => {
                client.quit_group(job.args.group).await.map_err(failure)?;
                self.done(job.args.group, format_args!("left {}", job.args.group))
            }
            What::Dismiss(job) => {
                client.dismiss_group(job.args.group).await.map_err(failure)?;
                self.done(job.args.group, format_args!("{} is no more", job.args.group))
            }
            What::Invite(_) | What::Kick(_) | What::Ban(_) | What::Unban(_) => self.several(what).await,
            What::Accept(job) => self.decide(&job.args, Decision::Agree).await,
            What::Refuse(job) => self.decide(&job.args, Decision::Reject).await,
            What::Admin(job) => self.role(&job.args, Role::ADMIN).await,
            What::Unadmin(job) => self.role(&job.args, Role::MEMBER).await,
            What::Owner(job) => {
                let OneUser { group, user } = job.args;
                client.change_group_owner(group, user).await.map_err(failure)?;
                self.done(group, format_args!("{user} owns {group}"))
            }
            What::Mute(job) => self.mute(job.args.group, job.args.user, job.args.seconds).await,
            What::Unmute(job) => self.mute(job.args.group, job.args.user, 0).await,
            What::Card(job) => self.card(&job.args).await,
            What::Update(job) => self.update(&job.args).await,
            What::Remind(job) => {
                let RemindArgs { group, how } = job.args;
                let option = how.option();
                client
                    .set_message_remind_type(group, option)
                    .await
                    .map_err(failure)?;
                self.done(group, format_args!("{group}: {option}"))
            }
        }
    }

    /// Prints the result of an operation on a group.
    fn done(&self, group: GroupId, words: impl std::fmt::Display) -> Result<(), Failure> {
        self.print(&json!({ "groupID": group.as_str() }), words)
    }

    fn print(&self, value: &Value, words: impl std::fmt::Display) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        if self.json {
            writeln!(out, "{}", json::Line(value))?;
        } else {
            writeln!(out, "{words}")?;
        }
        Ok(out.flush()?)
    }

    async fn create(&self, args: &CreateArgs) -> Result<(), Failure> {
        let name = args.name.clone().unwrap_or_else(|| args.group.to_string());
        let mut wanted = CreateGroup {
            group_id: Some(args.group),
            introduction: args.introduction.clone(),
            notification: args.notification.clone(),
            avatar: args.avatar.clone(),
            members: args.members.clone(),
            ..CreateGroup::new(args.group_type, name)
        };
        wanted.join_option = args.join_option.unwrap_or(wanted.join_option);
        wanted.invite_option = args.invite_option.unwrap_or(wanted.invite_option);
        let made = self.client.create_group(wanted).await.map_err(failure)?.group_id;
        self.done(made, format_args!("{made} is there"))
    }

    async fn list(&self) -> Result<(), Failure> {
        let groups = self.client.get_group_list().await.map_err(failure)?.group_list;
        for group in &groups {
            self.print(&as_json::group(&self.session.me, group), show::GroupLine(group))?;
        }
        if groups.is_empty() && !self.json {
            self.print(&Value::Null, "no groups yet")?;
        }
        Ok(())
    }

    async fn show(&self, group: GroupId) -> Result<(), Failure> {
        let group = self.client.get_group_profile(group).await.map_err(failure)?.group;
        self.print(&as_json::group(&self.session.me, &group), show::GroupCard(&group))
    }

    async fn members(&self, args: &MembersArgs) -> Result<(), Failure> {
        let mut options = MemberListOptions {
            role: args.role,
            ..MemberListOptions::default()
        };
        loop {
            let asked = self.client.get_group_member_list(args.group, options.clone());
            let page = asked.await.map_err(failure)?;
            for member in &page.member_list {
                self.print(&as_json::member(member), MemberLine(member))?;
            }
            self.session.extend_deadline();
            match page.next {
                Some(next) => options.next = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn join(&self, args: &JoinArgs) -> Result<(), Failure> {
        let asked = self.client.join_group(args.group, &args.message);
        let joined = asked.await.map_err(failure)?;
        let words = match joined.status {
            JoinStatus::JOINED => "joined",
            JoinStatus::ALREADY_IN_GROUP => "you are in it already",
            JoinStatus::WAIT_APPROVAL => "asked; the owner or an admin has to agree",
            _ => "asked",
        };
        let value = json!({ "groupID": args.group.as_str(), "status": joined.status.to_string() });
        self.print(&value, format_args!("{}: {words}", args.group))
    }

    async fn decide(&self, args: &DecideArgs, decision: Decision) -> Result<(), Failure> {
        let (client, group) = (self.client, args.group);
        let verb = match decision {
            Decision::Agree => "accepted",
            Decision::Reject => "refused",
        };
        match args.user {
            Some(user) => {
                let application = GroupApplication::new(group, user);
                let handled = client.handle_group_application(application, decision, &args.message);
                handled.await.map_err(failure)?;
                self.done(group, format_args!("{group}: {user} is {verb}"))
            }
            None => {
                let handled = client.handle_group_invitation(group, decision, &args.message);
                handled.await.map_err(failure)?;
                self.done(group, format_args!("{group}: the invitation is {verb}"))
            }
        }
    }

    async fn role(&self, args: &OneUser, role: Role) -> Result<(), Failure> {
        let OneUser { group, user } = *args;
        let set = self.client.set_group_member_role(group, user, role);
        set.await.map_err(failure)?;
        self.done(group, format_args!("{group}: {user} is {role}"))
    }

    async fn mute(&self, group: GroupId, user: UserId, seconds: u32) -> Result<(), Failure> {
        let set = self.client.set_group_member_mute_time(group, user, seconds);
        set.await.map_err(failure)?;
        match seconds {
            0 => self.done(group, format_args!("{group}: {user} may write")),
            _ => self.done(
                group,
                format_args!("{group}: {user} may not write for {seconds} s"),
            ),
        }
    }

    async fn card(&self, args: &CardArgs) -> Result<(), Failure> {
        let user = args.user.unwrap_or_else(|| self.client.user());
        let set = self
            .client
            .set_group_member_name_card(args.group, user, &args.card);
        set.await.map_err(failure)?;
        self.done(
            args.group,
            format_args!("{}: {user} is called {}", args.group, args.card),
        )
    }

    async fn update(&self, args: &UpdateArgs) -> Result<(), Failure> {
        let update = UpdateGroupProfile {
            name: args.name.clone(),
            introduction: args.introduction.clone(),
            notification: args.notification.clone(),
            avatar: args.avatar.clone(),
            join_option: args.join_option,
            invite_option: args.invite_option,
            mute_all: args.mute_all,
        };
        if update == UpdateGroupProfile::default() {
            return Err(Failure::usage("nothing is to change").hint("say what, such as --name NAME"));
        }
        let done = self.client.update_group_profile(args.group, update);
        done.await.map_err(failure)?;
        self.done(args.group, format_args!("{} is changed", args.group))
    }

    /// What is done to several users at once: each has an outcome of its own.
    async fn several(&self, what: &What) -> Result<(), Failure> {
        let client = self.client;
        let (done, word, mut others, failed) = match what {
            What::Invite(job) => {
                let Users { group, users } = &job.args;
                let added = client.add_group_member(*group, users).await.map_err(failure)?;
                for user in &added.existed {
                    self.one(*user, "is a member already")?;
                }
                (added.success, "is in", added.waiting, added.failed)
            }
            What::Kick(job) => {
                let KickArgs { group, users, reason } = &job.args;
                let gone = client.delete_group_member(*group, users, reason).await;
                let gone = gone.map_err(failure)?;
                (gone.removed, "is out", Vec::new(), gone.failed)
            }
            What::Ban(job) => {
                let BanArgs {
                    group,
                    users,
                    seconds,
                    reason,
                } = &job.args;
                let banned = client.ban_group_member(*group, users, *seconds, reason).await;
                let banned = banned.map_err(failure)?;
                (banned.success, "is banned", Vec::new(), banned.failed)
            }
            What::Unban(job) => {
                let Users { group, users } = &job.args;
                let freed = client.unban_group_member(*group, users).await.map_err(failure)?;
                (freed.success, "is not banned any more", Vec::new(), freed.failed)
            }
            _ => return Ok(()),
        };
        for user in done {
            self.one(user, word)?;
        }
        others.extend(&failed);
        for MemberOutcome { user, result, .. } in others {
            let words = match what {
                What::Invite(_) => outcome_words(result),
                _ => removal_words(result),
            };
            self.one(user, words)?;
        }
        match failed.len() {
            0 => Ok(()),
            1 => Err(Failure::failed("it could not be done for one of them")),
            some => Err(Failure::failed(format_args!(
                "it could not be done for {some} of them"
            ))),
        }
    }

    fn one(&self, user: UserId, words: &str) -> Result<(), Failure> {
        let value = json!({ "userID": user.as_str(), "result": words });
        self.print(&value, format_args!("{user} {words}"))
    }
}
