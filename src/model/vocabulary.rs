//! Tokenizers of repositories that hold a vocabulary and no `tokenizer.json`.

use std::path::Path;

use serde::Deserialize;
use tokenizers::models::bpe::BPE;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, Tokenizer};

use super::{EncoderKind, ModelError};

/// What `tokenizer_config.json` says; the defaults are those of transformers.
#[derive(Debug, Default, Deserialize)]
struct Options {
    do_lower_case: Option<bool>,
    strip_accents: Option<bool>,
    tokenize_chinese_chars: Option<bool>,
    add_prefix_space: Option<bool>,
}

/// The files that a tokenizer of this family is built from; none for one that takes no texts.
pub fn vocabulary_files(kind: EncoderKind) -> &'static [&'static str] {
    match kind {
        EncoderKind::Bert | EncoderKind::DistilBert => &["vocab.txt"],
        EncoderKind::Roberta => &["vocab.json", "merges.txt"],
        EncoderKind::Vit => &[],
    }
}

/// The tokenizer that transformers builds from the directory's vocabulary; `None` when it is not there.
///
/// # Errors
/// When a file is damaged, or a special token is missing.
pub(super) fn tokenizer(directory: &Path, kind: EncoderKind) -> Result<Option<Tokenizer>, ModelError> {
    let files = vocabulary_files(kind);
    if files.is_empty() || !files.iter().all(|file| directory.join(file).is_file()) {
        return Ok(None);
    }
    let origin = directory.join(files[0]).display().to_string();
    let refuse = |message: String| ModelError::Tokenizer { origin: origin.clone(), message };
    let options = options(directory)?;
    let built = match kind {
        EncoderKind::Roberta => byte_level(directory, &options),
        _ => word_pieces(directory, &options),
    };
    built.map(Some).map_err(|error| refuse(error.to_string()))
}

