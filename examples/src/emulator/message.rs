//! A message in an inbox, and what it is made from.

use async_graphql::{Json, SimpleObject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::timestamp::Timestamp;

/// A message in a user's inbox, with the field names that the inbox's GraphQL and its socket have.
#[derive(Clone, Debug, Serialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Message {
    /// The id of the request that sent it; if that went to many users, with `:` and the user's id.
    pub message_id: String,
    /// The tenant it belongs to.
    pub account_id: Option<String>,
    /// When it was read, if it was.
    pub read: Option<Timestamp>,
    /// When it was archived, if it is.
    pub archived: Option<Timestamp>,
    /// When it was sent.
    pub created: Timestamp,
    /// When it was first on a screen.
    pub opened: Option<Timestamp>,
    /// When a link in it was last followed. Courier keeps this to itself, and so does the GraphQL.
    #[graphql(skip)]
    #[serde(skip)]
    pub clicked: Option<Timestamp>,
    /// Its first line.
    pub title: Option<String>,
    /// The rest of it.
    pub preview: Option<String>,
    /// Whatever the sender added.
    pub data: Json<Map<String, Value>>,
    /// By which a client can ask for it.
    pub tags: Vec<String>,
    /// What a client sends back when a link is followed.
    pub tracking_ids: TrackingIds,
    /// Its buttons.
    pub actions: Vec<Action>,
}

/// What a client sends back when a link is followed.
#[derive(Clone, Debug, Serialize, SimpleObject)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TrackingIds {
    /// For `clicked`.
    pub click_tracking_id: String,
}

/// A button of a message.
#[derive(Clone, Debug, Default, Serialize, Deserialize, SimpleObject)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Action {
    /// What it says.
    pub content: Option<String>,
    /// Whatever the sender added.
    pub data: Option<Json<Value>>,
    /// Where it leads.
    pub href: Option<String>,
}

impl Message {
    pub(super) fn new(message_id: String, draft: Draft) -> Self {
        Self {
            message_id,
            account_id: draft.tenant_id,
            read: None,
            archived: None,
            created: draft.created.unwrap_or_else(Timestamp::now),
            opened: None,
            clicked: None,
            title: draft.title,
            preview: draft.preview,
            data: Json(draft.data),
            tags: draft.tags,
            tracking_ids: TrackingIds {
                click_tracking_id: Uuid::new_v4().to_string(),
            },
            actions: draft.actions,
        }
    }
}

/// A message to be. It is also what the control endpoint takes as JSON.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Draft {
    /// Its first line.
    pub title: Option<String>,
    /// The rest of it.
    pub preview: Option<String>,
    /// The tenant it belongs to.
    pub tenant_id: Option<String>,
    /// By which a client can ask for it.
    pub tags: Vec<String>,
    /// Whatever the sender adds.
    pub data: Map<String, Value>,
    /// Its buttons.
    pub actions: Vec<Action>,
    /// When it was sent. Default: now.
    pub created: Option<Timestamp>,
}

impl Draft {
    /// A message with a first line and a text.
    pub fn new(title: impl Into<String>, preview: impl Into<String>) -> Self {
        Self {
            title: Some(title.into()),
            preview: Some(preview.into()),
            ..Self::default()
        }
    }

    /// The tenant it belongs to. Default: none.
    #[must_use]
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant_id = Some(tenant_id.into());
        self
    }

    /// One more tag. Default: none.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// One more button. Default: none.
    #[must_use]
    pub fn action(mut self, content: impl Into<String>, href: impl Into<String>) -> Self {
        self.actions.push(Action {
            content: Some(content.into()),
            data: None,
            href: Some(href.into()),
        });
        self
    }

    /// When it was sent. Default: now.
    #[must_use]
    pub fn created(mut self, created: Timestamp) -> Self {
        self.created = Some(created);
        self
    }
}
