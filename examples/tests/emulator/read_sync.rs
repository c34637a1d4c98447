//! A backend marks messages read and archives them, as the core's client does it.

use courier_auth_core::{CourierClient, ErrorKind};
use courier_auth_examples::emulator::{
    Courier, CourierServer, Draft, InboxFault, MissingScope, Surface,
};

use crate::{socket_client::Socket, user::User};

fn client(courier: &CourierServer) -> CourierClient {
    CourierClient::builder(courier.tokens().api_key())
        .base_url(courier.url())
        .inbox_url(format!("{}/q", courier.url()))
        .build()
        .unwrap()
}

fn draft() -> Draft {
    Draft::new("Welcome", "Good to have you here")
}

#[tokio::test]
async fn a_message_is_read_and_the_others_are_not() {
    let courier = Courier::start().await.unwrap();
    let client = client(&courier);
    let [first, second] = [(); 2].map(|()| courier.send("alice", draft()));
    client.mark_read("alice", &first).await.unwrap();
    let read = |id: &str| {
        let messages = courier.messages("alice");
        let message = messages.iter().find(|message| message.message_id == id);
        message.unwrap().read
    };
    let when = read(&first).unwrap();
    assert_eq!(read(&second), None);
    assert!(
        courier
            .messages("alice")
            .iter()
            .all(|message| message.archived.is_none())
    );
    // Once more does no harm.
    client.mark_read("alice", &first).await.unwrap();
    assert_eq!(read(&first), Some(when));
}

#[tokio::test]
async fn nobody_elses_messages() {
    let courier = Courier::start().await.unwrap();
    let client = client(&courier);
    let message = courier.send("alice", draft());
    for (user, id) in [
        ("bob", message.as_str()),
        ("alice", "1-unknown"),
        // What would be another mutation if it were not escaped.
        ("alice", r#"x")archiveAll"#),
        ("alice", r#"x\")archiveAll"#),
    ] {
        let error = client.mark_read(user, id).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::RequestRefused,
            "{user} {id}: {error}"
        );
    }
    let messages = courier.messages("alice");
    assert!(messages[0].read.is_none() && messages[0].archived.is_none());
}

/// The header could not carry this id, and the token does.
#[tokio::test]
async fn a_users_id_in_any_script() {
    let courier = Courier::start().await.unwrap();
    let message = courier.send("алиса", draft());
    client(&courier).mark_read("алиса", &message).await.unwrap();
    assert!(courier.messages("алиса")[0].read.is_some());
}

#[tokio::test]
async fn an_open_inbox_hears_of_it() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let mut socket = Socket::subscribe(&courier, &alice, "c").await;
    let message = courier.send("alice", draft());
    assert_eq!(socket.hear().await["event"], "message");
    let client = client(&courier);
    client.mark_read("alice", &message).await.unwrap();
    let event = socket.hear().await;
    assert_eq!(
        (&event["event"], &event["messageId"]),
        (&"read".into(), &message.as_str().into())
    );
    client.archive_request(&message).await.unwrap();
    assert_eq!(socket.hear().await["event"], "archive");
    let messages = courier.messages("alice");
    assert!(messages[0].read.is_some() && messages[0].archived.is_some());
}

#[tokio::test]
async fn faults_of_the_inbox() {
    use ErrorKind::{InvalidResponse, RequestRefused};
    let courier = Courier::start().await.unwrap();
    let client = client(&courier);
    let message = courier.send("alice", draft());
    for (fault, kind) in [
        (InboxFault::Html, InvalidResponse),
        (InboxFault::Errors("Internal".into()), RequestRefused),
        (InboxFault::Status(401), RequestRefused),
    ] {
        courier.fail_next(Surface::Inbox, 1, fault.clone());
        let error = client.mark_read("alice", &message).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{fault:?}: {error}");
    }
    // A failure that passes is not noticed.
    courier.fail_next(Surface::Inbox, 1, InboxFault::Hang);
    courier.fail_next(Surface::Inbox, 1, InboxFault::Status(503));
    client.mark_read("alice", &message).await.unwrap();
    assert!(courier.messages("alice")[0].read.is_some());
    assert_eq!(courier.tokens().token_requests(), 4);
}

/// Whichever way Courier says that a scope is missing: here none is.
#[tokio::test]
async fn one_scope_is_enough() {
    for missing in [
        MissingScope::Forbidden,
        MissingScope::Errors,
        MissingScope::Empty,
    ] {
        let courier = Courier::start().await.unwrap();
        courier.configure(|settings| settings.missing_scope = missing);
        let message = courier.send("alice", draft());
        client(&courier).mark_read("alice", &message).await.unwrap();
    }
}
