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
