//! `sns`: friends, and the lists that a user keeps them in.
//!
//! The hub keeps them for the application, and shows them to it only. Nobody is asked whether to become a friend.

mod book;
mod lists;
mod shown;
pub(super) mod tags;

pub(super) use lists::{add_list, delete_list, get_lists};
pub(super) use shown::{MAX_TAGS, PAGE, get, get_some};

use serde_json::Value;
use tim_proto::UserId;
use tim_store::MAX_CONTACTS;

use super::call::Call;
use super::callbacks::tell_friends;
use super::codes;
use super::envelope::{Answer, RestError, object};
use super::fields::Fields;
use book::{Book, Friend, change};

/// The most users of one call.
pub(super) const MAX_USERS: usize = 1_000;
/// The most users who are added or changed by one call.
pub(super) const MAX_ITEMS: usize = 100;

/// The result for one of the users of a call.
type ItemResult = (UserId, Result<(), RestError>);

fn own(call: &Call) -> Result<UserId, RestError> {
    call.fields().need_user("From_Account")
}

/// The answer with a result for each user.
fn answer(results: Vec<ItemResult>) -> Answer {
    let failed = results.iter().filter(|(_, result)| result.is_err());
    let failed: Vec<Value> = failed.map(|(user, _)| user.as_str().into()).collect();
    let items: Vec<_> = results.into_iter().map(item).collect();
    let answer = empty_answer().with("ResultItem", items);
    match failed.is_empty() {
        true => answer,
        false => answer.with("Fail_Account", failed),
    }
}

fn item((user, result): ItemResult) -> Value {
    let (code, info) = match result {
        Ok(()) => (0, String::new()),
        Err(error) => (error.code, error.info),
    };
    object([
        ("To_Account", user.as_str().into()),
        ("ResultCode", code.into()),
        ("ResultInfo", info.into()),
    ])
}

fn empty_answer() -> Answer {
    Answer::ok().with("ErrorDisplay", "")
}

/// A user who is to be a friend, as the call says.
struct NewFriend {
    user: UserId,
    /// What to set, if the call's fields are right.
    friend: Result<Friend, RestError>,
}

impl NewFriend {
    fn read(item: &Fields<'_>, now_s: u64) -> Result<Self, RestError> {
        let user = item.need_user("To_Account")?;
        Ok(Self {
            user,
            friend: Self::friend(item, user, now_s),
        })
    }

    fn friend(item: &Fields<'_>, user: UserId, now_s: u64) -> Result<Friend, RestError> {
        let source = item.need_text("AddSource")?;
        tags::check_source(item, source)?;
        let text = |name, max| Ok::<_, RestError>(item.text_within(name, max)?.unwrap_or("").to_owned());
        let list = item.non_empty_text("GroupName")?;
        list.map(|list| tags::check_list(item, "GroupName", list))
            .transpose()?;
        Ok(Friend {
            source: source.to_owned(),
            remark: text("Remark", tags::MAX_REMARK)?,
            wording: text("AddWording", tags::MAX_WORDING)?,
            lists: list.map(str::to_owned).into_iter().collect(),
            ..Friend::new(user, now_s)
        })
    }
}

/// `friend_add`: makes friends, who are asked nothing. Who is one already gets what the call says.
pub(super) async fn add(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let fields = call.fields();
    let now_s = call.services.now_ms() / 1000;
    let is_both = match fields.non_empty_text("AddType")? {
        None | Some("Add_Type_Both") => true,
        Some("Add_Type_Single") => false,
        Some(_) => return Err(fields.fault("AddType", "is not Add_Type_Both or Add_Type_Single")),
    };
    let is_forced = fields.flag("ForceAddFlags")?;
    let items = fields.need_objects("AddFriendItem", MAX_ITEMS)?;
    let items: Vec<_> = items
        .iter()
        .map(|item| NewFriend::read(item, now_s))
        .collect::<Result<_, _>>()?;
    let others = distinct(items.iter().map(|item| item.user), &owner);
    let decide = |mine: &mut Book, books: &mut [Option<Book>]| {
        let add = |item: &NewFriend| {
            let position = others.iter().position(|other| *other == item.user);
            let theirs = position.and_then(|at| books.get_mut(at)?.as_mut());
            (item.user, add_one(mine, theirs, item, is_both))
        };
        Ok(items.iter().map(add).collect())
    };
    let changed = change(&call, owner, &others, decide).await?;
    tell_friends(&call, owner, &changed.friendships, is_forced);
    Ok(answer(changed.decided))
}

