//! What a user, tenant or brand id may be, seen from outside: an id that could ask for more than
//! its own token is refused before a byte leaves.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use courier_auth_core::{
    ErrorKind, Scope, TokenProvider, TokenRequest, UserId, emulator::Emulator,
};
use proptest::prelude::*;

/// Ids that smuggle, or that no system makes.
fn bad_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "",
        " ",
        "bob user_id:alice",
        "bob\tuser_id:alice",
        "bob\nuser_id:alice",
        "bob\r\nuser_id:alice",
        "bob\u{0b}user_id:alice",
        "bob\u{0c}user_id:alice",
        "bob\u{85}user_id:alice",
        "bob\u{a0}user_id:alice",
        "bob\u{1680}user_id:alice",
        "bob\u{180e}user_id:alice",
        "bob\u{2003}user_id:alice",
        "bob\u{200b}user_id:alice",
        "bob\u{2028}user_id:alice",
        "bob\u{202f}user_id:alice",
        "bob\u{3000}user_id:alice",
        "bob\u{feff}user_id:alice",
        "bob\0",
        "bob\u{7f}",
        "bob\u{9f}",
        "*",
        "bob*",
        " bob",
        "bob ",
    ]
    .map(str::to_owned)
    .into();
    ids.push("x".repeat(257));
    ids.push("x".repeat(1024 * 1024));
    ids.push("ü".repeat(129));
    ids
}

