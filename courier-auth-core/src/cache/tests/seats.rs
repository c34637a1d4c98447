//! Two users whose ids have the same hash.

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
    Seats::new(10)
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
    land(&seats, "alice");
    assert_eq!(served(&seats, "alice").as_deref(), Some("alice"));
    assert_eq!(served(&seats, "bob"), None);
    land(&seats, "bob");
    assert_eq!(served(&seats, "bob").as_deref(), Some("bob"));
    assert_eq!(served(&seats, "alice"), None);
    assert_eq!(seats.len(), 1);
}

#[test]
fn one_takes_the_others_seat_and_not_what_is_in_it() {
    let seats = seats();
    let alice = Arc::clone(&seats.slot(&"alice".into()));
    // As while a flight is on its way.
    alice.pin();
    let bob = Arc::clone(&seats.slot(&"bob".into()));
    assert!(!Arc::ptr_eq(&alice, &bob));
    assert!(alice.lock().detached, "whoever holds it looks again");
    assert!(!bob.lock().detached);
    assert_eq!(seats.len(), 1);
}

/// Her flight lands after her slot has left the map, and before the slot is told so.
#[test]
fn a_token_does_not_take_the_seat_that_is_another_users_now() {
    let seats = seats();
    land(&seats, "alice");
    let alice = Arc::clone(&seats.slot(&"alice".into()));
    seats.forget("alice");
    let bob = Arc::clone(&seats.slot(&"bob".into()));
    alice.lock().detached = false;
    seats.tidy(&alice);
    assert!(matches!(seats.get("bob"), Some(Seat::Slot(here)) if Arc::ptr_eq(&here, &bob)));
    assert!(seats.get("alice").is_none());
}

#[test]
fn one_is_forgotten_without_the_other() {
    let seats = seats();
    land(&seats, "alice");
    seats.forget("bob");
    assert_eq!(served(&seats, "alice").as_deref(), Some("alice"));
    let _slot = seats.slot(&"alice".into());
    seats.forget("bob");
    assert!(matches!(seats.get("alice"), Some(Seat::Slot(_))));
    seats.forget("alice");
    assert_eq!(seats.len(), 0);
}
