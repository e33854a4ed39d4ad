//! Whether a hub did what it acknowledged: each message is in its conversation once, at the sequence of the response, and the
//! sequences have no holes. A figure of a hub that loses or doubles messages, or answers from what it has, is none.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use tim_proto::request::History;
use tim_proto::{ConversationId, MessageId};

use crate::Result;
use crate::bot::Bot;

/// Messages in a page: as many as a hub gives.
const PAGE: u16 = 200;

/// A message at a place in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) sequence: u64,
    pub(crate) id: MessageId,
}

/// Reads a conversation behind `after` through this device and compares it with what was acknowledged.
pub(crate) async fn conversation(
    bot: &mut Bot,
    of: ConversationId,
    after: u64,
    acknowledged: &[Place],
) -> Result<()> {
    let found = read(bot, of, after).await?;
    compare(after, acknowledged, &found).map_err(|wrong| format!("{of}: {wrong}").into())
}

/// The same for a conversation that nothing but these messages was written to since the first of them.
pub(crate) async fn conversation_from_first(
    bot: &mut Bot,
    of: ConversationId,
    acknowledged: &[Place],
) -> Result<()> {
    conversation(bot, of, before_first(acknowledged), acknowledged).await
}

/// The sequence before the first of these.
pub(crate) fn before_first(acknowledged: &[Place]) -> u64 {
    let first = acknowledged.iter().map(|place| place.sequence).min();
    first.unwrap_or_default().saturating_sub(1)
}

/// What a conversation has behind `after`, newest page first.
pub(crate) async fn read(bot: &mut Bot, conversation: ConversationId, after: u64) -> Result<Vec<Place>> {
    let (mut found, mut next) = (Vec::new(), Vec::new());
    loop {
        let request = History::new(conversation).with_count(PAGE).with_next(&next);
        let (page, older, completed) = bot
            .call_patiently(&request, |page| {
                let places = page.messages.iter().map(|message| Place {
                    sequence: message.envelope.sequence,
                    id: message.id,
                });
                (places.collect::<Vec<_>>(), page.next.to_vec(), page.completed)
            })
            .await?;
        let is_before = page.iter().any(|place| place.sequence <= after);
        let is_empty = page.is_empty();
        found.extend(page.into_iter().filter(|place| place.sequence > after));
        if completed || is_before || is_empty {
            return Ok(found);
        }
        next = older;
    }
}

/// Compares what is in a conversation behind `after` with what was acknowledged, in whatever order.
///
/// # Errors
/// What is wrong, in words.
pub(crate) fn compare(after: u64, acknowledged: &[Place], found: &[Place]) -> Result<(), String> {
    let mut at: HashMap<MessageId, Vec<u64>> = HashMap::new();
    for place in found {
        at.entry(place.id).or_default().push(place.sequence);
    }
    let ids: HashSet<MessageId> = acknowledged.iter().map(|place| place.id).collect();
    let sequences: HashSet<u64> = found.iter().map(|place| place.sequence).collect();
    let last = found.iter().chain(acknowledged).map(|place| place.sequence).max();
    let expected = after + 1..=last.unwrap_or(after);
    let mut faults = Faults::default();
    let mut answered = HashSet::new();
    for place in acknowledged {
        let (sequence, places) = (place.sequence, at.get(&place.id));
        match places.map(Vec::as_slice) {
            _ if sequence <= after => {
                faults.add("acknowledged as one that was there before the run", sequence)
            }
            _ if !answered.insert(sequence) => faults.add("acknowledged at a sequence of another", sequence),
            None => faults.add("lost", sequence),
            Some([only]) if *only == sequence => {}
            Some([_]) => faults.add("at another sequence than acknowledged", sequence),
            Some(_) => faults.add("stored more than once", sequence),
        }
    }
    for place in found.iter().filter(|place| !ids.contains(&place.id)) {
        faults.add("stored and not acknowledged", place.sequence);
    }
    for sequence in expected.filter(|sequence| !sequences.contains(sequence)) {
        faults.add("missing in the sequence", sequence);
    }
    faults.into_result(acknowledged.len())
}

/// Compares what one member received, in this order, with what was acknowledged.
///
/// # Errors
/// If they are not the same messages in the order of their sequences.
pub(crate) fn delivered(acknowledged: &[Place], received: &[Place]) -> Result<()> {
    let after = before_first(acknowledged);
    compare(after, acknowledged, received)
        .map_err(|wrong| format!("a member received something else: {wrong}"))?;
    match received.is_sorted_by_key(|place| place.sequence) {
        true => Ok(()),
        false => Err("a member received messages out of order".into()),
    }
}

