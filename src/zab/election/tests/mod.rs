//! Tests of the election: scenario files, random faults, and rules that need neither.

mod faults;
mod rules;
mod scenarios;
mod world;
