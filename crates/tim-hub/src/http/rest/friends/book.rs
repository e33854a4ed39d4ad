//! What the interface keeps of a user's friends, as the store's contacts.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};
use tim_proto::UserId;
use tim_store::{ChangeContacts, Contact, Contacts, Write};

use crate::http::rest::call::Call;
use crate::http::rest::callbacks::Friendships;
use crate::http::rest::codes;
use crate::http::rest::envelope::RestError;
use crate::refusal::Refusal;
use tim_store::{Refused, WriteError};

/// How often a change is made again of lists that others change at the same time. Of those that are made at once one succeeds each time.
const ATTEMPTS: u32 = 100;

/// A friend.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Friend {
    pub(super) user: UserId,
    /// When the friend was added, unix seconds.
    pub(super) time: u64,
    pub(super) remark: String,
    pub(super) source: String,
    pub(super) wording: String,
    /// The names of the user's lists that the friend is in.
    pub(super) lists: Vec<String>,
    /// Fields of the application, by tag.
    pub(super) custom: Map<String, Value>,
}

impl Friend {
    pub(super) fn new(user: UserId, time: u64) -> Self {
        Self {
            user,
            time,
            remark: String::new(),
            source: String::new(),
            wording: String::new(),
            lists: Vec::new(),
            custom: Map::new(),
        }
    }

    fn of(contact: &Contact) -> Self {
        let mut details = map(&contact.details);
        let text = |details: &Map<_, Value>, name: &str| {
            let text = details.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        Self {
            user: contact.user,
            time: details.get("time").and_then(Value::as_u64).unwrap_or_default(),
            remark: text(&details, "remark"),
            source: text(&details, "source"),
            wording: text(&details, "wording"),
            lists: texts(details.get("lists")),
            custom: match details.remove("custom") {
                Some(Value::Object(custom)) => custom,
                _ => Map::new(),
            },
        }
    }

    fn to_contact(&self) -> Contact {
        let mut details = Map::new();
        details.insert("time".to_owned(), self.time.into());
        for (name, text) in [
            ("remark", &self.remark),
            ("source", &self.source),
            ("wording", &self.wording),
        ] {
            if !text.is_empty() {
                details.insert(name.to_owned(), text.as_str().into());
            }
        }
        if !self.lists.is_empty() {
            details.insert("lists".to_owned(), self.lists.clone().into());
        }
        if !self.custom.is_empty() {
            details.insert("custom".to_owned(), self.custom.clone().into());
        }
        Contact {
            user: self.user,
            details: Value::Object(details).to_string(),
        }
    }
}

/// A user's friends and lists.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Book {
    pub(super) owner: UserId,
    pub(super) version: u64,
    pub(super) friends: Vec<Friend>,
    pub(super) lists: Vec<String>,
}

impl Book {
    fn of(owner: UserId, contacts: &Contacts) -> Self {
        Self {
            owner,
            version: contacts.version,
            friends: contacts.contacts.iter().map(Friend::of).collect(),
            lists: texts(map(&contacts.details).get("lists")),
        }
    }

    pub(super) fn friend(&self, user: &UserId) -> Option<&Friend> {
        self.friends.iter().find(|friend| friend.user == *user)
    }

    pub(super) fn friend_mut(&mut self, user: &UserId) -> Option<&mut Friend> {
        self.friends.iter_mut().find(|friend| friend.user == *user)
    }

    /// The change that makes this of what it was; `None` if it is the same.
    fn change_from(&self, before: &Self) -> Option<ChangeContacts> {
        if self == before {
            return None;
        }
        let old: HashMap<_, _> = before
            .friends
            .iter()
            .map(|friend| (friend.user, friend))
            .collect();
        let kept: HashSet<_> = self.friends.iter().map(|friend| friend.user).collect();
        let changed = self
            .friends
            .iter()
            .filter(|friend| old.get(&friend.user) != Some(friend));
        let removed = before.friends.iter().map(|friend| friend.user);
        let details = (self.lists != before.lists).then(|| {
            let lists = Map::from_iter([("lists".to_owned(), Value::from(self.lists.clone()))]);
            Value::Object(lists).to_string()
        });
        Some(ChangeContacts {
            user: self.owner,
            version: before.version,
            details,
            set: changed.map(Friend::to_contact).collect(),
            remove: removed.filter(|user| !kept.contains(user)).collect(),
        })
    }
}

fn map(json: &str) -> Map<String, Value> {
    match serde_json::from_str(json) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    items
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The friends and lists of a user who has an account.
pub(super) async fn read(call: &Call, owner: UserId) -> Result<Book, RestError> {
    let books = read_all(call, vec![owner]).await?;
    let book = books.into_iter().next().flatten();
    book.ok_or_else(|| unknown(&owner))
}

/// Those of these users; `None` for one without an account.
async fn read_all(call: &Call, owners: Vec<UserId>) -> Result<Vec<Option<Book>>, RestError> {
    let read = move |services: &std::sync::Arc<crate::service::Services>| {
        let store = services.reads.store();
        let known = store.accounts(&owners)?;
        let book = |owner: &UserId| match known.iter().any(|account| account.user == *owner) {
            true => Ok(Some(Book::of(*owner, &store.contacts(owner)?))),
            false => Ok(None),
        };
        owners.iter().map(book).collect::<Result<_, Refusal>>()
    };
    call.read(read).await
}

fn unknown(user: &UserId) -> RestError {
    RestError::new(codes::NO_SUCH_USER, format!("{user} has no account"))
}

/// A change of friends that is stored.
pub(super) struct Changed<T> {
    pub(super) decided: T,
    /// The version of the user's list after it.
    pub(super) version: u64,
    pub(super) friendships: Friendships,
}

/// Changes the friends of a user, and of others, all or none. `decide` is called again with what others have made of the lists
/// meanwhile.
pub(super) async fn change<T>(
    call: &Call,
    owner: UserId,
    others: &[UserId],
    decide: impl Fn(&mut Book, &mut [Option<Book>]) -> Result<T, RestError>,
) -> Result<Changed<T>, RestError> {
    let owners = [&[owner], others].concat();
    for _ in 0..ATTEMPTS {
        let mut books = read_all(call, owners.clone()).await?.into_iter();
        let before = books.next().flatten().ok_or_else(|| unknown(&owner))?;
        let others: Vec<_> = books.collect();
        let (mut after, mut others_after) = (before.clone(), others.clone());
        let decided = decide(&mut after, &mut others_after)?;
        let of_others = others_after.iter().flatten().zip(others.iter().flatten());
        let (mut changes, mut friendships) = (Vec::new(), Friendships::default());
        for (after, before) in std::iter::once((&after, &before)).chain(of_others) {
            if let Some(change) = after.change_from(before) {
                let pair = |user: &UserId| (after.owner, *user);
                let begun = change.set.iter().map(|contact| contact.user);
                let begun = begun.filter(|user| before.friend(user).is_none());
                friendships.begun.extend(begun.map(|user| pair(&user)));
                friendships.ended.extend(change.remove.iter().map(pair));
                changes.push(change);
            }
        }
        let changed = Changed {
            decided,
            version: before.version + u64::from(after != before),
            friendships,
        };
        if changes.is_empty() {
            return Ok(changed);
        }
        match call.services.writer.write(Write::ChangeContacts(changes)).await {
            Ok(_) => return Ok(changed),
            Err(WriteError::Refused(Refused::ContactsChanged(_))) => {}
            Err(error) => return Err(RestError::of_write(call.service, error)),
        }
    }
    let info = "the friends of these users are being changed by others; try again";
    Err(RestError::new(codes::FRIENDS_CHANGED, info))
}
