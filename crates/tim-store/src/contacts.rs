//! Contacts: the list of friends that an application keeps for each user.

use tim_proto::UserId;

/// The contacts of a user. What is said of each, and of the list, is the caller's: the store keeps it unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contacts {
    /// How often the list was changed.
    pub version: u64,
    /// What is said of the list; empty at first.
    pub details: String,
    /// The contacts, in the order in which they were added; those added at once in the order of their ids.
    pub contacts: Vec<Contact>,
}

impl Contacts {
    /// The contact of this user.
    #[must_use]
    pub fn of(&self, user: &UserId) -> Option<&Contact> {
        self.contacts.iter().find(|contact| contact.user == *user)
    }
}

/// A contact of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The contact.
    pub user: UserId,
    /// What is said of the contact.
    pub details: String,
}

/// A change of one user's contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeContacts {
    /// The user.
    pub user: UserId,
    /// The [version](Contacts::version) of the list that the change was made of. If the list has another one, the change is refused with
    /// [`Refused::ContactsChanged`](super::Refused::ContactsChanged).
    pub version: u64,
    /// What is said of the list from now on; `None` if that does not change.
    pub details: Option<String>,
    /// Contacts to add, and contacts of which something else is said from now on. Each must have an account.
    pub set: Vec<Contact>,
    /// Contacts to remove. Those who are none are ignored.
    pub remove: Vec<UserId>,
}
