//! A line of text put together from numbers and words, quickly: each is copied as a block of fixed size, of which what is
//! too long is written over by the next.

/// Room for a line. All columns of the longest row take less, and so does the block behind its end.
pub(super) const LINE_MAX: usize = 256;

/// Longest word with what stands behind it.
const PIECE_MAX: usize = 24;

/// A word and what stands behind it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    bytes: [u8; PIECE_MAX],
    len: usize,
}

impl Piece {
    /// A word of less than 24 bytes.
    pub(super) const fn of(word: &str, end: u8) -> Self {
        let mut bytes = [0; PIECE_MAX];
        let word = word.as_bytes();
        let mut len = 0;
        while len < word.len() {
            bytes[len] = word[len];
            len += 1;
        }
        bytes[len] = end;
        Self { bytes, len: len + 1 }
    }
}

/// A line that grows at its end.
pub(super) struct Line<'a> {
    bytes: &'a mut [u8; LINE_MAX],
    len: usize,
}

/// Eight digits `0`, one a byte.
const ZEROS: u64 = u64::from_le_bytes(*b"00000000");
const TEN_TO_THE_8: u64 = 100_000_000;

impl<'a> Line<'a> {
    /// An empty line. What `bytes` holds does not matter.
    #[inline(always)]
    pub(super) fn begin(bytes: &'a mut [u8; LINE_MAX]) -> Self {
        Self { bytes, len: 0 }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    #[inline(always)]
    pub(super) fn push_piece(&mut self, piece: &Piece) {
        self.push_block(piece.bytes, piece.len);
    }

    /// A number in decimals.
    #[inline(always)]
    pub(super) fn push_integer(&mut self, number: u64) {
        if number >= TEN_TO_THE_8 {
            return self.push_long_integer(number);
        }
        let digits = eight_digits(number as u32);
        // The first digit is the lowest byte; the last one stays even if it is 0.
        let n_zeros = (digits.trailing_zeros() / 8).min(7);
        self.push_block(((digits | ZEROS) >> (8 * n_zeros)).to_le_bytes(), 8 - n_zeros as usize);
    }

    #[cold]
    fn push_long_integer(&mut self, number: u64) {
        self.push_integer(number / TEN_TO_THE_8);
        let digits = eight_digits((number % TEN_TO_THE_8) as u32);
        self.push_block((digits | ZEROS).to_le_bytes(), 8);
    }

    /// Nanoseconds as seconds with 6 decimals, rounded half up.
    #[inline(always)]
    pub(super) fn push_seconds(&mut self, nanos: u64) {
        let (micros, second) = (whole_micros(nanos), 1_000_000);
        self.push_integer(micros / second);
        // Of the eight digits, the first two are zeros: the point takes the place of the second.
        let decimals = (eight_digits((micros % second) as u32) | ZEROS) >> 8;
        self.push_block(((decimals & !0xff) | u64::from(b'.')).to_le_bytes(), 7);
    }

    /// The first `len` bytes of a block.
    #[inline(always)]
    fn push_block<const N: usize>(&mut self, block: [u8; N], len: usize) {
        self.bytes[self.len..self.len + N].copy_from_slice(&block);
        self.len += len;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The decimal digits of a number below 10^8, a byte each and zeros in front included, the first in the lowest byte.
///
/// All divisions of a step are made at once: the numbers lie side by side in one word, and a product with a rounded
/// reciprocal, shifted, is the quotient of each, since it stays below the next number.
#[inline(always)]
fn eight_digits(number: u32) -> u64 {
    let number = u64::from(number);
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    // x / 100 = x * 10486 / 2^20 for x < 10^4, and x / 10 = x * 103 / 2^10 for x < 100.
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

/// Whole microseconds, rounded half up.
#[inline]
pub(super) fn whole_micros(nanos: u64) -> u64 {
    nanos / 1000 + u64::from(nanos % 1000 >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(push: impl FnOnce(&mut Line<'_>)) -> String {
        let mut bytes = [b'?'; LINE_MAX];
        let mut line = Line::begin(&mut bytes);
        push(&mut line);
        String::from_utf8(line.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn integers_are_written_as_everybody_writes_them() {
        let powers = (0..20).map(|n| 10u64.pow(n)).flat_map(|power| [power - 1, power, power + 1]);
        for number in powers.chain((0..100_000).map(|n| n * 99_991)).chain([u64::MAX]) {
            assert_eq!(written(|line| line.push_integer(number)), number.to_string());
        }
        // Every pair of halves that the digits are taken from.
        for half in 0..10_000 {
            assert_eq!(written(|line| line.push_integer(12_340_000 + half)), (12_340_000 + half).to_string());
            assert_eq!(written(|line| line.push_integer(10_000 * half + 7)), (10_000 * half + 7).to_string());
        }
    }

    #[test]
    fn the_longest_row_has_room() {
        // Row, task and bytes; client, round, version and staleness; two times; two words; eleven ends of a column; and
        // what is copied behind the last word.
        let longest = written(|line| {
            (0..3).for_each(|_| line.push_integer(u64::MAX));
            (0..4).for_each(|_| line.push_integer(u32::MAX.into()));
            (0..2).for_each(|_| line.push_seconds(u64::MAX));
        });
        assert!(longest.ends_with("18446744073.709552"));
        assert!(longest.len() + 2 * PIECE_MAX + 11 + PIECE_MAX < LINE_MAX, "{}", longest.len());
    }

    #[test]
    fn a_word_ends_with_what_stands_behind_it() {
        let text = written(|line| {
            line.push_piece(&Piece::of("upload_end", b','));
            line.push(b'x');
        });
        assert_eq!(text, "upload_end,x");
    }
}
