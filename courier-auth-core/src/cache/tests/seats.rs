//! Two users whose ids have the same hash, which is the map's key.

use std::{
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
};

use crate::{
    cache::{
        clock::Clock,
        seats::{Seat, Seats},
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

fn seats() -> Seats<BuildHasherDefault<Alike>> {
    Seats::new(100)
}

/// A user's token lands.
fn land(seats: &Seats<BuildHasherDefault<Alike>>, user: &str) {
    let request = TokenRequest::for_user(user);
    let grant = request.grant(&default_terms().unwrap()).unwrap();
    let clock = Clock::default();
    let now = clock.now();
    let issued = Issued::new(user, "opaque", None);
    let token = Token::accept(issued, &grant, now, clock).unwrap();
    let slot = Arc::clone(&seats.slot(&grant.user_id));
    slot.lock()
        .variant(&grant, now)
        .store(&token, None, now)
        .unwrap();
    seats.tidy(&slot);
}

/// Whose token a user gets.
fn served(seats: &Seats<BuildHasherDefault<Alike>>, user: &str) -> Option<String> {
    match seats.get(user)? {
        Seat::Token(token) => Some(token.user_id().to_owned()),
        Seat::Slot(slot) => panic!("no bare token: {slot:?}"),
    }
}

#[test]
fn neither_gets_the_others_token() {
    let seats = seats();
    land(&seats, ALICE);
    assert_eq!(served(&seats, ALICE).as_deref(), Some(ALICE));
    assert_eq!(served(&seats, BOB), None);
    land(&seats, BOB);
    assert_eq!(served(&seats, BOB).as_deref(), Some(BOB));
    assert_eq!(served(&seats, ALICE), None);
    assert_eq!(seats.len(), 1);
}

#[test]
fn one_takes_the_others_seat_and_not_what_is_in_it() {
    let seats = seats();
    let alice = Arc::clone(&seats.slot(&ALICE.into()));
    // As while a flight is on its way.
    alice.pin();
    let bob = Arc::clone(&seats.slot(&BOB.into()));
    assert!(!Arc::ptr_eq(&alice, &bob));
    assert!(alice.lock().detached, "whoever holds it looks again");
    assert!(!bob.lock().detached);
    assert_eq!(seats.len(), 1);
}

/// Her flight lands after her slot has left the map, and before the slot is told so.
#[test]
fn a_token_does_not_take_the_seat_that_is_another_users_now() {
    let seats = seats();
    land(&seats, ALICE);
    let alice = Arc::clone(&seats.slot(&ALICE.into()));
    seats.forget(ALICE);
    let bob = Arc::clone(&seats.slot(&BOB.into()));
    alice.lock().detached = false;
    seats.tidy(&alice);
    assert!(matches!(seats.get(BOB), Some(Seat::Slot(here)) if Arc::ptr_eq(&here, &bob)));
    assert!(seats.get(ALICE).is_none());
}

#[test]
fn one_is_forgotten_without_the_other() {
    let seats = seats();
    land(&seats, ALICE);
    seats.forget(BOB);
    assert_eq!(served(&seats, ALICE).as_deref(), Some(ALICE));
    let _slot = seats.slot(&ALICE.into());
    seats.forget(BOB);
    assert!(matches!(seats.get(ALICE), Some(Seat::Slot(_))));
    seats.forget(ALICE);
    assert_eq!(seats.len(), 0);
}