fn options(directory: &Path) -> Result<Options, ModelError> {
    let path = directory.join("tokenizer_config.json");
    if !path.is_file() {
        return Ok(Options::default());
    }
    let bytes = std::fs::read(&path).map_err(|source| ModelError::Read { path: path.clone(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|error| ModelError::Tokenizer { origin: path.display().to_string(), message: error.to_string() })
}

/// BERT's: lower case unless told otherwise, `[CLS] text [SEP] pair [SEP]`.
fn word_pieces(directory: &Path, options: &Options) -> tokenizers::Result<Tokenizer> {
    let path = directory.join("vocab.txt");
    let model = WordPiece::from_file(&path.to_string_lossy()).unk_token("[UNK]".into()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let lower = options.do_lower_case.unwrap_or(true);
    let chinese = options.tokenize_chinese_chars.unwrap_or(true);
    tokenizer
        .with_normalizer(Some(BertNormalizer::new(true, chinese, options.strip_accents, lower)))?
        .with_pre_tokenizer(Some(BertPreTokenizer));
    let special = ["[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"];
    add_special(&mut tokenizer, special.map(|token| AddedToken::from(token, true)))?;
    let (sep, cls) = (id(&tokenizer, "[SEP]")?, id(&tokenizer, "[CLS]")?);
    tokenizer.with_post_processor(Some(BertProcessing::new(("[SEP]".into(), sep), ("[CLS]".into(), cls))));
    Ok(tokenizer)
}

/// RoBERTa's: bytes and merges, `<s> text </s> </s> pair </s>`.
fn byte_level(directory: &Path, options: &Options) -> tokenizers::Result<Tokenizer> {
    let (vocabulary, merges) = (directory.join("vocab.json"), directory.join("merges.txt"));
    let model = BPE::from_file(&vocabulary.to_string_lossy(), &merges.to_string_lossy()).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let prefix = options.add_prefix_space.unwrap_or(false);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(prefix, true, true)));
    // leading blanks belong to the mask token
    let special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"];
    add_special(&mut tokenizer, special.map(|token| AddedToken::from(token, true).lstrip(token == "<mask>")))?;
    let (end, start) = (id(&tokenizer, "</s>")?, id(&tokenizer, "<s>")?);
    let processing = RobertaProcessing::new(("</s>".into(), end), ("<s>".into(), start));
    tokenizer.with_post_processor(Some(processing.trim_offsets(true).add_prefix_space(prefix)));
    Ok(tokenizer)
}

/// Marks the special tokens; all but the mask must be in the vocabulary, else they would get numbers beyond it.
fn add_special<const N: usize>(tokenizer: &mut Tokenizer, tokens: [AddedToken; N]) -> tokenizers::Result<()> {
    for token in &tokens {
        if !token.content.to_lowercase().contains("mask") {
            id(tokenizer, &token.content)?;
        }
    }
    let known: Vec<AddedToken> =
        tokens.into_iter().filter(|token| tokenizer.token_to_id(&token.content).is_some()).collect();
    tokenizer.add_special_tokens(known)?;
    Ok(())
}

fn id(tokenizer: &Tokenizer, token: &str) -> tokenizers::Result<u32> {
    tokenizer.token_to_id(token).ok_or_else(|| format!("the vocabulary has no `{token}`").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(files: &[(&str, &str)], kind: EncoderKind) -> Result<Option<Tokenizer>, ModelError> {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        tokenizer(dir.path(), kind)
    }

    fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
        tokenizer.encode(text, true).unwrap().get_ids().to_vec()
    }

    // The expected ids are those of transformers 5.23: `AutoTokenizer.from_pretrained(DIR)(…)` on a directory with these
    // files and a `config.json` that names the model type.
    const VOCAB: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nun\n##aff\n##able\ncafe\n!\nCaf\n##é\ncaf\n中\n";

    #[test]
    fn berts_vocabulary_gives_the_ids_of_transformers() {
        for kind in [EncoderKind::Bert, EncoderKind::DistilBert] {
            let lower = built(&[("vocab.txt", VOCAB)], kind).unwrap().unwrap();
            assert_eq!(ids(&lower, "The unaffable Café 中!"), [2, 5, 6, 7, 8, 9, 14, 10, 3]);
            let pair = lower.encode(("the", "café [MASK]"), true).unwrap();
            assert_eq!((pair.get_ids(), pair.get_type_ids()), (&[2, 5, 3, 9, 4, 3][..], &[0, 0, 0, 1, 1, 1][..]));
        }
        let cased = [("vocab.txt", VOCAB), ("tokenizer_config.json", "{\"do_lower_case\": false}")];
        let cased = built(&cased, EncoderKind::Bert).unwrap().unwrap();
        assert_eq!(ids(&cased, "The unaffable Café 中!"), [2, 1, 6, 7, 8, 11, 12, 14, 10, 3]);
    }

    #[test]
    fn robertas_vocabulary_gives_the_ids_of_transformers() {
        let tokens = [
            "<s>", "<pad>", "</s>", "<unk>", "<mask>", "t", "h", "e", "Ġ", "c", "a", "Ã", "©", "th", "the", "Ġc", "Ġca",
        ];
        let vocabulary: serde_json::Map<String, serde_json::Value> =
            tokens.iter().enumerate().map(|(i, token)| (token.to_string(), i.into())).collect();
        let vocabulary = serde_json::Value::Object(vocabulary).to_string();
        let files = [("vocab.json", vocabulary.as_str()), ("merges.txt", "#version: 0.2\nt h\nth e\nĠ c\nĠc a\n")];
        let tokenizer = built(&files, EncoderKind::Roberta).unwrap().unwrap();
        assert_eq!(ids(&tokenizer, "the cathé x"), [0, 14, 16, 13, 11, 12, 8, 2]);
        let pair = tokenizer.encode(("the ca", "the"), true).unwrap();
        assert_eq!(pair.get_ids(), [0, 14, 16, 2, 2, 14, 2]);
        let mut spaced = files.to_vec();
        spaced.push(("tokenizer_config.json", "{\"add_prefix_space\": true}"));
        let spaced = built(&spaced, EncoderKind::Roberta).unwrap().unwrap();
        assert_eq!(ids(&spaced, "the cathé x"), [0, 8, 14, 16, 13, 11, 12, 8, 2]);
    }

    #[test]
    fn what_is_missing_is_told() {
        assert!(built(&[("vocab.json", "{}")], EncoderKind::Roberta).unwrap().is_none());
        assert!(built(&[], EncoderKind::Vit).unwrap().is_none());
        let error = built(&[("vocab.txt", "[PAD]\n[UNK]\nthe\n")], EncoderKind::Bert).unwrap_err().to_string();
        assert!(error.contains("vocab.txt: the vocabulary has no `[SEP]`"), "{error}");
    }
}