#[tokio::test]
async fn a_bad_user_id_is_refused_before_a_byte_leaves() {
    let courier = Emulator::start().await.unwrap();
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap();
    for id in bad_ids() {
        let error = provider
            .token(&TokenRequest::for_user(id.as_str()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{id:?}");
        assert!(!error.is_transient());
        assert!(error.to_string().len() < 200, "the id is not repeated");
        assert!(UserId::new(&id).is_err());
    }
    assert_eq!(courier.calls().len(), 0);
    assert_eq!(provider.status().users, 0);
}

#[tokio::test]
async fn who_can_sign_in_can_sign_out() {
    let courier = Emulator::start().await.unwrap();
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .unwrap();
    let id = UserId::new("42").unwrap();
    let owned = "42".to_owned();
    let forget: [&dyn Fn(); 6] = [
        &|| provider.invalidate(42_u64),
        &|| provider.invalidate("42"),
        &|| provider.invalidate(&owned),
        &|| provider.invalidate(owned.clone()),
        &|| provider.invalidate(&id),
        &|| provider.invalidate(id.clone()),
    ];
    for (calls, forget) in forget.into_iter().enumerate() {
        for _ in 0..2 {
            provider.token(&TokenRequest::for_user(42)).await.unwrap();
            assert_eq!(courier.token_requests_for("42"), calls + 1);
        }
        forget();
    }
    provider.token(&TokenRequest::for_user(42)).await.unwrap();
    for id in bad_ids() {
        provider.invalidate(id); // there is no token for it
    }
    assert_eq!(provider.status().users, 1);
}

#[test]
fn bad_tenant_and_brand_ids_are_refused() {
    let mut ids = bad_ids();
    ids.extend(["acme:read".into(), ":".into(), "a:*".into()]);
    for id in ids {
        for scope in [
            Scope::read_brand(&id),
            Scope::write_brand(&id),
            Scope::tenant_read(&id),
            Scope::tenant_notification_read(&id),
            Scope::tenant_notification_write(&id),
            Scope::tenant_brand_read(&id),
            Scope::tenant_brand_write(&id),
        ] {
            assert_eq!(scope.unwrap_err().kind(), ErrorKind::InvalidInput, "{id:?}");
        }
    }
}

#[test]
fn scopes_cannot_name_a_user_or_hold_several() {
    for scope in bad_ids().iter().map(String::as_str).chain([
        "user_id:alice",
        "USER_ID:alice",
        "user_id:",
        "read:lists write:lists",
    ]) {
        assert!(Scope::new(scope).is_err(), "{scope:?}");
    }
    assert_eq!(Scope::new("user_idx").unwrap().as_str(), "user_idx");
}

#[test]
fn requests_are_equal_if_they_ask_for_the_same() {
    let minute = Duration::from_secs(60);
    let plain = || TokenRequest::for_user("7");
    assert_eq!(plain(), TokenRequest::for_user(7));
    let scopes = [Scope::READ_BRANDS, Scope::INBOX_READ_MESSAGES];
    let reversed = scopes.iter().rev();
    assert_eq!(plain().scopes(&scopes), plain().scopes(reversed));
    let bad = TokenRequest::for_user("a b");
    assert_eq!(bad, TokenRequest::for_user("c d"));
    for other in [
        TokenRequest::for_user("8"),
        plain().scopes(&scopes),
        plain().scopes(Scope::MINIMAL),
        plain().lifetime(minute),
        plain().lifetime(minute * 2),
        plain().lifetime(Duration::ZERO),
        TokenRequest::for_user(""),
        bad,
    ] {
        assert_ne!(plain(), other);
        assert_eq!(other, other.clone());
    }
    assert_ne!(plain().lifetime(minute), plain().lifetime(minute * 2));
}

#[test]
fn documented_scopes() {
    for (scope, written) in [
        (Scope::read_brand("b1").unwrap(), "read:brands:b1"),
        (Scope::write_brand("b1").unwrap(), "write:brands:b1"),
        (Scope::tenant_read("acme").unwrap(), "tenant:acme:read"),
        (
            Scope::tenant_notification_read("acme").unwrap(),
            "tenant:acme:notification:read",
        ),
        (
            Scope::tenant_notification_write("acme").unwrap(),
            "tenant:acme:notification:write",
        ),
        (
            Scope::tenant_brand_read("acme").unwrap(),
            "tenant:acme:brand:read",
        ),
        (
            Scope::tenant_brand_write("acme").unwrap(),
            "tenant:acme:brand:write",
        ),
    ] {
        assert_eq!(scope.as_str(), written);
    }
}

#[tokio::test]
async fn bad_scopes_and_lifetimes_are_told_where_they_are_used() {
    let provider = TokenProvider::builder("pk_test").build().unwrap();
    let year = Duration::from_secs(366 * 24 * 60 * 60);
    let nothing: [Scope; 0] = [];
    for request in [
        TokenRequest::for_user(1).scopes(&nothing),
        TokenRequest::for_user(1).lifetime(Duration::ZERO),
        TokenRequest::for_user(1).lifetime(Duration::from_secs(9)),
        TokenRequest::for_user(1).lifetime(11 * year),
        TokenRequest::for_user(1).lifetime(Duration::MAX),
    ] {
        let error = provider.token(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let build = |lifetime| TokenProvider::builder("pk_test").lifetime(lifetime).build();
    assert!(build(Duration::from_millis(9_999)).is_err());
    assert!(build(Duration::from_secs(10)).is_ok());
    assert!(
        TokenProvider::builder("pk_test")
            .scopes(&nothing)
            .build()
            .is_err()
    );
    assert!(
        TokenProvider::builder("pk_test")
            .max_users(0)
            .build()
            .is_err()
    );
}

proptest! {
    /// Whatever the id: it is refused, or it is one word of the scope string, and it is the user.
    #[test]
    fn an_accepted_id_is_one_word(id in any::<String>()) {
        if let Ok(user) = UserId::new(&id) {
            prop_assert_eq!(user.as_str(), &id);
            let scope = format!("user_id:{user} inbox:read:messages");
            let words: Vec<_> = scope.split(char::is_whitespace).collect();
            let wanted = format!("user_id:{id}");
            prop_assert_eq!(words, [wanted.as_str(), "inbox:read:messages"]);
        }
    }

    #[test]
    fn usual_ids_are_accepted(id in "[A-Za-z0-9|:@._+/=#~-]{1,256}") {
        prop_assert!(UserId::new(&id).is_ok());
    }

    #[test]
    fn integers_are_ids(id in any::<i128>()) {
        prop_assert_eq!(UserId::from(id), UserId::new(id.to_string()).unwrap());
    }
}
