//! The state of the demo and what its scenes share: hub, devices and transcript.

use std::fmt::{Debug, Display};
use std::io::Stdout;
use std::path::PathBuf;

use anstream::AutoStream;
use tim_client::{AtKind, ConversationId, GroupId, ImError, Message, Payload, SendOptions};
use tim_proto::Words;

use super::transcript::{Summary, Transcript};
use super::world::{Device, RunningHub, Sockets, impostor};
use crate::error::Failure;
use crate::session::failure;
use crate::terminal::{Look, MessageLine, When};

/// Where the demo prints.
pub(super) type Out = AutoStream<Stdout>;

/// Hub, devices and transcript.
pub(super) struct Play {
    script: Transcript<Out>,
    look: Look,
    pub(super) hub: RunningHub,
    phone: Device,
    laptop: Device,
    bob: Device,
    carol: Device,
}

/// One of the four devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceName {
    /// Alice's.
    Phone,
    /// Alice's.
    Laptop,
    Bob,
    Carol,
}

/// All four.
pub(super) const EVERYBODY: [DeviceName; 4] = [
    DeviceName::Phone,
    DeviceName::Laptop,
    DeviceName::Bob,
    DeviceName::Carol,
];

impl Play {
    /// The first scene: a hub, and four devices that log in.
    pub(super) async fn begin(
        mut script: Transcript<Out>,
        look: Look,
        data: PathBuf,
        sockets: Sockets,
    ) -> Result<Self, Failure> {
        script.scene("A hub, three users, four devices")?;
        script.step("The hub starts on an empty directory")?;
        let hub = RunningHub::start(data.clone(), "the key of the demo".to_owned(), sockets).await?;
        script.shows("hub", format_args!("listening at {}", hub.address))?;
        script.check("its database is there", data.join("tim.sqlite3").exists(), true)?;

        script.step("Alice logs in on her phone and her laptop, Bob and Carol on one device each")?;
        let phone = Device::log_in(&hub, "alice", "alice's phone").await?;
        let laptop = Device::log_in(&hub, "alice", "her laptop").await?;
        let bob = Device::log_in(&hub, "bob", "bob").await?;
        let carol = Device::log_in(&hub, "carol", "carol").await?;
        let mut play = Self {
            script,
            look,
            hub,
            phone,
            laptop,
            bob,
            carol,
        };
        for on in EVERYBODY {
            let ready = play.device(on).client.is_ready();
            play.check(format_args!("{} is ready", play.name(on)), ready, true)?;
        }

        play.step("Somebody logs in as Bob with a UserSig that another key signed")?;
        let refused = impostor(&play.hub, "bob").await?;
        play.refused("the hub refuses it", refused, 70_009)?;
        Ok(play)
    }

    /// The last scene: nothing arrived twice, and everybody logs out.
    pub(super) async fn end(mut self) -> Result<Summary, Failure> {
        self.scene("The end")?;
        self.step("No device has a message that nobody sent, or one twice")?;
        for on in EVERYBODY {
            let unexpected = self.device(on).unexpected().await;
            self.check(format_args!("nothing at {}", self.name(on)), unexpected, 0)?;
        }
        self.step("Everybody logs out, and the hub stops")?;
        for on in EVERYBODY {
            self.device(on).client.logout().await.map_err(failure)?;
            let ready = self.device(on).client.is_ready();
            self.check(format_args!("{} is out", self.name(on)), ready, false)?;
        }
        self.hub.stop().await?;
        self.script.finish()
    }

    pub(super) const fn device(&mut self, on: DeviceName) -> &mut Device {
        match on {
            DeviceName::Phone => &mut self.phone,
            DeviceName::Laptop => &mut self.laptop,
            DeviceName::Bob => &mut self.bob,
            DeviceName::Carol => &mut self.carol,
        }
    }

