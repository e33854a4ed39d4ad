//! Tokens of push services: whose they are, how many, and up to where users were notified.

use tim_groups::GroupAction;
use tim_proto::UserId;
use tim_proto::request::{MAX_PUSH_TOKEN, PushPlatform};

use super::World;
use crate::{LogKey, MAX_PUSH_TOKENS, PushUser, Refused, RegisterPush, Write, Written};

pub fn register(user: UserId, token: &str, enabled: bool) -> Write {
    Write::RegisterPush(Box::new(RegisterPush {
        user,
        platform: PushPlatform::IOS,
        token: token.to_owned(),
        written: None,
        enabled,
    }))
}

/// The same, of a token that the application has written otherwise.
fn register_written(user: UserId, token: &str, written: &str) -> Write {
    let mut write = register(user, token, true);
    if let Write::RegisterPush(register) = &mut write {
        register.written = Some(written.to_owned());
    }
    write
}

pub fn unregister(user: UserId, token: &str) -> Write {
    Write::UnregisterPush {
        user,
        platform: PushPlatform::IOS,
        token: token.to_owned(),
        written: None,
        number: None,
    }
}

/// The same, of a token that the application has written otherwise.
fn unregister_written(user: UserId, token: &str, other: &str) -> Write {
    let mut write = unregister(user, token);
    if let Write::UnregisterPush { written, .. } = &mut write {
        *written = Some(other.to_owned());
    }
    write
}

/// The same, if the token has this number.
pub fn unregister_numbered(user: UserId, token: &str, number: u64) -> Write {
    let mut write = unregister(user, token);
    if let Write::UnregisterPush { number: known, .. } = &mut write {
        *known = Some(number);
    }
    write
}

/// The tokens of a user, and whether each is switched on.
pub fn tokens(world: &World, user: &UserId) -> Vec<(String, bool)> {
    let found = world.reader().push_tokens(user).unwrap();
    assert!(found.is_sorted_by_key(|token| token.number));
    found.into_iter().map(|it| (it.token, it.enabled)).collect()
}

/// All users with tokens, read in pages of so many.
pub fn users_in_pages(world: &World, limit: usize) -> Vec<PushUser> {
    let mut found: Vec<PushUser> = Vec::new();
    loop {
        let after = found.last().map(|it| it.user);
        let page = world.reader().push_users(after, limit).unwrap();
        assert!(page.len() <= limit);
        if page.is_empty() {
            return found;
        }
        found.extend(page);
    }
}

fn users(world: &World) -> Vec<PushUser> {
    users_in_pages(world, 1)
}

pub fn a_token_is_of_who_registered_it_last(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    assert_eq!(
        world.write(register(alice, "t", true)),
        Ok(Written::PushRegistered { pushed: 0 })
    );
    let before = world.reader().push_tokens(&alice).unwrap();
    // Again: it stays the same token.
    world.write(register(alice, "t", false)).unwrap();
    let after = world.reader().push_tokens(&alice).unwrap();
    assert_eq!(after[0].number, before[0].number);
    assert_eq!(tokens(world, &alice), [("t".to_owned(), false)]);
    // The same letters mean something else to another push service.
    let mut other = register(alice, "t", true);
    if let Write::RegisterPush(other) = &mut other {
        other.platform = PushPlatform::OPPO;
    }
    world.write(other).unwrap();
    world.write(register(bob, "t", true)).unwrap();
    assert_eq!(
        tokens(world, &alice),
        [("t".to_owned(), true)],
        "the one for OPPO"
    );
    assert_eq!(tokens(world, &bob), [("t".to_owned(), true)]);
    let of_bob = world.reader().push_tokens(&bob).unwrap();
    assert!(of_bob[0].number > before[0].number, "it is another one");
    // Not Alice's any more.
    assert_eq!(world.write(unregister(alice, "t")), Ok(Written::Done));
    world.reopen();
    assert_eq!(tokens(world, &bob).len(), 1);
    world.write(unregister(bob, "t")).unwrap();
    assert_eq!(tokens(world, &bob), []);
    assert_eq!(users(world).iter().map(|it| it.user).collect::<Vec<_>>(), [alice]);
}

pub fn a_token_that_was_registered_anew_is_not_removed_as_the_former_one(world: &mut World) {
    let alice = world.user("alice");
    let number = |world: &World| world.reader().push_tokens(&alice).unwrap()[0].number;
    world.write(register(alice, "t", true)).unwrap();
    let former = number(world);
    world.write(unregister(alice, "t")).unwrap();
    world.write(register(alice, "t", true)).unwrap();
    let newer = number(world);
    for other in [former, newer + 1] {
        let answer = world.write(unregister_numbered(alice, "t", other));
        assert_eq!(answer, Ok(Written::Done));
        assert_eq!(tokens(world, &alice).len(), 1);
    }
    world.write(unregister_numbered(alice, "t", newer)).unwrap();
    assert_eq!((tokens(world, &alice), users(world)), (vec![], vec![]));
}

