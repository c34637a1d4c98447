//! Preferences and brands.

use async_graphql::{Context, InputObject, Json, Object, Result, SimpleObject};
use serde_json::{Value, json};

use super::caller::{read, write};
use crate::emulator::preference::{
    Channel, ChannelConfigs, Chosen, DigestSchedule, Preference, Section, Status, Topic,
    channel_configs,
};

#[derive(Default)]
pub(in crate::emulator) struct Query;

#[Object]
impl Query {
    async fn brand(&self, ctx: &Context<'_>, brand_id: String) -> Result<Option<Brand>> {
        brand(ctx, Some(&brand_id))
    }

    async fn recipient_preferences(
        &self,
        ctx: &Context<'_>,
        account_id: Option<String>,
    ) -> Result<Option<Nodes<Preference>>> {
        let nodes = read(ctx, &[READ], |state, user| {
            Ok(state.preferences.of(user, account_id.as_deref()))
        })?;
        Ok(nodes.map(|nodes| Nodes { nodes }))
    }

    async fn recipient_preference(
        &self,
        ctx: &Context<'_>,
        template_id: String,
        account_id: Option<String>,
    ) -> Result<Option<Preference>> {
        let preference = read(ctx, &[READ], |state, user| {
            let preferences = &state.preferences;
            Ok(preferences.one(user, account_id.as_deref(), &template_id))
        })?;
        Ok(preference.flatten())
    }

    async fn digest_schedules_for_topic(
        &self,
        ctx: &Context<'_>,
        template_id: String,
    ) -> Result<Option<Vec<DigestSchedule>>> {
        read(ctx, &[READ], |state, _| {
            let topic = state.preferences.topic(&template_id);
            Ok(topic.map_or_else(Vec::new, |topic| topic.digest_schedules.clone()))
        })
    }

    async fn preference_page(
        &self,
        ctx: &Context<'_>,
        #[graphql(name = "accountId")] _account_id: Option<String>,
    ) -> Result<Option<PreferencePage>> {
        let page = read(ctx, &[READ], |state, _| {
            let published = state.settings.preference_page;
            Ok(published.then(|| PreferencePage::of(state.preferences.sections())))
        })?;
        Ok(page.flatten())
    }

    async fn draft_preference_page(&self, ctx: &Context<'_>) -> Result<Option<PreferencePage>> {
        read(ctx, &[READ], |state, _| {
            Ok(PreferencePage::of(state.preferences.sections()))
        })
    }
}

/// Needs a scope for all brands or for this one. The workspace's own has no id here.
fn brand(ctx: &Context<'_>, brand_id: Option<&str>) -> Result<Option<Brand>> {
    let one = format!("read:brands:{}", brand_id.unwrap_or_default());
    read(ctx, &["read:brands", &one], |_, _| Ok(Brand))
}

/// Whatever the id, a brand looks like this.
struct Brand;

#[Object]
impl Brand {
    async fn settings(&self) -> BrandSettings {
        BrandSettings {
            colors: Colors {
                primary: "#9121c2",
                secondary: "#2a1537",
                tertiary: "#e4c7f2",
            },
            inapp: InApp {
                border_radius: "8px",
                disable_courier_footer: false,
            },
        }
    }

    async fn logo(&self) -> Logo {
        Logo {
            href: None,
            image: None,
        }
    }

    async fn links(&self) -> Json<Value> {
        Json(json!({}))
    }
}

#[derive(SimpleObject)]
struct BrandSettings {
    colors: Colors,
    inapp: InApp,
}

#[derive(SimpleObject)]
struct Colors {
    primary: &'static str,
    secondary: &'static str,
    tertiary: &'static str,
}

#[derive(SimpleObject)]
struct InApp {
    border_radius: &'static str,
    disable_courier_footer: bool,
}

#[derive(SimpleObject)]
struct Logo {
    href: Option<String>,
    image: Option<String>,
}

