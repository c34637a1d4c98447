use crate::token::TokenId;

/// What `If-None-Match` says about the tokens that the browser holds.
#[derive(Debug, Default)]
pub(super) enum Held {
    #[default]
    Nothing,
    These(Vec<TokenId>),
    /// `*`
    Whatever,
}

impl Held {
    /// Adds one line of the header: `*`, or tags that may be weak. What cannot be an id of ours is
    /// passed over.
    pub(super) fn add(&mut self, line: &[u8]) {
        if line.trim_ascii() == b"*" {
            *self = Self::Whatever;
            return;
        }
        for tag in line.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            let tag = tag.strip_prefix(b"W/").unwrap_or(tag);
            let id = tag
                .strip_prefix(b"\"")
                .and_then(|tag| tag.strip_suffix(b"\""))
                .and_then(|tag| std::str::from_utf8(tag).ok())
                .and_then(TokenId::parse);
            match (&mut *self, id) {
                (Self::These(ids), Some(id)) => ids.push(id),
                (Self::Nothing, Some(id)) => *self = Self::These(vec![id]),
                (Self::Whatever, _) | (_, None) => {}
            }
        }
    }

    pub(super) fn contains(&self, id: &TokenId) -> bool {
        match self {
            Self::Nothing => false,
            Self::These(ids) => ids.contains(id),
            Self::Whatever => true,
        }
    }
}
