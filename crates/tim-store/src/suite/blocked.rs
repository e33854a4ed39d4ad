//! Users who may not log in.

use tim_proto::UserId;

use super::{DAY_MS, World};
use crate::{Purge, Refused, Write, Written};

pub fn a_user_is_blocked_until_somebody_says_otherwise(world: &mut World) {
    let [alice, bob] = ["alice", "bob"].map(|name| world.user(name));
    let block = |user, is_blocked| Write::Block { user, is_blocked };
    assert_eq!(world.reader().is_blocked(&alice), Ok(false));
    assert_eq!(world.write(block(alice, true)), Ok(Written::Done));
    assert_eq!(world.reader().is_blocked(&alice), Ok(true));
    assert_eq!(world.reader().is_blocked(&bob), Ok(false), "nobody else is");
    // Retention removes unused accounts, and not the block.
    world.now_ms += 200 * DAY_MS;
    let unused = Purge {
        unused_before_ms: world.now_ms,
        ..Purge::NONE
    };
    world.write(Write::Purge(unused)).unwrap();
    world.reopen();
    assert_eq!(world.reader().is_blocked(&alice), Ok(true));
    assert_eq!(world.write(block(alice, false)), Ok(Written::Done));
    assert_eq!(world.reader().is_blocked(&alice), Ok(false));
    let nobody = UserId::new("nobody").unwrap();
    assert_eq!(world.reader().is_blocked(&nobody), Ok(false));
    assert_eq!(world.write(block(nobody, true)), Err(Refused::NoSuchUser(nobody)));
}
