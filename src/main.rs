//! The command-line program; see [`straggler::cli`].

fn main() {}
