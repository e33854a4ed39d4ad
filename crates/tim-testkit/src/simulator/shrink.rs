//! Leaves steps out of a plan for as long as the same invariant fails: what remains is what matters.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::op::{Op, Plan};

/// Shrinks a plan. `fails` runs a plan and says whether it fails in the same way; it is asked at most `tries` times. The last rest is
/// always kept: without it nothing is checked.
pub fn shrink(plan: &Plan, mut tries: u32, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let last = plan.steps.last().map(|step| step.number);
    let all = plan.steps.iter().map(|step| step.number);
    let mut kept: Vec<u32> = all.filter(|number| Some(*number) != last).collect();
    let with = |kept: &[u32]| {
        let kept: BTreeSet<u32> = kept.iter().copied().chain(last).collect();
        plan.only(|number| kept.contains(&number))
    };
    let mut chunk = kept.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        let mut removed = false;
        while from < kept.len() {
            if tries == 0 {
                return with(&kept);
            }
            tries -= 1;
            let mut fewer = kept.clone();
            fewer.drain(from..(from + chunk).min(kept.len()));
            if fails(&with(&fewer)) {
                kept = fewer; // what follows has moved here
                removed = true;
            } else {
                from += chunk;
            }
        }
        if chunk == 1 && !removed {
            return with(&kept);
        }
        // A step may be needless once others are gone: single steps are tried until none can be left out.
        chunk = (chunk / 2).max(1);
    }
}

/// Numbers of steps, as `--keep` takes them: `3,17,40-44`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keep(pub BTreeSet<u32>);

impl Keep {
    /// The steps of a plan, without the rest at its end, which every plan has.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let steps = plan.steps.split_last().map_or(&[][..], |(_, steps)| steps);
        Self(steps.iter().map(|step| step.number).collect())
    }

    /// The plan with these steps and its last rest.
    #[must_use]
    pub fn apply(&self, plan: &Plan) -> Plan {
        let last = plan.steps.last().filter(|step| step.op == Op::Rest);
        let last = last.map(|step| step.number);
        plan.only(|number| Some(number) == last || self.0.contains(&number))
    }
}

impl fmt::Display for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut numbers = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(first) = numbers.next() {
            let mut last = first;
            while let Some(next) = numbers.next_if(|next| *next == last + 1) {
                last = next;
            }
            match last - first {
                0 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{last}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

impl FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut kept = BTreeSet::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let number = |text: &str| {
                let parsed = text.trim().parse::<u32>();
                parsed.map_err(|_| {
                    format!("{text:?} is no number of a step; give numbers and ranges, such as 3,17,40-44")
                })
            };
            match part.split_once('-') {
                Some((first, last)) => kept.extend(number(first)?..=number(last)?),
                None => drop(kept.insert(number(part)?)),
            }
        }
        Ok(Self(kept))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::op::Profile;

    #[test]
    fn what_matters_remains() {
        let plan = Plan::generate(11, Profile::Mixed);
        let matters = [5, 17, 18, 44];
        let mut runs = 0;
        let shrunk = shrink(&plan, 400, |plan| {
            runs += 1;
            let has = |wanted: &u32| plan.steps.iter().any(|step| step.number == *wanted);
            matters.iter().all(has)
        });
        let last = plan.steps.last().unwrap().number;
        let kept: Vec<_> = shrunk.steps.iter().map(|step| step.number).collect();
        assert_eq!(kept, [5, 17, 18, 44, last]);
        assert!(runs < 150, "{runs} runs");
        assert_eq!(Keep::of(&shrunk).apply(&plan), shrunk);
    }

    #[test]
    fn tries_are_bounded_and_a_plan_that_always_fails_has_only_its_rest_left() {
        let plan = Plan::generate(11, Profile::Calm);
        let mut runs = 0;
        let shrunk = shrink(&plan, 3, |_| {
            runs += 1;
            false
        });
        assert_eq!((shrunk, runs), (plan.clone(), 3));
        assert_eq!(shrink(&plan, 400, |_| true).steps.len(), 1);
    }

    #[test]
    fn kept_steps_print_and_parse() {
        let keep: Keep = "3, 17,40-44".parse().unwrap();
        assert_eq!(keep.0.len(), 7);
        assert_eq!(keep.to_string(), "3,17,40-44");
        assert_eq!("".parse(), Ok(Keep::default()));
        assert!("3,x".parse::<Keep>().unwrap_err().contains("\"x\""));
    }
}
