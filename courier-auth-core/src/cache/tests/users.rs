//! Two users whose ids have the same hash, which is the map's key.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use crate::{
    cache::{
        clock::Clock,
        users::{UserEntry, UserMap},
    },
    client::default_terms,
    request::TokenRequest,
    token::{Issued, Token},
};

const ALICE: &str = "alice";
const BOB: &str = "bob";

/// All ids are alike to it.
#[derive(Default)]
struct Alike;

impl Hasher for Alike {
    fn write(&mut self, _bytes: &[u8]) {}

    fn finish(&self) -> u64 {
        7
    }
}

fn users() -> UserMap<BuildHasherDefault<Alike>> {
    UserMap::new(100)
}

/// A user's token is stored.
fn store(users: &UserMap<BuildHasherDefault<Alike>>, user: &str) {
    let request = TokenRequest::for_user(user);
    let grant = request.grant(&default_terms().unwrap()).unwrap();
    let clock = Clock::default();
    let now = clock.now();
    let issued = Issued::new(user, "opaque", None);
    let token = Token::accept(issued, &grant, now, clock).unwrap();
    let slot = Arc::clone(&users.slot(&grant.user_id));
    slot.lock()
        .variant(&grant, now)
        .store(&token, None, now)
        .unwrap();
    users.tidy(&slot);
}

/// Whose token a user gets.
fn served(users: &UserMap<BuildHasherDefault<Alike>>, user: &str) -> Option<String> {
    match users.get(user)? {
        UserEntry::Token(token) => Some(token.user_id().to_owned()),
        UserEntry::Slot(slot) => panic!("no bare token: {slot:?}"),
    }
}

#[test]
fn neither_gets_the_others_token() {
    let users = users();
    store(&users, ALICE);
    assert_eq!(served(&users, ALICE).as_deref(), Some(ALICE));
    assert_eq!(served(&users, BOB), None);
    store(&users, BOB);
    assert_eq!(served(&users, BOB).as_deref(), Some(BOB));
    assert_eq!(served(&users, ALICE), None);
    assert_eq!(users.len(), 1);
}

#[test]
fn one_takes_the_others_seat_and_not_what_is_in_it() {
    let users = users();
    let alice = Arc::clone(&users.slot(&ALICE.into()));
    // As while a flight is on its way.
    alice.pin();
    let bob = Arc::clone(&users.slot(&BOB.into()));
    assert!(!Arc::ptr_eq(&alice, &bob));
    assert!(alice.lock().detached, "whoever holds it looks again");
    assert!(!bob.lock().detached);
    assert_eq!(users.len(), 1);
}

/// Her flight finishes after her slot has left the map, and before the slot is told so.
#[test]
fn a_token_does_not_take_the_seat_that_is_another_users_now() {
    let users = users();
    store(&users, ALICE);
    let alice = Arc::clone(&users.slot(&ALICE.into()));
    users.forget(ALICE);
    let bob = Arc::clone(&users.slot(&BOB.into()));
    alice.lock().detached = false;
    users.tidy(&alice);
    assert!(matches!(users.get(BOB), Some(UserEntry::Slot(here)) if Arc::ptr_eq(&here, &bob)));
    assert!(users.get(ALICE).is_none());
}

#[test]
fn one_is_forgotten_without_the_other() {
    let users = users();
    store(&users, ALICE);
    users.forget(BOB);
    assert_eq!(served(&users, ALICE).as_deref(), Some(ALICE));
    let _slot = users.slot(&ALICE.into());
    users.forget(BOB);
    assert!(matches!(users.get(ALICE), Some(UserEntry::Slot(_))));
    users.forget(ALICE);
    assert_eq!(users.len(), 0);
}
