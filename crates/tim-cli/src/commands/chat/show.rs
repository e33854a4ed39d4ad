//! What a chat prints: pages, events, messages, notes.

use std::io::Write as _;
use std::path::Path;

use tim_client::{
    ConversationId, Event, FilePart, ImError, MemberListOptions, Message, NetState, NotReadyReason, UserId,
};

use super::run::{Chat, Flow};
use crate::commands::conversations::Table;
use crate::commands::get;
use crate::error::Failure;
use crate::output::{BAD, FAINT, HINT, STRONG};
use crate::session::failure;
use crate::terminal::{MessageLine, Safe, When};
use crate::time::{date, time_of_day};

/// How many messages are held, for `/revoke N` and for revocations.
const HELD: usize = 1000;

impl Chat<'_> {
    /// Enters a conversation: prints its last page and marks it as read.
    pub(super) async fn enter(&mut self, conversation: ConversationId) -> Result<(), Failure> {
        match self
            .session
            .client
            .get_message_list(conversation, None, None)
            .await
        {
            Ok(page) => {
                self.here = Some(conversation);
                self.remember(conversation);
                self.remember_members(conversation).await;
                self.older = (!page.is_completed).then_some(page.next_req_message_id);
                self.day.clear();
                let count = match (page.message_list.len(), page.is_completed) {
                    (0, _) => "no messages yet".to_owned(),
                    (count, true) => format!("{count} messages"),
                    (count, false) => format!("the last {count} messages; /history shows older ones"),
                };
                self.keyboard.print(format_args!(
                    "{STRONG}── {conversation}{STRONG:#} {FAINT}{count}{FAINT:#}"
                ))?;
                if page.message_list.is_empty() {
                    return Ok(());
                }
                page.message_list
                    .into_iter()
                    .try_for_each(|message| self.print_message(message))?;
                self.mark_read(false).await
            }
            Err(error) => self.failed(error),
        }
    }

    pub(super) async fn history(&mut self) -> Result<(), Failure> {
        let (Some(here), Some(older)) = (self.here, &self.older) else {
            return self.note("no older messages");
        };
        match self
            .session
            .client
            .get_message_list(here, Some(older), None)
            .await
        {
            Ok(page) => {
                self.older = (!page.is_completed).then_some(page.next_req_message_id);
                self.day.clear();
                self.keyboard.print(format_args!("{FAINT}── older{FAINT:#}"))?;
                page.message_list
                    .into_iter()
                    .try_for_each(|message| self.print_message(message))?;
                self.keyboard.print(format_args!("{FAINT}──{FAINT:#}"))
            }
            Err(error) => self.failed(error),
        }
    }

    pub(super) async fn conversations(&mut self) -> Result<(), Failure> {
        match self.session.client.get_conversation_list().await {
            Ok(list) if list.conversation_list.is_empty() => self.note("no conversations yet"),
            Ok(list) => {
                list.conversation_list.iter().for_each(|it| self.remember(it.id));
                let table = Table {
                    list: &list.conversation_list,
                    me: &self.session.me,
                    look: self.look,
                };
                self.keyboard.print(table.to_string().trim_end())
            }
            Err(error) => self.failed(error),
        }
    }

    pub(super) async fn mark_read(&mut self, tell: bool) -> Result<(), Failure> {
        let Some(here) = self.here else {
            return self.note("no conversation to mark as read");
        };
        match self.session.client.set_message_read(here).await {
            Ok(_) if tell => self.note("marked as read"),
            Ok(_) => Ok(()),
            Err(error) => self.failed(error),
        }
    }

    pub(super) async fn revoke(&mut self, sequence: Option<u64>) -> Result<(), Failure> {
        let me = self.session.me;
        let meant = |message: &&Message| match sequence {
            Some(sequence) => message.sequence() == sequence,
            None => message.sender() == me && !message.is_revoked(),
        };
        let here = self.here;
        let mut candidates = self
            .held
            .iter()
            .rev()
            .filter(|message| Some(message.conversation_id()) == here);
        let Some(message) = candidates.find(meant).cloned() else {
            return self.complain("no such message here; each message starts with its number");
        };
        match self.session.client.revoke_message(&message).await {
            Ok(_) => self.print_message(message),
            Err(error) => self.failed(error),
        }
    }

    /// Saves the file of a message that was printed here.
    pub(super) async fn get(&mut self, sequence: u64, path: &str) -> Result<(), Failure> {
        let here = self.here;
        let is_meant =
            |message: &&Message| message.sequence() == sequence && Some(message.conversation_id()) == here;
        let Some(message) = self.held.iter().rev().find(is_meant).cloned() else {
            return self.complain("no such message here; each message starts with its number");
        };
        let out = Some(Path::new(path)).filter(|_| !path.is_empty());
        let path = get::destination(&message, out, FilePart::FILE);
        let shown = path.display();
        if path.exists() {
            return self.complain(format_args!("{shown} exists; name another path"));
        }
        match get::save(self.session, &message, FilePart::FILE, &path).await {
            Ok(size) => self.note(&format!("saved as {shown}, {size} bytes")),
            Err(failure) => self.complain(failure),
        }
    }

    /// Prints an event.
    pub(super) async fn show(&mut self, event: Event) -> Result<Flow, Failure> {
        match event {
            Event::MessageReceived(messages) => {
                let here = messages
                    .iter()
                    .any(|message| Some(message.conversation_id()) == self.here);
                for message in messages {
                    self.note_invitation(&message);
                    // A message of the history may be delivered as well.
                    if !self.holds(&message) {
                        let rings = self.bell && self.mentions_me(&message);
                        self.print_message(message)?;
                        if rings {
                            self.keyboard.ring()?;
                        }
                    }
                }
                if here && self.session.client.is_ready() {
                    self.mark_read(false).await?;
                }
            }
            Event::MessageRevoked(messages) => messages
                .into_iter()
                .try_for_each(|message| self.print_message(message))?,
            Event::Gap(gap) if gap.is_restored() => {
                // The hub assigns the sequences of lost messages anew.
                self.held.clear();
                self.note("the hub was restored from a backup: some messages are lost")?;
            }
            Event::Gap(gap) => self.note(&format!(
                "messages {} to {} of {} are past their retention",
                gap.from, gap.to, gap.conversation
            ))?,
            Event::KickedOut(error) => {
                self.ended = Some(failure(error));
                return Ok(Flow::Leave);
            }
            Event::SdkNotReady(NotReadyReason::Refused | NotReadyReason::LoggedOut) => {
                self.ended = Some(Failure::failed("the hub ended the session"));
                return Ok(Flow::Leave);
            }
            Event::NetStateChange(state) => self.net_state(state)?,
            _ => {}
        }
        Ok(Flow::Continue)
    }

    fn net_state(&mut self, state: NetState) -> Result<(), Failure> {
        match state {
            NetState::Connected if std::mem::take(&mut self.lost) => {
                self.note("reconnected")?;
                if !self.failed.is_empty() {
                    self.note("/resend sends the messages that failed")?;
                }
                Ok(())
            }
            NetState::Disconnected if !std::mem::replace(&mut self.lost, true) => {
                self.note("connection lost; reconnecting")
            }
            _ => Ok(()),
        }
    }

    /// The user's own message was sent. In a terminal its text is already visible, as typed.
    pub(super) fn print_sent(&mut self, message: Message) -> Result<(), Failure> {
        if !self.keyboard.is_terminal() {
            return self.print_message(message);
        }
        let (sequence, time) = (message.sequence(), time_of_day(message.time()));
        self.keep(message);
        match sequence {
            0 => self
                .keyboard
                .print(format_args!("     {FAINT}{time} sent{FAINT:#}")),
            _ => self
                .keyboard
                .print(format_args!("{FAINT}{sequence:>4} {time} sent{FAINT:#}")),
        }
    }

    /// Prints a message and holds it.
    fn print_message(&mut self, message: Message) -> Result<(), Failure> {
        let view = message.view();
        let day = date(view.envelope.time);
        if day != self.day {
            self.keyboard.print(format_args!("{FAINT}── {day}{FAINT:#}"))?;
            self.day = day;
        }
        let said = MessageLine {
            message: view,
            me: self.session.me,
            look: self.look,
            when: When::Time,
        };
        let conversation = message.conversation_id();
        if Some(conversation) == self.here {
            self.keyboard.print(said)?;
        } else {
            self.keyboard
                .print(format_args!("{FAINT}[{conversation}]{FAINT:#} {said}"))?;
        }
        self.keep(message);
        Ok(())
    }

    /// Holds a message, and remembers its sender for completion.
    fn keep(&mut self, message: Message) {
        self.remember(message.conversation_id());
        let from = message.sender();
        if from != self.session.me && from != UserId::SYSTEM {
            self.names.lock().users.insert(from.to_string());
        }
        if !self.holds(&message) {
            if self.held.len() == HELD {
                self.held.pop_front();
            }
            self.held.push_back(message);
        }
    }

    /// Remembers a conversation for completion.
    fn remember(&self, conversation: ConversationId) {
        let mut names = self.names.lock();
        match conversation {
            ConversationId::C2c(user) => names.users.insert(user.to_string()),
            ConversationId::Group(group) => names.groups.insert(group.to_string()),
            _ => false,
        };
    }

    /// Remembers the first page of a group's members for completion.
    async fn remember_members(&self, conversation: ConversationId) {
        if let ConversationId::Group(group) = conversation
            && self.keyboard.is_terminal()
            && let Ok(page) = self
                .session
                .client
                .get_group_member_list(group, MemberListOptions::default())
                .await
        {
            let members = page.member_list.iter().map(|member| member.user.to_string());
            self.names.lock().users.extend(members);
        }
    }

    fn mentions_me(&self, message: &Message) -> bool {
        let said = MessageLine {
            message: message.view(),
            me: self.session.me,
            look: self.look,
            when: When::Time,
        };
        said.mentions_me()
    }

    /// Whether this entry was printed before.
    fn holds(&self, message: &Message) -> bool {
        let (conversation, sequence) = (message.conversation_id(), message.sequence());
        let same = |held: &Message| held.conversation_id() == conversation && held.sequence() == sequence;
        sequence != 0 && self.held.iter().any(same)
    }

    pub(super) fn note(&mut self, text: &str) -> Result<(), Failure> {
        let text = Safe::line(text);
        self.keyboard
            .print(format_args!("{HINT}·{HINT:#} {FAINT}{text}{FAINT:#}"))
    }

    /// Prints an error. In a pipe, stderr names the line as well, and the exit code reports it.
    pub(super) fn complain(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        let text = text.to_string();
        let text = Safe::line(&text);
        if !self.keyboard.is_terminal() {
            self.failures_count = self.failures_count.saturating_add(1);
            let line = self
                .line
                .map(|number| format!("line {number}: "))
                .unwrap_or_default();
            // A closed stderr must not end the chat.
            let _ = writeln!(anstream::stderr(), "{BAD}error:{BAD:#} {line}{text}");
        }
        self.keyboard.print(format_args!("{BAD}!{BAD:#} {text}"))
    }

    pub(super) fn failed(&mut self, error: ImError) -> Result<(), Failure> {
        self.complain(error)
    }

    /// The outcome of a pipe.
    pub(super) fn failures_count(&self) -> Result<(), Failure> {
        match self.failures_count {
            0 => Ok(()),
            1 => Err(Failure::usage("one line failed")),
            failures_count => Err(Failure::usage(format_args!("{failures_count} lines failed"))),
        }
    }

    pub(super) fn prompt(&self) {
        match self.here {
            Some(here) => self.keyboard.ready(&format!("{}> ", here.target())),
            None => self.keyboard.ready("> "),
        }
    }
}
