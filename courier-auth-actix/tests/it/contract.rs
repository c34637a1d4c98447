//! The wire contract that all adapters share, over a real socket: what HEAD and 304 look like is
//! up to the server too.

use crate::{
    endpoint::{self, PATHS, Seen},
    support::{Server, TOKEN, by_header, head},
};

#[actix_web::test]
async fn the_adapter_keeps_the_contract() {
    endpoint::run_cases(&PATHS, async |setup, request| {
        let courier = by_header(setup.provider.clone()).allow_cross_site(setup.allow_cross_site);
        let server = Server::with(&courier);
        let query = request.query.as_deref().map(|query| format!("?{query}"));
        let target = format!("/courier{}{}", request.path, query.unwrap_or_default());
        let headers = request.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let answer = server.ask(&head(&request.method, &target, &headers)).await;
        Seen {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
        }
    })
    .await;
}

#[actix_web::test]
async fn head_announces_the_length_that_get_has() {
    let emulator = crate::support::emulator().await;
    let server = Server::with(&by_header(crate::support::provider(&emulator)));
    for user in [None, Some("user-1")] {
        let headers: Vec<_> = user
            .iter()
            .map(|user| (endpoint::USER_HEADER, *user))
            .collect();
        let get = server.ask(&head("GET", TOKEN, &headers)).await;
        let asked = server.ask(&head("HEAD", TOKEN, &headers)).await;
        assert_eq!(asked.status, get.status);
        assert_eq!(asked.body, "");
        let length = |answer: &crate::support::Answer| -> usize {
            answer.header("content-length").unwrap().parse().unwrap()
        };
        assert_eq!(length(&get), get.body.len());
        // Of the numbers in the body, one may have lost a digit meanwhile.
        assert!(length(&asked).abs_diff(length(&get)) <= 2);
        let names = |answer: &crate::support::Answer| -> Vec<String> {
            let mut names: Vec<_> = answer
                .headers
                .iter()
                .map(|(name, _)| name.clone())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&asked), names(&get));
    }
}

#[actix_web::test]
async fn options_and_methods_of_ones_own_are_refused() {
    let emulator = crate::support::emulator().await;
    let server = Server::with(&by_header(crate::support::provider(&emulator)));
    for method in ["OPTIONS", "TRACE", "QUERY", "FROBNICATE"] {
        for (path, allow, cache) in [
            (TOKEN, "GET, HEAD, POST", "no-store"),
            (SCRIPT, "GET, HEAD", "no-cache"),
        ] {
            let answer = server.ask(&head(method, path, &[])).await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.code(), "method_not_allowed");
            assert_eq!(answer.header("allow"), Some(allow));
            assert_eq!(answer.header("cache-control"), Some(cache));
        }
    }
}

const SCRIPT: &str = "/courier/session.js";
