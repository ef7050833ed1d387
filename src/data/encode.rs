//! From text to token ids.

use tokenizers::{EncodeInput, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy};

use super::{DataError, EncodedDataset, EncodedSplit, TextDataset, TextExample};

/// Fewer rows than this are not worth a thread of their own.
const ROWS_PER_THREAD_MIN: usize = 1000;

/// One split as token ids, unpadded, rows end to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSplit {
    ids: Vec<u32>,
    type_ids: Vec<u32>,
    /// Row `i` is `offsets[i]..offsets[i + 1]`.
    offsets: Vec<usize>,
    labels: Vec<u32>,
}

impl TokenSplit {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Token ids (special tokens included), token types and label of row `i`.
    pub fn example(&self, i: usize) -> (&[u32], &[u32], u32) {
        let range = self.offsets[i]..self.offsets[i + 1];
        (&self.ids[range.clone()], &self.type_ids[range], self.labels[i])
    }

    /// The label of every row.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Tokens of all rows together.
    pub fn n_tokens(&self) -> usize {
        self.ids.len()
    }

    fn empty() -> Self {
        Self { ids: Vec::new(), type_ids: Vec::new(), offsets: vec![0], labels: Vec::new() }
    }

    /// Rows of these lengths end to end; `None` when the parts do not fit together.
    pub(super) fn from_parts(ids: Vec<u32>, type_ids: Vec<u32>, lengths: &[u32], labels: Vec<u32>) -> Option<Self> {
        let mut offsets = Vec::with_capacity(lengths.len() + 1);
        offsets.push(0usize);
        for length in lengths {
            offsets.push(offsets[offsets.len() - 1].checked_add(*length as usize)?);
        }
        let fits = offsets.last() == Some(&ids.len()) && type_ids.len() == ids.len() && labels.len() == lengths.len();
        fits.then_some(Self { ids, type_ids, offsets, labels })
    }
}

/// Tokenises every row in the form that the tokenizer's own post-processor gives, special tokens included. Rows longer
/// than `max_seq_length` tokens are cut at the end, a pair's longer text first. The tokenizer's own padding and
/// truncation settings are not used.
///
/// # Errors
/// `max_seq_length` leaves no room for text beside the special tokens, or the tokenizer fails.
pub fn encode(
    dataset: &TextDataset,
    tokenizer: &Tokenizer,
    max_seq_length: usize,
) -> Result<EncodedDataset, DataError> {
    let mut tokenizer = tokenizer.clone();
    let is_pair = dataset.train.iter().any(|row| row.text_pair.is_some());
    let n_special = tokenizer.get_post_processor().map_or(0, |p| tokenizers::PostProcessor::added_tokens(p, is_pair));
    if max_seq_length <= n_special {
        return Err(DataError::Tokenizer(format!(
            "dataset.max_seq_length is {max_seq_length}, but {n_special} tokens of every input are special; raise it"
        )));
    }
    tokenizer.with_padding(None);
    tokenizer
        .with_truncation(Some(TruncationParams {
            max_length: max_seq_length,
            strategy: TruncationStrategy::LongestFirst,
            direction: TruncationDirection::Right,
            stride: 0,
        }))
        .map_err(tokenizer_error)?;
    Ok(EncodedDataset {
        labels: dataset.labels.clone(),
        train: EncodedSplit::Texts(encode_split(&dataset.train, &tokenizer)?),
        validation: EncodedSplit::Texts(encode_split(&dataset.validation, &tokenizer)?),
        test: dataset
            .test
            .as_deref()
            .map(|rows| encode_split(rows, &tokenizer).map(EncodedSplit::Texts))
            .transpose()?,
    })
}

/// Tokenises on every core: the rows are cut into as many runs as there are threads, and the runs put together in order.
/// The tokenizer's own batches would go to the one thread that rayon is given in this program.
fn encode_split(rows: &[TextExample], tokenizer: &Tokenizer) -> Result<TokenSplit, DataError> {
    let n_cores = std::thread::available_parallelism().map_or(1, usize::from);
    let n_threads = (rows.len() / ROWS_PER_THREAD_MIN).clamp(1, n_cores);
    encode_on(n_threads, rows, tokenizer)
}

fn encode_on(n_threads: usize, rows: &[TextExample], tokenizer: &Tokenizer) -> Result<TokenSplit, DataError> {
    if n_threads == 1 {
        return encode_rows(rows, tokenizer);
    }
    let runs = std::thread::scope(|scope| {
        // A tokenizer of its own for each thread: the memory of words that it has seen is behind a lock.
        let start = |run| {
            let tokenizer = tokenizer.clone();
            scope.spawn(move || encode_rows(run, &tokenizer))
        };
        let threads: Vec<_> = rows.chunks(rows.len().div_ceil(n_threads).max(1)).map(start).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<TokenSplit>, _>>()
    })?;
    let mut whole = TokenSplit::empty();
    for run in runs {
        let before = whole.ids.len();
        whole.ids.extend(run.ids);
        whole.type_ids.extend(run.type_ids);
        whole.offsets.extend(run.offsets[1..].iter().map(|offset| before + offset));
        whole.labels.extend(run.labels);
    }
    Ok(whole)
}

