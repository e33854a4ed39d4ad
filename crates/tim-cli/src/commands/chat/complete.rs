//! Tab completion of the word before the cursor.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tim_proto::render::text::{Language, display_name};

use super::input::COMMANDS;
use crate::terminal::emoji_keys;

/// The names that completion offers.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) users: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
}

/// The names, shared with the line editor.
#[derive(Debug, Clone, Default)]
pub(super) struct SharedNames(Arc<Mutex<Names>>);

impl SharedNames {
    pub(super) fn lock(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The helper of the line editor.
#[derive(Debug, Default)]
pub(super) struct Completion {
    names: SharedNames,
    /// Whether the line has text, for ctrl-C.
    drafted: Cell<bool>,
}

impl Completion {
    pub(super) fn new(names: SharedNames) -> Self {
        Self {
            names,
            drafted: Cell::new(false),
        }
    }

    /// Whether the last line had text; resets for the next line.
    pub(super) fn take_drafted(&self) -> bool {
        self.drafted.take()
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;

    /// There are no hints, but this is called at each change of the line.
    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        self.drafted.set(!line.is_empty());
        None
    }
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = line.get(..pos).unwrap_or(line);
        Ok(candidates(before, &self.names.lock()))
    }
}

/// The start of the word before the cursor, and its completions.
fn candidates(before: &str, names: &Names) -> (usize, Vec<Pair>) {
    let start = before.rfind(char::is_whitespace).map_or(0, |at| {
        at + before
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8)
    });
    let word = before.get(start..).unwrap_or("");
    let is_command = before.starts_with('/') && !before.starts_with("//");
    if is_command && start == 0 {
        let names = COMMANDS
            .iter()
            .filter(|name| name.starts_with(word.trim_start_matches('/')));
        return (
            0,
            names
                .map(|name| pair(format!("/{name}"), format!("/{name} ")))
                .collect(),
        );
    }
    if is_command {
        let command = before
            .split_whitespace()
            .next()
            .unwrap_or("")
            .trim_start_matches('/');
        let first = before.split_whitespace().count() <= 1 + usize::from(!word.is_empty());
        let ids = match command {
            "to" | "invite" | "kick" | "accept" | "refuse" => Some(&names.users),
            "create" if !first => Some(&names.users),
            "group" | "join" | "create" => Some(&names.groups),
            _ => None,
        };
        if let Some(ids) = ids {
            return (start, beginning(ids.iter().map(String::as_str), word, ""));
        }
    }
    // Emojis and mentions may begin inside a word.
    let Some(at) = word.rfind(['[', ':', '@']) else {
        return (start, Vec::new());
    };
    let (begun, place) = (word.get(at..).unwrap_or(""), start + at);
    let typed = begun.get(1..).unwrap_or("");
    let found = match begun.chars().next() {
        Some('[') => beginning(emoji_keys(), begun, ""),
        Some('@') => {
            let all = std::iter::once("all");
            beginning(all.chain(names.users.iter().map(String::as_str)), typed, "@")
        }
        Some(':') if at == 0 && !typed.is_empty() => named_emojis(typed),
        _ => Vec::new(),
    };
    (place, found)
}

/// The names that begin with `typed`, each with `mark` before it.
fn beginning<'a>(all: impl Iterator<Item = &'a str>, typed: &str, mark: &str) -> Vec<Pair> {
    all.filter(|one| one.starts_with(typed))
        .map(|one| pair(one.to_owned(), format!("{mark}{one}")))
        .collect()
}

/// Emojis by their display names: `:smile:` as well as `:微笑:`.
fn named_emojis(typed: &str) -> Vec<Pair> {
    let typed = typed.trim_end_matches(':').to_lowercase();
    let mut found: Vec<Pair> = Vec::new();
    for key in emoji_keys() {
        let shown = [
            display_name(key, Language::En),
            display_name(key, Language::ZhCn),
            Some(key),
        ];
        let mut names = shown
            .into_iter()
            .flatten()
            .map(|name| name.trim_matches(['[', ']']));
        if let Some(name) = names.find(|name| name.to_lowercase().starts_with(&typed)) {
            found.push(pair(format!(":{name}:"), key.to_owned()));
        }
    }
    found
}

const fn pair(display: String, replacement: String) -> Pair {
    Pair { display, replacement }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(before: &str) -> Vec<String> {
        let mut names = Names::default();
        names.users.extend(["alice", "bob", "bobby"].map(str::to_owned));
        names.groups.extend(["climbers".to_owned()]);
        let (start, found) = candidates(before, &names);
        let head = &before[..start];
        found
            .iter()
            .map(|pair| format!("{head}{}", pair.replacement))
            .collect()
    }

    #[test]
    fn commands_people_groups_and_emojis_are_completed() {
        assert_eq!(completed("/rea"), ["/read "]);
        assert!(completed("/").len() > 20);
        assert_eq!(completed("/to b"), ["/to bob", "/to bobby"]);
        assert_eq!(completed("/group "), ["/group climbers"]);
        assert_eq!(completed("/create c"), ["/create climbers"]);
        assert_eq!(completed("/create g al"), ["/create g alice"]);
        assert_eq!(completed("hi @bo"), ["hi @bob", "hi @bobby"]);
        assert_eq!(completed("hi @al"), ["hi @all", "hi @alice"]);
        assert_eq!(completed("好[呲"), ["好[呲牙]"]);
        assert_eq!(completed(":guff"), ["[TUIEmoji_Guffaw]"]);
        assert!(completed("ok :微笑").contains(&"ok [微笑]".to_owned()));
        for nothing in ["", "hello", "//rea", "http://exam", "12:3", "/read x", "//to b"] {
            assert_eq!(completed(nothing), [""; 0], "{nothing}");
        }
    }

    #[test]
    fn every_command_that_is_offered_is_understood() {
        for command in COMMANDS {
            let fault = super::super::input::parse(&format!("/{command}"))
                .err()
                .unwrap_or_default();
            assert!(!fault.contains("unknown command"), "{command}: {fault}");
        }
    }
}