/// How often each fault occurs, in the order of their first occurrence.
#[derive(Debug, Default)]
struct Faults(Vec<(&'static str, u64, u64)>);

impl Faults {
    fn add(&mut self, what: &'static str, sequence: u64) {
        match self.0.iter_mut().find(|(known, ..)| *known == what) {
            Some((_, count, first)) => (*count, *first) = (*count + 1, sequence.min(*first)),
            None => self.0.push((what, 1, sequence)),
        }
    }

    fn into_result(self, acknowledged: usize) -> Result<(), String> {
        if self.0.is_empty() {
            return Ok(());
        }
        let faults = self.0.iter();
        let faults = faults.map(|(what, count, first)| format!("{count} {what} (first: sequence {first})"));
        let faults: Vec<String> = faults.collect();
        Err(format!(
            "the hub did not do what it acknowledged ({acknowledged} messages): {}",
            faults.join(", ")
        ))
    }
}

/// An error unless a count is as it should be.
pub(crate) fn equal(what: impl Display, is: u64, should_be: u64) -> Result<()> {
    match is == should_be {
        true => Ok(()),
        false => Err(format!("{what}: {is} instead of {should_be}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: u64 = 5;

    fn place(sequence: u64, number: u32) -> Place {
        let id = MessageId {
            sender: 1,
            client_time: 2,
            random: number,
        };
        Place { sequence, id }
    }

    fn acknowledged() -> Vec<Place> {
        (6..=9).map(|sequence| place(sequence, sequence as u32)).collect()
    }

    /// The fault that is found if the hub has this instead.
    fn fault(change: impl FnOnce(&mut Vec<Place>)) -> String {
        let mut found = acknowledged();
        change(&mut found);
        compare(AFTER, &acknowledged(), &found).expect_err("a fault")
    }

    #[test]
    fn what_was_acknowledged_may_be_read_in_any_order() {
        let mut found = acknowledged();
        found.reverse();
        assert_eq!(compare(AFTER, &acknowledged(), &found), Ok(()));
        assert_eq!(compare(AFTER, &[], &[]), Ok(()));
    }

    #[test]
    fn each_fault_has_its_name() {
        let lost = fault(|found| found.retain(|place| place.sequence != 7));
        assert!(
            lost.contains("1 lost (first: sequence 7), 1 missing in the sequence (first: sequence 7)"),
            "{lost}"
        );
        let last = fault(|found| found.truncate(3));
        assert!(last.contains("1 lost (first: sequence 9)"), "{last}");
        let doubled = fault(|found| found.push(place(10, 7)));
        assert!(
            doubled.contains("1 stored more than once (first: sequence 7)"),
            "{doubled}"
        );
        let foreign = fault(|found| found.push(place(10, 99)));
        assert!(
            foreign.contains("1 stored and not acknowledged (first: sequence 10)"),
            "{foreign}"
        );
        let swapped = fault(|found| (found[0].id, found[1].id) = (found[1].id, found[0].id));
        assert!(
            swapped.contains("2 at another sequence than acknowledged"),
            "{swapped}"
        );
        let hole = fault(|found| found[3].sequence = 10);
        assert!(
            hole.contains("1 missing in the sequence (first: sequence 9)"),
            "{hole}"
        );
    }

    #[test]
    fn what_members_receive_is_complete_and_in_order() {
        assert!(delivered(&acknowledged(), &acknowledged()).is_ok());
        let mut swapped = acknowledged();
        swapped.swap(0, 1);
        let error = delivered(&acknowledged(), &swapped).expect_err("a fault");
        assert!(error.to_string().contains("out of order"), "{error}");
        let error = delivered(&acknowledged(), &acknowledged()[..3]).expect_err("a fault");
        assert!(error.to_string().contains("1 lost"), "{error}");
    }

    #[test]
    fn answers_from_what_was_there_are_noticed() {
        let old = compare(AFTER, &[place(5, 5)], &[]).expect_err("a fault");
        assert!(
            old.contains("1 acknowledged as one that was there before the run"),
            "{old}"
        );
        let same = compare(AFTER, &[place(6, 6), place(6, 7)], &[place(6, 6)]).expect_err("a fault");
        assert!(same.contains("acknowledged at a sequence of another"), "{same}");
    }
}