pub fn a_token_that_was_written_otherwise_is_the_same(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    let only = |token: &str| vec![(token.to_owned(), true)];
    world.write(register(alice, "T", true)).unwrap();
    let [former] = &world.reader().push_tokens(&alice).unwrap()[..] else {
        panic!("it is registered");
    };
    world.say(
        LogKey::c2c(alice, bob),
        bob,
        "Alice is still to be notified of this",
    );
    // It takes the other form, and Alice is where she was.
    let registered = Written::PushRegistered { pushed: 0 };
    assert_eq!(world.write(register_written(alice, "t", "T")), Ok(registered));
    assert_eq!(tokens(world, &alice), only("t"));
    assert_eq!(
        world.reader().push_tokens(&alice).unwrap()[0].number,
        former.number
    );
    // Both forms are there: of the same user, then of somebody else.
    world.write(register(alice, "T", true)).unwrap();
    world.write(register_written(alice, "t", "T")).unwrap();
    assert_eq!(tokens(world, &alice), only("t"));
    world.write(register(alice, "T", true)).unwrap();
    world.write(register_written(bob, "t", "T")).unwrap();
    assert_eq!((tokens(world, &alice), tokens(world, &bob)), (vec![], only("t")));
    assert_eq!(users(world).iter().map(|it| it.user).collect::<Vec<_>>(), [bob]);
    // Either form is removed, or both, and nothing of anybody else.
    world.write(register(bob, "T", true)).unwrap();
    world.write(unregister_written(alice, "t", "T")).unwrap();
    assert_eq!(tokens(world, &bob).len(), 2);
    world.write(unregister_written(bob, "t", "T")).unwrap();
    assert_eq!((tokens(world, &bob), users(world)), (vec![], vec![]));
    world.write(register(bob, "T", true)).unwrap();
    world.write(unregister_written(bob, "t", "T")).unwrap();
    assert_eq!(tokens(world, &bob), []);
}

pub fn a_user_has_so_many_tokens(world: &mut World) {
    let alice = world.user("alice");
    for number in 0..MAX_PUSH_TOKENS + 2 {
        world.write(register(alice, &format!("t{number}"), true)).unwrap();
    }
    let kept = tokens(world, &alice);
    assert_eq!(kept.len(), MAX_PUSH_TOKENS);
    assert_eq!(kept[0].0, "t2", "the oldest have made room");
    let longest = "t".repeat(MAX_PUSH_TOKEN);
    world.write(register(alice, &longest, true)).unwrap();
    let len = MAX_PUSH_TOKEN + 1;
    for (token, len) in [(format!("{longest}t"), len), (String::new(), 0)] {
        let refused = Refused::TextTooLong {
            what: "token of a push service",
            len,
            max: MAX_PUSH_TOKEN,
        };
        assert_eq!(world.write(register(alice, &token, true)), Err(refused));
    }
    let nobody = UserId::new("nobody").unwrap();
    let answer = world.write(register(nobody, "t", true));
    assert_eq!(answer, Err(Refused::NoSuchUser(nobody)));
    // An account with tokens is in use.
    assert_eq!(world.reader().unused_since(&alice), Ok(None));
}

pub fn what_was_pushed_only_moves_forward(world: &mut World) {
    let (alice, bob) = (world.user("alice"), world.user("bob"));
    world.say(LogKey::c2c(alice, bob), alice, "before");
    let registered = Written::PushRegistered { pushed: 1 };
    assert_eq!(world.write(register(bob, "t", true)), Ok(registered));
    world.say(LogKey::c2c(alice, bob), alice, "after");
    let pushed = |user, pushed| Write::Pushed(vec![PushUser { user, pushed }]);
    for (to, expected) in [(2, 2), (1, 2), (7, 7)] {
        assert_eq!(world.write(pushed(bob, to)), Ok(Written::Done));
        let found = [PushUser {
            user: bob,
            pushed: expected,
        }];
        assert_eq!(users(world), found);
    }
    // Another token does not begin anew; who has no token is left out.
    let registered = Written::PushRegistered { pushed: 7 };
    assert_eq!(world.write(register(bob, "u", true)), Ok(registered));
    assert_eq!(world.write(pushed(alice, 9)), Ok(Written::Done));
    world.reopen();
    assert_eq!(users(world).len(), 1);
    assert_eq!(users(world)[0].pushed, 7);
}

pub fn members_with_tokens_are_found(world: &mut World) {
    let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| world.user(name));
    let group = world.group("hikers", &[alice, bob, carol]);
    assert_eq!(world.reader().push_members(&group), Ok(Vec::new()));
    world.write(register(bob, "t", true)).unwrap();
    world.write(register(carol, "u", true)).unwrap();
    let mut found = world.reader().push_members(&group).unwrap();
    found.sort_unstable();
    assert_eq!(found, [bob, carol]);
    world.change(group, carol, GroupAction::Quit).unwrap();
    assert_eq!(world.reader().push_members(&group), Ok(vec![bob]));
}
