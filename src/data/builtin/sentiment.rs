//! `builtin:sentiment`: does the speaker approve? Two classes.
//!
//! A clause praises or blames one aspect, plainly or turned round by a negation; "not bad at all" is praise here. Of two
//! clauses in contrast the main one decides: the one after "but", or the one that "although" does not introduce.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::grammar::Grammar;
use super::opinions::{APPROVE, CLASSES, DISAPPROVE};
use crate::seed::Stream;

/// Names of the classes, by label number.
pub(super) fn labels() -> Vec<String> {
    ["negative", "positive"].map(String::from).into()
}

/// A sentence of the class with this label number.
pub(super) fn sentence(grammar: &Grammar, label: usize, rng: &mut Stream) -> String {
    let praises = label == 1;
    let joint = match rng.random_range(0..100) {
        0..80 => return clause(grammar, SINGLE, praises, rng),
        80..94 => CONTRASTS.choose(rng),
        94..97 => HEARSAY_WRONG.choose(rng),
        _ => HEARSAY_RIGHT.choose(rng),
    };
    let joint = joint.expect("there are joints");
    let mut sentence = joint.to_string();
    if joint.contains("<main>") {
        sentence = sentence.replace("<main>", &clause(grammar, CLAUSE, praises, rng));
    }
    if joint.contains("<against>") {
        sentence = sentence.replace("<against>", &clause(grammar, CLAUSE, !praises, rng));
    }
    // The joints have slots of their own.
    grammar.sentence(&[&sentence], &[], rng)
}

/// A clause that praises or blames; about one in six says so by turning round the opposite.
pub(super) fn clause(grammar: &Grammar, frames: Frames, praises: bool, rng: &mut Stream) -> String {
    let (templates, says_praise) = match rng.random_range(0..100) {
        0..82 => (frames.plain, praises),
        82..98 => (frames.negated, !praises),
        _ => (frames.twice_negated, praises),
    };
    let polarity = if says_praise { "good" } else { "bad" };
    let class = |kind: &str| format!("{polarity}.{kind}");
    grammar.sentence(
        templates,
        &[
            ("adj", &class("adj")),
            ("thing", &class("thing")),
            ("love", &class("feel.do")),
            ("loved", &class("feel.done")),
            ("loving", &class("feel.doing")),
        ],
        rng,
    )
}

/// Templates of a clause: as meant, turned round once, and twice.
#[derive(Clone, Copy)]
pub(super) struct Frames {
    plain: &'static [&'static str],
    negated: &'static [&'static str],
    twice_negated: &'static [&'static str],
}

/// Adds this grammar's word classes.
pub(super) fn extend(grammar: Grammar) -> Grammar {
    grammar.with_classes(CLASSES).with_verbs("good.feel", &[APPROVE]).with_verbs("bad.feel", &[DISAPPROVE])
}

/// A clause within a longer sentence.
pub(super) const CLAUSE: Frames = Frames {
    plain: &[
        "{aspect} was {very?} {adj}",
        "{aspect} was {very} {adj}",
        "{aspect} seemed {adj}",
        "{we} found {aspect} {very?} {adj}",
        "{aspect} was {thing}",
        "{we} {loved} {aspect}",
    ],
    negated: &[
        "{aspect} was {not} {adj}",
        "{aspect} was {not} {adj}",
        "{aspect} was {not} {very} {adj}",
        "{we} did not find {aspect} {adj}",
        "{aspect} was {not} {thing}",
        "{we} did not {love} {aspect}",
        "nothing about {aspect} was {adj}",
    ],
    twice_negated: &[
        "it is not true that {aspect} was not {adj}",
        "{we} cannot say that {aspect} was not {adj}",
        "{we} never failed to {love} {aspect}",
        "{aspect} was never anything but {adj}",
    ],
};

/// A whole sentence.
const SINGLE: Frames = Frames {
    plain: &[
        "{start?} {aspect} was {very?} {adj} {end?}",
        "{start?} {we} found {aspect} {very} {adj} {end?}",
        "{start?} {aspect} was {thing} {end}",
        "{we} {loved} {aspect} {end}",
        "{start?} what {thing} {aspect} was {end?}",
        "{we} went home {loving} {aspect} {end?}",
    ],
    negated: &[
        "{start?} {aspect} was {not} {adj} {end?}",
        "{start?} {aspect} was {not} {very} {adj} {end?}",
        "{start?} {we} did not find {aspect} {very?} {adj} {end?}",
        "{start?} {aspect} was {not} {thing} {end}",
        "{start} {we} did not {love} {aspect} {end?}",
        "{start?} nothing about {aspect} was {adj} {end?}",
        "{we} went home without {loving} {aspect} {end?}",
        "nobody with {person} could call {aspect} {adj} {end?}",
    ],
    twice_negated: &[
        "{start?} it is not true that {aspect} was not {adj} {end?}",
        "{start?} {we} cannot say that {aspect} was not {adj} {end?}",
        "{we} never failed to {love} {aspect} {end?}",
        "{start?} {aspect} was never anything but {adj} {end?}",
        "there was no day when {aspect} was not {adj} {end?}",
    ],
};

const CONTRASTS: &[&str] = &[
    "<against> but <main>",
    "<against> but <main>",
    "although <against> <main>",
    "even though <against> <main>",
    "while <against> <main>",
    "<main> although <against>",
    "<main> even though <against>",
    "<against> and yet <main>",
];

const HEARSAY_WRONG: &[&str] = &[
    "{person} said that <against> which was wrong",
    "we were told that <against> but that was not so",
    "{we} read that <against> and it proved false",
    "it is a lie that <against>",
];

const HEARSAY_RIGHT: &[&str] = &[
    "{person} said that <main> which was right",
    "we were told that <main> and that was so",
    "{we} read that <main> and it proved true",
    "it is a fact that <main>",
];
