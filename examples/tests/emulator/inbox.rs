//! `/q`, with the queries as the SDKs write them.

use courier_auth_examples::emulator::{Courier, Draft, TenantRule, Timestamp};
use serde_json::{Value, json};

use crate::user::{User, body};

/// What courier-js sends, with a filter, a filter for the unread ones and a cursor.
fn get_messages(params: &str, unread: &str, limit: usize, after: &str) -> String {
    format!(
        r#"
      query GetInboxMessages(
        $params: FilterParamsInput = {params}
        $unreadCountParams: FilterParamsInput = {unread}
        $limit: Int = {limit}
        $after: String {after}
      ) {{
        count: count(params: $params)
        unreadCount: count(params: $unreadCountParams)
        messages(params: $params, limit: $limit, after: $after) {{
          totalCount
          pageInfo {{
            startCursor
            hasNextPage
          }}
          nodes {{
            messageId
            accountId
            read
            archived
            created
            opened
            title
            preview
            data
            tags
            trackingIds {{
              clickTrackingId
            }}
            actions {{
              content
              data
              href
            }}
          }}
        }}
      }}
    "#
    )
}

#[tokio::test]
async fn a_message_has_all_fields() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let created = Timestamp::from_unix_millis(1_795_487_631_306);
    let draft = Draft::new("Hi", "Body text")
        .tenant("t")
        .tag("news")
        .action("Open", "https://example.com/")
        .created(created);
    let id = courier.send("alice", draft);
    courier.send("bob", Draft::new("Not hers", ""));

    let query = get_messages("{  }", r#"{ status: "unread" }"#, 24, "");
    let mut data = alice.inbox(&query).await;
    let tracking_id = data["messages"]["nodes"][0]["trackingIds"]["clickTrackingId"].take();
    assert!(!tracking_id.as_str().unwrap().is_empty());
    let expected = json!({
        "count": 1,
        "unreadCount": 1,
        "messages": {
            "totalCount": 1,
            "pageInfo": { "startCursor": null, "hasNextPage": false },
            "nodes": [{
                "messageId": id,
                "accountId": "t",
                "read": null,
                "archived": null,
                "created": "2026-11-24T02:33:51.306Z",
                "opened": null,
                "title": "Hi",
                "preview": "Body text",
                "data": {},
                "tags": ["news"],
                "trackingIds": { "clickTrackingId": null },
                "actions": [{ "content": "Open", "data": null, "href": "https://example.com/" }],
            }],
        },
    });
    assert_eq!(data, expected);
}

