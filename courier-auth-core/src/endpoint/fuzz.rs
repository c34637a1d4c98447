//! Whatever a browser sends: a token that it holds is recognised if its tag stands there, and
//! only then.
//!
//! Inputs are the files in `__fuzz__` and random ones. `BOLERO_RANDOM_ITERATIONS=1000000` makes
//! more of them; a failure prints its seed, which `BOLERO_RANDOM_SEED` repeats.

use std::panic::AssertUnwindSafe;

use bolero::{TypeGenerator, ValueGenerator, check, produce};

use super::{Call, Endpoint};
use crate::{provider::TokenProvider, token::TokenId};

/// The input is lines of `If-None-Match`.
#[test]
fn any_tags() {
    let endpoint = endpoint();
    check!().with_iterations(INPUTS).for_each(|input| {
        let lines: Vec<_> = input.split(|byte| *byte == b'\n').collect();
        let held = accept(&endpoint, "GET", None, &lines)
            .held
            .contains(&ours());
        let read: Option<Vec<_>> = lines.iter().map(|line| is_named(line)).collect();
        match read {
            Some(named) => assert_eq!(held, named.contains(&true)),
            // Not what RFC 9110 allows: at least nothing is made up.
            None => assert!(!held || lines.iter().any(|line| stands_in(line))),
        }
    });
}

#[test]
fn lists_of_tags() {
    let endpoint = endpoint();
    check!()
        .with_iterations(INPUTS)
        .with_generator((produce::<bool>(), few(few(produce::<Tag>()))))
        .for_each(|(post, lists)| {
            let lines: Vec<_> = lists.iter().map(|list| line(list)).collect();
            let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
            let wanted = lists.iter().any(|list| {
                let ours = |tag: &Tag| matches!(tag, Tag::Ours { .. });
                list.iter().any(ours) || matches!(list[..], [Tag::Any])
            });
            let method = if *post { "POST" } else { "HEAD" };
            let call = accept(&endpoint, method, None, &lines);
            assert_eq!(call.held.contains(&ours()), wanted && !post);
        });
}

/// The input is a query.
#[test]
fn any_query() {
    let endpoint = endpoint();
    check!().with_iterations(INPUTS).for_each(|input| {
        query_is_read(&endpoint, &String::from_utf8_lossy(input));
    });
}

#[test]
fn pairs_of_a_query() {
    let endpoint = endpoint();
    check!()
        .with_iterations(INPUTS)
        .with_generator(few(produce::<Piece>()))
        .for_each(|pieces| {
            let query: String = pieces.iter().map(Piece::text).collect();
            query_is_read(&endpoint, &query);
        });
}

#[test]
fn any_method_and_site() {
    let endpoint = endpoint();
    check!()
        .with_iterations(INPUTS)
        .with_type::<(Vec<u8>, Method, Option<Site>)>()
        .for_each(|(bytes, method, site)| {
            let text = String::from_utf8_lossy(bytes);
            let method = match method {
                Method::Get => "GET",
                Method::Head => "HEAD",
                Method::Post => "POST",
                Method::Any => &text,
            };
            let value: &[u8] = match site {
                Some(Site::Cross) => b" Cross-Site",
                Some(Site::Same) => b"same-origin",
                Some(Site::Any) => bytes,
                None => b"",
            };
            let headers = site.iter().map(|_| ("Sec-Fetch-Site", value));
            let refusal = endpoint.accept(method, None, headers).err();
            let cross = value.trim_ascii().eq_ignore_ascii_case(b"cross-site");
            let wanted = match method {
                "GET" | "HEAD" | "POST" => cross.then_some(403),
                _ => Some(405),
            };
            assert_eq!(refusal.map(|reply| reply.status()), wanted, "{method:?}");
        });
}

/// The first `rejected=` counts, if an id follows it, escaped or not.
fn query_is_read(endpoint: &Endpoint, query: &str) {
    let mut pairs = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (unescaped(name), unescaped(value))
    });
    let value = pairs.find_map(|(name, value)| (name == b"rejected").then_some(value));
    let id = |value: &Vec<u8>| {
        let digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        value.len() == 22 && value.iter().all(digit)
    };
    let call = accept(endpoint, "GET", Some(query), &[]);
    let rejected = call.rejected.as_ref().map(|id| id.as_bytes().to_vec());
    assert_eq!(rejected, value.filter(id), "{query:?}");
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let digits = piece.get(..2).filter(|digits| !digits.starts_with('+'));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&piece.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend(piece.as_bytes());
            }
        }
    }
    bytes
}

