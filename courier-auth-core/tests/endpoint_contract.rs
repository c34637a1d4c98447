//! The token endpoint's wire contract, without a framework.

mod endpoint;

use courier_auth_core::{TokenRequest, endpoint::Endpoint};
use endpoint::{PATHS, Seen, USER_HEADER};

#[tokio::test]
async fn the_core_keeps_the_contract() {
    endpoint::run_cases(&PATHS, async |setup, request| {
        let endpoint =
            Endpoint::new(setup.provider.clone()).allow_cross_site(setup.allow_cross_site);
        let headers = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let query = request.query.as_deref();
        let reply = match &*request.path {
            Endpoint::SCRIPT_PATH => Endpoint::script(&request.method, headers),
            _ => match endpoint.accept(&request.method, query, headers) {
                Err(refusal) => refusal,
                Ok(call) => {
                    let user = request.headers.iter().find(|(name, _)| name == USER_HEADER);
                    let signed_in = user.map(|(_, user)| TokenRequest::for_user(user));
                    endpoint.reply(&call, signed_in).await
                }
            },
        };
        let mut headers: Vec<_> = reply
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        headers.extend(
            reply
                .content_length()
                .map(|length| ("content-length".to_owned(), length.to_string())),
        );
        Seen {
            status: reply.status(),
            headers,
            body: reply.body().to_owned(),
        }
    })
    .await;
}
