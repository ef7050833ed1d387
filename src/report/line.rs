//! A line of text put together from short pieces, quickly.

/// A text of at most `N` bytes. It is copied whole, whatever its length, since a copy of a fixed size is a few
/// instructions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Piece<N> {
    pub(super) const EMPTY: Self = Self { bytes: [0; N], len: 0 };

    /// A word and what stands behind it.
    pub(super) const fn of(word: &str, end: u8) -> Self {
        let mut piece = Self::EMPTY;
        let word = word.as_bytes();
        while piece.len < word.len() {
            piece.bytes[piece.len] = word[piece.len];
            piece.len += 1;
        }
        piece.bytes[piece.len] = end;
        piece.len += 1;
        piece
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    pub(super) fn push_integer(&mut self, number: u64) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(number).as_bytes();
        self.bytes[self.len..self.len + digits.len()].copy_from_slice(digits);
        self.len += digits.len();
    }

    /// Nanoseconds as seconds with 6 decimals, rounded half up.
    pub(super) fn push_seconds(&mut self, nanos: u64) {
        let (micros, second) = (whole_micros(nanos), 1_000_000);
        self.push_integer(micros / second);
        // The leading 1 keeps the zeros after the point; the point takes its place.
        let start = self.len;
        self.push_integer(second + micros % second);
        self.bytes[start] = b'.';
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Whole microseconds, rounded half up.
pub(super) fn whole_micros(nanos: u64) -> u64 {
    nanos / 1000 + u64::from(nanos % 1000 >= 500)
}

/// Longest line, and room behind it for the copy of a whole piece.
const LINE_MAX: usize = 256;

/// A line that pieces are appended to, in place at the end of a text.
pub(super) struct Line<'a> {
    text: &'a mut Vec<u8>,
    len: usize,
}

impl<'a> Line<'a> {
    /// A line of at most 256 bytes.
    pub(super) fn begin(text: &'a mut Vec<u8>) -> Self {
        let len = text.len();
        text.resize(len + LINE_MAX, 0);
        Self { text, len }
    }

    pub(super) fn push<const N: usize>(&mut self, piece: &Piece<N>) {
        self.text[self.len..self.len + N].copy_from_slice(&piece.bytes);
        self.len += piece.len;
    }

    pub(super) fn end(self) {
        self.text.truncate(self.len);
    }
}

/// The text of the value that was asked for last, for values that often come again.
#[derive(Debug)]
pub(super) struct Remembered<K, const N: usize> {
    last: Option<K>,
    piece: Piece<N>,
}

impl<K: PartialEq, const N: usize> Remembered<K, N> {
    pub(super) fn new() -> Self {
        Self { last: None, piece: Piece::EMPTY }
    }

    /// The text of `key`, which `write` writes if it is not the last one again.
    pub(super) fn get(&mut self, key: K, write: impl FnOnce(&mut Piece<N>, &K)) -> &Piece<N> {
        if self.last.as_ref() != Some(&key) {
            self.piece.len = 0;
            write(&mut self.piece, &key);
            self.last = Some(key);
        }
        &self.piece
    }
}

/// A number that is counted up in decimals.
#[derive(Debug)]
pub(super) struct Counter {
    value: u64,
    digits: Piece<24>,
}

impl Counter {
    pub(super) fn new(value: u64) -> Self {
        let mut digits = Piece::EMPTY;
        digits.push_integer(value);
        Self { value, digits }
    }

    pub(super) fn value(&self) -> u64 {
        self.value
    }

    /// The decimals.
    pub(super) fn digits(&self) -> &Piece<24> {
        &self.digits
    }

    pub(super) fn increment(&mut self) {
        self.value += 1;
        for digit in self.digits.bytes[..self.digits.len].iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        // All were nines: one digit more.
        self.digits.bytes[0] = b'1';
        self.digits.push(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_shows_its_value() {
        for start in [0, 7, 95, 998, 9_999_995] {
            let mut counter = Counter::new(start);
            for value in start..start + 20 {
                assert_eq!(counter.digits().as_bytes(), value.to_string().as_bytes());
                assert_eq!(counter.value(), value);
                counter.increment();
            }
        }
    }

    #[test]
    fn the_longest_numbers_have_room() {
        let mut piece = Piece::<32>::EMPTY;
        piece.push_seconds(u64::MAX);
        assert_eq!(piece.as_bytes(), b"18446744073.709552");
        let mut text = b"0\n".to_vec();
        let mut line = Line::begin(&mut text);
        line.push(Counter::new(u64::MAX).digits());
        line.push(&Piece::<16>::of("", b'\n'));
        line.end();
        assert_eq!(text, b"0\n18446744073709551615\n");
    }

    #[test]
    fn what_is_remembered_is_written_anew_for_another_value() {
        let mut remembered = Remembered::<u64, 24>::new();
        let mut n_written = 0;
        for value in [5, 5, 6, 5] {
            let text = remembered.get(value, |piece, value| {
                n_written += 1;
                piece.push_integer(*value);
            });
            assert_eq!(text.as_bytes(), value.to_string().as_bytes());
        }
        assert_eq!(n_written, 3);
    }
}