/// Whether a line names our token, as RFC 9110 reads it; `None` if that does not allow the line.
fn is_named(line: &[u8]) -> Option<bool> {
    if line.trim_ascii() == b"*" {
        return Some(true);
    }
    let mut rest = line;
    let mut named = false;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(quoted) = rest.strip_prefix(b"W/").unwrap_or(rest).strip_prefix(b"\"") {
            let end = quoted.iter().position(|byte| *byte == b'"')?;
            let (tag, after) = quoted.split_at(end);
            if !tag.iter().all(may_be_in_a_tag) {
                return None;
            }
            named |= tag == OURS.as_bytes();
            rest = after[1..].trim_ascii_start();
        }
        match rest {
            [] => return Some(named),
            [b',', more @ ..] => rest = more,
            _ => return None,
        }
    }
}

fn stands_in(line: &[u8]) -> bool {
    let tag = format!("\"{OURS}\"");
    line.contains(&b'*') || line.windows(tag.len()).any(|part| part == tag.as_bytes())
}

fn may_be_in_a_tag(byte: &u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

fn accept(endpoint: &Endpoint, method: &str, query: Option<&str>, lines: &[&[u8]]) -> Call {
    let headers = lines.iter().map(|line| ("If-None-Match", *line));
    let call = endpoint.accept(method, query, headers);
    call.expect("the method is answered and the page our own")
}

/// A panic ends the test: what state it left does not matter.
fn endpoint() -> AssertUnwindSafe<Endpoint> {
    let provider = TokenProvider::builder("pk_test").build();
    AssertUnwindSafe(Endpoint::new(provider.expect("a provider")))
}

fn ours() -> TokenId {
    TokenId::parse(OURS).expect("an id")
}

fn few<T: TypeGenerator>(
    items: impl ValueGenerator<Output = T>,
) -> impl ValueGenerator<Output = Vec<T>> {
    produce::<Vec<T>>().with().len(0..5_usize).values(items)
}

fn line(list: &[Tag]) -> Vec<u8> {
    let tags: Vec<_> = list.iter().map(Tag::bytes).collect();
    tags.join(&b","[..])
}

/// An element of `If-None-Match`.
#[derive(Debug, TypeGenerator)]
enum Tag {
    Ours { weak: bool, spaces: u8 },
    Foreign(Vec<u8>),
    Unquoted,
    HalfQuoted,
    WronglyWeak,
    Longer,
    Empty,
    Any,
}

impl Tag {
    fn bytes(&self) -> Vec<u8> {
        let text = match self {
            Self::Ours { weak, spaces } => {
                let spaces = " \t".repeat((spaces % 3).into());
                let weak = if *weak { "W/" } else { "" };
                format!("{spaces}{weak}\"{OURS}\"{spaces}")
            }
            Self::Foreign(bytes) => {
                let tag = bytes.iter().copied().filter(may_be_in_a_tag);
                return [vec![b'"'], tag.collect(), vec![b'"']].concat();
            }
            Self::Unquoted => OURS.into(),
            Self::HalfQuoted => format!("\"{OURS}"),
            Self::WronglyWeak => format!("w/\"{OURS}\""),
            Self::Longer => format!("\"{OURS}A\""),
            Self::Empty => String::new(),
            Self::Any => "*".into(),
        };
        text.into()
    }
}

/// A piece of a query.
#[derive(Debug, TypeGenerator)]
enum Piece {
    And,
    Name,
    Ours,
    NamedOurs,
    Escaped,
    Char(char),
    Text(String),
}

impl Piece {
    fn text(&self) -> String {
        match self {
            Self::And => "&".into(),
            Self::Name => "rejected=".into(),
            Self::Ours => OURS.into(),
            Self::NamedOurs => format!("&rejected={OURS}"),
            Self::Escaped => OURS.replace('_', "%5F"),
            Self::Char(c) => c.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

#[derive(Debug, TypeGenerator)]
enum Method {
    Get,
    Head,
    Post,
    Any,
}

#[derive(Debug, TypeGenerator)]
enum Site {
    Cross,
    Same,
    Any,
}

const INPUTS: usize = 20_000;
const OURS: &str = "hkzAOoyVoVoTQz_Iwlc8pQ";
