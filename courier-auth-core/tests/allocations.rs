//! What a cached token allocates, exactly, and what it weighs.

use allocation_counter::measure;
use courier_auth_core::{
    Scope, TokenProvider, TokenRequest,
    emulator::{Emulator, EmulatorServer},
    endpoint::Endpoint,
};
use futures_util::FutureExt;

/// A provider that has cached these requests' tokens.
async fn cached(requests: &[&TokenRequest]) -> (EmulatorServer, TokenProvider) {
    let courier = Emulator::start().await.expect("an emulator");
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .build()
        .expect("a provider");
    for request in requests {
        provider.token(request).await.expect("a token");
    }
    (courier, provider)
}

/// Bytes that a provider holds which has cached so many users, and how long their tokens and ids are.
async fn weight(users: usize, request: fn(&str) -> TokenRequest) -> (i64, usize) {
    let courier = Emulator::start().await.expect("an emulator");
    let provider = TokenProvider::builder(courier.api_key())
        .base_url(courier.url())
        .max_users(users.max(1))
        .build()
        .expect("a provider");
    let mut held = 0;
    for user in 0..users {
        let name = format!("user-{user:06}");
        let token = provider.token(&request(&name)).await;
        held += token.expect("a token").as_str().len() + name.len();
    }
    let freed = measure(|| drop(provider)).bytes_current;
    (-freed, held)
}

/// The map's part of it included, with room for as many users as it may hold.
#[tokio::test]
async fn a_user_weighs_little_more_than_the_token() {
    weighs_little_more_than_the_token(|user| TokenRequest::for_user(user)).await;
}

/// Each request makes its scopes anew, and they are kept once.
#[tokio::test]
async fn scopes_of_the_hooks_own_weigh_nothing() {
    let request = |user: &str| TokenRequest::for_user(user).scopes(Scope::FULL);
    weighs_little_more_than_the_token(request).await;
}

async fn weighs_little_more_than_the_token(request: fn(&str) -> TokenRequest) {
    const USERS: usize = 4096;
    let (empty, _) = weight(0, request).await;
    let (full, held) = weight(USERS, request).await;
    let each = (full - empty) as f64 / USERS as f64;
    let held = held as f64 / USERS as f64;
    // Beside the texts: what is known of the token, and its place in the map.
    let most = held + 145.0;
    assert!(
        each <= most,
        "{each:.0} bytes, of which token and id are {held:.0}"
    );
}

/// How many allocations it makes, and how many of them it leaves behind.
fn allocations(call: impl FnOnce()) -> u64 {
    measure(call).count_total
}

#[tokio::test]
async fn a_fresh_token_is_none() {
    let request = TokenRequest::for_user("user-1");
    let (courier, provider) = cached(&[&request]).await;
    let held = provider.token(&request).await.expect("a token").id();
    let count = allocations(|| {
        let token = provider.token(&request).now_or_never();
        assert!(token.is_some_and(|token| token.is_ok()));
        let token = provider.refresh(&request, &held).now_or_never();
        assert!(token.is_some_and(|token| token.is_ok()));
    });
    assert_eq!(count, 0);
    assert_eq!(courier.token_requests(), 1);
}

#[tokio::test]
async fn nor_is_one_of_a_user_with_several() {
    let inbox = TokenRequest::for_user("user-1");
    let preferences = TokenRequest::for_user("user-1").scopes(Scope::RECOMMENDED);
    let (courier, provider) = cached(&[&inbox, &preferences]).await;
    let count = allocations(|| {
        for request in [&inbox, &preferences, &inbox] {
            let token = provider.token(request).now_or_never();
            assert!(token.is_some_and(|token| token.is_ok()));
        }
    });
    assert_eq!(count, 0);
    assert_eq!(courier.token_requests(), 2);
}

/// The body.
#[tokio::test]
async fn the_endpoints_answer_is_one() {
    let request = TokenRequest::for_user("user-1");
    let (_courier, provider) = cached(&[&request]).await;
    let endpoint = Endpoint::new(provider);
    let mut status = 0;
    let count = allocations(|| {
        let call = endpoint.accept("GET", None, []).expect("an accepted call");
        let reply = endpoint.reply(&call, Some(request)).now_or_never();
        let reply = reply.expect("no waiting");
        status = reply.status();
        assert_eq!(reply.headers().count(), 6);
    });
    assert_eq!((status, count), (200, 1));
}

/// The list of the ids that the browser holds.
#[tokio::test]
async fn not_modified_is_one_too() {
    let request = TokenRequest::for_user("user-1");
    let (_courier, provider) = cached(&[&request]).await;
    let held = provider.token(&request).await.expect("a token").id();
    let tag = format!("\"{held}\"");
    let endpoint = Endpoint::new(provider);
    let mut status = 0;
    let count = allocations(|| {
        let headers = [("if-none-match", tag.as_bytes())];
        let call = endpoint.accept("GET", None, headers);
        let call = call.expect("an accepted call");
        let reply = endpoint.reply(&call, Some(request)).now_or_never();
        status = reply.expect("no waiting").status();
    });
    assert_eq!((status, count), (304, 1));
}
