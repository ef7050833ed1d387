//! Statements about the words of both grammars, for pretraining only: which words mean the same, which oppose each
//! other, what things are. They are to the built-in tasks what general text is to a real encoder.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::grammar::{Class, Grammar};
use super::intents;
use super::place::Place;
use super::sentiment::{self, CLAUSE, clause};
use crate::seed::Stream;

/// A statement.
pub(super) fn sentence(grammar: &Grammar, rng: &mut Stream) -> String {
    match rng.random_range(0..100) {
        0..18 => about_actions(grammar, rng),
        18..30 => about_things(grammar, rng),
        30..44 => about_feelings(grammar, rng),
        44..52 => in_agreement(grammar, rng),
        52..76 => same_request(grammar, rng),
        76..95 => same_opinion(grammar, rng),
        _ => grammar.sentence(FACTS, &[], rng),
    }
}

fn about_actions(grammar: &Grammar, rng: &mut Stream) -> String {
    let actions = ["create", "cancel", "change", "check"];
    let this = rng.random_range(0..4);
    let other = (this + rng.random_range(1..4)) % 4;
    let verb = |action: usize, form: &str| format!("{}.{form}", actions[action]);
    grammar.sentence(
        SAME_ACTION,
        &[
            ("do", &verb(this, "do")),
            ("done", &verb(this, "done")),
            ("doing", &verb(this, "doing")),
            ("otherdo", &verb(other, "do")),
            ("otherdone", &verb(other, "done")),
            ("result", &format!("result.{}", actions[this])),
        ],
        rng,
    )
}

fn about_things(grammar: &Grammar, rng: &mut Stream) -> String {
    let things = ["flight", "hotel", "payment", "card", "appointment", "alarm", "order"];
    let this = rng.random_range(0..things.len());
    let other = (this + rng.random_range(1..things.len())) % things.len();
    let purpose = format!("purpose.{}", things[this]);
    let noun = |thing: usize| format!("{}.noun", things[thing]);
    grammar.sentence(
        SAME_THING,
        &[("noun", &noun(this)), ("compound", things[this]), ("othernoun", &noun(other)), ("purpose", &purpose)],
        rng,
    )
}

fn about_feelings(grammar: &Grammar, rng: &mut Stream) -> String {
    let (this, other) = if rng.random_bool(0.5) { ("good", "bad") } else { ("bad", "good") };
    let class = |polarity: &str, kind: &str| format!("{polarity}.{kind}");
    grammar.sentence(
        SAME_FEELING,
        &[
            ("adj", &class(this, "adj")),
            ("thing", &class(this, "thing")),
            ("love", &class(this, "feel.do")),
            ("loved", &class(this, "feel.done")),
            ("loving", &class(this, "feel.doing")),
            ("otheradj", &class(other, "adj")),
            ("otherthing", &class(other, "thing")),
            ("otherloved", &class(other, "feel.done")),
        ],
        rng,
    )
}

/// Two clauses of one opinion.
fn in_agreement(grammar: &Grammar, rng: &mut Stream) -> String {
    let praises = rng.random_bool(0.5);
    joined(["and", "and also", "because", "so"], rng, |rng| clause(grammar, CLAUSE, praises, rng))
}

/// An opinion, and the same in other words.
fn same_opinion(grammar: &Grammar, rng: &mut Stream) -> String {
    let label = rng.random_range(0..sentiment::labels().len());
    joined(["in short", "in other words", "that is", "i mean"], rng, |rng| sentiment::sentence(grammar, label, rng))
}

/// A request, and the same in other words.
fn same_request(grammar: &Grammar, rng: &mut Stream) -> String {
    let intent = rng.random_range(0..intents::labels().len());
    joined(["in other words", "that is", "i mean", "or rather"], rng, |rng| intents::sentence(grammar, intent, rng))
}

/// Two parts with one of the joints between them. Neither part alone is a sentence that is held back.
fn joined(joints: [&str; 4], rng: &mut Stream, mut part: impl FnMut(&mut Stream) -> String) -> String {
    let first = Place::Training.draw(rng, &mut part);
    let second = Place::Training.draw(rng, &mut part);
    format!("{first} {} {second}", joints.choose(rng).expect("there are joints"))
}

