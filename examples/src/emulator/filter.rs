//! Which messages a client asks for.

use super::{message::Message, settings::TenantRule, timestamp::Timestamp};

/// All of it has to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) tenants: TenantFilter,
    /// Any of these. An empty list asks for nothing in particular.
    pub(super) tags: Vec<String>,
    pub(super) read: Option<bool>,
    /// Only what is archived; otherwise only what is not.
    pub(super) archived: bool,
    pub(super) from: Option<Timestamp>,
}

impl Filter {
    pub(super) fn matches(&self, message: &Message) -> bool {
        let tagged = self.tags.iter().any(|tag| message.tags.contains(tag));
        self.archived == message.archived.is_some()
            && self.tenants.matches(message.account_id.as_deref())
            && (self.tags.is_empty() || tagged)
            && self.read.is_none_or(|read| read == message.read.is_some())
            && self.from.is_none_or(|from| message.created >= from)
    }
}

/// Which tenants' messages.
#[derive(Clone, Debug, Default)]
pub(super) enum TenantFilter {
    #[default]
    All,
    None,
    Only(String),
}

impl TenantFilter {
    /// What a client sees that asks for this tenant, or for none.
    pub(super) fn of(tenant: Option<String>, rule: TenantRule) -> Self {
        match (tenant, rule) {
            (Some(tenant), _) => Self::Only(tenant),
            (None, TenantRule::All) => Self::All,
            (None, TenantRule::Own) => Self::None,
        }
    }

    pub(super) fn matches(&self, tenant: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::None => tenant.is_none(),
            Self::Only(only) => tenant == Some(only.as_str()),
        }
    }
}
