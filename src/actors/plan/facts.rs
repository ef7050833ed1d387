//! What follows from a client's number by drawing, kept after the first time: the same answers, sooner.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Remembered facts of clients. A fact is a pure function of its client, so it does not matter who computes it first.
pub struct Facts {
    /// Device class, network class and region, 21 bits each, and above them a bit that says that they are known.
    membership: Vec<AtomicU64>,
    /// Training examples; 0 is not known.
    num_examples: Vec<AtomicU32>,
}

const KNOWN: u64 = 1 << 63;
const BITS: u32 = 21;
const MASK: u64 = (1 << BITS) - 1;

impl Facts {
    /// Nothing is known yet about `0..n_clients`.
    pub fn new(n_clients: u32) -> Self {
        Self {
            membership: (0..n_clients).map(|_| AtomicU64::new(0)).collect(),
            num_examples: (0..n_clients).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Device class, network class and region of a client.
    pub(super) fn membership(&self, client_id: u32, draw: impl FnOnce() -> [usize; 3]) -> [usize; 3] {
        let slot = &self.membership[client_id as usize];
        let known = slot.load(Ordering::Relaxed);
        if known & KNOWN != 0 {
            return [0, 1, 2].map(|part| ((known >> (part * BITS)) & MASK) as usize);
        }
        let drawn = draw();
        let packed = (0u32..).zip(drawn).fold(KNOWN, |packed, (part, number)| {
            assert!(number as u64 <= MASK, "a scenario has fewer than two million classes");
            packed | ((number as u64) << (part * BITS))
        });
        slot.store(packed, Ordering::Relaxed);
        drawn
    }

    /// Training examples of a client, at least 1.
    pub(super) fn num_examples(&self, client_id: u32, draw: impl FnOnce() -> u32) -> u32 {
        let slot = &self.num_examples[client_id as usize];
        match slot.load(Ordering::Relaxed) {
            0 => {
                let drawn = draw();
                slot.store(drawn, Ordering::Relaxed);
                drawn
            }
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_drawn_once() {
        let facts = Facts::new(3);
        let large = MASK as usize;
        assert_eq!(facts.membership(1, || [2, large, 0]), [2, large, 0]);
        assert_eq!(facts.membership(1, || unreachable!("it is known")), [2, large, 0]);
        assert_eq!(facts.membership(2, || [0, 0, 0]), [0, 0, 0]);
        assert_eq!(facts.num_examples(1, || 17), 17);
        assert_eq!(facts.num_examples(1, || unreachable!("it is known")), 17);
    }
}
