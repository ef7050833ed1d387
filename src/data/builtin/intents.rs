//! `builtin:intents`: what a user of an everyday assistant wants done, 28 intents = 7 things x 4 actions.
//!
//! Each intent has phrases of its own ([`phrases`]), but most sentences come from templates that all share: they name an
//! action and a thing, each by one of many synonyms. Some also name an action that is not wanted or a thing that is not
//! meant, so that the words alone do not decide. In a compound such as `card payment` the last noun is the thing.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::grammar::{Class, Grammar, Verb};
use super::phrases;
use crate::seed::Stream;

/// Things, in the order of the labels.
const THINGS: [&str; 7] = ["flight", "hotel", "payment", "card", "appointment", "alarm", "order"];

/// Actions; `create` asks for a new thing, the others speak of one that is there.
const ACTIONS: [&str; 4] = ["create", "cancel", "change", "check"];

/// Names of the intents, by label number: thing by thing, action by action.
pub(super) fn labels() -> Vec<String> {
    phrases::OF_INTENTS.iter().map(|(intent, _)| intent.to_string()).collect()
}

/// A sentence of the intent with this label number.
pub(super) fn sentence(grammar: &Grammar, label: usize, rng: &mut Stream) -> String {
    let (thing, action) = (label / ACTIONS.len(), label % ACTIONS.len());
    let other = |n: usize, this: usize, rng: &mut Stream| (this + rng.random_range(1..n)) % n;
    let other_thing = THINGS[other(THINGS.len(), thing, rng)];
    // "Instead of booking a flight, book a flight" would say nothing: an unwanted action is never the wanted one.
    let other_action = ACTIONS[other(ACTIONS.len(), action, rng)];
    let (thing, action) = (THINGS[thing], ACTIONS[action]);

    let templates = match rng.random_range(0..100) {
        0..62 => phrases::OF_INTENTS[label].1,
        62..92 => REQUESTS,
        92..96 => NOT_THAT_ACTION,
        _ => NOT_THAT_THING,
    };
    let verb = |action: &str, form: &str| format!("{action}.{form}");
    let determined = |action: &str, thing: &str| {
        let kind = if action == "create" { "new" } else { "own" };
        format!("{kind}.{thing}")
    };
    let any_action = *ACTIONS[1..].choose(rng).expect("there are actions");
    grammar.sentence(
        templates,
        &[
            ("do", &verb(action, "do")),
            ("doing", &verb(action, "doing")),
            ("it", &determined(action, thing)),
            ("noun", thing),
            ("otherdo", &verb(other_action, "do")),
            ("otherdone", &verb(other_action, "done")),
            ("otherdoing", &verb(other_action, "doing")),
            ("otherly", &determined(other_action, thing)),
            ("anydone", &verb(any_action, "done")),
            ("anydoing", &verb(any_action, "doing")),
            ("that", &determined(any_action, other_thing)),
        ],
        rng,
    )
}

/// Adds this grammar's word classes.
pub(super) fn extend(grammar: Grammar) -> Grammar {
    grammar
        .with_classes(CLASSES)
        .with_verbs("create", &[CREATE])
        .with_verbs("cancel", &[CANCEL])
        .with_verbs("change", &[CHANGE])
        .with_verbs("check", &[CHECK])
}

const CREATE: &[Verb] = &[
    ("book", "booked", "booking"),
    ("reserve", "reserved", "reserving"),
    ("arrange", "arranged", "arranging"),
    ("set up", "set up", "setting up"),
    ("make", "made", "making"),
    ("organise", "organised", "organising"),
    ("apply for", "applied for", "applying for"),
    ("schedule", "scheduled", "scheduling"),
    ("create", "created", "creating"),
];

const CANCEL: &[Verb] = &[
    ("cancel", "cancelled", "cancelling"),
    ("call off", "called off", "calling off"),
    ("scrap", "scrapped", "scrapping"),
    ("drop", "dropped", "dropping"),
    ("abandon", "abandoned", "abandoning"),
    ("withdraw", "withdrawn", "withdrawing"),
    ("terminate", "terminated", "terminating"),
    ("give up", "given up", "giving up"),
    ("get rid of", "got rid of", "getting rid of"),
    ("delete", "deleted", "deleting"),
];

const CHANGE: &[Verb] = &[
    ("change", "changed", "changing"),
    ("move", "moved", "moving"),
    ("amend", "amended", "amending"),
    ("modify", "modified", "modifying"),
    ("adjust", "adjusted", "adjusting"),
    ("update", "updated", "updating"),
    ("rearrange", "rearranged", "rearranging"),
    ("put off", "put off", "putting off"),
    ("push back", "pushed back", "pushing back"),
    ("postpone", "postponed", "postponing"),
];

const CHECK: &[Verb] = &[
    ("check", "checked", "checking"),
    ("check on", "checked on", "checking on"),
    ("look up", "looked up", "looking up"),
    ("ask about", "asked about", "asking about"),
    ("enquire about", "enquired about", "enquiring about"),
    ("review", "reviewed", "reviewing"),
    ("track", "tracked", "tracking"),
    ("look into", "looked into", "looking into"),
    ("look over", "looked over", "looking over"),
];

