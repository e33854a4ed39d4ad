//! `group_add`, `group_delete` and `group_get` of `sns`: the lists that a user keeps friends in.

use serde_json::Value;

use super::book::{self, Book, change};
use super::shown::in_list;
use super::{MAX_USERS, answer, empty_answer, own, tags};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};

/// The names of lists in a call.
fn names(call: &Call) -> Result<Vec<String>, RestError> {
    let fields = call.fields();
    let names = fields.need_texts("GroupName", tags::MAX_LISTS)?;
    names
        .iter()
        .try_for_each(|name| tags::check_list(&fields, "GroupName", name))?;
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// `group_add`: makes lists, and puts friends into them.
pub(in crate::http::rest) async fn add_list(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let names = names(&call)?;
    let users = call.fields().users("To_Account", MAX_USERS)?;
    let decide = |mine: &mut Book, _: &mut [Option<Book>]| {
        tags::add_lists(mine, &names)?;
        let mut results = Vec::new();
        for user in &users {
            let result = match mine.friend_mut(user) {
                Some(friend) => {
                    for name in &names {
                        if !friend.lists.contains(name) {
                            friend.lists.push(name.clone());
                        }
                    }
                    Ok(())
                }
                None => Err(RestError::new(
                    codes::NOT_IN_LIST,
                    "Err_SNS_GroupAdd_Friend_Not_Exist",
                )),
            };
            results.push((*user, result));
        }
        Ok(results)
    };
    let changed = change(&call, owner, &[], decide).await?;
    let answer = match users.is_empty() {
        true => empty_answer(),
        false => answer(changed.decided),
    };
    Ok(answer.with("CurrentSequence", changed.version))
}

/// `group_delete`: removes lists; the friends stay.
pub(in crate::http::rest) async fn delete_list(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let names = names(&call)?;
    let decide = |mine: &mut Book, _: &mut [Option<Book>]| {
        mine.lists.retain(|list| !names.contains(list));
        for friend in &mut mine.friends {
            friend.lists.retain(|list| !names.contains(list));
        }
        Ok(())
    };
    let version = change(&call, owner, &[], decide).await?.version;
    Ok(empty_answer().with("CurrentSequence", version))
}

/// `group_get`: the lists, or some of them, with those who are in them if the call says so.
pub(in crate::http::rest) async fn get_lists(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let fields = call.fields();
    let with_friends = fields.text("NeedFriend")? == Some("Need_Friend_Type_Yes");
    let wanted = fields.texts("GroupName", tags::MAX_LISTS)?;
    let book = book::read(&call, owner).await?;
    let lists = book.lists.iter();
    let lists = lists.filter(|list| wanted.is_empty() || wanted.contains(&list.as_str()));
    let items: Vec<Value> = lists
        .map(|list| {
            let users: Vec<Value> = in_list(&book, list).map(|user| user.as_str().into()).collect();
            let (name, count) = (
                ("GroupName", list.as_str().into()),
                ("FriendNumber", users.len().into()),
            );
            match with_friends {
                true => object([name, count, ("To_Account", users.into())]),
                false => object([name, count]),
            }
        })
        .collect();
    Ok(empty_answer()
        .with("ResultItem", items)
        .with("CurrentSequence", book.version))
}
