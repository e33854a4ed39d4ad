//! What the application's server decides is done: what it refuses is stored nowhere, and its sender is told the code; what it changes
//! everybody sees as it was changed; and nobody is told a code of the application that it has not given.

use super::super::history::{Content, Mark, Question, Verdict};
use super::super::op::{Call, Profile, Rest, Server};
use super::model::{Called, Spoken};
use super::{Invariant, Model, Violation};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Decided;

const NAME: &str = "decided";

impl Invariant for Decided {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, profile: Profile) -> bool {
        profile == Profile::Servers
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        if model.history.plan.settings.servers.is_none() {
            return Ok(0);
        }
        let mut checked = 0;
        for (mark, message) in &model.messages {
            if model.has_callbacks(message) {
                checked += originals(model, *mark, message)? + told_the_code(model, *mark, message)?;
            }
        }
        for call in model.calls.values() {
            checked += code_was_given(model, call)?;
        }
        Ok(checked)
    }
}

/// Whether the original of a message may have been taken at some time up to an observation.
fn may_pass(model: &Model<'_>, mark: Mark, message: &Spoken<'_>, until: usize) -> bool {
    let settings = &model.history.plan.settings.servers;
    let fails_open = settings.is_some_and(|servers| !servers.refuse_without_answer);
    let passes = |question: &Question| {
        let is_allowed = question.verdict == Verdict::Allow && model.may_decide(question);
        is_allowed || (fails_open && !model.decides(question))
    };
    let mut questions = model.asked_about(mark).filter(|(at, _)| *at < until);
    questions.any(|(_, question)| passes(question))
        || (fails_open && model.may_be_left_alone(Server::Application, message.begun, until))
}

/// Nobody but its sender sees the original of a message that was refused, dropped or changed each time.
fn originals(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let mut checked = 0;
    let is_original =
        |content: &Content| matches!(content, Content::Said(said) if *said == message.sent.said);
    let stored = model.stored_marks.get(&mark).into_iter().flatten();
    let stored = stored.map(|(_, stored)| (model.history.observations.len(), &stored.seen));
    let seen = model.seen().filter(|(_, seen, viewer)| {
        seen.content.mark() == Some(mark) && viewer.user() != Some(message.sent.from)
    });
    for (at, seen) in stored.chain(seen.map(|(at, seen, _)| (at, seen))) {
        checked += 1;
        if is_original(&seen.content) && !may_pass(model, mark, message, at) {
            let words = format!("{seen} is there as it was sent, and the application has decided otherwise");
            let asked = model.asked_about(mark).map(|(at, _)| at);
            let end = model.history.observations.len() - 1;
            return Err(Violation::new(NAME, words).at(asked.chain([message.begun, at.min(end)])));
        }
    }
    Ok(checked)
}

/// The sender of a message about which the application was asked once is told what it has answered.
fn told_the_code(model: &Model<'_>, mark: Mark, message: &Spoken<'_>) -> Result<u64, Violation> {
    let questions: Vec<(usize, &Question)> = model.asked_about(mark).collect();
    let ([(asked, question)], [call]) = (questions.as_slice(), message.calls.as_slice()) else {
        return Ok(0);
    };
    let (Verdict::Refuse(code), Some(call), true) =
        (&question.verdict, model.calls.get(call), model.decides(question))
    else {
        return Ok(0);
    };
    let (Some((ended, result)), Call::Send { .. }) = (call.ended, call.op) else {
        return Ok(0);
    };
    let is_undisturbed = model.leaves_the_hub(call.device, call.begun, ended).is_some();
    match result {
        _ if !is_undisturbed || model.may_be_left_alone(Server::Application, call.begun, ended) => Ok(0),
        Err(failed) if failed.code.0 == *code => Ok(1),
        other => {
            let words = format!("{mark} was refused with {code}, and its sender is told {other:?}");
            Err(Violation::new(NAME, words).at([call.begun, *asked, ended]))
        }
    }
}

/// A code of the application was given by it, about what was called.
fn code_was_given(model: &Model<'_>, call: &Called<'_>) -> Result<u64, Violation> {
    let Some((ended, Err(failed))) = call.ended else {
        return Ok(0);
    };
    let code = failed.code.0;
    if !matches!(code, 10_100..=10_200 | 120_001..=130_000) {
        return Ok(0);
    }
    // The same words about another call say nothing: an application's server is asked in the name of whom it acts for.
    let is_by_backend = matches!(call.op, Call::Rest(Rest::CreateGroup { .. })) || call.device.is_backend();
    let mark = call.message.and_then(|message| message.said.mark);
    let is_about = |question: &Question| match mark {
        Some(mark) => question.mark == Some(mark),
        None => is_by_backend || question.by == Some(call.device.user_id()),
    };
    let gives = |question: &Question| question.verdict == Verdict::Refuse(code) && is_about(question);
    let mut before = model.questions.iter().filter(|(at, _)| *at < ended);
    match before.any(|(_, question)| gives(question)) {
        true => Ok(1),
        false => {
            let words = format!(
                "{} is told {code}, which the application has not said",
                call.device
            );
            Err(Violation::new(NAME, words).at([call.begun, ended]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, c2c, passes, violates};
    use super::*;
    use crate::simulator::history::changed;
    use crate::simulator::op::Target;

    #[test]
    fn what_is_refused_is_nowhere_and_its_sender_is_told_so() {
        let mut run = MadeUp::with_servers();
        let sent = run.send(0, Target::User(1));
        run.ask(sent, Verdict::Refuse(120_001));
        let mut other = run.clone();
        run.fail(sent.0, 120_001, false);
        assert!(passes(&Decided, &run) >= 2);
        other.fail(sent.0, 10_007, false);
        violates(&Decided, &other, "is told");
        run.store(c2c(0, 1), 1, 0, sent);
        violates(&Decided, &run, "decided otherwise");
    }

    #[test]
    fn an_application_that_does_not_answer_what_it_is_told_is_left_alone() {
        let unanswered = |number: u64| {
            let mut run = MadeUp::with_servers();
            for sequence in 1..=number {
                let sent = run.send(0, Target::User(1));
                run.ask(sent, Verdict::Allow);
                run.accept(sent, sequence);
                run.store(c2c(0, 1), sequence, 0, sent);
                run.tell_answered(sent, sequence, None);
            }
            let unasked = run.send(0, Target::User(1));
            run.accept(unasked, number + 1);
            run.store(c2c(0, 1), number + 1, 0, unasked);
            run
        };
        violates(&Decided, &unanswered(4), "decided otherwise");
        passes(&Decided, &unanswered(5));
    }

    #[test]
    fn what_is_changed_is_seen_as_it_was_changed_and_a_code_is_not_made_up() {
        let mut run = MadeUp::with_servers();
        let sent = run.send(0, Target::User(1));
        run.ask(sent, Verdict::Change(changed(sent, 0)));
        run.accept(sent, 1);
        let mut original = run.clone();
        run.store(c2c(0, 1), 1, 0, sent).seen.content = Content::Said(changed(sent, 0));
        passes(&Decided, &run);
        original.store(c2c(0, 1), 1, 0, sent);
        violates(&Decided, &original, "decided otherwise");
        let other = run.send(0, Target::User(1));
        run.fail(other.0, 120_005, false);
        violates(&Decided, &run, "has not said");
    }
}
