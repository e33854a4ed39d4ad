//! Answers that claim to be those of the vendor's REST interface.

use std::fmt::Debug;

use serde_json::Value;
use tim_rest::{
    AddMembers, Broadcast, CheckAccounts, CountUnread, Error, GetGroupInfo, GroupHistory, History,
    HttpResponse, ListFriends, ListJoinedGroups, ListMembers, ListMutedMembers, QueryOnline, Request,
    read_response,
};

/// An answer is refused as one that is not of the interface, is an error with a code, or is read; a field that is null is one that is
/// missing.
pub fn rest_answers(data: &[u8]) {
    check::<AddMembers>(data);
    check::<Broadcast>(data);
    check::<CheckAccounts>(data);
    check::<CountUnread>(data);
    check::<GetGroupInfo>(data);
    check::<GroupHistory>(data);
    check::<History>(data);
    check::<ListFriends>(data);
    check::<ListJoinedGroups>(data);
    check::<ListMembers>(data);
    check::<ListMutedMembers>(data);
    check::<QueryOnline>(data);
}

fn check<R: Request>(data: &[u8])
where
    R::Response: Debug + PartialEq,
{
    match read_response::<R>(&HttpResponse::new(200, data)) {
        Ok(response) => {
            let mut document: Value = serde_json::from_slice(data).expect("it was read");
            let fields = document.as_object_mut().expect("it was read");
            for name in [
                "MuteUntil",
                "MutedAccountList",
                "MsgList",
                "GroupIdList",
                "Next",
                "?",
            ] {
                fields.entry(name).or_insert(Value::Null);
            }
            let again = read_response::<R>(&HttpResponse::new(200, document.to_string()));
            assert_eq!(again.expect("null is nothing"), response);
        }
        Err(Error::Api(error)) => {
            assert!(
                error.code != 0 || error.answer["ActionStatus"] == "FAIL",
                "{error:?}"
            );
            let decides = R::DECIDES.and_then(|name| error.answer.get(name));
            assert!(decides.is_none_or(Value::is_null), "{error:?}");
        }
        Err(error) => assert!(
            matches!(error, Error::Answer(_)) && !error.is_retryable(),
            "{error:?}"
        ),
    }
}