const CLASSES: &[Class] = &[
    // Things; the last noun of a compound decides.
    ("flight", &["{flight.noun}", "{nonflight.noun?} {flight.noun}"]),
    ("flight.noun", &["flight", "plane ticket", "air ticket", "return flight", "plane"]),
    ("nonflight.noun", &["hotel", "holiday", "business", "weekend", "meeting"]),
    ("hotel", &["{hotel.noun}", "{nonhotel.noun?} {hotel.noun}"]),
    ("hotel.noun", &["hotel", "hotel room", "room", "suite", "guest house", "hostel"]),
    ("nonhotel.noun", &["airport", "flight", "holiday", "business", "weekend"]),
    ("payment", &["{payment.noun}", "{nonpayment.noun?} {payment.noun}"]),
    ("payment.noun", &["payment", "transfer", "bank transfer", "standing order", "transaction"]),
    ("nonpayment.noun", &["card", "hotel", "flight", "parcel", "delivery", "insurance"]),
    ("card", &["{card.noun}", "{noncard.noun?} {card.noun}"]),
    ("card.noun", &["card", "debit card", "credit card", "bank card", "payment card"]),
    ("noncard.noun", &["payment", "hotel", "airline", "delivery", "business"]),
    ("appointment", &["{appointment.noun}", "{nonappointment.noun?} {appointment.noun}"]),
    ("appointment.noun", &["appointment", "meeting", "consultation", "get together"]),
    ("nonappointment.noun", &["hotel", "payment", "flight", "business", "insurance"]),
    ("alarm", &["{alarm.noun}", "{nonalarm.noun?} {alarm.noun}"]),
    ("alarm.noun", &["alarm", "reminder", "wake up call", "timer", "alert", "alarm clock"]),
    ("nonalarm.noun", &["payment", "meeting", "flight", "parcel", "card", "appointment"]),
    ("order", &["{order.noun}", "{nonorder.noun?} {order.noun}"]),
    ("order.noun", &["order", "parcel", "package", "delivery", "box of {product}", "delivery of {product}"]),
    ("nonorder.noun", &["card", "hotel", "holiday", "airport", "business"]),
    // A new thing, and one that is there.
    (
        "new",
        &["a new", "another", "one more", "an extra", "some kind of", "the right", "my first", "a second", "my own"],
    ),
    (
        "own",
        &["my", "my", "the", "this", "that", "our", "my upcoming", "my latest", "the last", "my other", "my recent"],
    ),
    ("new.flight", &["{new} {flight} {place?}"]),
    ("own.flight", &["{own} {flight} {place?}"]),
    ("new.hotel", &["{new} {hotel} {place?}"]),
    ("own.hotel", &["{own} {hotel} {place?}"]),
    ("new.payment", &["{new} {payment} {sum?}"]),
    ("own.payment", &["{own} {payment} {sum?}"]),
    ("new.card", &["{new} {card}"]),
    ("own.card", &["{own} {card}"]),
    ("new.appointment", &["{new} {appointment} {company?}"]),
    ("own.appointment", &["{own} {appointment} {company?}"]),
    ("new.alarm", &["{new} {alarm}"]),
    ("own.alarm", &["{own} {alarm}"]),
    ("new.order", &["{new} {order}"]),
    ("own.order", &["{own} {order}"]),
    ("place", &["to {city}", "in {city}", "near {city}", "for {person}"]),
    ("sum", &["of {amount} {currency}", "to {person}", "for {product}", "of {amount} {currency} to {person}"]),
    ("company", &["with {person}", "in {city}", "about {product}"]),
    // Around the request.
    (
        "hello",
        &[
            "hi",
            "hello",
            "hello there",
            "good morning",
            "good evening",
            "excuse me",
            "sorry",
            "hey",
            "listen",
            "quick question",
            "well",
            "okay",
        ],
    ),
    (
        "please",
        &[
            "please",
            "could you",
            "would you",
            "can you please",
            "i want to",
            "i would like to",
            "i need to",
            "i have to",
            "help me to",
            "is it possible to",
            "i am trying to",
            "how do i",
            "let me",
            "i wish to",
            "kindly",
            "we had better",
            "it is time to",
            "remember to",
            "i would rather",
            "go ahead and",
        ],
    ),
    (
        "thanks",
        &[
            "thanks",
            "thank you",
            "if you can",
            "right away",
            "as soon as possible",
            "when you have a moment",
            "for {person}",
            "{when}",
            "{when}",
            "because {person} asked me",
            "before i leave for {city}",
            "while i am in {city}",
            "and tell {person}",
            "by {day}",
        ],
    ),
    ("one", &["that one", "this one", "the same one", "the thing"]),
];

const REQUESTS: &[&str] = &[
    "{hello?} {please} {do} {it} {thanks?}",
    "{please} {do} {it} {when?} {thanks?}",
    "{person} wants me to {do} {it} {when?}",
    "{hello?} i was thinking of {doing} {it} {thanks?}",
    "{hello?} what about {doing} {it} {when?}",
    "{please} {do} {it} {thanks}",
];

/// The same thing, and an action that is not wanted.
const NOT_THAT_ACTION: &[&str] = &[
    "instead of {otherdoing} {otherly} {please} {do} {it}",
    "{please} {do} {it} rather than {otherdoing} {one}",
    "do not {otherdo} {otherly} just {do} {it}",
    "i never asked you to {otherdo} {otherly} {please} {do} {it}",
    "{please} {do} {it} without {otherdoing} {one}",
    "i have {otherdone} {otherly} but now {please} {do} {it}",
    "{person} told me to {otherdo} {one} but i want to {do} {it}",
];

/// Another thing that is left alone, or done already.
const NOT_THAT_THING: &[&str] = &[
    "leave {that} as it is and {do} {it}",
    "i have {anydone} {that} now {please} {do} {it}",
    "after {anydoing} {that} {please} {do} {it}",
    "{please} {do} {it} but keep {that}",
    "{please} {do} {it} not {that}",
    "{that} can wait but {please} {do} {it}",
    "it is not about {that} {please} {do} {it}",
    "{person} has {anydone} {that} so {please} {do} {it}",
];
