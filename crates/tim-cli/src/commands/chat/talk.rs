//! The chat loop: runs commands, sends lines, and prints events.

use std::collections::VecDeque;
use std::io::Write as _;

use tim_client::{
    ConversationId, CreateGroup, Custom, Event, EventStream, GroupId, GroupType, ImError, MemberListOptions,
    Message, NetState, NextReqMessageId, NotReadyReason, SendOptions, Status, UserId,
};

use super::complete::Shared;
use super::input::{self, HELP, Input};
use super::keyboard::Keyboard;
use crate::commands::conversations::Table;
use crate::commands::send::PATIENCE;
use crate::connect::with;
use crate::error::Failure;
use crate::output::{BAD, FAINT, HINT, STRONG};
use crate::session::{Session, failure};
use crate::stdin::Line;
use crate::terminal::{Look, MessageLine, Safe, When};
use crate::time::{date, time_of_day};

/// How many messages are held, for `/revoke N` and for revocations.
const HELD: usize = 1000;

/// A chat under way.
pub(super) struct Talk<'a> {
    pub(super) session: &'a Session,
    pub(super) keyboard: Keyboard,
    look: Look,
    /// Names for completion.
    known: Shared,
    /// Whether a mention rings the bell.
    bell: bool,
    /// The conversation that lines go to.
    pub(super) here: Option<ConversationId>,
    /// The group of the last pending invitation.
    pub(super) invited: Option<GroupId>,
    /// Where `/history` continues; `None` if nothing is older.
    older: Option<NextReqMessageId>,
    /// Printed messages, newest last.
    held: VecDeque<Message>,
    failed: Vec<Message>,
    /// The date of the last line printed.
    day: String,
    lost: bool,
    /// The line number in a pipe.
    line: Option<u64>,
    /// How many commands of a pipe failed.
    failures_count: u32,
    /// Why the hub ended the session.
    ended: Option<Failure>,
}

