//! What was read in an e-mail is read in the Inbox: two calls for a backend that knows better than Courier can.
//!
//! `read-sync read <user> <message>` marks a message read, `read-sync archive <request>` archives what was sent with a
//! request. `COURIER_API_KEY` is needed; with `COURIER_BASE_URL`, for an emulator, `COURIER_INBOX_URL` is too:
//!
//! ```sh
//! COURIER_BASE_URL=http://127.0.0.1:4000 COURIER_INBOX_URL=http://127.0.0.1:4000/q \
//!     COURIER_API_KEY=pk_emulator_0123456789 cargo run --bin read-sync read alice 1-65b2f3a4-0123456789abcdef01234567
//! ```

use std::env;

use courier_auth_core::TokenProviderBuilder;
use courier_auth_examples::StartError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StartError> {
    let mut builder = TokenProviderBuilder::from_env()?;
    let inbox_url = env::var("COURIER_INBOX_URL");
    if let Some(url) = inbox_url.ok().filter(|url| !url.is_empty()) {
        builder = builder.inbox_url(url);
    }
    let provider = builder.build()?;
    let courier = provider.client();

    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["read", user, message] => courier.mark_read(user, message).await?,
        ["archive", request] => courier.archive_request(request).await?,
        _ => {
            return Err(StartError::new(
                "usage: read-sync read <user> <message> | read-sync archive <request>",
            ));
        }
    }
    Ok(())
}
