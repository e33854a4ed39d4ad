//! What is bounded stays below its ceiling.

use super::{Invariant, Model, Violation};
use crate::simulator::op::Profile;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Ceilings;

const NAME: &str = "ceilings";

impl Invariant for Ceilings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn applies_to(&self, _profile: Profile) -> bool {
        true
    }

    fn check(&self, model: &Model<'_>) -> Result<u64, Violation> {
        let ceilings = &model.snapshot.ceilings;
        match ceilings.iter().find(|ceiling| ceiling.most > ceiling.allowed) {
            Some(over) => {
                let words = format!(
                    "{} came to {}, and {} are allowed",
                    over.what, over.most, over.allowed
                );
                Err(Violation::new(NAME, words))
            }
            None => Ok(ceilings.len() as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, passes, violates};
    use super::*;
    use crate::simulator::history::Ceiling;

    #[test]
    fn below_and_above_a_ceiling() {
        let mut run = MadeUp::new();
        let what = "bytes in a mailbox".to_owned();
        run.snapshot.ceilings.push(Ceiling {
            what,
            most: 5,
            allowed: 5,
        });
        assert_eq!(passes(&Ceilings, &run), 1);
        run.snapshot.ceilings[0].most = 6;
        violates(&Ceilings, &run, "6");
    }
}
