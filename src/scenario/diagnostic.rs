//! What is wrong with a scenario and where: codes, positions, remedies, and how they are shown.

use std::fmt;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};

/// A text that values come from: a file, the built-in quickstart, or one `--set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    /// As shown in messages.
    pub(super) name: String,
    /// The whole text.
    pub(super) text: String,
    /// False for `--set`, whose lines have no numbers.
    pub(super) has_lines: bool,
    /// The folder that relative paths in it start from.
    pub(super) folder: PathBuf,
}

/// A piece of one line of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Index of the source.
    pub(super) source: usize,
    /// Line, from 1.
    pub(super) line: usize,
    /// First character, from 1.
    pub(super) column: usize,
    /// Characters, at least 1.
    pub(super) length: usize,
}

/// The code of a setting that another build of the program would accept.
pub(super) const MISSING_FEATURE: &str = "missing-feature";

/// The code of a setting that a machine with more memory would accept.
pub(super) const LACKS_MEMORY: &str = "memory";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable name of the kind of problem.
    pub(super) code: &'static str,
    /// True for what is right and probably not meant.
    pub(super) is_warning: bool,
    /// What is wrong.
    pub(super) message: String,
    /// Where; none for problems of the scenario as a whole.
    pub(super) place: Option<Place>,
    /// The other place, when two settings do not go together.
    pub(super) other: Option<Place>,
    /// What was probably meant; shown at the caret.
    pub(super) hint: Option<String>,
    /// What to do about it.
    pub(super) help: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(code: &'static str, message: impl Into<String>, place: Option<Place>) -> Self {
        Self { code, is_warning: false, message: message.into(), place, other: None, hint: None, help: None }
    }

    pub(super) fn warning(code: &'static str, message: impl Into<String>, place: Place) -> Self {
        Self { is_warning: true, ..Self::new(code, message, Some(place)) }
    }

    pub(super) fn other(mut self, other: Option<Place>) -> Self {
        self.other = other;
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Stable name of the kind of problem, such as `unknown-key`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// True for what is right and probably not meant: the scenario runs all the same.
    pub fn is_warning(&self) -> bool {
        self.is_warning
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was probably meant, or what to do about it.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref().or(self.help.as_deref())
    }
}

/// Everything that is wrong with a scenario, with the texts that it was read from.
///
/// `Display` shows it without colour; [`Diagnostics::coloured`] with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    pub(super) sources: Vec<Source>,
    pub(super) list: Vec<Diagnostic>,
}

impl std::error::Error for Diagnostics {}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.render(f, Palette::default())
    }
}

impl Diagnostics {
    /// Each problem once, in the order of the sources.
    pub(super) fn sorted(sources: Vec<Source>, mut list: Vec<Diagnostic>) -> Self {
        list.sort_by_key(|problem| problem.place);
        list.dedup();
        Self { sources, list }
    }

    /// The problems, in the order of the file.
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// True when nothing is wrong but that this build of the program, or this machine, lacks something.
    pub fn lacks_only_features(&self) -> bool {
        self.list.iter().all(|problem| matches!(problem.code, MISSING_FEATURE | LACKS_MEMORY))
    }

    /// Where a problem of this list is: `file:line:column`, or the `--set` itself.
    pub fn position_of(&self, diagnostic: &Diagnostic) -> Option<String> {
        diagnostic.place.map(|place| self.position(place))
    }

    /// The same text with terminal colours.
    pub fn coloured(&self) -> String {
        struct Coloured<'a>(&'a Diagnostics);
        impl fmt::Display for Coloured<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let bold = Style::new().bold();
                self.0.render(
                    f,
                    Palette {
                        error: bold.fg_color(Some(AnsiColor::Red.into())),
                        warning: bold.fg_color(Some(AnsiColor::Yellow.into())),
                        message: bold,
                        frame: Style::new().fg_color(Some(AnsiColor::Blue.into())),
                        help: Style::new().fg_color(Some(AnsiColor::Cyan.into())),
                    },
                )
            }
        }
        Coloured(self).to_string()
    }

    fn render(&self, f: &mut fmt::Formatter<'_>, colours: Palette) -> fmt::Result {
        for (i, diagnostic) in self.list.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            self.render_one(f, diagnostic, colours)?;
        }
        Ok(())
    }

    fn render_one(&self, f: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic, colours: Palette) -> fmt::Result {
        let Palette { error, warning, message, frame, help } = colours;
        let (kind, error) = if diagnostic.is_warning { ("warning", warning) } else { ("error", error) };
        write!(f, "{error}{kind}[{}]{error:#}{message}: {}{message:#}", diagnostic.code, diagnostic.message)?;
        let remedy = diagnostic.help.as_ref().map(|text| format!("{help}help:{help:#} {text}"));
        // two places in one line are shown like one
        let is_apart =
            |other: &Place| diagnostic.place.is_none_or(|p| (p.source, p.line) != (other.source, other.line));
        match (diagnostic.place, diagnostic.other.filter(is_apart)) {
            (Some(place), Some(other)) => {
                write!(f, "\n  {frame}-->{frame:#} {}", self.two_places(place, other))?;
                if let Some(remedy) = remedy {
                    write!(f, "     {remedy}")?;
                }
            }
            (Some(place), None) => {
                let source = &self.sources[place.source];
                let line = source.text.lines().nth(place.line - 1).unwrap_or_default();
                let start = place.column - 1;
                let length = place.length.min(line.chars().count().saturating_sub(start)).max(1);
                let margin: String = line.chars().take(start).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                write!(f, "\n  {frame}-->{frame:#} {}", self.position(place))?;
                write!(f, "\n   {frame}|{frame:#} {line}")?;
                write!(f, "\n   {frame}|{frame:#} {margin}{error}{}{error:#}", "^".repeat(length))?;
                for note in diagnostic.hint.iter().chain(&remedy) {
                    write!(f, " {note}")?;
                }
            }
            (None, _) => {
                for note in diagnostic.hint.iter().chain(&remedy) {
                    write!(f, "\n  {note}")?;
                }
            }
        }
        Ok(())
    }

    /// `file:line:column`, or the `--set` itself.
    pub(super) fn position(&self, place: Place) -> String {
        let source = &self.sources[place.source];
        if source.has_lines { format!("{}:{}:{}", source.name, place.line, place.column) } else { source.name.clone() }
    }

    fn two_places(&self, place: Place, other: Place) -> String {
        let line = |place: Place| {
            let source = &self.sources[place.source];
            if source.has_lines { format!("{}:{}", source.name, place.line) } else { source.name.clone() }
        };
        if place.source == other.source && self.sources[place.source].has_lines {
            format!("{} and :{}", line(place), other.line)
        } else {
            format!("{} and {}", line(place), line(other))
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Palette {
    error: Style,
    warning: Style,
    message: Style,
    frame: Style,
    help: Style,
}
