//! The application's server is told once of each message that is stored, unless it has failed or the hub has ended, and of none that is
//! not.

use super::super::history::{Content, Mark, Told, What};
use super::super::op::{Profile, Server};
use super::model::Spoken;
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct ToldOnce;

const NAME: &str = "told-once";

/// How long it may take until the server is told, in milliseconds.
const SOON_MS: u64 = 10_000;
/// In how many of a hundred cases a server may fail by chance so that it is hardly ever left alone.
const SELDOM: u8 = 5;
/// With so many events in the queue none is dropped.
const ENOUGH: usize = 1_000;

impl Invariant for ToldOnce {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Servers
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let mut checked = 0;
        let has_restores = model.last_restore().is_some();
        for (at, told) in told(model).filter(|_| !has_restores) {
            checked += is_there(model, at, told)?;
        }
        for (mark, message) in &model.messages {
            if model.has_callbacks(message) && !has_restores {
                checked += once(model, *mark, message)?;
            }
        }
        Ok(checked)
    }
}

/// What the server was told about messages that were sent.
fn told<'a>(model: &'a Model<'_>) -> impl Iterator<Item = (usize, &'a Told)> {
    let observations = model.history.observations.iter().enumerate();
    observations.filter_map(|(at, observation)| match &observation.what {
        What::Told(told) if told.command.ends_with("CallbackAfterSendMsg") => Some((at, told)),
        _ => None,
    })
}

/// What it was told of is in the store, at that place.
fn is_there(model: &Model<'_>, at: usize, told: &Told) -> Result<u64, Violation> {
    let Some((log, sequence)) = told.place else {
        return Ok(0);
    };
    match model.stored(&log, sequence) {
        Some(stored) if stored.seen.content != Content::Gone && stored.seen.content.mark() != told.mark => {
            let words = format!(
                "the application was told of {:?} at {log}/{sequence}, and there is {}",
                told.mark, stored.seen
            );
            Err(Violation::new(NAME, words).at([at]))
        }
        Some(_) => Ok(1),
        None => Ok(0),
    }
}

fn once(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let about = told(model).filter(|(_, told)| told.mark == Some(mark));
    let about: Vec<_> = about.filter_map(|(at, told)| Some((at, told.place?))).collect();
    // What retention has removed is stored again, elsewhere.
    let is_again = |(at, place): &(usize, _)| about.iter().any(|(before, same)| before < at && same == place);
    if let Some((at, _)) = about.iter().find(|one| is_again(one)) {
        let words = format!("the application was told {} times of {mark}", about.len());
        return Err(Violation::new(NAME, words).at(about.iter().map(|(at, _)| *at).chain([*at])));
    }
    let accepted = message.accepted.iter().find(|accepted| accepted.sequence > 0);
    let Some(accepted) = accepted.filter(|_| about.is_empty() && !message.sent.online_only) else {
        return Ok(about.len() as u64);
    };
    let soon = model.by_ms(model.at_ms(accepted.at) + SOON_MS);
    let settings = &model.history.plan.settings.servers;
    let works = settings.is_some_and(|servers| servers.unanswered <= SELDOM && servers.max_waiting >= ENOUGH);
    if !works
        || model.snapshot.at_ms < model.at_ms(accepted.at) + SOON_MS
        || model.hub_ended_between(message.begun, soon)
        || model.store_fails_between(message.begun, soon)
        || model.may_be_left_alone(Server::Application, message.begun, soon)
    {
        return Ok(0);
    }
    let words = format!(
        "{mark} is {}/{}, and the application was not told",
        accepted.log, accepted.sequence
    );
    Err(Violation::new(NAME, words).at([message.begun, accepted.at]))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::op::Target;

    #[test]
    fn each_message_is_told_once() {
        let mut run = MadeUp::with_servers();
        let sent = run.send(0, Target::User(1));
        run.accept(sent, 1);
        run.store(c2c(0, 1), 1, 0, sent);
        run.pass(20_000);
        violates(&ToldOnce, &run, "was not told");
        run.tell(sent, 1);
        passes(&ToldOnce, &run);
        let mut other = run.clone();
        run.tell(sent, 1);
        violates(&ToldOnce, &run, "2 times");
        let another = other.send(0, Target::User(1));
        other.tell(another, 1);
        violates(&ToldOnce, &other, "and there is");
    }
}
