//! The inbox: its messages, their counts, and what can be done to them.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use super::caller::{read, write};
use crate::emulator::{
    event::{Change, ChangeAll},
    filter::{Filter, TenantFilter},
    mailbox::Cursor,
    message::{Action, Message},
    settings::TenantRule,
    state::State,
    timestamp::Timestamp,
};

#[derive(Default)]
pub(in crate::emulator) struct Query;

#[Object]
impl Query {
    async fn count(
        &self,
        ctx: &Context<'_>,
        params: Option<FilterParamsInput>,
    ) -> Result<Option<usize>> {
        let count = read(ctx, &[READ], |state, user| {
            let filter = filter(params, state.settings.tenants)?;
            let mailbox = state.mailboxes.get(user);
            Ok(mailbox.map_or(0, |mailbox| mailbox.count(&filter)))
        })?;
        Ok(Some(count.unwrap_or_default()))
    }

    async fn messages(
        &self,
        ctx: &Context<'_>,
        params: Option<FilterParamsInput>,
        limit: Option<i32>,
        after: Option<String>,
    ) -> Result<Option<Messages>> {
        let page = read(ctx, &[READ], |state, user| {
            let after = after.filter(|after| !after.is_empty());
            let after: Option<Result<Cursor, _>> = after.map(|after| after.parse());
            let after = after.transpose().map_err(|_| "`after` is not a cursor")?;
            let limit = usize::try_from(limit.unwrap_or(PAGE)).unwrap_or_default();
            page(state, user, params, limit.min(LARGEST_PAGE), after)
        })?;
        Ok(Some(page.unwrap_or_default()))
    }

    async fn message(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<WithContent>> {
        let message = read(ctx, &[READ], |state, user| {
            let mailbox = state.mailboxes.get(user);
            Ok(mailbox.and_then(|mailbox| mailbox.get(&message_id).cloned()))
        })?;
        Ok(message.flatten().map(WithContent::of))
    }
}

fn page(
    state: &State,
    user: &str,
    params: Option<FilterParamsInput>,
    limit: usize,
    after: Option<Cursor>,
) -> Result<Messages> {
    let filter = filter(params, state.settings.tenants)?;
    let Some(mailbox) = state.mailboxes.get(user) else {
        return Ok(Messages::default());
    };
    let page = mailbox.page(&filter, limit, after);
    Ok(Messages {
        total_count: page.total,
        page_info: PageInfo {
            has_next_page: page.next.is_some(),
            start_cursor: page.next.map(|cursor| cursor.to_string()),
        },
        nodes: page.messages,
    })
}

fn filter(params: Option<FilterParamsInput>, tenants: TenantRule) -> Result<Filter> {
    let params = params.unwrap_or_default();
    let read = match params.status.as_deref() {
        None => None,
        Some("read") => Some(true),
        Some("unread") => Some(false),
        Some(_) => return Err("`status` must be `read` or `unread`".into()),
    };
    let from = params.from.as_deref().map(Timestamp::parse).transpose();
    Ok(Filter {
        tenants: TenantFilter::of(params.account_id, tenants),
        tags: params.tags.unwrap_or_default(),
        read,
        archived: params.archived.unwrap_or_default(),
        from: from.map_err(|error| format!("`from`: {error}"))?,
    })
}

#[derive(Default, InputObject)]
struct FilterParamsInput {
    account_id: Option<String>,
    tags: Option<Vec<String>>,
    status: Option<String>,
    archived: Option<bool>,
    from: Option<String>,
}

#[derive(Default, SimpleObject)]
struct Messages {
    total_count: usize,
    page_info: PageInfo,
    nodes: Vec<Message>,
}

/// What Courier calls the start cursor is where the next page begins.
#[derive(Default, SimpleObject)]
struct PageInfo {
    start_cursor: Option<String>,
    has_next_page: bool,
}

/// A message as phones ask for it, one at a time.
#[derive(SimpleObject)]
#[graphql(name = "MessageWithContent")]
struct WithContent {
    #[graphql(flatten)]
    message: Message,
    content: Content,
}

#[derive(SimpleObject)]
struct Content {
    title: Option<String>,
    preview: Option<String>,
    actions: Vec<Button>,
}

#[derive(SimpleObject)]
struct Button {
    #[graphql(name = "background_color")]
    background_color: Option<String>,
    content: Option<String>,
    href: Option<String>,
    style: Option<String>,
}

impl WithContent {
    fn of(message: Message) -> Self {
        let button = |action: &Action| Button {
            background_color: None,
            content: action.content.clone(),
            href: action.href.clone(),
            style: None,
        };
        let content = Content {
            title: message.title.clone(),
            preview: message.preview.clone(),
            actions: message.actions.iter().map(button).collect(),
        };
        Self { message, content }
    }
}

#[derive(Default)]
pub(in crate::emulator) struct Mutation;

/// Each says whether there is such a message.
#[Object]
impl Mutation {
    async fn read(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Read)
    }

    async fn unread(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Unread)
    }

    async fn opened(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Opened)
    }

    async fn archive(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Archive)
    }

    async fn unarchive(&self, ctx: &Context<'_>, message_id: String) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Unarchive)
    }

    /// The tracking id is not compared: clients that learn of a message from their socket do not have it.
    async fn clicked(
        &self,
        ctx: &Context<'_>,
        message_id: String,
        #[graphql(name = "trackingId")] _tracking_id: Option<String>,
    ) -> Result<Option<bool>> {
        change(ctx, &message_id, Change::Clicked)
    }

    async fn mark_all_read(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        change_all(ctx, ChangeAll::MarkRead)
    }

    async fn archive_read(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        change_all(ctx, ChangeAll::ArchiveRead)
    }

    async fn archive_all(&self, ctx: &Context<'_>) -> Result<Option<bool>> {
        change_all(ctx, ChangeAll::Archive)
    }
}

fn change(ctx: &Context<'_>, message_id: &str, change: Change) -> Result<Option<bool>> {
    write(ctx, WRITE, |state, user, source| {
        Some(state.change(user, message_id, change, source))
    })
}

fn change_all(ctx: &Context<'_>, change: ChangeAll) -> Result<Option<bool>> {
    write(ctx, WRITE, |state, user, source| {
        state.change_all(user, change, source);
        Some(true)
    })
}

const READ: &str = "inbox:read:messages";
const WRITE: &str = "inbox:write:events";
const PAGE: i32 = 24;
const LARGEST_PAGE: usize = 100;
