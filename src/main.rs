//! The `oxkeeper` program.
fn main() {}
