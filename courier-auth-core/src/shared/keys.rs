use std::{fmt, sync::Arc};

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, KeyType, Salt},
    hmac::{self, HMAC_SHA256},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use secrecy::{ExposeSecret, SecretString};

use crate::request::Grant;

/// What one secret gives: how entries are named and encrypted.
///
/// Everybody who has the secret finds and reads the entries; nobody else learns more than that
/// there are some.
#[derive(Clone)]
pub(crate) struct Keyring {
    /// Says which secret was used without revealing it.
    pub(super) kid: [u8; KID_BYTES],
    names: hmac::Key,
    pub(super) cipher: XChaCha20Poly1305,
}

impl Keyring {
    /// From the workspace's API key.
    pub(crate) fn of_api_key(key: &SecretString) -> Self {
        Self::derive(b"courier-auth/1 api key", key.expose_secret().as_bytes())
    }

    /// From a key that the app has for this.
    pub(crate) fn of_bytes(key: &[u8; 32]) -> Self {
        Self::derive(b"courier-auth/1 encryption key", key)
    }

    fn derive(salt: &[u8], secret: &[u8]) -> Self {
        let secret = Salt::new(HKDF_SHA256, salt).extract(secret);
        let mut kid = [0; KID_BYTES];
        let mut names = [0; 32];
        let mut values = [0; 32];
        for (info, out) in [
            (&b"kid"[..], &mut kid[..]),
            (b"names", &mut names),
            (b"values", &mut values),
        ] {
            let info = [info];
            let key = secret.expand(&info, Length(out.len()));
            key.and_then(|key| key.fill(out)).expect("a few bytes");
        }
        Self {
            kid,
            names: hmac::Key::new(HMAC_SHA256, &names),
            cipher: XChaCha20Poly1305::new(&values.into()),
        }
    }

    /// Where the token of a grant is.
    pub(super) fn token_name(&self, base_url: &str, grant: &Grant) -> String {
        self.name(
            &[
                b"token",
                base_url.as_bytes(),
                grant.user_id.as_bytes(),
                grant.terms.scopes.as_str().as_bytes(),
                &grant.terms.lifetime.as_secs().to_be_bytes(),
            ],
            't',
        )
    }

    /// Where the lock is that belongs to a token, in the same slot of a cluster.
    pub(super) fn lock_name(token_name: &str) -> String {
        let stem = token_name.strip_suffix('t').unwrap_or(token_name);
        format!("{stem}l")
    }

    /// Where it says when a user was last invalidated.
    pub(super) fn tombstone_name(&self, base_url: &str, user: &str) -> String {
        self.name(&[b"user", base_url.as_bytes(), user.as_bytes()], 'i')
    }

