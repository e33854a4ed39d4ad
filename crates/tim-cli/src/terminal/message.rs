//! A message with its time, sender and content.

use std::fmt::{self, Display};

use anstyle::{AnsiColor, Color, Style};
use tim_proto::message::{File, GroupChange, GroupTip, Image, Payload, Text};
use tim_proto::render::placeholder;
use tim_proto::render::{Revoker, revoked_text};
use tim_proto::{FileId, Message, UserId, Words};

use super::emoji::{EmojiStyle, Rendered};
use super::locale::Lang;
use super::safe::Safe;
use crate::output::{FAINT, HINT};
use crate::time::{date_and_time, time_of_day};

/// The display options, shared by many commands.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Look {
    /// Words for tips, notices and placeholders: seed (Chinese, ASCII punctuation), full-width, or english [default: by
    /// language].
    #[arg(long, value_name = "NAME", env = "TIM_PROFILE", hide_env_values = true)]
    profile: Option<Words>,
    /// Language of these words: zh or en [default: zh if the locale is Chinese, else en].
    #[arg(
        long,
        value_enum,
        value_name = "LANGUAGE",
        env = "TIM_LANG",
        hide_env_values = true,
        hide_possible_values = true
    )]
    lang: Option<Lang>,
    /// Style of emojis: unicode or keys.
    #[arg(
        long,
        value_enum,
        value_name = "STYLE",
        env = "TIM_EMOJI",
        hide_env_values = true,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) emoji: EmojiStyle,
}

impl Look {
    /// The words for tips, notices and placeholders.
    pub(crate) fn words(&self) -> Words {
        let of_language = || self.lang.unwrap_or_else(Lang::of_environment).words();
        self.profile.unwrap_or_else(of_language)
    }
}

/// A message, to print for `me`.
pub(crate) struct MessageLine<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) me: UserId,
    pub(crate) look: Look,
    pub(crate) when: When,
}

/// The prefix of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Its number and the time of day.
    Time,
    /// Its number, the day and the time of day.
    Date,
    /// The time of day; the content is on one line.
    OneLine,
    /// Nothing.
    Nothing,
}

/// Further lines are indented to the text of the first.
const INDENT: usize = 12;

impl Display for MessageLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let envelope = &self.message.envelope;
        let time = if self.when == When::Date {
            date_and_time(envelope.time)
        } else {
            time_of_day(envelope.time)
        };
        match envelope.sequence {
            _ if self.when == When::Nothing => {}
            _ if self.when == When::OneLine => write!(f, "{FAINT}{time}{FAINT:#} ")?,
            0 => write!(f, "     {FAINT}{time}{FAINT:#} ")?,
            sequence => write!(f, "{FAINT}{sequence:>4} {time}{FAINT:#} ")?,
        }
        let payload = &self.message.payload;
        let by_hub = matches!(payload, Payload::GroupTip(_) | Payload::SystemNotice(_));
        let is_revocation = matches!(payload, Payload::Revocation(_));
        if self.message.is_revoked() || is_revocation {
            let by = Revoker::of(&self.message, &self.me);
            let text = revoked_text(by, self.look.words()).to_string();
            let by_hub = if is_revocation { "— " } else { "" };
            return write!(f, "{FAINT}{by_hub}{}{FAINT:#}", Safe::line(&text));
        }
        if by_hub {
            return write!(f, "{FAINT}— {}{FAINT:#}", self.content());
        }
        let style = sender_style(&envelope.from);
        match self.sender_name() {
            "" => write!(f, "{style}{}{style:#}: ", envelope.from)?,
            name => {
                let name = Safe::line(name);
                write!(f, "{style}{name}{style:#} {FAINT}({}){FAINT:#}: ", envelope.from)?;
            }
        }
        if self.mentions_me() {
            write!(f, "{HINT}@{HINT:#} ")?;
        }
        match self.when {
            When::OneLine => self.content().on_one_line().fmt(f),
            // By its id `tim get` finds the file.
            When::Date if has_file(payload) => {
                write!(f, "{} {FAINT}{}{FAINT:#}", self.content(), self.message.id)
            }
            _ => self.content().fmt(f),
        }
    }
}

/// Whether there is a file at the hub.
fn has_file(payload: &Payload<'_>) -> bool {
    let uuid = match payload {
        Payload::Image(image) => image.uuid,
        Payload::Audio(audio) => audio.uuid,
        Payload::Video(video) => video.uuid,
        Payload::File(file) => file.uuid,
        _ => return false,
    };
    uuid.parse::<FileId>().is_ok()
}

impl MessageLine<'_> {
    /// Its content, without time and sender.
    pub(crate) const fn content(&self) -> MessageContent<'_> {
        MessageContent {
            payload: &self.message.payload,
            look: self.look,
            indent: Some(INDENT),
        }
    }

    /// The name card or the nick of the sender; empty if there is neither.
    fn sender_name(&self) -> &str {
        match self.message.name_card() {
            "" => self.message.nick(),
            card => card,
        }
    }

    /// Whether another user mentions me, by name or with everybody.
    pub(crate) fn mentions_me(&self) -> bool {
        let mentions = self.message.mentions();
        self.message.envelope.from != self.me
            && mentions.is_some_and(|mentions| mentions.kind_for(&self.me).is_some())
    }
}