/// Whether to continue.
#[derive(PartialEq)]
enum Flow {
    Continue,
    Leave,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        session: &'a Session,
        keyboard: Keyboard,
        look: Look,
        known: Shared,
        bell: bool,
    ) -> Self {
        Self {
            session,
            keyboard,
            look,
            known,
            bell,
            here: None,
            invited: None,
            older: None,
            held: VecDeque::new(),
            failed: Vec::new(),
            day: String::new(),
            lost: false,
            line: None,
            failures_count: 0,
            ended: None,
        }
    }

    /// Runs until the input or the session ends.
    pub(super) async fn run(
        &mut self,
        mut events: EventStream,
        start: Option<ConversationId>,
    ) -> Result<(), Failure> {
        match start {
            Some(conversation) => self.enter(conversation).await?,
            None => {
                self.conversations().await?;
                self.note("/to USER or /group GROUP selects a conversation; /help lists the commands")?;
            }
        }
        self.prompt();
        loop {
            let next = tokio::select! {
                // In a pipe, events are printed before the next line is read.
                biased;
                event = events.next() => match event {
                    Some(event) => self.show(event).await?,
                    None => Flow::Leave,
                },
                line = self.keyboard.line() => match line {
                    Some(line) => self.take_line(line?, &mut events).await?,
                    None => Flow::Leave,
                },
            };
            if next == Flow::Leave {
                return self.ended.take().map_or_else(|| self.failures_count(), Err);
            }
        }
    }

    /// Runs a line; events that arrive meanwhile are printed.
    async fn take_line(&mut self, line: Line, events: &mut EventStream) -> Result<Flow, Failure> {
        let Line { number, text } = line;
        self.line = (!self.keyboard.is_terminal()).then_some(number);
        let text = text.map_err(|fault| fault.to_string());
        let input = text.as_deref().map_err(String::clone).and_then(input::parse);
        let next = match input {
            Ok(Input::Quit) => Flow::Leave,
            Ok(input) => self.take_input(input, events).await?,
            Err(fault) => {
                self.complain(fault)?;
                Flow::Continue
            }
        };
        self.line = None;
        if next == Flow::Continue {
            self.prompt();
        }
        Ok(next)
    }

    async fn take_input(&mut self, input: Input<'_>, events: &mut EventStream) -> Result<Flow, Failure> {
        let client = &self.session.client;
        let to = |here: Option<ConversationId>| {
            here.ok_or_else(|| {
                ImError::new(
                    tim_client::ErrorCode::CONVERSATION_NOT_FOUND,
                    "no conversation; use /to USER or /group GROUP first",
                )
            })
        };
        let here = to(self.here);
        match input {
            Input::Text(text) => {
                let message = match here {
                    Ok(ConversationId::Group(group)) => self.group_text(group, text).await,
                    Ok(to) => client.create_text_message(to, text),
                    Err(error) => Err(error),
                };
                return self.send(message, SendOptions::default(), events).await;
            }
            Input::Online(text) => {
                let message = here.and_then(|to| client.create_text_message(to, text));
                return self.send(message, SendOptions::online_only(), events).await;
            }
            Input::Face(index, data) => {
                let message = here.and_then(|to| client.create_face_message(to, index, data));
                return self.send(message, SendOptions::default(), events).await;
            }
            Input::Custom(data) => {
                let custom = Custom::new().with_data(data);
                let message = here.and_then(|to| client.create_custom_message(to, custom));
                return self.send(message, SendOptions::default(), events).await;
            }
            Input::Resend => return self.resend(events).await,
            Input::To(user) => self.enter(with(user)).await?,
            Input::Group(group) => self.enter(ConversationId::Group(group)).await?,
            Input::Create(group, members) => {
                let wanted = CreateGroup {
                    group_id: Some(group),
                    members,
                    ..CreateGroup::new(GroupType::PUBLIC, group.as_str())
                };
                match client.create_group(wanted).await {
                    Ok(made) => self.enter(ConversationId::Group(made.group_id)).await?,
                    Err(error) => self.failed(error)?,
                }
            }
            Input::Join(..)
            | Input::Leave
            | Input::Invite(_)
            | Input::Kick(_)
            | Input::Members
            | Input::Decide(..)
            | Input::Nick(_) => self.take_group_input(input).await?,
            Input::Revoke(sequence) => self.revoke(sequence).await?,
            Input::Read => self.mark_read(true).await?,
            Input::History => self.history().await?,
            Input::Conversations => self.conversations().await?,
            Input::Help => self.keyboard.print(HELP)?,
            Input::Nothing | Input::Quit => {}
        }
        Ok(Flow::Continue)
    }

    /// Sends a message and prints it once it is stored.
    async fn send(
        &mut self,
        message: Result<Message, ImError>,
        options: SendOptions,
        events: &mut EventStream,
    ) -> Result<Flow, Failure> {
        match message {
            Ok(message) => {
                let client = self.session.client.clone();
                let sent = message.clone();
                let options = options.retry_for(PATIENCE);
                let sending = async move { client.send_message(&sent, options).await.map(drop) };
                self.finish_sending(message, sending, events).await
            }
            Err(error) => self.failed(error).map(|()| Flow::Continue),
        }
    }

    /// Resends messages that failed.
    async fn resend(&mut self, events: &mut EventStream) -> Result<Flow, Failure> {
        if self.failed.is_empty() {
            self.note("nothing to resend")?;
        }
        for message in std::mem::take(&mut self.failed) {
            let client = self.session.client.clone();
            let sent = message.clone();
            let sending = async move { client.resend_message(&sent).await.map(drop) };
            if self.finish_sending(message, sending, events).await? == Flow::Leave {
                return Ok(Flow::Leave);
            }
        }
        Ok(Flow::Continue)
    }

    async fn finish_sending(
        &mut self,
        message: Message,
        sending: impl Future<Output = Result<(), ImError>>,
        events: &mut EventStream,
    ) -> Result<Flow, Failure> {
        let mut sending = std::pin::pin!(sending);
        let result = loop {
            tokio::select! {
                biased;
                result = &mut sending => break result,
                event = events.next() => match event {
                    Some(event) => if self.show(event).await? == Flow::Leave {
                        return Ok(Flow::Leave);
                    },
                    None => return Ok(Flow::Leave),
                },
            }
        };
        match result {
            Ok(()) => self.print_sent(message)?,
            Err(error) => {
                self.failed(error)?;
                if message.status() == Status::Fail {
                    self.failed.push(message);
                    self.note("not sent; /resend tries again")?;
                }
            }
        }
        Ok(Flow::Continue)
    }

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

    async fn history(&mut self) -> Result<(), Failure> {
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

    async fn conversations(&mut self) -> Result<(), Failure> {
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

    async fn mark_read(&mut self, tell: bool) -> Result<(), Failure> {
        let Some(here) = self.here else {
            return self.note("no conversation to mark as read");
        };
        match self.session.client.set_message_read(here).await {
            Ok(_) if tell => self.note("marked as read"),
            Ok(_) => Ok(()),
            Err(error) => self.failed(error),
        }
    }

    async fn revoke(&mut self, sequence: Option<u64>) -> Result<(), Failure> {
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

    /// Prints an event.
    async fn show(&mut self, event: Event) -> Result<Flow, Failure> {
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
    fn print_sent(&mut self, message: Message) -> Result<(), Failure> {
        if !self.keyboard.is_terminal() {
            return self.print_message(message);
        }
        let (sequence, time) = (message.sequence(), time_of_day(message.time()));
        self.keep(message);
        match sequence {
            0 => self
                .keyboard
                .print(format_args!("     {FAINT}{time} passed on{FAINT:#}")),
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
            self.known.lock().users.insert(from.to_string());
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
        let mut known = self.known.lock();
        match conversation {
            ConversationId::C2c(user) => known.users.insert(user.to_string()),
            ConversationId::Group(group) => known.groups.insert(group.to_string()),
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
            self.known.lock().users.extend(members);
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
    fn failures_count(&self) -> Result<(), Failure> {
        match self.failures_count {
            0 => Ok(()),
            1 => Err(Failure::usage("one line failed")),
            failures_count => Err(Failure::usage(format_args!("{failures_count} lines failed"))),
        }
    }

    fn prompt(&self) {
        match self.here {
            Some(here) => self.keyboard.ready(&format!("{}> ", here.target())),
            None => self.keyboard.ready("> "),
        }
    }
}