struct PreferencePage {
    sections: Vec<SectionNode>,
}

impl PreferencePage {
    fn of(sections: &[Section]) -> Self {
        let nodes = sections.iter().map(SectionNode::of);
        Self {
            sections: nodes.collect(),
        }
    }
}

#[Object]
impl PreferencePage {
    async fn show_courier_footer(&self) -> bool {
        true
    }

    async fn heading(&self) -> &str {
        "Notification preferences"
    }

    async fn description(&self) -> Option<String> {
        None
    }

    async fn brand(&self, ctx: &Context<'_>, brand_id: Option<String>) -> Result<Option<Brand>> {
        brand(ctx, brand_id.as_deref())
    }

    async fn channel_configs(&self) -> ChannelConfigs {
        channel_configs()
    }

    async fn sections(&self) -> Nodes<SectionNode> {
        Nodes {
            nodes: self.sections.clone(),
        }
    }
}

#[derive(Clone, SimpleObject)]
#[graphql(name = "PreferenceSection")]
struct SectionNode {
    name: &'static str,
    description: Option<String>,
    section_id: &'static str,
    routing_options: Json<Vec<Channel>>,
    has_custom_routing: bool,
    topics: Nodes<TopicNode>,
}

impl SectionNode {
    fn of(section: &Section) -> Self {
        let nodes = section.topics.iter().map(TopicNode::of);
        Self {
            name: section.name,
            description: None,
            section_id: section.id,
            routing_options: Json(section.routing_options.to_vec()),
            has_custom_routing: true,
            topics: Nodes {
                nodes: nodes.collect(),
            },
        }
    }
}

#[derive(Clone, SimpleObject)]
#[graphql(name = "PreferenceTopic")]
struct TopicNode {
    data: Json<Value>,
    default_status: Status,
    description: Option<String>,
    template_name: &'static str,
    template_id: &'static str,
    digest_schedules: Json<Vec<DigestSchedule>>,
}

impl TopicNode {
    fn of(topic: &Topic) -> Self {
        Self {
            data: Json(json!({})),
            default_status: topic.default_status,
            description: None,
            template_name: topic.name,
            template_id: topic.id,
            digest_schedules: Json(topic.digest_schedules.clone()),
        }
    }
}

#[derive(Clone, SimpleObject)]
#[graphql(concrete(name = "RecipientPreferences", params(Preference)))]
#[graphql(concrete(name = "PreferenceSections", params(SectionNode)))]
#[graphql(concrete(name = "PreferenceTopics", params(TopicNode)))]
struct Nodes<T: async_graphql::OutputType> {
    nodes: Vec<T>,
}

#[derive(Default)]
pub(in crate::emulator) struct Mutation;

#[Object]
impl Mutation {
    /// `null` if there is no such topic.
    #[graphql(name = "updatePreferenceV2")]
    async fn update_preference(
        &self,
        ctx: &Context<'_>,
        template_id: String,
        preferences: PreferencesInput,
        account_id: Option<String>,
    ) -> Result<Option<Preference>> {
        write(ctx, WRITE, |state, user, _| {
            let tenant = account_id.as_deref();
            state
                .preferences
                .choose(user, tenant, &template_id, preferences.into())
        })
    }
}

#[derive(InputObject)]
struct PreferencesInput {
    status: Status,
    has_custom_routing: Option<bool>,
    routing_preferences: Option<Vec<Channel>>,
    digest_schedule: Option<String>,
}

impl From<PreferencesInput> for Chosen {
    fn from(input: PreferencesInput) -> Self {
        let custom = input.has_custom_routing.unwrap_or_default();
        let routing = input.routing_preferences.unwrap_or_default();
        Self {
            status: input.status,
            routing: custom.then_some(routing),
            digest_schedule: input.digest_schedule,
        }
    }
}

const READ: &str = "read:preferences";
const WRITE: &str = "write:preferences";
