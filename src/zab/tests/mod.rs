//! Tests of the whole protocol core.

mod random;
mod standalone;
mod tuning;
mod world;
