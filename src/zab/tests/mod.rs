//! Tests of the whole protocol core.

mod disk;
mod distrust;
mod paper;
mod promises;
mod random;
mod scenarios;
mod standalone;
mod tuning;
mod world;
