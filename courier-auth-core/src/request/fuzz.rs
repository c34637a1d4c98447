//! Whatever is given as an id or a scope: the scope string that is sent to Courier says no more.
//!
//! Inputs are the files in `__fuzz__` and random ones. `BOLERO_RANDOM_ITERATIONS=1000000` makes
//! more of them; a failure prints its seed, which `BOLERO_RANDOM_SEED` repeats.

use std::collections::BTreeSet;

use bolero::{ValueGenerator, check, produce};

use super::TokenRequest;
use crate::{client::default_terms, scope::Scope};

#[test]
fn any_text() {
    check!().with_iterations(INPUTS).for_each(|input| {
        let text = String::from_utf8_lossy(input);
        says_no_more(&text, &text, &text);
    });
}

#[test]
fn pieces_that_smuggle() {
    check!()
        .with_iterations(INPUTS)
        .with_generator((text(), text(), text()))
        .for_each(|(user, scope, named)| says_no_more(user, scope, named));
}

/// What is accepted is one word each, and nothing but the user's own id names a user.
fn says_no_more(user: &str, scope: &str, named: &str) {
    let mut scopes = vec![Scope::INBOX_READ_MESSAGES];
    let mut written = BTreeSet::from(["inbox:read:messages".to_owned()]);
    let candidates = [
        (Scope::new(scope), scope.to_owned()),
        (Scope::read_brand(named), format!("read:brands:{named}")),
        (Scope::write_brand(named), format!("write:brands:{named}")),
        (Scope::tenant_read(named), format!("tenant:{named}:read")),
        (
            Scope::tenant_notification_read(named),
            format!("tenant:{named}:notification:read"),
        ),
        (
            Scope::tenant_notification_write(named),
            format!("tenant:{named}:notification:write"),
        ),
        (
            Scope::tenant_brand_read(named),
            format!("tenant:{named}:brand:read"),
        ),
        (
            Scope::tenant_brand_write(named),
            format!("tenant:{named}:brand:write"),
        ),
    ];
    if Scope::tenant_read(named).is_ok() || Scope::read_brand(named).is_ok() {
        assert!(!named.contains(':'), "{named:?} reaches into another scope");
    }
    for (scope, text) in candidates {
        if let Ok(scope) = scope {
            scopes.push(scope);
            written.insert(text);
        }
    }
    let defaults = default_terms().expect("the defaults");
    // A user who is refused must not keep the scopes from being looked at.
    let (user, grant) = [user, "user-1"]
        .into_iter()
        .find_map(|user| {
            let request = TokenRequest::for_user(user).scopes(scopes.clone());
            Some((user, request.grant(&defaults).ok()?))
        })
        .expect("a grant for user-1");

    let sent = grant.scope_string();
    assert!(!sent.contains('*'), "{sent:?}");
    let mut words = sent.split(separates);
    assert_eq!(words.next(), Some(&*format!("user_id:{user}")), "{sent:?}");
    let words: Vec<_> = words.collect();
    let written: Vec<_> = written.iter().map(String::as_str).collect();
    assert_eq!(words, written, "{sent:?}");
    let names_a_user = |word: &&str| word.to_lowercase().starts_with("user_id:");
    assert_eq!(words.iter().copied().find(names_a_user), None, "{sent:?}");
}

/// Where any language's notion of whitespace may split a string, written out.
fn separates(c: char) -> bool {
    matches!(
        c,
        '\t'..='\r'
            | '\u{1c}'..=' '
            | '\u{85}'
            | '\u{a0}'
            | '\u{1680}'
            | '\u{180e}'
            | '\u{2000}'..='\u{200b}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

fn text() -> impl ValueGenerator<Output = String> {
    let picks = produce::<Vec<u8>>().with().len(0..7_usize);
    let piece = |pick: u8| PIECES[usize::from(pick) % PIECES.len()];
    picks.map_gen(move |picks| picks.into_iter().map(piece).collect())
}

const INPUTS: usize = 20_000;
const PIECES: [&str; 32] = [
    "alice",
    "bob",
    "é",
    "user_id:",
    "USER_ID:",
    "user_id",
    ":",
    "*",
    ",",
    "%20",
    "inbox:read:messages",
    "x23456789012345678901234567890123456789012345678901234567890123456789012345678901234567890",
    "\0",
    "\u{7f}",
    "\u{9f}",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\u{b}",
    "\u{c}",
    "\u{1f}",
    "\u{85}",
    "\u{a0}",
    "\u{180e}",
    "\u{2003}",
    "\u{200b}",
    "\u{2028}",
    "\u{202f}",
    "\u{205f}",
    "\u{3000}",
    "\u{feff}",
];