    const fn name(&self, on: DeviceName) -> &'static str {
        match on {
            DeviceName::Phone => self.phone.name,
            DeviceName::Laptop => self.laptop.name,
            DeviceName::Bob => self.bob.name,
            DeviceName::Carol => self.carol.name,
        }
    }

    pub(super) fn scene(&mut self, title: &str) -> Result<(), Failure> {
        self.script.scene(title)
    }

    pub(super) fn step(&mut self, title: impl Display) -> Result<(), Failure> {
        self.script.step(title)
    }

    pub(super) fn check<T: PartialEq + Debug>(
        &mut self,
        what: impl Display,
        found: T,
        expected: T,
    ) -> Result<(), Failure> {
        self.script.check(what, found, expected)
    }

    /// Checks that a call was refused with this code.
    pub(super) fn refused<T>(
        &mut self,
        what: &str,
        result: Result<T, ImError>,
        code: u32,
    ) -> Result<(), Failure> {
        let found = result.err().map(|error| error.code.0);
        self.check(format_args!("{what} ({code})"), found, Some(code))
    }

    /// Prints a line that a device shows.
    pub(super) fn shows(&mut self, on: DeviceName, what: impl Display) -> Result<(), Failure> {
        self.script.shows(self.name(on), what)
    }

    /// Prints a message as a device shows it.
    pub(super) fn shows_message(&mut self, on: DeviceName, message: &Message) -> Result<(), Failure> {
        let me = self.device(on).client.user();
        let said = MessageLine {
            message: message.view(),
            me,
            look: self.look,
            when: When::Nothing,
        };
        self.script.shows(self.name(on), said)
    }

    /// A text message, sent and shown.
    pub(super) async fn says(
        &mut self,
        on: DeviceName,
        to: ConversationId,
        text: &str,
    ) -> Result<Message, Failure> {
        let message = self
            .device(on)
            .client
            .create_text_message(to, text)
            .map_err(failure)?;
        self.sends(on, &message).await?;
        Ok(message)
    }

    /// Sends a message and shows it.
    pub(super) async fn sends(&mut self, on: DeviceName, message: &Message) -> Result<(), Failure> {
        self.device(on)
            .client
            .send_message(message, SendOptions::default())
            .await
            .map_err(failure)?;
        self.shows_message(on, message)
    }

    /// The next message in a conversation, shown.
    pub(super) async fn receives(
        &mut self,
        on: DeviceName,
        conversation: ConversationId,
    ) -> Result<Message, Failure> {
        let message = self.device(on).receives(conversation).await?;
        self.shows_message(on, &message)?;
        Ok(message)
    }

    /// The next message in a group, at each of these devices: a tip that says this.
    pub(super) async fn tips(&mut self, at: &[DeviceName], id: &str, text: &str) -> Result<(), Failure> {
        let here = group(id)?;
        for on in at {
            let message = self.receives(*on, here).await?;
            let found = match message.payload() {
                Payload::GroupTip(tip) => Some(tip.text(Words::SEED).to_string()),
                _ => None,
            };
            self.check("the tip", found.as_deref(), Some(text))?;
        }
        Ok(())
    }

    /// The next of the system's messages, at each of these devices: a notice of this kind that says this.
    pub(super) async fn notices(
        &mut self,
        at: &[DeviceName],
        operation: u32,
        text: &str,
    ) -> Result<Vec<Message>, Failure> {
        let mut all = Vec::new();
        for on in at {
            let message = self.receives(*on, ConversationId::System).await?;
            let found = match message.payload() {
                Payload::SystemNotice(notice) => {
                    let text = notice.text(Words::SEED).map(|text| text.to_string());
                    Some((notice.operation.0, text.unwrap_or_default()))
                }
                _ => None,
            };
            self.check("the notice", found, Some((operation, text.to_owned())))?;
            all.push(message);
        }
        Ok(all)
    }

    /// A group's members with their roles, as a device has them listed, and shown.
    pub(super) async fn members(&mut self, on: DeviceName, id: &str) -> Result<Vec<String>, Failure> {
        let group = id.parse().map_err(Failure::failed)?;
        let asked = self
            .device(on)
            .client
            .get_group_member_list(group, Default::default());
        let mut members = asked.await.map_err(failure)?.member_list;
        members.sort_by_key(|member| (member.role.0, member.user));
        let members: Vec<_> = members
            .iter()
            .map(|member| format!("{} {}", member.user, member.role))
            .collect();
        self.shows(on, members.join(", "))?;
        Ok(members)
    }

    /// How the unread messages of a group mention a device's user.
    pub(super) async fn at_info(
        &mut self,
        on: DeviceName,
        here: ConversationId,
    ) -> Result<Vec<AtKind>, Failure> {
        let list = self
            .device(on)
            .client
            .get_conversation_list()
            .await
            .map_err(failure)?;
        let found = list.conversation_list.iter().find(|it| it.id == here);
        let kinds: Vec<_> = found
            .iter()
            .flat_map(|it| &it.group_at_info_list)
            .map(|at| at.kind)
            .collect();
        if !kinds.is_empty() {
            let shown: Vec<_> = kinds.iter().map(AtKind::to_string).collect();
            self.shows(on, shown.join(", "))?;
        }
        Ok(kinds)
    }

    /// Checks that the next message of these devices is this one.
    pub(super) async fn arrives(
        &mut self,
        message: &Message,
        at: impl IntoIterator<Item = (DeviceName, ConversationId)>,
    ) -> Result<(), Failure> {
        for (on, conversation) in at {
            let received = self.receives(on, conversation).await?;
            let same = (received.id(), received.sequence()) == (message.id(), message.sequence());
            self.check(format_args!("{} has it", self.name(on)), same, true)?;
        }
        Ok(())
    }
}

/// A conversation with a user.
pub(super) fn with(user: &str) -> Result<ConversationId, Failure> {
    user.parse().map(ConversationId::C2c).map_err(Failure::failed)
}

/// A group's conversation.
pub(super) fn group(id: &str) -> Result<ConversationId, Failure> {
    id.parse().map(ConversationId::Group).map_err(Failure::failed)
}

/// A group's id.
pub(super) fn id(text: &str) -> Result<GroupId, Failure> {
    text.parse().map_err(Failure::failed)
}
