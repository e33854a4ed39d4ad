//! The chat loop: runs commands and sends lines.

use std::collections::VecDeque;
use std::path::Path;

use tim_client::{
    Client, ConversationId, CreateGroup, Custom, ErrorCode, EventStream, GroupId, GroupType, ImError,
    Message, NextReqMessageId, SendOptions, Status,
};

use super::complete::SharedNames;
use super::input::{self, HELP, Input};
use super::keyboard::Keyboard;
use crate::commands::send::PATIENCE;
use crate::connect::with;
use crate::error::Failure;
use crate::session::Session;
use crate::stdin::Line;
use crate::terminal::Look;

/// A chat under way.
pub(super) struct Chat<'a> {
    pub(super) session: &'a Session,
    pub(super) keyboard: Keyboard,
    pub(super) look: Look,
    /// Names for completion.
    pub(super) names: SharedNames,
    /// Whether a mention rings the bell.
    pub(super) bell: bool,
    /// The conversation that lines go to.
    pub(super) here: Option<ConversationId>,
    /// The group of the last pending invitation.
    pub(super) invited: Option<GroupId>,
    /// Where `/history` continues; `None` if nothing is older.
    pub(super) older: Option<NextReqMessageId>,
    /// Printed messages, newest last.
    pub(super) held: VecDeque<Message>,
    pub(super) failed: Vec<Message>,
    /// The date of the last line printed.
    pub(super) day: String,
    pub(super) lost: bool,
    /// The line number in a pipe.
    pub(super) line: Option<u64>,
    /// How many commands of a pipe failed.
    pub(super) failures_count: u32,
    /// Why the hub ended the session.
    pub(super) ended: Option<Failure>,
}

/// Whether to continue.
#[derive(PartialEq)]
pub(super) enum Flow {
    Continue,
    Leave,
}

impl<'a> Chat<'a> {
    pub(super) fn new(
        session: &'a Session,
        keyboard: Keyboard,
        look: Look,
        names: SharedNames,
        bell: bool,
    ) -> Self {
        Self {
            session,
            keyboard,
            look,
            names,
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
                    ErrorCode::CONVERSATION_NOT_FOUND,
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
            Input::File(path) => {
                let message = match here {
                    Ok(to) => file_message(client, to, Path::new(path)).await,
                    Err(error) => Err(error),
                };
                return self.send(message, SendOptions::default(), events).await;
            }
            Input::Get(sequence, path) => self.get(sequence, path).await?,
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
}

/// A message with this file: a picture as a picture, and anything else as a file.
async fn file_message(client: &Client, to: ConversationId, path: &Path) -> Result<Message, ImError> {
    match client.create_image_message(to, path).await {
        Err(error) if is_no_picture(error.code) => client.create_file_message(to, path).await,
        other => other,
    }
}

const fn is_no_picture(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::MESSAGE_IMAGE_TYPES_LIMIT
            | ErrorCode::MESSAGE_IMAGE_SIZE_LIMIT
            | ErrorCode::UNSUPPORTED_PLATFORM
    )
}
