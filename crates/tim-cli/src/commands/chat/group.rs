//! Commands about groups.

use tim_client::{
    ConversationId, Decision, GroupApplication, GroupId, ImError, JoinStatus, MENTION_ALL, MemberListOptions,
    MemberOutcome, MemberResult, Message, Payload, UserId,
};
use tim_proto::message::NoticeOperation;

use super::input::{Input, mentions};
use super::run::Chat;
use crate::commands::group::{MemberLine, outcome_words, removal_words};
use crate::error::Failure;

/// How many members `/members` shows.
const SHOWN: usize = 100;

impl Chat<'_> {
    /// Runs a command about groups and names.
    pub(super) async fn take_group_input(&mut self, input: Input<'_>) -> Result<(), Failure> {
        match input {
            Input::Join(group, words) => self.join(group, words).await,
            Input::Leave => self.leave_group().await,
            Input::Invite(users) => self.invite(&users).await,
            Input::Kick(users) => self.kick(&users).await,
            Input::Members => self.members().await,
            Input::Decide(decision, user) => self.decide(decision, user).await,
            Input::Nick(nick) => match self.session.client.update_my_profile(Some(nick), None).await {
                Ok(_) => self.note("your next messages will show it"),
                Err(error) => self.failed(error),
            },
            _ => Ok(()),
        }
    }

    /// A text for a group, with the mentions of known users in it.
    pub(super) async fn group_text(&self, group: GroupId, text: &str) -> Result<Message, ImError> {
        let client = &self.session.client;
        let (mut users, all) = mentions(text);
        if !users.is_empty() {
            let known = client.get_user_profile(&users).await?.profiles;
            users.retain(|user| known.iter().any(|known| known.id == *user));
        }
        users.extend(all.then_some(MENTION_ALL));
        client.create_text_at_message(group, text, &users)
    }

    /// The current group.
    fn this_group(&mut self) -> Result<Option<GroupId>, Failure> {
        if let Some(ConversationId::Group(group)) = self.here {
            return Ok(Some(group));
        }
        self.complain("not in a group; use /group GROUP first")?;
        Ok(None)
    }

    async fn join(&mut self, group: GroupId, words: &str) -> Result<(), Failure> {
        match self.session.client.join_group(group, words).await {
            Ok(joined) if joined.status == JoinStatus::WAIT_APPROVAL => {
                self.note("applied; the owner or an admin has to accept")
            }
            Ok(_) => self.enter(ConversationId::Group(group)).await,
            Err(error) => self.failed(error),
        }
    }

    async fn leave_group(&mut self) -> Result<(), Failure> {
        let Some(group) = self.this_group()? else {
            return Ok(());
        };
        match self.session.client.quit_group(group).await {
            Ok(_) => {
                self.here = None;
                self.note(&format!("you have left {group}"))
            }
            Err(error) => self.failed(error),
        }
    }

    async fn invite(&mut self, users: &[UserId]) -> Result<(), Failure> {
        let Some(group) = self.this_group()? else {
            return Ok(());
        };
        match self.session.client.add_group_member(group, users).await {
            // Users who were added are in the tip.
            Ok(added) => {
                let existed = added
                    .existed
                    .iter()
                    .map(|user| MemberOutcome::new(*user, MemberResult::ALREADY_MEMBER));
                for MemberOutcome { user, result, .. } in existed.chain(added.waiting) {
                    self.note(&format!("{user} {}", outcome_words(result)))?;
                }
                self.failures(&added.failed, outcome_words)
            }
            Err(error) => self.failed(error),
        }
    }

    async fn kick(&mut self, users: &[UserId]) -> Result<(), Failure> {
        let Some(group) = self.this_group()? else {
            return Ok(());
        };
        match self.session.client.delete_group_member(group, users, "").await {
            Ok(gone) => self.failures(&gone.failed, removal_words),
            Err(error) => self.failed(error),
        }
    }

    fn failures(
        &mut self,
        failed: &[MemberOutcome],
        words: fn(MemberResult) -> &'static str,
    ) -> Result<(), Failure> {
        for MemberOutcome { user, result, .. } in failed {
            self.complain(format_args!("{user} {}", words(*result)))?;
        }
        Ok(())
    }

    async fn members(&mut self) -> Result<(), Failure> {
        let Some(group) = self.this_group()? else {
            return Ok(());
        };
        let mut options = MemberListOptions::default();
        let mut shown = 0;
        loop {
            let asked = self.session.client.get_group_member_list(group, options.clone());
            let page = match asked.await {
                Ok(page) => page,
                Err(error) => return self.failed(error),
            };
            for member in &page.member_list {
                self.keyboard.print(MemberLine(member))?;
            }
            shown += page.member_list.len();
            match page.next {
                Some(next) if shown < SHOWN => options.next = Some(next),
                Some(_) => return self.note("and more; `tim group members` lists all"),
                None => return Ok(()),
            }
        }
    }

    /// Accepts or refuses an application to this group, or the user's own invitation.
    async fn decide(&mut self, decision: Decision, user: Option<UserId>) -> Result<(), Failure> {
        let client = &self.session.client;
        let decided = match (user, self.invited) {
            (Some(user), _) => {
                let Some(group) = self.this_group()? else {
                    return Ok(());
                };
                let application = GroupApplication::new(group, user);
                client.handle_group_application(application, decision, "").await
            }
            (None, Some(group)) => client.handle_group_invitation(group, decision, "").await,
            (None, None) => return self.complain("no pending invitation; name the applicant"),
        };
        match decided {
            Ok(done) if user.is_none() => {
                self.invited = None;
                if decision == Decision::Agree {
                    return self.enter(ConversationId::Group(done.group_id)).await;
                }
                self.note("refused")
            }
            Ok(_) => self.note("done"),
            Err(error) => self.failed(error),
        }
    }

    /// Remembers an invitation that the user has to accept.
    pub(super) fn note_invitation(&mut self, message: &Message) {
        if let Payload::SystemNotice(notice) = message.payload()
            && notice.operation == NoticeOperation::INVITE_REQUESTED
        {
            self.invited = GroupId::new(notice.group_id).ok();
        }
    }
}