    /// Each field with its length before it: no two lists of fields look the same.
    fn name(&self, fields: &[&[u8]], suffix: char) -> String {
        let mut mac = hmac::Context::with_key(&self.names);
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        let mac = mac.sign();
        format!(
            "1:{{{}.{}}}:{suffix}",
            URL_SAFE_NO_PAD.encode(self.kid),
            URL_SAFE_NO_PAD.encode(&mac.as_ref()[..MAC_BYTES])
        )
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl PartialEq for Keyring {
    /// By what both would name the same thing.
    fn eq(&self, other: &Self) -> bool {
        self.name(&[], 't') == other.name(&[], 't')
    }
}

/// How many bytes are wanted of a secret.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// The ring in use and those of before, whose entries are still read.
#[derive(Clone, Debug)]
pub(crate) struct Rings {
    pub(super) current: Arc<Keyring>,
    pub(super) previous: Vec<Arc<Keyring>>,
    /// Whether the current one comes from a key of the app's own, which a new API key does not
    /// change.
    fixed: bool,
}

impl Rings {
    pub(crate) fn new(
        api_key: &SecretString,
        encryption_key: Option<&[u8; 32]>,
        previous_api_keys: &[SecretString],
    ) -> Self {
        let current = match encryption_key {
            Some(key) => Keyring::of_bytes(key),
            None => Keyring::of_api_key(api_key),
        };
        let mut rings = Self {
            current: Arc::new(current),
            previous: Vec::new(),
            fixed: encryption_key.is_some(),
        };
        // The last one named is the one that is kept longest.
        for key in previous_api_keys {
            rings.retire(Arc::new(Keyring::of_api_key(key)));
        }
        rings
    }

    /// The rings after a change of the API key.
    pub(super) fn with_api_key(&self, key: &SecretString) -> Self {
        let mut rings = self.clone();
        let new = Arc::new(Keyring::of_api_key(key));
        if self.fixed || new == self.current {
            return rings;
        }
        rings.previous.retain(|ring| *ring != new);
        let old = std::mem::replace(&mut rings.current, new);
        rings.retire(old);
        rings
    }

    /// The current one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Keyring>> {
        std::iter::once(&self.current).chain(&self.previous)
    }

    fn retire(&mut self, ring: Arc<Keyring>) {
        if ring == self.current || self.previous.contains(&ring) {
            return;
        }
        self.previous.insert(0, ring);
        self.previous.truncate(MAX_PREVIOUS);
    }
}

const KID_BYTES: usize = 4;
const MAC_BYTES: usize = 16;
/// Each costs three more commands per look-up. Keys are not changed more often within a token's life.
pub(crate) const MAX_PREVIOUS: usize = 4;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        client::default_terms,
        request::{Terms, TokenRequest},
    };

    const COURIER: &str = "https://api.courier.com";

    #[expect(clippy::unwrap_used, reason = "tests")]
    fn grant(user: &str) -> Grant {
        let defaults: Terms = default_terms().unwrap();
        TokenRequest::for_user(user).grant(&defaults).unwrap()
    }

    /// A replica of another version must look in the same place, or a deploy asks Courier for every
    /// user.
    #[test]
    fn names_stay() {
        let ring = Keyring::of_api_key(&"pk_test".into());
        let name = ring.token_name(COURIER, &grant("alice"));
        assert_eq!(name, "1:{9OZDOQ.FErG3eyJTodIX312DTiBEw}:t");
        assert_eq!(
            Keyring::lock_name(&name),
            "1:{9OZDOQ.FErG3eyJTodIX312DTiBEw}:l"
        );
        assert_eq!(
            ring.tombstone_name(COURIER, "alice"),
            "1:{9OZDOQ.19TjTcAAIZsq46KSYgtjAQ}:i"
        );
        let own = Keyring::of_bytes(&[7; 32]);
        assert_eq!(
            own.token_name(COURIER, &grant("alice")),
            "1:{fb2rQQ.2i-udj8h8yu-9xvQsFya-g}:t"
        );
    }

    #[test]
    fn whatever_affects_the_grant_affects_the_name() {
        let ring = Keyring::of_api_key(&"pk_test".into());
        let other = Keyring::of_api_key(&"pk_other".into());
        let alice = grant("alice");
        let mut day = alice.clone();
        Arc::make_mut(&mut day.terms).lifetime = Duration::from_secs(86_400);
        let names = [
            ring.token_name(COURIER, &alice),
            ring.token_name(COURIER, &grant("alic")),
            ring.token_name(COURIER, &day),
            ring.token_name("https://api.eu.courier.com", &alice),
            other.token_name(COURIER, &alice),
            ring.tombstone_name(COURIER, "alice"),
            ring.tombstone_name(COURIER, "alic"),
        ];
        let different: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }

    #[test]
    fn rings_keep_the_last_four_keys() {
        let key = |number: u8| SecretString::from(format!("pk_{number}"));
        let mut rings = Rings::new(&key(0), None, &[]);
        for number in 1..10 {
            rings = rings.with_api_key(&key(number));
        }
        let kept: Vec<_> = rings.all().map(|ring| ring.kid).collect();
        let wanted: Vec<_> = (5..10)
            .rev()
            .map(|it| Keyring::of_api_key(&key(it)).kid)
            .collect();
        assert_eq!(kept, wanted);
        // Back to one of before, which is then no longer one of before.
        let back = rings.with_api_key(&key(8));
        let kept: Vec<_> = back.all().map(|ring| ring.kid).collect();
        assert_eq!(
            kept,
            [wanted[1], wanted[0], wanted[2], wanted[3], wanted[4]]
        );
    }
}