#[tokio::test]
async fn pages_follow_the_start_cursor() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    for number in 0..7 {
        courier.send("alice", Draft::new(number.to_string(), ""));
    }
    let mut titles = Vec::new();
    let mut after = String::new();
    for page in 1.. {
        assert!(page <= 3, "{titles:?}");
        let query = get_messages("{  }", r#"{ status: "unread" }"#, 3, &after);
        let data = alice.inbox(&query).await;
        assert_eq!(data["messages"]["totalCount"], 7);
        let nodes = data["messages"]["nodes"].as_array().unwrap().clone();
        titles.extend(
            nodes
                .iter()
                .map(|node| node["title"].as_str().unwrap().to_owned()),
        );
        let info = &data["messages"]["pageInfo"];
        if info["hasNextPage"] == false {
            break;
        }
        after = format!("= {}", info["startCursor"]);
        // Newer than any page to come, it shows in none; archived, it does not count.
        let later = courier.send("alice", Draft::new("later", ""));
        alice
            .track(&format!(r#"archive(messageId: "{later}")"#))
            .await;
    }
    assert_eq!(titles, ["6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test]
async fn filters_are_joined_by_and_and_tags_by_or() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let at = |millis| Timestamp::from_unix_millis(millis);
    courier.send("alice", Draft::new("a", "").tag("x").created(at(1000)));
    courier.send(
        "alice",
        Draft::new("b", "").tag("y").tenant("t").created(at(2000)),
    );
    courier.send("alice", Draft::new("c", "").tag("z").created(at(3000)));
    let read = courier.send("alice", Draft::new("d", "").tag("x").created(at(4000)));
    let archived = courier.send("alice", Draft::new("e", "").created(at(5000)));
    alice.track(&format!(r#"read(messageId: "{read}")"#)).await;
    alice
        .track(&format!(r#"archive(messageId: "{archived}")"#))
        .await;

    let table: &[(&str, &[&str])] = &[
        ("{  }", &["d", "c", "b", "a"]),
        ("{ archived: false }", &["d", "c", "b", "a"]),
        ("{ archived: true }", &["e"]),
        (r#"{ status: "read" }"#, &["d"]),
        (r#"{ status: "unread" }"#, &["c", "b", "a"]),
        (r#"{ tags: ["x", "y"] }"#, &["d", "b", "a"]),
        ("{ tags: [] }", &["d", "c", "b", "a"]),
        (r#"{ accountId: "t" }"#, &["b"]),
        (r#"{ accountId: "u" }"#, &[]),
        (r#"{ from: "1970-01-01T00:00:02.000Z" }"#, &["d", "c", "b"]),
        (
            r#"{ tags: ["x"],status: "unread",from: "1970-01-01T00:00:00.000Z" }"#,
            &["a"],
        ),
    ];
    for (filter, expected) in table {
        assert_eq!(alice.titles(filter).await, *expected, "{filter}");
    }

    courier.configure(|settings| settings.tenants = TenantRule::Own);
    assert_eq!(alice.titles("{  }").await, ["d", "c", "a"]);
    assert_eq!(alice.titles(r#"{ accountId: "t" }"#).await, ["b"]);
}

#[tokio::test]
async fn counts_have_aliases_and_defaults() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    courier.send("alice", Draft::new("a", "").tag("x"));
    courier.send("alice", Draft::new("b", ""));

    let count = r#"query GetMessages { count(params: { status: "unread" , accountId: "t" }) }"#;
    assert_eq!(alice.inbox(count).await, json!({ "count": 0 }));
    let counts = r#"query GetUnreadCounts(
        $id_all__messages: FilterParamsInput = { status: "unread" }
        $id_x_y: FilterParamsInput = { tags: ["x"],status: "unread" }
      ) { id_all__messages: count(params: $id_all__messages) id_x_y: count(params: $id_x_y) }"#;
    let expected = json!({ "id_all__messages": 2, "id_x_y": 1 });
    assert_eq!(alice.inbox(counts).await, expected);
}

#[tokio::test]
async fn variables_come_in_many_shapes() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    for _ in 0..3 {
        courier.send("alice", Draft::new("a", ""));
    }
    let query = "query GetMessages($params: FilterParamsInput, $limit: Int = 2, $after: String) \
                 { messages(params: $params, limit: $limit, after: $after) { nodes { title } } }";
    let table = [
        (json!({ "query": query }), 2),
        (json!({ "query": query, "variables": null }), 2),
        (json!({ "query": query, "variables": {} }), 2),
        (json!({ "query": query, "variables": "{}" }), 2),
        (json!({ "query": query, "variables": "" }), 2),
        (json!({ "query": query, "variables": "{\"limit\": 1}" }), 1),
        (
            json!({ "query": query, "variables": { "limit": 1, "nobody": ["asked"] } }),
            1,
        ),
        (json!({ "query": query, "operationName": "GetMessages" }), 2),
        (json!({ "query": query, "operationName": null }), 2),
    ];
    for (request, expected) in table {
        let response = alice.post("/q", request.clone()).await;
        let answer = body(response).await;
        let nodes = answer["data"]["messages"]["nodes"].as_array();
        assert_eq!(nodes.map(Vec::len), Some(expected), "{request}: {answer}");
    }
}

#[tokio::test]
async fn each_mutation_does_what_it_says() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let id = courier.send("alice", Draft::new("a", ""));
    let state = || {
        let message = courier.messages("alice").remove(0);
        let set = [
            message.read,
            message.opened,
            message.archived,
            message.clicked,
        ];
        set.map(|time| time.is_some())
    };
    let table = [
        ("read", [true, false, false, false]),
        ("opened", [true, true, false, false]),
        ("unread", [false, true, false, false]),
        ("archive", [false, true, true, false]),
        ("unarchive", [false, true, false, false]),
    ];
    for (name, expected) in table {
        let data = alice.track(&format!(r#"{name}(messageId: "{id}")"#)).await;
        assert_eq!(data[name], true);
        assert_eq!(state(), expected, "{name}");
        let unknown = alice.track(&format!(r#"{name}(messageId: "1-0-0")"#)).await;
        assert_eq!(unknown[name], false);
    }
    let click = format!(r#"clicked(messageId: "{id}", trackingId: "t")"#);
    assert_eq!(alice.track(&click).await["clicked"], true);
    assert_eq!(state(), [false, true, false, true]);
}

#[tokio::test]
async fn what_was_read_first_stays_so() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let id = courier.send("alice", Draft::new("a", ""));
    let read = format!(r#"read(messageId: "{id}")"#);
    alice.track(&read).await;
    let first = courier.messages("alice")[0].read;
    alice.track(&read).await;
    assert_eq!(courier.messages("alice")[0].read, first);
}

#[tokio::test]
async fn many_messages_are_opened_at_once() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let ids: Vec<_> = (0..50)
        .map(|_| courier.send("alice", Draft::new("a", "")))
        .collect();
    let opened = ids.iter().enumerate();
    let opened = opened.map(|(index, id)| format!("open_{index}: opened(messageId: \"{id}\")\n"));
    let query = format!(
        "mutation BatchTrackEvents {{ {} }}",
        opened.collect::<String>()
    );
    let data = alice.inbox(&query).await;
    assert_eq!(data.as_object().unwrap().len(), 50);
    assert!(
        courier
            .messages("alice")
            .iter()
            .all(|message| message.opened.is_some())
    );
}

#[tokio::test]
async fn all_are_changed_at_once() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let read = courier.send("alice", Draft::new("a", ""));
    courier.send("alice", Draft::new("b", ""));
    courier.send("bob", Draft::new("c", ""));
    alice.track(&format!(r#"read(messageId: "{read}")"#)).await;
    assert_eq!(alice.track("archiveRead").await["archiveRead"], true);
    assert_eq!(alice.titles("{  }").await, ["b"]);
    courier.send("alice", Draft::new("d", ""));
    alice.track("markAllRead").await;
    assert_eq!(alice.titles(r#"{ status: "read" }"#).await, ["d", "b"]);
    alice.track("archiveAll").await;
    assert_eq!(alice.titles("{  }").await.len(), 0);
    assert_eq!(alice.titles("{ archived: true }").await, ["d", "b", "a"]);
    assert_eq!(courier.messages("bob")[0].archived, None);
}

#[tokio::test]
async fn phones_ask_for_one_message_with_its_content() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let draft = Draft::new("Hi", "there").action("Open", "https://example.com/");
    let id = courier.send("alice", draft);
    let query = |id: &str| {
        format!(
            r#"query GetMessage {{ message(messageId: "{id}") {{ messageId read
               content {{ title preview actions {{ background_color content href style }} }} }} }}"#
        )
    };
    let message = alice.inbox(&query(&id)).await["message"].take();
    assert_eq!(message["messageId"], id);
    assert_eq!(message["content"]["title"], "Hi");
    assert_eq!(
        message["content"]["actions"][0]["href"],
        "https://example.com/"
    );
    assert_eq!(alice.inbox(&query("1-0-0")).await["message"], Value::Null);
}

#[tokio::test]
async fn what_is_no_query_is_a_400() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    for query in [
        "",
        "{",
        "{ nothing }",
        "{ count(params: { nothing: 1 }) }",
        "{ messages }",
    ] {
        let response = alice.post("/q", json!({ "query": query })).await;
        assert_eq!(response.status(), 400, "{query}");
        let body = body(response).await;
        assert_eq!(body["type"], "invalid_request_error");
        assert!(
            body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty())
        );
    }
    for body in [json!({}), json!([]), json!({ "query": 1 })] {
        assert_eq!(alice.post("/q", body).await.status(), 400);
    }
}

#[tokio::test]
async fn what_cannot_be_answered_is_an_error_of_graphql() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let table = [
        r#"{ count messages(after: "nonsense") { totalCount } }"#,
        r#"{ count messages(params: { status: "seen" }) { totalCount } }"#,
        r#"{ count messages(params: { from: "yesterday" }) { totalCount } }"#,
    ];
    for query in table {
        let response = alice.post("/q", json!({ "query": query })).await;
        assert_eq!(response.status(), 200);
        let body = body(response).await;
        assert_eq!(body["data"]["count"], 0);
        assert_eq!(body["data"]["messages"], Value::Null);
        assert_eq!(body["errors"][0]["path"], json!(["messages"]));
    }
}
