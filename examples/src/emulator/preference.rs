//! Which topics there are, and what each user wants to hear of them.

use std::collections::HashMap;

use async_graphql::{Enum, SimpleObject};
use serde::{Deserialize, Serialize};

/// The workspace's topics, the same for everybody, and what users chose.
#[derive(Debug)]
pub(super) struct Preferences {
    sections: Vec<Section>,
    chosen: HashMap<Choice, Chosen>,
}

/// Who, as a member of which tenant, about which topic.
type Choice = (String, Option<String>, &'static str);

#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) status: Status,
    pub(super) routing: Option<Vec<Channel>>,
    pub(super) digest_schedule: Option<String>,
}

impl Preferences {
    pub(super) fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub(super) fn topic(&self, id: &str) -> Option<&Topic> {
        let mut topics = self.sections.iter().flat_map(|section| &section.topics);
        topics.find(|topic| topic.id == id)
    }

    /// One user's, with the topics' defaults where nothing was chosen.
    pub(super) fn of(&self, user: &str, tenant: Option<&str>) -> Vec<Preference> {
        let sections = self.sections.iter();
        let topics = sections.flat_map(|section| {
            let topics = section.topics.iter();
            topics.map(move |topic| (section, topic))
        });
        topics
            .map(|(section, topic)| {
                let choice = (user.to_owned(), tenant.map(str::to_owned), topic.id);
                Preference::new(section, topic, self.chosen.get(&choice))
            })
            .collect()
    }

    pub(super) fn one(&self, user: &str, tenant: Option<&str>, id: &str) -> Option<Preference> {
        let mut preferences = self.of(user, tenant).into_iter();
        preferences.find(|preference| preference.template_id == id)
    }

    /// Returns what it is then, or `None` if there is no such topic. A topic that is required stays so, and a schedule
    /// that the topic does not have is not taken.
    pub(super) fn choose(
        &mut self,
        user: &str,
        tenant: Option<&str>,
        id: &str,
        mut chosen: Chosen,
    ) -> Option<Preference> {
        let topic = self.topic(id)?;
        if topic.default_status == Status::Required {
            chosen.status = Status::Required;
        }
        let mut schedules = topic.digest_schedules.iter();
        chosen.digest_schedule = chosen
            .digest_schedule
            .filter(|id| schedules.any(|schedule| schedule.schedule_id == id));
        let choice = (user.to_owned(), tenant.map(str::to_owned), topic.id);
        self.chosen.insert(choice, chosen);
        self.one(user, tenant, id)
    }
}

/// What a user wants to hear of a topic.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "RecipientPreference")]
pub(super) struct Preference {
    pub(super) template_id: &'static str,
    pub(super) template_name: &'static str,
    pub(super) section_id: &'static str,
    pub(super) section_name: &'static str,
    pub(super) default_status: Status,
    pub(super) status: Status,
    pub(super) has_custom_routing: bool,
    pub(super) routing_preferences: Vec<Channel>,
    pub(super) digest_schedule: Option<String>,
}

impl Preference {
    fn new(section: &Section, topic: &Topic, chosen: Option<&Chosen>) -> Self {
        let routing = chosen.and_then(|chosen| chosen.routing.clone());
        Self {
            template_id: topic.id,
            template_name: topic.name,
            section_id: section.id,
            section_name: section.name,
            default_status: topic.default_status,
            status: chosen.map_or(topic.default_status, |chosen| chosen.status),
            has_custom_routing: routing.is_some(),
            routing_preferences: routing.unwrap_or_default(),
            digest_schedule: chosen.and_then(|chosen| chosen.digest_schedule.clone()),
        }
    }
}

#[derive(Debug)]
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) routing_options: &'static [Channel],
    pub(super) topics: Vec<Topic>,
}

#[derive(Debug)]
pub(super) struct Topic {
    pub(super) id: &'static str,
    pub(super) name: &'static str,
    pub(super) default_status: Status,
    pub(super) digest_schedules: Vec<DigestSchedule>,
}

/// When what has gathered is sent.
#[derive(Clone, Debug, Serialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
pub(super) struct DigestSchedule {
    pub(super) schedule_id: &'static str,
    pub(super) period: &'static str,
    pub(super) recurrence: &'static str,
    pub(super) repeat: Option<&'static str>,
    pub(super) repetition: &'static str,
    pub(super) start: &'static str,
    pub(super) default: bool,
}

/// Whether a user hears of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Status {
    OptedIn,
    OptedOut,
    Required,
    Unknown,
}

/// A way to reach a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Enum)]
#[graphql(rename_items = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(super) enum Channel {
    DirectMessage,
    Inbox,
    Email,
    Push,
    Sms,
    Webhook,
}

/// What a page of preferences calls the channels.
#[derive(SimpleObject)]
pub(super) struct ChannelConfigs {
    channel_labels: Vec<ChannelLabel>,
}

#[derive(SimpleObject)]
struct ChannelLabel {
    channel: Channel,
    name: &'static str,
}

pub(super) fn channel_configs() -> ChannelConfigs {
    let labels = [
        (Channel::DirectMessage, "Chat"),
        (Channel::Inbox, "In-app inbox"),
        (Channel::Email, "Email"),
        (Channel::Push, "Push"),
        (Channel::Sms, "SMS"),
        (Channel::Webhook, "Webhook"),
    ];
    ChannelConfigs {
        channel_labels: labels
            .map(|(channel, name)| ChannelLabel { channel, name })
            .into(),
    }
}

impl Default for Preferences {
    fn default() -> Self {
        let topic = |id, name, default_status| Topic {
            id,
            name,
            default_status,
            digest_schedules: Vec::new(),
        };
        let security = topic("security", "Sign-ins and passwords", Status::Required);
        let comments = topic("comments", "Comments and mentions", Status::OptedIn);
        let newsletter = topic("newsletter", "Newsletter", Status::OptedOut);
        let account = Section {
            id: "account",
            name: "Account",
            routing_options: &[Channel::Inbox, Channel::Email],
            topics: vec![security],
        };
        let activity = Section {
            id: "activity",
            name: "Activity",
            routing_options: &[Channel::Inbox, Channel::Email, Channel::Push],
            topics: vec![
                Topic {
                    digest_schedules: vec![schedule("daily", true), schedule("weekly", false)],
                    ..comments
                },
                newsletter,
            ],
        };
        Self {
            sections: vec![account, activity],
            chosen: HashMap::new(),
        }
    }
}

fn schedule(period: &'static str, default: bool) -> DigestSchedule {
    DigestSchedule {
        schedule_id: period,
        period,
        recurrence: period,
        repeat: None,
        repetition: period,
        start: "2026-01-01T09:00:00.000Z",
        default,
    }
}
