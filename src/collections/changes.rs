//! Who changed last.

use std::collections::VecDeque;

/// So many changes are remembered.
const RECENT_MAX: usize = 1024;

/// The last few of a sequence of changes, each the number of what has changed, so that who has looked before need not look
/// at all again. It is a convenience and no part of a state: two are always equal.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    recent: VecDeque<u32>,
    count: u64,
}

impl Changes {
    /// What has this number has changed.
    pub fn add(&mut self, id: u32) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(id);
        self.count += 1;
    }

    /// Everything may have changed.
    pub fn add_all(&mut self) {
        self.recent.clear();
        self.count += 1;
    }

    /// Changes so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The changes after the first `count`, in order; none when they are not remembered, so that all must be looked at.
    pub fn since(&self, count: u64) -> Option<impl ExactSizeIterator<Item = u32>> {
        let n_new = usize::try_from(self.count.checked_sub(count)?).ok()?;
        let first = self.recent.len().checked_sub(n_new)?;
        Some(self.recent.range(first..).copied())
    }
}

impl PartialEq for Changes {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(changes: &Changes, count: u64) -> Option<Vec<u32>> {
        changes.since(count).map(Iterator::collect)
    }

    #[test]
    fn the_last_changes_are_told_and_what_is_forgotten_is_not_passed_over() {
        let mut changes = Changes::default();
        assert_eq!(since(&changes, 0), Some(vec![]));
        (0..RECENT_MAX as u32 + 2).for_each(|id| changes.add(id));
        let count = changes.count();
        assert_eq!(since(&changes, count - 2), Some(vec![RECENT_MAX as u32, RECENT_MAX as u32 + 1]));
        assert_eq!(since(&changes, 2).map(|ids| ids.len()), Some(RECENT_MAX));
        assert_eq!((since(&changes, 1), since(&changes, count + 1)), (None, None));
        changes.add_all();
        changes.add(7);
        assert_eq!((since(&changes, count), since(&changes, count + 1)), (None, Some(vec![7])));
    }
}
