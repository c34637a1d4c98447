//! Whatever lies in the store: it is opened only if it was sealed with this key for this name, and
//! then it is what was sealed.
//!
//! Inputs are random. `BOLERO_RANDOM_ITERATIONS=1000000` makes more of them; a failure prints its
//! seed, which `BOLERO_RANDOM_SEED` repeats.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bolero::{TypeGenerator, check};

use super::{Keyring, MAX_VALUE_BYTES, open, seal};

const NAME: &str = "1:{kid.mac}:t";

#[test]
fn any_value() {
    let ring = ring(0);
    check!().with_iterations(INPUTS).for_each(|input| {
        assert!(open(&ring, NAME, input).is_err());
        // With the beginning that it must have.
        let begun = [&[1], &ring.kid[..], input].concat();
        assert!(open(&ring, NAME, &begun).is_err());
    });
}

#[test]
fn sealed_values_that_are_tampered_with() {
    let rings = [ring(0), ring(1)];
    check!()
        .with_iterations(INPUTS)
        .with_type::<Case>()
        .for_each(|case| {
            let mut value = seal(&rings[0], NAME, &case.plain).expect("sealed");
            let sealed = value.clone();
            let (mut name, mut by) = (NAME.to_owned(), 0);
            for tampering in &case.tamperings {
                match tampering {
                    Tampering::Flip(at, bit) => {
                        let at = usize::from(*at) % value.len().max(1);
                        if let Some(byte) = value.get_mut(at) {
                            *byte ^= 1 << (bit % 8);
                        }
                    }
                    Tampering::Cut(at) => value.truncate(usize::from(*at)),
                    Tampering::Append(bytes) => value.extend_from_slice(bytes),
                    Tampering::Rename(suffix) => name.push_str(suffix),
                    Tampering::OtherKey => by = 1,
                }
            }
            let untouched = value == sealed && name == NAME && by == 0;
            match open(&rings[by], &name, &value) {
                Ok(plain) => {
                    assert!(untouched);
                    assert_eq!(plain, case.plain);
                }
                Err(_) => assert!(!untouched || value.len() > MAX_VALUE_BYTES),
            }
        });
}

/// The same value twice is not the same bytes twice.
#[test]
fn nonces_are_new() {
    let ring = ring(0);
    let sealed = || seal(&ring, NAME, b"x").expect("sealed");
    let all: std::collections::HashSet<_> = (0..1000).map(|_| sealed()).collect();
    assert_eq!(all.len(), 1000);
}

/// Written by an earlier version: a new one must read it, or a deploy asks Courier for every user.
#[test]
fn the_format_stays() {
    let name = "1:{7lT-4g.0123456789abcdefghijkl}:t";
    let value = URL_SAFE_NO_PAD.decode(VALUE_OF_VERSION_1).expect("base64");
    let plain = open(&ring(0), name, &value).expect("opened");
    assert_eq!(plain, br#"{"at":1800000000000}"#);
}

#[derive(Debug, TypeGenerator)]
struct Case {
    plain: Vec<u8>,
    tamperings: Vec<Tampering>,
}

#[derive(Debug, TypeGenerator)]
enum Tampering {
    Flip(u16, u8),
    Cut(u16),
    Append(Vec<u8>),
    Rename(String),
    OtherKey,
}

fn ring(number: u8) -> Keyring {
    Keyring::of_bytes(&[number; 32])
}

const INPUTS: usize = 5_000;
/// What [`seal`] made of `{"at":1800000000000}`.
const VALUE_OF_VERSION_1: &str =
    "AQKAtDkWTmbA-LiuxS61M8VL3cqmxWNLS0rvQ_ocgdola6eLNzI2BhWkwM-G2n-gjE-CSiZk9ei9HoWdI46iGJ0";
