//! What a backend does to messages that were sent.

use std::time::Duration;

use reqwest::{Url, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::{
    CourierClient, answer::Asked, api_key::bearer, builder::address, configuration, exchange,
};
use crate::{
    error::{Error, ErrorKind},
    request::{TokenRequest, UserId, is_space},
    retry::with_retries,
    scope::Scope,
    token::Token,
};

/// Keeping the Inbox in step with other channels.
///
/// Courier marks a message of the Inbox read when the e-mail about it is opened, by an image in that
/// e-mail, unless the Courier Inbox provider is set to `optOutOfInboxSync`. Mail programs that load
/// no images leave the message unread, and nothing in the e-mail can change that. An app that knows
/// better, for example because the user followed the link in the e-mail, can say so with these
/// calls. With `optOutOfInboxSync` they are the only way to keep the channels in step.
impl CourierClient {
    /// Marks a message read in a user's Inbox.
    ///
    /// Courier's REST API has no call for this; its inbox API does, and needs a token of that user. So
    /// this issues a token for one minute with the one scope needed
    /// ([`Scope::INBOX_WRITE_EVENTS`]), and does what the user's browser would. The message id is the
    /// request id that `/send` answered with, followed by `:` and the user's id if it was sent to a
    /// tenant. Marking a message twice does no harm.
    ///
    /// Each call asks Courier twice, and unlike a provider's calls they are neither cached nor
    /// limited: where anybody can cause them, as by following a link again and again, the app must
    /// limit them.
    ///
    /// ```
    /// # async fn example(client: courier_auth_core::CourierClient) -> Result<(), courier_auth_core::Error> {
    /// // The user followed the link in the e-mail.
    /// client.mark_read("user-1", "1-65b2f3a4-0123456789abcdef01234567").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when an id cannot be sent; nothing was sent then.
    /// [`ErrorKind::Configuration`] when the base URL is not Courier's and
    /// [`inbox_url`](super::CourierClientBuilder::inbox_url) is not set.
    /// [`ErrorKind::RequestRefused`] when the inbox does not accept the token, or says that there is
    /// no such message. And as [`issue_token`](Self::issue_token).
    pub async fn mark_read<U>(&self, user_id: U, message_id: &str) -> Result<(), Error>
    where
        U: TryInto<UserId>,
        Error: From<U::Error>,
    {
        let request = TokenRequest::for_user(user_id)
            .scopes([Scope::INBOX_WRITE_EVENTS])
            .lifetime(LIFETIME);
        check("message id", message_id)?;
        let url = self.settings.inbox_url()?;
        let token = self.issue_token(&request).await?;
        // As Courier's SDKs write it: which type a variable would have is not documented.
        let id = Value::from(message_id);
        let query = json!({ "query": format!("mutation TrackEvent {{ read(messageId: {id}) }}") });
        with_retries(async || self.mutate(url, &token, &query).await, |_| {}).await
    }

    /// Archives what was sent with one request: `PUT /requests/{request_id}/archive`.
    ///
    /// It disappears from Courier's list of messages and from its recipients' Inboxes. It is not
    /// marked read; [`mark_read`](Self::mark_read) does that. `request_id` is what `/send` answered
    /// with.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the id cannot be sent; nothing was sent then. When Courier
    /// cannot be reached or refuses.
    pub async fn archive_request(&self, request_id: &str) -> Result<(), Error> {
        check("request id", request_id)?;
        let url = address(
            &self.settings.base_url,
            &["requests", request_id, "archive"],
        );
        let archive = async || {
            let key = self.key();
            let request = self.connections.rest.put(url.clone());
            let request = request.header(AUTHORIZATION, key.header.clone());
            let answer = exchange(request.send(), &url).await?;
            // 204 or 202, Courier's pages differ; both are a success.
            answer.if_success(Asked::Archive(&key)).map(drop)
        };
        with_retries(archive, |_| {}).await
    }

    async fn mutate(&self, url: &Url, token: &Token, query: &Value) -> Result<(), Error> {
        let bearer = bearer(token.as_str())
            .ok_or_else(|| configuration("Courier's token cannot be sent in a header"))?;
        let mut request = self
            .connections
            .inbox
            .post(url.clone())
            .header(AUTHORIZATION, bearer)
            .json(query);
        let user = token.user_id();
        // No browser can send another one; the token names the user too.
        if user.is_ascii() {
            request = request.header("x-courier-user-id", user);
        }
        let answer = exchange(request.send(), url).await?;
        let asked = Asked::Inbox(token);
        answer.if_success(asked)?.into_done("read", asked)
    }
}

/// Ids of Courier's have some 35 bytes, and a user's id of up to 256 may follow.
fn check(what: &str, id: &str) -> Result<(), Error> {
    let problem = if id.is_empty() {
        "is empty"
    } else if id.len() > MAX_ID_BYTES {
        "is longer than 512 bytes"
    } else if id.chars().any(|c| is_space(c) || c.is_control()) {
        "contains whitespace or a control character"
    } else if matches!(id, "." | "..") {
        "is a step in a path"
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::InvalidInput,
        format!("the {what} {problem}; nothing was sent to Courier"),
    ))
}

const MAX_ID_BYTES: usize = 512;
/// Enough for three tries, and little for whoever finds it.
const LIFETIME: Duration = Duration::from_secs(60);
