//! Tokens of push services in the model: a list of who has which.

use super::World;
use super::model_state::Model;
use super::push::{register, tokens, unregister, unregister_numbered, users_in_pages};
use crate::{PushUser, Write, Written};

/// How many tokens there are. Each may be anybody's.
pub(crate) const TOKENS: u8 = 3;

#[derive(Default)]
pub(crate) struct ModelPush {
    /// In the order of registration: the token, whose it is, and whether it is switched on.
    tokens: Vec<(u8, usize, bool)>,
    /// Up to where each user with a token was notified.
    pushed: [Option<u64>; 3],
}

impl ModelPush {
    fn remove(&mut self, token: u8) {
        let Some(at) = self.tokens.iter().position(|(other, ..)| *other == token) else {
            return;
        };
        let (_, owner, _) = self.tokens.remove(at);
        if !self.tokens.iter().any(|(_, user, _)| *user == owner) {
            self.pushed[owner] = None;
        }
    }
}

fn name(model: &Model, token: u8) -> String {
    format!("{}-{token}", model.users[0])
}

pub(crate) fn register_one(world: &mut World, model: &mut Model, user: usize, token: u8, enabled: bool) {
    let write = register(model.users[user], &name(model, token), enabled);
    let answer = world.write(write);
    let push = &mut model.push;
    let own = push.tokens.iter_mut().find(|it| it.0 == token && it.1 == user);
    match own {
        Some(own) => own.2 = enabled,
        None => {
            push.remove(token);
            push.tokens.push((token, user, enabled));
        }
    }
    let pushed = *push.pushed[user].get_or_insert(model.change);
    assert_eq!(answer, Ok(Written::PushRegistered { pushed }));
}

pub(crate) fn unregister_one(world: &mut World, model: &mut Model, user: usize, token: u8) {
    let (name, own) = (name(model, token), model.users[user]);
    let tokens = world.reader().push_tokens(&own).unwrap();
    let number = tokens.iter().find(|it| it.token == name).map(|it| it.number);
    // With the number of another registration, nothing happens.
    let other = unregister_numbered(own, &name, number.unwrap_or_default() + 1);
    assert_eq!(world.write(other), Ok(Written::Done));
    let write = match number {
        Some(number) if token.is_multiple_of(2) => unregister_numbered(own, &name, number),
        _ => unregister(own, &name),
    };
    assert_eq!(world.write(write), Ok(Written::Done));
    let push = &mut model.push;
    if push.tokens.iter().any(|it| it.0 == token && it.1 == user) {
        push.remove(token);
    }
}

/// A user was notified up to so many changes before the newest one.
pub(crate) fn pushed(world: &mut World, model: &mut Model, user: usize, back: u64) {
    let to = model.change.saturating_sub(back);
    let (user, name) = (user, model.users[user]);
    let write = Write::Pushed(vec![PushUser {
        user: name,
        pushed: to,
    }]);
    assert_eq!(world.write(write), Ok(Written::Done));
    if let Some(pushed) = &mut model.push.pushed[user] {
        *pushed = to.max(*pushed);
    }
}

pub(crate) fn compare(world: &World, model: &Model) {
    let all = users_in_pages(world, 1_000);
    for (user, name) in model.users.iter().enumerate() {
        let own = model.push.tokens.iter().filter(|it| it.1 == user);
        let expected: Vec<_> = own.map(|it| (self::name(model, it.0), it.2)).collect();
        assert_eq!(tokens(world, name), expected, "tokens of {name}");
        let found = all.iter().find(|it| it.user == *name).map(|it| it.pushed);
        assert_eq!(found, model.push.pushed[user], "up to where {name} was notified");
    }
}
