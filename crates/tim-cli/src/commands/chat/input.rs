//! Input lines: texts and commands.

use tim_client::Decision;
use tim_proto::{GroupId, UserId};

/// Shown by `/help`.
pub(super) const HELP: &str = "\
Type a line to send it. Emojis are keys such as [呲牙] or [微笑]. A line that starts with / is a command:
  /to USER            talk with a user
  /group GROUP        talk in a group
  /create GROUP U…    make a group with these users in it, and talk there
  /join GROUP [WORDS] ask to be let into a group, and talk there
  /leave              leave this group
  /invite U…          invite users into this group
  /kick U…            remove members from this group
  /members            list this group's members (so does /who)
  /accept [U]         let in who applied to join this group; without a user: accept the last invitation
  /refuse [U]         the contrary
  /nick NAME          be called NAME
  /revoke [N]         take back my last message, or the one with number N
  /resend             send again what could not be sent
  /read               mark this conversation as read
  /history            show older messages
  /conversations      list my conversations
  /face N [DATA]      send a sticker
  /custom DATA        send a custom message
  /file PATH          send a file; a picture as a picture
  /get N [PATH]       save the file of message N
  /online TEXT        send to those online now only; nothing is kept
  /quit               leave (so does the end of input)
In a group, @USER mentions a member and @all everybody. A line that starts with // is sent with a single /.
Tab completes commands, users, [emojis] and :names:. Ctrl-C clears the line, and leaves when it is empty.";

/// The commands for completion, without their aliases.
pub(super) const COMMANDS: &[&str] = &[
    "accept",
    "conversations",
    "create",
    "custom",
    "face",
    "file",
    "get",
    "group",
    "help",
    "history",
    "invite",
    "join",
    "kick",
    "leave",
    "members",
    "nick",
    "online",
    "quit",
    "read",
    "refuse",
    "resend",
    "revoke",
    "to",
];

