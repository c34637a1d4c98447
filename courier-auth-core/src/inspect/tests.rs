#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    time::{Duration, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    Code, Inspection, Purpose, Report,
    Severity::{self, Error, Info, Warning},
    times::duration,
};
use crate::scope::Scope;

fn inspection() -> Inspection {
    Inspection::new().at(UNIX_EPOCH + Duration::from_secs(NOW))
}

fn jwt(claims: &Value) -> String {
    with_header(&json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

fn with_header(header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signature = URL_SAFE_NO_PAD.encode([0xa5; 32]);
    format!("{}.{}.{signature}", encode(header), encode(claims))
}

/// A token as Courier makes them, with some claims changed; `null` takes one away.
fn token(changes: &Value) -> String {
    let mut claims = json!({
        "scope": "user_id:user-1 inbox:read:messages inbox:write:events",
        "tenant_scope": "published/production",
        "tenant_id": "00000000-0000-4000-8000-000000000000",
        "iat": NOW - 600,
        "exp": NOW + 3000,
        "jti": "5a3ad2a6-8a3f-4a1e-bb2c-0f2c5b1d7c11",
    });
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => claims.as_object_mut().unwrap().remove(name),
            value => claims
                .as_object_mut()
                .unwrap()
                .insert(name.clone(), value.clone()),
        };
    }
    jwt(&claims)
}

fn scoped(scope: &str) -> String {
    token(&json!({ "scope": scope }))
}

/// What there is to say but for what is said of every good token.
fn told(report: &Report) -> Vec<(Severity, Code)> {
    let usual = [
        Code::Expires,
        Code::PreferencesMissing,
        Code::PushTokensMissing,
        Code::BrandsMissing,
    ];
    let findings = report.findings.iter();
    findings
        .map(|finding| (finding.severity, finding.code))
        .filter(|finding| !usual.map(|code| (Info, code)).contains(finding))
        .collect()
}

#[test]
fn a_good_token_is_told_apart() {
    let report = inspection().user("user-1").of(&token(&json!({})));
    assert!(report.is_good());
    assert_eq!(report.worst(), Some(Info));
    assert_eq!(told(&report), []);
    assert_eq!(report.user_ids, ["user-1"]);
    assert_eq!(report.scopes, ["inbox:read:messages", "inbox:write:events"]);
    assert_eq!(report.issued_at, Some(NOW.cast_signed() - 600));
    assert_eq!(report.expires_at, Some(NOW.cast_signed() + 3000));
    assert_eq!(report.expires_in, Some(3000));
    assert_eq!(report.environment.as_deref(), Some("published/production"));
    assert_eq!(report.token_id.as_ref().map(String::len), Some(22));
    let full = format!(
        "user_id:user-1 {}",
        Scope::FULL
            .iter()
            .map(Scope::as_str)
            .collect::<Vec<_>>()
            .join(" ")
    );
    let report = inspection()
        .purposes([
            Purpose::Inbox,
            Purpose::Preferences,
            Purpose::PushTokens,
            Purpose::Brands,
        ])
        .of(&scoped(&full));
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].message, "It ends in 50 min.");
}

