//! History.

use tim_client::{ConversationId, ErrorCode, GroupId, Message};

use super::to;
use crate::check::{Stop, Verdict, ensure, ensure_eq, ensure_refused};
use crate::lab::Lab;
use crate::person::{Person, texts};
use crate::row::{Row, table};
use crate::spec::{Input, Output, RawMessage, kind};

pub(super) const ROWS: &[Row] = table! {
    171, "`getMessageList`", { exists };
    172, "of one conversation", { one_conversation };
    173, "`count`, 15 by default and at most", { count };
    174, "`nextReqMessageID` continues without overlap or gap", { continues };
    175, "pages from new to old, each message once", { new_to_old };
    176, "within a page oldest first", { oldest_first };
    177, "each page has the cursor of the next", { cursor };
    178, "`isCompleted` on the last page", { completed };
    179, "refers to Conversation", { conversation };
    180, "returns a promise", { promise };
};

/// Two users, the first of whom has sent `0`, `1`, … to the second.
async fn talk(lab: &Lab, messages: usize) -> Result<(Person, Person), Stop> {
    let (alice, bob) = lab.pair().await?;
    for number in 0..messages {
        alice.say(bob.user(), &number.to_string()).await?;
    }
    Ok((alice, bob))
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

async fn exists(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 3).await?;
    for (person, other) in [(&alice, &bob), (&bob, &alice)] {
        let page = person.client.get_message_list(other.user(), None, None).await?;
        ensure_eq!(texts(&page.message_list), numbers(0..3), "the history");
    }
    Ok("both users get the same three messages".into())
}

async fn one_conversation(lab: &Lab) -> Verdict {
    let (alice, bob, group) = lab.pair_in_group().await?;
    alice.say(bob.user(), "between two").await?;
    alice.say(group, "in the group").await?;
    ensure_eq!(
        texts(&bob.history(alice.user()).await?),
        ["between two"],
        "the history between two"
    );
    ensure!(
        !texts(&bob.history(group).await?).contains(&"between two".into()),
        "it is in the group's history"
    );
    let empty = bob
        .client
        .get_message_list(lab.user("nobody")?, None, None)
        .await?;
    ensure!(
        empty.is_completed && empty.message_list.is_empty(),
        "a conversation that has not begun has messages"
    );
    let eve = lab.log_in("eve").await?;
    for other in [group, GroupId::new("cf-no-such-group")?] {
        let refused = eve.client.get_message_list(other, None, None).await;
        ensure_refused(refused, &[], "the history of a group that the user is not in")?;
    }
    Ok("only its own messages; empty if it has not begun; an error for a group that one is not in".into())
}

/// How many messages of how many the hub gives for a count, on the wire.
async fn wire_page(lab: &Lab, of: &crate::spec::To, count: u16) -> Result<usize, Stop> {
    let mut raw = lab.raw("bob").await?;
    Ok(raw.history(of, count).await?.0.len())
}

async fn count(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 20).await?;
    for (asked, wanted) in [
        (None, 15),
        (Some(15), 15),
        (Some(16), 15),
        (Some(100), 15),
        (Some(3), 3),
        (Some(1), 1),
    ] {
        let page = bob.client.get_message_list(alice.user(), None, asked).await?;
        ensure_eq!(page.message_list.len(), wanted, "messages for count {asked:?}");
    }
    for (asked, wanted) in [(0, 15), (15, 15), (16, 15), (1000, 15), (3, 3)] {
        let page = wire_page(lab, &to(alice.user()), asked).await?;
        ensure_eq!(page, wanted, "messages on the wire for count {asked}");
    }
    Ok("15 without a count, fewer if fewer are asked for, and never more".into())
}

async fn continues(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 33).await?;
    for size in [None, Some(1), Some(4), Some(7)] {
        let pages = bob.pages(alice.user(), size).await?;
        let all: Vec<Message> = pages.into_iter().rev().flatten().collect();
        ensure_eq!(texts(&all), numbers(0..33), "all pages of {size:?}");
    }
    // A page that is asked for later goes on at the same place, whatever came meanwhile.
    let first = bob.client.get_message_list(alice.user(), None, 5).await?;
    alice.say(bob.user(), "meanwhile").await?;
    let next = bob
        .client
        .get_message_list(alice.user(), Some(&first.next_req_message_id), 5)
        .await?;
    ensure_eq!(texts(&next.message_list), numbers(23..28), "the second page");
    Ok("33 messages in pages of 15, 1, 4 and 7, and with a message that comes between two pages".into())
}

async fn new_to_old(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 33).await?;
    let pages = bob.pages(alice.user(), None).await?;
    let pages: Vec<Vec<String>> = pages.iter().map(|page| texts(page)).collect();
    ensure_eq!(
        pages,
        [numbers(18..33), numbers(3..18), numbers(0..3)],
        "the pages"
    );
    Ok("the newest 15, the 15 before them, the rest".into())
}