fn encode_rows(rows: &[TextExample], tokenizer: &Tokenizer) -> Result<TokenSplit, DataError> {
    let mut split = TokenSplit::empty();
    for row in rows {
        let input: EncodeInput = match &row.text_pair {
            Some(pair) => (row.text.as_str(), pair.as_str()).into(),
            None => row.text.as_str().into(),
        };
        let encoding = tokenizer.encode_fast(input, true).map_err(tokenizer_error)?;
        split.ids.extend_from_slice(encoding.get_ids());
        split.type_ids.extend_from_slice(encoding.get_type_ids());
        split.offsets.push(split.ids.len());
        split.labels.push(row.label);
    }
    Ok(split)
}

fn tokenizer_error(error: tokenizers::Error) -> DataError {
    DataError::Tokenizer(format!("the tokenizer failed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tokenizer::train_byte_bpe;

    fn dataset(rows: &[(&str, Option<&str>)]) -> TextDataset {
        let row = |(i, (text, pair)): (usize, &(&str, Option<&str>))| TextExample {
            text: text.to_string(),
            text_pair: pair.map(String::from),
            label: i as u32,
        };
        let rows: Vec<TextExample> = rows.iter().enumerate().map(row).collect();
        TextDataset::new("a".into(), vec!["no".into(), "yes".into()], rows.clone(), rows.clone(), Some(rows))
    }

    /// Without merges: one token per byte.
    fn bytes() -> Tokenizer {
        train_byte_bpe(&["a b c d e f g h"], 300).expect("large enough")
    }

    fn train(encoded: &EncodedDataset) -> &TokenSplit {
        match &encoded.train {
            EncodedSplit::Texts(split) => split,
            EncodedSplit::Images(_) => panic!("texts were encoded"),
        }
    }

    #[test]
    fn rows_have_the_tokenizers_form_and_are_cut_at_the_end() {
        let encoded = encode(&dataset(&[("abc", None), ("abcdefgh", None)]), &bytes(), 6).expect("encodes");
        let id = |c: &str| bytes().token_to_id(c).expect("a byte");
        let (ids, type_ids, label) = train(&encoded).example(0);
        assert_eq!(ids, [0, id("a"), id("b"), id("c"), 2]);
        assert_eq!((type_ids, label), ([0; 5].as_slice(), 0));
        // 6 tokens, 2 of them special.
        assert_eq!(train(&encoded).example(1).0, [0, id("a"), id("b"), id("c"), id("d"), 2]);
        assert_eq!((encoded.train.len(), train(&encoded).n_tokens()), (2, 11));
        assert_eq!(encoded.test, Some(encoded.train.clone()));
        assert_eq!(encoded.validation.labels(), [0, 1]);
    }

    #[test]
    fn the_longer_text_of_a_pair_is_cut_first() {
        let encoded = encode(&dataset(&[("abcdef", Some("gh")), ("ab", None)]), &bytes(), 9).expect("encodes");
        // 9 tokens, 4 of them special, 2 for the second text.
        let text = bytes().decode(train(&encoded).example(0).0, false).expect("decodes");
        assert_eq!(text, "<s>abc</s></s>gh</s>");
    }

    #[test]
    fn the_tokenizers_own_padding_and_truncation_are_not_used() {
        let mut padded = bytes();
        padded.with_padding(Some(tokenizers::PaddingParams::default()));
        padded.with_truncation(Some(TruncationParams { max_length: 4, ..Default::default() })).expect("valid");
        let rows = dataset(&[("a", None), ("abcdefgh", None)]);
        assert_eq!(encode(&rows, &padded, 32).expect("encodes"), encode(&rows, &bytes(), 32).expect("encodes"));
    }

    #[test]
    fn any_number_of_threads_gives_the_same_rows_in_the_same_order() {
        let rows: Vec<(String, Option<&str>)> =
            (0..103).map(|i| ("abc def ".repeat(i % 7 + 1), (i % 2 == 0).then_some("gh"))).collect();
        let rows: Vec<(&str, Option<&str>)> = rows.iter().map(|(text, pair)| (text.as_str(), *pair)).collect();
        let rows = dataset(&rows).train;
        let one = encode_on(1, &rows, &bytes()).expect("encodes");
        for n_threads in [2, 3, 16, 200] {
            assert_eq!(encode_on(n_threads, &rows, &bytes()).expect("encodes"), one, "{n_threads} threads");
        }
    }

    #[test]
    fn a_length_without_room_is_refused() {
        let error = encode(&dataset(&[("a", Some("b"))]), &bytes(), 4).expect_err("4 are special").to_string();
        assert!(error.contains("max_seq_length is 4"), "{error}");
    }
}
