//! What a value in the store looks like: `version ‖ kid ‖ nonce ‖ XChaCha20-Poly1305(plaintext)`.
//!
//! The name under which it is kept is authenticated with it, so that nobody who can write to the
//! store can give one user the token of another.

use chacha20poly1305::aead::{Aead, Payload};

use super::{SharedCacheError, keys::Keyring};

/// Encrypts a value for one name.
pub(super) fn seal(ring: &Keyring, name: &str, plain: &[u8]) -> Result<Vec<u8>, SharedCacheError> {
    let mut nonce = [0; NONCE_BYTES];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| SharedCacheError::new("the system random number generator failed"))?;
    let payload = Payload {
        msg: plain,
        aad: &bound_to(name),
    };
    let sealed = ring
        .cipher
        .encrypt(&nonce.into(), payload)
        .map_err(|_| SharedCacheError::new("the entry is too long to be encrypted"))?;
    Ok([&[VERSION], &ring.kid[..], &nonce, &sealed].concat())
}

/// Decrypts what was found under a name.
pub(super) fn open(ring: &Keyring, name: &str, value: &[u8]) -> Result<Vec<u8>, Poison> {
    if value.len() > MAX_VALUE_BYTES {
        return Err(Poison("it is longer than any of ours"));
    }
    let (version, rest) = value.split_first().ok_or(Poison("it is empty"))?;
    if *version != VERSION {
        return Err(Poison("its format is not ours"));
    }
    let short = Poison("it is shorter than any of ours");
    let (kid, rest) = rest.split_at_checked(ring.kid.len()).ok_or(short)?;
    if kid != ring.kid {
        return Err(Poison("it is encrypted with another key"));
    }
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(short)?;
    let payload = Payload {
        msg: sealed,
        aad: &bound_to(name),
    };
    ring.cipher
        .decrypt(&(*nonce).into(), payload)
        .map_err(|_| Poison("it was changed, or moved here from another key"))
}

/// Why a value is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Poison(pub(super) &'static str);

fn bound_to(name: &str) -> Vec<u8> {
    [&[VERSION], name.as_bytes()].concat()
}

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// Room for the longest token and what is kept with it.
pub(super) const MAX_VALUE_BYTES: usize = 24 * 1024;

#[cfg(test)]
mod fuzz;
