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
    client::default_grant,
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
    let grant = request.grant(&default_grant().unwrap()).unwrap();
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
    // Her flight lands, and his slot stays where it is.
    alice.unpin();
    seats.tidy(&alice);
    assert!(matches!(seats.get("bob"), Some(Seat::Slot(here)) if Arc::ptr_eq(&here, &bob)));
}

#[test]
fn one_is_forgotten_without_the_other() {
    let seats = seats();
    land(&seats, "alice");
    seats.forget("bob");
    assert_eq!(served(&seats, "alice").as_deref(), Some("alice"));
    seats.forget("alice");
    assert_eq!(seats.len(), 0);
}