/// Every code is reached by one of these.
#[test]
fn each_code() {
    let good = token(&json!({}));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = head.split_once('.').unwrap();
    let cases: Vec<(Severity, Code, String)> = vec![
        (Error, Code::Empty, String::new()),
        (Error, Code::Placeholder, "undefined".into()),
        (Error, Code::Placeholder, "$COURIER_TOKEN".into()),
        (Error, Code::Placeholder, "<YOUR_JWT>".into()),
        (Error, Code::Placeholder, "your-jwt".into()),
        (Error, Code::ApiKey, "pk_prod_4VQ6ABCDEF".into()),
        (Error, Code::TooLong, "x".repeat(16 * 1024 + 1)),
        (Error, Code::TooLong, "x".repeat(1024 * 1024)),
        (Error, Code::NotAJwt, "opaque".into()),
        (Error, Code::NotAJwt, "5e2b2615.05ef1c".into()),
        (Error, Code::NotAJwt, format!("{good}.{signature}")),
        (Error, Code::NotAJwt, format!("{good}x")),
        (Error, Code::NotAJwt, format!("e30.{payload}.{signature}")),
        (Error, Code::Truncated, head.to_owned()),
        (Error, Code::Truncated, good[..good.len() - 3].to_owned()),
        (
            Error,
            Code::Truncated,
            format!("{header}.{}", &payload[..20]),
        ),
        (Error, Code::Truncated, format!("{head}.")),
        (
            Error,
            Code::Truncated,
            format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#)),
        ),
        (
            Warning,
            Code::UnusualAlgorithm,
            with_header(
                &json!({ "alg": "RS256" }),
                &json!({ "scope": "user_id:user-1 inbox:read:messages inbox:write:events", "exp": NOW + 600 }),
            ),
        ),
        (
            Warning,
            Code::NotFromCourier,
            token(&json!({ "iss": "https://login.example" })),
        ),
        (Error, Code::Expired, token(&json!({ "exp": NOW }))),
        (
            Error,
            Code::Expired,
            token(&json!({ "exp": NOW as f64 - 0.5 })),
        ),
        (
            Warning,
            Code::ExpiresSoon,
            token(&json!({ "exp": NOW + 50 })),
        ),
        (Warning, Code::NoExpiry, token(&json!({ "exp": null }))),
        (Error, Code::MalformedTime, token(&json!({ "exp": "soon" }))),
        (Error, Code::MalformedTime, token(&json!({ "exp": -1 }))),
        (
            Error,
            Code::MalformedTime,
            token(&json!({ "exp": (NOW + 60) * 1000 })),
        ),
        (
            Warning,
            Code::NotYetValid,
            token(&json!({ "iat": NOW + 120 })),
        ),
        (Error, Code::NotYetValid, token(&json!({ "nbf": NOW + 61 }))),
        (
            Warning,
            Code::ShortLived,
            token(&json!({ "iat": NOW, "exp": NOW + 30 })),
        ),
        (
            Warning,
            Code::LongLived,
            token(&json!({ "exp": NOW + 100 * 86_400 })),
        ),
        (
            Warning,
            Code::LongLived,
            token(&json!({ "iat": null, "exp": NOW + 100 * 86_400 })),
        ),
        (Error, Code::NoScope, token(&json!({ "scope": null }))),
        (
            Error,
            Code::NoScope,
            token(&json!({ "scope": ["user_id:a"] })),
        ),
        (
            Error,
            Code::NoUser,
            scoped("inbox:read:messages inbox:write:events"),
        ),
        (
            Error,
            Code::NoUser,
            scoped("user_id: inbox:read:messages inbox:write:events"),
        ),
        (
            Error,
            Code::SeveralUsers,
            scoped("user_id:bob user_id:alice inbox:read:messages inbox:write:events"),
        ),
        (
            Error,
            Code::WrongUser,
            scoped("user_id:bob inbox:read:messages inbox:write:events"),
        ),
        (
            Warning,
            Code::InboxWriteMissing,
            scoped("user_id:user-1 inbox:read:messages"),
        ),
        (
            Error,
            Code::InboxReadMissing,
            scoped("user_id:user-1 inbox:write:events"),
        ),
        (
            Info,
            Code::TenantScope,
            scoped("user_id:user-1 inbox:read:messages inbox:write:events tenant:acme:read"),
        ),
        (
            Warning,
            Code::WildcardScope,
            scoped("user_id:user-1 inbox:read:messages inbox:write:events tenant:*:*"),
        ),
        (
            Warning,
            Code::UnknownScope,
            scoped("user_id:user-1 inbox:read:messages inbox:write:events inbox:read:write"),
        ),
        (
            Warning,
            Code::SurroundingWhitespace,
            format!("\u{feff}{good}\r\n"),
        ),
        (
            Error,
            Code::WhitespaceInside,
            format!("{}\n{}", &good[..80], &good[80..]),
        ),
        // A template over several lines: who splits at spaces sees one scope there.
        (
            Warning,
            Code::WhitespaceInside,
            scoped("user_id:user-1 inbox:read:messages\n  inbox:write:events"),
        ),
        (Warning, Code::Quoted, format!("\u{201c}{good}\u{201d}")),
        (Warning, Code::BearerPrefix, format!("bearer {good}")),
        (
            Info,
            Code::JsonWrapper,
            json!({ "token": good, "expires_in": 5 }).to_string(),
        ),
    ];
    let mut reached = BTreeSet::from([
        // Those that are said of every good token, and those that other tests have.
        Code::Expires,
        Code::PreferencesMissing,
        Code::PushTokensMissing,
        Code::BrandsMissing,
        Code::OddUserId,
    ]);
    for (severity, code, text) in cases {
        let report = inspection().user("user-1").of(&text);
        assert_eq!(told(&report), [(severity, code)], "{code}: {report:#?}");
        assert_eq!(report.is_good(), severity != Error);
        reached.insert(code);
    }
    let all: BTreeSet<_> = Code::ALL.iter().copied().collect();
    assert_eq!(reached, all);
}

