//! The simulator: the parts of the world as values that can be made to fail.

pub mod disk;
