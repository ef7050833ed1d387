//! Where the settings of a checked scenario were written.

use std::fmt;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Diagnostics, Place, Source};
use super::node::Node;

/// The tree and the texts that a scenario was read from. They are no part of what it says: all are equal.
#[derive(Clone, Default)]
pub(super) struct Origins(Option<Arc<Written>>);

struct Written {
    root: Node,
    sources: Vec<Source>,
    warnings: Vec<Diagnostic>,
    /// What is told of a `sweep` by who does not sweep.
    left_out: Option<Diagnostic>,
}

impl Origins {
    pub(super) fn new(root: Node, sources: Vec<Source>, warnings: Vec<Diagnostic>) -> Self {
        Self(Some(Arc::new(Written { root, sources, warnings, left_out: None })))
    }

    /// With the warning about a `sweep` that is left aside.
    pub(super) fn leaving_out(mut self, left_out: Option<Diagnostic>) -> Self {
        if let Some(written) = self.0.as_mut().and_then(Arc::get_mut) {
            written.left_out = left_out;
        }
        self
    }

    /// The place of a setting, or of what is around it.
    pub(super) fn locate(&self, path: &str) -> Option<Place> {
        self.0.as_ref().map(|written| written.root.locate(path))
    }

    /// `file:line:column`, or the `--set` itself; none for a setting that was not written.
    pub(super) fn position(&self, path: &str) -> Option<String> {
        let written = self.0.as_ref().filter(|written| written.root.has(path))?;
        Some(self.show(Vec::new()).position(written.root.locate(path)))
    }

    /// Problems with the texts that they are shown in.
    pub(super) fn show(&self, list: Vec<Diagnostic>) -> Diagnostics {
        Diagnostics { sources: self.0.as_ref().map(|written| written.sources.clone()).unwrap_or_default(), list }
    }

    /// What a check of the tree finds, with the texts that it is shown in; nothing where there is no tree.
    pub(super) fn problems_of(&self, check: impl FnOnce(&Node, &mut Vec<Diagnostic>)) -> Diagnostics {
        let mut problems = Vec::new();
        if let Some(written) = &self.0 {
            check(&written.root, &mut problems);
        }
        Diagnostics::sorted(self.show(Vec::new()).sources, problems)
    }

    pub(super) fn left_out(&self) -> Diagnostics {
        self.show(self.0.iter().flat_map(|written| written.left_out.clone()).collect())
    }

    pub(super) fn warnings(&self) -> Diagnostics {
        self.show(self.0.as_ref().map(|written| written.warnings.clone()).unwrap_or_default())
    }
}

impl PartialEq for Origins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Origins")
    }
}
