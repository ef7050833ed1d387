//! What is said for one intent only, without the general words for its action.

/// Intents, thing by thing and action by action (see [`intents`](super::intents)), and their phrases. `it` is the thing,
/// with an article and details.
pub(super) const OF_INTENTS: &[(&str, &[&str])] = &[
    (
        "book_flight",
        &[
            "{hello?} i want to fly to {city} {when?}",
            "find me {it} from {city} {when?}",
            "{person} needs to travel to {city} by air {when?}",
            "is there a seat left on a plane to {city} {when?}",
            "get me to {city} {when} by plane",
        ],
    ),
    (
        "cancel_flight",
        &[
            "{hello?} i am not flying to {city} after all",
            "i cannot fly {when} so take me off {it}",
            "{person} will not be on {it} to {city}",
            "we decided not to travel so i want the fare back for {it}",
            "please free my seat on {it}",
        ],
    ),
    (
        "change_flight",
        &[
            "{hello?} put me on a later plane to {city}",
            "can i fly {when} instead of {when}",
            "i want to leave from {city} instead with {it}",
            "give me an aisle seat on {it}",
            "is there an earlier departure than {it}",
        ],
    ),
    (
        "check_flight",
        &[
            "{hello?} is {it} on time",
            "when does {it} take off {when?}",
            "which gate does {it} leave from",
            "has {it} landed in {city} yet",
            "what time do we arrive in {city} with {it}",
        ],
    ),
    (
        "book_hotel",
        &[
            "{hello?} i need somewhere to sleep in {city} {when?}",
            "find me a double bed in {city} {when?}",
            "{person} and i want to stay two nights in {city}",
            "do you have a vacancy in {city} {when?}",
            "we are looking for {it} with breakfast",
        ],
    ),
    (
        "cancel_hotel",
        &[
            "{hello?} we will not stay in {city} after all",
            "i do not need a bed in {city} {when?}",
            "give my room in {city} to somebody else",
            "{person} will not check in at {it}",
            "we sleep at a friend so forget {it}",
        ],
    ),
    (
        "change_hotel",
        &[
            "{hello?} can we stay one night longer at {it}",
            "we check in {when} instead at {it}",
            "i want a bigger bed at {it}",
            "put {person} into a quiet room at {it}",
            "add breakfast to {it}",
        ],
    ),
    (
        "check_hotel",
        &[
            "{hello?} when can we check in at {it}",
            "does {it} have a pool",
            "is breakfast included at {it}",
            "what is the address of {it}",
            "how many nights do we stay at {it}",
        ],
    ),
    (
        "send_payment",
        &[
            "{hello?} send {amount} {currency} to {person}",
            "i owe {person} {amount} {currency} pay it {when}",
            "give {person} {amount} {currency} from my account",
            "pay {person} for {product} {when?}",
            "i want to wire {amount} {currency} to {city}",
        ],
    ),
    (
        "cancel_payment",
        &[
            "{hello?} do not pay {person} the {amount} {currency}",
            "i sent {amount} {currency} to the wrong account get it back",
            "halt {it} before the money leaves my account",
            "i do not owe {person} anything so refuse {it}",
            "recall the {amount} {currency} that i sent to {person}",
        ],
    ),
    (
        "change_payment",
        &[
            "{hello?} make it {amount} {currency} instead with {it}",
            "pay {person} {when} instead of {when}",
            "raise {it} to {amount} {currency}",
            "{it} should come from my savings account",
            "lower {it} to {amount} {currency}",
        ],
    ),
    (
        "check_payment",
        &[
            "{hello?} has {it} gone through",
            "did {person} receive the {amount} {currency}",
            "has the money arrived in the account of {person}",
            "was {it} taken from my account {when?}",
            "how much did i pay {person} {when?}",
        ],
    ),
    (
        "order_card",
        &[
            "{hello?} mine has expired send me {it}",
            "can {person} have {it} too",
            "how do i become the holder of {it}",
            "i want to pay at the till with {it}",
            "mail me {it} with a chip",
        ],
    ),
    (
        "cancel_card",
        &[
            "{hello?} i lost my wallet so block {it}",
            "somebody stole {it} freeze it now",
            "lock {it} it was stolen in {city}",
            "i left {it} in {city} nobody may use it",
            "close the account of {it}",
        ],
    ),
    (
        "change_card",
        &[
            "{hello?} i want a different pin for {it}",
            "raise the limit of {it} to {amount} {currency}",
            "my name on {it} is spelled wrong",
            "let {it} work abroad in {city}",
            "lower the limit of {it}",
        ],
    ),
    (
        "check_card",
        &[
            "{hello?} what is the limit of {it}",
            "when does {it} expire",
            "does {it} work abroad in {city}",
            "what is the balance on {it}",
            "where is the pin for {it}",
        ],
    ),
    (
        "make_appointment",
        &[
            "{hello?} i want to see {person} {when}",
            "when can {person} meet me",
            "find a time to talk with {person} {when?}",
            "is there a free slot with {person} {when?}",
            "put {person} in my calendar {when}",
        ],
    ),
    (
        "cancel_appointment",
        &[
            "{hello?} i will not come to {it}",
            "tell {person} that i cannot meet {when}",
            "take {person} off my calendar {when}",
            "i am ill and will miss {it}",
            "i do not want to see {person} {when}",
        ],
    ),
    (
        "change_appointment",
        &[
            "{hello?} can {person} see me {when} instead",
            "i am late so let {it} begin at {hour}",
            "meet {person} in {city} instead {when}",
            "invite {name} to {it} too",
            "is there a later slot for {it}",
        ],
    ),
    (
        "check_appointment",
        &[
            "{hello?} when do i see {person}",
            "who else comes to {it}",
            "what is in my calendar {when}",
            "am i free {when} or do i meet {person}",
            "where do i meet {person} {when}",
        ],
    ),
    (
        "set_alarm",
        &[
            "{hello?} wake me up at {hour}",
            "let me know when it is {hour}",
            "ring the bell at {hour} {when?}",
            "do not let me forget {product} {when}",
            "remind me {when} to call {person}",
        ],
    ),
    (
        "cancel_alarm",
        &[
            "{hello?} do not wake me up at {hour}",
            "i will sleep late so silence {it}",
            "switch off {it} for {when}",
            "mute {it} it is too loud",
            "i remember it so {it} need not ring",
        ],
    ),
    (
        "change_alarm",
        &[
            "{hello?} wake me up at {hour} instead of {hour}",
            "let {it} ring an hour later",
            "snooze {it} until {hour}",
            "make {it} louder",
            "remind me {when} instead of {when}",
        ],
    ),
    (
        "check_alarm",
        &[
            "{hello?} when will you wake me up",
            "what time does {it} ring {when?}",
            "is {it} switched on",
            "how long until {it} rings",
            "what did i want to remember {when}",
        ],
    ),
    (
        "place_order",
        &[
            "{hello?} i want to buy {product} {when?}",
            "send {product} to my house in {city}",
            "put {product} in my basket and pay",
            "{person} wants {product} from the web shop",
            "have {product} shipped to {person}",
        ],
    ),
    (
        "cancel_order",
        &[
            "{hello?} i do not want {product} from the shop any more",
            "send {it} back to the shop",
            "i want a refund for {it}",
            "i bought {product} by mistake do not ship it",
            "{person} does not like {product} so return it",
        ],
    ),
    (
        "change_order",
        &[
            "{hello?} ship {it} to {city} instead",
            "i want {product} in a larger size with {it}",
            "put {product} into {it} too",
            "leave {it} with my neighbour instead",
            "double the number of things in {it}",
        ],
    ),
    (
        "check_order",
        &[
            "{hello?} where is {it}",
            "has {it} been shipped",
            "when will {product} arrive at my house",
            "did the courier bring {it} {when?}",
            "how far is {it} from {city}",
        ],
    ),
];