#[test]
fn a_login_of_another_service_is_no_token_of_couriers() {
    let claims = json!({ "sub": "user-1", "iss": "https://login.example", "exp": NOW + 600 });
    let report = inspection().of(&jwt(&claims));
    assert_eq!(
        told(&report),
        [(Error, Code::NotFromCourier), (Error, Code::NoScope)]
    );
    assert!(report.findings[0].message.contains("`iss`, `sub`"));
}

/// As `curl` prints them, when it has not sent the session along.
#[test]
fn an_answer_without_a_token_is_no_placeholder() {
    let problem = json!({
        "status": 401, "title": "Unauthorized", "code": "signed_out",
        "detail": "Nobody is signed in. Sign in to this app and ask again.",
    });
    for answer in [
        problem.to_string(),
        format!("{problem:#}\n"),
        json!({ "token": null }).to_string(),
        "{}".into(),
    ] {
        let report = inspection().of(&answer);
        assert_eq!(told(&report), [(Error, Code::JsonWrapper)], "{answer}");
        assert!(report.findings[0].message.contains("gave none"));
    }
    for page in [
        "<!DOCTYPE html>\n<p>Log in</p>\n</html>",
        " <html></html>",
        // Of a gateway, and of a store of files.
        "<h1>502 Bad Gateway</h1>\n",
        "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>",
    ] {
        let report = inspection().of(page);
        assert_eq!(told(&report), [(Error, Code::NotAJwt)], "{page}");
        assert!(report.findings[0].message.contains("a page"));
    }
    // Many a login is an app of its own.
    let large = format!("<!doctype html><script>{}</script>", "x".repeat(100_000));
    let report = inspection().of(&large);
    assert_eq!(told(&report), [(Error, Code::NotAJwt)]);
    for placeholder in ["{token}", "{{ token }}", "<token>"] {
        assert!(
            inspection().of(placeholder).has(Code::Placeholder),
            "{placeholder}"
        );
    }
}

#[test]
fn the_head_of_an_answer_is_not_part_of_the_token() {
    let good = json!({ "token": token(&json!({})) });
    let none = json!({ "status": 401, "code": "signed_out" });
    for head in [
        "HTTP/1.1 200 OK\r\netag: \"x\"\r\n\r\n",
        "HTTP/2 200\netag: \"x\"\n\n",
        "HTTP/1.1 200 Connection established\r\n\r\nHTTP/2 200\r\n\r\n",
        "\nHTTP/2 200\r\n\r\n",
    ] {
        let of = |body: &str| inspection().of(&format!("{head}{body}"));
        let report = of(&good.to_string());
        assert_eq!(told(&report), [(Info, Code::JsonWrapper)], "{head}");
        assert_eq!(report, inspection().of(&good.to_string()));
        let report = of(&none.to_string());
        assert_eq!(told(&report), [(Error, Code::JsonWrapper)], "{head}");
        for none in [head, head.trim_end()] {
            let report = inspection().of(none);
            assert_eq!(told(&report), [(Error, Code::Empty)], "{none}");
        }
    }
}

/// As another route or a page has it: there is one, only elsewhere.
#[test]
fn a_token_among_other_things_is_no_placeholder_and_was_given() {
    let good = token(&json!({}));
    for answer in [
        json!({ "jwt": good }),
        json!({ "data": { "token": good } }),
        json!({ "headers": [format!("Bearer {good}")] }),
    ] {
        let report = inspection().of(&answer.to_string());
        assert_eq!(told(&report), [(Error, Code::JsonWrapper)], "{answer}");
        let message = &report.findings[0].message;
        assert!(message.contains("copy the token alone"), "{message}");
    }
    for snippet in [
        format!("<meta name=\"token\" content=\"{good}\">"),
        format!("{{ token: '{good}' }}"),
        format!("['{good}']"),
    ] {
        let report = inspection().of(&snippet);
        assert!(!report.is_good(), "{snippet}");
        assert!(!report.has(Code::Placeholder), "{snippet}");
        assert!(report.has(Code::NotAJwt), "{snippet}");
    }
}

