//! Devices: what the manual does not have, and tim promises of firmware.

use tim_client::{Message, UserId};

use crate::check::{Stop, Verdict, ensure, ensure_eq};
use crate::device::{Boot, Entry, Firmware, Flash, boot};
use crate::lab::Lab;
use crate::person::{Person, texts};
use crate::row::{Row, table};

pub(super) const ROWS: &[Row] = table! {
    217, "firmware without an executor logs in, sends and receives", { polled };
    218, "a message that a device has kept is stored once, wherever its power goes", { kept };
    219, "a device that keeps its cursor gets each entry once, wherever its power goes", { resumed };
    220, "a compact delivery is the same message", { compact };
};

/// A user with a device of firmware, which has logged in once.
async fn made(lab: &Lab) -> Result<((UserId, u64), Flash), Stop> {
    let number = getrandom::u64().map_err(|error| Stop::fail(format_args!("no random numbers: {error}")))?;
    let me = (lab.user("kiosk")?, number.max(1));
    let ((), flash) = boot(lab, me, Flash::default(), Boot::default(), |device| {
        device.enter()
    })
    .await?;
    Ok((me, flash))
}

async fn polled(lab: &Lab) -> Verdict {
    let mut bob = lab.log_in("bob").await?;
    let (me, flash) = made(lab).await?;
    let to = bob.user();
    let work = move |device: &mut Firmware<'_>| {
        device.enter()?;
        device.says(to, "from the counter")
    };
    let (said, flash) = boot(lab, me, flash, Boot::default(), work).await?;
    let heard = bob.hears("from the counter").await?;
    ensure_eq!(entry(&heard), said, "what the other user gets");
    let sent = bob.say(me.0, "to the counter").await?;
    let work = move |device: &mut Firmware<'_>| loop {
        // Perhaps it gets its own message, too.
        let got = device.receives()?;
        if got.from == to {
            return Ok(got);
        }
    };
    let (got, _) = boot(lab, me, flash, Boot::default(), work).await?;
    ensure_eq!(got, entry(&sent), "what the device gets");
    Ok("a device that is polled logs in, sends and receives".into())
}

async fn kept(lab: &Lab) -> Verdict {
    let mut bob = lab.log_in("bob").await?;
    let (me, mut flash) = made(lab).await?;
    let to = bob.user();
    let unanswered = Boot {
        unanswered: true,
        ..Boot::default()
    };
    for (text, arrives) in [("before the line", false), ("before the answer", true)] {
        let work = move |device: &mut Firmware<'_>| {
            device.enter()?;
            device.says_unanswered(to, text, arrives)
        };
        ((), flash) = boot(lab, me, flash, unanswered, work).await?;
        ensure_eq!(
            flash.outbox.len(),
            1,
            "messages that are kept after the power went"
        );
        if arrives {
            bob.hears(text).await?;
        }
        let work = |device: &mut Firmware<'_>| {
            device.enter()?;
            device.resends()
        };
        let had;
        (had, flash) = boot(lab, me, flash, Boot::default(), work).await?;
        ensure_eq!(had, [arrives], "whether the hub had it");
        ensure!(flash.outbox.is_empty(), "an answered message is still kept");
        if !arrives {
            bob.hears(text).await?;
        }
    }
    let history = texts(&bob.history(me.0).await?);
    ensure_eq!(history, ["before the line", "before the answer"], "the history");
    Ok("kept and not sent, and sent and not answered: one entry each".into())
}

async fn resumed(lab: &Lab) -> Verdict {
    const COUNT: usize = 5;
    let bob = lab.log_in("bob").await?;
    let (me, mut flash) = made(lab).await?;
    let mut sent = Vec::new();
    for number in 0..COUNT {
        sent.push(entry(&bob.say(me.0, &format!("number {number}")).await?));
    }
    let mut got = Vec::new();
    for _ in 0..COUNT {
        // Its power goes while it holds the entry, of which the hub has no acknowledgement.
        let one;
        (one, flash) = boot(lab, me, flash, Boot::default(), |device| device.receives()).await?;
        got.push(one);
    }
    ensure_eq!(got, sent, "what the device has got");
    let last = entry(&bob.say(me.0, "last").await?);
    let (one, _) = boot(lab, me, flash, Boot::default(), |device| device.receives()).await?;
    ensure_eq!(one, last, "what it gets next");
    Ok("reset with each of five entries in hand: each came once, in order".into())
}

async fn compact(lab: &Lab) -> Verdict {
    let bob = lab.log_in("bob").await?;
    let (me, flash) = made(lab).await?;
    let own: Person = lab.log_in_as(me.0, |builder| builder).await?.0;
    let group = lab
        .make_group(&bob, tim_client::GroupType::PUBLIC, &[me.0])
        .await?;
    let mut sent = vec![
        entry(&bob.say(me.0, "to me").await?),
        entry(&bob.say(group, "to the group").await?),
        entry(&own.say(bob.user(), "from another device of mine").await?),
    ];
    sent.sort_by(|one, other| one.text.cmp(&other.text));
    let options = Boot {
        compact: true,
        ..Boot::default()
    };
    let work = |device: &mut Firmware<'_>| {
        let mut got = Vec::new();
        let mut is_compact = true;
        while got.len() < 3 {
            let entry = device.receives()?;
            // The tips of the group have no text.
            if !entry.text.is_empty() {
                is_compact &= device.got_compact;
                got.push(entry);
            }
        }
        Ok((got, is_compact))
    };
    let ((mut got, is_compact), _) = boot(lab, me, flash, options, work).await?;
    got.sort_by(|one, other| one.text.cmp(&other.text));
    ensure_eq!(got, sent, "what the device gets");
    if !is_compact {
        let words = "the messages are the same; the hub makes no compact deliveries";
        return Err(Stop::NotApplicable(words.into()));
    }
    Ok("of a user, in a group, and from another device of the same user".into())
}

fn entry(message: &Message) -> Entry {
    Entry {
        id: message.id(),
        to: message.to(),
        from: message.sender(),
        sequence: message.sequence(),
        time: message.time(),
        priority: message.priority(),
        text: message.text().unwrap_or_default().to_owned(),
    }
}
