//! Word classes that both grammars share.

use super::grammar::Class;

pub(super) const NAMES: &[&str] = &[
    "anna", "ben", "carla", "david", "ella", "frank", "grace", "henry", "ivy", "jack", "karen", "leo", "maria", "noah",
    "olga", "peter", "quinn", "rosa", "simon", "tara", "umar", "vera", "walter", "yasmin", "zoe", "amir", "bella",
    "chen", "diego", "emma", "fatima", "george", "hana", "igor", "julia", "kofi", "laura", "marco", "nina", "oscar",
    "paula", "ravi", "sara", "tom", "ursula", "victor", "wendy", "yuki",
];

pub(super) const PEOPLE: &[&str] = &[
    "my boss",
    "my sister",
    "my brother",
    "my dentist",
    "my doctor",
    "my landlord",
    "my cousin",
    "my neighbour",
    "my manager",
    "my lawyer",
    "my tutor",
    "my uncle",
    "my aunt",
    "my parents",
    "the kids",
    "the team",
    "a friend",
    "a colleague",
    "the plumber",
    "the school",
    "{name}",
    "{name}",
    "{name}",
    "{name}",
];

pub(super) const CITIES: &[&str] = &[
    "london", "paris", "berlin", "madrid", "rome", "vienna", "oslo", "dublin", "lisbon", "prague", "athens", "warsaw",
    "cairo", "nairobi", "lagos", "delhi", "mumbai", "tokyo", "osaka", "seoul", "sydney", "lima", "boston", "chicago",
    "denver", "dallas", "toronto", "geneva", "milan", "munich", "bergen", "porto", "krakow", "zagreb", "malta", "riga",
];

pub(super) const DAYS: &[&str] = &[
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "the weekend",
    "the first of {month}",
    "the third of {month}",
    "the tenth of {month}",
    "the last day of {month}",
];

pub(super) const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

pub(super) const HOURS: &[&str] =
    &["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "noon", "midnight"];

/// When something takes place.
pub(super) const WHEN: &[&str] = &[
    "on {day}",
    "on {day}",
    "on {day}",
    "at {hour}",
    "at {hour}",
    "tomorrow",
    "tonight",
    "this evening",
    "next week",
    "in {month}",
    "next month",
    "on {day} at {hour}",
    "around {hour}",
    "before {day}",
    "after {day}",
    "this afternoon",
    "in the morning",
    "half past {hour}",
    "early on {day}",
    "late in {month}",
];

pub(super) const AMOUNTS: &[&str] = &[
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "a hundred",
    "two hundred",
    "five hundred",
    "a thousand",
];

pub(super) const CURRENCIES: &[&str] = &["euros", "dollars", "pounds", "francs", "crowns", "pesos"];

pub(super) const PRODUCTS: &[&str] = &[
    "shoes",
    "books",
    "boots",
    "a lamp",
    "a kettle",
    "a jacket",
    "a laptop",
    "a phone",
    "headphones",
    "a toaster",
    "curtains",
    "a rug",
    "a tent",
    "a bicycle",
    "a mirror",
    "plates",
    "a printer",
    "a watch",
    "a sweater",
    "a camera",
    "gloves",
    "a sofa",
    "a blanket",
    "batteries",
    "a backpack",
];

/// Classes by the name that templates use.
pub(super) const CLASSES: &[Class] = &[
    ("name", NAMES),
    ("person", PEOPLE),
    ("city", CITIES),
    ("day", DAYS),
    ("month", MONTHS),
    ("hour", HOURS),
    ("when", WHEN),
    ("amount", AMOUNTS),
    ("currency", CURRENCIES),
    ("product", PRODUCTS),
];
