use std::{hint::black_box, ops::Deref};

use triomphe::{Arc, HeaderSlice};
use zeroize::Zeroize;

/// A secret text and what is known of it, shared, in one allocation.
///
/// One and not two, because each takes memory of its own, and is waited for by whoever comes across
/// it for the first time in a while.
pub(super) struct Kept<Head>(Arc<HeaderSlice<Head, str>>);

impl<Head> Kept<Head> {
    pub(super) fn new(head: Head, text: &str) -> Self {
        Self(Arc::from_header_and_str(head, text))
    }

    pub(super) fn text(&self) -> &str {
        &self.0.slice
    }

    /// Wipes the text if nobody else has it.
    fn wipe(&mut self) {
        if let Some(last) = Arc::get_mut(&mut self.0) {
            last.slice.zeroize();
        }
    }

    /// Has the processor fetch all of it side by side, for whoever is going to clone it and to read
    /// it to its end. A clone would wait until its count is there before the rest is asked for.
    pub(super) fn fetch(&self) {
        let bytes = self.0.slice.as_bytes();
        let lines = bytes.iter().step_by(CACHE_LINE).chain(bytes.last());
        black_box(lines.fold(0, |all, byte| all | byte));
    }
}

impl<Head> Clone for Kept<Head> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<Head> Deref for Kept<Head> {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.0.header
    }
}

impl<Head> Drop for Kept<Head> {
    fn drop(&mut self) {
        // Whoever is the last to have it wipes it. If the last two let go of it in the same moment,
        // neither does.
        self.wipe();
    }
}

/// Of most processors, in bytes.
const CACHE_LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_still_has_it_can_read_it() {
        let kept = Kept::new(7, "text");
        let other = kept.clone();
        kept.fetch();
        drop(kept);
        assert_eq!((*other, other.text()), (7, "text"));
    }

    #[test]
    fn the_last_who_has_it_wipes_it() {
        let mut kept = Kept::new((), "text");
        let other = kept.clone();
        kept.wipe();
        assert_eq!(other.text(), "text");
        drop(other);
        kept.wipe();
        assert_eq!(kept.text(), "\0\0\0\0");
    }

    #[test]
    fn an_empty_text_can_be_fetched() {
        Kept::new((), "").fetch();
    }
}