/// The content of a message, to print.
pub(crate) struct MessageContent<'a> {
    payload: &'a Payload<'a>,
    look: Look,
    /// The indent after each line end; `None` for one line.
    indent: Option<usize>,
}

impl MessageContent<'_> {
    /// The same on one line.
    pub(crate) const fn on_one_line(self) -> Self {
        Self { indent: None, ..self }
    }
}

impl Display for MessageContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_payload(f, self.payload, self.look, self.indent)
    }
}

fn write_payload(
    f: &mut fmt::Formatter<'_>,
    payload: &Payload<'_>,
    look: Look,
    indent: Option<usize>,
) -> fmt::Result {
    let words = look.words();
    let label = placeholder(payload.kind(), words);
    match payload {
        Payload::Text(Text { text, .. }) => Rendered {
            text,
            indent,
            style: look.emoji,
        }
        .fmt(f),
        Payload::Custom(it) => {
            let shown = if it.description.is_empty() {
                it.data
            } else {
                it.description
            };
            write!(f, "{label} {}", Safe::line(shown))
        }
        Payload::Face(it) => write!(f, "{label} {} {}", it.index, Safe::line(it.data)),
        Payload::Image(it) => write_image(f, label, it),
        Payload::Audio(it) => write!(f, "{label} {} s{}", it.seconds(), At(it.url)),
        Payload::Video(it) => write!(f, "{label} {} s, {}{}", it.seconds, Size(it.size), At(it.url)),
        Payload::File(File { name, size, url, .. }) => {
            write!(f, "{label} {}, {}{}", Safe::line(name), Size(*size), At(url))
        }
        Payload::GroupTip(it) => {
            Safe::line(&it.text_with_names(words).to_string()).fmt(f)?;
            write_details(f, it)
        }
        Payload::SystemNotice(it) => match it.text(words) {
            Some(text) => Safe::line(&text.to_string()).fmt(f),
            None => write!(f, "{label} {}", it.operation),
        },
        Payload::Revocation(it) => revoked_text(Revoker::Member(it.revoker.as_str()), words).fmt(f),
        other => write!(f, "[{}]", other.kind()),
    }
}

/// The details of a tip: changes, mutes and the reason.
fn write_details(f: &mut fmt::Formatter<'_>, tip: &GroupTip<'_>) -> fmt::Result {
    let changes = tip.changes.iter().map(|change| match change {
        GroupChange::Name(name) => format!("name {name}"),
        GroupChange::Introduction(text) => format!("introduction {text}"),
        GroupChange::Notification(text) => format!("notification {text}"),
        GroupChange::Avatar(avatar) => format!("avatar {avatar}"),
        GroupChange::Owner(owner) => format!("owner {owner}"),
        GroupChange::JoinOption(option) => format!("join {option}"),
        GroupChange::InviteOption(option) => format!("invite {option}"),
        GroupChange::MuteAll(mute) => format!("mute all {mute}"),
        _ => "something".to_owned(),
    });
    let muted = tip.muted.iter().map(|muted| {
        let member = tip.members().find(|member| muted.user.as_str() == member.id);
        let user = muted.user.as_str();
        let user = member.map_or(user, |member| member.names.shown_for(member.id));
        match muted.seconds {
            0 => format!("{user} may write"),
            seconds => format!("{user} may not write for {seconds} s"),
        }
    });
    let reason = Some(tip.reason.to_owned()).filter(|reason| !reason.is_empty());
    let details: Vec<_> = changes.chain(muted).chain(reason).collect();
    if details.is_empty() {
        return Ok(());
    }
    let details = details.join(", ");
    let operator = tip.operator.shown_for(tip.operator_id);
    write!(f, " ({}: {})", Safe::line(operator), Safe::line(&details))
}

fn write_image(f: &mut fmt::Formatter<'_>, label: &str, image: &Image<'_>) -> fmt::Result {
    match image.images.iter().next() {
        Some(it) => write!(
            f,
            "{label} {}×{}, {}{}",
            it.width,
            it.height,
            Size(it.size),
            At(it.url)
        ),
        None => f.write_str(label),
    }
}

/// An address with a space before it, if there is one.
struct At<'a>(&'a str);

impl Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            Ok(())
        } else {
            write!(f, " {}", Safe::line(self.0))
        }
    }
}

/// A size with its unit.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1024 => write!(f, "{} bytes", self.0),
            1024..1_048_576 => write!(f, "{} KiB", self.0.div_ceil(1024)),
            _ => write!(f, "{} MiB", self.0.div_ceil(1_048_576)),
        }
    }
}

/// Each user has one of six colours.
pub(crate) fn sender_style(user: &UserId) -> Style {
    const COLOURS: [AnsiColor; 6] = [
        AnsiColor::Green,
        AnsiColor::Yellow,
        AnsiColor::Blue,
        AnsiColor::Magenta,
        AnsiColor::Cyan,
        AnsiColor::BrightRed,
    ];
    let sum = user.as_str().bytes().fold(0_usize, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let colour = COLOURS.get(sum % COLOURS.len()).copied().map(Color::Ansi);
    Style::new().fg_color(colour).bold()
}
