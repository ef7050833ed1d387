//! However broken a scenario is, it is explained and never crashes the program.

use proptest::prelude::*;
use straggler::cli::QUICKSTART;
use straggler::scenario::{Input, Overrides, load};

fn explained(text: String) -> Result<(), TestCaseError> {
    let input = Input::Embedded { name: "broken.yaml".into(), text };
    if let Err(diagnostics) = load(&input, &Overrides::default()) {
        prop_assert!(!diagnostics.list().is_empty());
        prop_assert!(diagnostics.to_string().starts_with("error["));
        prop_assert!(diagnostics.coloured().contains("error["));
        let without_place = diagnostics.list().iter().find(|problem| problem.code() == "invalid");
        prop_assert!(without_place.is_none(), "the types refuse what the schema accepts: {diagnostics}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn with_a_piece_replaced(at in 0usize..3000, length in 0usize..40, piece in "[a-z0-9:{}\\[\\],\"' \\n\\t&*!|>#%-]{0,12}") {
        let chars: Vec<char> = QUICKSTART.chars().collect();
        let at = at.min(chars.len());
        let end = (at + length).min(chars.len());
        let text: String = chars[..at].iter().copied().chain(piece.chars()).chain(chars[end..].iter().copied()).collect();
        explained(text)?;
    }

    #[test]
    fn with_a_line_lost_and_one_moved(lost in 0usize..60, from in 0usize..60, to in 0usize..60, indent in 0usize..6) {
        let mut lines: Vec<String> = QUICKSTART.lines().map(String::from).collect();
        lines.remove(lost % lines.len());
        let line = lines.remove(from % lines.len());
        let to = to % lines.len();
        lines.insert(to, format!("{}{}", " ".repeat(indent), line.trim_start()));
        explained(lines.join("\n"))?;
    }

    #[test]
    fn with_any_value_set(path in "[a-z._]{0,20}", value in "\\PC{0,20}") {
        let overrides = Overrides { profiles: Vec::new(), set: vec![format!("server.{path}={value}")] };
        let input = Input::Embedded { name: "quickstart".into(), text: QUICKSTART.into() };
        if let Err(diagnostics) = load(&input, &overrides) {
            prop_assert!(diagnostics.to_string().starts_with("error["));
        }
    }
}