/// Each of these users once, without one of them.
fn distinct(users: impl Iterator<Item = UserId>, without: &UserId) -> Vec<UserId> {
    let mut seen = std::collections::HashSet::from([*without]);
    users.filter(|user| seen.insert(*user)).collect()
}

fn add_one(
    mine: &mut Book,
    theirs: Option<&mut Book>,
    item: &NewFriend,
    is_both: bool,
) -> Result<(), RestError> {
    let new = item.friend.clone()?;
    if item.user == mine.owner {
        return Err(RestError::new(
            codes::BAD_FRIEND,
            "nobody is a friend of the same user",
        ));
    }
    let Some(theirs) = theirs else {
        return Err(RestError::new(codes::NO_SUCH_USER, "there is no such account"));
    };
    let is_full =
        |book: &Book, user: &UserId| book.friend(user).is_none() && book.friends.len() >= MAX_CONTACTS;
    if is_full(mine, &item.user) {
        return Err(RestError::new(
            codes::FRIENDS_FULL,
            "From_Account has the most friends that fit",
        ));
    }
    if is_both && is_full(theirs, &mine.owner) {
        return Err(RestError::new(
            codes::PEER_FULL,
            "To_Account has the most friends that fit",
        ));
    }
    tags::add_lists(mine, &new.lists)?;
    if is_both && theirs.friend(&mine.owner).is_none() {
        theirs.friends.push(Friend {
            source: new.source.clone(),
            ..Friend::new(mine.owner, new.time)
        });
    }
    match mine.friend_mut(&item.user) {
        None => mine.friends.push(new),
        Some(old) => {
            for (old, new) in [
                (&mut old.remark, new.remark),
                (&mut old.wording, new.wording),
                (&mut old.source, new.source),
            ] {
                if !new.is_empty() {
                    *old = new;
                }
            }
            for list in new.lists {
                if !old.lists.contains(&list) {
                    old.lists.push(list);
                }
            }
        }
    }
    Ok(())
}

/// `friend_delete`.
pub(super) async fn delete(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let fields = call.fields();
    let is_both = match fields.non_empty_text("DeleteType")? {
        None | Some("Delete_Type_Single") => false,
        Some("Delete_Type_Both") => true,
        Some(_) => return Err(fields.fault("DeleteType", "is not Delete_Type_Single or Delete_Type_Both")),
    };
    let users = fields.need_users("To_Account", MAX_USERS)?;
    let others = match is_both {
        true => distinct(users.iter().copied(), &owner),
        false => Vec::new(),
    };
    let decide = |mine: &mut Book, books: &mut [Option<Book>]| {
        for theirs in books.iter_mut().flatten() {
            theirs.friends.retain(|friend| friend.user != owner);
        }
        let mut results = Vec::new();
        for user in &users {
            let count = mine.friends.len();
            mine.friends.retain(|friend| friend.user != *user);
            let result = match mine.friends.len() < count {
                true => Ok(()),
                false => Err(RestError::new(
                    codes::NOT_A_FRIEND,
                    "Err_SNS_FriendDelete_Friend_Not_Exist",
                )),
            };
            results.push((*user, result));
        }
        Ok(results)
    };
    let changed = change(&call, owner, &others, decide).await?;
    tell_friends(&call, owner, &changed.friendships, false);
    Ok(answer(changed.decided))
}

/// `friend_update`: changes what is said of friends.
pub(super) async fn update(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let items = call.fields().need_objects("UpdateItem", MAX_ITEMS)?;
    let items: Vec<_> = items
        .iter()
        .map(|item| Ok((item.need_user("To_Account")?, tags::read(item))))
        .collect::<Result<_, RestError>>()?;
    let decide = |mine: &mut Book, _: &mut [Option<Book>]| {
        let update = |(user, tags): &(UserId, Result<Vec<tags::Tag>, RestError>)| {
            let result = tags.clone().and_then(|tags| tags::apply(mine, user, &tags));
            (*user, result)
        };
        Ok(items.iter().map(update).collect())
    };
    Ok(answer(change(&call, owner, &[], decide).await?.decided))
}
