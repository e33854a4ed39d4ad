//! `friend_get` and `friend_get_list`: the friends of a user, and what is said of them.

use serde_json::{Map, Value};
use tim_proto::UserId;
use tim_store::Account;

use super::{MAX_ITEMS, book, empty_answer, own, tags};
use crate::http::rest::call::Call;
use crate::http::rest::codes;
use crate::http::rest::envelope::{Answer, RestError, object};

/// The most friends of an answer.
pub(in crate::http::rest) const PAGE: usize = 100;
pub(in crate::http::rest) const MAX_TAGS: usize = 100;

/// `friend_get`: all friends, a page at a time.
pub(in crate::http::rest) async fn get(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let fields = call.fields();
    let start = usize::try_from(fields.need_number("StartIndex")?).unwrap_or(usize::MAX);
    let (standard, custom) = (
        fields.number("StandardSequence")?,
        fields.number("CustomSequence")?,
    );
    let book = book::read(&call, owner).await?;
    // What the caller has already is left out.
    let (with_standard, with_custom) = (
        standard != Some(book.version) || standard == Some(0),
        custom != Some(book.version) || custom == Some(0),
    );
    let page = book.friends.iter().skip(start).take(PAGE);
    let items: Vec<_> = page
        .map(|friend| {
            let (standard, custom) = tags::shown(friend);
            let mut values = Vec::new();
            values.extend(standard.into_iter().filter(|_| with_standard));
            values.extend(custom.into_iter().filter(|_| with_custom));
            object([
                ("To_Account", friend.user.as_str().into()),
                ("ValueItem", values.into()),
            ])
        })
        .collect();
    let next = start.saturating_add(items.len());
    let is_all = next >= book.friends.len();
    Ok(empty_answer()
        .with("UserDataItem", items)
        .with("StandardSequence", book.version)
        .with("CustomSequence", book.version)
        .with("FriendNum", book.friends.len())
        .with("CompleteFlag", u32::from(is_all))
        .with("NextStartIndex", if is_all { 0 } else { next }))
}

/// `friend_get_list`: some friends, with the tags that are asked for.
pub(in crate::http::rest) async fn get_some(call: Call) -> Result<Answer, RestError> {
    let owner = own(&call)?;
    let fields = call.fields();
    let users = fields.need_users("To_Account", MAX_ITEMS)?;
    let wanted = fields.need_texts("TagList", MAX_TAGS)?;
    let book = book::read(&call, owner).await?;
    let asked = users.clone();
    let accounts = call
        .read(move |services| Ok(services.reads.store().accounts(&asked)?))
        .await?;
    let mut failed: Vec<Value> = Vec::new();
    let items: Vec<_> = users
        .iter()
        .map(|user| {
            let mut item = Map::from_iter([("To_Account".to_owned(), Value::from(user.as_str()))]);
            let (code, info) = match book.friend(user) {
                Some(friend) => {
                    let account = accounts.iter().find(|account| account.user == *user);
                    let values = values(tags::shown(friend), account, &wanted);
                    item.insert("SnsProfileItem".to_owned(), values.into());
                    (0, "")
                }
                None => {
                    failed.push(user.as_str().into());
                    (codes::BAD_FRIEND, "Err_SNS_FriendGetList_Friend_Not_Exist")
                }
            };
            item.insert("ResultCode".to_owned(), code.into());
            item.insert("ResultInfo".to_owned(), info.into());
            Value::Object(item)
        })
        .collect();
    let answer = empty_answer().with("InfoItem", items);
    Ok(match failed.is_empty() {
        true => answer,
        false => answer.with("Fail_Account", failed),
    })
}

/// The tags that are wanted and set.
fn values(
    (standard, custom): (Vec<Value>, Vec<Value>),
    account: Option<&Account>,
    wanted: &[&str],
) -> Vec<Value> {
    let profile = account.into_iter().flat_map(|account| {
        [
            ("Tag_Profile_IM_Nick", &account.nick),
            ("Tag_Profile_IM_Image", &account.avatar),
        ]
    });
    let profile = profile.filter(|(_, text)| !text.is_empty());
    let profile = profile.map(|(name, text)| object([("Tag", name.into()), ("Value", text.as_str().into())]));
    let all = standard.into_iter().chain(custom).chain(profile);
    all.filter(|value| value["Tag"].as_str().is_some_and(|tag| wanted.contains(&tag)))
        .collect()
}

/// A user's friends in one of the lists.
pub(super) fn in_list<'a>(book: &'a book::Book, list: &'a str) -> impl Iterator<Item = UserId> + 'a {
    let friends = book.friends.iter();
    let friends = friends.filter(move |friend| friend.lists.iter().any(|name| name == list));
    friends.map(|friend| friend.user)
}
