//! `courier-token inspect`.

use crate::{KEY, emulator, run, with_courier};

#[tokio::test]
async fn inspect_tells_good_from_bad() {
    let courier = emulator().await;
    let issue = [
        "issue",
        "--user",
        "user-1",
        "--scope",
        "inbox:read:messages",
    ];
    let token = with_courier(&courier, &issue).await.out;
    for (arguments, code, said) in [
        (&[][..], 0, "inbox-write-missing"),
        (&["--user", "user-1"], 0, "It works, with 1 warning."),
        (&["--user", "user-2"], 1, "wrong-user"),
        (&["--for", "preferences,push-tokens"], 1, "2 errors"),
    ] {
        let arguments: Vec<_> = ["inspect"].iter().chain(arguments).copied().collect();
        let run = run(&arguments, &token).await;
        assert_eq!(run.code, code, "{arguments:?}: {}", run.out);
        assert!(run.out.contains(said), "{arguments:?}: {}", run.out);
        assert!(!run.out.contains(token.trim()), "the token is not echoed");
        assert!(run.out.contains("published/production"), "{}", run.out);
    }
    // As an argument, and with what a copy-paste brings along.
    let pasted = format!(" Bearer {token}");
    let run = run(&["inspect", "--json", &pasted], "").await;
    let json = run.json();
    assert_eq!((run.code, &json["ok"]), (0, &true.into()));
    let codes: Vec<_> = json["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert_eq!(codes[..2], ["surrounding-whitespace", "bearer-prefix"]);
    // Without quotes around it, which the shell takes apart.
    let run = self::run(&["inspect", "Authorization:", "Bearer", token.trim()], "").await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("! bearer-prefix"), "{}", run.out);
    // A variable that is not set.
    let run = self::run(&["inspect", ""], &token).await;
    assert!(run.out.contains("✗ empty"), "{}", run.out);
    // A file's last line break, as Windows writes it.
    let run = self::run(&["inspect"], &format!("{}\r\n", token.trim())).await;
    assert!(!run.out.contains("whitespace"), "{}", run.out);
    // The answer of the token's route, as it comes from `curl`.
    let answer = serde_json::json!({ "token": token.trim(), "expires_in": 3599 });
    let run = self::run(&["inspect"], &answer.to_string()).await;
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("· json-wrapper"), "{}", run.out);
    // Under the name that it has in the answer.
    assert!(run.out.contains("\n  token_id "), "{}", run.out);
    for (input, code) in [
        ("", "empty"),
        (KEY, "api-key"),
        ("undefined\n", "placeholder"),
    ] {
        let run = self::run(&["inspect", "--json"], input).await;
        let json = run.json();
        assert_eq!((run.code, &json["ok"]), (1, &false.into()));
        assert_eq!(json["findings"][0]["code"], code);
    }
}

#[tokio::test]
async fn inspect_leaves_the_terminal_alone() {
    let courier = emulator().await;
    let claims = r#"{"scope":"user_id:\u001b[2Jx \u0007","exp":1}"#;
    let token = format!("e30.{}.x", base64url(claims));
    let run = run(&["inspect", &token], "").await;
    assert_eq!(run.code, 1);
    assert!(run.out.contains(r"\u{1b}[2Jx"), "{}", run.out);
    assert_eq!(courier.calls().len(), 0);
}

/// CSI in one character, "right to left", and one that takes two units: JSON need not escape these.
#[tokio::test]
async fn json_leaves_the_terminal_alone() {
    let claims = "{\"scope\":\"user_id:\u{9b}2J\u{7f}\u{202e}\u{e0001}ü\",\"exp\":1}";
    let token = format!("e30.{}.x", base64url(claims));
    let run = run(&["inspect", "--json", &token], "").await;
    assert_eq!(
        run.json()["user_ids"][0],
        "\u{9b}2J\u{7f}\u{202e}\u{e0001}ü"
    );
    assert!(
        run.out.contains(r"\u009b2J\u007f\u202e\udb40\udc01ü"),
        "{}",
        run.out
    );
}

fn base64url(text: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(text)
}
