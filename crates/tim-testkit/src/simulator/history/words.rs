//! Observations as the lines of a trace.

use std::fmt;

use super::{Content, Event, Failed, ListEntry, Observation, Returned, Seen, What};

impl fmt::Display for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8} ms  ", self.at_ms)?;
        match self.device {
            Some(device) => write!(f, "{device:<9} {}", self.what),
            None => write!(f, "{:<9} {}", "", self.what),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started(started) => write!(f, "starts: {started:?}"),
            Self::Ended => f.write_str("ends without warning"),
            Self::Called { call, op, message } => {
                write!(f, "calls [{call}] {op:?}")?;
                match message {
                    Some(sent) => write!(f, ": {} to {} as {}", Content::Said(sent.said), sent.log, sent.id),
                    None => Ok(()),
                }
            }
            Self::Skipped { call, why } => write!(f, "skips [{call}]: {why}"),
            Self::Resolved {
                call,
                result: Ok(done),
            } => write!(f, "returns [{call}] {done}"),
            Self::Resolved {
                call,
                result: Err(failed),
            } => write!(f, "returns [{call}] {failed}"),
            Self::Kept(mark) => write!(f, "keeps {mark}"),
            Self::Uploaded {
                call,
                mark,
                done,
                total,
            } => write!(f, "uploads [{call}] {mark}: {done:?} of {total}"),
            Self::Event(event) => write!(f, "event: {event}"),
            Self::DeviceFault(fault) => write!(f, "fault: {fault:?}"),
            Self::LinkFault(fault) => write!(f, "link: {fault:?}"),
            Self::HubStarted { wall_ms } => write!(f, "the hub starts, its clock says {wall_ms}"),
            Self::HubEnded(fault) => write!(f, "the hub ends: {fault:?}"),
            Self::HubFailed => f.write_str("the hub ends by itself"),
            Self::BackedUp { backup, change } => write!(f, "backup {backup} with change {change}"),
            Self::Restored { backup } => write!(f, "the store is restored from backup {backup}"),
            Self::HubClock { seconds, wall_ms } => {
                write!(f, "the hub's clock jumps by {seconds} s and says {wall_ms}")
            }
            Self::StoreFault(fault) => write!(f, "store: {fault:?}"),
            Self::ServerFault(server, fault) => write!(f, "{server:?}: {fault:?}"),
            Self::Asked(question) => write!(f, "the application is asked {question:?}"),
            Self::Answered(number) => write!(f, "the application answers ({number})"),
            Self::Told(told) => write!(f, "the application is told {told:?}"),
            Self::Notified(notified) => write!(f, "notified: {notified:?}"),
            Self::AllNotified => f.write_str("everybody is notified"),
            Self::Attacked {
                call,
                hostile,
                attack,
            } => write!(f, "rogue-{hostile} [{call}] {attack:?}"),
            Self::AttackSent {
                hostile,
                request,
                message,
            } => write!(
                f,
                "rogue-{hostile} sends ({request}) {} to {} as {}",
                Content::Said(message.said),
                message.log,
                message.id
            ),
            Self::AttackAsked {
                hostile,
                request,
                ask,
            } => {
                write!(f, "rogue-{hostile} asks ({request}) {ask:?}")
            }
            Self::AttackSaw { hostile, saw } => write!(f, "rogue-{hostile} receives {saw:?}"),
            Self::RestBegins => f.write_str("all faults end"),
            Self::Rested => f.write_str("rest"),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.code.name().unwrap_or("?");
        write!(f, "error {} {name}", self.code.0)?;
        if self.unknown {
            f.write_str(", may have happened")?;
        }
        if self.text.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.text)
        }
    }
}

impl fmt::Display for Returned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted {
                log,
                sequence,
                id,
                mark,
                ..
            } => write!(f, "{mark} is {log}/{sequence} as {id}"),
            Self::List { entries, truncated } => {
                let more = if *truncated { " and more" } else { "" };
                write!(f, "list: {}{more}", Entries(entries))
            }
            Self::Page {
                log,
                entries,
                completed,
            } => {
                let more = if *completed { "" } else { " (and older)" };
                write!(f, "page of {log}: {}{more}", Messages(entries))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Received(messages) => write!(f, "received {}", Messages(messages)),
            Self::Revoked(messages) => write!(f, "revoked {}", Messages(messages)),
            Self::List(entries) => write!(f, "list {}", Entries(entries)),
            Self::Gap { log, from, to } => write!(f, "gap {log} {from} to {to}"),
            other => write!(f, "{other:?}"),
        }
    }
}

struct Messages<'a>(&'a [Seen]);

impl fmt::Display for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, seen) in self.0.iter().enumerate() {
            write!(f, "{}{seen}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

struct Entries<'a>(&'a [ListEntry]);

impl fmt::Display for Entries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, entry) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(
                f,
                "{separator}{} unread {} read {} last {}",
                entry.log, entry.unread, entry.read_sequence, entry.last_sequence
            )?;
        }
        Ok(())
    }
}
