//! A mailbox against a model that filters and cuts a list.

use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{Cursor, Mailbox};
use crate::emulator::{
    event::Change,
    filter::{Filter, TenantFilter},
    message::{Draft, Message},
    timestamp::Timestamp,
};

#[derive(Clone, Debug)]
struct Made {
    created: i64,
    tenant: Option<&'static str>,
    tags: Vec<&'static str>,
    read: bool,
    archived: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let tenant = option::of(select(&["t1", "t2"][..]));
    let tags = vec(select(&["a", "b", "c"][..]), 0..3);
    // Few different times, so that some are the same.
    (0..4_i64, tenant, tags, any::<bool>(), any::<bool>()).prop_map(
        |(created, tenant, tags, read, archived)| Made {
            created,
            tenant,
            tags,
            read,
            archived,
        },
    )
}

fn filter() -> impl Strategy<Value = Filter> {
    let tenants = prop_oneof![
        Just(TenantFilter::All),
        Just(TenantFilter::None),
        select(&["t1", "t2", "t3"][..]).prop_map(|tenant| TenantFilter::Only(tenant.to_owned())),
    ];
    let tags = vec(select(&["a", "b", "d"][..]).prop_map(str::to_owned), 0..3);
    let from = option::of((0..5_i64).prop_map(Timestamp::from_unix_millis));
    (
        tenants,
        tags,
        option::of(any::<bool>()),
        any::<bool>(),
        from,
    )
        .prop_map(|(tenants, tags, read, archived, from)| Filter {
            tenants,
            tags,
            read,
            archived,
            from,
        })
}

fn matches(made: &Made, filter: &Filter) -> bool {
    let tenant = match &filter.tenants {
        TenantFilter::All => true,
        TenantFilter::None => made.tenant.is_none(),
        TenantFilter::Only(only) => made.tenant == Some(only.as_str()),
    };
    let mut wanted = filter.tags.iter();
    let tags = filter.tags.is_empty() || wanted.any(|tag| made.tags.contains(&tag.as_str()));
    let read = filter.read.is_none_or(|read| read == made.read);
    let from = filter
        .from
        .is_none_or(|from| made.created >= from.unix_millis());
    tenant && tags && read && made.archived == filter.archived && from
}

fn mailbox(all: &[Made]) -> Mailbox {
    let mut mailbox = Mailbox::default();
    for (number, made) in all.iter().enumerate() {
        insert(&mut mailbox, number, made);
    }
    mailbox
}

fn insert(mailbox: &mut Mailbox, number: usize, made: &Made) {
    let mut draft = Draft::default().created(Timestamp::from_unix_millis(made.created));
    draft.tenant_id = made.tenant.map(str::to_owned);
    draft.tags = made.tags.iter().map(|&tag| tag.to_owned()).collect();
    let id = number.to_string();
    mailbox.insert(Message::new(id.clone(), draft));
    if made.read {
        mailbox.change(&id, Change::Read);
    }
    if made.archived {
        mailbox.change(&id, Change::Archive);
    }
}

/// The ids of those that match, the newest first, of the same age the one that came last.
fn model(all: &[Made], filter: &Filter) -> Vec<String> {
    let mut matching: Vec<_> = all
        .iter()
        .enumerate()
        .filter(|(_, made)| matches(made, filter))
        .map(|(number, made)| (made.created, number))
        .collect();
    matching.sort_unstable();
    let newest_first = matching.into_iter().rev();
    newest_first.map(|(_, number)| number.to_string()).collect()
}

/// All pages from a cursor on, one after the other, and how many there were.
fn read_from(
    mailbox: &Mailbox,
    filter: &Filter,
    limit: usize,
    mut cursor: Option<Cursor>,
) -> (Vec<String>, usize) {
    let mut ids = Vec::new();
    let mut pages = 0;
    loop {
        let page = mailbox.page(filter, limit, cursor);
        pages += 1;
        assert!(pages <= MOST_PAGES, "the pages do not end");
        ids.extend(page.messages.into_iter().map(|message| message.message_id));
        let Some(next) = page.next else {
            return (ids, pages);
        };
        // As it goes over the wire.
        let next: Result<Cursor, _> = next.to_string().parse();
        cursor = next.ok();
        assert!(cursor.is_some());
    }
}

proptest! {
    #[test]
    fn pages_are_the_list_cut_up(all in vec(made(), 0..30), filter in filter(), limit in 1..8_usize) {
        let mailbox = mailbox(&all);
        let expected = model(&all, &filter);
        let (read, pages) = read_from(&mailbox, &filter, limit, None);
        prop_assert_eq!(pages, expected.len().div_ceil(limit).max(1));
        prop_assert_eq!(mailbox.count(&filter), expected.len());
        prop_assert_eq!(mailbox.page(&filter, limit, None).total, expected.len());
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn what_arrives_meanwhile_moves_no_page(all in vec(made(), 1..20), later in made(), limit in 1..4_usize) {
        let mut mailbox = mailbox(&all);
        let filter = Filter::default();
        let first = mailbox.page(&filter, limit, None);
        let rest: Vec<_> = model(&all, &filter).into_iter().skip(limit).collect();
        let newest = Made { created: 9, ..later };
        insert(&mut mailbox, all.len(), &newest);
        let (after, _) = match first.next {
            Some(next) => read_from(&mailbox, &filter, limit, Some(next)),
            None => (Vec::new(), 0),
        };
        prop_assert_eq!(after, rest);
    }

    #[test]
    fn no_cursor_makes_it_panic(text in r"\PC*|-?[0-9]{1,30}_[0-9]{1,30}") {
        if let Ok(cursor) = text.parse() {
            Mailbox::default().page(&Filter::default(), 1, Some(cursor));
        }
    }
}

/// No test has as many messages.
const MOST_PAGES: usize = 100;