/// A parsed line.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Input<'a> {
    Nothing,
    Text(&'a str),
    Online(&'a str),
    Face(u32, &'a str),
    Custom(&'a str),
    File(&'a str),
    /// The number of a message, and where its file goes; may be empty.
    Get(u64, &'a str),
    To(UserId),
    Group(GroupId),
    Create(GroupId, Vec<UserId>),
    Join(GroupId, &'a str),
    Leave,
    Invite(Vec<UserId>),
    Kick(Vec<UserId>),
    Members,
    /// Accept or refuse: an applicant, or else my own invitation.
    Decide(Decision, Option<UserId>),
    Nick(&'a str),
    Revoke(Option<u64>),
    Resend,
    Read,
    History,
    Conversations,
    Help,
    Quit,
}

/// Parses a line, or returns an error message.
pub(super) fn parse(line: &str) -> Result<Input<'_>, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Ok(Input::Nothing);
    }
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Input::Text(line));
    };
    if command.starts_with('/') {
        return Ok(Input::Text(command));
    }
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let rest = rest.trim();
    let needs = |what: &str| {
        if rest.is_empty() {
            Err(format!("/{name} needs {what}"))
        } else {
            Ok(rest)
        }
    };
    Ok(match name {
        "to" => Input::To(id(needs("a user")?)?),
        "group" => Input::Group(id(needs("a group")?)?),
        "create" => create(needs("a group and its members")?)?,
        "join" => {
            let (group, words) = needs("a group")?
                .split_once(char::is_whitespace)
                .unwrap_or((rest, ""));
            Input::Join(id(group)?, words.trim())
        }
        "leave" => Input::Leave,
        "invite" => Input::Invite(users(needs("users")?)?),
        "kick" => Input::Kick(users(needs("members")?)?),
        "members" | "who" => Input::Members,
        "accept" => Input::Decide(Decision::Agree, users(rest)?.into_iter().next()),
        "refuse" => Input::Decide(Decision::Reject, users(rest)?.into_iter().next()),
        "nick" => Input::Nick(needs("a name")?),
        "revoke" if rest.is_empty() => Input::Revoke(None),
        "revoke" => Input::Revoke(Some(number(rest.trim_start_matches('#'))?)),
        "resend" => Input::Resend,
        "read" => Input::Read,
        "history" => Input::History,
        "conversations" | "list" => Input::Conversations,
        "face" => {
            let (index, data) = needs("a number")?
                .split_once(char::is_whitespace)
                .unwrap_or((rest, ""));
            Input::Face(number(index)?, data.trim())
        }
        "custom" => Input::Custom(needs("data")?),
        "file" => Input::File(needs("a path")?),
        "get" => {
            let (sequence, path) = needs("the number of a message")?
                .split_once(char::is_whitespace)
                .unwrap_or((rest, ""));
            Input::Get(number(sequence.trim_start_matches('#'))?, path.trim())
        }
        "online" => Input::Online(needs("a text")?),
        "help" | "?" => Input::Help,
        "quit" | "exit" | "q" => Input::Quit,
        _ => {
            return Err(format!(
                "unknown command /{name}; /help lists all, and // begins a text with /"
            ));
        }
    })
}

fn create(rest: &str) -> Result<Input<'_>, String> {
    let mut words = rest.split_whitespace();
    let group = id(words.next().unwrap_or_default())?;
    Ok(Input::Create(group, words.map(id).collect::<Result<_, _>>()?))
}

fn users(text: &str) -> Result<Vec<UserId>, String> {
    text.split_whitespace().map(id).collect()
}

/// The users that a text may mention, by what follows each @, and whether it has @all.
pub(super) fn mentions(text: &str) -> (Vec<UserId>, bool) {
    let mut users: Vec<UserId> = Vec::new();
    let mut all = false;
    for rest in text.split('@').skip(1) {
        let len = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
            .unwrap_or(rest.len());
        match rest.get(..len).unwrap_or("") {
            "all" => all = true,
            word => users.extend(UserId::new(word).ok().filter(|user| !users.contains(user))),
        }
    }
    (users, all)
}

fn id<T: std::str::FromStr<Err = tim_proto::IdError>>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|fault| format!("invalid id '{text}': {fault}"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("invalid number '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_commands() {
        let user = |text: &str| text.parse::<UserId>().unwrap();
        for (line, expected) in [
            ("hello [呲牙]\n", Input::Text("hello [呲牙]")),
            ("  ", Input::Nothing),
            ("//etc/hosts", Input::Text("/etc/hosts")),
            ("/to bob", Input::To(user("bob"))),
            ("/group @TGS#1", Input::Group("@TGS#1".parse().unwrap())),
            (
                "/create g bob  carol",
                Input::Create("g".parse().unwrap(), vec![user("bob"), user("carol")]),
            ),
            (
                "/join g  let me in",
                Input::Join("g".parse().unwrap(), "let me in"),
            ),
            ("/join g", Input::Join("g".parse().unwrap(), "")),
            (
                "/invite bob carol",
                Input::Invite(vec![user("bob"), user("carol")]),
            ),
            ("/kick bob", Input::Kick(vec![user("bob")])),
            ("/who", Input::Members),
            ("/accept", Input::Decide(Decision::Agree, None)),
            ("/refuse bob", Input::Decide(Decision::Reject, Some(user("bob")))),
            ("/nick Big Al", Input::Nick("Big Al")),
            ("/revoke", Input::Revoke(None)),
            ("/revoke #12", Input::Revoke(Some(12))),
            ("/face 4 tt00 x", Input::Face(4, "tt00 x")),
            ("/face 4", Input::Face(4, "")),
            ("/custom  {\"a\":1} ", Input::Custom("{\"a\":1}")),
            ("/online soon", Input::Online("soon")),
            ("/file my cat.jpg", Input::File("my cat.jpg")),
            ("/get #12 cat 2.jpg", Input::Get(12, "cat 2.jpg")),
            ("/get 12", Input::Get(12, "")),
            ("/quit\r\n", Input::Quit),
        ] {
            assert_eq!(parse(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn mentions_are_ids_behind_an_at() {
        let user = |text: &str| text.parse::<UserId>().unwrap();
        let (users, all) = mentions("@bob, @carol_2: mail x@y.org, @bob! @ 3 @阿丽");
        assert_eq!(
            (users, all),
            (vec![user("bob"), user("carol_2"), user("y")], false)
        );
        assert_eq!(mentions("@all lunch"), (vec![], true));
        assert_eq!(mentions("no one, @allison").0, [user("allison")]);
    }

    #[test]
    fn what_cannot_be_understood_is_told() {
        for (line, told) in [
            ("/to", "needs a user"),
            ("/to 阿丽", "invalid id"),
            ("/revoke x", "invalid number"),
            ("/file", "needs a path"),
            ("/get", "needs the number"),
            ("/face x", "invalid number"),
            ("/create", "needs"),
            ("/join", "needs a group"),
            ("/invite", "needs users"),
            ("/kick 阿丽", "invalid id"),
            ("/dance", "unknown command /dance"),
        ] {
            let fault = parse(line).unwrap_err();
            assert!(fault.contains(told), "{line}: {fault}");
        }
    }
}