/// Which the client takes for a token that never ends, too.
#[test]
fn an_exp_of_null_is_none() {
    let mut claims = json!({ "scope": "user_id:user-1 inbox:read:messages inbox:write:events" });
    let without = inspection().of(&jwt(&claims));
    claims["exp"] = Value::Null;
    let report = inspection().of(&jwt(&claims));
    assert_eq!(told(&report), [(Warning, Code::NoExpiry)]);
    assert_eq!(report.findings, without.findings);
}

#[test]
fn layers_come_off_one_by_one() {
    let good = token(&json!({}));
    let text = format!(" \"Authorization: Bearer '{good}'\"\n");
    let report = inspection().of(&text);
    let codes: Vec<_> = told(&report).into_iter().map(|(_, code)| code).collect();
    assert_eq!(
        codes,
        [
            Code::SurroundingWhitespace,
            Code::Quoted,
            Code::BearerPrefix
        ]
    );
    assert_eq!(report.user_ids, ["user-1"]);
    // The fingerprint is the token's, not that of what is around it.
    assert_eq!(report.token_id, inspection().of(&good).token_id);
}

#[test]
fn what_is_asked_for_must_be_there() {
    let minimal = token(&json!({}));
    for (purpose, code) in [
        (Purpose::Preferences, Code::PreferencesMissing),
        (Purpose::PushTokens, Code::PushTokensMissing),
        (Purpose::Brands, Code::BrandsMissing),
    ] {
        let report = inspection().purposes([purpose]).of(&minimal);
        assert_eq!(told(&report), [(Error, code)]);
    }
    let half = scoped("user_id:u read:preferences read:brands:b1");
    let report = inspection().purposes([Purpose::Preferences]).of(&half);
    assert_eq!(told(&report), [(Error, Code::PreferencesMissing)]);
    assert!(
        report.findings[0]
            .message
            .starts_with("`write:preferences` is")
    );
    let report = inspection().purposes([Purpose::Brands]).of(&half);
    assert!(report.is_good(), "one brand is a brand: {report:?}");
}

#[test]
fn sentences_that_help() {
    for (scope, said) in [
        ("inbox:read:message", "Is `inbox:read:messages` meant?"),
        ("messages:inbox:read", "Is `inbox:read:messages` meant?"),
        ("read:tokens", "without complaint."),
        ("read\u{1b}[31m", r"`read\u{1b}[31m`"),
    ] {
        let report = inspection().of(&scoped(&format!("user_id:u {scope}")));
        let mut findings = report.findings.iter();
        let finding = findings.find(|finding| finding.code == Code::UnknownScope);
        assert!(finding.unwrap().message.contains(said), "{finding:?}");
    }
    // The whole id and not the beginning of one.
    for user in ["user-", "user-11", ""] {
        let report = inspection().user(user).of(&token(&json!({})));
        assert!(report.has(Code::WrongUser), "{user}");
    }
    let report = inspection().user("USER-1").of(&token(&json!({})));
    assert!(report.findings[0].message.contains("upper and lower case"));
    let odd = format!("user_id:{} inbox:read:messages", "x".repeat(300));
    let report = inspection().user("user-1").of(&scoped(&odd));
    assert!(report.has(Code::OddUserId) && report.has(Code::WrongUser));
    assert!(
        report
            .findings
            .iter()
            .all(|finding| finding.message.len() < 500)
    );
}

#[test]
fn a_report_is_json() {
    let report = inspection().of(&token(&json!({ "exp": NOW - 90 })));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["findings"][0]["code"], "expired");
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["expires_in"], -90);
    for code in Code::ALL {
        assert_eq!(json!(code), code.as_str());
        let known = |c: char| c.is_ascii_lowercase() || c == '-';
        assert!(code.as_str().chars().all(known), "{code}");
    }
}

#[test]
fn durations_have_two_units() {
    for (seconds, text) in [
        (0.0, "0 s"),
        (0.4, "0 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (3599.0, "59 min 59 s"),
        (3601.0, "1 h"),
        (90_061.0, "1 d 1 h"),
        (86_460.0, "1 d"),
        (1e11, "1157407 d 9 h"),
    ] {
        assert_eq!(duration(seconds), text);
    }
}

const NOW: u64 = 1_800_000_000;
