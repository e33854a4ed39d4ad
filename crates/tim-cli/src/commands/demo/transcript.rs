//! The output of the demo, and its rule: no step without a check of its outcome.

use std::fmt::{Debug, Display};
use std::io::Write;
use std::time::{Duration, Instant};

use crate::error::Failure;
use crate::output::{FAINT, HINT, STRONG};

/// The width of a device's name.
const NAME: usize = 13;

/// Prints scenes, steps and the output of devices, and counts checks.
pub(super) struct Transcript<W> {
    out: W,
    scenes: u32,
    steps: u32,
    checks: u32,
    step: Option<Step>,
    started: Instant,
}

/// The step under way.
struct Step {
    title: String,
    passed: Vec<String>,
}

/// The totals.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) steps: u32,
    pub(super) checks: u32,
    pub(super) took: Duration,
}

impl<W: Write> Transcript<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            scenes: 0,
            steps: 0,
            checks: 0,
            step: None,
            started: Instant::now(),
        }
    }

    /// Starts a scene.
    pub(super) fn scene(&mut self, title: &str) -> Result<(), Failure> {
        self.close_step()?;
        self.scenes += 1;
        Ok(writeln!(
            self.out,
            "\n{STRONG}{}. {title}{STRONG:#}",
            self.scenes
        )?)
    }

    /// Starts a step; the one before must have been checked.
    pub(super) fn step(&mut self, title: impl Display) -> Result<(), Failure> {
        self.close_step()?;
        self.steps += 1;
        writeln!(self.out, "   {title}")?;
        self.step = Some(Step {
            title: title.to_string(),
            passed: Vec::new(),
        });
        Ok(())
    }

    /// Prints the output of a device.
    pub(super) fn shows(&mut self, device: &str, what: impl Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "     {HINT}{device:<NAME$}{HINT:#} {what}")?)
    }

    /// Compares an outcome with the expected one; a difference ends the demo.
    pub(super) fn check<T: PartialEq + Debug>(
        &mut self,
        what: impl Display,
        found: T,
        expected: T,
    ) -> Result<(), Failure> {
        let Some(step) = &mut self.step else {
            return Err(Failure::failed(format_args!("a check outside of a step: {what}")));
        };
        if found != expected {
            let title = &step.title;
            return Err(Failure::failed(format_args!(
                "{title}: {what}: found {found:?}, expected {expected:?}"
            )));
        }
        step.passed.push(what.to_string());
        self.checks += 1;
        Ok(())
    }

    /// Ends the transcript.
    pub(super) fn finish(mut self) -> Result<Summary, Failure> {
        self.close_step()?;
        self.out.flush()?;
        Ok(Summary {
            steps: self.steps,
            checks: self.checks,
            took: self.started.elapsed(),
        })
    }

    fn close_step(&mut self) -> Result<(), Failure> {
        let Some(Step { title, passed }) = self.step.take() else {
            return Ok(());
        };
        if passed.is_empty() {
            return Err(Failure::failed(format_args!("the step was not checked: {title}")));
        }
        writeln!(self.out, "     {FAINT}✓ {}{FAINT:#}", counted(&passed))?;
        Ok(self.out.flush()?)
    }
}

/// Equal outcomes once, with their count.
fn counted(passed: &[String]) -> String {
    let mut all: Vec<(&str, u32)> = Vec::new();
    for what in passed {
        match all.iter_mut().find(|(seen, _)| seen == what) {
            Some((_, times)) => *times += 1,
            None => all.push((what, 1)),
        }
    }
    let shown = all.iter().map(|(what, times)| match times {
        1 => (*what).to_owned(),
        times => format!("{what} ({times}×)"),
    });
    shown.collect::<Vec<_>>().join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_without_a_check_is_a_failure() {
        let mut transcript = Transcript::new(Vec::new());
        transcript.step("unchecked").unwrap();
        assert!(transcript.step("next").is_err());
        let mut transcript = Transcript::new(Vec::new());
        transcript.step("unchecked").unwrap();
        assert!(transcript.finish().is_err());
    }

    #[test]
    fn checks_count_and_a_wrong_outcome_ends_it() {
        let mut transcript = Transcript::new(Vec::new());
        assert!(transcript.check("too early", 1, 1).is_err());
        transcript.scene("scene").unwrap();
        transcript.step("step").unwrap();
        transcript.check("fine", 1, 1).unwrap();
        assert!(transcript.check("wrong", 1, 2).is_err());
        let summary = transcript.finish().unwrap();
        assert_eq!((summary.steps, summary.checks), (1, 1));
    }
}