async fn oldest_first(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 10).await?;
    let page = bob.client.get_message_list(alice.user(), None, None).await?;
    ensure_eq!(texts(&page.message_list), numbers(0..10), "the page");
    let mut raw = lab.raw("bob").await?;
    let (page, _) = raw.history(&to(alice.user()), 0).await?;
    let sequences: Vec<u64> = page.iter().map(|message| message.sequence).collect();
    ensure_eq!(
        sequences,
        (1..=10).collect::<Vec<_>>(),
        "the sequences on the wire"
    );
    let others = page
        .iter()
        .filter(|message| message.from != alice.user().as_str());
    ensure_eq!(others.count(), 0, "messages of others");
    ensure!(
        page.iter()
            .all(|message| message.to == to(bob.user()) && message.time > 0),
        "receiver or time is wrong"
    );
    Ok("by sequence, in the SDK and on the wire".into())
}

async fn cursor(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 20).await?;
    let first = bob.client.get_message_list(alice.user(), None, None).await?;
    let printed = first.next_req_message_id.to_string();
    let kept = printed.parse().map_err(Stop::fail)?;
    let second = bob
        .client
        .get_message_list(alice.user(), Some(&kept), None)
        .await?;
    ensure_eq!(
        texts(&second.message_list),
        numbers(0..5),
        "the page behind a printed cursor"
    );
    // SPEC.md: at most 16 bytes, and good for its own conversation only.
    let mut raw = lab.raw("bob").await?;
    let ask = |of: &crate::spec::To, next: &[u8]| Output::default().to(of).bytes(next).varint(0).0;
    let body = raw.request(kind::HISTORY, &ask(&to(alice.user()), &[])).await?;
    let body = body.map_err(|refusal| Stop::fail(refusal.text))?;
    let next = Input(&body).bytes()?.to_vec();
    ensure!((1..=16).contains(&next.len()), "a cursor of {} bytes", next.len());
    let elsewhere = raw
        .request(kind::HISTORY, &ask(&to(lab.user("carol")?), &next))
        .await?;
    let code = elsewhere.map(drop).map_err(|refusal| refusal.code);
    ensure_eq!(code, Err(200_024), "the cursor in another conversation");
    Ok("it can be printed and kept; in another conversation it is refused with 200024".into())
}

async fn completed(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 16).await?;
    let first = bob.client.get_message_list(alice.user(), None, None).await?;
    ensure!(!first.is_completed, "the first of two pages is the last");
    let last = bob
        .client
        .get_message_list(alice.user(), Some(&first.next_req_message_id), None)
        .await?;
    ensure!(
        last.is_completed && last.message_list.len() == 1,
        "the second page is not the last"
    );
    let behind = bob
        .client
        .get_message_list(alice.user(), Some(&last.next_req_message_id), None)
        .await?;
    ensure!(
        behind.is_completed && behind.message_list.is_empty(),
        "there is something behind the last page"
    );
    Ok("false, then true; behind the last page an empty one that is complete too".into())
}

async fn conversation(lab: &Lab) -> Verdict {
    let (alice, bob) = talk(lab, 2).await?;
    let listed = bob.conversation(alice.user()).await?;
    let listed = listed.ok_or_else(|| Stop::fail("the conversation is not on the list"))?;
    let page = bob.client.get_message_list(listed.id, None, None).await?;
    let last = page.message_list.last().map(Message::id);
    ensure_eq!(
        listed.last_message.as_ref().map(Message::id),
        last,
        "the last message of the conversation"
    );
    ensure_eq!(listed.last_sequence, 2, "its sequence");
    Ok("the id of a listed conversation gives its history; the last message is the same".into())
}

async fn promise(lab: &Lab) -> Verdict {
    let alice = lab.log_in("alice").await?;
    let page = alice
        .client
        .get_message_list(ConversationId::System, None, None)
        .await?;
    ensure!(page.message_list.is_empty(), "a new user has notices");
    alice.client.logout().await?;
    let refused = alice
        .client
        .get_message_list(ConversationId::System, None, None)
        .await;
    ensure_refused(
        refused,
        &[
            ErrorCode::SDK_IS_NOT_READY,
            ErrorCode::LOGGED_OUT,
            ErrorCode::USER_NOT_LOGGED_IN,
        ],
        "the history after the logout",
    )?;
    Ok("a future of the page or of the error".into())
}

/// The messages of a page, for other chapters.
pub(super) async fn raw_page(lab: &Lab, name: &str, of: &crate::spec::To) -> Result<Vec<RawMessage>, Stop> {
    Ok(lab.raw(name).await?.history(of, 0).await?.0)
}
