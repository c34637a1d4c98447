//! `/client/q`, with the queries as the SDKs write them.

use courier_auth_examples::emulator::Courier;
use serde_json::{Value, json};

use crate::user::{User, body};

#[tokio::test]
async fn a_brand() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let query = r#"query GetBrand { brand(brandId: "b") {
        settings { colors { primary secondary tertiary }
          inapp { borderRadius disableCourierFooter } }
        logo { href image } links } }"#;
    // The SDK sends the id as a variable too, which the query does not declare.
    let request = json!({ "query": query, "variables": { "brandId": "b" } });
    let answer = body(alice.post("/client/q", request).await).await;
    let brand = &answer["data"]["brand"];
    assert!(
        brand["settings"]["colors"]["primary"].is_string(),
        "{answer}"
    );
    assert_eq!(brand["settings"]["inapp"]["disableCourierFooter"], false);
}

const FIELDS: &str = "templateId templateName sectionId sectionName defaultStatus status \
                      hasCustomRouting routingPreferences digestSchedule";

async fn update(user: &User, topic: &str, preferences: &str, tenant: &str) -> Value {
    let query = format!(
        r#"mutation UpdateRecipientPreferenceV2 {{
            updatePreferenceV2(templateId: "{topic}", preferences: {{ {preferences} }}{tenant})
            {{ {FIELDS} }} }}"#
    );
    user.client(&query).await["updatePreferenceV2"].take()
}

#[tokio::test]
async fn preferences_are_kept_for_each_user_and_tenant() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let bob = User::sign_in(&courier, "bob").await;
    let all = format!(
        "query GetRecipientPreferences {{ recipientPreferences {{ nodes {{ {FIELDS} }} }} }}"
    );
    let one = |tenant: &str| {
        format!(
            r#"query GetRecipientPreferenceTopic {{
            recipientPreference(templateId: "comments"{tenant}) {{ {FIELDS} }} }}"#
        )
    };
    let before = alice.client(&all).await;
    assert_eq!(
        before["recipientPreferences"]["nodes"]
            .as_array()
            .unwrap()
            .len(),
        3
    );

    let preferences = r#"status: OPTED_OUT, hasCustomRouting: true,
        routingPreferences: [email, direct_message] digestSchedule: "weekly""#;
    let updated = update(&alice, "comments", preferences, "").await;
    let expected = json!({
        "templateId": "comments",
        "templateName": "Comments and mentions",
        "sectionId": "activity",
        "sectionName": "Activity",
        "defaultStatus": "OPTED_IN",
        "status": "OPTED_OUT",
        "hasCustomRouting": true,
        "routingPreferences": ["email", "direct_message"],
        "digestSchedule": "weekly",
    });
    assert_eq!(updated, expected);
    assert_eq!(
        alice.client(&one("")).await["recipientPreference"],
        expected
    );
    let status = |data: Value| data["recipientPreference"]["status"].clone();
    assert_eq!(
        status(alice.client(&one(r#", accountId: "t""#)).await),
        "OPTED_IN"
    );
    assert_eq!(status(bob.client(&one("")).await), "OPTED_IN");
    let preferences = "status: OPTED_OUT, hasCustomRouting: false, routingPreferences: []";
    update(&bob, "comments", preferences, r#", accountId: "t""#).await;
    assert_eq!(
        status(bob.client(&one(r#", accountId: "t""#)).await),
        "OPTED_OUT"
    );
    assert_eq!(status(bob.client(&one("")).await), "OPTED_IN");
}

#[tokio::test]
async fn what_does_not_exist_is_null_or_not_taken() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let opted_in = "status: OPTED_IN, hasCustomRouting: false, routingPreferences: []";
    assert_eq!(update(&alice, "nothing", opted_in, "").await, Value::Null);
    let query = r#"{ recipientPreference(templateId: "nothing") { status } }"#;
    assert_eq!(
        alice.client(query).await["recipientPreference"],
        Value::Null
    );
    let schedule = format!(r#"{opted_in} digestSchedule: "hourly""#);
    let updated = update(&alice, "comments", &schedule, "").await;
    assert_eq!(updated["digestSchedule"], Value::Null);
    let opted_out = "status: OPTED_OUT, hasCustomRouting: false, routingPreferences: []";
    let updated = update(&alice, "security", opted_out, "").await;
    assert_eq!(updated["status"], "REQUIRED");
}

#[tokio::test]
async fn the_page_of_preferences() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let page = |name: &str, brand: &str| {
        format!(
            "query GetPreferencePage {{ {name} {{ showCourierFooter heading description {brand}
               channelConfigs {{ channelLabels {{ channel name }} }}
               sections {{ nodes {{ name description sectionId routingOptions hasCustomRouting
                 topics {{ nodes {{ data defaultStatus description templateName templateId
                   digestSchedules }} }} }} }} }}
             recipientPreferences {{ nodes {{ templateId status hasCustomRouting
               routingPreferences digestSchedule }} }} }}"
        )
    };
    let brand = "brand { settings { colors { primary } } links logo { href image } }";
    let data = alice.client(&page("preferencePage", brand)).await;
    let sections = data["preferencePage"]["sections"]["nodes"]
        .as_array()
        .unwrap();
    let topics = sections[1]["topics"]["nodes"].as_array().unwrap();
    assert_eq!(
        sections[1]["routingOptions"],
        json!(["inbox", "email", "push"])
    );
    assert_eq!(topics[0]["digestSchedules"][1]["scheduleId"], "weekly");
    assert!(data["preferencePage"]["brand"]["links"].is_object());
    assert!(data["recipientPreferences"]["nodes"].is_array());

    courier.configure(|settings| settings.preference_page = false);
    let name = r#"preferencePage(accountId: "t")"#;
    let data = alice.client(&page(name, "")).await;
    assert_eq!(data["preferencePage"], Value::Null);
    let data = alice.client(&page("draftPreferencePage", "")).await;
    assert!(data["draftPreferencePage"].is_object());
}

#[tokio::test]
async fn digest_schedules() {
    let courier = Courier::start().await.unwrap();
    let alice = User::sign_in(&courier, "alice").await;
    let query = |topic: &str| {
        format!(
            r#"query GetDigestSchedulesForTopic {{ digestSchedulesForTopic(templateId: "{topic}")
            {{ scheduleId period recurrence repeat repetition start default }} }}"#
        )
    };
    let data = alice.client(&query("comments")).await;
    assert_eq!(data["digestSchedulesForTopic"][0]["scheduleId"], "daily");
    assert_eq!(data["digestSchedulesForTopic"][0]["default"], true);
    let data = alice.client(&query("newsletter")).await;
    assert_eq!(data["digestSchedulesForTopic"], json!([]));
}