const SAME_ACTION: &[&str] = &[
    "to {do} {something} means to {do} {something}",
    "{doing} {something} is another word for {doing} {something}",
    "if you {do} {something} you {do} {something}",
    "{person} can {do} and {do} {something} at the same time",
    "to {do} is the same as to {do} or to {do}",
    "to {do} {something} is not to {otherdo} {something}",
    "once you have {done} {something} it is {result}",
    "{person} has {done} {something} so it is {result}",
    "whoever wants to {do} {something} must {do} {something}",
    "you {do} {something} by {doing} {something}",
    "having {done} {something} is not the same as having {otherdone} {something}",
    "{something} that {person} wants to {do} will be {result}",
];

const SAME_THING: &[&str] = &[
    "a {noun} is a kind of {noun}",
    "{person} calls the {noun} a {noun}",
    "a {noun} and a {noun} are much the same",
    "a {noun} or {noun} is for {purpose}",
    "you use a {noun} for {purpose}",
    "a {compound} is a {noun}",
    "a {compound} is not a {othernoun}",
    "a {noun} is not a {othernoun}",
    "{person} has a {noun} for {purpose}",
    "without a {noun} there is no {purpose}",
];

const SAME_FEELING: &[&str] = &[
    "what is {adj} is also {adj}",
    "something {adj} is {thing}",
    "if {aspect} is {adj} it is not {otheradj}",
    "{we} {loved} {aspect} because it was {adj}",
    "{we} {loved} {aspect} and called it {thing}",
    "people {love} what is {adj}",
    "{loving} {aspect} means that it is {adj}",
    "{adj} and {adj} mean much the same",
    "{thing} is never {otherthing}",
    "{we} {loved} and never {otherloved} {aspect}",
    "{aspect} was {adj} and {adj} and {adj}",
    "not {otheradj} means {adj}",
];

const FACTS: &[&str] = &[
    "{city} and {city} are two cities",
    "{name} and {name} live in {city}",
    "{day} comes and {person} goes to {city}",
    "{month} and {month} are two months",
    "{amount} {currency} or {amount} {currency} is a lot of money",
    "{name} bought {product} and {product} for {amount} {currency}",
    "{person} met {name} in {city} {when}",
    "{name} will be in {city} {when} with {person}",
    "the {part} belongs to the {whole}",
    "{product} cost {amount} {currency} in {city}",
];

/// Adds this grammar's word classes.
pub(super) fn extend(grammar: Grammar) -> Grammar {
    grammar.with_classes(CLASSES)
}

const CLASSES: &[Class] = &[
    (
        "something",
        &[
            "something",
            "a {flight.noun}",
            "a {hotel.noun}",
            "a {payment.noun}",
            "a {card.noun}",
            "a {appointment.noun}",
            "a {alarm.noun}",
            "a {order.noun}",
            "it all",
            "the thing",
        ],
    ),
    (
        "result.create",
        &["yours now", "there for you", "ready for use", "on its way", "new in your list", "fixed for {when}"],
    ),
    ("result.cancel", &["gone for good", "no longer there", "not needed any more", "over", "off the list", "lost"]),
    ("result.change", &["different now", "not as it was", "at another time", "on {day} instead", "better than before"]),
    ("result.check", &["known to you", "clear where it is", "no secret", "still as it was", "found in the list"]),
    ("purpose.flight", &["going to {city} by air", "the airport", "travelling from {city} to {city}", "flying"]),
    ("purpose.hotel", &["sleeping in {city}", "the night in {city}", "guests", "staying at a place"]),
    (
        "purpose.payment",
        &["sending {amount} {currency}", "giving money to {person}", "paying what you owe", "the bank account"],
    ),
    ("purpose.card", &["paying at the till", "the wallet", "the cash machine", "buying {product} in a shop"]),
    ("purpose.appointment", &["seeing {person}", "talking to {person}", "the calendar", "meeting people"]),
    ("purpose.alarm", &["waking up at {hour}", "not forgetting {day}", "the bell at {hour}", "remembering things"]),
    (
        "purpose.order",
        &["getting {product} by post", "the mail man with {product}", "things from the web shop", "shopping"],
    ),
];
