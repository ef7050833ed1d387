//! The tokenizer of encoders that this project pretrains.

use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer, TokenizerImpl};

use super::DataError;

/// Special tokens by id, as RoBERTa numbers them; a new vocabulary has the mask token next to them.
const SPECIAL_TOKENS: [&str; 5] = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];

/// Trains a byte-level BPE tokenizer in RoBERTa's form: ids 0 to 4 are `<s> <pad> </s> <unk> <mask>`, then the 256
/// bytes, then merges; a text becomes `<s> text </s>`, a pair `<s> text </s> </s> pair </s>`. Saved, it is a
/// `tokenizer.json` that `transformers` loads. The same corpus gives the same tokenizer.
///
/// `vocab_size` counts all of these and must be above 261; a small corpus may give fewer.
///
/// # Errors
/// `vocab_size` is too small.
pub fn train_byte_bpe<S: AsRef<str> + Sync>(corpus: &[S], vocab_size: usize) -> Result<Tokenizer, DataError> {
    let n_fixed = SPECIAL_TOKENS.len() + 256;
    if vocab_size <= n_fixed {
        return Err(DataError::Tokenizer(format!(
            "a vocabulary of {vocab_size} has no room beside {n_fixed} special tokens and bytes; ask for more"
        )));
    }
    // Leading blanks belong to the mask token, as in RoBERTa: " <mask>" stands for one word.
    let special = SPECIAL_TOKENS.map(|token| AddedToken::from(token, true).lstrip(token == "<mask>"));
    let mut trainer = BpeTrainer::builder()
        .vocab_size(vocab_size)
        .min_frequency(2)
        .show_progress(false)
        .special_tokens(special.to_vec())
        .build();
    trainer.initial_alphabet = ByteLevel::alphabet();

    // As in RoBERTa, the first word of a text has no blank in front.
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer: TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, RobertaProcessing, ByteLevelDecoder> =
        TokenizerImpl::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(bytes)).with_decoder(Some(ByteLevelDecoder::default())).with_post_processor(
        Some(RobertaProcessing::new(("</s>".into(), 2), ("<s>".into(), 0)).trim_offsets(true).add_prefix_space(false)),
    );
    tokenizer
        .train(&mut trainer, corpus.iter().map(AsRef::as_ref))
        .map_err(|error| DataError::Tokenizer(format!("the tokenizer could not be trained: {error}")))?;
    Ok(tokenizer.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<String> {
        ["please book a flight", "please cancel the flight", "the booking is cancelled", "a flight is booked"]
            .iter()
            .cycle()
            .take(40)
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn it_has_the_form_of_roberta() {
        let tokenizer = train_byte_bpe(&corpus(), 300).expect("large enough");
        for (id, token) in (0..).zip(SPECIAL_TOKENS) {
            assert_eq!(tokenizer.token_to_id(token), Some(id));
        }
        let ids = |text| tokenizer.encode(text, true).expect("encodes").get_ids().to_vec();
        let one = ids("please book");
        assert_eq!((one[0], one[one.len() - 1]), (0, 2));
        let pair = tokenizer.encode(("please", "book"), true).expect("encodes");
        let shape: Vec<u32> = pair.get_ids().iter().copied().filter(|id| *id < 5).collect();
        assert_eq!(shape, [0, 2, 2, 2]);
        assert!(pair.get_type_ids().iter().all(|id| *id == 0));
        // Any text has a form: no byte is unknown.
        assert!(!ids("Größe \u{1f680}").contains(&3));
        assert_eq!(tokenizer.decode(&ids("please book a flight"), true).expect("decodes"), "please book a flight");
    }

    #[test]
    fn the_same_corpus_gives_the_same_file() {
        let json = |tokenizer: Tokenizer| tokenizer.to_string(false).expect("serialises");
        let first = json(train_byte_bpe(&corpus(), 320).expect("large enough"));
        for _ in 0..5 {
            assert_eq!(first, json(train_byte_bpe(&corpus(), 320).expect("large enough")));
        }
    }

    #[test]
    fn a_vocabulary_without_room_is_refused() {
        assert!(train_byte_bpe(&corpus(), 261).is_err());
    }
}
