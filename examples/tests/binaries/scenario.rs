//! What issue 2 calls the main job, with each example.

use futures_util::future::join_all;
use reqwest::Method;

use crate::{
    browser::{Browser, header, json},
    for_each_example,
    process::Example,
};

const TOKEN: &str = "/courier/token";

for_each_example!(the_main_job);

async fn the_main_job(binary: &str) {
    let example = Example::start(binary, &[]).await;
    let mut alice = Browser::new(&example.url);

    page(&alice, Example::name(binary)).await;
    signed_out(&alice).await;
    nobody_signs_in(&alice).await;

    alice.sign_in("alice").await;
    let token = one_token_for_all_requests(&alice).await;
    conditional(&alice, &token).await;
    methods_and_sites(&alice).await;
    assert_eq!(alice.calls().await, 1);

    let mut bob = Browser::new(&example.url);
    bob.sign_in("bob").await;
    let answer = bob.token().await;
    assert_eq!(answer["user_id"], "bob");
    assert!(
        answer["scope"]
            .as_str()
            .unwrap()
            .starts_with("user_id:bob ")
    );
    assert_eq!(alice.token().await["user_id"], "alice");
    assert_eq!(alice.calls().await, 2);

    let mut mallory = Browser::new(&example.url);
    mallory.sign_in("mallory user_id:alice").await;
    assert_eq!(mallory.get(TOKEN).await.status(), 500);
    assert_eq!(alice.calls().await, 2);

    let copy = alice.clone();
    alice.sign_out().await;
    signed_out(&alice).await;
    signed_out(&copy).await;
    assert_eq!(bob.token().await["user_id"], "bob");

    outage(&example).await;

    let (status, log) = example.terminate().await;
    assert_eq!(status.code(), Some(0));
    let calls: Vec<_> = log
        .iter()
        .filter(|line| line.contains("asked Courier for a token"))
        .collect();
    assert_eq!(calls.len(), 3, "{log:#?}");
    assert!(calls[0].contains("user_id=alice"));
    assert!(calls[1].contains("user_id=bob"));
    let emulator = log.iter().filter(|line| line.contains("an emulator"));
    assert_eq!(emulator.count(), 1);
    let all = log.concat();
    assert!(!all.contains(&token) && !all.contains("eyJ"), "{all}");
}

async fn page(browser: &Browser, name: &str) {
    let response = browser.get("/").await;
    assert_eq!(response.status(), 200);
    assert!(header(&response, "content-type").starts_with("text/html"));
    assert!(header(&response, "content-security-policy").contains("script-src 'self'"));
    let html = response.text().await.unwrap();
    assert!(html.contains(name) && !html.contains("{{"));
    for path in ["/app.js", "/style.css"] {
        assert_eq!(browser.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(browser.get("/nothing").await.status(), 404);
}

async fn signed_out(browser: &Browser) {
    let response = browser.get(TOKEN).await;
    assert_eq!(response.status(), 401);
    assert_eq!(
        header(&response, "content-type"),
        "application/problem+json"
    );
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(json(response).await["code"], "signed_out");
}

async fn nobody_signs_in(browser: &Browser) {
    for form in ["", "user=", "user=+", "name=alice"] {
        let response = browser.post_form("/login", form).await;
        assert_eq!(response.status(), 400, "{form}");
    }
    assert_eq!(browser.send(Method::POST, "/login").await.status(), 400);
}

/// Returns the token.
async fn one_token_for_all_requests(browser: &Browser) -> String {
    let at_once = join_all((0..200).map(|_| browser.token())).await;
    let first = &at_once[0];
    assert_eq!(first["user_id"], "alice");
    assert!(at_once.iter().all(|other| other["token"] == first["token"]));
    assert_eq!(browser.calls().await, 1);
    first["token"].as_str().unwrap().to_owned()
}

async fn conditional(browser: &Browser, token: &str) {
    let response = browser.get(TOKEN).await;
    assert_eq!(header(&response, "cache-control"), "no-store");
    let etag = header(&response, "etag").to_owned();
    let answer = json(response).await;
    assert_eq!(answer["token"], token);
    assert_eq!(
        format!("\"{}\"", answer["token_id"].as_str().unwrap()),
        etag
    );

    let request = browser.request(Method::GET, TOKEN);
    let response = request.header("if-none-match", &etag).send().await.unwrap();
    assert_eq!(response.status(), 304);
    assert_eq!(header(&response, "etag"), etag);
    assert!(header(&response, "retry-after").parse::<u64>().unwrap() > 60);
}

async fn methods_and_sites(browser: &Browser) {
    let get = browser.get(TOKEN).await;
    let head = browser.send(Method::HEAD, TOKEN).await;
    assert_eq!(head.status(), 200);
    for name in ["etag", "content-type", "content-length"] {
        assert_eq!(header(&head, name), header(&get, name), "{name}");
    }
    assert_eq!(browser.send(Method::POST, TOKEN).await.status(), 200);

    let put = browser.send(Method::PUT, TOKEN).await;
    assert_eq!(put.status(), 405);
    assert_eq!(header(&put, "allow"), "GET, HEAD, POST");

    let request = browser.request(Method::GET, TOKEN);
    let request = request.header("sec-fetch-site", "cross-site");
    assert_eq!(request.send().await.unwrap().status(), 403);
}

/// A new user gets an error that says when to come back; nobody else notices.
async fn outage(example: &Example) {
    let mut bob = Browser::new(&example.url);
    bob.sign_in("bob").await;
    let before = bob.token().await;
    assert_eq!(bob.send(Method::POST, "/demo/outage").await.status(), 200);
    assert_eq!(bob.token().await["token_id"], before["token_id"]);

    let mut carol = Browser::new(&example.url);
    carol.sign_in("carol").await;
    let response = carol.get(TOKEN).await;
    assert_eq!(response.status(), 503);
    assert!(header(&response, "retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(json(response).await["code"], "courier_unavailable");
    assert_eq!(bob.send(Method::DELETE, "/demo/outage").await.status(), 200);
}
