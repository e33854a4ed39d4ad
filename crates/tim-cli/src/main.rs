//! The `tim` program.

fn main() {}
